"""Sliding windows in supervised form: the past of a store, the plan ahead of it, what came of it.

A window belongs to a (cutoff, store_id). Its past is read from the history, scaled by the store's
own level before the cutoff; its future holds the same feature rows that trees learn from
(`sql/features/rows.sql`). Days on which the store does not open are zeros in the future, and have
no weight.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.frames import CATEGORIES, LABEL, Frames, feature_names

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

WEEKDAYS = 7
# The weekday of 1970-01-01, Monday being 0.
THURSDAY = 3
# Days like one another: the same weekday, with or without a promotion.
KINDS_OF_DAY = 2 * WEEKDAYS
# Selling days, however long ago, over which a store's level is taken: one that was shut for half
# a year keeps the level that it had.
LEVEL_DAYS = 56
# Log sales further than this from the store's level are errors or days of their own.
FURTHEST = 2.0
# Standard deviations beyond which a feature says nothing more.
MOST_DEVIATIONS = 10.0
# A number that deviated by less did not vary.
LEAST_DEVIATION = 1e-6
# What counts days or weeks of the year without end is told by the waves of the year as well.
LEFT_OUT = ("day_of_year", "week_of_year")
INDICATED = {**CATEGORIES, "weekday": tuple(range(1, WEEKDAYS + 1))}
# Inputs of a past day: sales, sales against days alike, whether it sold, plan, weekday.
PAST_INPUTS = 7 + WEEKDAYS
UNKNOWN_STORE = 0


@dataclass(frozen=True)
class Inputs:
    """How feature rows become a network's inputs; learnt from what was known at the cutoff.

    Attributes:
        stores: The stores that have a place of their own; others share `UNKNOWN_STORE`.
        mean: Mean of each number, by feature.
        deviation: Standard deviation of each number, by feature.
    """

    stores: tuple[int, ...]
    mean: dict[str, float]
    deviation: dict[str, float]

    @classmethod
    def learn(cls, rows: pd.DataFrame) -> Self:
        """Learn the stores and the scale of each number from rows with known sales."""
        numbers = [
            name
            for name in feature_names(rows)
            if name not in INDICATED and name not in LEFT_OUT and name != "is_open"
        ]
        values = rows[numbers].astype("float64")
        return cls(
            tuple(int(store) for store in sorted(rows["store_id"].unique())),
            {str(name): float(value) for name, value in values.mean().fillna(0.0).items()},
            {str(name): float(value) for name, value in values.std().fillna(0.0).items()},
        )

    @property
    def width(self) -> int:
        """Number of inputs of a coming day."""
        return 1 + len(self.mean) + sum(len(values) for values in INDICATED.values())

    @cached_property
    def _scales(self) -> tuple[Floats, Floats]:
        """Mean and deviation of the numbers; what hardly varied is divided to nothing."""
        deviation = np.array([self.deviation[name] for name in self.mean], dtype=np.float32)
        deviation[deviation <= LEAST_DEVIATION] = np.inf
        return np.array([*self.mean.values()], dtype=np.float32), deviation

    def place(self, store_id: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the place of each store, from 1, or `UNKNOWN_STORE`."""
        known = np.array(self.stores)
        place = np.searchsorted(known, store_id).clip(max=len(known) - 1)
        return np.where(known[place] == store_id, place + 1, UNKNOWN_STORE).astype(np.int32)

    def of(self, rows: pd.DataFrame) -> Floats:
        """Return the inputs of feature rows; an unknown number counts as the mean.

        So does one that did not vary when the scales were learnt: nothing was learnt of it.

        Returns:
            Array of shape (rows, width); all zero where the store does not open.
        """
        inputs = np.zeros((len(rows), self.width), dtype=np.float32)
        inputs[:, 0] = 1.0
        column = 1
        for name, values in INDICATED.items():
            given = rows[name].to_numpy()
            for value in values:
                inputs[:, column] = given == value
                column += 1
        # All numbers at once, since of a single window steps take the time, and in place, since of
        # all windows copies take memory.
        numbers = inputs[:, column:]
        for place, name in enumerate(self.mean):
            numbers[:, place] = rows[name].array.to_numpy(dtype=np.float32, na_value=np.nan)
        mean, deviation = self._scales
        numbers -= mean
        numbers /= deviation
        np.clip(numbers, -MOST_DEVIATIONS, MOST_DEVIATIONS, out=numbers)
        numbers[np.isnan(numbers)] = 0.0
        inputs[~rows["is_open"].to_numpy(dtype=bool)] = 0.0
        return inputs


@dataclass(frozen=True)
class Windows:
    """Windows in supervised form.

    Attributes:
        cutoff: Last day of each window's past, shape (windows,).
        store: Place of each window's store, shape (windows,).
        past: Days up to the cutoff, oldest first, shape (windows, past days, `PAST_INPUTS`).
        future: Days after it, shape (windows, horizon, width).
        target: Log sales less the reference, 0 where not known, shape (windows, horizon).
        weight: 1 where sales are known, else 0, shape (windows, horizon).
        window: The window of each feature row, shape (rows,).
        step: Its day ahead, from 0, shape (rows,).
    """

    cutoff: NDArray[np.datetime64]
    store: NDArray[np.int32]
    past: Floats
    future: Floats
    target: Floats
    weight: Floats
    window: Places
    step: Places


def sliding_windows(
    frames: Frames,
    inputs: Inputs,
    reference: NDArray[np.float64],
    past_days: int,
    horizon: int,
) -> Windows:
    """Return the windows that feature rows belong to.

    Args:
        frames: Feature rows of any number of cutoffs, and the history before each of them.
        inputs: What `Inputs.learn` returned.
        reference: What each row's target is relative to, in log EUR, shape (rows,).
        past_days: Days of history in a window, the cutoff included.
        horizon: Days ahead; rows further ahead lengthen every window.
    """
    rows = frames.rows
    cutoffs, of_cutoff = np.unique(rows["cutoff"].to_numpy(), return_inverse=True)
    stores, of_store = np.unique(rows["store_id"].to_numpy(), return_inverse=True)
    pairs, window = np.unique(of_cutoff * len(stores) + of_store, return_inverse=True)
    keys = pd.DataFrame(
        {"cutoff": cutoffs[pairs // len(stores)], "store_id": stores[pairs % len(stores)]}
    )
    step = rows["h"].to_numpy(dtype=np.int64) - 1
    days = max(horizon, int(step.max()) + 1)

    future = np.zeros((len(keys), days, inputs.width), dtype=np.float32)
    future[window, step] = inputs.of(rows)
    target, weight = (np.zeros((len(keys), days), dtype=np.float32) for _ in range(2))
    outcome = rows[LABEL].to_numpy(dtype=np.float64) - reference
    known = np.isfinite(outcome)
    target[window[known], step[known]] = outcome[known]
    weight[window[known], step[known]] = 1.0
    return Windows(
        keys["cutoff"].to_numpy(),
        inputs.place(keys["store_id"].to_numpy()),
        past_of(frames.history, keys, past_days),
        future,
        target,
        weight,
        window,
        step,
    )


def past_of(history: pd.DataFrame, keys: pd.DataFrame, past_days: int) -> Floats:
    """Return the days up to each cutoff, relative to the store's level at the cutoff.

    Days before the history, and those of stores without any, are zeros but for their weekday.

    Args:
        history: store_id, date, sales, is_open, is_promo, state_holiday, is_school_holiday.
        keys: cutoff and store_id of each window.
        past_days: Days in a window, the cutoff included.

    Returns:
        Array of shape (windows, past_days, `PAST_INPUTS`): log sales less the level; the same
        less its mean over the window's days of the same weekday and promotion; whether the day
        sold, opened, had a promotion, a school holiday, another holiday; its weekday.
    """
    grid = _Grid.of(history)
    row = grid.row(keys["store_id"].to_numpy())
    cutoff = _days(keys["cutoff"]) - grid.first_day
    days = cutoff[:, None] + np.arange(1 - past_days, 1)
    log_sales = grid.at("log_sales", row, days, np.nan)
    is_promo = grid.at("is_promo", row, days, False)
    weekday = (THURSDAY + grid.first_day + days) % WEEKDAYS

    sold = np.isfinite(log_sales)
    relative = np.where(sold, log_sales - grid.levels(row, cutoff)[:, None], 0.0)
    relative = relative.clip(-FURTHEST, FURTHEST)
    kind = np.arange(len(keys))[:, None] * KINDS_OF_DAY + weekday + WEEKDAYS * is_promo
    count, total = (
        np.bincount(kind.ravel(), values.ravel(), len(keys) * KINDS_OF_DAY)
        for values in (sold.astype(float), relative)
    )
    usual = (total / np.maximum(count, 1))[kind]
    return np.stack(
        [
            relative,
            np.where(sold, relative - usual, 0.0),
            sold,
            grid.at("is_open", row, days, False),
            is_promo,
            grid.at("is_school_holiday", row, days, False),
            grid.at("is_holiday", row, days, False),
            *(weekday == day for day in range(WEEKDAYS)),
        ],
        axis=-1,
        dtype=np.float32,
        casting="unsafe",
    )


def recent(history: pd.DataFrame, past_days: int) -> pd.DataFrame:
    """Return the days that `past_of` looks at where every window's cutoff is the last day.

    Args:
        history: As `past_of` takes it, ordered by store and date.
        past_days: Days in a window, the cutoff included.
    """
    sold = history["is_open"].astype(bool) & (history["sales"] > 0)
    # Counted from the end: the newest selling day is the first.
    place = sold[::-1].groupby(history["store_id"][::-1]).cumsum()[::-1]
    is_of_level = sold & (place <= LEVEL_DAYS)
    is_of_window = history["date"] > history["date"].max() - pd.Timedelta(days=past_days)
    return history[is_of_level | is_of_window]


def _days(dates: pd.Series) -> Places:
    """Return days since 1970, by NumPy: of a store's window, pandas would take most of the time."""
    return dates.to_numpy(dtype="datetime64[D]").astype(np.int64)


@dataclass(frozen=True)
class _Grid:
    """The history as arrays of shape (stores + 1, days); the last row is of stores without any.

    The first day is counted from 1970.
    """

    stores: NDArray[np.int64]
    first_day: int
    values: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, history: pd.DataFrame) -> Self:
        stores, row = np.unique(history["store_id"].to_numpy(), return_inverse=True)
        # A new store may be asked for alone, without any history; its days count from anywhere.
        days = _days(history["date"])
        first_day = int(days.min()) if len(days) else 0
        day = days - first_day
        is_open, sales = history["is_open"].to_numpy(dtype=bool), history["sales"].to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            log_sales = np.where(is_open & (sales > 0), np.log(sales), np.nan)
        columns: dict[str, tuple[NDArray[Any], Any]] = {
            "log_sales": (log_sales, np.nan),
            "is_open": (is_open, False),
            "is_promo": (history["is_promo"].to_numpy(dtype=bool), False),
            "is_school_holiday": (history["is_school_holiday"].to_numpy(dtype=bool), False),
            "is_holiday": ((history["state_holiday"] != "none").to_numpy(), False),
        }
        values = {}
        for name, (column, empty) in columns.items():
            values[name] = np.full((len(stores) + 1, day.max(initial=0) + 1), empty)
            values[name][row, day] = column
        return cls(stores, first_day, values)

    def row(self, store_id: NDArray[np.int64]) -> Places:
        """Return each store's row."""
        row = np.searchsorted(self.stores, store_id)
        return np.where(np.isin(store_id, self.stores), row, len(self.stores))

    def at(self, name: str, row: Places, days: Places, outside: Any) -> NDArray[Any]:
        """Return values, shape like `days`; `outside` for days that are not in the history."""
        values = self.values[name]
        inside = (days >= 0) & (days < values.shape[1])
        return np.where(inside, values[row[:, None], days.clip(0, values.shape[1] - 1)], outside)

    def levels(self, row: Places, cutoff: Places) -> NDArray[np.float64]:
        """Return the mean log sales of the last selling days up to each cutoff; 0 without any."""
        log_sales = self.values["log_sales"]
        sold = np.isfinite(log_sales)
        selling_days = np.cumsum(sold, axis=1)
        totals = np.zeros((len(log_sales), int(selling_days.max()) + 1))
        store, _ = np.nonzero(sold)
        totals[store, selling_days[sold]] = log_sales[sold]
        totals = np.cumsum(totals, axis=1)
        last = selling_days[row, cutoff.clip(0, log_sales.shape[1] - 1)]
        first = np.maximum(last - LEVEL_DAYS, 0)
        total = totals[row, last] - totals[row, first]
        return total / np.maximum(last - first, 1)
