"""Forecasts in the words of the HTTP interface."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pandas as pd

from sales_assets.forecasting.explanations import PARTS, percent
from sales_assets.forecasting.model_store import ENSEMBLE
from serving.features import CHANGEABLE, Change
from serving.predictor import Answer, Predictor

HISTORY_DAYS = 56
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
DAY = ["store_id", "date"]


def model_info(predictor: Predictor) -> dict[str, str]:
    """Return which version answers, and what it knows."""
    release = predictor.release
    return {"version": release.version, "cutoff": str(release.cutoff)}


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
    wanted = pd.MultiIndex.from_tuples(
        [(store, pd.Timestamp(day)) for store, day in days], names=DAY
    )
    is_ensemble = answer.forecasts["model"] == ENSEMBLE
    ensemble = answer.forecasts[is_ensemble].set_index(DAY).loc[wanted]
    members = answer.forecasts[~is_ensemble].pivot_table(
        index=DAY, columns="model", values="forecast"
    )
    plans = answer.asked.rows.set_index(DAY).loc[wanted, list(CHANGEABLE)]
    parts = None
    if explained is not None:
        # A closed day sells nothing, and there is nothing to explain.
        parts = explained.set_index(DAY)[list(PARTS)].map(percent).reindex(wanted)
    levels = list(levels)
    return [
        {
            "store_id": store,
            "date": day.date().isoformat(),
            "h": row["h"],
            "forecast": row["forecast"],
            "intervals": {str(level): [row[f"lo_{level}"], row[f"hi_{level}"]] for level in levels},
            "members": by_member,
            "plan": plan,
            "contributions": None if contributions is None else _known(contributions),
        }
        for (store, day), row, by_member, plan, contributions in zip(
            wanted,
            ensemble.to_dict("records"),
            members.loc[wanted].to_dict("records"),
            plans.to_dict("records"),
            [None] * len(wanted) if parts is None else parts.to_dict("records"),
            strict=True,
        )
    ]


def history(answer: Answer, store_id: int) -> list[dict[str, Any]]:
    """Return a store's last weeks."""
    days = answer.asked.history
    days = days[days["store_id"] == store_id].tail(HISTORY_DAYS)
    return [
        {
            "date": row["date"].date().isoformat(),
            "sales": None if pd.isna(row["sales"]) else float(row["sales"]),
            "is_open": bool(row["is_open"]),
            "is_promo": bool(row["is_promo"]),
        }
        for row in days.to_dict("records")
    ]


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


def warnings(answer: Answer, changes: list[Change]) -> list[str]:
    """Return where changed days of a store are unlike anything that the store has sold on.

    Args:
        answer: The answer under the changed plan.
        changes: Of one store.
    """
    past = answer.asked.history
    sold = past[past["is_open"] & (past["sales"] > 0)]
    weekday = sold["date"].dt.dayofweek
    rows = answer.asked.rows.set_index("date")
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


def _known(values: dict[str, float]) -> dict[str, float] | None:
    return None if any(pd.isna(value) for value in values.values()) else values
