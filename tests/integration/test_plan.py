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
    assert sum(stage["weight_bytes"] for stage in report["stages"]) * 2 == 6 * 256 * 256 * 4
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
    built = omctl("build", model, "-o", tmp_path / "m.om", "--load-plan", saved)
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("arguments, message", [
    (["--tensor-parallel", 7], "divides no dimension"),
    (["--input-shape", "x:1"], "x"),
    (["--load-plan", "absent.json"], "absent.json"),
])
def test_refusals(omctl, model, arguments, message):
    done = omctl("plan", model, *arguments)
    assert done.returncode == 1 and message in done.stderr


def test_the_time_of_the_command(omctl, model):
    done = omctl("--timeout", "0.000001", "plan", model, "--tensor-parallel", 2)
    assert done.returncode == 1 and "DEADLINE_EXCEEDED" in done.stderr
