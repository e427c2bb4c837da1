"""When people buy: weekdays, seasons, holidays, closures."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import WITH_DEVIATIONS, NoAnswerError, Question
from sales_assets.questions.words import (
    WEEKDAYS,
    between,
    change,
    is_known,
    listed,
    number,
    percent,
)

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
SHORT = [name[:3] for name in MONTHS]
FEASTS = {"public": "other public holidays", "easter": "Easter", "christmas": "Christmas"}
OVER_STORES = "Intervals are over stores: what a day did to all of them is not in it."
OVER_BOTH = (
    "Intervals are over stores and over {occasions}: what moved all stores at once is in them, and "
    "what came once has none."
)


def _effect(row: Any, what: str = "sales") -> str:
    """Tell a relative change and how sure it is."""
    low, high = getattr(row, f"{what}_lo_95"), getattr(row, f"{what}_hi_95")
    value = change(getattr(row, f"{what}_effect"))
    if not is_known(low, high):
        few = "occasions" if getattr(row, "occasions", 2) < 2 <= row.stores else "stores"
        return f"{value} (too few {few} for an interval)"
    unsure = ": perhaps none" if low <= 0 <= high else ""
    return f"{value} ({between(low, high)}{unsure})"


def _as_best_of(row: pd.Series, candidates: int) -> pd.Series:
    """Return a row with bounds that hold for whichever of the candidates was chosen.

    Source: Bonferroni's inequality (Dunn 1961, Multiple comparisons among means).
    """
    from scipy.stats import t

    freedom = min(row["stores"], row["occasions"]) - 1
    wider = t.ppf(1 - 0.025 / candidates, freedom) / t.ppf(0.975, freedom)
    value = 1 + row["sales_effect"]
    ends = ("sales_lo_95", "sales_hi_95")
    bounds = {end: value * ((1 + row[end]) / value) ** wider - 1 for end in ends}
    return pd.Series({**row, **bounds})


def _begun(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[0].upper() + text[1:]


def _known(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["sales_effect"].notna()]


def _series(name: str, rows: pd.DataFrame, x: Sequence[Any], what: str = "sales") -> Series:
    """Return the effects in percent, with their intervals."""
    bounds = [100 * rows[f"{what}_{end}_95"] for end in ("lo", "hi")]
    return Series(name, x, 100 * rows[f"{what}_effect"], *bounds)


def _measures(rows: pd.DataFrame, x: Sequence[Any]) -> tuple[Series, ...]:
    """Return the effects on sales and, where customers were counted, on them."""
    measures = ("sales", "customers") if rows["customers_effect"].notna().any() else ("sales",)
    return tuple(_series(what, rows, x, what) for what in measures)


def _before_sunday(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the days that stores are compared on: those with Sundays are not like the others."""
    return _known(rows)[lambda days: days["weekday"] < 7]


def _weekdays(rows: pd.DataFrame) -> str:
    week = _before_sunday(rows)
    if len(week) < 2:
        raise NoAnswerError("sales of a single weekday cannot be compared")
    best, least = week.loc[week["sales_effect"].idxmax()], week.loc[week["sales_effect"].idxmin()]
    text = (
        f"From Monday to Saturday, {WEEKDAYS[int(best['weekday']) - 1]} is the strongest day, "
        f"{_effect(best)} against the store's mean weekday, and "
        f"{WEEKDAYS[int(least['weekday']) - 1]} the weakest, {_effect(least)}"
    )
    calm = week[week["without_promo_effect"].notna()]
    if calm.empty:
        return f"{text}."
    other = calm.loc[calm["without_promo_effect"].idxmax()]
    return (
        f"{text}. Without promotions it is {WEEKDAYS[int(other['weekday']) - 1]} "
        f"({change(other['without_promo_effect'])})."
    )


def _draw_weekdays(rows: pd.DataFrame) -> Picture:
    rows = _known(rows)
    names = [WEEKDAYS[int(day) - 1] for day in rows["weekday"]]
    week = _before_sunday(rows)
    best = WEEKDAYS[int(week.loc[week["sales_effect"].idxmax(), "weekday"]) - 1]
    all_days = _series("all days", rows, names)
    calm = _series("days without promotion", rows, names, "without_promo")
    return Picture(
        f"From Monday to Saturday a store sells most on its {best}s",
        (Panel((all_days, calm), "", "% from the store's mean weekday", line_at=0),),
    )


def _holidays(rows: pd.DataFrame) -> str:
    before = _known(rows)[lambda days: (days["part"] == "before") & (days["day"] == -1)]
    after = _known(rows)[lambda days: (days["part"] == "after") & (days["day"] == 1)]
    told = []
    for kind, name in FEASTS.items():
        eve, morrow = before[before["kind"] == kind], after[after["kind"] == kind]
        if not eve.empty and not morrow.empty:
            told.append(f"{name} {_effect(eve.iloc[0])} and {_effect(morrow.iloc[0])}")
    if not told:
        raise NoAnswerError("no holiday has a usual day to compare its neighbours with")
    return (
        "Against the same weekday's usual sales, stores that open sell on the day before and the "
        f"day after {'; '.join(told)}."
    )


def _draw_holidays(rows: pd.DataFrame) -> Picture:
    rows = _known(rows)[lambda days: days["part"].isin(["before", "after"])]
    series = tuple(
        _series(name, own, own["day"].tolist())
        for kind, name in FEASTS.items()
        if not (own := rows[rows["kind"] == kind]).empty
    )
    best = rows.loc[rows["sales_effect"].abs().idxmax()]
    side = "before" if best["day"] < 0 else "after"
    days = abs(int(best["day"]))
    return Picture(
        f"Sales move most {days} {'day' if days == 1 else 'days'} {side} "
        f"{FEASTS[best['kind']]}: {change(best['sales_effect'])}",
        (
            Panel(
                series, "days from the holiday", "% from the usual day", kind="dots", line_at=0,
                marks=((0, "holiday"),),
            ),
        ),
    )  # fmt: skip


def _seasons(rows: pd.DataFrame) -> str:
    rows = _known(rows)
    told = []
    for season in ("Christmas season", "Easter season"):
        years = rows[rows["slice"] == season]
        if not years.empty:
            each = [f"{change(row.sales_effect)} in {row.value}" for row in years.itertuples()]
            told.append(f"the {season} brought {listed(each)} (one occasion each: no interval)")
    months = rows[rows["slice"] == "month"]
    if not months.empty:
        best, least = (
            months.loc[months["sales_effect"].idxmax()],
            months.loc[months["sales_effect"].idxmin()],
        )
        told.append(
            f"{MONTHS[int(best['value']) - 1]} is the strongest month "
            f"({change(best['sales_effect'])} from the year), "
            f"{MONTHS[int(least['value']) - 1]} the weakest "
            f"({change(least['sales_effect'])})"
        )
    around = rows[rows["slice"] == "around pay-day"]
    if not around.empty:
        best = _as_best_of(around.loc[around["sales_effect"].idxmax()], len(around))
        told.append(f"around pay-day sales are {_effect(best)} {_day_of_month(best['value'])}")
    if not told:
        raise NoAnswerError("the history is too short for a season")
    return f"{_begun('; '.join(told))}."


def _day_of_month(value: int) -> str:
    if value > 0:
        return f"on day {value} of a month"
    if value == 0:
        return "on the last day of a month"
    return f"{-value} day{'' if value == -1 else 's'} before the last of a month"


def _draw_seasons(rows: pd.DataFrame) -> Picture:
    rows = _known(rows)
    months = rows[rows["slice"] == "month"]
    seasons = rows[rows["slice"].isin(["Christmas season", "Easter season"])]
    around = rows[rows["slice"] == "around pay-day"].sort_values("value")
    panels: list[Panel] = []
    if not months.empty:
        names = [SHORT[int(value) - 1] for value in months["value"]]
        panels.append(
            Panel((_series("sales", months, names),), "", "% from the year", title="month")
        )
    elif not seasons.empty:
        names = [f"{row.slice.split()[0]} {row.value}" for row in seasons.itertuples()]
        panels.append(Panel((_series("sales", seasons, names),), "", "% from usual", line_at=0))
    if not around.empty:
        days = around["value"].tolist()
        panels.append(
            Panel(
                (_series("sales", around, days),), "days from a month's end", "% from usual",
                kind="line", title="pay-day", line_at=0, marks=((0, "month's last day"),),
            )
        )  # fmt: skip
    shown = next(part for part in (months, seasons, around) if not part.empty)
    best = shown.loc[shown["sales_effect"].idxmax()]
    return Picture(
        f"Sales are highest {_when(best)}: {change(best['sales_effect'])}", tuple(panels)
    )


def _when(row: pd.Series) -> str:
    if row["slice"] == "month":
        return f"in {MONTHS[int(row['value']) - 1]}"
    if row["slice"] == "around pay-day":
        return _day_of_month(row["value"])
    return f"in the {row['slice']} of {row['value']}"


def _openings(rows: pd.DataFrame) -> str:
    rows = _known(rows)
    told = []
    for closure, own in rows.groupby("closure", sort=False):
        last, first = own[own["day"] == -1], own[own["day"] == 1]
        if not last.empty and not first.empty:
            told.append(
                f"{closure}: {_effect(last.iloc[0])} on the last day before, "
                f"{_effect(first.iloc[0])} on the first day after"
            )
    if not told:
        raise NoAnswerError("no closure has selling days on both sides")
    return f"Sales beside closures, against the usual day. {_begun('; '.join(told))}."


def _draw_openings(rows: pd.DataFrame) -> Picture:
    rows = _known(rows)
    measure = "customers" if rows["customers_effect"].notna().any() else "sales"
    series = tuple(
        _series(str(closure), own, own["day"].tolist(), measure)
        for closure, own in rows.groupby("closure", sort=False)
    )
    beside = rows[rows["day"].isin([-1, 1])]
    grows = (beside["sales_effect"] > 0).all() and not beside.empty
    return Picture(
        f"{measure.capitalize()} {'come in the days beside' if grows else 'around'} a closure",
        (
            Panel(
                series, "selling days from the closure", f"{measure}, % from the usual day",
                kind="dots", line_at=0, marks=((0, "closed"),),
            ),
        ),
    )  # fmt: skip


def _sundays(rows: pd.DataFrame) -> str:
    open_ones = rows[rows["stores_are"] == "open on Sundays"].set_index("weekday")
    others = rows[rows["stores_are"] == "closed on Sundays"].set_index("weekday")
    counts = [int(group["stores"].max()) if len(group) else 0 for group in (open_ones, others)]
    if 7 not in open_ones.index:
        raise NoAnswerError("no store sells on most Sundays")
    sunday = open_ones.loc[7]
    text = (
        f"{number(counts[0])} of {number(sum(counts))} stores sell on most Sundays, which make "
        f"{percent(sunday['week_share'])} of their week: {_effect(sunday)} against their Tuesdays "
        "to Fridays"
    )
    weekend = [
        f"{WEEKDAYS[day - 1]}s {change(open_ones.loc[day, 'sales_effect'])} there and "
        f"{change(others.loc[day, 'sales_effect'])} in the others"
        for day in (6, 1)
        if day in open_ones.index and day in others.index
    ]
    return f"{text}. {listed(weekend)}." if weekend else f"{text}."


def _draw_sundays(rows: pd.DataFrame) -> Picture:
    series = tuple(
        _series(
            f"{group!s} ({number(own['stores'].max())} stores)", own,
            [WEEKDAYS[int(day) - 1] for day in own["weekday"]],
        )
        for group, own in rows.groupby("stores_are", sort=False)
    )  # fmt: skip
    own = rows[rows["stores_are"] == "open on Sundays"].set_index("weekday")
    return Picture(
        f"Where Sundays are open they make {percent(own.loc[7, 'week_share'])} of the week",
        (
            Panel(
                series, "days without promotion", "% from Tuesday to Friday", kind="dots", line_at=0
            ),
        ),
    )


def _school(rows: pd.DataFrame) -> str:
    whole = _known(rows)[lambda found: found["slice"] == "all"]
    if whole.empty:
        raise NoAnswerError("no stores of one type differ in school holidays on the same day")
    seasons = _known(rows)[lambda found: found["slice"] == "season"]
    told = listed([f"{change(row.sales_effect)} in {row.value}" for row in seasons.itertuples()])
    return (
        f"In school holidays stores sell {_effect(whole.iloc[0])} against stores of the same type "
        f"that have none on the same day: {told}."
    )


def _draw_school(rows: pd.DataFrame) -> Picture:
    rows = _known(rows)
    panels: list[Panel] = []
    for part, title in (("weekday", "weekdays"), ("season", "seasons")):
        own = rows[rows["slice"] == part]
        if not own.empty:
            names = [name[:3] if part == "weekday" else name for name in own["value"]]
            unit = "" if panels else "% from stores without"
            shown = _measures(own, names)
            panels.append(Panel(shown, "", unit, kind="dots", title=title, line_at=0))
    whole = rows[rows["slice"] == "all"].iloc[0]
    title = f"School holidays move sales by {change(whole['sales_effect'], 1)}"
    return Picture(title, tuple(panels))


QUESTIONS = (
    Question(
        name="weekday_pattern",
        asks="On which weekdays do people buy?",
        needs="open days with sales",
        answer=_weekdays,
        draw=_draw_weekdays,
        caveats=f"Few stores open on Sundays, and they are not like the others. {OVER_STORES}",
        shows=(
            "weekday", "stores", "mean_sales", "sales_effect", "sales_lo_95", "sales_hi_95",
            "without_promo_effect", "customers_effect", "basket_effect",
        ),
    ),
    Question(
        name="holiday_effect",
        asks="What do holidays do to the days around them?",
        needs="state holidays within the history",
        answer=_holidays,
        draw=_draw_holidays,
        caveats="Who is open on a holiday itself is a store in a station or the like. Days around "
        "Christmas are in its season, which grows over weeks: not all of it is the holiday's. "
        f"{OVER_BOTH.format(occasions='holidays')}",
        reads=WITH_DEVIATIONS,
        shows=(
            "kind", "part", "day", "stores", "occasions", "sales_effect", "sales_lo_95",
            "sales_hi_95", "customers_effect",
        ),
    ),
    Question(
        name="season_effect",
        asks="Which seasons, months and days of the month sell most?",
        needs="usual days to compare seasons with",
        answer=_seasons,
        draw=_draw_seasons,
        caveats="Two or three years are few for a season: what a single year brought is told by "
        "year. Months hold holidays and closures in different numbers. The day around pay-day is "
        "told with the wider bounds of the best of all (Bonferroni). "
        f"{OVER_BOTH.format(occasions='days, or the months and weeks of each year')}",
        reads=WITH_DEVIATIONS,
        shows=(
            "slice", "value", "stores", "occasions", "sales_effect", "sales_lo_95", "sales_hi_95",
        ),
    ),
    Question(
        name="opening_pattern",
        asks="What happens on the days beside a closure?",
        needs="closures other than Sundays, Christmas and Easter",
        answer=_openings,
        draw=_draw_openings,
        caveats="Why a store was shut is not known, and a holiday that shuts it moves its "
        f"customers too. {OVER_BOTH.format(occasions='days')}",
        reads=WITH_DEVIATIONS,
        shows=(
            "closure", "day", "stores", "occasions", "days", "sales_effect", "sales_lo_95",
            "sales_hi_95", "customers_effect",
        ),
    ),
    Question(
        name="sunday_stores",
        asks="Which stores open on Sundays, and what does it do to their weekend?",
        needs="open days with sales, without promotion",
        answer=_sundays,
        draw=_draw_sundays,
        caveats="Stores that may open on Sundays are in stations, airports and resorts: their week "
        f"would differ without Sundays too, so that this is no effect of opening. {OVER_STORES}",
    ),
    Question(
        name="school_holiday_effect",
        asks="Do school holidays change what people buy?",
        needs="days on which some stores have school holidays and others have none",
        answer=_school,
        draw=_draw_school,
        caveats="States have their holidays at different times, which makes the comparison; stores "
        "of the same type in other states may differ in other ways on that day. "
        f"{OVER_BOTH.format(occasions='weeks')}",
        reads=WITH_DEVIATIONS,
        shows=(
            "slice", "value", "stores", "occasions", "days", "sales_effect", "sales_lo_95",
            "sales_hi_95",
        ),
    ),
)  # fmt: skip
