"""Examination of a home and of a delivery: each fault that a person can mend, with its remedy."""

import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import duckdb

from sales_assets import leftovers
from sales_assets.errors import ModelStoreError, SalesError
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.forecasting.release import Release
from sales_assets.forecasting.retention import members_of, released
from sales_assets.lock import holder
from sales_assets.service import look_at
from sales_assets.settings import Settings
from sales_assets.sources import kaggle
from sales_assets.sources.inbox import Inbox, in_words
from sales_assets.warehouse import (
    connect,
    connect_snapshot,
    in_memory,
    query,
    read_through,
    recall,
    table_exists,
)

ENOUGH_DISK_GB = 2
# A home on another machine's disk may have its times from that one's clock.
CLOCKS_DIFFER = timedelta(hours=1)
# What is in `incoming` for longer than several refreshes take is not taken.
LONGEST_WAIT = timedelta(hours=3)
# Rows of one file and kind of reason that are told line by line.
ROWS_TOLD = 5


@dataclass(frozen=True)
class Finding:
    """One thing looked at, in a sentence that names the remedy where it is not well."""

    is_well: bool
    text: str


def examine(settings: Settings, *, asks_service: bool = False) -> list[Finding]:
    """Look at everything in a home that can stay wrong, and change nothing.

    Args:
        settings: The home.
        asks_service: Whether a service is to answer at `settings.service_url`.
    """
    looks = [_directory, _disk, _lock]
    if settings.home.is_dir():
        # What a refresh under way has not finished is no fault of the home.
        is_busy = holder(settings) is not None
        looks += [] if is_busy else [_runs, _leftovers, _warehouse]
        looks += [_snapshot, _champion, _versions, _release, _quality, _incoming, _rejected]
        looks += [_service] if asks_service and not is_busy else []
    return [finding for look in (*looks, _source) for finding in _told(look, settings)]


def _told(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from look(settings)
    except SalesError as error:
        yield Finding(False, str(error))


def _directory(settings: Settings) -> Iterator[Finding]:
    home = settings.home.absolute()
    if not home.is_dir():
        yield Finding(False, f"{home} does not exist; `sales refresh --source DIR` creates it.")
        return
    try:
        # Permission bits say nothing to root, and nothing of a disk that can only be read.
        with tempfile.TemporaryFile(dir=home):
            yield Finding(True, f"{home} can be written")
    except OSError as error:
        yield Finding(
            False,
            f"{home} cannot be written ({error.strerror}); make it writable for this user or "
            "name another --home.",
        )


def _disk(settings: Settings) -> Iterator[Finding]:
    if settings.home.is_dir():
        free = shutil.disk_usage(settings.home).free / 1e9
        advice = "" if free >= ENOUGH_DISK_GB else f"; {ENOUGH_DISK_GB} GB are needed, make room"
        yield Finding(free >= ENOUGH_DISK_GB, f"{free:.1f} GB of disk are free{advice}")


def _lock(settings: Settings) -> Iterator[Finding]:
    if process := holder(settings):
        yield Finding(
            True, f"process {process} is refreshing; runs and warehouse were not looked at"
        )


def _runs(settings: Settings) -> Iterator[Finding]:
    """Tell unfinished runs: the lock is free, so that none of them is at work."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        return
    from sales_assets.runs import newest_failure, unfinished

    killed, starting = (", ".join(each[:8] for each in runs) for runs in unfinished(settings))
    if killed:
        yield Finding(
            False,
            f"Run {killed} was killed and is not recorded as failed; the next `sales refresh` or "
            "`sales dev` mends that.",
        )
    else:
        yield Finding(True, "no run was killed")
    if starting:
        yield Finding(True, f"run {starting} is just being started")
    if failure := newest_failure(settings):
        yield Finding(
            False,
            f"The newest refresh, run {failure.run_id[:8]} of {failure.ended_at:%Y-%m-%d %H:%M} "
            f"UTC, failed: {failure.reason} Once that is mended, `sales refresh` goes on.",
        )


def _leftovers(settings: Settings) -> Iterator[Finding]:
    names = [str(path.relative_to(settings.home)) for path in leftovers.found(settings)]
    if names:
        yield Finding(
            False,
            f"A killed run has left {', '.join(names)}; the next `sales refresh` removes it.",
        )


def _warehouse(settings: Settings) -> Iterator[Finding]:
    if not settings.warehouse_path.exists():
        yield Finding(False, "There is no warehouse yet; run `sales refresh --source DIR`.")
        return
    with connect(settings, read_only=True) as con:
        read_through(con)
    yield Finding(
        True, f"{settings.warehouse_path} can be read throughout by DuckDB {duckdb.__version__}"
    )


def _snapshot(settings: Settings) -> Iterator[Finding]:
    with connect_snapshot(settings) as con:
        read_through(con)
        if not table_exists(con, "forecasts.latest"):
            yield Finding(False, "Nothing is forecast yet; run `sales refresh`.")
            return
        ((cutoff, stores, last),) = con.execute(
            "select max(cutoff), count(distinct store_id), max(date) from forecasts.latest"
        ).fetchall()
        # Refreshes alone check the backtest; studies and promotions publish without one.
        checked = con.execute(
            "select checked_at from quality.summary where suite = 'models_backtest'"
        ).fetchone()
    yield Finding(True, f"{stores} stores are forecast from {cutoff} to {last}")
    if checked:
        yield from _age(settings, checked[0].replace(tzinfo=UTC))


def _age(settings: Settings, refreshed: datetime) -> Iterator[Finding]:
    """Tell a refresh that is too old, or that is yet to come."""
    age = datetime.now(UTC) - refreshed
    if age < -CLOCKS_DIFFER:
        yield Finding(
            False,
            f"{settings.snapshot_path} is of a refresh of {refreshed:%Y-%m-%d %H:%M} UTC, which is "
            "yet to come: this machine's clock is behind, or was ahead then; set it where it is, "
            "since schedules go by it and days after it are refused.",
        )
    if age.days > settings.stale_days:
        yield Finding(
            False,
            f"{settings.snapshot_path} is of a refresh {age.days} days ago, on "
            f"{refreshed:%Y-%m-%d}; look in `sales dev` why none has succeeded since, or run "
            "`sales refresh`.",
        )


def _champion(settings: Settings) -> Iterator[Finding]:
    store = ModelStore(settings.models)
    champion, _ = store.champion(), store.choice()
    if champion is None:
        yield Finding(False, "There is no champion yet; run `sales refresh`.")
        return
    store.verify_whole(champion.version, champion.manifest_sha256)
    yield Finding(True, f"champion {champion.version} and its members are as they were saved")


def _versions(settings: Settings) -> Iterator[Finding]:
    """Tell the versions that nobody could go back to; those in use a refresh makes anew."""
    store = ModelStore(settings.models)
    used = _in_use(store, settings)
    for path in sorted(settings.models.glob("*/[!.]*/")):
        name, version = path.parent.name, path.name
        try:
            store.verified(name, version)
        except ModelStoreError as error:
            if (name, version) in used:
                yield Finding(False, str(error))
                continue
            fault = str(error).partition(";")[0].rstrip(".")
            yield Finding(
                False,
                f"{fault}; nothing forecasts with it now. Put it back from a copy, or give the "
                f"version up by `rm -r {shlex.quote(str(path.absolute()))}`.",
            )


def _in_use(store: ModelStore, settings: Settings) -> set[tuple[str, str]]:
    """Return name and version of what forecasts or answers, as far as it can be read."""
    ensembles = released([settings.serving, settings.served])
    with suppress(ModelStoreError):
        champion = store.champion()
        ensembles |= {champion.version} if champion else set()
    with suppress(ModelStoreError):
        choice = store.choice()
        ensembles |= {choice.version, choice.challenger} if choice else set()
    members = [item for version in ensembles for item in members_of(store, version).items()]
    return {*((ENSEMBLE, version) for version in ensembles), *members}


def _release(settings: Settings) -> Iterator[Finding]:
    release = Release.read(settings.serving)
    release.verified(settings.serving)
    ModelStore(settings.models).verified(ENSEMBLE, release.version, release.manifest_sha256)
    yield Finding(True, f"services answer with {release.version} and {release.data}")


def _service(settings: Settings) -> Iterator[Finding]:
    # Without a release nothing can be served, which has been told.
    with suppress(SalesError):
        yield Finding(*look_at(Release.read(settings.serving), settings))


def _quality(settings: Settings) -> Iterator[Finding]:
    if not settings.validation_path.is_file():
        yield Finding(
            False, f"There is no {settings.validation_path}; the next `sales refresh` writes it."
        )


def _incoming(settings: Settings) -> Iterator[Finding]:
    """Tell the deliveries that nobody will take."""
    inbox = Inbox(settings)
    taken = [path.name for path in inbox.taken()]
    names = [*taken, *map(in_words, inbox.arrived())]
    # Behind one that is being loaded, others may wait for long.
    late = [] if taken else inbox.waiting_since(datetime.now(UTC) - LONGEST_WAIT)
    if not names and not late:
        return
    from sales_assets.runs import takes_deliveries

    is_watched = takes_deliveries(settings)
    if is_watched and late:
        yield Finding(
            False,
            f"{', '.join(late)} in {settings.incoming} is not taken by the running `sales dev`: it "
            "is a link, has the name of an unfinished file, waits for another one, or cannot be "
            "moved, which the sensor `incoming` in its UI then says.",
        )
    elif is_watched:
        yield Finding(True, f"a running `sales dev` takes {', '.join(names)} from incoming")
    else:
        yield Finding(
            False,
            f"{', '.join(names)} in {settings.incoming} waits for `sales dev`, which is not "
            "running, or whose sensor `incoming` is switched off; start it, or move what waits "
            "elsewhere and load it by `sales refresh --source`.",
        )


def _rejected(settings: Settings) -> Iterator[Finding]:
    for report in sorted(settings.rejected.glob("*.txt")):
        yield Finding(
            False,
            f"The delivery {report.stem} was not used; {report} says why. Mend it and put it into "
            f"{settings.incoming}, or remove it with its report.",
        )


def _source(settings: Settings) -> Iterator[Finding]:
    if settings.source is None:
        yield Finding(
            True,
            "SALES_SOURCE is not set: a scheduled refresh loads nothing new; what is put into "
            "incoming starts a refresh of its own",
        )
    elif not settings.source.exists():
        yield Finding(
            False,
            f"SALES_SOURCE={settings.source} does not exist; a scheduled refresh would stop there.",
        )
    else:
        yield Finding(True, f"a scheduled refresh loads {settings.source}")


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
