"""A package of custom operators (examples/custom_op) through coordinator and worker processes."""

import numpy as np
import omserve
import onnx
import pytest
from onnx import helper
from onnx_builder import Builder


@pytest.fixture(scope="module")
def package(bin_folder):
    folder = bin_folder.parent / "examples" / "custom_op" / "package"
    assert list(folder.glob("*.so")), f"no package in {folder}: build target custom_op_example"
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two layers of ScaledMatMul with small whole numbers, so that any layout must agree in every bit."""
    path = tmp_path_factory.mktemp("custom") / "scaled.onnx"
    b = Builder(5)
    w = [b.random.integers(-2, 3, shape).astype(np.int32) for shape in ((8, 16), (16, 8))]
    hidden = b.op("ScaledMatMul", "x", b.tensor("w0", w[0]), domain="com.example", scale=3.0)
    y = b.op("ScaledMatMul", hidden, b.tensor("w1", w[1]), domain="com.example")
    graph = helper.make_graph(
        b.nodes, "scaled", [helper.make_tensor_value_info("x", onnx.TensorProto.INT32, [4, 8])],
        [helper.make_tensor_value_info(y, onnx.TensorProto.INT32, [4, 8])], list(b.initializers.values()))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)],
                                ir_version=8), path)
    x = b.random.integers(-5, 6, (4, 8)).astype(np.int32)
    return path, x, (3 * (x @ w[0])) @ w[1], y


def test_cut_over_two_worker_processes(bin_folder, package, model, tmp_path):
    path, x, expected, output = model
    flags = ["--custom-ops", str(package)]
    with omserve.Server.cluster(workers=0, coordinator_arguments=flags) as server:
        for _ in range(2):
            server.start_worker(arguments=flags)
        server.wait_for_workers(2)
        with server.client() as client:
            client.build(path, tmp_path / "m.om", tensor_parallel=2)
            loaded = client.load(tmp_path / "m.om", name="m").model
            assert len({piece.worker for piece in loaded.slices}) == 2
            # The rule cuts both weights: each worker holds half of their 1024 bytes.
            assert [piece.weight_bytes for piece in loaded.slices] == [512, 512]
            for _ in range(5):
                np.testing.assert_array_equal(client.run("m", {"x": x}, timeout=60)[output], expected)


def test_worker_without_the_package_is_named(bin_folder, package, model, tmp_path):
    path = model[0]
    flags = ["--custom-ops", str(package)]
    with omserve.Server.cluster(workers=0, coordinator_arguments=flags) as server:
        server.start_worker(name="full", arguments=flags)
        server.start_worker(name="plain")
        server.wait_for_workers(2)
        with server.client() as client:
            client.build(path, tmp_path / "m.om", tensor_parallel=2)
            with pytest.raises(omserve.Error) as error:
                client.load(tmp_path / "m.om", name="m")
    assert error.value.code == "FAILED_PRECONDITION"
    for part in ("worker 'plain'", "operator 'ScaledMatMul'", "package 'example'", "version '1.0'", "--custom-ops"):
        assert part in str(error.value)
    assert "'full'" not in str(error.value)


def test_standalone_finds_packages_through_the_environment(bin_folder, package, model, tmp_path, omctl, monkeypatch):
    path, x, expected, output = model
    with omserve.Server.standalone() as server, server.client() as client:
        with pytest.raises(omserve.Error, match="'ScaledMatMul' of domain 'com.example'.*no package of custom operators"):
            client.build(path, tmp_path / "m.om")
    monkeypatch.setenv("OMSERVE_CUSTOM_OPP_PATH", str(package))
    with omserve.Server.standalone() as server, server.client() as client:
        client.build(path, tmp_path / "m.om")
        client.load(tmp_path / "m.om", name="m")
        np.testing.assert_array_equal(client.run("m", {"x": x}, timeout=60)[output], expected)
    shown = omctl("inspect", tmp_path / "m.om").stdout
    assert "ScaledMatMul (package example 1.0)" in shown


def test_folder_that_is_not_there_ends_the_start(bin_folder, tmp_path):
    with pytest.raises(omserve.ServerError, match="no_such_folder"):
        omserve.Server.standalone(arguments=["--custom-ops", str(tmp_path / "no_such_folder")])
