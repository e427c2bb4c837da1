"""Scores of point forecasts and intervals over open days; each is one expression.

All take arrays of shape (days,): `y` the sales, `f` the forecasts, in EUR a day, y > 0.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]

SEASON_DAYS = 7
# Fewer pairs of days say next to nothing of a store's usual error.
FEWEST_PAIRS = 28


def rmspe(y: Array, f: Array) -> float:
    """Root mean squared percentage error, the score of Kaggle's Rossmann competition."""
    return float(np.sqrt(np.mean(((y - f) / y) ** 2)))


def mape(y: Array, f: Array) -> float:
    """Mean absolute percentage error."""
    return float(np.mean(np.abs((y - f) / y)))


def wape(y: Array, f: Array) -> float:
    """Absolute error as a share of all sales: what matters to volume."""
    return float(np.sum(np.abs(y - f)) / np.sum(y))


def bias(y: Array, f: Array) -> float:
    """Total forecast over total sales, less one; above zero is too high."""
    return float(np.sum(f) / np.sum(y) - 1)


def rmsse(y: Array, f: Array, scale: Array) -> float:
    """Root mean squared error in units of the seasonal naive's error before the cutoff.

    Args:
        y: Sales.
        f: Forecasts.
        scale: Each day's store's mean squared error of the naive of a week (`naive_scales`).

    Source: Hyndman and Koehler (2006), Another look at measures of forecast accuracy; squared
    and scaled by store as in the M5 competition.
    """
    return float(np.sqrt(np.mean((y - f) ** 2 / scale)))


def coverage(y: Array, lower: Array, upper: Array) -> float:
    """Share of days inside their interval."""
    return float(np.mean((lower <= y) & (y <= upper)))


def winkler(y: Array, lower: Array, upper: Array, level: float) -> float:
    """Interval score of log sales: the width, and for each miss 2 / (1 - level) times how far.

    In logs, so that a miss is a share of sales, and the score is still proper: divided by what was
    sold it would not be. Bounds must be above zero.

    Source: Gneiting and Raftery (2007), Strictly proper scoring rules, equation 43.
    """
    low, value, high = np.log(lower), np.log(y), np.log(upper)
    miss = np.maximum(low - value, 0) + np.maximum(value - high, 0)
    return float(np.mean(high - low + 2 / (1 - level / 100) * miss))


def naive_scales(history: pd.DataFrame, fewest_pairs: int = FEWEST_PAIRS) -> pd.Series:
    """Return each store's mean squared error of the seasonal naive of a week, on selling days.

    Args:
        history: Days up to the cutoff with `store_id`, `date` and `sales`, without holes.
        fewest_pairs: A store with fewer selling days that sold a week before too is left out.

    Returns:
        Series indexed by `store_id`, in EUR squared; stores whose sales never differ are left out.
    """
    by_store = history.groupby("store_id")["sales"]
    before = by_store.shift(SEASON_DAYS)
    sold = (history["sales"] > 0) & (before > 0)
    squared = (history["sales"] - before)[sold] ** 2
    scales = squared.groupby(history.loc[sold, "store_id"]).agg(["mean", "size"])
    is_known = (scales["size"] >= fewest_pairs) & (scales["mean"] > 0)
    return scales.loc[is_known, "mean"]
