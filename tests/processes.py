"""Processes forked from one that has imported everything, which is most of a short run's time."""

import multiprocessing
import os
import socket
import subprocess
import tempfile
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "great_expectations",
        "sales_assets.definitions",
        "sales_assets.doctor",
        "sales_assets.printing",
        "statsforecast",
        "tensorflow",
        "tests.faults.commands",
    ]
)


def free_port() -> int:
    """Return a port of this machine that nobody listens on, whatever else runs here."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run_command(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `sales` in the caller's directory and environment, and return what it said."""
    with tempfile.TemporaryDirectory(prefix="sales-") as directory:
        outputs = [Path(directory) / name for name in ("stdout", "stderr")]
        process = CONTEXT.Process(
            target=_command, args=(arguments, outputs, dict(os.environ), Path.cwd())
        )
        process.start()
        process.join()
        texts = [output.read_text(encoding="utf-8") for output in outputs]
    assert process.exitcode is not None
    return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


def _command(
    arguments: list[str], outputs: list[Path], environment: dict[str, str], directory: Path
) -> None:
    for number, output in enumerate(outputs, start=1):
        with output.open("w", encoding="utf-8") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    from sales_assets.cli import main

    main(arguments)
