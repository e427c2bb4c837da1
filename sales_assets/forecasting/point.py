"""From the median to another point of the same distribution: the mean, or the RMSPE's optimum.

Models are fitted to logs, so that what they forecast is a median. Sales are skewed about it:
their mean lies above it, and the number that has the lowest squared percentage error below it.
Both are the median times a factor, estimated from out-of-fold residuals.

Source: Duan (1983), Smearing estimate: a nonparametric retransformation method.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.settings import LEVELS

Array = NDArray[np.float64]
MEDIAN = "median"
IN_WORDS = {MEDIAN: "medians", "mean": "means", "rmspe": "what has the lowest RMSPE"}


def smearing(residuals: Array) -> float:
    """Return the mean of sales over forecast: with it, forecasts add up to the sales expected."""
    return float(np.mean(np.exp(residuals)))


def rmspe_optimum(residuals: Array) -> float:
    """Return the factor k that minimises the mean of (1 - k f/y)²: Σ(f/y) / Σ(f/y)²."""
    ratios = np.exp(-residuals)
    return float(np.sum(ratios) / np.sum(ratios**2))


POINTS: dict[str, Callable[[Array], float]] = {"mean": smearing, "rmspe": rmspe_optimum}


def factor(residuals: pd.Series, windows: pd.Series, point: str) -> float:
    """Return what a median forecast is multiplied by.

    A factor is made of a level (were the forecasts too low on average?) and of a spread. Spread
    shows in every day, level in every window only once: it is shrunk towards none by its error
    as seen between the windows (positive-part James-Stein), and one window alone has no say.

    Args:
        residuals: Log sales less log forecast, out of fold.
        windows: The cutoff of each residual.
        point: `median`, or one of `POINTS`.
    """
    if point == MEDIAN:
        return 1.0
    log_errors = residuals.to_numpy(dtype=np.float64)
    level = float(log_errors.mean())
    levels = residuals.groupby(windows.to_numpy()).mean()
    trust = 0.0
    if len(levels) > 1 and level != 0:
        trust = max(0.0, 1 - float(levels.var()) / len(levels) / level**2)
    return float(np.exp(trust * level)) * POINTS[point](log_errors - level)


def factors(backtest: pd.DataFrame, point: str) -> dict[str, float]:
    """Return each model's factor, from its out-of-fold forecasts.

    Args:
        backtest: model, cutoff, sales, forecast; forecasts are medians.
        point: `median`, `mean` or `rmspe`.
    """
    residuals = np.log(backtest["sales"]) - np.log(backtest["forecast"])
    return {
        str(model): factor(residuals[rows.index], rows["cutoff"], point)
        for model, rows in backtest.groupby("model")
    }


def moved(columns: Mapping[str, Array], times: Array) -> dict[str, Array]:
    """Return forecasts times their model's factor, with their bounds.

    Intervals say where sales may lie, whatever is forecast: they stay, and are only widened where
    the forecast would otherwise leave them.

    Args:
        columns: `forecast`, and the bounds of each level.
        times: The factor of each forecast.
    """
    forecast = columns["forecast"] * times
    result = {"forecast": forecast}
    for level in LEVELS:
        result[f"lo_{level}"] = np.minimum(columns[f"lo_{level}"], forecast)
        result[f"hi_{level}"] = np.maximum(columns[f"hi_{level}"], forecast)
    return result
