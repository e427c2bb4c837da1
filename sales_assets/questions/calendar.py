"""When people buy: weekdays, seasons, holidays, closures."""

import pandas as pd

from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import Question
from sales_assets.questions.words import WEEKDAYS, change


def _weekdays(rows: pd.DataFrame) -> str:
    best = rows.loc[rows["mean_sales"].idxmax()]
    return (
        f"{WEEKDAYS[int(best['weekday']) - 1]} is the strongest day: its open days sell "
        f"{change(best['above_mean_weekday'])} against the mean weekday."
    )


def _draw_weekdays(rows: pd.DataFrame) -> Picture:
    names = [WEEKDAYS[int(day) - 1] for day in rows["weekday"]]
    return Picture(
        "Mean sales of an open day, by weekday",
        (Panel((Series("sales", names, rows["mean_sales"]),), "", "EUR a day"),),
    )


QUESTIONS = (
    Question(
        name="weekday_pattern",
        asks="On which weekdays do people buy?",
        needs="an open day with sales",
        answer=_weekdays,
        draw=_draw_weekdays,
        caveats="Few stores open on Sundays, and they are not like the others.",
    ),
)
