"""What the data hold: spans, gaps, repairs, days out of the ordinary."""

import pandas as pd

from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import SALES_AND_STORES, Question
from sales_assets.questions.words import number


def _overview(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return (
        f"{number(row['stores'])} stores from {row['first_day']:%d %B %Y} to "
        f"{row['last_day']:%d %B %Y}: {number(row['open_days'])} open days, "
        f"{number(row['absent_days'])} days that no file speaks of, "
        f"{number(row['quarantined_rows'])} refused rows."
    )


def _draw_overview(rows: pd.DataFrame) -> Picture:
    row = rows.iloc[0]
    kinds = {"open": "open_days", "absent": "absent_days", "outliers": "outlier_days"}
    days = Series("days", list(kinds), [float(row[column]) for column in kinds.values()])
    return Picture("Most store days are open days", (Panel((days,), "kind of day", "store days"),))


QUESTIONS = (
    Question(
        name="data_overview",
        asks="What do we know, and how good is it?",
        needs="a delivered day",
        answer=_overview,
        draw=_draw_overview,
        caveats="Repairs are described in the tables of the schema `quality`.",
        reads=(*SALES_AND_STORES, "quality.quarantine"),
    ),
)
