"""The service as a user meets it: bad input gets the right status and a remedy, and the service keeps serving."""

import json

import numpy as np
import onnx
import omserve
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_builder import Builder


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


def test_damaged_model_files(client, tmp_path):
    """Cut anywhere it is refused; with a bit flipped anywhere it is refused or a valid model (a weight may be any number)."""
    mlp(tmp_path / "whole.onnx", width=4)
    content = (tmp_path / "whole.onnx").read_bytes()
    model = tmp_path / "m.onnx"
    for size in range(0, len(content), 13):
        model.write_bytes(content[:size])
        with pytest.raises(omserve.InvalidArgument):
            client.build(model, tmp_path / "m.om", input_shapes={"x": (4, 4)})
    refused = 0
    for at in range(0, len(content), 7):
        model.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1:])
        try:
            client.build(model, tmp_path / "m.om", input_shapes={"x": (4, 4)})
        except (omserve.InvalidArgument, omserve.Unimplemented) as error:
            assert str(error)
            refused += 1
    assert refused > len(content) // 7 // 4


def test_damaged_oms(client, loaded, tmp_path):
    content = loaded[1].read_bytes()
    om = tmp_path / "m.om"
    for size in range(0, len(content), len(content) // 40):
        om.write_bytes(content[:size])
        with pytest.raises(omserve.DataLoss):
            client.load(om, name="damaged")
    for at in range(0, len(content), len(content) // 40):
        om.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1:])
        with pytest.raises((omserve.DataLoss, omserve.FailedPrecondition, omserve.Unimplemented)):
            client.load(om, name="damaged")
    assert "damaged" not in [model.name for model in client.models()]


def test_unknown_operator_is_named(client, tmp_path):
    mlp(tmp_path / "m.onnx", op="FancyActivation")
    with pytest.raises(omserve.Unimplemented) as error:
        client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (4, 16)})
    assert "FancyActivation" in str(error.value) and "activation" in str(error.value)


def test_subgraph_operator_is_named(client, tmp_path):
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "branch", [],
                               [helper.make_tensor_value_info("b", TensorProto.FLOAT, [4])])
    graph = helper.make_graph(
        [helper.make_node("If", ["c"], ["y"], name="choose", then_branch=branch, else_branch=branch)], "g",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(omserve.Unimplemented, match="node 'choose' \\(If\\).*subgraph"):
        client.build(tmp_path / "m.onnx", tmp_path / "m.om")


def test_heads_that_cannot_be_divided(client, tmp_path):
    """Three heads over two devices: refused with the number of heads."""
    b = Builder(3)
    q, k = (b.op("Transpose", b.op("Reshape", b.op("MatMul", "x", b.weight(name, 12, 12)), b.shape_of(1, 8, 3, 4)),
                 perm=[0, 2, 1, 3]) for name in ("wq", "wk"))
    scores = b.op("Softmax", b.op("MatMul", q, b.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    onnx.save(b.model([("x", np.float32, [1, 8, 12])], [("y", scores, np.float32, [1, 3, 8, 8])]), tmp_path / "m.onnx")
    with pytest.raises(omserve.InvalidArgument, match="tensor_parallel_size 2 does not divide the 3 attention heads"):
        client.build(tmp_path / "m.onnx", tmp_path / "m.om", tensor_parallel=2)


def test_model_larger_than_the_memory_of_its_device(bin_folder, tmp_path):
    mlp(tmp_path / "m.onnx", width=512)
    with omserve.Server.standalone(devices=1, arguments=["--device-memory", "1MB"]) as small, small.client() as client:
        client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (1, 512)})
        with pytest.raises(omserve.ResourceExhausted, match=r"need \d+ bytes.*have.* \d+"):
            client.load(tmp_path / "m.om", name="large")
        # One that fits is served.
        reference = mlp(tmp_path / "s.onnx", width=16)
        client.build(tmp_path / "s.onnx", tmp_path / "s.om", input_shapes={"x": (1, 16)})
        client.load(tmp_path / "s.om", name="small")
        x = np.ones((1, 16), dtype=np.float32)
        np.testing.assert_allclose(client.run("small", {"x": x})["y"], reference(x), rtol=1e-4, atol=1e-4)


def test_shapes_and_sizes(client, tmp_path):
    mlp(tmp_path / "m.onnx")
    om = tmp_path / "m.om"
    with pytest.raises(omserve.InvalidArgument, match="x"):
        client.build(tmp_path / "m.onnx", om)  # the batch is open
    with pytest.raises(omserve.InvalidArgument, match="tensor_parallel_size 3"):
        client.build(tmp_path / "m.onnx", om, input_shapes={"x": (4, 16)}, tensor_parallel=3)
    two = {"graph_parallel_option": {"auto": False, "tensor_parallel_option": {"tensor_parallel_size": 2}}}
    with pytest.raises(omserve.InvalidArgument, match="number of devices"):
        client.build(tmp_path / "m.onnx", om, input_shapes={"x": (4, 16)}, parallel_config=two)
    assert not om.exists()


# Every field and what is wrong with it is a row of core/cluster/cluster_config_test.cc; these reach the client.
@pytest.mark.parametrize("path, value, words", [
    (("cluster", 0, "cluster_nodes", 0, "node_id"), "0", ["cluster_nodes[0].node_id", "integer"]),
    (("cluster", 0, "cluster_nodes", 0, "node_type"), "other", ["node_type", "other", "n"]),
    (("cluster", 0, "cluster_nodes", 0, "port"), 70000, ["port", "65535", "70000"]),
    (("cluster", 0, "cluster_nodes", 0, "item_list", 0, "item_id"), "zero", ["item_list[0].item_id", "integer"]),
    (("cluster", 0, "cluster_nodes", 0, "item_list"), [], ["item_list"]),
    (("cluster", 0, "cluster_nodes"), [], ["cluster_nodes"]),
    (("item_def", 0, "item_type"), 1, ["item_def[0].item_type", "string"]),
    (("item_def", 0, "memory"), "64GB", ["item_def[0].memory", "[DDR:64GB]"]),
    (("node_def", 0, "item", 0, "item_type"), "npu", ["npu"]),
    (("nodes",), [], ["unknown key 'nodes'"]),
])
def test_cluster_file(client, tmp_path, path, value, words):
    cluster = {"cluster": [{"cluster_nodes": [{"node_id": 0, "node_type": "n", "item_list": [{"item_id": 0}]}]}],
               "node_def": [{"node_type": "n", "item": [{"item_type": "cpu"}]}], "item_def": [{"item_type": "cpu"}]}
    mlp(tmp_path / "m.onnx")
    client.build(tmp_path / "m.onnx", tmp_path / "good.om", input_shapes={"x": (4, 16)}, cluster_config=cluster)
    place = cluster
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(omserve.InvalidArgument) as error:
        client.build(tmp_path / "m.onnx", tmp_path / "m.om", input_shapes={"x": (4, 16)}, cluster_config=cluster)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not (tmp_path / "m.om").exists()


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
