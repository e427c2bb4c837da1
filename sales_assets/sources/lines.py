"""Lines of a delivered file, copied so that DuckDB reads each of them as one row.

The copy has the line number, the text and a fault in front of the fields, and blanks for columns
that were not delivered; it is well formed whatever was delivered.
"""

import csv
import logging
import re
from collections.abc import Iterable, Iterator
from functools import partial
from io import BufferedReader
from pathlib import Path

from sales_assets.sources.layout import Layout

log = logging.getLogger("sales_assets.raw")

# The longest honest line has some 100 bytes; a longer one than this is no line of text.
MAX_LINE_BYTES = 1 << 16
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# Possessive, so that a line matches in one go or not at all; quotes within quotes are doubled.
_FIELD = (
    rb'(?:"[^"\x00-\x08\x0a-\x1f\x7f]*+(?:""[^"\x00-\x08\x0a-\x1f\x7f]*+)*+"'
    rb'|[^",\x00-\x08\x0a-\x1f\x7f]*+)'
)


class Unusable(Exception):  # noqa: N818 - the file is, whoever reads it
    """A file that cannot be used; the message says which and why."""


def opened(path: Path) -> BufferedReader:
    """Open a delivered file for reading.

    Raises:
        Unusable: It cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None


def number_lines(path: Path, numbered: Path, layout: Layout) -> list[str]:
    """Copy a file as line number, text, fault and fields; return the names of the fields."""
    with numbered.open("wb") as copy, opened(path) as delivered:
        lines = _lines(delivered, layout.file)
        columns, width = _read_header(next(lines, (1, b""))[1], layout)
        copy.writelines(_numbered(lines, len(columns), width))
    return columns


def _lines(delivered: BufferedReader, file: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, the first being 1."""
    for number, raw in enumerate(iter(partial(delivered.readline, MAX_LINE_BYTES + 1), b""), 1):
        if len(raw) > MAX_LINE_BYTES:
            raise Unusable(
                f"{file}, line {number}: longer than {MAX_LINE_BYTES:,} bytes, so this is no CSV "
                "file of the expected layout"
            )
        yield number, raw


def _numbered(lines: Iterable[tuple[int, bytes]], columns: int, width: int) -> Iterator[bytes]:
    """Yield the lines of the copy, each with `columns` fields.

    Blank lines are left out; blanks follow for columns that were not delivered. A line that does
    not have the header's number of fields, its `width`, has a fault in place of its fields.
    """
    well_formed = re.compile(_FIELD + rb"(?:,%b){%d}+" % (_FIELD, width - 1))
    blanks = b"," * (columns - width)
    for number, raw in lines:
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


def _read_header(raw: bytes, layout: Layout) -> tuple[list[str], int]:
    """Return the names of all columns in lower case, and how many of them were delivered."""
    text = _decode(raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n"))
    if not text.strip():
        raise Unusable(
            f"{layout.file} is empty or starts with a blank line; expected a header with the "
            f"columns {', '.join(layout.required)}"
        )
    try:
        names = [name.strip() for name in next(csv.reader([text]))]
    except csv.Error:
        # A name longer than any is allowed to be.
        names = [text]
    lower = [name.lower() for name in names]
    if faults := _header_faults(lower, layout):
        raise Unusable(
            f"{layout.file}, line 1: {' and '.join(faults)}; the header reads {text[:200]!r}"
        )
    known = [name.lower() for name in layout.names]
    extra = [name for name in names if name.lower() not in known]
    if extra:
        log.info("%s: ignored %s %s", layout.file, _noun("column", extra), ", ".join(extra))
    columns = [name if name in known else f"extra_{i}" for i, name in enumerate(lower)]
    return columns + [name for name in known if name not in lower], len(names)


def _header_faults(lower: list[str], layout: Layout) -> list[str]:
    missing = [name for name in layout.required if name.lower() not in lower]
    repeated = [name for name in layout.names if lower.count(name.lower()) > 1]
    faults = []
    if missing:
        faults.append(f"lacks {_noun('column', missing)} {', '.join(missing)}")
    if repeated:
        faults.append(f"has {_noun('column', repeated)} {', '.join(repeated)} more than once")
    return faults


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
