"""Server: omserved processes of one's own, for scripts and tests.

    with omserve.Server.standalone(devices=2) as server, server.client() as client:
        ...

    with omserve.Server.cluster(workers=2) as server:   # a coordinator and two worker processes
        ...
"""

from __future__ import annotations

import atexit
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from typing import Any, List, Optional, Sequence

from omserve.client import Client

_POLL_SECONDS = 0.01


class ServerError(Exception):
    """A process did not start; the message has the end of its log."""


class Process:
    """One omserved with its log file. Ended by stop()."""

    def __init__(self, folder: pathlib.Path, name: str, command: Sequence[str], binary: pathlib.Path):
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._address_path = folder / f"{name}.address"
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [str(binary), *command, "--address-file", str(self._address_path)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for_address(self, deadline: float) -> str:
        while True:
            try:
                address = self._address_path.read_text().strip()
            except FileNotFoundError:
                address = ""
            if address:
                return address
            if not self.running:
                raise ServerError(f"{self.name} ended while starting (code {self._process.returncode}); its log ends: "
                                  f"{self.log()[-2000:]}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} did not start in time; its log ends: {self.log()[-2000:]}")
            time.sleep(_POLL_SECONDS)

    def signal(self, number: int) -> None:
        """Sends a signal, for instance signal.SIGKILL or signal.SIGSTOP."""
        self._process.send_signal(number)

    def wait(self, timeout: Optional[float] = None) -> int:
        """The exit code, once it has ended."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 10.0) -> int:
        """Asks it to end (SIGTERM) and waits; kills it when it has not after `timeout` seconds."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()


class Server:
    """omserved in one or several processes on this machine; ends with the `with` block, at the latest with Python.

    The program is taken from `bin` or the environment variable OMSERVE_BIN (folders), else from PATH.
    """

    def __init__(self, *, bin: Optional[str] = None, start_timeout: float = 60.0):
        self._binary = _find_binary(bin)
        self._deadline = time.monotonic() + start_timeout
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="omserve."))
        self._started = 0
        self.coordinator: Optional[Process] = None
        self.workers: List[Process] = []
        self.address = ""
        _SERVERS.add(self)

    @classmethod
    def standalone(cls, devices: int = 1, *, arguments: Sequence[str] = (), bin: Optional[str] = None,
                   start_timeout: float = 60.0) -> "Server":
        """Coordinator and devices in one process. `arguments` are further ones for omserved."""
        server = cls(bin=bin, start_timeout=start_timeout)
        with _stopping_on_error(server):
            server._start_coordinator("standalone", ["--devices", f"cpu:{devices}", *arguments])
        return server

    @classmethod
    def cluster(cls, workers: int = 2, devices_per_worker: int = 1, *, coordinator_arguments: Sequence[str] = (),
                worker_arguments: Sequence[str] = (), bin: Optional[str] = None,
                start_timeout: float = 60.0) -> "Server":
        """A coordinator and worker processes; returns when all workers have registered."""
        server = cls(bin=bin, start_timeout=start_timeout)
        with _stopping_on_error(server):
            server._start_coordinator("coordinator", coordinator_arguments)
            for _ in range(workers):
                server.start_worker(devices_per_worker, arguments=worker_arguments)
            server.wait_for_workers(workers, timeout=start_timeout)
        return server

    def start_worker(self, devices: int = 1, *, name: str = "", arguments: Sequence[str] = ()) -> Process:
        """One more worker process, named worker0, worker1, … by default; does not wait until it has registered."""
        name = name or f"worker{self._started}"
        self._started += 1
        worker = Process(self._folder, name, ["worker", "--coordinator", self.address, "--listen", "127.0.0.1:0",
                                              "--name", name, "--devices", f"cpu:{devices}", *arguments], self._binary)
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, count: int, *, timeout: float = 60.0) -> None:
        """Returns when `count` workers are alive."""
        deadline = time.monotonic() + timeout
        with self.client() as client:
            while sum(worker.alive for worker in client.cluster(timeout=timeout).workers) < count:
                ended = [worker for worker in self.workers if not worker.running]
                if len(self.workers) - len(ended) < count:  # some may have been ended on purpose
                    raise ServerError(f"{ended[-1].name} ended (code {ended[-1].wait()}); its log ends: "
                                      f"{ended[-1].log()[-2000:]}" if ended else f"only {len(self.workers)} were started")
                if time.monotonic() > deadline:
                    raise ServerError(f"fewer than {count} workers have registered within {timeout} s")
                time.sleep(_POLL_SECONDS)

    def client(self) -> Client:
        """A new connection to the coordinator."""
        return Client(self.address)

    def stop(self) -> None:
        """Ends all processes, the workers first. May be called again."""
        for process in [*self.workers, *([self.coordinator] if self.coordinator else [])]:
            process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        _SERVERS.discard(self)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def _start_coordinator(self, role: str, arguments: Sequence[str]) -> None:
        self.coordinator = Process(self._folder, role, [role, "--listen", "127.0.0.1:0", *arguments], self._binary)
        self.address = self.coordinator.wait_for_address(self._deadline)


_SERVERS: "weakref.WeakSet[Server]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for server in list(_SERVERS):
        server.stop()


class _stopping_on_error:
    def __init__(self, server: Server):
        self._server = server

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            self._server.stop()


def _find_binary(folder: Optional[str]) -> pathlib.Path:
    folder = folder or os.environ.get("OMSERVE_BIN")
    found = str(pathlib.Path(folder) / "omserved") if folder else shutil.which("omserved")
    if not found or not os.access(found, os.X_OK):
        raise ServerError(f"there is no {found or 'omserved in PATH'}; set OMSERVE_BIN to the folder of omserved")
    return pathlib.Path(found)
