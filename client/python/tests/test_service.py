"""The client against a real omserved: a small model cut over two devices."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import omserve

onnx = pytest.importorskip("onnx")

ROWS, WIDTH, HIDDEN = 4, 16, 32


@pytest.fixture(scope="module")
def weights():
    random = np.random.default_rng(7)
    return (random.standard_normal((WIDTH, HIDDEN)).astype(np.float32),
            random.standard_normal((HIDDEN, WIDTH)).astype(np.float32))


@pytest.fixture(scope="module")
def model(tmp_path_factory, weights):
    """y = relu(x · w1) · w2"""
    first, second = weights
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
         helper.make_node("MatMul", ["r", "w2"], ["y"])], "mlp",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", WIDTH])],
        [onnx.numpy_helper.from_array(first, "w1"), onnx.numpy_helper.from_array(second, "w2")])
    path = tmp_path_factory.mktemp("model") / "mlp.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def om(standalone, model):
    with standalone.client() as client:
        path = model.with_suffix(".om")
        result = client.build(model, path, tensor_parallel=2, input_shapes={"x": (ROWS, WIDTH)})
        assert result.files[0] == path and path.stat().st_size == result.bytes
        assert [(desc.name, desc.dtype, desc.shape) for desc in result.outputs] == [("y", "float32", (ROWS, WIDTH))]
        return path


@pytest.fixture
def x():
    return np.random.default_rng(3).standard_normal((ROWS, WIDTH)).astype(np.float32)


def test_two_devices_compute_what_numpy_computes(client, om, weights, x):
    loaded = client.load(om, name="mlp")
    assert loaded.model.state == "READY"
    assert len({part.worker_device for part in loaded.model.slices}) == 2
    result = client.run("mlp", {"x": x})
    np.testing.assert_allclose(result["y"], np.maximum(x @ weights[0], 0) @ weights[1], rtol=1e-4, atol=1e-4)
    (listed,) = client.models()
    assert listed.name == "mlp" and listed.runs == 1


def test_the_cluster_shows_its_devices(client):
    (worker,) = client.cluster().workers
    assert worker.alive and [device.kind for device in worker.devices] == ["cpu", "cpu"]


def test_loading_again_moves_nothing(client, om):
    client.load(om, name="mlp")
    client.unload("mlp")
    assert client.models() == []
    again = client.load(om, name="mlp")
    assert again.bytes_uploaded == 0 and again.bytes_pushed == 0


def test_wrong_inputs_are_refused_saying_what_is_expected(client, om, x):
    client.load(om, name="mlp")
    for inputs, words in [({}, ["x"]), ({"z": x}, ["z", "x"]), ({"x": x.astype(np.float64)}, ["float64", "float32"]),
                          ({"x": x[:2]}, ["[2,16]", "[4,16]"])]:
        with pytest.raises(omserve.InvalidArgument) as caught:
            client.run("mlp", inputs)
        assert all(word in caught.value.message for word in words), caught.value.message
    assert client.run("mlp", {"x": x})["y"].shape == (ROWS, WIDTH)


def test_an_unknown_model_is_answered_with_the_known_ones(client, om, x):
    client.load(om, name="mlp")
    with pytest.raises(omserve.NotFound, match="mlp"):
        client.run("other", {"x": x})
    with pytest.raises(omserve.NotFound, match="mlp"):
        client.unload("other")


def test_a_name_in_use_by_another_model_is_refused(client, om, model, tmp_path):
    client.load(om, name="mlp")
    client.load(om, name="mlp")  # the same model: fine
    client.build(model, tmp_path / "other.om", input_shapes={"x": (1, WIDTH)})
    with pytest.raises(omserve.AlreadyExists, match="mlp"):
        client.load(tmp_path / "other.om", name="mlp")


def test_a_damaged_model_is_refused_and_the_service_goes_on(client, model, tmp_path):
    content = model.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[:len(content) // 2])
    with pytest.raises(omserve.InvalidArgument):
        client.build(tmp_path / "cut.onnx", tmp_path / "cut.om")
    assert not (tmp_path / "cut.om").exists()
    client.build(model, tmp_path / "fine.om", input_shapes={"x": (1, WIDTH)})


def test_an_unknown_operator_is_named_with_its_node(client, tmp_path):
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["y"], name="the_node", domain="")], "g",
        [helper.make_tensor_value_info("x", 1, [1])], [helper.make_tensor_value_info("y", 1, [1])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "odd.onnx")
    with pytest.raises(omserve.Unimplemented) as caught:
        client.build(tmp_path / "odd.onnx", tmp_path / "odd.om")
    assert "Frobnicate" in caught.value.message and "the_node" in caught.value.message


def test_a_damaged_om_is_refused(client, om, tmp_path):
    content = bytearray(om.read_bytes())
    content[-5] ^= 1  # in the last slice
    (tmp_path / "flipped.om").write_bytes(content)
    with pytest.raises((omserve.DataLoss, omserve.InvalidArgument)):
        client.load(tmp_path / "flipped.om", name="flipped")
    assert "flipped" not in [listed.name for listed in client.models() if listed.state == "READY"]


def test_processes_end_with_the_server(omserved):
    with omserve.Server.cluster(workers=2) as server:
        processes = [server.coordinator, *server.workers]
        with server.client() as client:
            assert sorted(worker.name for worker in client.cluster().workers) == ["worker0", "worker1"]
        assert all(process.running for process in processes)
    assert not any(process.running for process in processes)


def test_a_server_that_cannot_start_says_why(omserved):
    with pytest.raises(omserve.ServerError, match="log ends"):
        omserve.Server.standalone(devices=1, arguments=["--no-such-option"])


def test_the_story_is_decoded_over_two_workers_letter_for_letter(omserved):
    models = os.environ.get("OMSERVE_MODELS")
    if not models:
        pytest.skip("OMSERVE_MODELS does not name the folder of the trained models")
    example = pathlib.Path(__file__).resolve().parents[3] / "examples" / "python" / "decode_stories.py"
    result = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    expected = (pathlib.Path(models) / "stories260k" / "greedy_text.txt").read_text(encoding="utf-8")
    assert result.stdout == expected + "\n"
