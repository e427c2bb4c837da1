"""The services that are compared, each in processes of its own."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 300
STOP_S = 60


@dataclass(frozen=True)
class Service:
    """A service on a port of this machine."""

    process: subprocess.Popen[bytes]
    port: int

    def megabytes(self) -> float:
        """Return the memory of all its processes, what they share being counted once."""
        kilobytes = 0
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            except OSError:
                continue
            kilobytes += sum(
                int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")
            )
        return kilobytes / 1000

    def metric(self, name: str, key: str) -> float:
        """Return a number of `/metrics`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {key}"})
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
        return float(value)

    def replicas(self, deployment: str) -> list[int]:
        """Return the processes of a deployment's replicas."""
        wanted = f"ray::ServeReplica:sales:{deployment}"
        return [
            pid for pid in descendants(self.process.pid) if _title(pid).startswith(wanted)
        ]  # fmt: skip


@contextmanager
def running(command: list[str], port: int, log: Path, ready: str = "/readyz") -> Iterator[Service]:
    """Start a command, wait until it is ready, and stop it afterwards."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + START_S
            while not _answers(port, ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} did not start; {log} tells why")
                time.sleep(0.5)
            yield Service(process, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)


def platform(home: Path, port: int) -> list[str]:
    """Return the command of this platform's service."""
    sales = Path(sys.executable).parent / "sales"
    return [str(sales), "serve", "--home", str(home), "--port", str(port)]


def plain(home: Path, port: int) -> list[str]:
    """Return the command of the same interface in one process, without Ray."""
    return [sys.executable, "-m", "benchmarks.serving.plain", str(home), str(port)]


def original(port: int) -> list[str]:
    """Return the command of a Flask server around one LSTM."""
    return [sys.executable, "-m", "benchmarks.serving.original", str(port)]


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    children = [int(child) for child in text.split()]
    return [*children, *(each for child in children for each in descendants(child))]


def kill(pids: list[int]) -> None:
    """Kill processes without a word."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
