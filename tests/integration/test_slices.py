"""Slices with communication operators of their own, over two worker processes."""

import concurrent.futures
import json

import numpy as np
import omserve
import pytest
from air_builder import AirBuilder, proto_module

CLUSTER = {"cluster": [{"cluster_nodes": [
    {"node_id": node, "node_type": "ATLAS800", "ipaddr": f"10.0.0.{node + 1}", "port": 2509, "is_local": node == 0,
     "item_list": [{"item_id": 0}]} for node in range(2)]}],
    "item_def": [{"item_type": "Ascend910"}], "node_def": [{"item": [{"item_type": "Ascend910"}]}]}


@pytest.fixture(scope="module")
def proto(tmp_path_factory):
    return proto_module(tmp_path_factory.mktemp("proto"))


@pytest.fixture(scope="module")
def server(bin_folder):
    with omserve.Server.cluster(workers=2) as server:
        yield server


def ints(*values):
    return np.array(values, np.int64)


def run(server, omctl, folder, slices, x):
    """Builds the slices, loads, runs and unloads; returns the output."""
    names = []
    for rank, air_and_outputs in enumerate(slices):
        air, outputs = air_and_outputs
        names.append(f"slice{rank}.air")
        (folder / "slices").mkdir(exist_ok=True)
        air.save(folder / "slices" / names[-1], outputs)
    (folder / "cluster.json").write_text(json.dumps(CLUSTER))
    (folder / "relation.json").write_text(json.dumps({
        "deploy_config": [{"submodel_name": n, "deploy_device_id_list": f"0:{i}:0"} for i, n in enumerate(names)]}))
    done = omctl("build", "--model-relation-config", folder / "relation.json", "--shard-model-dir", folder / "slices",
                 "--cluster-config", folder / "cluster.json", "-o", folder / "m.om")
    assert done.returncode == 0, done.stderr
    with server.client() as client:
        client.load(folder / "m.om", name="slices")
        try:
            (output,) = client.run("slices", {"x": x}).values()
        finally:
            client.unload("slices")
    return output


def test_counts_per_rank(server, omctl, proto, tmp_path):
    """HcomAllToAllV gives the ranks parts of unequal length, HcomAllGatherV puts them together."""
    x = np.arange(6, dtype=np.float32)
    counts = [[2, 4], [3, 3]]  # [from][to]
    lengths = [5, 7]
    slices = []
    for rank in range(2):
        air = AirBuilder(proto, f"slice{rank}")
        y = air.op("Add", [air.data("x", [6]), air.const("c", np.full(6, 10 * rank, np.float32))], [6])
        received = [counts[0][rank], counts[1][rank]]
        y = air.op("HcomAllToAllV", [y, air.const("sc", ints(*counts[rank])), air.const("sd", ints(0, counts[rank][0])),
                                     air.const("rc", ints(*received)), air.const("rd", ints(0, received[0]))],
                   [lengths[rank]], group="hccl_world_group")
        y = air.op("HcomAllGatherV", [y, air.const("n", ints(lengths[rank])), air.const("all", ints(*lengths))], [12],
                   group="hccl_world_group")
        slices.append((air, [y]))
    expected = np.concatenate([x[:2], x[:3] + 10, x[2:], x[3:] + 10])
    np.testing.assert_array_equal(run(server, omctl, tmp_path, slices, x), expected)


def test_counts_in_a_matrix(server, omctl, proto, tmp_path):
    x = np.arange(4, dtype=np.float32)
    matrix = np.array([[1, 3], [2, 2]], np.int64)
    lengths = [3, 5]
    slices = []
    for rank in range(2):
        air = AirBuilder(proto, f"slice{rank}")
        y = air.op("Add", [air.data("x", [4]), air.const("c", np.full(4, 10 * rank, np.float32))], [4])
        y = air.op("HcomAllToAllVC", [y, air.const("m", matrix)], [lengths[rank]], group="hccl_world_group", rank=rank)
        y = air.op("HcomAllGatherV", [y, air.const("n", ints(lengths[rank])), air.const("all", ints(*lengths)),
                                      air.const("at", ints(5, 0))], [8], group="hccl_world_group")
        slices.append((air, [y]))
    expected = np.concatenate([x[1:], x[2:] + 10, x[:1], x[:2] + 10])
    np.testing.assert_array_equal(run(server, omctl, tmp_path, slices, x), expected)


def test_reduce_and_broadcast(server, omctl, proto, tmp_path):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    slices = []
    for rank in range(2):
        air = AirBuilder(proto, f"slice{rank}")
        y = air.op("Add", [air.data("x", [2, 3]), air.const("c", np.full((2, 3), rank + 1, np.float32))], [2, 3])
        y = air.op("HcomReduce", [y], [2, 3], group="hccl_world_group", root_rank=1, reduction="prod")
        y = air.op("HcomBroadcast", [y], [2, 3], group="hccl_world_group", root_rank=1)
        slices.append((air, [y]))
    np.testing.assert_array_equal(run(server, omctl, tmp_path, slices, x), (x + 1) * (x + 2))


def test_replicas_by_lists_of_devices(bin_folder, omctl, proto, tmp_path):
    """Two slices on two devices each: two replicas, and concurrent runs go to both."""
    cluster = json.loads(json.dumps(CLUSTER))
    for node in cluster["cluster"][0]["cluster_nodes"]:
        node["item_list"] = [{"item_id": 0}, {"item_id": 1}]
    (tmp_path / "cluster.json").write_text(json.dumps(cluster))
    (tmp_path / "slices").mkdir()
    for rank in range(2):
        air = AirBuilder(proto, f"slice{rank}")
        y = air.op("Add", [air.data("x", [4]), air.const("c", np.full(4, rank, np.float32))], [4])
        air.save(tmp_path / "slices" / f"slice{rank}.air", [air.op("HcomAllReduce", [y], [4], group="hccl_world_group", reduction="sum")])
    (tmp_path / "relation.json").write_text(json.dumps({"deploy_config": [
        {"submodel_name": "slice0.air", "deploy_device_id_list": "0:0~1:0"},
        {"submodel_name": "slice1.air", "deploy_device_id_list": "0:0:1,0:1:1"}]}))
    done = omctl("build", "--model-relation-config", tmp_path / "relation.json", "--shard-model-dir", tmp_path / "slices",
                 "--cluster-config", tmp_path / "cluster.json", "-o", tmp_path / "m.om")
    assert done.returncode == 0, done.stderr
    x = np.arange(4, dtype=np.float32)
    with omserve.Server.cluster(workers=2, devices_per_worker=2) as server, server.client() as client:
        slices = client.load(tmp_path / "m.om", name="slices").model.slices
        assert sorted(slice.replica for slice in slices) == [0, 0, 1, 1]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for outputs in pool.map(lambda _: client.run("slices", {"x": x}), range(40)):
                (output,) = outputs.values()
                np.testing.assert_array_equal(output, 2 * x + 1)
