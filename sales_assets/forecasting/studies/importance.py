"""Which features the trees split on, and which ones their forecasts would miss.

Gain and impurity tell what a model used while it learnt, on the rows that it learnt from; they
favour features with many values. Permutation tells what its forecasts of days that it never saw
owe to a feature: how much the error rises when the feature's values are dealt out anew.

Source: Breiman (2001), Random forests, section 10.
"""

import logging
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from sales_assets.forecasting import metrics
from sales_assets.forecasting.feature_groups import grouped
from sales_assets.forecasting.frames import CATEGORIES, Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.random_forest import RandomForest
from sales_assets.forecasting.studies.windows import Array, Window, windows
from sales_assets.settings import Settings

log = logging.getLogger("sales_assets.studies")

COLUMNS = [
    "model", "feature", "feature_group", "split_share", "permutation", "permutation_error",
    "group_permutation", "group_permutation_error", "windows", "rows", "repeats",
]  # fmt: skip


def run(frames: Frames, cutoffs: list[date], settings: Settings) -> pd.DataFrame:
    """Return the importance of each feature to LightGBM and to the forest.

    Features are permuted within a window of the backtest, on a sample of its selling days. The
    reference that forecasts are relative to stays; only the model's own view is permuted.

    Returns:
        One row a (model, feature) with the columns `COLUMNS`. `split_share` is the feature's
        share of all gain (lightgbm) or impurity decrease (random_forest); `permutation` the rise
        of the RMSPE, a mean over windows, each over its repeats, with its standard error;
        `group_permutation` that of the feature's whole group, permuted together.
    """
    shares, rises = [], []
    for window in windows(frames, cutoffs):
        known = frames.known_at(window.cutoff)
        for member in (LightGBM(settings), RandomForest(settings)):
            started = time.perf_counter()
            member.fit(known, window.cutoff)
            shares.append(split_shares(member).rename_axis("feature").reset_index(name="share"))
            shares[-1]["model"] = member.name
            of_window = permuted(_ratios(member), window, settings)
            rises.append(of_window.assign(model=member.name, cutoff=window.cutoff))
            log.info(
                "importance from %s: %s, %.0f s",
                window.cutoff, member.name, time.perf_counter() - started,
            )  # fmt: skip
    table = _summary(pd.concat(rises, ignore_index=True))
    share = pd.concat(shares).groupby(["model", "feature"])["share"].mean().rename("split_share")
    table = table.join(share, on=["model", "feature"])
    table["windows"], table["repeats"] = len(cutoffs), settings.studies.repeats
    table["rows"] = settings.studies.rows
    return table.sort_values(["model", "permutation"], ascending=[True, False])[COLUMNS]


def split_shares(member: LightGBM | RandomForest) -> pd.Series:
    """Return each feature's share of the gain or impurity decrease of all splits."""
    if isinstance(member, LightGBM):
        names = member.boosters[0].feature_name()
        total = sum(booster.feature_importance("gain") for booster in member.boosters)
        by_feature = pd.Series(total, index=names, dtype="float64")
    else:
        names = member.pipeline["columns"].get_feature_names_out()
        values = pd.Series(member.pipeline["forest"].feature_importances_, index=names)
        by_feature = values.groupby([_original(name) for name in names]).sum()
    return by_feature / by_feature.sum()


def permuted(
    predict: Callable[[pd.DataFrame], Array], window: Window, settings: Settings
) -> pd.DataFrame:
    """Return the rise of a window's RMSPE by what is permuted and by repeat.

    Args:
        predict: From a matrix of features to log ratios to the reference.
        window: A sample of its days is looked at.
        settings: `studies.rows` and `studies.repeats`, and the seed.

    Returns:
        One row a (subject, repeat): `subject` is a feature, or a group of features with `is_group`.
    """
    rng = np.random.default_rng([settings.seed, window.cutoff.toordinal()])
    size = min(settings.studies.rows, len(window.asked))
    sample = np.sort(rng.choice(len(window.asked), size, replace=False))
    matrix = window.asked.iloc[sample].reset_index(drop=True)
    reference, sales = window.asked_reference[sample], window.sales[sample]

    def error(shuffled: pd.DataFrame) -> float:
        return metrics.rmspe(sales, np.exp(reference + predict(shuffled)))

    subjects = [(name, False, [name]) for name in matrix.columns]
    subjects += [(group, True, names) for group, names in grouped(matrix.columns).items()]
    before = error(matrix)
    rows = []
    for repeat in range(settings.studies.repeats):
        order = rng.permutation(size)
        for subject, is_group, names in subjects:
            dealt = {name: matrix[name].to_numpy()[order] for name in names}
            rise = error(matrix.assign(**dealt)) - before
            rows.append({"subject": subject, "is_group": is_group, "repeat": repeat, "rise": rise})
    return pd.DataFrame(rows)


def _ratios(member: LightGBM | RandomForest) -> Callable[[pd.DataFrame], Array]:
    if isinstance(member, LightGBM):
        boosters: list[Any] = member.boosters
        return lambda matrix: np.mean(
            [booster.predict(matrix, num_threads=1) for booster in boosters], axis=0
        )
    predict: Callable[[pd.DataFrame], Array] = member.pipeline.predict
    return predict


def _original(encoded: str) -> str:
    """Return the feature behind a column of the forest's matrix: one of a category's flags."""
    name = encoded.split("__", 1)[1]
    return next((category for category in CATEGORIES if name.startswith(f"{category}_")), name)


def _summary(rises: pd.DataFrame) -> pd.DataFrame:
    # Repeats share their window's model and days: windows are what is independent.
    subject = ["model", "is_group", "subject"]
    by_window = rises.groupby([*subject, "cutoff"])["rise"].mean()
    summary = by_window.groupby(subject).agg(["mean", "sem"]).reset_index()
    alone = summary[~summary["is_group"]].rename(
        columns={"subject": "feature", "mean": "permutation", "sem": "permutation_error"}
    )
    together = summary[summary["is_group"]].rename(
        columns={
            "subject": "feature_group",
            "mean": "group_permutation",
            "sem": "group_permutation_error",
        }
    )
    groups = {
        name: group for group, names in grouped(alone["feature"].unique()).items() for name in names
    }
    alone["feature_group"] = alone["feature"].map(groups)
    both = alone.merge(together, "left", ["model", "feature_group"], suffixes=("", "_of_group"))
    return both.drop(columns=["is_group", "is_group_of_group"])
