"""Features of changed plans, without a query: what the SQL of training says, looked up and counted.

Most of a day's features depend on its store, its date and whether it has a promotion. The SQL has
said them once of every coming day, with a promotion and without one, and they are looked up. What
is left are the days to and from openings, promotions and holidays, which are counted here as
`sql/features/days.sql` and `sql/features/rows.sql` count them. That this is the same is not taken
on trust: `serving.features` compares both whenever a release is loaded.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.frames import CATEGORIES

Days = NDArray[np.int64]
Flags = NDArray[np.bool_]

# What a scenario may change of a day.
CHANGEABLE = ("is_open", "is_promo", "state_holiday", "is_school_holiday")
HOLIDAYS = CATEGORIES["state_holiday"]
NO_HOLIDAY = HOLIDAYS.index("none")
# Rows of the past that windows reach back into.
TAIL = 7
# What happened before the tail, by the columns of `features/days`.
BEFORE = (
    "last_open_day",
    "promo_start",
    "last_promo_end",
    "last_state_holiday",
    "school_holiday_start",
    "last_school_holiday_end",
)
# Beyond every cap: what never was, or is not known to come.
NEVER, UNKNOWN = -(10**6), 10**6
# The caps of `sql/features/rows.sql`, in days.
OPENING_CAP, EVENT_CAP = 15, 30


@dataclass(frozen=True)
class Change:
    """What differs from the plan on a day of a store; None leaves it as planned."""

    store_id: int
    date: date
    is_open: bool | None = None
    is_promo: bool | None = None
    state_holiday: str | None = None
    is_school_holiday: bool | None = None


@dataclass(frozen=True)
class _Column:
    """A column of feature rows as the SQL says it, shape (2, rows): without and with a promotion.

    Attributes:
        values: Numbers, or the codes of a category.
        missing: Where an integer is null; None where it never is.
        categories: Those of a text.
    """

    values: NDArray[Any]
    missing: Flags | None = None
    categories: pd.CategoricalDtype | None = None

    @classmethod
    def of(cls, name: str, said: list[pd.DataFrame]) -> Self:
        columns = [rows[name] for rows in said]
        if isinstance(columns[0].dtype, pd.CategoricalDtype):
            return cls(np.stack([column.cat.codes for column in columns]), None, columns[0].dtype)
        if not any(pd.api.types.is_extension_array_dtype(column.dtype) for column in columns):
            return cls(np.stack([column.to_numpy() for column in columns]))
        # DuckDB gives integers a mask where one of them is null.
        kind = columns[0].dtype.name.lower()
        return cls(
            np.stack([column.fillna(0).to_numpy(dtype=kind) for column in columns]),
            np.stack([column.isna().to_numpy() for column in columns]),
        )

    def at(self, place: tuple[NDArray[Any], Days]) -> Any:
        values = self.values[place]
        if self.categories is not None:
            return pd.Categorical.from_codes(values, dtype=self.categories, validate=False)
        return values if self.missing is None else _integers(values, self.missing[place])


class ChangedPlans:
    """The feature rows of every coming day of some stores, whatever is planned.

    Args:
        planned: The rows of the plan as it is, ordered by store and date: as many of each store.
        flipped: Those of the plan with every promotion turned round.
        days: `features/days`, of these stores, for the last days known and every coming one.

    Raises:
        ValueError: Stores differ in their days.
    """

    def __init__(self, planned: pd.DataFrame, flipped: pd.DataFrame, days: pd.DataFrame) -> None:
        self._stores = planned["store_id"].unique()
        horizon = len(planned) // len(self._stores)
        days = days.sort_values(["store_id", "date"])
        shape = (len(self._stores), TAIL + horizon)
        if (
            len(days) != shape[0] * shape[1]
            or (days["store_id"].to_numpy().reshape(shape) != self._stores[:, None]).any()
            or planned["h"].tolist() != [*range(1, horizon + 1)] * shape[0]
        ):
            raise ValueError("some stores have other coming days than the rest")
        dates = _numbers(days["date"]).reshape(shape)
        self._first_day = pd.Timestamp(planned["date"].iloc[0]).date()
        self._dates = dates[:1]
        if (dates != self._dates).any():
            raise ValueError("some stores have other days than the rest")
        self._flags = {
            name: days[name].to_numpy(dtype=bool).reshape(shape)
            for name in ("is_open", "is_promo", "is_school_holiday")
        }
        holidays = pd.Categorical(days["state_holiday"], categories=HOLIDAYS).codes
        self._holiday = holidays.reshape(shape)
        first = days.groupby("store_id").head(1)
        self._before = {name: _numbers(first[name])[:, None] for name in BEFORE}
        is_promo = planned["is_promo"].to_numpy(dtype=bool)
        said = [
            _chosen(planned, flipped, ~is_promo),
            _chosen(planned, flipped, is_promo),
        ]
        self._columns = list(planned.columns)
        self._said = {name: _Column.of(name, said) for name in planned.columns}

    def rows(self, store_ids: Collection[int], changes: Collection[Change]) -> pd.DataFrame:
        """Return what `sql/features/rows.sql` says of stores whose plan is changed.

        Args:
            store_ids: Stores, each once.
            changes: What is to differ from the plan, of these stores and of coming days.
        """
        stores = np.array(sorted(store_ids))
        row = np.searchsorted(self._stores, stores)
        flags = {name: values[row] for name, values in self._flags.items()}
        holiday = self._holiday[row]
        place = {store: number for number, store in enumerate(stores.tolist())}
        for change in changes:
            at = place[change.store_id], TAIL + (change.date - self._first_day).days
            for name, values in flags.items():
                if (changed := getattr(change, name)) is not None:
                    values[at] = changed
            if change.state_holiday is not None:
                holiday[at] = HOLIDAYS.index(change.state_holiday)
        horizon = holiday.shape[1] - TAIL
        is_promo = flags["is_promo"][:, TAIL:].ravel().astype(np.int8)
        day = (row[:, None] * horizon + np.arange(horizon)).ravel()
        before = {name: values[row] for name, values in self._before.items()}
        counted = self._counted(flags, holiday != NO_HOLIDAY, before)
        counted |= {name: values[:, TAIL:].ravel() for name, values in flags.items()}
        counted["state_holiday"] = pd.Categorical.from_codes(
            holiday[:, TAIL:].ravel(), dtype=self._said["state_holiday"].categories, validate=False
        )
        columns = {
            name: counted[name] if name in counted else self._said[name].at((is_promo, day))
            for name in self._columns
        }
        return pd.DataFrame(columns, copy=False)

    def _counted(
        self, flags: Mapping[str, Flags], is_holiday: Flags, before: Mapping[str, Days]
    ) -> dict[str, Any]:
        """Return the columns that count days to and from what happens around each coming day."""
        dates = np.broadcast_to(self._dates, is_holiday.shape)
        is_open, is_promo, is_school_holiday = flags.values()
        promo = _Runs.of(is_promo, dates, before["promo_start"], before["last_promo_end"])
        school = _Runs.of(
            is_school_holiday,
            dates,
            before["school_holiday_start"],
            before["last_school_holiday_end"],
        )
        last_open = _last(is_open, dates, before["last_open_day"], today=False)
        last_holiday = _last(is_holiday, dates, before["last_state_holiday"], today=False)
        columns = {
            "days_since_open": np.minimum(dates - last_open, OPENING_CAP),
            "days_until_open": np.minimum(_next(is_open, dates) - dates, OPENING_CAP),
            "days_since_promo": np.minimum(dates - promo.last_end, EVENT_CAP),
            "days_until_promo": np.minimum(promo.next_start - dates, EVENT_CAP),
            "days_since_holiday": np.minimum(dates - last_holiday, EVENT_CAP),
            "days_until_holiday": np.minimum(_next(is_holiday, dates) - dates, EVENT_CAP),
            "days_since_school_holiday": np.minimum(dates - school.last_end, EVENT_CAP),
            "days_until_school_holiday": np.minimum(school.next_start - dates, EVENT_CAP),
            "open_days_ahead": np.cumsum(is_open, axis=1)
            - np.count_nonzero(is_open[:, :TAIL], axis=1)[:, None],
            "open_days_week_before": _week_before(is_open),
            "promo_days_week_before": _week_before(is_promo),
        }
        counted: dict[str, Any] = {
            name: values[:, TAIL:].ravel().astype(np.int16) for name, values in columns.items()
        }
        for name, runs, now in (
            ("promo", promo, is_promo),
            ("school_holiday", school, is_school_holiday),
        ):
            for column, values, missing in (
                (f"{name}_day", dates - runs.start, ~now),
                (f"{name}_days_left", runs.end - dates, ~now | (runs.end == UNKNOWN)),
            ):
                missing = missing[:, TAIL:].ravel()
                known = np.where(missing, 0, values[:, TAIL:].ravel()).astype(np.int16)
                counted[column] = _integers(known, missing)
        return counted


@dataclass(frozen=True)
class _Runs:
    """Where runs of days begin and end around each day: numbers of days, shape like the flags."""

    start: Days
    last_end: Days
    next_start: Days
    end: Days

    @classmethod
    def of(cls, flags: Flags, dates: Days, start_before: Days, end_before: Days) -> Self:
        starts, ends = flags.copy(), flags.copy()
        starts[:, 1:] &= ~flags[:, :-1]
        # Whether one begins on the first day is in what was before, together with all earlier ones.
        starts[:, 0] = False
        ends[:, :-1] &= ~flags[:, 1:]
        # Whether a run goes on after the last day is not known, so nothing ends there.
        ends[:, -1] = False
        return cls(
            _last(starts, dates, start_before, today=True),
            _last(ends, dates, end_before, today=False),
            _next(starts, dates),
            _next(ends, dates, today=True),
        )


def _last(flags: Flags, dates: Days, before: Days, *, today: bool) -> Days:
    """Return the last flagged day up to each day, this one included if `today`."""
    found = np.maximum.accumulate(np.where(flags, dates, NEVER), axis=1)
    if not today:
        found = np.hstack([np.full((len(found), 1), NEVER), found[:, :-1]])
    last: Days = np.maximum(found, before)
    return last


def _next(flags: Flags, dates: Days, *, today: bool = False) -> Days:
    """Return the next flagged day after each day, this one included if `today`."""
    flagged = np.where(flags, dates, UNKNOWN)
    if not today:
        flagged = np.hstack([flagged[:, 1:], np.full((len(flagged), 1), UNKNOWN)])
    following: Days = np.minimum.accumulate(flagged[:, ::-1], axis=1)[:, ::-1]
    return following


def _week_before(flags: Flags) -> Days:
    """Return how many of the seven days before each day are flagged; of the tail itself zero."""
    total = np.cumsum(flags, axis=1)
    count = np.zeros(flags.shape, dtype=np.int64)
    count[:, TAIL] = total[:, TAIL - 1]
    count[:, TAIL + 1 :] = total[:, TAIL:-1] - total[:, : -TAIL - 1]
    return count


def _integers(values: NDArray[Any], missing: Flags) -> Any:
    """Return integers as a query does: with a mask only where one is missing."""
    return pd.arrays.IntegerArray(values, missing) if missing.any() else values


def _numbers(dates: pd.Series) -> Days:
    """Return days since 1970; `NEVER` where there is none."""
    numbers = dates.to_numpy(dtype="datetime64[D]").astype(np.int64)
    found: Days = np.where(dates.isna().to_numpy(), NEVER, numbers)
    return found


def _chosen(planned: pd.DataFrame, flipped: pd.DataFrame, is_planned: Flags) -> pd.DataFrame:
    """Return the planned rows where they are meant, and elsewhere the flipped ones."""
    order = np.arange(len(planned)) + np.where(is_planned, 0, len(planned))
    return pd.concat([planned, flipped], ignore_index=True).iloc[order]
