"""Client: builds models, loads them and runs them, with NumPy arrays in and out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import queue
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import grpc
import numpy as np

from omserve import errors
from omserve.files import IncomingFiles, Meter, chunks_of, files_of_model, files_of_om, header_of, resolve_inside
from omserve.v1 import (build_pb2, build_pb2_grpc, cluster_pb2, cluster_pb2_grpc, common_pb2, model_pb2,
                        model_pb2_grpc, run_pb2, run_pb2_grpc)

Path = Union[str, "os.PathLike[str]"]
JsonFile = Union[Path, Mapping[str, Any]]
Shapes = Union[str, Mapping[str, Sequence[int]]]

_CHANNEL_OPTIONS = [
    # Tensors have no size limit of their own; a long error message must arrive, not replace the code of the error.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 64 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    # A coordinator is reached directly: an http_proxy in the environment is meant for the world outside.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    # A coordinator that has stopped answering altogether ends a call with Unavailable, timeout or not.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]


@dataclasses.dataclass(frozen=True)
class TensorDesc:
    """What is known of a tensor before it has a value. Unknown dimensions are -1."""

    name: str
    dtype: str
    shape: Tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a long call is. Phases of the client: "digest" (reading files), "upload", "download"; others are the
    service's: "import", "optimize", "plan", "cut", "write"; "push", "compile", "connect", "warmup"."""

    phase: str
    fraction: float
    message: str


@dataclasses.dataclass(frozen=True)
class BuildResult:
    model_name: str
    digest: str
    plan: str
    inputs: Tuple[TensorDesc, ...]
    outputs: Tuple[TensorDesc, ...]
    files: Tuple[pathlib.Path, ...]
    """Written, the OM first."""
    bytes: int


@dataclasses.dataclass(frozen=True)
class Slice:
    """Where one slice of a model is."""

    name: str
    device: str
    """Logical id in the OM: "0:0:1:0"."""
    worker: str
    worker_device: int
    weight_bytes: int
    arena_bytes: int
    replica: int


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    digest: str
    state: str
    """"LOADING", "READY", "UNLOADING" or "FAILED"."""
    cause: str
    epoch: int
    inputs: Tuple[TensorDesc, ...]
    outputs: Tuple[TensorDesc, ...]
    slices: Tuple[Slice, ...]
    plan: str
    runs: int
    bytes_pushed: int


@dataclasses.dataclass(frozen=True)
class LoadResult:
    model: Model
    bytes_uploaded: int
    bytes_pushed: int


@dataclasses.dataclass(frozen=True)
class Device:
    ordinal: int
    kind: str
    memory_bytes: int
    memory_in_use: int
    threads: int
    logical_id: str


@dataclasses.dataclass(frozen=True)
class Worker:
    name: str
    incarnation: str
    address: str
    version: str
    alive: bool
    lease_age_seconds: float
    lost_cause: str
    devices: Tuple[Device, ...]


@dataclasses.dataclass(frozen=True)
class Cluster:
    coordinator_version: str
    workers: Tuple[Worker, ...]


@dataclasses.dataclass(frozen=True)
class BFloat16:
    """An input of bfloat16, which NumPy does not have: the bits of each number as uint16. (Arrays of the ml_dtypes
    package are taken as they are.) Outputs of bfloat16 come as uint16 arrays of the bits."""

    bits: np.ndarray


class Client:
    """A connection to a coordinator. May be used by any number of threads at once.

    Every method takes `timeout` in seconds (None: no limit); when it has passed, the work is given up on the service
    too, and DeadlineExceeded is raised.
    """

    def __init__(self, address: str, *, connect_timeout: float = 10.0):
        """`address` is "HOST:PORT". Raises Unavailable when nobody listens there, and DeadlineExceeded when nobody
        answers within `connect_timeout` seconds."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise errors.InvalidArgument(f"coordinator address '{address}': expected HOST:PORT")
        self.address = address
        self._channel = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._build = build_pb2_grpc.BuildServiceStub(self._channel)
        self._model = model_pb2_grpc.ModelServiceStub(self._channel)
        self._cluster = cluster_pb2_grpc.ClusterServiceStub(self._channel)
        self._run = run_pb2_grpc.RunServiceStub(self._channel)
        try:
            self._connect(connect_timeout)
        except BaseException:
            self.close()
            raise

    def _connect(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        states: "queue.SimpleQueue[grpc.ChannelConnectivity]" = queue.SimpleQueue()
        self._channel.subscribe(states.put, try_to_connect=True)
        try:
            while True:
                state = states.get(timeout=max(0.0, deadline - time.monotonic()))
                if state == grpc.ChannelConnectivity.READY:
                    return
                if state == grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    break
        except queue.Empty:
            raise errors.DeadlineExceeded(f"no answer from a coordinator at {self.address} within {timeout} s") from None
        finally:
            self._channel.unsubscribe(states.put)
        # The channel does not say why; a call does.
        try:
            self.cluster(timeout=1.0)
        except errors.Error as error:
            raise errors.Unavailable(f"no coordinator at {self.address}: {error.message}") from None

    def close(self) -> None:
        """Ends the connection and every call in flight."""
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def build(self, model_path: Path, om_path: Path, *, name: str = "", cluster_config: Optional[JsonFile] = None,
              parallel_config: Optional[JsonFile] = None, tensor_parallel: Optional[int] = None,
              pipeline: Optional[int] = None, data_parallel: Optional[int] = None, auto: bool = False,
              objective: Optional[str] = None, global_batch: Optional[int] = None,
              input_shapes: Shapes = "", relation_config: Optional[JsonFile] = None,
              cost_config: Optional[JsonFile] = None, timeout: Optional[float] = None,
              progress: Optional[Callable[[Progress], None]] = None) -> BuildResult:
        """Builds a model (with the external data files it names) into an OM at `om_path`.

        With `relation_config`, the relation file of a model that is already cut, `model_path` is the folder of its
        slices (docs/slices.md).

        `cluster_config` and `parallel_config` are the cluster file and the partition policy: paths, or their content
        as dictionaries; `cost_config` is a cost file of measured times (docs/partitioning.md). `tensor_parallel`,
        `pipeline`, `data_parallel`, `auto`, `objective` and `global_batch` stand for a policy, as omctl's options of these
        names; where no cluster file is given, sizes stand for a local cluster of as many devices as they multiply to.
        `input_shapes` is {"input_ids": (1, 128)} or "input_ids:1,128;mask:1,128".
        """
        sizes = {"tensor_parallel": tensor_parallel, "pipeline": pipeline, "data_parallel": data_parallel}
        given = {name: size for name, size in sizes.items() if size is not None}
        if given or auto or objective is not None or global_batch is not None:
            if parallel_config is not None:
                raise errors.InvalidArgument("give either parallel_config or the sizes, auto, objective and global_batch")
            parallel_config = _policy(given, auto, objective, global_batch)
            if cluster_config is None and given:
                cluster_config = _local_cluster(given)
        model, om = pathlib.Path(model_path), pathlib.Path(om_path)
        if not om.parent.is_dir():
            raise FileNotFoundError(f"cannot write {om}: there is no folder {om.parent}")
        report = _reporter(progress)
        options = build_pb2.BuildOptions(model_name=name, cluster_config=_text(cluster_config),
                                         parallel_config=_text(parallel_config), input_shapes=_shapes(input_shapes),
                                         relation_config=_text(relation_config), cost_config=_text(cost_config))
        if relation_config is None:
            options.model_file = model.name
            sources = _sources(model.parent, files_of_model(model), report)
        else:
            sources = _sources(model, _files_below(model), report)

        def requests() -> Iterator[build_pb2.BuildRequest]:
            yield build_pb2.BuildRequest(options=options)
            yield from _file_steps(build_pb2.BuildRequest, sources, report)

        result: Optional[build_pb2.BuildResult] = None
        with contextlib.closing(IncomingFiles(om)) as files, errors.translated(), \
                _stream(self._build.Build(requests(), timeout=timeout)) as responses:
            for response in responses:
                step = response.WhichOneof("step")
                if step == "progress":
                    report(response.progress.phase, response.progress.fraction, response.progress.message)
                elif step == "result":
                    result = response.result
                elif step == "file":
                    meter = Meter("download", response.file.size, report)
                    files.begin(response.file)
                elif step == "chunk":
                    files.append(response.chunk)
                    meter.add(len(response.chunk), "")
            if result is None:
                raise errors.Internal("the service ended the build without a result")
            paths = files.commit()
            return BuildResult(result.model_name, result.digest, result.plan, _descs(result.inputs),
                               _descs(result.outputs), tuple(paths), files.bytes)

    def load(self, om_path: Path, *, name: str = "", timeout: Optional[float] = None,
             progress: Optional[Callable[[Progress], None]] = None) -> LoadResult:
        """Brings an OM to the cluster under `name` (default: the model's own) and makes it ready.

        Sends only files that the coordinator does not hold yet. The same model under the same name again is fine.
        """
        om = pathlib.Path(om_path)
        report = _reporter(progress)
        sources = _sources(om.parent, files_of_om(om), report)
        need = _Answer()

        def requests() -> Iterator[model_pb2.LoadRequest]:
            options = model_pb2.LoadOptions(name=name, files=[header for header, _ in sources])
            yield model_pb2.LoadRequest(options=options)
            wanted = need.wait()
            yield from _file_steps(model_pb2.LoadRequest, [s for s in sources if s[0].sha256 in wanted], report)

        result: Optional[model_pb2.LoadResult] = None
        with errors.translated(), contextlib.closing(need), \
                _stream(self._model.Load(requests(), timeout=timeout)) as responses:
            for response in responses:
                step = response.WhichOneof("step")
                if step == "need":
                    need.give(list(response.need.sha256))
                elif step == "progress":
                    report(response.progress.phase, response.progress.fraction, response.progress.message)
                elif step == "result":
                    result = response.result
        if result is None:
            raise errors.Internal("the service ended the load without a result")
        return LoadResult(_model(result.model), result.bytes_uploaded, result.bytes_pushed)

    def unload(self, name: str, *, timeout: Optional[float] = None) -> None:
        """Waits for runs in flight, then releases the model's memory."""
        with errors.translated():
            self._model.Unload(model_pb2.UnloadRequest(name=name), timeout=timeout)

    def models(self, *, timeout: Optional[float] = None) -> List[Model]:
        """The loaded models by name, and where their slices are."""
        with errors.translated():
            response = self._model.ListModels(model_pb2.ListModelsRequest(), timeout=timeout)
        return [_model(model) for model in response.models]

    def cluster(self, *, timeout: Optional[float] = None) -> Cluster:
        """Workers and devices."""
        with errors.translated():
            response = self._cluster.DescribeCluster(cluster_pb2.DescribeClusterRequest(), timeout=timeout)
        return Cluster(response.coordinator_version, tuple(_worker(worker) for worker in response.workers))

    def run(self, model: str, inputs: Mapping[str, Any], *, outputs: Optional[Sequence[str]] = None,
            request_id: str = "", timeout: Optional[float] = None) -> Dict[str, np.ndarray]:
        """Runs a loaded model once; gives its outputs (or those named in `outputs`) by name.

        The element type of each input must be the model's: nothing is converted. The arrays returned share the bytes
        that arrived and cannot be written to; `.copy()` where that is needed. `request_id` is found on every log line
        of the run.
        """
        request = run_pb2.RunRequest(model=model, request_id=request_id, outputs=outputs or (),
                                     inputs=[_tensor(name, value) for name, value in inputs.items()])
        with errors.translated():
            response = self._run.Run(request, timeout=timeout)
        return {tensor.name: _array(tensor) for tensor in response.outputs}


# ---- Tensors


def _tensor(name: str, value: Any) -> common_pb2.Tensor:
    if isinstance(value, BFloat16):
        array, dtype = np.asarray(value.bits, dtype="<u2"), "bfloat16"
    else:
        array = np.asarray(value)
        if array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("<"))
        dtype = array.dtype.name
    return common_pb2.Tensor(name=name, dtype=dtype, shape=array.shape, data=array.tobytes())


def _array(tensor: common_pb2.Tensor) -> np.ndarray:
    dtype = np.dtype("<u2") if tensor.dtype == "bfloat16" else np.dtype(tensor.dtype).newbyteorder("<")
    try:
        return np.frombuffer(tensor.data, dtype=dtype).reshape(tuple(tensor.shape))
    except ValueError as error:
        raise errors.Internal(f"output '{tensor.name}' of the answer: {error}") from None


# ---- Options


def _text(value: Optional[JsonFile]) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return json.dumps(value)
    return pathlib.Path(value).read_text(encoding="utf-8")


def _shapes(shapes: Shapes) -> str:
    if isinstance(shapes, str):
        return shapes
    return ";".join(f"{name}:{','.join(map(str, shape))}" for name, shape in shapes.items())


def _files_below(folder: pathlib.Path) -> List[str]:
    """All files of a folder of slices, with those in folders below it (weights kept outside); no hidden ones."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
    if not names:
        raise FileNotFoundError(f"no files in the folder of slices {folder}")
    return names


_POLICY_KEYS = {"tensor_parallel": ("tensor_parallel_option", "tensor_parallel_size"),
                "pipeline": ("pipeline_parallel_option", "pipe_stage_num"),
                "data_parallel": ("data_parallel_option", "data_parallel_size")}
_MOST_LOCAL_DEVICES = 1024


def _policy(sizes: Mapping[str, int], auto: bool, objective: Optional[str],
            global_batch: Optional[int]) -> Dict[str, Any]:
    policy: Dict[str, Any] = {"auto": auto}
    for name, size in sizes.items():
        option, key = _POLICY_KEYS[name]
        policy[option] = {key: size}
    if objective is not None:
        policy["objective"] = objective
    if global_batch is not None:
        policy["global_batch_size"] = global_batch
    return {"graph_parallel_option": policy}


def _local_cluster(sizes: Mapping[str, int]) -> Optional[Dict[str, Any]]:
    devices = math.prod(sizes.values())
    if min(sizes.values()) < 1 or devices > _MOST_LOCAL_DEVICES:
        asked = " x ".join(f"{name} {size}" for name, size in sizes.items())
        raise errors.InvalidArgument(f"{asked}: expected sizes of at least 1 that multiply to at most {_MOST_LOCAL_DEVICES} devices")
    if devices == 1:
        return None
    items = [{"item_id": item} for item in range(devices)]
    return {"cluster": [{"cluster_nodes": [{"node_id": 0, "is_local": True, "item_list": items}]}],
            "item_def": [{"item_type": "cpu"}]}


# ---- Streams

_Report = Callable[[str, float, str], None]
_Source = Tuple[common_pb2.FileHeader, pathlib.Path]


def _reporter(progress: Optional[Callable[[Progress], None]]) -> _Report:
    if progress is None:
        return lambda phase, fraction, message: None
    return lambda phase, fraction, message: progress(Progress(phase, fraction, message))


def _sources(folder: pathlib.Path, names: Sequence[str], report: _Report) -> List[_Source]:
    sources = []
    for done, name in enumerate(names):
        report("digest", done / len(names), name)
        path = resolve_inside(folder, name)
        sources.append((header_of(path, name), path))
    return sources


def _file_steps(request: Any, sources: Sequence[_Source], report: _Report) -> Iterator[Any]:
    meter = Meter("upload", sum(header.size for header, _ in sources), report)
    for header, path in sources:
        yield request(file=header)
        for chunk in chunks_of(path):
            yield request(chunk=chunk)
            meter.add(len(chunk), header.name)


class _Answer:
    """A value that the thread which sends requests waits for. close() ends the wait with nothing."""

    def __init__(self) -> None:
        self._queue: "queue.SimpleQueue[List[str]]" = queue.SimpleQueue()

    def give(self, value: List[str]) -> None:
        self._queue.put(value)

    def wait(self) -> List[str]:
        return self._queue.get()

    def close(self) -> None:
        self._queue.put([])


@contextlib.contextmanager
def _stream(call: Any) -> Iterator[Any]:
    """A streamed call; given up when what is done with its answers fails."""
    try:
        yield call
    finally:
        call.cancel()


# ---- Messages to values


def _descs(protos: Any) -> Tuple[TensorDesc, ...]:
    return tuple(TensorDesc(proto.name, proto.dtype, tuple(proto.shape)) for proto in protos)


def _model(proto: model_pb2.ModelStatus) -> Model:
    slices = tuple(Slice(s.slice, s.device, s.worker, s.worker_device, s.weight_bytes, s.arena_bytes, s.replica)
                   for s in proto.slices)
    state = model_pb2.ModelState.Name(proto.state).replace("MODEL_STATE_", "")
    return Model(proto.name, proto.digest, state, proto.cause, proto.epoch, _descs(proto.inputs),
                 _descs(proto.outputs), slices, proto.plan, proto.runs, proto.bytes_pushed)


def _worker(proto: cluster_pb2.WorkerStatus) -> Worker:
    devices = tuple(Device(d.ordinal, d.kind, d.memory_bytes, d.memory_in_use, d.threads, d.logical_id)
                    for d in proto.devices)
    return Worker(proto.name, proto.incarnation, proto.address, proto.version, proto.alive, proto.lease_age_seconds,
                  proto.lost_cause, devices)
