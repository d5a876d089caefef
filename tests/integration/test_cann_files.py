"""The three JSON files of a distributed build: the documented samples, and each rule with its code and text, by atc."""

import copy
import json
import os
import subprocess

import numpy as np
import onnx
import pytest
from air_builder import AirBuilder, proto_module
from onnx_builder import Builder

# ---- Samples of the documents

CLUSTER_SMALL = {
    "cluster": [{"cluster_nodes": [{"node_id": 0, "node_type": "ATLAS800", "ipaddr": "127.0.0.1", "port": 2509, "is_local": True,
                                    "item_list": [{"item_id": 0}, {"item_id": 1}]}]}],
    "item_def": [{"item_type": "Ascend910"}], "node_def": [{"item": [{"item_type": "Ascend910"}]}]}
CLUSTER_INFERENCE = {
    "cluster": [{"cluster_nodes": [{"node_id": 0, "node_type": "ATLAS300", "item_list": [{"item_id": 0}]}]}],
    "item_def": [{"device_list": [{"device_id": 0}, {"device_id": 1}], "item_type": "Ascend310P3"}],
    "node_def": [{"item": [{"item_type": "Ascend310P3"}]}]}
CLUSTER_FULL = {
    "cluster": [{"cluster_nodes": [
        {"node_id": 0, "node_type": "ATLAS900", "ipaddr": "10.0.0.1", "port": 2509, "is_local": True, "memory": 25165824,
         "deploy_res_path": "/home/",
         "item_list": [{"item_id": 0, "device_id": 0, "ipaddr": "192.168.1.1"}, {"item_id": 1, "device_id": 1, "ipaddr": "192.168.1.2"}]},
        {"node_id": 1, "node_type": "ATLAS900", "ipaddr": "10.0.0.2", "port": 2509, "is_local": False,
         "item_list": [{"item_id": 0, "device_id": 0, "ipaddr": "192.168.2.1"}, {"item_id": 1, "device_id": 1, "ipaddr": "192.168.2.2"}]}],
        "nodes_topology": {"type": "star", "protocol": "RDMA:200Gb", "topos": [{"plane_id": 0, "devices": [0, 1]}]}}],
    "node_def": [{"node_type": "ATLAS900", "resource_type": "Aarch", "support_links": "[HCCS,PCIE,ROCE]", "item_type": "Ascend910B1",
                  "inter_item_memory_access_mode": "[NUMA]", "h2d_bw": "PCIE:100Gb",
                  "item_topology": [{"links_mode": "HCCS:128Gb", "links": [[0, 1]]}]}],
    "item_def": [{"item_type": "Ascend910B1", "resource_type": "Ascend", "memory": "[DDR:64GB]", "aic_type": "[DAVINCI_V100:32]"}]}
POLICY = {"graph_parallel_option": {
    "auto": False, "opt_level": "O1", "tensor_parallel_option": {"tensor_parallel_size": 2},
    "tensor_sharding": {"optimizer_state_sharding": True, "gradient_sharding": True, "model_weight_sharding": True,
                        "model_weight_prefetch": True, "model_weight_prefetch_buffer_size": 50}}}
POLICY_AUTO = {"graph_parallel_option": {"auto": True}}
RELATION = {
    "deploy_config": [{"submodel_name": "submodel1.air", "deploy_device_id_list": "0:0:0"},
                      {"submodel_name": "submodel2.air", "deploy_device_id_list": "0:0:1"}],
    "model_name_to_instance_id": [{"submodel_name": "submodel1.air", "model_instance_id": 0},
                                  {"submodel_name": "submodel2.air", "model_instance_id": 1}],
    "comm_group": [{"group_name": "tp_group_name_0", "group_rank_list": "[0,1]"}],
    "rank_table": [{"rank_id": 0, "model_instance_id": 0}, {"rank_id": 1, "model_instance_id": 1}]}
FLOW = {
    "deploy_config": [{"submodel_name": "stage0.air", "deploy_device_id_list": "0:0:0"},
                      {"submodel_name": "stage1.air", "deploy_device_id_list": "0:0:1"}],
    "model_name_to_instance_id": [{"submodel_name": "stage0.air", "model_instance_id": 0},
                                  {"submodel_name": "stage1.air", "model_instance_id": 1}],
    "model_relation": [{"type": "flow", "src": "-1:0", "dst": "0:0"}, {"type": "flow", "src": "0:0", "dst": "1:0"},
                       {"type": "flow", "src": "1:0", "dst": "-1:0"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    proto = proto_module(tmp_path_factory.mktemp("proto"))
    b = Builder(3)
    w = np.ones((8, 8), np.float32)
    y = b.op("MatMul", "x", b.tensor("w", w))
    onnx.save(b.model([("x", np.float32, [4, 8])], [("y", y, np.float32, [4, 8])]), folder / "m.onnx")
    for where, names, group in (("slices", ("submodel1", "submodel2"), "tp_group_name_0"), ("stages", ("stage0", "stage1"), None)):
        (folder / where).mkdir()
        for name in names:
            air = AirBuilder(proto, name)
            y = air.op("MatMulV2", [air.data("x", [4, 8]), air.const("w", w)], [4, 8], transpose_x1=False, transpose_x2=False)
            if group:
                y = air.op("HcomAllReduce", [y], [4, 8], reduction="sum", group=group)
            air.save(folder / where / f"{name}.air", [y])
    return folder


@pytest.fixture(scope="module")
def atc(bin_folder, folder):
    def run(cluster=CLUSTER_SMALL, policy=None, relation=None, slices="slices"):
        files = {"cluster_config": cluster, "graph_parallel_option_path": policy, "model_relation_config": relation}
        arguments = ["--soc_version=any", "--output=out", "--distributed_cluster_build=1"]
        for option, content in files.items():
            if content is not None:
                name = f"{option}.json"
                (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
                arguments.append(f"--{option}={name}")
        if relation is None:
            arguments += ["--model=m.onnx", "--framework=5"]
        else:
            arguments += [f"--shard_model_dir={slices}", "--framework=1"]
        if policy is not None:
            arguments.append("--enable_graph_parallel=1")
        environment = {k: v for k, v in os.environ.items() if k != "OMSERVE_ADDRESS"}
        done = subprocess.run([str(bin_folder / "atc"), *arguments], capture_output=True, text=True, timeout=60, cwd=folder, env=environment)
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("files", [
    dict(cluster=CLUSTER_SMALL), dict(cluster=CLUSTER_INFERENCE), dict(cluster=CLUSTER_FULL),
    dict(policy=POLICY), dict(policy=POLICY_AUTO), dict(relation=RELATION), dict(relation=FLOW, slices="stages"),
    dict(cluster=json.dumps(CLUSTER_SMALL) + "// a comment"),
], ids=["cluster", "inference", "full", "policy", "auto", "slices", "flow", "comment"])
def test_documented_samples(atc, files):
    code, text = atc(**files)
    assert code == 0, text


def changed(sample, *path, to=None, drop=False):
    """`sample` with one place changed."""
    sample = copy.deepcopy(sample)
    place = sample
    for step in path[:-1]:
        place = place[step]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return sample


NODE = ("cluster", 0, "cluster_nodes", 0)
OPTION = ("graph_parallel_option",)

CLUSTER_RULES = [
    ("E10032", "line 1", '{"cluster": [,]}'),
    ("EF2001", "cluster", {}),
    ("EF2001", "cluster", changed(CLUSTER_SMALL, "cluster", to={})),
    ("EF2001", "cluster_nodes", changed(CLUSTER_SMALL, "cluster", 0, "cluster_nodes", drop=True)),
    ("EF2001", "node_id", changed(CLUSTER_SMALL, *NODE, "node_id", to="0")),
    ("EF2001", "node_id", changed(CLUSTER_FULL, "cluster", 0, "cluster_nodes", 1, "node_id", to=0)),
    ("EF2001", "port", changed(CLUSTER_SMALL, *NODE, "port", to=70000)),
    ("EF2001", "is_local", changed(CLUSTER_SMALL, *NODE, "is_local", to="yes")),
    ("EF2001", "item_list", changed(CLUSTER_SMALL, *NODE, "item_list", to=[])),
    ("EF2001", "item_id", changed(CLUSTER_SMALL, *NODE, "item_list", 1, "item_id", to=0)),
    ("EF2001", "item_list", changed(CLUSTER_FULL, "cluster", 0, "cluster_nodes", 1, "item_list", to=[{"item_id": 0}])),
    ("EF2001", "protocol", changed(CLUSTER_FULL, "cluster", 0, "nodes_topology", "protocol", to="ETH:1Gb")),
    ("EF2001", "resource_type", changed(CLUSTER_FULL, "node_def", 0, "resource_type", to="Sparc")),
    ("EF2001", "links", changed(CLUSTER_FULL, "node_def", 0, "item_topology", 0, "links", to=[[0, 1, 2]])),
    ("EF2001", "memory", changed(CLUSTER_FULL, "item_def", 0, "memory", to="64")),
    ("EF2001", "h2d_bw", changed(CLUSTER_FULL, "node_def", 0, "h2d_bw", to="PCIE:100")),
]


@pytest.mark.parametrize("code, names, cluster", CLUSTER_RULES)
def test_cluster_rules(atc, code, names, cluster):
    check(atc(cluster=cluster), code, names)


@pytest.mark.parametrize("code, names, policy", [
    # The sample of the 8.0 page lacks a comma.
    ("E10032", "line 1", '{"graph_parallel_option":{"auto":false,"opt_level":"O1" "tensor_parallel_option":{"tensor_parallel_size":2}}}'),
    ("EF1001", "graph_parallel_option", {}),
    ("EF1001", "nonsense", changed(POLICY, *OPTION, "nonsense", to=1)),
    ("EF1001", "auto", changed(POLICY, *OPTION, "auto", to="false")),
    ("EF1001", "opt_level", changed(POLICY, *OPTION, "opt_level", to="O3")),
    ("EF1001", "tensor_parallel_size", changed(POLICY, *OPTION, "tensor_parallel_option", "tensor_parallel_size", to="2")),
    ("EF1001", "tensor_parallel_size", changed(POLICY, *OPTION, "tensor_parallel_option", "tensor_parallel_size", to=0)),
    ("EF1012", "3", changed(POLICY, *OPTION, "tensor_parallel_option", "tensor_parallel_size", to=3)),
])
def test_policy_rules(atc, code, names, policy):
    check(atc(policy=policy), code, names)


@pytest.mark.parametrize("code, names, relation", [
    ("E10032", "line 1", "{"),
    ("EF1001", "deploy_config", changed(RELATION, "deploy_config", drop=True)),
    ("EF1001", "submodel_name", changed(RELATION, "deploy_config", 1, "submodel_name", to="submodel1.air")),
    ("EF1001", "absent.air", changed(changed(RELATION, "deploy_config", 1, "submodel_name", to="absent.air"),
                                     "model_name_to_instance_id", 1, "submodel_name", to="absent.air")),
    ("EF1001", "deploy_device_id_list", changed(RELATION, "deploy_config", 0, "deploy_device_id_list", to="0:0")),
    ("EF1001", "deploy_device_id_list", changed(RELATION, "deploy_config", 1, "deploy_device_id_list", to="0:0:0")),
    ("EF2001", "0:0:7", changed(RELATION, "deploy_config", 1, "deploy_device_id_list", to="0:0:7")),
    ("EF1001", "model_instance_id", changed(RELATION, "model_name_to_instance_id", 1, "model_instance_id", to=0)),
    ("EF1001", "model_instance_id", changed(RELATION, "model_name_to_instance_id", 1, "model_instance_id", to="1")),
    ("EF1001", "group_rank_list", changed(RELATION, "comm_group", 0, "group_rank_list", to="0;1")),
    ("EF1001", "group_rank_list", changed(RELATION, "comm_group", 0, "group_rank_list", to="[0,2]")),
    ("EF1001", "group_rank_list", changed(RELATION, "comm_group", 0, "group_rank_list", to="[0,0]")),
    ("EF1001", "tp_group_name_0", changed(RELATION, "comm_group", 0, "group_name", to="other")),
    ("EF1001", "rank_id", changed(RELATION, "rank_table", 1, "rank_id", to=0)),
    ("EF1001", "model_instance_id", changed(RELATION, "rank_table", 1, "model_instance_id", to=5)),
])
def test_relation_rules(atc, code, names, relation):
    check(atc(relation=relation), code, names)


@pytest.mark.parametrize("code, names, relation", [
    ("EF1001", "type", changed(FLOW, "model_relation", 0, "type", to="event")),
    ("EF1001", "src", changed(FLOW, "model_relation", 1, "src", to="9:0")),
    ("EF1001", "src", changed(FLOW, "model_relation", 1, "src", to="0")),
    ("EF1001", "dst", changed(FLOW, "model_relation", 1, "dst", to="0:0")),
    ("EF2007", "circle", changed(FLOW, "model_relation", 0, "src", to="1:0")),
])
def test_flow_rules(atc, code, names, relation):
    check(atc(relation=relation, slices="stages"), code, names)


def check(result, code, names):
    status, text = result
    assert status == 255, text
    assert f"\n{code}: " in text and names in text, text
