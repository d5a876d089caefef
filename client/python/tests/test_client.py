"""The client against a service that answers as told: what is sent, what comes back, and every error."""

import hashlib
import json
import struct
import threading

import grpc
import numpy as np
import pytest
from fake_service import FakeService

import omserve
from omserve.v1 import build_pb2, cluster_pb2, common_pb2, run_pb2


@pytest.fixture(scope="module")
def service():
    service = FakeService()
    yield service
    service.stop()


@pytest.fixture
def fake(service):
    service.reset()
    return service


@pytest.fixture(scope="module")
def client(service):
    with omserve.Client(service.address) as client:
        yield client


def echo(request, context):
    return run_pb2.RunResponse(outputs=request.inputs)


# ---- Errors


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code != grpc.StatusCode.OK])
def test_every_code_is_an_exception_with_its_message(fake, client, code):
    fake.on_run = lambda request, context: context.abort(code, f"cause of {code.name}: ünïcode, 100%")
    expected = getattr(omserve, "".join(word.capitalize() for word in code.name.split("_")))
    with pytest.raises(expected) as caught:
        client.run("m", {})
    assert isinstance(caught.value, omserve.Error)
    assert caught.value.code == code.name
    assert caught.value.message == f"cause of {code.name}: ünïcode, 100%"


def test_a_long_message_does_not_replace_the_code(fake, client):
    fake.on_run = lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "x" * 20000)
    with pytest.raises(omserve.NotFound) as caught:
        client.run("m", {})
    assert caught.value.message == "x" * 20000


def test_timeout_ends_the_run_on_both_sides(fake, client):
    given_up = threading.Event()
    release = threading.Event()

    def hold(request, context):
        context.add_callback(given_up.set)
        release.wait(60)
        return run_pb2.RunResponse()

    fake.on_run = hold
    with pytest.raises(omserve.DeadlineExceeded):
        client.run("m", {}, timeout=0.1)
    assert given_up.wait(60)
    release.set()


def test_nobody_listening_fails_at_once():
    service = FakeService()
    service.stop()
    with pytest.raises(omserve.Unavailable, match=service.address):
        omserve.Client(service.address, connect_timeout=600)


@pytest.mark.parametrize("address", ["", "localhost", ":90", "host:", "host:x"])
def test_an_address_without_port_is_refused(address):
    with pytest.raises(omserve.InvalidArgument, match="HOST:PORT"):
        omserve.Client(address)


# ---- Running


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8",
                                   "uint16", "uint32", "uint64", "bool"])
def test_arrays_of_every_type_pass(fake, client, dtype):
    fake.on_run = echo
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    result = client.run("m", {"x": array})
    assert result["x"].dtype == array.dtype
    np.testing.assert_array_equal(result["x"], array)


def test_arrays_of_every_layout_pass(fake, client):
    fake.on_run = echo
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for given in (np.asfortranarray(array), array[:, ::2], array.T, array.astype(">f4"), np.float32(3),
                  np.zeros((1, 4, 0, 8), np.float32)):
        result = client.run("m", {"x": given})["x"]
        assert result.shape == given.shape and result.dtype == np.float32
        np.testing.assert_array_equal(result, given)


def test_outputs_share_the_bytes_that_arrived(fake, client):
    fake.on_run = echo
    result = client.run("m", {"x": np.ones(3)})["x"]
    assert not result.flags.writeable and not result.flags.owndata


def test_bfloat16_travels_as_its_bits(fake, client):
    seen = []

    def note(request, context):
        seen.append(request.inputs[0].dtype)
        return echo(request, context)

    fake.on_run = note
    bits = np.array([0x3F80, 0xC000], np.uint16)
    result = client.run("m", {"x": omserve.BFloat16(bits)})["x"]
    assert seen == ["bfloat16"] and result.dtype == np.uint16
    np.testing.assert_array_equal(result, bits)


def test_messages_above_grpcs_default_limit_pass(fake, client):
    fake.on_run = echo
    array = np.random.default_rng(0).random((3 << 20,), np.float32)
    np.testing.assert_array_equal(client.run("m", {"x": array})["x"], array)


def test_an_output_that_does_not_fit_its_shape_is_refused(fake, client):
    tensor = common_pb2.Tensor(name="y", dtype="float32", shape=[3], data=b"12345678")
    fake.on_run = lambda request, context: run_pb2.RunResponse(outputs=[tensor])
    with pytest.raises(omserve.Internal, match="'y'"):
        client.run("m", {})


def test_options_of_a_run_are_sent(fake, client):
    def check(request, context):
        assert (request.model, request.request_id, list(request.outputs)) == ("m", "r1", ["y"])
        return run_pb2.RunResponse()

    fake.on_run = check
    assert client.run("m", {}, outputs=["y"], request_id="r1") == {}


# ---- Building

OM = b"the offline model"


def answer(*files, result=True):
    def build(context):
        yield build_pb2.BuildResponse(progress=common_pb2.Progress(phase="plan", fraction=0.5))
        if result:
            yield build_pb2.BuildResponse(result=build_pb2.BuildResult(model_name="mlp", plan="2 slices"))
        for name, announced, sent in files:
            header = common_pb2.FileHeader(name=name, size=len(announced), sha256=hashlib.sha256(announced).hexdigest())
            yield build_pb2.BuildResponse(file=header)
            yield build_pb2.BuildResponse(chunk=sent)
    return build


@pytest.fixture
def model(tmp_path):
    (tmp_path / "out").mkdir()
    path = tmp_path / "model.onnx"
    path.write_bytes(b"a model")
    return path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_build_sends_the_model_and_writes_the_om(fake, client, model, tmp_path):
    fake.on_build = answer(("x.om", OM, OM))
    phases = []
    result = client.build(model, tmp_path / "out/m.om", name="n", tensor_parallel=2, input_shapes={"x": (1, 2), "m": [3]},
                          progress=lambda p: phases.append(p.phase) if p.phase not in phases[-1:] else None)
    assert fake.received == {"model.onnx": b"a model"}
    assert fake.build_options.model_name == "n" and fake.build_options.model_file == "model.onnx"
    assert fake.build_options.input_shapes == "x:1,2;m:3"
    assert '"tensor_parallel_size": 2' in fake.build_options.parallel_config
    assert fake.build_options.cluster_config.count("item_id") == 2
    assert phases == ["digest", "upload", "plan", "download"]
    assert result.model_name == "mlp" and result.bytes == len(OM)
    assert result.files == (tmp_path / "out/m.om",)
    assert contents(tmp_path / "out") == {"m.om": OM}


def test_sizes_stand_for_a_policy(fake, client, model, tmp_path):
    fake.on_build = answer(("x.om", OM, OM))
    client.build(model, tmp_path / "m.om", tensor_parallel=2, pipeline=3, data_parallel=4, global_batch=8)
    assert json.loads(fake.build_options.parallel_config)["graph_parallel_option"] == {
        "auto": False, "tensor_parallel_option": {"tensor_parallel_size": 2}, "pipeline_parallel_option": {"pipe_stage_num": 3},
        "data_parallel_option": {"data_parallel_size": 4}, "global_batch_size": 8}
    assert fake.build_options.cluster_config.count("item_id") == 24
    client.build(model, tmp_path / "m.om", auto=True, objective="throughput", cluster_config={"cluster": []})
    assert json.loads(fake.build_options.parallel_config)["graph_parallel_option"] == {"auto": True, "objective": "throughput"}
    for sizes in ({"tensor_parallel": 10**9}, {"pipeline": 0}, {"tensor_parallel": -1, "pipeline": -1}):
        with pytest.raises(omserve.InvalidArgument, match="at most 1024 devices"):
            client.build(model, tmp_path / "m.om", **sizes)


def test_build_takes_files_and_dictionaries(fake, client, model, tmp_path):
    fake.on_build = answer(("x.om", OM, OM))
    (tmp_path / "c.json").write_text("cluster text")
    client.build(model, tmp_path / "out/m.om", cluster_config=tmp_path / "c.json", parallel_config={"p": 1})
    assert fake.build_options.cluster_config == "cluster text"
    assert fake.build_options.parallel_config == '{"p": 1}'


def test_parts_beside_the_om_keep_their_names(fake, client, model, tmp_path):
    fake.on_build = answer(("x.om", OM, OM), ("x/rank0.om", b"slice", b"slice"))
    client.build(model, tmp_path / "out/m.om")
    assert contents(tmp_path / "out") == {"m.om": OM, "x/rank0.om": b"slice"}


@pytest.mark.parametrize("steps, error", [
    (answer(("x.om", OM, b"another content!!")), omserve.DataLoss),
    (answer(("x.om", OM, b"short")), omserve.DataLoss),
    (answer(("x.om", OM, OM), ("../evil.om", b"y", b"y")), omserve.PermissionDenied),
    (answer(("x.om", OM, OM), ("/tmp/evil.om", b"y", b"y")), omserve.PermissionDenied),
    (answer(), omserve.Internal),
    (answer(("x.om", OM, OM), result=False), omserve.Internal),
])
def test_damaged_answers_are_refused_and_leave_nothing(fake, client, model, tmp_path, steps, error):
    fake.on_build = steps
    with pytest.raises(error):
        client.build(model, tmp_path / "out/m.om")
    assert contents(tmp_path / "out") == {}


def test_a_failing_build_leaves_nothing(fake, client, model, tmp_path):
    def fail(context):
        yield from answer(("x.om", OM, OM))(context)
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "operator LSTM of node 'lstm'")

    fake.on_build = fail
    with pytest.raises(omserve.Unimplemented, match="LSTM"):
        client.build(model, tmp_path / "out/m.om")
    assert contents(tmp_path / "out") == {}


def test_external_data_goes_with_the_model(fake, client, tmp_path):
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", 1, [1, 64])], [onnx.helper.make_tensor_value_info("y", 1, [1, 64])],
        [weights])
    onnx.save_model(onnx.helper.make_model(graph), tmp_path / "model.onnx", save_as_external_data=True,
                    all_tensors_to_one_file=True, location="weights.bin", size_threshold=0)
    fake.on_build = answer(("x.om", OM, OM))
    client.build(tmp_path / "model.onnx", tmp_path / "m.om")
    assert fake.received["weights.bin"] == np.ones((64, 64), np.float32).tobytes()


# initializer { external_data { location: "../secret" }, data_location: EXTERNAL }
def field(tag, content):
    return bytes([tag, len(content)]) + content


def test_external_data_may_not_leave_the_folder(fake, client, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "sub").mkdir()
    tensor = field(0x6A, field(0x0A, b"location") + field(0x12, b"../secret")) + b"\x70\x01"
    (tmp_path / "sub/model.onnx").write_bytes(field(0x3A, field(0x2A, tensor)))
    with pytest.raises(omserve.PermissionDenied):
        client.build(tmp_path / "sub/model.onnx", tmp_path / "m.om")
    assert fake.received == {}


def test_missing_files_are_the_systems_errors(client, tmp_path, model):
    with pytest.raises(FileNotFoundError):
        client.build(tmp_path / "absent.onnx", tmp_path / "m.om")
    with pytest.raises(FileNotFoundError):
        client.build(model, tmp_path / "nowhere/m.om")


# ---- Loading


def write_om(folder, *beside):
    """A container with one FLOW_SUBMODEL for each part kept beside it (om_data_file_path is field 9)."""
    parts = [(0, b"root")] + [(7, field(0x0A, b"slice") + field(0x4A, name.encode())) for name in beside]
    table = struct.pack("<II", len(parts), 0)
    offset = 0
    for kind, content in parts:
        table += struct.pack("<IIQQ", kind, 0, offset, len(content))
        offset += len(content)
    (folder / "m.om").write_bytes(b"IMOD".ljust(256, b"\0") + table + b"".join(content for _, content in parts))
    for name in beside:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder / "m.om"


def test_load_sends_what_is_needed(fake, client, tmp_path):
    om = write_om(tmp_path, "m/rank0.om", "m/rank1.om")
    fake.need = lambda options: [file.sha256 for file in options.files if file.name != "m/rank0.om"]
    result = client.load(om, name="served")
    assert fake.load_options.name == "served"
    assert [file.name for file in fake.load_options.files] == ["m.om", "m/rank0.om", "m/rank1.om"]
    assert fake.received == {"m.om": om.read_bytes(), "m/rank1.om": b"m/rank1.om"}
    assert result.model.state == "READY" and result.bytes_pushed == 7


def test_errors_of_a_load_arrive(fake, client, tmp_path):
    fake.load_end = lambda context: context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "need 10, have 5")
    with pytest.raises(omserve.ResourceExhausted, match="need 10, have 5"):
        client.load(write_om(tmp_path))


@pytest.mark.parametrize("content", [b"", b"junk" * 100, b"IMOD", b"IMOD" + b"\0" * 252 + b"\xff" * 400,
                                     b"IMOD" + b"\0" * 252 + struct.pack("<IIIIQQ", 1, 0, 7, 0, 0, 1 << 60)])
def test_what_is_no_om_is_refused(client, tmp_path, content):
    (tmp_path / "bad.om").write_bytes(content)
    with pytest.raises(omserve.DataLoss):
        client.load(tmp_path / "bad.om")


# ---- The small calls


def test_unload_and_models(client):
    with pytest.raises(omserve.NotFound, match="no model 'x'; loaded: a, b"):
        client.unload("x")
    (model,) = client.models()
    assert (model.name, model.state, model.slices[0].name, model.slices[0].worker) == ("m", "READY", "m_rank0", "w")


def test_cluster(fake, client):
    fake.on_describe = lambda request, context: cluster_pb2.DescribeClusterResponse(
        coordinator_version="0.1.0",
        workers=[cluster_pb2.WorkerStatus(name="w", alive=True,
                                          devices=[cluster_pb2.DeviceStatus(kind="cpu", logical_id="0:0:1:0")])])
    cluster = client.cluster()
    assert cluster.coordinator_version == "0.1.0"
    assert cluster.workers[0].alive and cluster.workers[0].devices[0].logical_id == "0:0:1:0"
