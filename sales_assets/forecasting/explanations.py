"""Why a forecast of `lightgbm` is what it is, in a planner's words.

A log forecast is the store's anchor, part of what the calendar does to the whole chain, and what
the boosters add. The anchor, which is what days like this one sold lately, is itself a usual day of
the store, its weekday and its promotion; what the boosters add is shared among groups of features
by Shapley values, and the calendar's part joins the groups that it belongs to. All parts are logs,
so that they add up to the log forecast and multiply, as percentages, to the forecast.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.reference import Reference
from sales_assets.forecasting.tree_shap import grouped_contributions

# Every feature belongs to one part, and every part is a column of `forecasts.explanations`.
PARTS: dict[str, tuple[str, ...]] = {
    "promotion": (
        "is_promo", "promo_day", "promo_days_left", "days_since_promo", "days_until_promo",
        "promo_days_week_before", "promo_days_14", "promo_lift_182",
        "promo2_age_weeks", "is_promo2_month",
    ),
    "weekday": ("weekday",),
    "holidays": ("state_holiday", "days_since_holiday", "days_until_holiday"),
    "school_holidays": (
        "is_school_holiday", "school_holiday_day", "school_holiday_days_left",
        "days_since_school_holiday", "days_until_school_holiday",
    ),
    "day_of_month": ("day_of_month", "days_to_month_end"),
    "season": (
        "day_of_year", "week_of_year", "year_sin_1", "year_cos_1", "year_sin_2", "year_cos_2",
        "season_day", "season_7", "season_14", "season_28",
        "deviation_same_weekday", "deviation_same_date", "deviation_same_easter_day",
    ),
    "opening_days": (
        "days_since_open", "days_until_open", "open_days_ahead", "open_days_week_before",
    ),
    "competition": ("log_competition_distance", "competition_age_months"),
    "store": ("store_id", "store_type", "assortment"),
    "recent_weeks": (
        "profile_last", "profile_median_4", "profile_median_8", "level_14", "level_28",
        "surprise_13_last_7", "surprise_13_last_14", "surprise_13_last_28",
        "surprise_26_last_14", "surprise_26_last_28", "surprise_26_last_56",
        "customers_28", "customers_trend", "basket_28", "basket_trend",
    ),
    "level_and_trend": (
        "h", "anchor", "profile_median_26", "profile_mean_52", "profile_deviation",
        "profile_customers", "profile_occurrences", "profile_age_days",
        "level_56", "level_98", "level_182", "level_364", "growth_28", "growth_56", "growth_364",
        "volatility_98",
    ),
}  # fmt: skip
# The part that each of the chain's effects belongs to (`effects.Effects.of_chain`).
OF_CHAIN = {
    "month": "day_of_month", "before": "holidays", "after": "holidays", "feast": "holidays",
    "season": "season",
}  # fmt: skip
COLUMNS = ["cutoff", "store_id", "date", "forecast", "usual_day", *PARTS, "explanation"]

# Days that make an anchor: as many of one kind as in its mean (`sql/features/profiles.sql`).
ALIKE = 13
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Parts that change a forecast by less, in percent, are told together.
SMALLEST_TOLD = 1.5


def explain(member: LightGBM, asked: Frames, factor: float = 1.0) -> pd.DataFrame:
    """Return why the member forecasts what it does, for each asked day that is open.

    Args:
        member: The fitted member.
        asked: Rows of one cutoff, with the history up to it.
        factor: What the ensemble multiplies the member's median by (`point.factors`).

    Returns:
        One row a (cutoff, store_id, date) with the columns `COLUMNS`. `forecast` and `usual_day`
        are in EUR; the columns of `PARTS` are logs, which added to the log of the usual day make
        the log of the forecast.
    """
    reference, places = member.reference, member.places
    assert reference is not None, "the member is fitted"
    assert places is not None, "the member is fitted"
    rows = asked.rows[asked.rows["is_open"]].reset_index(drop=True)
    usual_day, parts = _split_anchors(rows, asked.history, reference)
    for name, added in reference.added(rows).items():
        parts[OF_CHAIN[name]] += added
    matrix = places.matrix_of(rows)
    groups = part_numbers(list(matrix.columns))
    for booster in member.boosters if len(rows) else ():
        mean, added = grouped_contributions(booster, matrix, groups)
        parts += added / len(member.boosters)
        # The mean says nothing of the day; it belongs to what the models hold of the level.
        parts["level_and_trend"] += mean / len(member.boosters)
    parts["level_and_trend"] += math.log(factor)
    result = rows[["cutoff", "store_id", "date"]].assign(
        forecast=np.exp(usual_day + parts.sum(axis=1)), usual_day=np.exp(usual_day)
    )
    result[list(PARTS)] = parts
    days = zip(result.to_dict("records"), rows["weekday"], rows["is_promo"], strict=True)
    return result.assign(explanation=[sentence(*day) for day in days])[COLUMNS]


def sentence(row: Mapping[Any, Any], weekday: int, is_promo: bool) -> str:
    """Tell an explanation in percent, the largest part first and the small ones together.

    Args:
        row: `forecast` and `usual_day` in EUR, the columns of `PARTS` in logs.
        weekday: The day's own, Monday being 1.
        is_promo: Whether the store promotes on that day.
    """
    large = [part for part in PARTS if abs(percent(row[part])) >= SMALLEST_TOLD]
    large.sort(key=lambda part: -abs(row[part]))
    changes = [(_words(part, weekday, is_promo), row[part]) for part in large]
    changes.append(("others", sum(row[part] for part in PARTS if part not in large)))
    parts = ", ".join(f"{words} {_signed(percent(value))} %" for words, value in changes)
    start = f"EUR {row['forecast']:,.0f}: a usual day of this store EUR {row['usual_day']:,.0f}"
    return f"{start}; {parts}"


def percent(log_contribution: float) -> float:
    """Return by how many percent a part changes the forecast."""
    return 100 * math.expm1(log_contribution)


def part_numbers(features: list[str]) -> NDArray[np.int_]:
    """Return the number of the part that each feature belongs to.

    Raises:
        ValueError: Features that belong to no part, all of them named.
    """
    part_of = {feature: number for number, own in enumerate(PARTS.values()) for feature in own}
    strangers = [feature for feature in features if feature not in part_of]
    if strangers:
        raise ValueError(
            f"{', '.join(strangers)} belong to no part of an explanation; add them to "
            f"explanations.PARTS, which has {', '.join(PARTS)}."
        )
    return np.array([part_of[feature] for feature in features])


def _words(part: str, weekday: int, is_promo: bool) -> str:
    if part == "weekday":
        return WEEKDAYS[weekday - 1]
    if part == "promotion" and not is_promo:
        return "no promotion"
    return part.replace("_", " ")


def _signed(value: float) -> str:
    return f"{round(value):+d}".replace("-", "\N{MINUS SIGN}")


def _split_anchors(
    rows: pd.DataFrame, history: pd.DataFrame, reference: Reference
) -> tuple[pd.Series, pd.DataFrame]:
    """Return the log of each store's usual day, and the parts of the anchor beside it.

    A usual day is the mean of the last days without promotion, `ALIKE` a weekday. Where a store
    has no such days, or no history is given, its anchor is its usual day. What a weekday or a
    promotion adds is not known where the store has not had one; then the anchor stands in from
    other days, and what it differs by is part of the level. A store that has never sold has the
    chain's usual day, weekdays and promotions.
    """
    known = history[history["date"] <= rows["cutoff"].min()]
    days = known[known["is_open"] & (known["sales"] > 0)]
    days = days[["store_id", "is_promo"]].assign(
        weekday=days["date"].dt.dayofweek + 1, log_sales=np.log(days["sales"])
    )
    alike = days.groupby(["store_id", "weekday", "is_promo"]).tail(ALIKE)
    plain = alike[~alike["is_promo"]]
    anchor = pd.Series(reference.anchors(rows))
    usual_day = _means(plain, rows, "store_id").fillna(anchor)
    on_weekday = _means(plain, rows, "store_id", "weekday").fillna(usual_day)
    like_it = _means(alike, rows, "store_id", "weekday", "is_promo").fillna(on_weekday)
    is_new = rows["anchor"].isna()
    usual_day = usual_day.mask(is_new, reference.typical[:, 0].mean())
    on_weekday = on_weekday.mask(is_new, reference.typical[rows["weekday"] - 1, 0])
    like_it = like_it.mask(is_new, anchor)
    parts = pd.DataFrame(0.0, index=rows.index, columns=list(PARTS))
    parts["weekday"] = on_weekday - usual_day
    parts["promotion"] = like_it - on_weekday
    parts["level_and_trend"] = anchor - like_it
    return usual_day, parts


def _means(days: pd.DataFrame, rows: pd.DataFrame, *keys: str) -> pd.Series:
    """Return the mean log sales of the days that share the keys with each row."""
    means = days.groupby(list(keys), as_index=False)["log_sales"].mean()
    return rows[list(keys)].merge(means, "left", list(keys))["log_sales"]
