"""Forecasts in the words of the HTTP interface."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.explanations import PARTS, percent
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.forecasting.release import Release
from serving.changed_plans import CHANGEABLE, Change
from serving.predictor import Answer, Predictor

HISTORY_DAYS = 56
# More than there are days in the calendar.
MOST_DAYS = 10**7
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
DAY = ["store_id", "date"]
# What a forecast's row says, and what of a store's accuracy the overview shows.
VALUES = ("h", "forecast", "lo_80", "hi_80", "lo_95", "hi_95")
JUDGED = ("rmspe", "wape", "coverage_80")


def model_info(release: Release) -> dict[str, str]:
    """Return which version a release is, and what it knows."""
    return {"version": release.version, "cutoff": str(release.cutoff), "data": release.data}


def predictions(
    answer: Answer,
    days: Iterable[tuple[int, date]],
    levels: Iterable[int],
    explained: pd.DataFrame | None = None,
) -> list[dict[str, Any]]:
    """Return the forecasts of some days, in their order.

    Args:
        answer: Forecasts of every coming day of the stores.
        days: Store and date of each.
        levels: Intervals to give, in percent.
        explained: What `explanations.explain` returned of the same rows.
    """
    days, levels = list(days), list(levels)
    stores, dates = zip(*days, strict=True)
    asked = _numbers(np.array(stores), np.array(dates, dtype="datetime64[D]"))
    plans = dict(_records(answer.plan, CHANGEABLE, asked))
    members: dict[tuple[int, date], dict[str, float]] = {}
    own: dict[tuple[int, date], dict[str, Any]] = {}
    for key, row in _records(answer.forecasts, ("model", *VALUES), asked):
        if row["model"] == ENSEMBLE:
            own[key] = row
        else:
            members.setdefault(key, {})[row["model"]] = row["forecast"]
    contributions: dict[tuple[int, date], dict[str, float]] = {}
    if explained is not None:
        # A closed day sells nothing, and there is nothing to explain.
        known = explained.dropna(subset=list(PARTS))
        contributions = {
            key: {part: percent(value) for part, value in row.items()}
            for key, row in _records(known, PARTS, asked)
        }
    return [
        {
            "store_id": day[0],
            "date": day[1].isoformat(),
            "h": own[day]["h"],
            "forecast": own[day]["forecast"],
            "intervals": {
                str(level): [own[day][f"lo_{level}"], own[day][f"hi_{level}"]] for level in levels
            },
            "members": members.get(day, {}),
            "plan": plans[day],
            "contributions": contributions.get(day),
        }
        for day in days
    ]


def _records(
    frame: pd.DataFrame, columns: Iterable[str], asked: NDArray[np.int64]
) -> Iterator[tuple[tuple[int, date], dict[str, Any]]]:
    """Yield store and date of the rows of asked days, and what each says, by column.

    Of each store every coming day is there, and few may have been asked for. Arrays throughout: of
    one day, choosing rows of a frame takes longer than telling them.
    """
    names = tuple(columns)
    stores = frame["store_id"].to_numpy()
    dates = frame["date"].to_numpy().astype("datetime64[D]")
    places = np.flatnonzero(np.isin(_numbers(stores, dates), asked))
    keys = zip(stores[places].tolist(), dates[places].tolist(), strict=True)
    values = (frame[name].to_numpy()[places].tolist() for name in names)
    for key, *row in zip(keys, *values, strict=True):
        yield key, dict(zip(names, row, strict=True))


def _numbers(stores: NDArray[Any], dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Return a number for each day of a store."""
    return stores.astype(np.int64) * MOST_DAYS + dates.astype(np.int64)


def history(past: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a store's last weeks."""
    return [
        {
            "date": row["date"].date().isoformat(),
            "sales": None if pd.isna(row["sales"]) else float(row["sales"]),
            "is_open": bool(row["is_open"]),
            "is_promo": bool(row["is_promo"]),
        }
        for row in past.tail(HISTORY_DAYS).to_dict("records")
    ]


def accuracy(predictor: Predictor, store_id: int) -> dict[str, Any] | None:
    """Return how well a store was forecast so far; nothing of one that was never judged."""
    if store_id not in predictor.accuracy.index:
        return None
    values: dict[str, Any] = predictor.accuracy.loc[store_id].to_dict()
    whole = {name: int(values.pop(name)) for name in ("days", "windows")}
    return whole | {name: _known(value) for name, value in values.items()}


def overview(predictor: Predictor) -> dict[str, Any]:
    """Return what the whole chain, and each store, is expected to sell, beside what it has sold."""
    assert predictor.planned is not None
    forecasts = predictor.planned.forecasts
    coming = forecasts[forecasts["model"] == ENSEMBLE]
    recent = predictor.features.planned.history
    span = pd.Timedelta(days=predictor.release.horizon)
    recent = recent[recent["date"] > pd.Timestamp(predictor.release.cutoff) - span]
    by_day = coming.groupby("date")["forecast"].sum()
    stores = pd.DataFrame(
        {
            "forecast_total": coming.groupby("store_id")["forecast"].sum(),
            "forecast_per_day": coming[coming["forecast"] > 0]
            .groupby("store_id")["forecast"]
            .mean(),
            "recent_total": recent.groupby("store_id")["sales"].sum(),
            "recent_per_day": recent[recent["sales"] > 0].groupby("store_id")["sales"].mean(),
        }
    ).reindex(sorted(predictor.stores))
    stores["recent_total"] = stores["recent_total"].fillna(0.0)
    stores["change_percent"] = 100 * (stores["forecast_per_day"] / stores["recent_per_day"] - 1)
    stores = stores.join(predictor.accuracy[list(JUDGED)])
    shown = ("forecast_total", "recent_total", "change_percent", *JUDGED)
    return {
        "days": [
            {"date": day.date().isoformat(), "forecast": total} for day, total in by_day.items()
        ],
        "forecast_total": float(stores["forecast_total"].sum()),
        "recent_total": float(stores["recent_total"].sum()),
        "stores": [
            store_info(predictor, store) | {name: _known(row[name]) for name in shown}
            for store, row in zip(stores.index, stores.to_dict("records"), strict=True)
        ],
    }


def store_info(predictor: Predictor, store_id: int) -> dict[str, Any]:
    """Return what a store is."""
    store = predictor.features.stores.loc[store_id]
    return {
        "store_id": int(store_id),
        "store_type": store["store_type"],
        "assortment": store["assortment"],
    }


def compared(planned: Answer, scenario: Answer) -> list[dict[str, Any]]:
    """Return the ensemble's days under both plans, and what they differ by in EUR."""
    first, second = (
        answer.forecasts[answer.forecasts["model"] == ENSEMBLE] for answer in (planned, scenario)
    )
    both = first[[*DAY, "forecast"]].merge(second[[*DAY, "forecast"]], on=DAY)
    return [
        {
            "date": day.date().isoformat(),
            "planned": before,
            "scenario": after,
            "difference": after - before,
        }
        for day, before, after in zip(
            both["date"], both["forecast_x"], both["forecast_y"], strict=True
        )
    ]


def warnings(plan: pd.DataFrame, past: pd.DataFrame, changes: list[Change]) -> list[str]:
    """Return where changed days of a store are unlike anything that the store has sold on.

    Args:
        plan: The changed plan of its coming days.
        past: Its history.
        changes: What was changed.
    """
    sold = past[past["is_open"] & (past["sales"] > 0)]
    weekday = sold["date"].dt.dayofweek
    rows = plan.set_index("date")
    found: dict[str, None] = {}
    for change in sorted(changes, key=lambda change: change.date):
        day = rows.loc[pd.Timestamp(change.date)]
        if not day["is_open"]:
            continue
        number = change.date.weekday()
        on_weekday = weekday == number
        if not on_weekday.any():
            found[f"The store has never sold on {WEEKDAYS[number]}."] = None
        elif day["is_promo"] and not sold.loc[on_weekday, "is_promo"].any():
            found[f"The store has never had a promotion on {WEEKDAYS[number]}."] = None
        holiday = day["state_holiday"]
        if holiday != "none" and not (sold["state_holiday"] == holiday).any():
            found[f"The store has never sold on a holiday of the kind {holiday}."] = None
    longest = _longest_run(past["is_promo"])
    coming = _longest_run(pd.concat([past["is_promo"].tail(longest), rows["is_promo"]]))
    if any(change.is_promo for change in changes) and coming > longest:
        found[f"The promotion lasts {coming} days; the longest so far lasted {longest}."] = None
    return list(found)


def _longest_run(flags: pd.Series) -> int:
    flags = flags.astype(bool).reset_index(drop=True)
    return int(flags.groupby((~flags).cumsum()).sum().max())


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
