"""Files on their way to and from the service: which there are, headers with digests, chunks."""

from __future__ import annotations

import hashlib
import os
import pathlib
import struct
import tempfile
from typing import BinaryIO, Callable, Dict, Iterator, List, Tuple

from omserve import errors
from omserve.v1 import common_pb2

# The service takes at most 4 MiB; a message of one MiB also passes a peer with gRPC's default limit.
CHUNK_BYTES = 1 << 20


def resolve_inside(folder: pathlib.Path, name: str) -> pathlib.Path:
    """folder/name where that stays inside the folder, links resolved; else PermissionDenied."""
    path = (folder / name).resolve()
    if os.path.isabs(name) or folder.resolve() not in path.parents:
        raise errors.PermissionDenied(f"'{name}' leaves the folder {folder}")
    return path


def header_of(path: pathlib.Path, name: str) -> common_pb2.FileHeader:
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks_of(path):
        digest.update(chunk)
        size += len(chunk)
    return common_pb2.FileHeader(name=name, size=size, sha256=digest.hexdigest())


def chunks_of(path: pathlib.Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


# ---- Protobuf on the wire, as far as looking for file names needs it


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number does not end")


def _fields(file: BinaryIO, end: int) -> Iterator[Tuple[int, int, int]]:
    """(number, start, end) of each length-delimited field up to `end`, payloads unread; others are skipped."""
    position = file.tell()
    while position < end:
        file.seek(position)
        tag = _varint(file)
        kind = tag & 7
        if kind == 2:
            size = _varint(file)
            start = file.tell()
            if size > end - start:
                raise ValueError("a field passes the end of its message")
            yield tag >> 3, start, start + size
            position = start + size
        elif kind == 0:
            value = _varint(file)
            position = file.tell()
            yield tag >> 3, -1, value
        elif kind in (1, 5):
            position = file.tell() + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"unexpected wire type {kind}")


# Messages on the way from onnx.ModelProto to a tensor: kind → field number → kind.
_ONNX: Dict[str, Dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 6: "graph", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_MAX_DEPTH = 64


def _text(file: BinaryIO, start: int, end: int) -> str:
    file.seek(start)
    return file.read(end - start).decode("utf-8", "replace")


def _tensor_location(file: BinaryIO, start: int, end: int) -> List[str]:
    external, location = False, ""
    file.seek(start)
    for number, begin, stop in list(_fields(file, end)):
        if number == 14:  # data_location
            external = stop == 1
        if number == 13 and begin >= 0:  # external_data
            file.seek(begin)
            entry = {n: _text(file, b, e) for n, b, e in list(_fields(file, stop)) if b >= 0}
            if entry.get(1) == "location":
                location = entry.get(2, "")
    return [location] if external else []


def _locations(file: BinaryIO, kind: str, start: int, end: int, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ValueError("subgraphs nest too deep")
    if kind == "tensor":
        yield from _tensor_location(file, start, end)
        return
    file.seek(start)
    for number, begin, stop in _fields(file, end):
        child = _ONNX[kind].get(number)
        if child is not None and begin >= 0:
            yield from _locations(file, child, begin, stop, depth + 1)


def files_of_model(path: pathlib.Path) -> List[str]:
    """Names, relative to its folder, of an ONNX model and the external data files that its tensors name.

    Whether the model is sound is for the service to judge; a damaged one has no companions to look for.
    """
    try:
        with open(path, "rb") as file:
            found = list(dict.fromkeys(_locations(file, "model", 0, path.stat().st_size, 0)))
    except ValueError:
        found = []
    return [path.name, *found]


# ---- The OM container (docs/om_format.md)

_OM_HEADER_BYTES = 256
_FLOW_SUBMODEL = 7
_OM_DATA_FILE_PATH = 9  # field of SubmodelDef


def files_of_om(path: pathlib.Path) -> List[str]:
    """Names, relative to its folder, of an OM and the parts that are kept beside it. DataLoss when it is no OM."""
    names = [path.name]
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"IMOD":
                raise ValueError("it does not begin with IMOD")
            file.seek(_OM_HEADER_BYTES)
            count, _ = struct.unpack("<II", file.read(8))
            if count > 4096:
                raise ValueError(f"its table states {count} parts")
            table = [struct.unpack("<IIQQ", file.read(24)) for _ in range(count)]
            first = file.tell()
            for kind, _, offset, length in table:
                if kind != _FLOW_SUBMODEL:
                    continue
                if first + offset + length > size:
                    raise ValueError("a part passes its end")
                file.seek(first + offset)
                names += [_text(file, b, e) for n, b, e in list(_fields(file, first + offset + length))
                          if n == _OM_DATA_FILE_PATH and b >= 0]
    except (ValueError, struct.error) as error:
        raise errors.DataLoss(f"{path} is no OM file, or it is damaged: {error}") from None
    return list(dict.fromkeys(names))


class IncomingFiles:
    """Receives the files of an OM. The first goes to `om_path`, the others to where their names say beside it.

    Nothing appears under its final name before commit(); what was written disappears on close() without it.
    """

    def __init__(self, om_path: pathlib.Path):
        self._om_path = om_path
        self._files: List[Tuple[pathlib.Path, BinaryIO]] = []
        self._header: common_pb2.FileHeader | None = None
        self._digest = hashlib.sha256()
        self._received = 0
        self.bytes = 0

    def begin(self, header: common_pb2.FileHeader) -> None:
        self._end_file()
        path = self._om_path
        if self._files:
            path = resolve_inside(self._om_path.parent, header.name)
            path.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)
        self._files.append((path, file))
        self._header, self._digest, self._received = header, hashlib.sha256(), 0

    def append(self, chunk: bytes) -> None:
        if self._header is None:
            raise errors.Internal("the service sent a chunk before the header of its file")
        self._digest.update(chunk)
        self._received += len(chunk)
        self.bytes += len(chunk)
        self._files[-1][1].write(chunk)

    def _end_file(self) -> None:
        if self._header is None:
            return
        if self._received != self._header.size:
            raise errors.DataLoss(
                f"file '{self._header.name}': {self._received} of {self._header.size} bytes arrived")
        if self._digest.hexdigest() != self._header.sha256:
            raise errors.DataLoss(f"file '{self._header.name}': sha-256 is {self._digest.hexdigest()}, announced was "
                                  f"{self._header.sha256}")

    def commit(self) -> List[pathlib.Path]:
        """Gives all files their names, the OM last: whoever sees it can open the rest. Returns them, the OM first."""
        self._end_file()
        if not self._files:
            raise errors.Internal("the service sent no file")
        paths = [path for path, _ in self._files]
        umask = os.umask(0)
        os.umask(umask)
        for path, file in reversed(self._files):
            file.close()
            os.chmod(file.name, 0o666 & ~umask)
            os.replace(file.name, path)
        self._files = []
        return paths

    def close(self) -> None:
        for _, file in self._files:
            file.close()
            os.unlink(file.name)
        self._files = []


class Meter:
    """Reports progress of one phase whenever another hundredth is done."""

    def __init__(self, phase: str, total: int, report: Callable[[str, float, str], None]):
        self._phase, self._total, self._report = phase, total, report
        self._done = 0
        self._percent = -1

    def add(self, count: int, message: str) -> None:
        self._done += count
        fraction = self._done / self._total if self._total else 1.0
        if int(fraction * 100) != self._percent:
            self._percent = int(fraction * 100)
            self._report(self._phase, fraction, message)
