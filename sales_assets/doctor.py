"""Examination of a home and of a delivery: each fault that a person can mend, with its remedy."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sales_assets.errors import SalesError
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.settings import Settings
from sales_assets.sources import kaggle
from sales_assets.warehouse import connect, connect_snapshot, in_memory, query, recall

ENOUGH_DISK_GB = 2
# Rows of one file and kind of reason that are told line by line.
ROWS_TOLD = 5


@dataclass(frozen=True)
class Finding:
    """One thing looked at, in a sentence that names the remedy where it is not well."""

    is_well: bool
    text: str


def examine(settings: Settings) -> list[Finding]:
    """Look at the home's directory, disk, warehouse, snapshot and champion."""
    return [
        finding
        for look in (_directory, _disk, _warehouse, _snapshot, _champion)
        for finding in _told(look, settings)
    ]


def _told(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from look(settings)
    except SalesError as error:
        yield Finding(False, str(error))


def _directory(settings: Settings) -> Iterator[Finding]:
    home = settings.home.absolute()
    if not home.is_dir():
        yield Finding(False, f"{home} does not exist; `sales refresh --source DIR` creates it.")
    elif not os.access(home, os.W_OK):
        yield Finding(False, f"{home} cannot be written; change its owner or name another --home.")
    else:
        yield Finding(True, f"{home} can be written")


def _disk(settings: Settings) -> Iterator[Finding]:
    if settings.home.is_dir():
        free = shutil.disk_usage(settings.home).free / 1e9
        advice = "" if free >= ENOUGH_DISK_GB else f"; {ENOUGH_DISK_GB} GB are needed, make room"
        yield Finding(free >= ENOUGH_DISK_GB, f"{free:.1f} GB of disk are free{advice}")


def _warehouse(settings: Settings) -> Iterator[Finding]:
    if not settings.warehouse_path.exists():
        yield Finding(False, "There is no warehouse yet; run `sales refresh --source DIR`.")
        return
    with connect(settings):
        yield Finding(True, f"{settings.warehouse_path} opens for writing")


def _snapshot(settings: Settings) -> Iterator[Finding]:
    with connect_snapshot(settings) as con:
        ((cutoff, stores, last),) = con.execute(
            "select max(cutoff), count(distinct store_id), max(date) from forecasts.latest"
        ).fetchall()
        yield Finding(True, f"{stores} stores are forecast from {cutoff} to {last}")


def _champion(settings: Settings) -> Iterator[Finding]:
    store = ModelStore(settings.models)
    champion = store.champion()
    if champion is None:
        yield Finding(False, "There is no champion yet; run `sales refresh`.")
        return
    store.verified(ENSEMBLE, champion.version, champion.manifest_sha256)
    for name, member in store.manifest(ENSEMBLE, champion.version).members.items():
        store.verified(name, member["version"], member["manifest_sha256"])
    yield Finding(True, f"champion {champion.version} and its members are as they were saved")


def examine_delivery(settings: Settings, source: Path) -> list[Finding]:
    """Judge a delivery as a refresh of this home would, and write nothing to the home.

    The stores and days that were published count as loaded before.

    Args:
        settings: The home, and how many rows may be refused.
        source: A directory or .zip, as of `sales refresh --source`.

    Raises:
        SalesError: The source, or what was published before, cannot be read.
    """
    with (
        tempfile.TemporaryDirectory(prefix="sales-delivery-") as name,
        in_memory(settings) as con,
    ):
        con.execute("set temp_directory = $path", {"path": name})
        if settings.snapshot_path.exists():
            recall(con, settings, ["raw.stores", "raw.sales"])
        files = list(
            kaggle.inspect(
                con, source, max_refused_share=settings.max_refused_share, scratch=Path(name)
            )
        )
        refusals = query(con, "quality/refusals", load_id=None, examples=ROWS_TOLD).fetchall()
    by_load = {load: list(rows) for load, rows in groupby(refusals, lambda row: row[0])}
    findings = [
        finding for file in files for finding in _of_file(file, by_load.get(file.load_id, []))
    ]
    if any(file.fault for file in files):
        findings.append(Finding(False, f"A refresh would load nothing of {source}."))
    return findings


def _of_file(file: kaggle.Judged, refusals: list[tuple]) -> Iterator[Finding]:
    """Tell a file's refused rows, kind by kind, and then what is to be said of the whole."""
    for _, name, line, reason, _, rows, place in refusals:
        yield Finding(False, f"{name}, line {line}: {reason}")
        if place == ROWS_TOLD and (more := rows - place):
            noun = "row" if more == 1 else "rows"
            yield Finding(False, f"{name}: {more:,} more {noun} like line {line}")
    if file.fault:
        yield Finding(False, file.fault)
    else:
        usable = f"{file.rows - file.refused:,} of {file.rows:,} rows"
        yield Finding(True, f"{file.file}: {usable} can be used")
