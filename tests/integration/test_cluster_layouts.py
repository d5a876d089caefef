"""The same model over different layouts of worker processes and devices gives the same answer."""

import concurrent.futures

import numpy as np
import omserve
import onnx
import pytest
from onnx_builder import Builder


def mlp(path, width=64, layers=6):
    """Small whole numbers all the way, so that every layout must agree in every bit."""
    b = Builder(3)
    x = "x"
    for i in range(layers):
        w = b.tensor(f"w{i}", b.random.integers(-1, 2, (width, width)).astype(np.float32))
        x = b.op("Clip", b.op("MatMul", x, w), b.scalar(-8.0), b.scalar(8.0))
    onnx.save(b.model([("x", np.float32, [8, width])], [("y", x, np.float32, [8, width])]), path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("layouts") / "mlp.onnx"
    mlp(path)
    return path


@pytest.fixture(scope="module")
def expected(model, bin_folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).integers(-4, 5, (8, 64)).astype(np.float32)
    return x, session.run(None, {"x": x})[0]


@pytest.mark.parametrize("devices_per_worker", [[1], [2], [1, 1], [2, 2], [1, 3], [4, 4], [2, 1, 1]], ids=str)
def test_layout(bin_folder, model, expected, tmp_path, devices_per_worker):
    x, y = expected
    with omserve.Server.cluster(workers=0) as server:
        for devices in devices_per_worker:
            server.start_worker(devices)
        server.wait_for_workers(len(devices_per_worker))
        with server.client() as client:
            client.build(model, tmp_path / "m.om", tensor_parallel=sum(devices_per_worker))
            loaded = client.load(tmp_path / "m.om", name="m").model
            assert len({(piece.worker, piece.worker_device) for piece in loaded.slices}) == sum(devices_per_worker)
            for _ in range(20):
                np.testing.assert_array_equal(client.run("m", {"x": x}, timeout=60)["y"], y)


@pytest.mark.parametrize("devices_per_worker", [[4, 4], [2, 2, 2, 2], [1] * 8], ids=str)
def test_pipeline_of_cut_operators_in_replicas(bin_folder, model, expected, tmp_path, devices_per_worker):
    """Two replicas of two stages of two devices each, with several callers at once."""
    x, y = expected
    policy = {
        "graph_parallel_option": {
            "tensor_parallel_option": {"tensor_parallel_size": 2},
            "pipeline_parallel_option": {"pipe_stage_num": 2},
            "data_parallel_option": {"data_parallel_size": 2},
        }
    }
    cluster = {
        "cluster": [{"cluster_nodes": [{"node_id": 0, "item_list": [{"item_id": i} for i in range(8)]}]}],
        "item_def": [{"item_type": "cpu"}],
    }
    with omserve.Server.cluster(workers=0) as server:
        for devices in devices_per_worker:
            server.start_worker(devices)
        server.wait_for_workers(len(devices_per_worker))
        with server.client() as client:
            client.build(model, tmp_path / "m.om", cluster_config=cluster, parallel_config=policy)
            loaded = client.load(tmp_path / "m.om", name="m").model
            assert len({(piece.worker, piece.worker_device) for piece in loaded.slices}) == 8
            with concurrent.futures.ThreadPoolExecutor(4) as callers:
                answers = [callers.submit(client.run, "m", {"x": x}, timeout=60) for _ in range(40)]
                for answer in answers:
                    np.testing.assert_array_equal(answer.result()["y"], y)
