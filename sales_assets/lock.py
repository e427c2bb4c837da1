"""The lock of a home: one process at a time changes it, whoever started that process."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sales_assets.errors import HomeError
from sales_assets.settings import Settings

# Who only looks whether a home is locked, locks it for an instant.
ATTEMPTS, PAUSE_S = 10, 0.1

# The files that this process has locked.
_held: dict[Path, TextIO] = {}


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Hold the home's lock; the kernel lets go of it when this process ends, however it ends.

    Where this process holds it already, it goes on holding it.

    Raises:
        HomeError: Another process holds it, or the home cannot be written.
    """
    path = settings.lock_path.absolute()
    if path in _held:
        yield
        return
    _take(path, settings)
    try:
        yield
    finally:
        _held.pop(path).close()


def hold(settings: Settings) -> None:
    """Hold the home's lock until this process ends, or as long as the process holds it already.

    Raises:
        HomeError: As of `exclusive`.
    """
    path = settings.lock_path.absolute()
    if path not in _held:
        _take(path, settings)


def holder(settings: Settings) -> str | None:
    """Return the id of the process that holds the home's lock, or nothing if it is free."""
    try:
        with settings.lock_path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _holder(file)
            return None
    except FileNotFoundError:
        return None


def _take(path: Path, settings: Settings) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise HomeError(
            f"{path.parent} cannot be written: {error.strerror}; name another --home."
        ) from None
    try:
        if not _is_locked(file):
            raise HomeError(
                f"Process {_holder(file)} is refreshing {settings.home}; wait until it has "
                "finished."
            )
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
    except BaseException:
        file.close()
        raise
    _held[path] = file


def _is_locked(file: TextIO) -> bool:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
