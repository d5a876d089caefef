"""Stages at work on different runs and micro-batches at the same time."""

import concurrent.futures

import numpy as np
import omserve
import onnx
import pytest
from onnx_builder import Builder

STAGES = 3
ROWS = 4


def embedding_mlp(path, width=96, layers=6):
    """Whole numbers all the way, so that every layout agrees in every bit; an id out of range makes a run fail."""
    b = Builder(3)
    table = b.tensor("table", b.random.integers(-3, 4, (32, width)).astype(np.float32))
    x = b.op("Gather", table, "ids")
    for i in range(layers):
        w = b.tensor(f"w{i}", b.random.integers(-1, 2, (width, width)).astype(np.float32))
        x = b.op("Clip", b.op("MatMul", x, w), b.scalar(-8.0), b.scalar(8.0))
    onnx.save(b.model([("ids", np.int64, [ROWS])], [("y", x, np.float32, [ROWS, width])]), path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("pipelines") / "m.onnx"
    embedding_mlp(path)
    return path


@pytest.fixture(scope="module")
def reference(model, bin_folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return lambda ids: session.run(None, {"ids": ids})[0]


def policy(tensor=1, stages=STAGES, data=1, **more):
    return {
        "graph_parallel_option": {
            "tensor_parallel_option": {"tensor_parallel_size": tensor},
            "pipeline_parallel_option": {"pipe_stage_num": stages},
            "data_parallel_option": {"data_parallel_size": data},
            **more,
        }
    }


def devices(count):
    return {
        "cluster": [{"cluster_nodes": [{"node_id": 0, "item_list": [{"item_id": i} for i in range(count)]}]}],
        "item_def": [{"item_type": "cpu"}],
    }


@pytest.fixture(params=["processes", "one process"])
def server(bin_folder, request):
    """A device for each stage."""
    if request.param == "processes":
        with omserve.Server.cluster(workers=STAGES) as server:
            yield server
    else:
        with omserve.Server.standalone(devices=STAGES) as server:
            yield server


def test_a_bad_request_fails_alone(server, model, reference, tmp_path):
    with server.client() as client:
        client.build(model, tmp_path / "m.om", cluster_config=devices(STAGES), parallel_config=policy())
        client.load(tmp_path / "m.om", name="m")
        random = np.random.default_rng(2)
        requests = [random.integers(0, 32, ROWS) for _ in range(60)]
        bad = {7, 8, 31}
        for i in bad:
            requests[i][i % ROWS] = 99
        with concurrent.futures.ThreadPoolExecutor(8) as callers:
            answers = [callers.submit(client.run, "m", {"ids": ids}, timeout=60) for ids in requests]
        for i, (ids, answer) in enumerate(zip(requests, answers)):
            if i in bad:
                with pytest.raises(omserve.Error, match="99"):
                    answer.result()
            else:
                np.testing.assert_array_equal(answer.result()["y"], reference(ids))
        assert [entry.state for entry in client.models()] == ["READY"]


@pytest.mark.parametrize("tensor, stages, data", [(1, 2, 1), (2, 2, 1), (1, 2, 2), (2, 1, 1)])
def test_micro_batches(bin_folder, model, reference, tmp_path, tensor, stages, data):
    count = tensor * stages * data
    rows = 6 * ROWS
    with omserve.Server.cluster(workers=count) as server, server.client() as client:
        client.build(model, tmp_path / "m.om", cluster_config=devices(count),
                     parallel_config=policy(tensor, stages, data, global_batch_size=rows))
        loaded = client.load(tmp_path / "m.om", name="m").model
        assert [tuple(tensor.shape) for tensor in loaded.inputs] == [(rows,)]
        assert [tuple(tensor.shape) for tensor in loaded.outputs] == [(rows, 96)]
        ids = np.random.default_rng(5).integers(0, 32, rows)
        expected = np.concatenate([reference(part) for part in np.split(ids, 6)])
        with concurrent.futures.ThreadPoolExecutor(3) as callers:
            for answer in [callers.submit(client.run, "m", {"ids": ids}, timeout=60) for _ in range(10)]:
                np.testing.assert_array_equal(answer.result()["y"], expected)
        with pytest.raises(omserve.InvalidArgument, match=rf"expected int64\[{rows}\]"):
            client.run("m", {"ids": ids[:ROWS]})
        ids[-1] = 99
        with pytest.raises(omserve.Error, match="99"):
            client.run("m", {"ids": ids}, timeout=60)


def test_batches_that_cannot_be_split(bin_folder, model, tmp_path):
    with omserve.Server.standalone(devices=2) as server, server.client() as client:
        with pytest.raises(omserve.InvalidArgument, match="EF1001.*10 is not a multiple of the batch 4"):
            client.build(model, tmp_path / "m.om", cluster_config=devices(2),
                         parallel_config=policy(1, 2, 1, global_batch_size=10))
