"""Losing a worker: every waiting run is answered within five seconds, by name, and the service goes on."""

import concurrent.futures
import signal
import time
import timeit

import numpy as np
import omserve
import pytest
from onnx_builder import Builder
import onnx


def deep_mlp(path, width=512, layers=24):
    """Enough work that runs are under way at any moment."""
    b = Builder(7)
    x = "x"
    for i in range(layers):
        x = b.op("Relu", b.op("MatMul", x, b.weight(f"w{i}", width, width)))
    onnx.save(b.model([("x", np.float32, [64, width])], [("y", x, np.float32, [64, width])]), path)


TWO_DEVICES = {
    "cluster": [{"cluster_nodes": [{"node_id": 0, "item_list": [{"item_id": 0}, {"item_id": 1}]}]}],
    "item_def": [{"item_type": "cpu"}],
}
LAYOUTS = {
    "cut": {"tensor_parallel_option": {"tensor_parallel_size": 2}},
    "pipeline": {"pipeline_parallel_option": {"pipe_stage_num": 2}},
}


@pytest.fixture(params=LAYOUTS)
def cluster(bin_folder, tmp_path, request):
    with omserve.Server.cluster(workers=2) as server:
        with server.client() as client:
            deep_mlp(tmp_path / "deep.onnx")
            client.build(tmp_path / "deep.onnx", tmp_path / "deep.om", cluster_config=TWO_DEVICES,
                         parallel_config={"graph_parallel_option": LAYOUTS[request.param]})
            client.load(tmp_path / "deep.om", name="deep")
        yield server, tmp_path / "deep.om"


X = np.ones((64, 512), dtype=np.float32)


def run_until_lost(client):
    """Runs until an error; returns the error and how long its run took."""
    while True:
        start = time.monotonic()
        try:
            client.run("deep", {"x": X}, timeout=60)
        except omserve.Error as error:
            return error, time.monotonic() - start


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_lost_worker(cluster, how):
    server, om = cluster
    victim, other = server.workers
    with server.client() as client:
        before = client.run("deep", {"x": X})["y"]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(run_until_lost, client) for _ in range(4)]
            time.sleep(0.5)  # let runs be under way
            lost_at = time.monotonic()
            victim.signal(how)
            for future in waiting:
                error, took = future.result(timeout=30)
                assert isinstance(error, omserve.Unavailable), error
                assert victim.name in str(error)
                assert time.monotonic() - lost_at < 5.5
        # The other worker is free again, and says so.
        workers = {worker.name: worker for worker in client.cluster().workers}
        assert workers[other.name].alive and not workers[victim.name].alive
        assert [model.state for model in client.models()] == ["FAILED"]
        # Another takes its place; the model comes back under its name.
        server.start_worker(name="spare")
        server.wait_for_workers(2)
        client.load(om, name="deep")
        np.testing.assert_array_equal(client.run("deep", {"x": X}, timeout=60)["y"], before)


def test_client_deadline_leaves_the_model_usable(cluster):
    server, _ = cluster
    with server.client() as client:
        before = client.run("deep", {"x": X})["y"]
        # Deadlines inside a run, however fast this machine is.
        fastest = min(timeit.repeat(lambda: client.run("deep", {"x": X}), number=1, repeat=10))
        for share in (0.1, 0.3, 0.6):
            with pytest.raises(omserve.DeadlineExceeded):
                for _ in range(50):
                    client.run("deep", {"x": X}, timeout=share * fastest)
        np.testing.assert_array_equal(client.run("deep", {"x": X}, timeout=60)["y"], before)


def test_drain_on_sigterm(cluster):
    server, _ = cluster
    with server.client() as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        client.run("deep", {"x": X})
        run = pool.submit(client.run, "deep", {"x": X})
        time.sleep(0.01)
        server.coordinator.signal(signal.SIGTERM)
        try:
            run.result(timeout=30)
        except omserve.Unavailable:
            pass  # it had not arrived when the service stopped accepting
        assert server.coordinator.wait(30) == 0
