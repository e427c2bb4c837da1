"""TensorFlow comes in by one door, and its greeting stays outside."""

import ast
import os
from contextlib import contextmanager, suppress

import pytest

from sales_assets.forecasting import lstm
from sales_assets.settings import REPOSITORY


def imports(path):
    """Return the top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_no_other_module_imports_tensorflow():
    files = [
        path
        for directory in ("sales_assets", "serving", "benchmarks", "expectations")
        for path in (REPOSITORY / directory).rglob("*.py")
    ]
    assert len(files) > 30

    found = {
        path.relative_to(REPOSITORY).as_posix()
        for path in files
        if imports(path) & {"tensorflow", "keras"}
    }
    # The original's way of serving is only measured.
    assert found == {"sales_assets/forecasting/lstm.py", "benchmarks/serving/original.py"}


@contextmanager
def terminal():
    """Make descriptor 2 a terminal; what was written to it is in the list afterwards."""
    ours, theirs = os.openpty()
    before = os.dup(2)
    os.dup2(theirs, 2)
    os.close(theirs)
    written, text = [], b""
    try:
        yield written
    finally:
        os.dup2(before, 2)
        os.close(before)
        # The terminal has no writer any more: what is left in it, and then an error.
        with suppress(OSError):
            while chunk := os.read(ours, 4096):
                text += chunk
        os.close(ours)
        written += text.decode().splitlines()


WARNING = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
)
CUDA = (
    b"I0000 00:00:1.1 1 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU ...\n"
)


def test_tensorflows_greeting_stays_off_a_terminal_and_all_else_comes_through():
    with terminal() as written:
        os.write(2, b"before\n")
        with lstm._without_greeting():
            os.write(2, WARNING + CUDA)
            os.write(2, b"something to know\n" + CUDA)
            os.write(2, b"without an end")
        os.write(2, b"; after\n")

    assert written == ["before", "something to know", "without an end; after"]


def broken_import():
    with lstm._without_greeting():
        os.write(2, WARNING + b"what the loader says\n")
        raise ImportError("no such library")


def test_what_went_wrong_at_the_import_comes_through():
    with terminal() as written:
        with pytest.raises(ImportError, match="no such library"):
            broken_import()
        os.write(2, b"after\n")

    assert written == ["what the loader says", "after"]


def test_a_log_that_is_no_terminal_holds_all(capfd):
    with lstm._without_greeting():
        os.write(2, CUDA)

    assert capfd.readouterr().err.encode() == CUDA
