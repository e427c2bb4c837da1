"""What tells stores apart: customers, baskets, types, assortments, behaviour."""

import pandas as pd

from sales_assets.questions.picture import Panel, Picture, Series
from sales_assets.questions.question import Question


def _customers(rows: pd.DataFrame) -> str:
    chain = rows[rows["store_type"] == "all"].iloc[0]
    return (
        f"Sales and customers of an open day correlate at {chain['pearson']:.2f}; a customer "
        f"spends EUR {chain['basket']:.2f}."
    )


def _draw_customers(rows: pd.DataFrame) -> Picture:
    return Picture(
        "What a customer spends, by store type",
        (Panel((Series("basket", rows["store_type"], rows["basket"]),), "", "EUR a customer"),),
    )


QUESTIONS = (
    Question(
        name="sales_customers",
        asks="Do sales follow customers?",
        needs="open days with counted customers",
        answer=_customers,
        draw=_draw_customers,
        caveats="Correlation over stores and days mixes large stores with good days.",
    ),
)
