"""The service as a user meets it: bad input gets the right status and a remedy, and the service keeps serving."""

import json

import numpy as np
import onnx
import omserve
import pytest
from onnx import TensorProto, helper, numpy_helper


def mlp(path, width=16, batch="batch", op="Relu"):
    random = np.random.default_rng(0)
    w1, w2 = (random.standard_normal((width, width)).astype(np.float32) for _ in range(2))
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["h"]), helper.make_node(op, ["h"], ["a"], name="activation"),
             helper.make_node("MatMul", ["a", "w2"], ["y"])]
    graph = helper.make_graph(
        nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, width])],
        [numpy_helper.from_array(w1, "w1"), numpy_helper.from_array(w2, "w2")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return lambda x: np.maximum(x @ w1, 0) @ w2


@pytest.fixture(scope="module")
def server(bin_folder):
    with omserve.Server.standalone(devices=2) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def loaded(client, tmp_path_factory):
    """An MLP cut over both devices, loaded as 'mlp'; gives its reference function and its OM."""
    folder = tmp_path_factory.mktemp("mlp")
    reference = mlp(folder / "mlp.onnx")
    client.build(folder / "mlp.onnx", folder / "mlp.om", input_shapes={"x": (4, 16)}, tensor_parallel=2)
    client.load(folder / "mlp.om", name="mlp")
    return reference, folder / "mlp.om"


@pytest.fixture(autouse=True)
def still_serving(client, loaded):
    """After every test, whatever it did, the loaded model answers."""
    yield
    x = np.random.default_rng(1).standard_normal((4, 16)).astype(np.float32)
    np.testing.assert_allclose(client.run("mlp", {"x": x})["y"], loaded[0](x), rtol=1e-4, atol=1e-4)


def test_run_says_what_is_expected(client):
    x = np.zeros((4, 16), dtype=np.float32)
    for inputs, words in [({}, ["x"]), ({"z": x}, ["z", "x"]), ({"x": x[:2]}, ["[4,16]", "[2,16]"]),
                          ({"x": x.astype(np.int64)}, ["float32", "int64"])]:
        with pytest.raises(omserve.InvalidArgument) as error:
            client.run("mlp", inputs)
        assert all(word in str(error.value) for word in words), str(error.value)


def test_unknown_model_lists_known_ones(client):
    with pytest.raises(omserve.NotFound, match="mlp"):
        client.run("nobody", {})
    with pytest.raises(omserve.NotFound, match="mlp"):
        client.unload("nobody")


def test_name_in_use(client, loaded, tmp_path):
    mlp(tmp_path / "other.onnx", width=32)
    client.build(tmp_path / "other.onnx", tmp_path / "other.om", input_shapes={"x": (1, 32)})
    with pytest.raises(omserve.AlreadyExists, match="mlp"):
        client.load(tmp_path / "other.om", name="mlp")


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_files(client, loaded, tmp_path, damage):
    def harm(content):
        if damage == "truncated":
            return content[: len(content) * 2 // 3]
        return content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 0x40]) + content[len(content) // 2 + 1:]

    mlp(tmp_path / "m.onnx")
    if damage == "truncated":  # a flipped weight bit is a valid model
        (tmp_path / "m.onnx").write_bytes(harm((tmp_path / "m.onnx").read_bytes()))
        with pytest.raises(omserve.InvalidArgument):
            client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (4, 16)})
    (tmp_path / "m.om").write_bytes(harm(loaded[1].read_bytes()))
    with pytest.raises((omserve.DataLoss, omserve.InvalidArgument)):
        client.load(tmp_path / "m.om", name="damaged")
    assert "damaged" not in [model.name for model in client.models()]


def test_unknown_operator_is_named(client, tmp_path):
    mlp(tmp_path / "m.onnx", op="FancyActivation")
    with pytest.raises(omserve.Unimplemented) as error:
        client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (4, 16)})
    assert "FancyActivation" in str(error.value) and "activation" in str(error.value)


def test_shapes_and_sizes(client, tmp_path):
    mlp(tmp_path / "m.onnx")
    om = tmp_path / "m.om"
    with pytest.raises(omserve.InvalidArgument, match="x"):
        client.build(tmp_path / "m.onnx", om)  # the batch is open
    with pytest.raises(omserve.InvalidArgument, match="tensor_parallel_size 3"):
        client.build(tmp_path / "m.onnx", om, input_shapes={"x": (4, 16)}, tensor_parallel=3)
    cluster = {"cluster": [{"cluster_nodes": [{"node_id": 0, "node_type": "n", "item_list": [{"item_id": "zero"}]}]}],
               "node_def": [], "item_def": []}
    with pytest.raises(omserve.InvalidArgument, match="item_id"):
        client.build(tmp_path / "m.onnx", om, input_shapes={"x": (4, 16)}, cluster_config=cluster)
    two = {"graph_parallel_option": {"auto": False, "tensor_parallel_option": {"tensor_parallel_size": 2}}}
    with pytest.raises(omserve.InvalidArgument, match="number of devices"):
        client.build(tmp_path / "m.onnx", om, input_shapes={"x": (4, 16)}, parallel_config=two)
    assert not om.exists()


def test_more_devices_than_there_are(client, tmp_path):
    mlp(tmp_path / "m.onnx")
    client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (4, 16)}, tensor_parallel=4)
    with pytest.raises(omserve.Error) as error:
        client.load(tmp_path / "m.om", name="wide")
    assert error.value.code in ("UNAVAILABLE", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED")
    assert "4" in str(error.value)


def test_second_load_pushes_nothing(client, tmp_path):
    reference = mlp(tmp_path / "m.onnx", width=256)
    client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (1, 256)}, tensor_parallel=2)
    first = client.load(tmp_path / "m.om", name="twice")
    client.unload("twice")
    second = client.load(tmp_path / "m.om", name="twice")
    assert second.bytes_uploaded == 0 and second.bytes_pushed == 0
    assert first.bytes_uploaded == (tmp_path / "m.om").stat().st_size
    x = np.ones((1, 256), dtype=np.float32)
    np.testing.assert_allclose(client.run("twice", {"x": x})["y"], reference(x), rtol=1e-3, atol=1e-3)
    client.unload("twice")


def test_replicas_without_a_policy(client, server, tmp_path, omctl):
    reference = mlp(tmp_path / "m.onnx")
    client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (4, 16)},
                 cluster_config={"cluster": [{"cluster_nodes": [{"node_id": 0, "node_type": "n", "item_list": [
                     {"item_id": 0}, {"item_id": 1}]}]}], "item_def": [{"item_type": "cpu"}],
                     "node_def": [{"item": [{"item_type": "cpu"}]}]})
    client.load(tmp_path / "m.om", name="replicated")
    listed = json.loads(omctl("models", "--coordinator", server.address, "--output", "json").stdout)
    assert "replicated" in json.dumps(listed)
    placed = [model for model in client.models() if model.name == "replicated"][0].slices
    assert sorted(piece.replica for piece in placed) == [0, 1]
    x = np.ones((4, 16), dtype=np.float32)
    for _ in range(4):
        np.testing.assert_allclose(client.run("replicated", {"x": x})["y"], reference(x), rtol=1e-4, atol=1e-4)
    client.unload("replicated")


def test_usage_errors_exit_2(omctl):
    for arguments in (["frobnicate"], ["build"], ["run", "x", "--input", "novalue"], ["models", "--output", "xml"]):
        assert omctl(*arguments).returncode == 2, arguments
