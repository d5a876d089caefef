"""atc: the documented invocations, in this process and on a coordinator, and what becomes of them."""

import json
import os
import subprocess

import numpy as np
import omserve
import onnx
import pytest
from air_builder import AirBuilder, proto_module
from onnx_builder import Builder

WIDTH, HIDDEN, DEVICES = 8, 16, 2
CHIP = "--soc_version=Ascend910B1"


@pytest.fixture(scope="module")
def proto(tmp_path_factory):
    return proto_module(tmp_path_factory.mktemp("proto"))


@pytest.fixture(scope="module")
def weights():
    random = np.random.default_rng(3)
    return [random.integers(-2, 3, shape).astype(np.float32) for shape in ((WIDTH, HIDDEN), (HIDDEN, WIDTH))]


def mlp_air(proto, path, w1, w2, reduce_over=None):
    air = AirBuilder(proto, path.stem)
    x = air.data("x", [4, WIDTH])
    h = air.op("MatMulV2", [x, air.const("w1", w1)], [4, w1.shape[1]], transpose_x1=False, transpose_x2=False)
    h = air.op("Relu", [h], [4, w1.shape[1]])
    y = air.op("MatMulV2", [h, air.const("w2", w2)], [4, WIDTH], transpose_x1=False, transpose_x2=False)
    if reduce_over:
        y = air.op("HcomAllReduce", [y], [4, WIDTH], reduction="sum", group=reduce_over, fusion=1)
    air.save(path, [y])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, proto, weights):
    """Models and configuration files under the names of the documents."""
    folder = tmp_path_factory.mktemp("atc")
    w1, w2 = weights
    mlp_air(proto, folder / "xxx.air", w1, w2)
    (folder / "1_air").mkdir()
    half = HIDDEN // 2
    for rank in range(DEVICES):
        part = slice(rank * half, (rank + 1) * half)
        mlp_air(proto, folder / "1_air" / f"submodel{rank + 1}.air", w1[:, part], w2[part], reduce_over="tp_group_name_0")
    b = Builder(3)
    h = b.op("Relu", b.op("MatMul", "x", b.tensor("w1", w1)))
    y = b.op("MatMul", h, b.tensor("w2", w2))
    onnx.save(b.model([("x", np.float32, [4, WIDTH])], [("y", y, np.float32, [4, WIDTH])]), folder / "matmul2.onnx")
    mlp_air(proto, folder / "communication.air", w1, w2, reduce_over="hccl_world_group")

    (folder / "numa_config.json").write_text(json.dumps({
        "cluster": [{"cluster_nodes": [{"node_id": 0, "node_type": "ATLAS800", "ipaddr": "127.0.0.1", "port": 2509,
                                        "is_local": True, "item_list": [{"item_id": i} for i in range(DEVICES)]}]}],
        "item_def": [{"item_type": "Ascend910"}], "node_def": [{"item": [{"item_type": "Ascend910"}]}]}))
    (folder / "parallel_option.json").write_text(json.dumps({"graph_parallel_option": {
        "auto": False, "opt_level": "O1", "tensor_parallel_option": {"tensor_parallel_size": DEVICES}}}))
    names = [f"submodel{rank + 1}.air" for rank in range(DEVICES)]
    (folder / "model_relation_config.json").write_text(json.dumps({
        "deploy_config": [{"submodel_name": n, "deploy_device_id_list": f"0:0:{i}"} for i, n in enumerate(names)],
        "model_name_to_instance_id": [{"submodel_name": n, "model_instance_id": i} for i, n in enumerate(names)],
        "comm_group": [{"group_name": "tp_group_name_0", "group_rank_list": "[0,1]"}],
        "rank_table": [{"rank_id": i, "model_instance_id": i} for i in range(DEVICES)]}))
    return folder


@pytest.fixture(scope="module")
def server(bin_folder):
    with omserve.Server.standalone(devices=DEVICES) as server:
        yield server


@pytest.fixture(params=["embedded", "coordinator"])
def atc(request, bin_folder, folder):
    """Runs atc in the folder of the models; returns exit status and output."""
    environment = {k: v for k, v in os.environ.items() if k != "OMSERVE_ADDRESS"}
    if request.param == "coordinator":
        environment["OMSERVE_ADDRESS"] = request.getfixturevalue("server").address

    def run(*arguments):
        done = subprocess.run([str(bin_folder / "atc"), *map(str, arguments)], capture_output=True, text=True, timeout=120,
                              cwd=folder, env=environment)
        return done.returncode, done.stdout

    return run


def check_runs(server, om, weights, slices):
    """Loads the OM, runs it and compares with numpy, bit for bit."""
    x = np.arange(4 * WIDTH, dtype=np.float32).reshape(4, WIDTH) % 5 - 2
    expected = np.maximum(x @ weights[0], 0) @ weights[1]
    with omserve.Client(server.address) as client:
        model = client.load(str(om), name="atc").model
        try:
            assert len(model.slices) == slices
            for _ in range(3):
                (output,) = client.run("atc", {"x": x}).values()
                np.testing.assert_array_equal(output, expected)
        finally:
            client.unload("atc")


def test_load_balanced(atc, folder, server, weights):
    code, text = atc("--model=xxx.air", "--framework=1", CHIP, "--output=balanced",
                     "--cluster_config=./numa_config.json", "--distributed_cluster_build=1")
    assert code == 0, text
    assert text.startswith("ATC start working now, please wait for a moment.\n")
    assert "ATC run success, welcome to the next use." in text
    check_runs(server, folder / "balanced.om", weights, slices=DEVICES)  # a replica on each


def test_algorithm_partitioned(atc, folder, server, weights):
    code, text = atc("--model=./matmul2.onnx", "--distributed_cluster_build=1", "--cluster_config=./numa_config.json",
                     "--enable_graph_parallel=1", "--graph_parallel_option_path=./parallel_option.json", CHIP,
                     "--output=test_parallel", "--framework=5", "--log=error")
    assert code == 0, text
    check_runs(server, folder / "test_parallel.om", weights, slices=DEVICES)


def test_slices(atc, folder, server, weights):
    code, text = atc("--distributed_cluster_build=1", "--cluster_config=./numa_config.json", "--shard_model_dir=1_air",
                     "--model_relation_config=./model_relation_config.json", "--output=1_increase_2p", "--framework=1",
                     "--log=error", CHIP)
    assert code == 0, text
    check_runs(server, folder / "1_increase_2p.om", weights, slices=DEVICES)
    code, text = atc("--mode=6", "--om=1_increase_2p.om")
    assert code == 0 and "submodels: 2" in text and "0:0:1:0" in text and "tp_group_name_0: ranks 0,1" in text


def test_communication_only(atc, folder, server):
    code, text = atc("--model=communication.air", "--framework=1", CHIP, f"--output={folder / 'out'}",
                     f"--cluster_config={folder / 'numa_config.json'}")
    assert code == 0, text
    code, text = atc("--mode=6", "--om=out.om")
    assert code == 0 and "not for distributed deployment" in text
    with omserve.Client(server.address) as client, pytest.raises(omserve.FailedPrecondition, match="distributed"):
        client.load(str(folder / "out.om"), name="out")


def test_json_of_each_kind(atc, folder):
    assert atc("--model=matmul2.onnx", "--framework=5", CHIP, "--output=plain")[0] == 0
    for source in (["--om=plain.om"], ["--model=xxx.air", "--framework=1"], ["--model=matmul2.onnx", "--framework=5"]):
        code, text = atc("--mode=1", *source, "--json=graph.json")
        assert code == 0, text
        ops = json.loads((folder / "graph.json").read_text())["graph"][0]["op"]
        assert {"Data", "Const", "Relu"} <= {op["type"] for op in ops}
        assert all("data" not in op.get("attr", {}).get("value", {}).get("t", {}) for op in ops)


@pytest.mark.parametrize("change, code, names", [
    (("--distributed_cluster_build=2",), "E10006", "distributed_cluster_build"),
    (("--model=absent.air",), "E10410", "absent.air"),
    (("--model=matmul2.onnx",), "E10001", "AIR files"),
    (("--cluster_config=broken.json",), "E10032", "broken.json"),
    (("--cluster_config=empty.json",), "EF2001", "cluster"),
    (("--enable_graph_parallel=1", "--graph_parallel_option_path=three.json"), "EF1012", "3"),
    (("--enable_graph_parallel=1", "--graph_parallel_option_path=unknown.json"), "EF1001", "nonsense"),
    (("--framework=3",), "E10055", "TensorFlow"),
])
def test_refusals(atc, folder, change, code, names):
    (folder / "broken.json").write_text('{"cluster": [,]}')
    (folder / "empty.json").write_text("{}")
    option = {"graph_parallel_option": {"tensor_parallel_option": {"tensor_parallel_size": 3}}}
    (folder / "three.json").write_text(json.dumps(option))
    (folder / "unknown.json").write_text(json.dumps({"graph_parallel_option": {"nonsense": 1}}))
    arguments = {"--model": "xxx.air", "--framework": "1", "--soc_version": "x", "--output": "refused",
                 "--cluster_config": "numa_config.json", "--distributed_cluster_build": "1"}
    arguments.update(argument.split("=", 1) for argument in change)
    status, text = atc(*(f"{key}={value}" for key, value in arguments.items()))
    assert status == 255
    assert "ATC run failed, Please check the detail log, Try 'atc --help' for more information\n" in text
    assert f"\n{code}: " in text and names in text and "Solution: " in text
    assert not (folder / "refused.om").exists()


def test_help(atc):
    status, text = atc("--help")
    assert status == 0 and "--distributed_cluster_build" in text
