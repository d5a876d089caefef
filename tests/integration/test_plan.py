"""omctl plan: what it tells adds up, is drawn on one page, and can be built by."""

import json

import numpy as np
import onnx
import pytest
from onnx_builder import Builder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "mlp.onnx"
    b = Builder(3)
    x = "x"
    for i in range(6):
        x = b.op("Relu", b.op("MatMul", x, b.tensor(f"w{i}", np.ones((256, 256), np.float32))))
    onnx.save(b.model([("x", np.float32, [64, 256])], [("y", x, np.float32, [64, 256])]), path)
    return path


def plan(omctl, *arguments):
    done = omctl("--output", "json", "plan", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_it_tells_adds_up(omctl, model):
    report = plan(omctl, model, "--tensor-parallel", 2, "--pipeline", 2)
    assert len(report["stages"]) == 2 and all(len(stage["devices"]) == 2 for stage in report["stages"])
    assert report["seconds"] == pytest.approx(sum(stage["seconds"] for stage in report["stages"]), rel=1e-6)
    assert report["lower_bound"] <= report["seconds"] * (1 + 1e-9)
    # Of one run, over all ways to cut the model into two stages.
    assert report["objective_seconds"] == pytest.approx(report["seconds"])
    assert 0 < report["objective_bound"] <= report["objective_seconds"] * (1 + 1e-9)
    assert sum(stage["weight_bytes"] for stage in report["stages"]) * 2 == 6 * 256 * 256 * 4
    value = 64 * 256 * 4
    assert report["stages"][0]["stage_bytes"]["1"] in (value // 2, value) and report["stages"][1]["stage_bytes"] == {}
    seconds = [op["seconds"] for op in report["dearest_operators"]]
    assert 0 < len(seconds) <= 10 and seconds == sorted(seconds, reverse=True)
    changes = {change["change"]: change for change in report["what_would_change"]}
    assert changes["links twice as fast"]["seconds"] <= report["seconds"] * (1 + 1e-9)
    assert changes["links half as fast"]["seconds"] >= report["seconds"] * (1 - 1e-9)


def test_simulation(omctl, model):
    report = plan(omctl, model, "--tensor-parallel", 2, "--pipeline", 2, "--data-parallel", 2)
    simulation = report["simulation"]
    beside, between = simulation["messages_beside_work"], simulation["messages_between_work"]
    assert simulation["seconds"] == pytest.approx(report["seconds"], rel=0.01)
    slowest = max(stage["seconds"] for stage in report["stages"])
    assert between["runs_per_second"] <= beside["runs_per_second"] * (1 + 1e-9)
    assert between["runs_per_second"] <= 2 / slowest * (1 + 1e-9)  # two replicas
    assert beside["runs_per_second"] > 2 / report["seconds"]
    assert len(beside["stages_at_work"]) == 2 and max(beside["stages_at_work"]) == pytest.approx(1, rel=0.01)
    assert 0 <= beside["bubble"] < 1 and all(share > 0 for share in between["stages_at_messages"])


def test_a_request_in_micro_batches(omctl, model, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"graph_parallel_option": {
        "auto": False, "global_batch_size": 512, "pipeline_parallel_option": {"pipe_stage_num": 3}}}))
    cluster = tmp_path / "cluster.json"
    items = [{"item_id": i} for i in range(3)]
    cluster.write_text(json.dumps({"cluster": [{"cluster_nodes": [{"node_id": 0, "is_local": True, "item_list": items}]}],
                                   "item_def": [{"item_type": "cpu"}]}))
    simulation = plan(omctl, model, "--parallel", policy, "--cluster-config", cluster)["simulation"]
    assert simulation["micro_batches"] == 8
    between = simulation["messages_beside_work"]["seconds_between_answers"]
    assert simulation["request_seconds"] == pytest.approx(simulation["seconds"] + 7 * between, rel=0.02)


def test_page(omctl, model, tmp_path):
    page = tmp_path / "plan.html"
    plan(omctl, model, "--tensor-parallel", 2, "--html", page)
    text = page.read_text()
    assert "http" not in text and "src=" not in text  # nothing comes from elsewhere
    assert "Runs under way" not in text
    assert text.count("<tr>") > 10 and "<svg" in text and "0:0:1:0" in text


def test_page_of_a_pipeline(omctl, model, tmp_path):
    page = tmp_path / "plan.html"
    plan(omctl, model, "--pipeline", 3, "--html", page)
    text = page.read_text()
    assert "Runs under way" in text and text.count("<svg") == 2 and "run 6 in stage 2" in text and ": send " in text


def test_a_saved_plan_is_built_by(omctl, model, tmp_path):
    saved = tmp_path / "plan.json"
    report = plan(omctl, model, "--tensor-parallel", 2, "--save-plan", saved)
    again = plan(omctl, model, "--load-plan", saved)
    assert again["seconds"] == pytest.approx(report["seconds"])
    assert again["what_would_change"] == []
    page = tmp_path / "plan.html"
    text = omctl("plan", model, "--load-plan", saved, "--html", page).stdout
    assert "no bound is known (plan file)" in text
    assert "no bound is known" in page.read_text()
    built = omctl("build", model, "-o", tmp_path / "m.om", "--load-plan", saved)
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("arguments, sizes", [
    ([], (1, 1, 1)),
    (["--tensor-parallel", 2, "--pipeline", 2], (1, 2, 2)),
])
def test_generation(omctl, real_models, arguments, sizes):
    decoder = real_models / "stories260k_with_past" / "model.onnx"
    report = plan(omctl, decoder, "--generate", "64,128", "--input-shape",
                  "input_ids:1,new;past_key_values.*:1,4,past,8", *arguments)
    assert (report["replicas"], report["stages"], report["tensor_parallel_size"]) == sizes
    steps = report["decode_steps"]
    assert [step["past"] for step in steps] == [64, 127, 190]
    seconds = [step["seconds"] for step in steps]
    assert seconds == sorted(seconds)  # more to attend to
    assert seconds[0] < report["prefill_seconds"] < 64 * seconds[0]
    assert 127 * seconds[0] <= report["decode_seconds"] <= 127 * seconds[-1]
    assert report["seconds"] == pytest.approx(report["prefill_seconds"] + report["decode_seconds"])
    busy = report["step_seconds_with_all_stages_busy"]
    assert seconds[1] * (1 - 1e-9) <= busy <= report["stages"] * seconds[1]


@pytest.mark.parametrize("arguments, message", [
    (["--generate", "64"], "such as 128,64"),
    (["--generate", "64,8", "--input-shape", "x:1,256"], "has no new"),
    (["--tensor-parallel", 7], "divides no dimension"),
    (["--input-shape", "x:1"], "x"),
    (["--load-plan", "absent.json"], "absent.json"),
    (["--tensor-parallel", 1024, "--pipeline", 1024, "--data-parallel", 1024], "multiply to 1073741824 devices"),
    (["--global-batch", 2**62], "EF1001"),
])
def test_refusals(omctl, model, arguments, message):
    done = omctl("plan", model, *arguments)
    assert done.returncode == 1 and message in done.stderr


def test_a_policy_is_no_plan(omctl, model, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"graph_parallel_option": {"auto": true}}')
    done = omctl("plan", model, "--load-plan", policy)
    assert done.returncode == 1 and "expected a plan (omserve_plan), found a policy" in done.stderr


def test_choosing_by_throughput(omctl, model):
    report = plan(omctl, model, "--auto", "--objective", "throughput")
    assert report["replicas"] == 4
    assert report["objective_seconds"] == pytest.approx(report["seconds"] / 4)
    # Copies say nothing to each other: links are no matter.
    for change in report["what_would_change"]:
        assert change["seconds"] == pytest.approx(report["objective_seconds"])
    assert "what would change the time between answers" in omctl("plan", model, "--auto", "--objective", "throughput").stdout
    whole = plan(omctl, model, "--auto", "--objective", "throughput", "--global-batch", 256)["simulation"]
    assert whole["micro_batches"] == 4 and whole["request_seconds"] == pytest.approx(whole["seconds"])


def test_the_time_of_the_command(omctl, model):
    done = omctl("--timeout", "0.000001", "plan", model, "--tensor-parallel", 2)
    assert done.returncode == 1 and "DEADLINE_EXCEEDED" in done.stderr
