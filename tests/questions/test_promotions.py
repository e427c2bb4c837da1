"""Promotions: what they add, found again where it is known and counted a second way elsewhere."""

import duckdb
import numpy as np
import pandas as pd

from sales_assets.sources.sample_facts import EFFECTS
from tests.questions.conftest import Ask, answer


def test_the_lift_by_weekday_is_that_of_a_loop_over_stores(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    days = real.execute("from cleaned.sales where is_open and sales > 0").df()
    days["weekday"] = days["date"].dt.isocalendar().day
    logs = (
        np.log(days["sales"])
        .groupby([days["weekday"], days["store_id"], days["is_promo"]])
        .mean()
        .unstack()
    )
    lifts = np.exp((logs[True] - logs[False]).dropna().groupby("weekday").mean()) - 1
    found = of_real("promo_effect").set_index("weekday")["sales_lift"]
    pd.testing.assert_series_equal(found, lifts, check_names=False, check_index_type=False)


def test_the_lifts_of_the_sample_are_found_within_their_intervals(of_sample: Ask) -> None:
    found = of_sample("promo_effect").set_index("weekday")
    for weekday, lift in enumerate(EFFECTS.promo_lift, start=1):
        row = found.loc[weekday]
        # Some slack for noise that all stores of a week share.
        assert row["lift_lo_95"] - 0.02 < lift < row["lift_hi_95"] + 0.02


def test_the_answer_names_the_strongest_weekday(of_real: Ask) -> None:
    assert "Mondays" in answer("promo_effect", of_real("promo_effect"))
