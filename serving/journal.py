"""Served predictions as Parquet files, for monitoring: bounded, and never in an answer's way."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

log = logging.getLogger("serving")

SCHEMA = pa.schema(
    [
        ("served_at", pa.timestamp("ms", tz="UTC")),
        ("version", pa.string()),
        ("key", pa.string()),
        ("path", pa.string()),
        ("degraded", pa.list_(pa.string())),
        ("store_id", pa.int32()),
        ("date", pa.date32()),
        ("h", pa.int16()),
        ("is_open", pa.bool_()),
        ("is_promo", pa.bool_()),
        ("state_holiday", pa.string()),
        ("is_school_holiday", pa.bool_()),
        ("forecast", pa.float64()),
        ("lo_80", pa.float64()),
        ("hi_80", pa.float64()),
        ("lo_95", pa.float64()),
        ("hi_95", pa.float64()),
    ]
)
# Predictions that wait to be written; those that come when so many wait are counted and let go.
MOST_WAITING = 100_000
ROWS_A_FILE = 50_000


class Journal:
    """Appends what was answered to a directory, by a thread of its own.

    Args:
        directory: `<home>/served`.
        max_bytes: What all files may take together; the oldest make way.
        seconds: How often what has come in is written.
    """

    def __init__(self, directory: Path, max_bytes: int, seconds: float = 30.0) -> None:
        self.directory, self.max_bytes, self.seconds = directory, max_bytes, seconds
        self.dropped = 0
        self._waiting: deque[tuple[dict[str, Any], list[dict[str, Any]]]] = deque()
        self._rows_waiting, self._lock = 0, threading.Lock()
        self._stop = threading.Event()
        self._written = 0
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        self._stop.set()
        self._thread.join(timeout=5)

    def note(
        self,
        predictions: list[dict[str, Any]],
        version: str,
        key: str,
        path: str,
        degraded: Iterable[str],
    ) -> None:
        """Take down an answer's predictions; it returns at once, whatever the disk does."""
        answer = {
            "served_at": datetime.now(UTC), "version": version, "key": key, "path": path,
            "degraded": list(degraded),
        }  # fmt: skip
        with self._lock:
            if self._rows_waiting + len(predictions) > MOST_WAITING:
                self.dropped += len(predictions)
                return
            self._rows_waiting += len(predictions)
            self._waiting.append((answer, predictions))

    def _work(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(self.seconds)
            self._write()

    def _write(self) -> None:
        rows: list[dict[str, Any]] = []
        while self._waiting:
            with self._lock:
                answer, predictions = self._waiting.popleft()
                self._rows_waiting -= len(predictions)
            rows += [answer | _row(prediction) for prediction in predictions]
            if len(rows) >= ROWS_A_FILE or not self._waiting:
                self._write_file(rows)
                rows = []

    def _write_file(self, rows: list[dict[str, Any]]) -> None:
        self._written += 1
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = self.directory / f"predictions-{now}-{os.getpid()}-{self._written:06}.parquet"
        fresh = path.with_suffix(".tmp")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), fresh, compression="zstd")
            fresh.replace(path)
        except (OSError, pa.ArrowException) as error:
            # A full disk must not end the thread: later answers may find room.
            self.dropped += len(rows)
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            log.warning("%d served predictions were not kept: %s", len(rows), error)
        # Another replica may make room in the same directory.
        with suppress(OSError):
            self._make_room()

    def _make_room(self) -> None:
        files = sorted(self.directory.glob("predictions-*.parquet"), key=_age)
        sizes = {path: path.stat().st_size for path in files}
        total = sum(sizes.values())
        # The newest stays, whatever its size.
        for path in files[:-1]:
            if total <= self.max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= sizes[path]


def _row(prediction: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {
        f"{side}_{level}": bound
        for level, pair in prediction["intervals"].items()
        for side, bound in zip(("lo", "hi"), pair, strict=True)
    }
    day = datetime.fromisoformat(prediction["date"]).date()
    return {
        "store_id": prediction["store_id"], "date": day, "h": prediction["h"],
        "forecast": prediction["forecast"], **prediction["plan"], **bounds,
    }  # fmt: skip


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
