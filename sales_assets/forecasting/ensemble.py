"""The members of the ensemble, and the weights that combine them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from sales_assets.forecasting.baseline import Baseline
from sales_assets.forecasting.conformal import NEW_STORE, Bounds, doubt_of
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.lstm import LSTM
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.forecasting.point import moved
from sales_assets.forecasting.random_forest import RandomForest
from sales_assets.forecasting.statistical import Statistical

MEMBERS: dict[str, type[Member]] = {
    member.name: member for member in (Baseline, Statistical, RandomForest, LightGBM, LSTM)
}
MODELS = (*MEMBERS, ENSEMBLE)

ROW = ["cutoff", "store_id", "date"]


@dataclass(frozen=True)
class Ensemble:
    """A weighted geometric mean of the members' forecasts, and the intervals around them.

    Attributes:
        weights: Each member's share; not negative, summing to one.
        calibration: Interval bounds by model, store and horizon week (`conformal.calibrate`).
        factors: What each model's median is multiplied by (`point.factors`); none: nothing.
    """

    weights: Mapping[str, float]
    calibration: pd.DataFrame
    factors: Mapping[str, float] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Write weights, factors and calibration into an existing directory."""
        for name, values in (("weights", self.weights), ("factors", self.factors)):
            text = json.dumps(dict(values), indent=2)
            (directory / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        self.calibration.to_parquet(directory / "calibration.parquet", index=False)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote; the caller has verified the files' hashes."""
        weights = json.loads((directory / "weights.json").read_text(encoding="utf-8"))
        # Versions that were saved before there were factors forecast the median.
        file = directory / "factors.json"
        factors = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return cls(weights, pd.read_parquet(directory / "calibration.parquet"), factors)

    @cached_property
    def _bounds(self) -> Bounds:
        return Bounds(self.calibration)

    def forecast(self, rows: pd.DataFrame, log_forecasts: pd.DataFrame) -> pd.DataFrame:
        """Return the members' and the ensemble's forecasts with intervals.

        Where members are missing, the others share their weights, and the ensemble's intervals
        are on each side as wide as the widest of its own and of theirs.

        Args:
            rows: The rows that were asked for: cutoff, store_id, date, h, is_open, and anchor,
                which a store that has never sold has none of.
            log_forecasts: What the members say of them, a column each, one member or more.

        Returns:
            One row a (cutoff, store_id, date, model): h, forecast and bounds in EUR; a closed day
            is exactly 0, bounds included.
        """
        weights = _shared(self.weights, list(log_forecasts))
        models = [*log_forecasts, ENSEMBLE]
        says = np.vstack([*log_forecasts.to_numpy().T, combine(log_forecasts, weights)])
        is_open = rows["is_open"].to_numpy(dtype=bool)
        # Arrays until the end: of one store's days, every step of a frame takes longer than all
        # arithmetic.
        model = np.repeat(np.array(models, dtype=object), len(rows))
        keys = {name: np.tile(rows[name].to_numpy(), len(models)) for name in ROW}
        h = np.tile(rows["h"].to_numpy(), len(models))
        forecast = np.where(is_open, np.exp(says), 0.0).ravel()
        by = np.tile(doubt_of(spread(log_forecasts.to_numpy())), len(models))
        store = np.where(rows["anchor"].isna(), NEW_STORE, rows["store_id"])
        bounds = self._bounds.of(model, np.tile(store, len(models)), h, forecast, by)
        if set(weights) != set(self.weights):
            used = [models.index(name) for name, weight in weights.items() if weight > 0]
            bounds = _widened(forecast.reshape(says.shape), bounds, used)
        times = np.repeat([self.factors.get(name, 1.0) for name in models], len(rows))
        values = moved({"forecast": forecast, **bounds}, times)
        return pd.DataFrame({**keys, "model": model, "h": h, **values}, copy=False)


def _shared(weights: Mapping[str, float], present: list[str]) -> dict[str, float]:
    """Return the weights of the members that are present, summing to one."""
    if set(weights) <= set(present):
        return dict(weights)
    own = {name: weight for name, weight in weights.items() if name in present}
    total = sum(own.values())
    if total == 0:
        return {name: 1 / len(own) for name in own}
    return {name: weight / total for name, weight in own.items()}


def _widened(
    forecast: NDArray[np.float64], bounds: Mapping[str, NDArray[np.float64]], used: list[int]
) -> dict[str, NDArray[np.float64]]:
    """Return the ensemble's bounds as far from its forecast as the farthest of the used models'.

    Args:
        forecast: Shape (models, rows), the ensemble last.
        bounds: Of the same, one after the other.
        used: Places of the models.
    """
    wide = {}
    for bound, values in bounds.items():
        each = values.reshape(forecast.shape).copy()
        share = each / np.where(forecast > 0, forecast, 1.0)
        farthest = np.minimum if bound.startswith("lo") else np.maximum
        each[-1] = farthest.reduce(share[[-1, *used]], axis=0) * forecast[-1]
        wide[bound] = each.ravel()
    return wide


def combine(log_forecasts: pd.DataFrame, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the weighted mean in log space; columns of `log_forecasts` are members."""
    names = list(weights)
    values: NDArray[np.float64] = log_forecasts[names].to_numpy(dtype=np.float64)
    return values @ np.array([weights[name] for name in names])


def fit_weights(backtest: pd.DataFrame) -> dict[str, float]:
    """Return the weights that would have forecast the backtest best, in log space.

    With weights that sum to one the ensemble's error is the weighted sum of its members' errors,
    so the mean squared error is a quadratic form in their cross products, minimised on the
    simplex. A day counts the same in an easy window as in a hard one (`evened`).

    Args:
        backtest: Out-of-fold forecasts: model, cutoff, store_id, date, sales, forecast.

    Source: Breiman (1996), Stacked regressions.
    """
    log_forecasts, log_sales = wide(backtest)
    errors = log_forecasts.to_numpy() - log_sales.to_numpy()[:, None]
    windows = log_forecasts.index.get_level_values("cutoff")
    shares = simplex_weights(evened(errors, windows)).tolist()
    return dict(zip(log_forecasts.columns, shares, strict=True))


def evened(errors: NDArray[np.float64], windows: pd.Index) -> NDArray[np.float64]:
    """Return errors over their window's usual size, the median member's, shape (rows, members).

    A chain's first Christmas, which no member could know, would otherwise decide, as long as it is
    in the backtest, who forecasts ordinary weeks. The median keeps a member that failed in one
    window from making that window small for all.
    """
    squares = pd.DataFrame(errors**2).groupby(np.asarray(windows)).transform("mean")
    size = np.sqrt(squares.median(axis=1).to_numpy())
    return errors / np.where(size > 0, size, 1.0)[:, None]


def simplex_weights(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares that make the smallest mean squared sum of errors, shape (rows, members).

    They are not negative and sum to one.
    """
    members = errors.shape[1]
    cross = errors.T @ errors / len(errors)
    scale = float(np.trace(cross)) / members
    start = np.full(members, 1 / members)
    solution = minimize(
        lambda weights: weights @ cross @ weights / scale,
        start,
        jac=lambda weights: 2 * cross @ weights / scale,
        bounds=[(0.0, 1.0)] * members,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    # Shares below one in ten thousand are the solver's noise.
    shares = np.where(solution.x < 1e-4, 0.0, solution.x)
    return shares / shares.sum()


def out_of_fold(backtest: pd.DataFrame) -> pd.DataFrame:
    """Return the ensemble's own backtest: each window combined by weights of the other windows.

    Args:
        backtest: The members' forecasts, two windows or more.

    Returns:
        Rows like those of one member, with `model` set to `ensemble`.
    """
    windows = []
    for cutoff in sorted(backtest["cutoff"].unique()):
        judged = backtest["cutoff"] == cutoff
        # Of a single window there are no others; equal weights have seen none at all.
        weights = _equal_weights(backtest) if judged.all() else fit_weights(backtest[~judged])
        log_forecasts, _ = wide(backtest[judged])
        combined = np.exp(combine(log_forecasts, weights))
        forecasts = log_forecasts.index.to_frame(index=False).assign(forecast=combined)
        one = backtest[judged & (backtest["model"] == next(iter(weights)))]
        # A member's own deviation is not the ensemble's.
        keys = one.drop(columns=["forecast", "deviation"], errors="ignore")
        windows.append(keys.merge(forecasts, on=ROW).assign(model=ENSEMBLE))
    return pd.concat(windows, ignore_index=True)


def _equal_weights(backtest: pd.DataFrame) -> dict[str, float]:
    names = backtest["model"].unique()
    return dict.fromkeys(names, 1 / len(names))


def with_spread(backtest: pd.DataFrame) -> pd.DataFrame:
    """Return the members' forecasts with `spread`, how far they are apart on the row's day."""
    log_forecasts, _ = wide(backtest)
    apart = log_forecasts.index.to_frame(index=False)
    return backtest.merge(apart.assign(spread=spread(log_forecasts.to_numpy())), "left", ROW)


def spread(log_forecasts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of the members' log forecasts, shape (rows, members).

    What a member does not know is left out; where fewer than two know, it is NaN.
    """
    # By NumPy: of one store's days, pandas takes ten times as long.
    is_known = ~np.isnan(log_forecasts)
    known = is_known.sum(axis=1)
    mean = np.where(is_known, log_forecasts, 0.0).sum(axis=1) / np.maximum(known, 1)
    squares = np.where(is_known, log_forecasts - mean[:, None], 0.0) ** 2
    variance = squares.sum(axis=1) / np.maximum(known - 1, 1)
    return np.where(known > 1, np.sqrt(variance), np.nan)


def wide(backtest: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return log forecasts, a column a member, and log sales, both indexed by `ROW`."""
    members = [name for name in MEMBERS if name in set(backtest["model"])]
    wide = backtest.pivot_table(index=ROW, columns="model", values="forecast")[members]
    sales = backtest.drop_duplicates(ROW).set_index(ROW)["sales"].reindex(wide.index)
    return np.log(wide), np.log(sales)
