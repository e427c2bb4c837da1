"""How to combine the members: from equal shares to stacking, each judged out of fold.

Weights of a window come from the other windows alone. Days of one store go wrong together, and so
do stores in one window, so that standard errors are given over both.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from sales_assets.forecasting import metrics
from sales_assets.forecasting.conformal import horizon_week
from sales_assets.forecasting.ensemble import evened, simplex_weights, wide

Array = NDArray[np.float64]

CHOSEN = "simplex"
# A member is good if its error on the other windows is at most this many times the best one's.
GOOD = 1.25
# A log error beyond this is taken for this one where weights must not follow outliers.
CLIPPED_AT = 0.3
# Stacking: what a squared deviation from equal shares costs, in squared logs.
RIDGE = 0.001
# A combination is worse if its difference is above this many standard errors over stores.
SIGNIFICANT = 2.0
COLUMNS = [
    "combination", "cutoff", "days", "rmspe", "log_rmse", "wape", "log_difference",
    "log_error_of_stores", "log_error_of_windows", "percent_difference",
    "percent_error_of_stores", "percent_error_of_windows", "is_worse", "is_chosen", "weights",
]  # fmt: skip


@dataclass(frozen=True)
class Days:
    """Log forecasts of some days, a column a member, with their log sales and horizon weeks."""

    forecasts: pd.DataFrame
    sales: pd.Series
    weeks: Array

    @property
    def errors(self) -> Array:
        """Log forecasts less log sales, shape (days, members)."""
        return self.forecasts.to_numpy() - self.sales.to_numpy()[:, None]

    @property
    def windows(self) -> pd.Index:
        """The cutoff of each day."""
        return self.forecasts.index.get_level_values("cutoff")

    def where(self, chosen: Array) -> "Days":
        """Return some of the days."""
        return Days(self.forecasts[chosen], self.sales[chosen], self.weeks[chosen])


@dataclass(frozen=True)
class Weights:
    """Shares of the members, by horizon week where there are several rows of them.

    Attributes:
        shares: Of shape (1 or weeks, members), the first row for the first week.
        intercept: What is added to the log forecast.
    """

    shares: Array
    intercept: float = 0.0

    def combine(self, days: Days) -> Array:
        """Return the combined log forecasts."""
        row = np.minimum(days.weeks, len(self.shares)).astype(int) - 1
        combined: Array = (days.forecasts.to_numpy() * self.shares[row]).sum(axis=1)
        return combined + self.intercept


def best_single(days: Days) -> Weights:
    """Everything to the member with the lowest error."""
    size = _sizes(days)
    return Weights((np.arange(len(size)) == np.argmin(size)).astype(float)[None])


def equal(days: Days) -> Weights:
    """The same share for every member."""
    members = days.forecasts.shape[1]
    return Weights(np.full((1, members), 1 / members))


def equal_good(days: Days) -> Weights:
    """The same share for every member that is not much worse than the best."""
    size = _sizes(days)
    good = (size <= GOOD * size.min()).astype(float)
    return Weights((good / good.sum())[None])


def simplex_pooled(days: Days) -> Weights:
    """Shares with the lowest squared error, so that days of a hard window count for more."""
    return Weights(simplex_weights(days.errors)[None])


def simplex(days: Days) -> Weights:
    """The same, days of all windows counting alike: what the platform does."""
    return _simplex(days, days.errors)


def simplex_clipped(days: Days) -> Weights:
    """The platform's, without the weight that a few wild days have in a squared error."""
    return _simplex(days, np.clip(days.errors, -CLIPPED_AT, CLIPPED_AT))


def simplex_half(days: Days) -> Weights:
    """Half-way from the platform's to equal shares of the good members."""
    return Weights((simplex(days).shares + equal_good(days).shares) / 2)


def simplex_by_week(days: Days) -> Weights:
    """The platform's, with shares of their own for each week of the horizon."""
    rows = []
    for week in range(1, int(days.weeks.max()) + 1):
        of_week = days.weeks == week
        # Stores may be shut in a whole week.
        rows.append(simplex(days.where(of_week) if of_week.any() else days).shares[0])
    return Weights(np.stack(rows))


def stacking(days: Days) -> Weights:
    """Ridge regression of log sales with an intercept: not negative, any sum, drawn to equal.

    Source: Breiman (1996), Stacked regressions.
    """
    forecasts, sales = days.forecasts.to_numpy(), days.sales.to_numpy()
    members = forecasts.shape[1]
    centred = forecasts - forecasts.mean(axis=0)
    penalised = centred.T @ centred / len(centred) + RIDGE * np.eye(members)
    target = centred.T @ (sales - sales.mean()) / len(sales) + RIDGE / members
    root = np.linalg.cholesky(penalised)
    shares, _ = nnls(root.T, np.linalg.solve(root, target))
    return Weights(shares[None], float(sales.mean() - forecasts.mean(axis=0) @ shares))


# The simplest first.
COMBINATIONS: Mapping[str, Callable[[Days], Weights]] = {
    combination.__name__: combination
    for combination in (
        best_single, equal, equal_good, simplex_pooled, simplex, simplex_clipped, simplex_half,
        simplex_by_week, stacking,
    )
}  # fmt: skip


def run(backtest: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of every combination of the members, beside the chosen one.

    Args:
        backtest: The members' out-of-fold forecasts, two windows or more.

    Returns:
        One row a (combination, cutoff) with the columns `COLUMNS`; without a cutoff: all.
        `log_difference` is the mean squared error of logs less the chosen one's,
        `percent_difference` that of percentages; both with standard errors over stores and, in
        the rows of all windows, over windows. `is_worse` goes by logs and stores. Scores take
        each day for one, in hard windows too. `weights` are what the combination would be now.
    """
    forecasts, sales = wide(backtest)
    ahead = forecasts.index.get_level_values("date") - forecasts.index.get_level_values("cutoff")
    days = Days(forecasts, sales, horizon_week(pd.Series(ahead.days)).to_numpy())
    said = {name: out_of_fold(days, fit) for name, fit in COMBINATIONS.items()}
    rows = []
    for name, fit in COMBINATIONS.items():
        judged = _judged(days, said[name], said[CHOSEN])
        for cutoff, window in judged.groupby("cutoff"):
            rows.append({"combination": name, "cutoff": cutoff, **_scores(window)})
        over_all = {"combination": name, "cutoff": pd.NaT, **_scores(judged)}
        rows.append({**over_all, "weights": _told(fit(days), list(forecasts.columns))})
    return pd.DataFrame(rows).assign(is_chosen=lambda row: row["combination"] == CHOSEN)[COLUMNS]


def out_of_fold(days: Days, fit: Callable[[Days], Weights]) -> Array:
    """Return the combined log forecasts; each window's weights come from the other windows."""
    combined = np.zeros(len(days.windows))
    for cutoff in days.windows.unique():
        own = np.asarray(days.windows == cutoff)
        # Of a single window there are no others; equal weights have seen none at all.
        weights = equal(days) if own.all() else fit(days.where(~own))
        combined[own] = weights.combine(days.where(own))
    return combined


def clustered_error(differences: Array, clusters: Array) -> float:
    """Return the standard error of a mean whose terms vary together within clusters.

    Source: Liang and Zeger (1986), Longitudinal data analysis using generalized linear models.
    """
    sums = pd.Series(differences - differences.mean()).groupby(clusters).sum().to_numpy()
    count = len(sums)
    if count < 2:
        return float("nan")
    return float(np.sqrt(count / (count - 1) * np.sum(sums**2)) / len(differences))


def _simplex(days: Days, errors: Array) -> Weights:
    return Weights(simplex_weights(evened(errors, days.windows))[None])


def _sizes(days: Days) -> Array:
    size: Array = np.sqrt(np.mean(days.errors**2, axis=0))
    return size


def _judged(days: Days, said: Array, chosen: Array) -> pd.DataFrame:
    log_sales = days.sales.to_numpy()
    error, yardstick = said - log_sales, chosen - log_sales
    return days.forecasts.index.to_frame(index=False).assign(
        sales=np.exp(log_sales),
        forecast=np.exp(said),
        log=error**2 - yardstick**2,
        percent=np.expm1(error) ** 2 - np.expm1(yardstick) ** 2,
    )


def _scores(days: pd.DataFrame) -> dict[str, object]:
    y, f = days["sales"].to_numpy(), days["forecast"].to_numpy()
    scores: dict[str, object] = {
        "days": len(days),
        "rmspe": metrics.rmspe(y, f),
        "log_rmse": float(np.sqrt(np.mean((np.log(f) - np.log(y)) ** 2))),
        "wape": metrics.wape(y, f),
    }
    for kind in ("log", "percent"):
        differences = days[kind].to_numpy()
        scores[f"{kind}_difference"] = float(differences.mean())
        for cluster, column in (("stores", "store_id"), ("windows", "cutoff")):
            error = clustered_error(differences, days[column].to_numpy())
            scores[f"{kind}_error_of_{cluster}"] = error
    difference = float(days["log"].mean())
    allowed = SIGNIFICANT * clustered_error(days["log"].to_numpy(), days["store_id"].to_numpy())
    return {**scores, "is_worse": bool(difference > allowed)}


def _told(weights: Weights, members: list[str]) -> str:
    rows = [dict(zip(members, np.round(row, 4).tolist(), strict=True)) for row in weights.shares]
    if len(rows) > 1:
        return json.dumps({f"week {week}": row for week, row in enumerate(rows, 1)})
    extra = {"intercept": round(weights.intercept, 4)} if weights.intercept else {}
    return json.dumps({**rows[0], **extra})
