"""Deliveries in Kaggle's Rossmann layout: `train.csv`, `store.csv` and perhaps `test.csv`.

Each file is copied once with its line numbers in front and its broken lines marked, so that the
copy is well formed whatever was delivered; DuckDB's CSV reader then reads the copy, and SQL types
and judges every row. A row's line is therefore a value of the row, never counted afterwards.
"""

import csv
import hashlib
import logging
import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

import duckdb

from sales_assets import warehouse
from sales_assets.errors import SourceError

log = logging.getLogger("sales_assets.raw")

Kind = Literal["stores", "sales", "plan"]
T = TypeVar("T")

# A delivered day further than this from all others is taken for a typing error.
MAX_GAP_DAYS = 92
# An archive may claim anything; 1 GiB holds a year of 70,000 stores.
MAX_EXTRACTED_BYTES = 1 << 30
# The longest honest line has some 100 bytes; a longer one than this is no line of text.
MAX_LINE_BYTES = 1 << 16

_DAY_COLUMNS = (
    "Id", "Store", "DayOfWeek", "Date", "Sales", "Customers", "Open", "Promo", "StateHoliday",
    "SchoolHoliday",
)  # fmt: skip
_STORE_COLUMNS = (
    "Store", "StoreType", "Assortment", "CompetitionDistance", "CompetitionOpenSinceMonth",
    "CompetitionOpenSinceYear", "Promo2", "Promo2SinceWeek", "Promo2SinceYear", "PromoInterval",
)  # fmt: skip
_EXPECTED = (
    "a directory or .zip (at its root or in one folder) with train.csv, store.csv and, if there is "
    "a plan, test.csv"
)
# What a damaged, locked or exotic archive makes zipfile raise; RuntimeError tells of a password.
_UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# Possessive, so that a line matches in one go or not at all; quotes within quotes are doubled.
_FIELD = (
    rb'(?:"[^"\x00-\x08\x0a-\x1f\x7f]*+(?:""[^"\x00-\x08\x0a-\x1f\x7f]*+)*+"'
    rb'|[^",\x00-\x08\x0a-\x1f\x7f]*+)'
)


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


@dataclass(frozen=True)
class _Layout:
    kind: Kind
    file: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    is_optional: bool = False


# In the order of loading: sales and plan are judged by the stores.
_LAYOUTS = (
    _Layout("stores", "store.csv", _STORE_COLUMNS, ("Store", "StoreType", "Assortment")),
    _Layout(
        "sales",
        "train.csv",
        _DAY_COLUMNS,
        ("Store", "Date", "Sales", "Open", "Promo", "StateHoliday", "SchoolHoliday"),
    ),
    _Layout(
        "plan",
        "test.csv",
        _DAY_COLUMNS,
        ("Store", "Date", "Open", "Promo", "StateHoliday", "SchoolHoliday"),
        is_optional=True,
    ),
)


def deliver(
    con: duckdb.DuckDBPyConnection, source: Path, *, max_refused_share: float, scratch: Path
) -> list[Load]:
    """Load a delivery into `raw.*`: all of its usable rows, or nothing at all.

    Rows replace those of the same store and day. Refused rows go to `quality.quarantine`. A file
    whose content was loaded before is left alone, unless `store.csv` is new: rows refused for an
    unknown store may have become usable.

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
        with warehouse.transaction(con):
            for table in ("raw/loads", "raw/stores", "raw/sales", "raw/plan", "quality/quarantine"):
                warehouse.query(con, table)
            loads: list[Load] = []
            for layout in [layout for layout in _LAYOUTS if layout.file in files]:
                path = files[layout.file]
                stores_are_new = bool(loads) and loads[0].is_new
                loads.append(
                    _load(con, layout, path, folder, max_refused_share, again=stores_are_new)
                )
    return loads


def _load(
    con: duckdb.DuckDBPyConnection,
    layout: _Layout,
    path: Path,
    folder: Path,
    max_refused_share: float,
    *,
    again: bool,
) -> Load:
    sha256 = _sha256(path)
    file: dict[str, str] = {"file": layout.file, "kind": layout.kind, "sha256": sha256}
    known = warehouse.query(con, "raw/known_load", **file).fetchone()
    if known and not again:
        load_id, rows, refused = known
        log.info("%s: already loaded as load %d, nothing to do", layout.file, load_id)
        return Load(load_id, layout.file, layout.kind, sha256, rows, refused, is_new=False)

    rows, refused = _judge(con, layout, path, folder / "numbered.csv")
    _stop_if_unusable(con, layout.file, rows, refused, max_refused_share)
    load_id = _next_load_id(con)
    warehouse.query(con, "quality/superseded", **file)
    warehouse.query(con, "quality/refused", load_id=load_id, **file)
    warehouse.query(con, f"raw/upserted_{layout.kind}", load_id=load_id, **file)
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
    log.info(
        "%s: load %d, %s rows loaded, %s refused",
        layout.file, load_id, f"{rows - refused:,}", f"{refused:,}",
    )  # fmt: skip
    return Load(load_id, layout.file, layout.kind, sha256, rows, refused, is_new=True)


def _judge(
    con: duckdb.DuckDBPyConnection, layout: _Layout, path: Path, numbered: Path
) -> tuple[int, int]:
    """Fill the temporary table `judged_rows`; return its rows and how many have a reason."""
    columns = _number_lines(path, numbered, layout)
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
    )
    rows = warehouse.create_table(
        con, "judged_rows", f"raw/judged_{suffix}", temporary=True, max_gap_days=MAX_GAP_DAYS
    )
    con.execute("drop table delivered_rows")
    numbered.unlink()
    row = con.execute("select count(reason) from judged_rows").fetchone()
    assert row is not None
    return rows, int(row[0])


def _stop_if_unusable(
    con: duckdb.DuckDBPyConnection, file: str, rows: int, refused: int, max_refused_share: float
) -> None:
    if rows == 0:
        raise SourceError(f"{file} has a header but no rows; nothing was loaded.")
    if refused > max_refused_share * rows:
        examples = warehouse.query(con, "raw/reasons").fetchall()
        raise SourceError(
            f"{file}: {refused:,} of {rows:,} rows ({100 * refused / rows:.1f} %) cannot be used, "
            f"more than the {100 * max_refused_share:g} % allowed (SALES_MAX_REFUSED_SHARE); "
            + "".join(f"line {line}: {reason}; " for line, reason in examples)
            + "nothing was loaded."
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as delivered:
            return hashlib.file_digest(delivered, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from None


def _next_load_id(con: duckdb.DuckDBPyConnection) -> int:
    row = con.execute("select coalesce(max(load_id), 0) + 1 from raw.loads").fetchone()
    assert row is not None
    return int(row[0])


def _number_lines(path: Path, numbered: Path, layout: _Layout) -> list[str]:
    """Copy a file as line number, text, fault and fields; return the names of the fields."""
    with path.open("rb") as delivered, numbered.open("wb") as copy:
        lines = enumerate(iter(partial(delivered.readline, MAX_LINE_BYTES + 1), b""), start=1)
        columns, width = _read_header(next(lines, (1, b""))[1], layout)
        copy.writelines(_numbered(lines, layout.file, len(columns), width))
    return columns


def _numbered(
    lines: Iterable[tuple[int, bytes]], file: str, columns: int, width: int
) -> Iterator[bytes]:
    """Yield the lines of the copy, each with `columns` fields.

    Blank lines are left out; blanks follow for columns that were not delivered. A line that does
    not have the header's number of fields, its `width`, has a fault in place of its fields.
    """
    well_formed = re.compile(_FIELD + rb"(?:,%b){%d}+" % (_FIELD, width - 1))
    blanks = b"," * (columns - width)
    for number, raw in lines:
        if len(raw) > MAX_LINE_BYTES:
            raise SourceError(
                f"{file}, line {number}: longer than {MAX_LINE_BYTES:,} bytes, so this is no CSV "
                "file of the expected layout; nothing was loaded."
            )
        line = raw.rstrip(b"\r\n")
        fault = None
        if not (line.isascii() and well_formed.fullmatch(line)):
            if not line.strip():
                continue
            line = _decode(line).encode()
            if not well_formed.fullmatch(line):
                fault = _fault(line.decode(), width).encode()
        text = line.replace(b'"', b'""')
        if fault is None:
            yield b'%d,"%b",,%b%b\n' % (number, text, line, blanks)
        else:
            yield b'%d,"%b",%b%b\n' % (number, text, fault, b"," * columns)


def _read_header(raw: bytes, layout: _Layout) -> tuple[list[str], int]:
    """Return the names of all columns in lower case, and how many of them were delivered."""
    text = _decode(raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n"))
    if not text.strip():
        raise SourceError(
            f"{layout.file} is empty or starts with a blank line; expected a header with the "
            f"columns {', '.join(layout.required)}; nothing was loaded."
        )
    names = [name.strip() for name in next(csv.reader([text]))]
    lower = [name.lower() for name in names]
    missing = [name for name in layout.required if name.lower() not in lower]
    if missing:
        raise SourceError(
            f"{layout.file}, line 1: lacks {_noun('column', missing)} {', '.join(missing)}; "
            f"the header reads {text[:200]!r}; nothing was loaded."
        )
    repeated = [name for name in layout.columns if lower.count(name.lower()) > 1]
    if repeated:
        raise SourceError(
            f"{layout.file}, line 1: has {_noun('column', repeated)} {', '.join(repeated)} more "
            "than once; nothing was loaded."
        )
    known = [name.lower() for name in layout.columns]
    extra = [name for name in names if name.lower() not in known]
    if extra:
        log.info("%s: ignored %s %s", layout.file, _noun("column", extra), ", ".join(extra))
    columns = [name if name in known else f"extra_{i}" for i, name in enumerate(lower)]
    return columns + [name for name in known if name not in lower], len(names)


def _fault(text: str, width: int) -> str:
    try:
        fields = len(next(csv.reader([text], strict=True)))
    except csv.Error:
        return "Quotes are not closed or stand inside a value"
    if fields == width:
        return "Quotes are not closed or stand inside a value"
    return f"Row has {fields} {'field' if fields == 1 else 'fields'} where the header has {width}"


def _decode(raw: bytes) -> str:
    """Return text in which bytes that are no UTF-8 and control characters are spelled out."""
    text = raw.decode("utf-8", errors="backslashreplace")
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _noun(singular: str, items: list[str]) -> str:
    return singular if len(items) == 1 else singular + "s"


def _find(source: Path, folder: Path) -> dict[str, Path]:
    """Return the delivered files by their names in lower case; a .zip is unpacked to `folder`."""
    try:
        if source.is_dir():
            return _choose(source, [(path.name, path) for path in source.iterdir()])
        with zipfile.ZipFile(source) as archive:
            members = _choose(source, _members(archive))
            return {name: _extract(archive, members[name], folder / name) for name in members}
    except FileNotFoundError:
        raise SourceError(f"{source} does not exist; expected {_EXPECTED}.") from None
    except _UNREADABLE as error:
        fault = str(error) or "it ends too early"
        raise SourceError(f"{source} cannot be read: {fault}; expected {_EXPECTED}.") from None


def _choose(source: Path, candidates: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Pick the files of the layout from pairs of name and place."""
    chosen: dict[str, T] = {}
    for name, place in candidates:
        key = name.lower()
        if key in chosen:
            raise SourceError(f"{source} has {key} more than once; expected {_EXPECTED}.")
        if any(layout.file == key for layout in _LAYOUTS):
            chosen[key] = place
    missing = [
        layout.file for layout in _LAYOUTS if layout.file not in chosen and not layout.is_optional
    ]
    if missing:
        raise SourceError(f"{source} has no {' and no '.join(missing)}; expected {_EXPECTED}.")
    return chosen


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
