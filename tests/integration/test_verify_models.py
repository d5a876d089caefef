"""`omctl verify`: real trained models and generated families against reference outputs, whole and cut."""

import json

import pytest

TRANSFORMERS = ["stories260k", "stories260k_with_past", "use_lite_en"]
OTHERS = ["mnist_burn", "mnist_cntk", "ocr_det", "ocr_cls"]


def check(omctl, folder, tensor_parallel):
    done = omctl("verify", folder, "--tensor-parallel", tensor_parallel, "--rtol", "1e-3", "--atol", "1e-4")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tensor_parallel", [1, 2, 4])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_real_transformers(omctl, real_models, name, tensor_parallel):
    check(omctl, real_models / name, tensor_parallel)


@pytest.mark.parametrize("tensor_parallel", [1, 2])
@pytest.mark.parametrize("name", OTHERS)
def test_real_convolutional(omctl, real_models, name, tensor_parallel):
    check(omctl, real_models / name, tensor_parallel)


@pytest.mark.parametrize("tensor_parallel", [1, 2, 4])
@pytest.mark.parametrize("name", ["gpt2", "bert", "llama", "vit", "resnet50"])
def test_generated_families(omctl, generated_models, name, tensor_parallel):
    check(omctl, generated_models / name, tensor_parallel)


@pytest.mark.parametrize(
    "options",
    [
        ["--pipeline", 3],
        ["--tensor-parallel", 2, "--pipeline", 2],
        ["--pipeline", 2, "--data-parallel", 2],
        ["--auto"],
    ],
    ids=lambda options: "".join(str(option).lstrip("-") for option in options),
)
@pytest.mark.parametrize("name", TRANSFORMERS + OTHERS)
def test_pipelines_replicas_and_automatic(omctl, real_models, name, options):
    done = omctl("verify", real_models / name, *options, "--rtol", "1e-3", "--atol", "1e-4")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("devices", [2, 4])
@pytest.mark.parametrize("name", TRANSFORMERS + ["ocr_cls"])
def test_weights_gathered_on_use(omctl, real_models, tmp_path, name, devices):
    cluster, policy = tmp_path / "cluster.json", tmp_path / "policy.json"
    items = [{"item_id": item} for item in range(devices)]
    nodes = [{"node_id": 0, "is_local": True, "item_list": items}]
    cluster.write_text(json.dumps({"cluster": [{"cluster_nodes": nodes}], "item_def": [{"item_type": "cpu"}]}))
    sharding = {"model_weight_sharding": True, "model_weight_prefetch_buffer_size": 1}
    policy.write_text(json.dumps({"graph_parallel_option": {"tensor_sharding": sharding}}))
    done = omctl("verify", real_models / name, "--cluster-config", cluster, "--parallel", policy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--tensor-parallel", 2],
        ["--tensor-parallel", 3],
        ["--tensor-parallel", 4],
        ["--tensor-parallel", 2, "--pipeline", 2],
        ["--tensor-parallel", 3, "--pipeline", 2],
        ["--tensor-parallel", 2, "--data-parallel", 2],
        ["--auto"],
    ],
    ids=lambda options: "".join(str(option).lstrip("-") for option in options),
)
def test_a_vocabulary_that_does_not_divide(omctl, generated_models, tmp_path, options):
    """1,031 words: embedding and head, one table, are cut all the same."""
    folder = generated_models / "gpt2_uneven"
    done = omctl("verify", folder, *options, "--rtol", "1e-3", "--atol", "1e-4")
    assert done.returncode == 0, done.stdout + done.stderr
    if options == ["--auto"]:
        return
    saved = tmp_path / "plan.json"
    shape = ["--input-shape", "input_ids:2,12"]
    done = omctl("plan", folder / "model.onnx", *shape, *options, "--save-plan", saved)
    assert done.returncode == 0, done.stderr
    plan = json.loads(saved.read_text())["omserve_plan"]
    operators = {operator["node"]: operator for operator in plan["operators"]}
    heads = [name for name in operators if name + "/unpadded" in operators]
    assert len(heads) == 1 and "n" in operators[heads[0]]["cut"]
    assert plan["padded_to_multiple_of"] == options[1]
    done = omctl("verify", folder, "--load-plan", saved, "--rtol", "1e-3", "--atol", "1e-4")
    assert done.returncode == 0, done.stdout + done.stderr


def test_control_flow_is_refused_by_name(omctl, real_models):
    done = omctl("verify", real_models / "silero_vad_v5")
    assert done.returncode == 1
    assert "If" in done.stderr + done.stdout and "subgraph" in done.stderr + done.stdout
