"""What competitors and refurbishments do to a store's sales."""

import pandas as pd

from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import WITH_DEVIATIONS, NoAnswerError, Question
from sales_assets.questions.words import between, change, is_known, is_sure, number

# How much of the first dip may be left of stores that are said to be back.
LEFT_OF_DIP = 1 / 3


def _effect(row: pd.Series) -> str:
    """Tell a relative change and how sure it is."""
    if not is_known(row["effect_lo_95"], row["effect_hi_95"]):
        return f"{change(row['effect'])} (too few stores for an interval)"
    unsure = "" if is_sure(row) else ": perhaps none"
    return f"{change(row['effect'])} ({between(row['effect_lo_95'], row['effect_hi_95'])}{unsure})"


def _stores(row: pd.Series) -> str:
    return "one store" if row["stores"] == 1 else f"{number(row['stores'])} stores"


def _row(rows: pd.DataFrame, part: str, value: str) -> pd.Series | None:
    found = rows[(rows["slice"] == part) & (rows["value"] == value)]
    return None if found.empty or not is_known(found.iloc[0]["effect"]) else found.iloc[0]


def _in_percent(name: str, rows: pd.DataFrame, x: str, colour: str | None = None) -> Series:
    return Series(
        name, rows[x], 100 * rows["effect"], 100 * rows["effect_lo_95"],
        100 * rows["effect_hi_95"], colour=colour,
    )  # fmt: skip


def _distance(rows: pd.DataFrame) -> str:
    slope = _row(rows, "twice the distance", "all stores")
    if slope is None:
        raise NoAnswerError("there are too few stores of one kind at different distances")
    text = (
        "Among stores of the same type and assortment, twice the distance to the nearest "
        f"competitor goes with {_effect(slope)} of sales"
    )
    halves = [_row(rows, "twice the distance", f"{half} half") for half in ("nearer", "farther")]
    near, far = halves
    if near is None or far is None:
        return f"{text}."
    return (
        f"{text}. In the half of the stores with the nearer competitors it is {_effect(near)}, "
        f"in the other half {_effect(far)}."
    )


def _draw_distance(rows: pd.DataFrame) -> Picture:
    bands = rows[rows["slice"] == "distance"]
    slopes = rows[rows["slice"] == "twice the distance"]
    slope = slopes.iloc[0]
    way = "less" if slope["effect"] < 0 else "more"
    told = (
        f"Stores sell {way} the farther the competitor"
        if is_sure(slope)
        else ("The distance to a competitor hardly tells stores apart")
    )
    return Picture(
        told,
        (
            Panel(
                (_in_percent("sales", bands, "value"),), "% from stores of the same kind", "",
                kind="dots", title="by distance", is_horizontal=True, line_at=0,
            ),
            Panel(
                (_in_percent("sales", slopes, "value"),), "% of sales with twice the distance", "",
                kind="dots", is_horizontal=True, line_at=0,
            ),
        ),
    )  # fmt: skip


def _opening(rows: pd.DataFrame) -> str:
    after = _row(rows, "half-year after", "all")
    if after is None:
        raise NoAnswerError(
            "no competitor opened within the history with a quarter of selling days before it"
        )
    text = (
        f"In the half-year after a competitor opened, {_stores(after)} sold {_effect(after)} "
        "against their level before, beyond what similar stores did"
    )
    near = _row(rows, "half-year after", "under 1 km")
    far = _row(rows, "half-year after", "1 km and more")
    apart = ""
    if near is not None and far is not None:
        apart = f"; {_effect(near)} where it is less than 1 km away, {_effect(far)} where it is not"
    placebo = _row(rows, "placebo", "later half of before")
    warning = ""
    if placebo is not None and is_sure(placebo):
        warning = (
            f" Their sales had moved before already, by {_effect(placebo)}: do not put all of it "
            "down to the competitor."
        )
    return f"{text}{apart}.{warning}"


def _draw_opening(rows: pd.DataFrame) -> Picture:
    weeks = rows[rows["slice"] == "four weeks"]
    wholes = rows[rows["slice"] != "four weeks"]
    names = {"all": "all stores", "later half of before": "placebo: before"}
    wholes = wholes.assign(value=wholes["value"].replace(names))
    after = _row(rows, "half-year after", "all")
    assert after is not None, "drawn where there is an answer"
    title = f"Sales around a competitor's opening: {change(after['effect'])} in the half-year after"
    return Picture(
        title,
        (
            Panel(
                (_in_percent("sales", weeks, "from_week"),), "weeks from the opening",
                "% from the quarter before", kind="dots", line_at=0, marks=((-2, "opening"),),
            ),
            Panel(
                (_in_percent("sales", wholes, "value"),),
                "% from the quarter before", "", kind="dots", is_horizontal=True, line_at=0,
                title="half-year after",
            ),
        ),
    )  # fmt: skip


def _refurbishment(rows: pd.DataFrame) -> str:
    after = rows[rows["slice"] == "after reopening"].sort_values("from_week")
    if after.empty or not is_known(after.iloc[0]["effect"]):
        raise NoAnswerError("no store that was away has selling days before and after")
    first = after.iloc[0]
    text = (
        f"{_stores(first).capitalize()} closed for {number(first['median_days_away'])} days "
        f"(median) and sold {_effect(first)} in their first four weeks back, against before and "
        "beyond what stores that stayed open did"
    )
    settled = _row(rows, "settled", "from 13 weeks after")
    later = f"; from the fourteenth week on {_effect(settled)}" if settled is not None else ""
    is_below = settled is not None and settled["effect_hi_95"] < 0
    return f"{text}{later}. {_recovery(after, is_below)}"


def _recovery(after: pd.DataFrame, is_below_for_good: bool) -> str:
    """Tell from when on stores are neither surely nor by far below their former level.

    An interval that holds the level may do so for being wide: who is back has made up for most of
    the first dip.

    Args:
        after: The weeks after reopening, in order.
        is_below_for_good: Whether that is so of the time they settle in.
    """
    after = after[after["effect_hi_95"].notna()]
    if after.empty:
        return "How long it took them is not known."
    below = after["effect_hi_95"] < 0
    if is_below_for_good or below.iloc[-1]:
        return "They have not come back to their former level yet."
    if not below.any():
        return "They were not surely below their former level at any time after."
    is_short = below | (after["effect"] < LEFT_OF_DIP * after.loc[below, "effect"].iloc[0])
    if is_short.iloc[-1]:
        weeks = _week_after(after, below)
        return f"After {weeks} weeks they were no longer surely below their former level."
    return f"They were back at their former level after {_week_after(after, is_short)} weeks."


def _week_after(weeks: pd.DataFrame, is_so: pd.Series) -> str:
    """Return the week that follows the last of which something is so."""
    last = weeks.loc[is_so, "from_week"].max()
    return number(weeks.loc[weeks["from_week"] > last, "from_week"].iloc[0])


def _draw_refurbishment(rows: pd.DataFrame) -> Picture:
    before = rows[rows["slice"] == "before closing"]
    after = rows[rows["slice"] == "after reopening"]
    return Picture(
        f"Back from a closure of months: {change(after.iloc[0]['effect'])} in the first four weeks",
        (
            Panel(
                (
                    _in_percent("before closing", before, "from_week"),
                    _in_percent("after reopening", after, "from_week"),
                ),
                "weeks from closing, and from reopening", "% from the half-year before",
                kind="dots", line_at=0, marks=((-2, "away"),),
            ),
        ),
    )  # fmt: skip


QUESTIONS = (
    Question(
        name="competition_distance",
        asks="Does it matter how near the competitor is?",
        needs="two stores of the same type and assortment with a known distance to a competitor",
        answer=_distance,
        draw=_draw_distance,
        caveats="Distances are short where stores are dense, in the middle of towns with many "
        "customers, and long in the country: stores differ by their place as much as by the "
        "competitor, so that this is no effect of moving one away. Intervals are over stores.",
        shows=(
            "slice", "value", "stores", "typical_sales", "effect", "effect_lo_95", "effect_hi_95",
            "customers_effect", "basket_effect",
        ),
    ),
    Question(
        name="competition_opening",
        asks="What does a new competitor cost?",
        needs="competitors that opened within the history, and stores without such an opening",
        answer=_opening,
        draw=_draw_opening,
        caveats="Openings are known by month alone, and only the nearest competitor is known. "
        "Competitors choose their places, so that stores may have been on their way already: the "
        "placebo row looks for that. Intervals are over stores that met a competitor.",
        reads=WITH_DEVIATIONS,
        shows=("slice", "value", "stores", "effect", "effect_lo_95", "effect_hi_95"),
    ),
    Question(
        name="refurbishment_effect",
        asks="What happens when a store comes back from months of refurbishment?",
        needs="a store that was away for more than 60 days, and stores that were not",
        answer=_refurbishment,
        draw=_draw_refurbishment,
        caveats="Files do not say why a store was away; a closure of months is taken for a "
        "refurbishment. Where they were away in the same months, what else happened to these "
        "stores then is in the numbers. Intervals are over the stores that came back.",
        reads=WITH_DEVIATIONS,
        shows=("slice", "value", "stores", "effect", "effect_lo_95", "effect_hi_95"),
    ),
)  # fmt: skip
