"""Deliveries in Kaggle's Rossmann layout: `train.csv`, `store.csv` and perhaps `test.csv`.

Each file is copied once with its line numbers in front and its broken lines marked, so that the
copy is well formed whatever was delivered; DuckDB's CSV reader then reads the copy, and SQL types
and judges every row. A row's line is therefore a value of the row, never counted afterwards.
"""

import errno
import hashlib
import logging
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

import duckdb

from sales_assets import warehouse
from sales_assets.errors import SourceError
from sales_assets.sources.inbox import TAKEN
from sales_assets.sources.layout import JUDGED_BY, LAYOUTS, Kind, Layout
from sales_assets.sources.lines import Unusable, number_lines, opened

log = logging.getLogger("sales_assets.raw")

T = TypeVar("T")

# An archive may claim anything; 1 GiB holds a year of 70,000 stores.
MAX_EXTRACTED_BYTES = 1 << 30
# Kinds of reasons that the sentence of a refused file names.
REASONS_TOLD = 3
_EXPECTED = (
    "a directory or .zip (at its root or in one folder) with train.csv, store.csv and, if there is "
    "a plan, test.csv"
)
# What a damaged, locked or exotic archive makes zipfile raise; RuntimeError tells of a password.
_UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError
)  # fmt: skip
# What is wrong with the disk that an archive is unpacked to.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Load:
    """What became of one delivered file."""

    load_id: int
    file: str
    kind: Kind
    sha256: str
    rows: int
    """Data rows in the file, refused ones included."""
    refused: int
    is_new: bool
    """False if the file had been loaded before and was left alone."""
    superseded_by: int | None = None
    """Of a file that was left alone: the newest load of another one that came after it."""
    added: int | None = None
    """Of a file that was judged once more: the rows that were not there yet."""


@dataclass(frozen=True)
class Judged:
    """What would become of a delivered file."""

    file: str
    rows: int = 0
    refused: int = 0
    load_id: int | None = None
    """Of its refused rows in `quality.quarantine`."""
    fault: str | None = None
    """Why the whole file could not be loaded."""


def deliver(
    con: duckdb.DuckDBPyConnection, source: Path, *, max_refused_share: float, scratch: Path
) -> list[Load]:
    """Load a delivery into `raw.*`: all of its usable rows, or nothing at all.

    Rows replace those of the same store and day. Refused rows go to `quality.quarantine`. A file
    whose content was loaded before is left alone, unless `store.csv` is new, or days that were in
    the future have come: rows that have become usable are added, and those that are there stay.

    Args:
        con: The warehouse, with its schemas, open for writing and outside a transaction.
        source: A directory with the files, or a .zip with them at its root or in one folder.
        max_refused_share: Share of a file's rows that may be refused, 0 to 1.
        scratch: Directory for temporary files; created if missing, left as it was.

    Returns:
        One `Load` for each file that was found: stores, sales and, if delivered, plan.

    Raises:
        SourceError: The delivery cannot be used; the warehouse is as it was before.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="delivery-", dir=scratch) as name:
        folder = Path(name)
        files = _find(source, folder)
        if lacking := _lacking(source, files):
            raise SourceError(lacking)
        with warehouse.transaction(con):
            _create_tables(con)
            loads: list[Load] = []
            for layout in [layout for layout in LAYOUTS if layout.file in files]:
                path = files[layout.file]
                stores_are_new = bool(loads) and loads[0].is_new
                try:
                    load = _load(con, layout, path, folder, again=stores_are_new)
                    _stop_if_too_many(con, load, max_refused_share)
                except Unusable as fault:
                    raise SourceError(f"{fault}; nothing was loaded.") from None
                _tell(load)
                loads.append(load)
    return loads


def inspect(
    con: duckdb.DuckDBPyConnection, source: Path, *, max_refused_share: float, scratch: Path
) -> Iterator[Judged]:
    """Judge every file of a delivery as `deliver` would, whatever is wrong with the others.

    Args:
        con: A warehouse in memory, with its schemas, whose tables are filled on the way: refused
            rows are in its `quality.quarantine` afterwards. Stores and sales that are in it count
            as loaded before.
        source: As of `deliver`.
        max_refused_share: As of `deliver`.
        scratch: A directory for temporary files.

    Raises:
        SourceError: There is nothing that could be read.
    """
    files = _find(source, scratch)
    if lacking := _lacking(source, files):
        yield Judged(source.name, fault=lacking.removesuffix("."))
    _create_tables(con)
    stores_are_known = False
    for layout in [layout for layout in LAYOUTS if layout.file in files]:
        path = files[layout.file]
        try:
            if layout.kind != "stores" and not stores_are_known:
                # Without a usable store.csv every row would be refused for its store.
                _judge(con, layout, path, scratch / "numbered.csv")
                warehouse.query(con, "raw/assumed_stores")
            load = _load(con, layout, path, scratch, again=True)
        except Unusable as fault:
            yield Judged(layout.file, fault=str(fault))
            continue
        stores_are_known = stores_are_known or layout.kind == "stores"
        over = _over_limit(load, max_refused_share)
        yield Judged(layout.file, load.rows, load.refused, load.load_id, fault=over)


def _create_tables(con: duckdb.DuckDBPyConnection) -> None:
    for table in ("raw/loads", "raw/stores", "raw/sales", "raw/plan", "quality/quarantine"):
        warehouse.query(con, table)


def _load(
    con: duckdb.DuckDBPyConnection, layout: Layout, path: Path, folder: Path, *, again: bool
) -> Load:
    sha256 = _sha256(path)
    file: dict[str, str] = {"file": layout.file, "kind": layout.kind, "sha256": sha256}
    known = warehouse.query(con, "raw/known_load", **file).fetchone()
    if known and not (again or _has_come_due(con, known[0])):
        load_id, rows, refused, first = known
        newest = warehouse.query(con, "raw/newest_load", kind=layout.kind).fetchone()
        assert newest is not None
        later = newest[0] if newest[0] > first else None
        told = first if later else load_id
        return Load(told, layout.file, layout.kind, sha256, rows, refused, False, later)

    rows, refused = _judge(con, layout, path, folder / "numbered.csv")
    load_id = _next_load_id(con)
    warehouse.query(con, "quality/superseded", **file)
    warehouse.query(con, "quality/refused", load_id=load_id, **file)
    written = warehouse.query(
        con,
        f"raw/upserted_{layout.kind}",
        load_id=load_id,
        # Rows that could not be used before count as delivered when the file first came.
        own_load_id=known[-1] if known else load_id,
        **file,
    ).fetchone()
    assert written is not None
    warehouse.query(
        con,
        "raw/recorded_load",
        load_id=load_id,
        rows=rows,
        refused=refused,
        loaded_at=datetime.now(UTC).replace(tzinfo=None),
        **file,
    )
    con.execute("drop table judged_rows")
    added = int(written[0]) if known else None
    return Load(load_id, layout.file, layout.kind, sha256, rows, refused, True, added=added)


def _has_come_due(con: duckdb.DuckDBPyConnection, load_id: int) -> bool:
    """Tell whether days of a load were refused as in the future, and have come since."""
    today = datetime.now(UTC).date()
    due = warehouse.query(con, "quality/come_due", load_id=load_id, today=today).fetchone()
    return due is not None


def _judge(
    con: duckdb.DuckDBPyConnection, layout: Layout, path: Path, numbered: Path
) -> tuple[int, int]:
    """Fill the temporary table `judged_rows`; return its rows and how many have a reason.

    Raises:
        Unusable: The file has another layout, or no rows.
    """
    columns = number_lines(path, numbered, layout)
    suffix = "stores" if layout.kind == "stores" else "days"
    warehouse.create_table(
        con,
        "delivered_rows",
        f"raw/delivered_{suffix}",
        temporary=True,
        path=str(numbered),
        columns={"line": "bigint"} | dict.fromkeys(("row_text", "fault", *columns), "varchar"),
        kind=layout.kind,
        today=datetime.now(UTC).date(),
        **JUDGED_BY,
    )
    rows = warehouse.create_table(
        con, "judged_rows", f"raw/judged_{suffix}", temporary=True, **JUDGED_BY
    )
    con.execute("drop table delivered_rows")
    numbered.unlink()
    if rows == 0:
        raise Unusable(f"{layout.file} has a header but no rows")
    row = con.execute("select count(reason) from judged_rows").fetchone()
    assert row is not None
    return rows, int(row[0])


def _stop_if_too_many(con: duckdb.DuckDBPyConnection, load: Load, max_refused_share: float) -> None:
    over = _over_limit(load, max_refused_share) if load.is_new else None
    if over:
        kinds = warehouse.query(con, "quality/refusals", load_id=load.load_id, examples=1)
        examples = kinds.fetchmany(REASONS_TOLD)
        raise Unusable(
            "; ".join([over, *(f"line {line}: {reason}" for _, _, line, reason, *_ in examples)])
        )


def _tell(load: Load) -> None:
    if load.superseded_by:
        log.warning(
            "%s: already loaded as load %d, and what load %d changed since then stays; to load it "
            "all the same, add an empty line at its end",
            load.file, load.load_id, load.superseded_by,
        )  # fmt: skip
        return
    if not load.is_new:
        log.info("%s: already loaded as load %d, nothing to do", load.file, load.load_id)
        return
    if load.added is not None:
        log.info(
            "%s: load %d, judged once more, %s rows added, %s refused",
            load.file, load.load_id, f"{load.added:,}", f"{load.refused:,}",
        )  # fmt: skip
        return
    log.info(
        "%s: load %d, %s rows loaded, %s refused",
        load.file, load.load_id, f"{load.rows - load.refused:,}", f"{load.refused:,}",
    )  # fmt: skip


def _over_limit(load: Load, max_refused_share: float) -> str | None:
    """Tell that more of a file's rows were refused than allowed."""
    if load.refused <= max_refused_share * load.rows:
        return None
    return (
        f"{load.file}: {load.refused:,} of {load.rows:,} rows "
        f"({100 * load.refused / load.rows:.1f} %) cannot be used, more than the "
        f"{100 * max_refused_share:g} % allowed (SALES_MAX_REFUSED_SHARE)"
    )


def _sha256(path: Path) -> str:
    with opened(path) as delivered:
        return hashlib.file_digest(delivered, "sha256").hexdigest()


def _next_load_id(con: duckdb.DuckDBPyConnection) -> int:
    row = con.execute("select coalesce(max(load_id), 0) + 1 from raw.loads").fetchone()
    assert row is not None
    return int(row[0])


def _find(source: Path, folder: Path) -> dict[str, Path]:
    """Return the delivered files by their names in lower case; a .zip is unpacked to `folder`."""
    try:
        if source.is_dir():
            return _choose(source, _beside(source))
        with zipfile.ZipFile(source) as archive:
            members = _choose(source, _members(archive))
            return {name: _extract(archive, members[name], folder / name) for name in members}
    except FileNotFoundError:
        raise SourceError(f"{source} does not exist; expected {_EXPECTED}.") from None
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise
        fault = str(error) or "it ends too early"
        raise SourceError(f"{source} cannot be read: {fault}; expected {_EXPECTED}.") from None


def _beside(source: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a directory, without pipes and the like, which would be waited for."""
    # Who may put files into `incoming` may not read others by links.
    is_trusted = source.parent.name != TAKEN
    for path in source.iterdir():
        if (path.is_file() or path.is_dir()) and (is_trusted or not path.is_symlink()):
            yield path.name, path


def _choose(source: Path, candidates: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Pick the files of the layout from pairs of name and place."""
    chosen: dict[str, T] = {}
    for name, place in candidates:
        key = name.lower()
        if key in chosen:
            raise SourceError(f"{source} has {key} more than once; expected {_EXPECTED}.")
        if any(layout.file == key for layout in LAYOUTS):
            chosen[key] = place
    return chosen


def _lacking(source: Path, files: Mapping[str, Path]) -> str | None:
    """Tell which files a delivery lacks."""
    missing = [
        layout.file for layout in LAYOUTS if layout.file not in files and not layout.is_optional
    ]
    if not missing:
        return None
    return f"{source} has no {' and no '.join(missing)}; expected {_EXPECTED}."


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Yield the files at the archive's root or in one folder; other paths are not trusted."""
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        is_near = len(path.parts) <= 2 and not path.is_absolute() and ".." not in path.parts
        if is_near and not info.is_dir():
            yield path.name, info


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> Path:
    # zipfile never hands out more than the declared size, so checking that one is enough.
    if member.file_size > MAX_EXTRACTED_BYTES:
        raise SourceError(
            f"{archive.filename}: {member.filename} would unpack to {member.file_size:,} bytes, "
            f"more than the {MAX_EXTRACTED_BYTES:,} allowed; nothing was loaded."
        )
    with archive.open(member) as packed, target.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    return target
