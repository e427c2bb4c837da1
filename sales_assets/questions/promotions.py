"""What promotions do, and where."""

import pandas as pd

from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import Question
from sales_assets.questions.words import WEEKDAYS, between, change


def _effect(rows: pd.DataFrame) -> str:
    best = rows.loc[rows["sales_lift"].idxmax()]
    least = rows.loc[rows["sales_lift"].idxmin()]
    return (
        f"A promotion lifts sales most on {WEEKDAYS[int(best['weekday']) - 1]}s, by "
        f"{change(best['sales_lift'])} ({between(best['lift_lo_95'], best['lift_hi_95'])}), and "
        f"least on {WEEKDAYS[int(least['weekday']) - 1]}s, by {change(least['sales_lift'])}."
    )


def _draw_effect(rows: pd.DataFrame) -> Picture:
    lift = Series(
        "sales",
        [WEEKDAYS[int(day) - 1] for day in rows["weekday"]],
        100 * rows["sales_lift"],
        100 * rows["lift_lo_95"],
        100 * rows["lift_hi_95"],
    )
    return Picture(
        "What a promotion adds to a day's sales, by weekday",
        (Panel((lift,), "", "lift of sales, %", line_at=0),),
    )


QUESTIONS = (
    Question(
        name="promo_effect",
        asks="How much more do stores sell with a promotion?",
        needs="days with and without promotions on the same weekday",
        answer=_effect,
        draw=_draw_effect,
        caveats="The interval is over stores: what all stores share in a promotion week is not "
        "in it. Promotions run in alternate weeks and are not drawn by lot.",
    ),
)
