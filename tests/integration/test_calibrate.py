"""What omctl calibrate measures on live workers is a cost file to plan by."""

import json

import omserve
import pytest


@pytest.fixture(scope="module")
def costs(omctl, tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrate") / "costs.json"
    with omserve.Server.cluster(workers=0) as server:
        for devices in (2, 1):
            server.start_worker(devices, arguments=["--device-threads", "1"])
        server.wait_for_workers(2)
        done = omctl("calibrate", "--quick", "--coordinator", server.address, "-o", path, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "between workers" in done.stdout and "matrix products" in done.stdout
        with server.client() as client:
            assert client.models() == []  # nothing is left behind
    return path


def test_measured_costs_are_positive_and_increase(costs):
    measured = json.loads(costs.read_text())["omserve_costs"]
    device = measured["devices"]["cpu"]
    assert all(device[rate] > 0 for rate in ("flops_per_second", "bytes_per_second", "start_seconds"))
    curves = [operator["by_bytes"] for operator in device["operators"].values() if "by_bytes" in operator]
    assert 0 <= device["epilogue_share"] <= 1
    for kind in ("BatchMatMulV2", "Conv2D", "Conv2D/pointwise", "DepthwiseConv2D"):
        assert device["operators"][kind]["flops_per_second"] > 0
    assert device["operators"]["Conv2D"]["by_bytes"] == device["operators"]["DepthwiseConv2D"]["by_bytes"]
    assert device["operators"]["SoftmaxV2"].get("piece_seconds", 0) >= 0
    for level in ("intra_node", "inter_node"):
        assert measured["links"][level]["bytes_per_second"] > 0
        kinds = {(entry["kind"], entry["ranks"]) for entry in measured["links"][level]["collectives"]}
        assert kinds == {("all_reduce", 2), ("send_receive", 2)}
        curves += [entry["points"] for entry in measured["links"][level]["collectives"]]
    for curve in curves:
        seconds = [point[1] for point in curve]
        assert seconds == sorted(seconds) and seconds[0] > 0


def test_plans_and_builds_are_made_by_it(omctl, costs, generated_models, tmp_path):
    model = [generated_models / "gpt2" / "model.onnx", "--input-shape", "input_ids:1,16", "--tensor-parallel", 2]
    plans = [json.loads(omctl("plan", *model, "--output", "json", *more).stdout)
             for more in ([], ["--cost-file", costs])]
    assert plans[0]["seconds"] != plans[1]["seconds"]
    broken = tmp_path / "broken.json"
    broken.write_text(costs.read_text().replace("flops_per_second", "flops_per_minute", 1))
    for command in (["plan"], ["build", "-o", tmp_path / "m.om"]):
        done = omctl(*command, *model, "--cost-file", broken)
        assert done.returncode == 1
        assert "broken.json.omserve_costs.devices.cpu" in done.stderr and "flops_per_minute" in done.stderr


def test_without_workers(omctl, tmp_path):
    with omserve.Server.cluster(workers=0) as server:
        done = omctl("calibrate", "--coordinator", server.address, "-o", tmp_path / "costs.json")
        assert done.returncode == 1
        assert "no worker is live: there is nothing to calibrate" in done.stderr
        assert not (tmp_path / "costs.json").exists()
