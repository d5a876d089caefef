"""Loading costs one pass over the bytes: 300 MB onto two worker processes, nothing pushed the second time."""

import re
import time

import numpy as np
import omserve
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, LAYERS = 2500, 12  # 12 * 2500² float32: 300 MB


def anonymous_bytes(pid):
    """Memory of a process that is not a file's: what copies of weights would be."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"RssAnon:\s+(\d+) kB", status.read()).group(1)) * 1024


def test_300_mb(bin_folder, tmp_path):
    random = np.random.default_rng(0)
    weights = [(random.standard_normal((WIDTH, WIDTH), dtype=np.float32) / 50) for _ in range(LAYERS)]
    nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"]) for i in range(LAYERS)]
    graph = helper.make_graph(
        nodes, "large", [helper.make_tensor_value_info("h0", TensorProto.FLOAT, [1, WIDTH])],
        [helper.make_tensor_value_info(f"h{LAYERS}", TensorProto.FLOAT, [1, WIDTH])],
        [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "large.onnx")
    weight_bytes = sum(w.nbytes for w in weights)

    with omserve.Server.cluster(workers=2) as server, server.client() as client:
        om = tmp_path / "large.om"
        client.build(tmp_path / "large.onnx", om, tensor_parallel=2)
        before = anonymous_bytes(server.coordinator.pid)
        start = time.monotonic()
        first = client.load(om, name="large")
        seconds = time.monotonic() - start
        grown = anonymous_bytes(server.coordinator.pid) - before
        # Each slice went to one worker, once.
        assert weight_bytes <= first.bytes_pushed < weight_bytes * 1.02
        assert {piece.worker for piece in first.model.slices} == {"worker0", "worker1"}
        # Chunks in flight, not weights: far less than one slice.
        assert grown < weight_bytes / 4, f"the coordinator grew by {grown} bytes"
        print(f"\nfirst load: {first.bytes_uploaded} bytes uploaded, {first.bytes_pushed} pushed, {seconds:.2f} s; "
              f"coordinator's own memory grew by {grown} bytes")

        x = np.ones((1, WIDTH), dtype=np.float32)
        expected = x
        for w in weights:
            expected = expected @ w
        np.testing.assert_allclose(client.run("large", {"h0": x})[f"h{LAYERS}"], expected, rtol=1e-3, atol=1e-3)

        client.unload("large")
        second = client.load(om, name="large")
        assert second.bytes_uploaded == 0 and second.bytes_pushed == 0
        np.testing.assert_allclose(client.run("large", {"h0": x})[f"h{LAYERS}"], expected, rtol=1e-3, atol=1e-3)


def test_larger_than_the_device(bin_folder, tmp_path):
    w = np.zeros((4096, 4096), dtype=np.float32)  # 64 MiB
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "m",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4096])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4096])], [numpy_helper.from_array(w, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with omserve.Server.standalone(devices=1, arguments=["--device-memory", "16MiB"]) as server, \
            server.client() as client:
        client.build(tmp_path / "m.onnx", tmp_path / "m.om")
        try:
            client.load(tmp_path / "m.om", name="m")
            raise AssertionError("64 MiB were loaded onto a device of 16 MiB")
        except omserve.ResourceExhausted as error:
            assert "67108864" in str(error) or "needs" in str(error), str(error)
            assert "16777216" in str(error), str(error)
        assert client.models() == [] or client.models()[0].state == "FAILED"
