"""What the files of a delivery look like: Kaggle's Rossmann layout, column by column.

The loader judges rows by these values, the suites expect them, and `docs/data.md` lists them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

Kind = Literal["stores", "sales", "plan"]
ValueKind = Literal["whole number", "number", "date", "0 or 1", "code", "names of months"]

# Codes of the files, and what they are called once they are cleaned.
STATE_HOLIDAYS = {"0": "none", "a": "public", "b": "easter", "c": "christmas"}
ASSORTMENTS = {"a": "basic", "b": "extra", "c": "extended"}
STORE_TYPES = {name: name for name in "abcd"}

MONTH_NAMES = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
)  # fmt: skip
MONTHS, WEEKS, YEARS = range(1, 13), range(1, 54), range(1900, 2101)
EARLIEST_DAY = date(1990, 1, 1)
# A delivered day further than this from all others is taken for a typing error.
MAX_GAP_DAYS = 92

# What the SQL that types and judges rows takes as parameters.
JUDGED_BY: dict[str, Any] = {
    "state_holidays": list(STATE_HOLIDAYS),
    "assortments": list(ASSORTMENTS),
    "store_types": list(STORE_TYPES),
    "month_names": list(MONTH_NAMES),
    "months": list(MONTHS),
    "weeks": list(WEEKS),
    "years": list(YEARS),
    "earliest_day": EARLIEST_DAY,
    "max_gap_days": MAX_GAP_DAYS,
}


@dataclass(frozen=True)
class Column:
    """A column of a delivered file.

    Attributes:
        name: As in the header, in any case.
        kind: What its values are.
        meaning: What they say, in words.
        allowed: Codes with what they stand for, or the values that there are.
        is_negative: Whether a number may be below zero.
    """

    name: str
    kind: ValueKind
    meaning: str
    allowed: Mapping[str, str] | Sequence[Any] | None = None
    is_negative: bool = False


@dataclass(frozen=True)
class Layout:
    """A delivered file.

    Attributes:
        kind: What its rows are.
        file: Its name, in lower case.
        says: What one row means.
        columns: Those that are read; others are ignored.
        required: Names of those that the header must have.
        is_optional: Whether a delivery may do without the file.
    """

    kind: Kind
    file: str
    says: str
    columns: tuple[Column, ...]
    required: tuple[str, ...]
    is_optional: bool = False

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return [column.name for column in self.columns]


_DAY_COLUMNS = (
    Column(
        "Id",
        "whole number",
        "Kaggle's number of the row, which a submission repeats",
        is_negative=True,
    ),
    Column("Store", "whole number", "the store, as in store.csv"),
    Column("DayOfWeek", "code", "not read: the date says it"),
    Column("Date", "date", "the day, as YYYY-MM-DD"),
    Column("Sales", "number", "EUR sold that day; not used of a plan"),
    Column("Customers", "whole number", "customers that day; not used of a plan"),
    Column(
        "Open",
        "0 or 1",
        "whether the store opened, and if blank whether it sold; of a plan, whether it will, and "
        "if blank as usual on that weekday, but on no holiday",
    ),
    Column("Promo", "0 or 1", "whether the store had a promotion"),
    Column("StateHoliday", "code", "the day's public holiday", STATE_HOLIDAYS),
    Column("SchoolHoliday", "0 or 1", "whether schools were closed"),
)

_STORE_COLUMNS = (
    Column("Store", "whole number", "the store"),
    Column("StoreType", "code", "the model of store", STORE_TYPES),
    Column("Assortment", "code", "what it sells", ASSORTMENTS),
    Column("CompetitionDistance", "number", "metres to the nearest competitor"),
    Column("CompetitionOpenSinceMonth", "whole number", "month in which it opened", MONTHS),
    Column("CompetitionOpenSinceYear", "whole number", "year in which it opened", YEARS),
    Column("Promo2", "0 or 1", "whether the store takes part in the recurring promotion"),
    Column("Promo2SinceWeek", "whole number", "ISO week in which it joined", WEEKS),
    Column("Promo2SinceYear", "whole number", "year in which it joined", YEARS),
    Column(
        "PromoInterval",
        "names of months",
        "months in which a round of it starts, between commas",
        MONTH_NAMES,
    ),
)

# In the order of loading: sales and plan are judged by the stores.
LAYOUTS = (
    Layout(
        "stores",
        "store.csv",
        "One row a store.",
        _STORE_COLUMNS,
        ("Store", "StoreType", "Assortment"),
    ),
    Layout(
        "sales",
        "train.csv",
        "One row a store and day that is over.",
        _DAY_COLUMNS,
        ("Store", "Date", "Sales", "Open", "Promo", "StateHoliday", "SchoolHoliday"),
    ),
    Layout(
        "plan",
        "test.csv",
        "One row a store and coming day: its plan. Stores without sales are forecast, too.",
        _DAY_COLUMNS,
        ("Store", "Date", "Open", "Promo", "StateHoliday", "SchoolHoliday"),
        is_optional=True,
    ),
)
