"""What each group of features is worth: LightGBM refitted without it, on the backtest."""

import logging
import time
from datetime import date

import numpy as np
import pandas as pd

from sales_assets.forecasting.feature_groups import grouped
from sales_assets.forecasting.frames import Frames, model_matrix
from sales_assets.forecasting.studies.windows import Array, Terms, Window, boosted, windows
from sales_assets.settings import Settings

log = logging.getLogger("sales_assets.studies")

COLUMNS = [
    "feature_group", "cutoff", "features", "days", "rmspe", "rmspe_without", "difference",
    "standard_error", "trees",
]  # fmt: skip


def run(frames: Frames, cutoffs: list[date], settings: Settings) -> pd.DataFrame:
    """Return by how much the error rises when LightGBM does not see a group of features.

    The anchor stays part of what forecasts are relative to, also where it is no feature.

    Returns:
        One row a (feature_group, cutoff) with the columns `COLUMNS`; without a cutoff: all.
        `difference` above zero means that the group helps.
    """
    few = settings.lightgbm.model_copy(update={"trees": settings.studies.ablation_trees})
    settings = settings.model_copy(update={"lightgbm": few})
    errors = pd.concat(
        [_errors(window, settings) for window in windows(frames, cutoffs)], ignore_index=True
    )
    sizes = {group: len(names) for group, names in _groups(frames).items()}
    table = compared(errors)
    table["features"] = table["feature_group"].map(sizes)
    table["trees"] = few.trees
    return table[COLUMNS]


def compared(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the RMSPE with and without each group: of each window, and of all.

    Args:
        errors: One row a (feature_group, cutoff, day) with store_id and the squared percentage
            errors `with_it` and `without`.
    """
    rows = []
    for grouping in (["cutoff"], []):
        for key, days in errors.groupby(["feature_group", *grouping], sort=False):
            keys = dict(zip(["feature_group", *grouping], key, strict=True))
            rows.append({"cutoff": pd.NaT, **keys, **_difference(days)})
    return pd.DataFrame(rows)


def _difference(days: pd.DataFrame) -> dict[str, float]:
    by_store = days.groupby("store_id")[["with_it", "without"]].sum()
    counts = days.groupby("store_id").size().to_numpy()
    sums = by_store.to_numpy().T
    with_it, without = np.sqrt(sums.sum(axis=1) / counts.sum())
    return {
        "days": len(days),
        "rmspe": float(with_it),
        "rmspe_without": float(without),
        "difference": float(without - with_it),
        "standard_error": _jackknife(sums, counts.astype(np.float64)),
    }


def _jackknife(sums: Array, counts: Array) -> float:
    """Return the standard error of the difference of two RMSPE over the same stores.

    Days of one store go wrong together, stores hardly do: each store is left out once, from both.

    Args:
        sums: Squared percentage errors, shape (2, stores): with the group, without it.
        counts: Days of each store.

    Source: Efron and Stein (1981), The jackknife estimate of variance.
    """
    stores = len(counts)
    if stores < 2:
        return float("nan")
    left = np.sqrt((sums.sum(axis=1, keepdims=True) - sums) / (counts.sum() - counts))
    differences = left[1] - left[0]
    return float(np.sqrt((stores - 1) / stores * np.sum((differences - differences.mean()) ** 2)))


def _errors(window: Window, settings: Settings) -> pd.DataFrame:
    groups = grouped(window.known.columns)
    with_it = _squared_errors(window, settings, list(window.known.columns), "every feature")
    parts = []
    for group, names in groups.items():
        others = [name for name in window.known.columns if name not in names]
        without = _squared_errors(window, settings, others, f"without {group}")
        parts.append(
            window.keys[["cutoff", "store_id"]].assign(
                feature_group=group, with_it=with_it, without=without
            )
        )
    return pd.concat(parts, ignore_index=True)


def _squared_errors(window: Window, settings: Settings, features: list[str], says: str) -> Array:
    started = time.perf_counter()
    booster = boosted(window, settings, Terms(features=features))
    log_ratio = booster.predict(window.asked[features], num_threads=1)
    squared: Array = (1 - np.exp(window.asked_reference + log_ratio) / window.sales) ** 2
    log.info(
        "ablation from %s: %s RMSPE %.4f, %.0f s",
        window.cutoff, says, np.sqrt(squared.mean()), time.perf_counter() - started,
    )  # fmt: skip
    return squared


def _groups(frames: Frames) -> dict[str, list[str]]:
    return grouped(model_matrix(frames.rows.head(1)).columns)
