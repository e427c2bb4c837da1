"""The same chain gets the same tables, to the last bit, however many threads there are."""

import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.questions.question import BASES, make_base
from sales_assets.questions.themes import QUESTIONS

# More rows than one thread takes at once.
COPIES = 60


@pytest.fixture(scope="module")
def chain(con):
    """A chain of many stores, whose sales are no whole numbers."""
    tables = {name: con.execute(f"from cleaned.{name}").df() for name in ("sales", "stores")}
    many = {
        name: pd.concat([table.assign(store_id=table["store_id"] + 20 * i) for i in range(COPIES)])
        for name, table in tables.items()
    }
    rng = np.random.default_rng(1)
    many["sales"]["sales"] *= rng.uniform(0.5, 1.5, len(many["sales"]))
    return many


@pytest.mark.parametrize("name", ["store_levels", "weekday_pattern", "holiday_effect"])
def test_a_table_is_the_same_to_the_last_bit(chain, settings, name):
    tables = []
    for threads in (1, 4, 4):
        with warehouse.in_memory(settings.model_copy(update={"threads": threads})) as con:
            for table, frame in chain.items():
                warehouse.replace_table(con, f"cleaned.{table}", frame)
            con.execute("alter table cleaned.sales alter date type date")
            for base in BASES:
                make_base(con, base)
            for question in QUESTIONS:
                if question.name == name:
                    question.make(con)
            tables.append(con.execute(f"from insights.{name}").df())
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    pd.testing.assert_frame_equal(tables[1], tables[2], check_exact=True)
