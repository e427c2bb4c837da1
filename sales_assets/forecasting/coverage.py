"""What the backtest's intervals are worth, slice by slice, beside two other ways to make them."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from sales_assets.forecasting import metrics
from sales_assets.forecasting.backtest import cross_fitted_ensemble
from sales_assets.forecasting.conformal import cross_calibrated, horizon_week
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.settings import LEVELS

CONFORMAL, CONSTANT, TREES = "conformal", "constant_width", "trees"
WORST, OTHERS = "worst decile", "others"
# Slices: all, horizon_week, store_type, is_promo, weekday, stores (by their error), cutoff.
SLICES = ("all", "horizon_week", "store_type", "is_promo", "weekday", "stores", "cutoff")
COLUMNS = [
    "model", "method", "level", "slice", "value",
    "days", "coverage", "width", "width_eur", "winkler", "crps",
]  # fmt: skip


def run(backtest: pd.DataFrame, stores: pd.DataFrame, days: pd.DataFrame) -> pd.DataFrame:
    """Return coverage, width and scores of every model's intervals, by slice.

    No window calibrates its own intervals, by any of the methods.

    Args:
        backtest: `backtest.run`'s.
        stores: store_id and store_type.
        days: store_id, date and is_promo.

    Returns:
        One row a (model, method, level, slice, value) with the columns `COLUMNS`: `width` is the
        mean share of the forecast, `width_eur` the mean in EUR, `winkler` and `crps` are of log
        sales.
    """
    judged = pd.concat(
        [backtest.assign(method=CONFORMAL), constant_width(backtest), trees(backtest)]
    )
    sliced = _sliced(judged, stores, days)
    rows = []
    for name in SLICES:
        for (model, method, value), group in sliced.groupby(["model", "method", name], sort=True):
            keys = {"model": model, "method": method, "slice": name, "value": str(value)}
            rows += [{**keys, "level": level, **_scores(group, level)} for level in LEVELS]
    return pd.DataFrame(rows)[COLUMNS]


def constant_width(backtest: pd.DataFrame) -> pd.DataFrame:
    """Return the backtest with conformal intervals that are one share of every forecast wide."""
    members = backtest[backtest["model"] != ENSEMBLE]
    parts = [cross_calibrated(members, is_scaled=False)]
    if ENSEMBLE in set(backtest["model"]):
        parts.append(cross_fitted_ensemble(members, is_scaled=False))
    return pd.concat(parts).assign(method=CONSTANT)


def trees(backtest: pd.DataFrame) -> pd.DataFrame:
    """Return a forest's days with bounds of the normal distribution, 1.96 deviations for 95 %.

    The deviation is that between its trees, as if it were that of the sales.
    """
    rows = backtest[backtest["deviation"].notna()]
    forecast, deviation = rows["forecast"].to_numpy(), rows["deviation"].to_numpy()
    # Trees that all say the same have no distribution to score.
    deviation = np.maximum(deviation, 1e-9)
    bounds = {}
    for level in LEVELS:
        reach = norm.ppf((1 + level / 100) / 2) * deviation
        bounds[f"lo_{level}"], bounds[f"hi_{level}"] = (
            forecast * np.exp(-reach),
            forecast * np.exp(reach),
        )
    z = (np.log(rows["sales"].to_numpy()) - np.log(forecast)) / deviation
    # Gneiting and Raftery (2007), Strictly proper scoring rules, equation 5.
    crps = deviation * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    return rows.assign(**bounds, crps=crps, method=TREES)


def _sliced(judged: pd.DataFrame, stores: pd.DataFrame, days: pd.DataFrame) -> pd.DataFrame:
    """Return the days with a column a slice."""
    keys = ["store_id", "date"]
    sliced = judged.merge(stores[["store_id", "store_type"]], "left", "store_id").merge(
        days[[*keys, "is_promo"]], "left", keys
    )
    squared = (np.log(sliced["sales"]) - np.log(sliced["forecast"])) ** 2
    by_store = squared.groupby([sliced["model"], sliced["store_id"]]).mean()
    worst = by_store >= by_store.groupby(level=0).transform("quantile", 0.9)
    is_worst = worst.reindex(pd.MultiIndex.from_frame(sliced[["model", "store_id"]])).to_numpy()
    return sliced.assign(
        all="all",
        horizon_week=horizon_week(sliced["h"]),
        weekday=sliced["date"].dt.dayofweek + 1,
        stores=np.where(is_worst, WORST, OTHERS),
        cutoff=sliced["cutoff"].dt.date,
    )


def _scores(days: pd.DataFrame, level: int) -> dict[str, float]:
    y, lower, upper = (days[name].to_numpy() for name in ("sales", f"lo_{level}", f"hi_{level}"))
    return {
        "days": len(days),
        "coverage": metrics.coverage(y, lower, upper),
        "width": float(np.mean((upper - lower) / days["forecast"].to_numpy())),
        "width_eur": float(np.mean(upper - lower)),
        "winkler": metrics.winkler(y, lower, upper, level),
        "crps": float(days["crps"].mean()),
    }
