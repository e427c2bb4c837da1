"""Rows and files that break the contract, on which the loader shows what it says of them."""

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta

from sales_assets.sources.layout import EARLIEST_DAY, MAX_GAP_DAYS, Column, Layout

FIRST_DAY = date(2015, 1, 5)
# Values that show a fault, by what a column's values are; a blank is tried of every column.
_WRONG = {
    "whole number": ("x", "1.5"),
    "number": ("x",),
    "date": ("05.01.2015", str(EARLIEST_DAY - timedelta(1)), "2999-01-01"),
    "0 or 1": ("2",),
    "code": ("z",),
    "names of months": ("Jan,Smarch",),
}
_SOUND_STORE = {
    "Store": "1", "StoreType": "a", "Assortment": "a", "CompetitionDistance": "500",
    "CompetitionOpenSinceMonth": "9", "CompetitionOpenSinceYear": "2008", "Promo2": "1",
    "Promo2SinceWeek": "13", "Promo2SinceYear": "2010", "PromoInterval": "Jan,Apr,Jul,Oct",
}  # fmt: skip
_SOUND_DAY = {
    "Id": "1", "Store": "1", "DayOfWeek": "1", "Date": str(FIRST_DAY), "Sales": "5263",
    "Customers": "555", "Open": "1", "Promo": "1", "StateHoliday": "0", "SchoolHoliday": "0",
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One line of a file.

    Attributes:
        says: What is tried with it, in words.
        line: The line.
        column: The column whose value is tried, if it is one.
        value: That value.
    """

    says: str
    line: str
    column: str | None = None
    value: str | None = None


def cases(layout: Layout) -> list[Case]:
    """Return a sound line, and then one for each value and each shape of a row that is tried."""
    sound = _written(_sound(layout, 0))
    tried = [(column, value) for column in layout.columns for value in _values(column, layout)]
    values = [
        Case(
            f"`{column.name}` is `{value}`" if value else f"`{column.name}` is blank",
            _written(_sound(layout, number) | {column.name: value}),
            column.name,
            value,
        )
        for number, (column, value) in enumerate(tried, start=1)
    ]
    name = "a store" if layout.kind == "stores" else "a store's day"
    return [
        Case("a sound row", sound),
        *values,
        Case(f"{name} stands there again", sound),
        Case("the row is cut off", _written(dict([*_sound(layout, 0).items()][:-2]))),
        Case("a quote is not closed", f'"{sound}'),
    ]


def _values(column: Column, layout: Layout) -> list[str]:
    if isinstance(column.allowed, range):
        return ["", "x", str(column.allowed.stop)]
    values = ["", *_WRONG[column.kind]]
    if column.kind in ("number", "whole number") and not column.is_negative:
        values.append("-1")
    if layout.kind != "stores" and column.name == "Store":
        values.append("999")
    if column.kind == "date":
        far = timedelta(3 * MAX_GAP_DAYS)
        values += [str(FIRST_DAY - far), str(FIRST_DAY + far)]
    return values


def _sound(layout: Layout, number: int) -> dict[str, str]:
    """Return a sound row that no other repeats."""
    if layout.kind == "stores":
        return _SOUND_STORE | {"Store": str(1 + number)}
    return _SOUND_DAY | {"Id": str(1 + number), "Date": str(FIRST_DAY + timedelta(number))}


def header(layout: Layout) -> str:
    """Return the first line of a file that has every column."""
    return ",".join(layout.names)


def _written(row: dict[str, str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(row.values())
    return text.getvalue()


def delivery() -> dict[str, str]:
    """Return the text of the files of a small sound delivery, by name."""
    stores, day = _SOUND_STORE, _SOUND_DAY
    return {
        "store.csv": _table([stores]),
        "train.csv": _table([day, day | {"Date": str(FIRST_DAY + timedelta(1))}]),
        "test.csv": _table([day | {"Date": str(FIRST_DAY + timedelta(2))}]),
    }


def _table(rows: list[dict[str, str]]) -> str:
    return "\n".join([",".join(rows[0]), *(_written(row) for row in rows)]) + "\n"


# What is tried, and the files that are then other than those of `delivery`; none of its text:
# the file is missing.
REFUSED_FILES: dict[str, dict[str, str | None]] = {
    "a required file is missing": {"train.csv": None},
    "a file is empty": {"train.csv": ""},
    "a file has a header and no rows": {"store.csv": ",".join(_SOUND_STORE) + "\n"},
    "the header lacks a required column": {"store.csv": "Store,StoreType\n1,a\n"},
    "the header has a column twice": {
        "train.csv": "Store,Store,Date,Sales,Open,Promo,StateHoliday,SchoolHoliday\n"
    },
    "values are separated by semicolons": {"train.csv": "Store;Date;Sales\n"},
    "a line is no text": {"train.csv": _table([_SOUND_DAY]) + "x" * 70_000 + "\n"},
    "too many rows are refused": {"train.csv": _table([_SOUND_DAY, _SOUND_DAY | {"Sales": "-1"}])},
}
