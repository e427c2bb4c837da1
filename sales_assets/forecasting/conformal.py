"""Conformal intervals from backtest residuals, scaled by store, horizon week and disagreement.

Residuals are of log sales, so an interval's width is a share of the forecast. Each is divided by
a scale that its own window had no part in, so that what scales get wrong widens the intervals.

Source: Lei et al. (2018), Distribution-free predictive inference for regression, section 5.2
(locally weighted); Barber et al. (2021), Predictive inference with the jackknife+ (each residual
from the others' fit); Barber et al. (2023), Conformal prediction beyond exchangeability (weights
by age); one-sided quantiles as in Romano et al. (2019), Conformalized quantile regression.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.lookup import Lookup
from sales_assets.settings import BOUNDS, LEVELS

Array = NDArray[np.float64]

# A store's own scale counts as much as the chain's after this many days: as many as a window has,
# since the days of one window have much in common.
PRIOR_DAYS = 30
# What weeks of the horizon differ by is believed as much as that they do not after this many.
PRIOR_WINDOWS = 1
# A window counts half as much as one that is this much nearer to the forecast.
HALF_LIFE_DAYS = 180
# Errors grow with the members' disagreement, though far slower: ten times the one, 1.6 the other.
SPREAD_POWER = 0.2
TYPICAL_SPREAD = 0.05
# Members that agree by chance are no reason for certainty.
SMALLEST_SPREAD = 0.01
SMALLEST = 1e-9
# The store of a model's calibration that stands in for stores without residuals, and the one for
# stores that have never sold, whose level is a guess.
ANY_STORE = -1
NEW_STORE = -2


def horizon_week(h: pd.Series) -> pd.Series:
    """Return the week of the horizon that a day is in: 1 for h = 1 to 7."""
    return (h - 1) // 7 + 1


def doubt(rows: pd.DataFrame) -> Array:
    """Return what the members' disagreement on a day multiplies its scale by; 1 is typical.

    Args:
        rows: Forecasts, with `spread` where the members are known.
    """
    if "spread" not in rows:
        return np.ones(len(rows))
    return doubt_of(rows["spread"].to_numpy(dtype=np.float64))


def doubt_of(spread: Array) -> Array:
    """Return what disagreements multiply the scale by; 1 where none is known."""
    known = np.where(np.isnan(spread), TYPICAL_SPREAD, spread)
    doubt: Array = (np.maximum(known, SMALLEST_SPREAD) / TYPICAL_SPREAD) ** SPREAD_POWER
    return doubt


@dataclass(frozen=True)
class Predictive:
    """What one model's log sales may be: the log forecast plus a scale times one of the scores.

    Attributes:
        stores: Scale by store, `ANY_STORE` included.
        weeks: What the horizon week multiplies it by.
        scores: Residuals over their scale, ascending.
        weights: How much each counts; the nearest window's days 1.
        levels: How far each store's level is from the median store's, in logs, ascending.
    """

    stores: pd.Series
    weeks: pd.Series
    scores: Array
    weights: Array
    levels: Array

    @classmethod
    def fit(cls, rows: pd.DataFrame, asked_at: pd.Timestamp, is_scaled: bool = True) -> Self:
        """Learn from a model's out-of-fold forecasts.

        Args:
            rows: cutoff, store_id, h, sales, forecast, and `spread` where it is known.
            asked_at: The cutoff that intervals are wanted for; near windows count more.
            is_scaled: Whether widths differ by store, week and disagreement at all.
        """
        days = pd.DataFrame(
            {
                "cutoff": rows["cutoff"].to_numpy(),
                "store_id": rows["store_id"].to_numpy(),
                "horizon_week": horizon_week(rows["h"]).to_numpy(),
                "doubt": doubt(rows),
                "residual": np.log(rows["sales"].to_numpy()) - np.log(rows["forecast"].to_numpy()),
            }
        )
        if not is_scaled:
            days = days.assign(store_id=ANY_STORE, horizon_week=1, doubt=1.0)
        stores, weeks = _scales(days, asked_at)
        scores = np.zeros(len(days))
        for cutoff in days["cutoff"].unique():
            own = (days["cutoff"] == cutoff).to_numpy()
            # A single window has no others; its scales are what there is.
            others = (stores, weeks) if own.all() else _scales(days[~own], cutoff)
            scores[own] = days.loc[own, "residual"] / _scale(days[own], *others)
        order = np.argsort(scores, kind="stable")
        weights = _weights(days, asked_at)[order]
        every_week = _every_week(weeks, int(weeks.index.max()))
        return cls(stores, every_week, scores[order], weights, _levels(rows))

    def bounds(self) -> pd.DataFrame:
        """Return one row a (store_id, horizon_week): the scale and the columns `BOUNDS`.

        A store that has never sold is forecast at the level of the median store. What stores
        differ by is added to the bounds of any store, as errors that know nothing of one another
        add up: in squares.
        """
        table = pd.MultiIndex.from_product(
            [self.stores.index, self.weeks.index], names=["store_id", "horizon_week"]
        ).to_frame(index=False)
        table["scale"] = table["store_id"].map(self.stores) * table["horizon_week"].map(self.weeks)
        for level in LEVELS:
            share = (1 + level / 100) / 2
            lower = -_quantile(-self.scores[::-1], self.weights[::-1], share)
            table[f"lo_{level}"] = table["scale"] * lower
            table[f"hi_{level}"] = table["scale"] * _quantile(self.scores, self.weights, share)
        new = table[table["store_id"] == ANY_STORE].assign(store_id=NEW_STORE)
        new["scale"] = np.hypot(new["scale"], np.abs(self.levels).mean())
        once = np.ones(len(self.levels))
        for level in LEVELS:
            share = (1 + level / 100) / 2
            lower = _quantile(-self.levels[::-1], once, share)
            new[f"lo_{level}"] = -np.hypot(new[f"lo_{level}"], lower)
            new[f"hi_{level}"] = np.hypot(new[f"hi_{level}"], _quantile(self.levels, once, share))
        return pd.concat([table, new], ignore_index=True)

    def crps(self, rows: pd.DataFrame) -> Array:
        """Return each day's continuous ranked probability score, of log sales; lower is better.

        CRPS = E|X - y| - E|X - X'| / 2, X and X' being drawn from the weighted scores. Source:
        Gneiting and Raftery (2007), Strictly proper scoring rules, equation 21.
        """
        keys = rows.assign(horizon_week=horizon_week(rows["h"]), doubt=doubt(rows))
        scale = _scale(keys, self.stores, self.weeks)
        residual = np.log(rows["sales"].to_numpy()) - np.log(rows["forecast"].to_numpy())
        return scale * crps_of_sample(self.scores, self.weights, residual / scale)


def crps_of_sample(sample: Array, weights: Array, y: Array) -> Array:
    """Return the CRPS of a weighted sample, ascending, at each of the values y."""
    share = weights / weights.sum()
    below = np.concatenate([[0.0], np.cumsum(share)])
    sum_below = np.concatenate([[0.0], np.cumsum(share * sample)])
    place = np.searchsorted(sample, y, side="right")
    to_value = y * (2 * below[place] - 1) + sum_below[-1] - 2 * sum_below[place]
    to_each_other = 2 * np.sum(share * sample * (2 * below[1:] - share - 1))
    score: Array = to_value - to_each_other / 2
    return score


def calibrate(backtest: pd.DataFrame, asked_at: pd.Timestamp | None = None) -> pd.DataFrame:
    """Return the bounds of each model's intervals, to be added to a log forecast.

    Args:
        backtest: Out-of-fold forecasts: model, cutoff, store_id, h, sales, forecast, and `spread`
            where it is known.
        asked_at: The cutoff that intervals are wanted for; after the last window if not given.

    Returns:
        One row a (model, store_id, horizon_week) with the scale and the columns `BOUNDS`, for a
        day of typical disagreement; `store_id` -1 serves stores that the backtest has not seen,
        -2 those that have never sold.
    """
    at = backtest["cutoff"].max() if asked_at is None else asked_at
    return _bounds(_predictives(backtest, at))


def _predictives(
    backtest: pd.DataFrame, asked_at: pd.Timestamp, is_scaled: bool = True
) -> dict[str, Predictive]:
    return {
        str(model): Predictive.fit(rows, asked_at, is_scaled)
        for model, rows in backtest.groupby("model")
    }


def _bounds(predictives: dict[str, Predictive]) -> pd.DataFrame:
    tables = []
    for model, predictive in predictives.items():
        table = predictive.bounds()
        table.insert(0, "model", model)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _levels(rows: pd.DataFrame) -> Array:
    levels = np.log(rows["sales"]).groupby(rows["store_id"].to_numpy()).mean()
    ascending: Array = np.sort((levels - levels.median()).to_numpy())
    return ascending


def _weights(days: pd.DataFrame, asked_at: pd.Timestamp) -> Array:
    """Return the weight of each day: its window's, the nearest window's being 1."""
    away = (days["cutoff"] - asked_at).abs().dt.days.to_numpy()
    weights: Array = 0.5 ** ((away - away.min()) / HALF_LIFE_DAYS)
    return weights


def _scales(days: pd.DataFrame, asked_at: pd.Timestamp) -> tuple[pd.Series, pd.Series]:
    """Return the mean size of residuals by store, and what a horizon week multiplies it by."""
    weight = _weights(days, asked_at)
    # A perfect forecast has no scale to divide by.
    size = days["residual"].abs().clip(lower=SMALLEST) / days["doubt"]
    keys = days[["store_id", "horizon_week"]].assign(weight=weight, size=size * weight)
    by_store = keys.groupby("store_id")[["size", "weight"]].sum()
    mean = keys["size"].sum() / weight.sum()
    stores = (by_store["size"] + PRIOR_DAYS * mean) / (by_store["weight"] + PRIOR_DAYS)
    relative = keys.assign(size=keys["size"] / keys["store_id"].map(stores))
    by_week = relative.groupby("horizon_week")[["size", "weight"]].sum()
    # The days of a week have much in common, so that it is windows that count here.
    windows = days["cutoff"].nunique()
    weeks = (by_week["size"] / by_week["weight"]) ** (windows / (windows + PRIOR_WINDOWS))
    # A store of which nothing is known is treated as one of the noisiest.
    if ANY_STORE not in stores.index:
        stores.loc[ANY_STORE] = stores.quantile(0.9)
    return stores, weeks / weeks.mean()


def _scale(days: pd.DataFrame, stores: pd.Series, weeks: pd.Series) -> Array:
    of_store = days["store_id"].map(stores).fillna(stores[ANY_STORE])
    of_week = _every_week(weeks, int(days["horizon_week"].max()))
    scale: Array = (of_store * days["horizon_week"].map(of_week) * days["doubt"]).to_numpy()
    return scale


def _every_week(weeks: pd.Series, last: int) -> pd.Series:
    """Return a value for each week up to the last; one that was not seen is as that before it."""
    return weeks.reindex(pd.RangeIndex(1, last + 1, name=weeks.index.name)).ffill().bfill()


def _quantile(scores: Array, weights: Array, share: float) -> float:
    """Return the conformal quantile of ascending scores, the unseen one's weight being one.

    With equal weights: of n + 1 scores, the unseen one being as likely anywhere.
    """
    # Rounded, since 0.9 × 20 computed from (1 + 80/100) / 2 is a little more than 18.
    reached = np.cumsum(weights).round(9)
    place = np.searchsorted(reached, round(share * (reached[-1] + 1), 9))
    return float(scores[min(int(place), len(scores) - 1)])


class Bounds:
    """What `calibrate` returned, ready to be looked up for any forecasts.

    Args:
        calibration: Its rows.
    """

    def __init__(self, calibration: pd.DataFrame) -> None:
        stores = calibration["store_id"].unique()
        self._known = stores[stores != ANY_STORE]
        self._last_week = int(calibration["horizon_week"].max())
        self._bounds = Lookup(calibration, ["model", "store_id", "horizon_week"], BOUNDS)

    def of(
        self,
        model: NDArray[Any],
        store_id: NDArray[Any],
        h: NDArray[Any],
        forecast: Array,
        by: Array,
    ) -> dict[str, Array]:
        """Return the bounds in EUR of forecasts, by name; see `add_intervals`.

        Args:
            model: Who forecast.
            store_id: For which store, `NEW_STORE` for any that has never sold.
            h: How far ahead.
            forecast: What, in EUR.
            by: What `doubt_of` returned of the days.
        """
        weeks = np.minimum((h - 1) // 7 + 1, self._last_week)
        stores = np.where(np.isin(store_id, self._known), store_id, ANY_STORE)
        bounds = self._bounds.at({"model": model, "store_id": stores, "horizon_week": weeks})
        inner_lo, inner_hi = np.zeros(len(forecast)), np.zeros(len(forecast))
        found = {}
        for level in sorted(LEVELS):
            inner_lo = np.minimum(inner_lo, by * bounds[f"lo_{level}"])
            inner_hi = np.maximum(inner_hi, by * bounds[f"hi_{level}"])
            found[f"lo_{level}"] = forecast * np.exp(inner_lo)
            found[f"hi_{level}"] = forecast * np.exp(inner_hi)
        return found


def add_intervals(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts with their bounds in EUR.

    Bounds never cross the forecast or each other, are never below zero, and are exactly zero
    where the forecast is.

    Args:
        forecasts: model, store_id, h, forecast, and `spread` where it is known.
        calibration: What `calibrate` returned; weeks beyond its last take its last.
    """
    bounds = Bounds(calibration).of(
        forecasts["model"].to_numpy(),
        forecasts["store_id"].to_numpy(),
        forecasts["h"].to_numpy(),
        forecasts["forecast"].to_numpy(),
        doubt(forecasts),
    )
    return forecasts.assign(**bounds)


def judged(window: pd.DataFrame, others: pd.DataFrame, is_scaled: bool = True) -> pd.DataFrame:
    """Return a window of the backtest with the bounds and the CRPS that the others give it.

    Args:
        window: The forecasts of one cutoff.
        others: Those of the other cutoffs, which alone calibrate.
        is_scaled: Whether widths differ at all; if not, every interval is one share wide.
    """
    predictives = _predictives(others, window["cutoff"].iloc[0], is_scaled)
    keys = window if is_scaled else window.assign(h=1, spread=np.nan, store_id=ANY_STORE)
    result = window.assign(**add_intervals(keys, _bounds(predictives))[BOUNDS])
    crps = pd.Series(np.nan, index=keys.index)
    for model, rows in keys.groupby("model"):
        crps[rows.index] = predictives[str(model)].crps(rows)
    return result.assign(crps=crps)


def cross_calibrated(backtest: pd.DataFrame, is_scaled: bool = True) -> pd.DataFrame:
    """Return the backtest with intervals that its own window did not calibrate."""
    windows = []
    for cutoff in sorted(backtest["cutoff"].unique()):
        own = backtest["cutoff"] == cutoff
        windows.append(judged(backtest[own], backtest[~own], is_scaled))
    return pd.concat(windows, ignore_index=True)
