"""Rolling-origin backtest: every member refitted as of each cutoff, judged on what came after."""

import inspect
import logging
import time
from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from sales_assets.errors import SalesError
from sales_assets.forecasting import frames as frames_module
from sales_assets.forecasting import metrics
from sales_assets.forecasting.conformal import (
    cross_calibrated,
    horizon_week,
    judged,
)
from sales_assets.forecasting.ensemble import MEMBERS, out_of_fold, with_spread
from sales_assets.forecasting.features import DEFINITION
from sales_assets.forecasting.frames import LABEL, Frames, feature_names
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.model_store import ENSEMBLE, fingerprint_of, library_versions
from sales_assets.settings import BOUNDS, LEVELS, Settings
from sales_assets.warehouse import read_sql

log = logging.getLogger("sales_assets.backtest")

COLUMNS = [
    "model", "cutoff", "store_id", "date", "h", "sales", "forecast", *BOUNDS, "crps", "spread",
    "deviation", "fingerprint",
]  # fmt: skip
# What a window owes to the other windows and members, made anew whenever any of them changes.
OF_ALL = [*BOUNDS, "crps", "spread"]
GROUPINGS: tuple[list[str], ...] = (
    [],
    ["cutoff"],
    ["horizon_week"],
    ["store_type"],
    ["cutoff", "horizon_week"],
    ["cutoff", "store_type"],
)


def member_fingerprint(
    member: type[Member], cutoff: date, data: str, settings: Settings, features: list[str]
) -> str:
    """Return the hash of what decides a fitted member: its recipe, and what it is fitted to."""
    return fingerprint_of(member_recipe(member, settings, features), cutoff, data)


def member_recipe(member: type[Member], settings: Settings, features: list[str]) -> str:
    """Return the hash of what decides a member beside the data: features, settings and code."""
    return fingerprint_of(
        member.name,
        member(settings).parameters.model_dump(),
        settings.seed,
        settings.horizon,
        settings.training_rows,
        features,
        [read_sql(name) for name in DEFINITION],
        library_versions(),
        [
            inspect.getsource(part)
            for part in (inspect.getmodule(member) or member, frames_module, *member.parts)
        ],
    )


def run(
    frames: Frames,
    cutoffs: list[date],
    data: Mapping[date, str],
    settings: Settings,
    former: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return every model's out-of-fold forecasts, with intervals, on the selling days.

    Args:
        frames: The training rows; those at the cutoffs cover every day of their horizon.
        cutoffs: Where the history is cut, oldest first.
        data: Fingerprint of each window (`features.window_fingerprints`).
        settings: Members' settings.
        former: An earlier result; forecasts with the same fingerprint are taken from it.

    Returns:
        One row a (model, cutoff, store_id, date) with the columns `COLUMNS`: bounds, `crps` (of
        log sales, by the same residuals), `spread` (the deviation of the members' log forecasts)
        and `deviation` (a member's own, if it has one). The ensemble's weights and every interval
        come from the other windows only.
    """
    features = feature_names(frames.rows)
    windows = []
    for cutoff in cutoffs:
        known, asked = frames.known_at(cutoff), frames.asked_at(cutoff)
        for name, member in MEMBERS.items():
            fingerprint = member_fingerprint(member, cutoff, data[cutoff], settings, features)
            done = _former(former, name, fingerprint)
            if done is None:
                done = _forecast(member, known, asked, cutoff, settings)
            windows.append(done.assign(model=name, fingerprint=fingerprint))
    members = with_spread(pd.concat(windows, ignore_index=True))
    # The ensemble's forecasts depend on every window, by way of its weights.
    of_all = fingerprint_of(sorted(members["fingerprint"].unique()))
    ensemble = cross_fitted_ensemble(members).assign(fingerprint=of_all)
    both = pd.concat([cross_calibrated(members), ensemble], ignore_index=True)
    order = {name: place for place, name in enumerate((*MEMBERS, ENSEMBLE))}
    return (
        both.reindex(columns=COLUMNS)
        .sort_values(
            ["model", "cutoff", "store_id", "date"],
            key=lambda column: column.map(order) if column.name == "model" else column,
        )
        .reset_index(drop=True)
    )


def cross_fitted_ensemble(members: pd.DataFrame, is_scaled: bool = True) -> pd.DataFrame:
    """Return the ensemble's backtest; no window has a part in its own weights or bounds.

    A window's bounds come from the ensemble's forecasts of the other windows, combined by weights
    that did not see the window either.
    """
    forecasts = out_of_fold(members)
    windows = []
    for cutoff in sorted(members["cutoff"].unique()):
        others = members[members["cutoff"] != cutoff]
        own = forecasts[forecasts["cutoff"] == cutoff]
        windows.append(judged(own, out_of_fold(others), is_scaled))
    return pd.concat(windows, ignore_index=True)


def _former(former: pd.DataFrame | None, name: str, fingerprint: str) -> pd.DataFrame | None:
    if former is None:
        return None
    same = former[(former["model"] == name) & (former["fingerprint"] == fingerprint)]
    return None if same.empty else same.drop(columns=OF_ALL, errors="ignore")


def _forecast(
    member: type[Member], known: Frames, asked: Frames, cutoff: date, settings: Settings
) -> pd.DataFrame:
    started = time.perf_counter()
    fitted = member(settings).fit(known, cutoff)
    log_forecast = fitted.predict(asked)
    rows = asked.rows[["cutoff", "store_id", "date", "h"]].assign(
        sales=np.exp(asked.rows[LABEL].to_numpy(dtype=np.float64)),
        forecast=np.exp(log_forecast),
        deviation=fitted.deviation(asked),
    )
    # Kaggle's own scoring leaves out days without sales, on which a percentage means nothing.
    rows = rows[rows["sales"].notna()].reset_index(drop=True)
    if rows.empty:
        raise SalesError(
            f"No store sold anything in the {settings.horizon} days after {cutoff}, so that a "
            "backtest from there says nothing; forecast further ahead (SALES_HORIZON)."
        )
    log.info(
        "backtest from %s: %s RMSPE %.4f, %.0f s",
        cutoff,
        member.name,
        metrics.rmspe(rows["sales"].to_numpy(), rows["forecast"].to_numpy()),
        time.perf_counter() - started,
    )
    return rows


def scores(backtest: pd.DataFrame, stores: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of every model, over all and by cutoff, horizon week and store type.

    Args:
        backtest: What `run` returned.
        stores: store_id and store_type.
        history: store_id, date and sales; each window is scaled by the days before it.

    Returns:
        One row a (model, cutoff, horizon_week, store_type), where an empty key means all.
    """
    scales = pd.concat(
        [
            metrics.naive_scales(history[history["date"] <= cutoff])
            .rename("scale")
            .reset_index()
            .assign(cutoff=cutoff)
            for cutoff in backtest["cutoff"].unique()
        ]
    )
    days = (
        backtest.assign(horizon_week=horizon_week(backtest["h"]))
        .merge(stores[["store_id", "store_type"]], on="store_id")
        .merge(scales, "left", ["cutoff", "store_id"])
    )
    rows = []
    for grouping in GROUPINGS:
        for key, group in days.groupby(["model", *grouping], sort=True):
            keys = dict(zip(["model", *grouping], key, strict=True))
            rows.append({**keys, **_scores(group)})
    table = pd.DataFrame(rows)
    first = ["model", "cutoff", "horizon_week", "store_type"]
    table["horizon_week"] = table["horizon_week"].astype("Int64")
    return table[[*first, *(name for name in table.columns if name not in first)]]


def _scores(days: pd.DataFrame) -> dict[str, float]:
    y, f = days["sales"].to_numpy(), days["forecast"].to_numpy()
    scaled = days["scale"].notna().to_numpy()
    return {
        "days": len(days),
        "rmspe": metrics.rmspe(y, f),
        "mape": metrics.mape(y, f),
        "wape": metrics.wape(y, f),
        "rmsse": (
            metrics.rmsse(y[scaled], f[scaled], days["scale"].to_numpy()[scaled])
            if scaled.any()
            else np.nan
        ),
        "bias": metrics.bias(y, f),
        **_interval_scores(y, days),
        "crps": float(days["crps"].mean()),
    }


def _interval_scores(y: metrics.Array, days: pd.DataFrame) -> dict[str, float]:
    bounds = {
        level: (days[f"lo_{level}"].to_numpy(), days[f"hi_{level}"].to_numpy()) for level in LEVELS
    }
    return {
        **{f"coverage_{level}": metrics.coverage(y, *of) for level, of in bounds.items()},
        **{f"winkler_{level}": metrics.winkler(y, *of, level) for level, of in bounds.items()},
    }
