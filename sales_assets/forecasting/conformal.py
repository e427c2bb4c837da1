"""Split-conformal intervals from backtest residuals, scaled by store and horizon.

Source: Lei et al. (2018), Distribution-free predictive inference for regression, section 5.2
(locally weighted); one-sided quantiles as in Romano et al. (2019), Conformalized quantile
regression. Residuals are of log sales, so an interval's width is a share of the forecast.
"""

import numpy as np
import pandas as pd

from sales_assets.settings import LEVELS

BOUNDS = [f"{side}_{level}" for level in LEVELS for side in ("lo", "hi")]
# A store's own scale counts as much as the chain's after this many days.
PRIOR_DAYS = 30
SMALLEST = 1e-9
# The store of a model's calibration that stands in for stores without residuals.
ANY_STORE = -1


def horizon_week(h: pd.Series) -> pd.Series:
    """Return the week of the horizon that a day is in: 1 for h = 1 to 7."""
    return (h - 1) // 7 + 1


def calibrate(backtest: pd.DataFrame) -> pd.DataFrame:
    """Return the bounds of each model's intervals, to be added to a log forecast.

    Args:
        backtest: Out-of-fold forecasts: model, store_id, h, sales, forecast.

    Returns:
        One row a (model, store_id, horizon_week) with the scale and the columns `BOUNDS`;
        `store_id` -1 serves stores that the backtest has not seen.
    """
    return pd.concat(
        [_calibrate_model(str(model), rows) for model, rows in backtest.groupby("model")],
        ignore_index=True,
    )


def _calibrate_model(model: str, rows: pd.DataFrame) -> pd.DataFrame:
    residuals = pd.DataFrame(
        {
            "store_id": rows["store_id"].to_numpy(),
            "horizon_week": horizon_week(rows["h"]).to_numpy(),
            "residual": np.log(rows["sales"].to_numpy()) - np.log(rows["forecast"].to_numpy()),
        }
    )
    # A perfect forecast has no scale to divide by.
    size = residuals["residual"].abs().clip(lower=SMALLEST)
    by_store = size.groupby(residuals["store_id"])
    stores = (by_store.sum() + PRIOR_DAYS * size.mean()) / (by_store.count() + PRIOR_DAYS)
    relative = size / residuals["store_id"].map(stores)
    weeks = relative.groupby(residuals["horizon_week"]).mean()
    scale = residuals["store_id"].map(stores) * residuals["horizon_week"].map(weeks)
    scores = np.sort((residuals["residual"] / scale).to_numpy())

    # A store of which nothing is known is treated as one of the noisiest.
    stores.loc[ANY_STORE] = stores.quantile(0.9)
    table = pd.MultiIndex.from_product(
        [stores.index, weeks.index], names=["store_id", "horizon_week"]
    ).to_frame(index=False)
    table.insert(0, "model", model)
    table["scale"] = table["store_id"].map(stores) * table["horizon_week"].map(weeks)
    for level in LEVELS:
        tail = (1 - level / 100) / 2
        table[f"lo_{level}"] = table["scale"] * _quantile(scores, tail)
        table[f"hi_{level}"] = table["scale"] * _quantile(scores, 1 - tail)
    return table


def _quantile(scores: np.ndarray, share: float) -> float:
    """Return the conformal quantile: of n + 1 scores, the unseen one being as likely anywhere."""
    n = len(scores)
    # Rounded, since 0.1 × 20 computed from 1 - 80/100 is a little less than 2.
    place = round(share * (n + 1), 9)
    rank = np.floor(place) if share < 0.5 else np.ceil(place)
    return float(scores[int(np.clip(rank, 1, n)) - 1])


def add_intervals(forecasts: pd.DataFrame, calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the forecasts with their bounds in EUR.

    Bounds never cross the forecast or each other, are never below zero, and are exactly zero
    where the forecast is.

    Args:
        forecasts: model, store_id, h, forecast.
        calibration: What `calibrate` returned; weeks beyond its last take its last.
    """
    last_week = int(calibration["horizon_week"].max())
    known = calibration.loc[calibration["store_id"] != ANY_STORE, "store_id"].unique()
    keys = pd.DataFrame(
        {
            "model": forecasts["model"].to_numpy(),
            "store_id": forecasts["store_id"].where(forecasts["store_id"].isin(known), ANY_STORE),
            "horizon_week": horizon_week(forecasts["h"]).clip(upper=last_week).to_numpy(),
        }
    )
    bounds = keys.merge(calibration, "left", ["model", "store_id", "horizon_week"])
    result = forecasts.copy()
    forecast = forecasts["forecast"].to_numpy()
    inner_lo, inner_hi = np.zeros(len(forecasts)), np.zeros(len(forecasts))
    for level in sorted(LEVELS):
        inner_lo = np.minimum(inner_lo, bounds[f"lo_{level}"].to_numpy())
        inner_hi = np.maximum(inner_hi, bounds[f"hi_{level}"].to_numpy())
        result[f"lo_{level}"] = forecast * np.exp(inner_lo)
        result[f"hi_{level}"] = forecast * np.exp(inner_hi)
    return result


def cross_calibrated(backtest: pd.DataFrame) -> pd.DataFrame:
    """Return the backtest with intervals that its own window did not calibrate."""
    windows = []
    for cutoff in sorted(backtest["cutoff"].unique()):
        judged = backtest["cutoff"] == cutoff
        windows.append(add_intervals(backtest[judged], calibrate(backtest[~judged])))
    return pd.concat(windows, ignore_index=True)
