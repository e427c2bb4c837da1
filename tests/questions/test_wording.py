"""What sentences say of what is few, unsure or not counted."""

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets.questions.words import counted
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.promoted_stores import MONDAY, add_plan, add_store


@pytest.mark.parametrize(
    ("count", "says"), [(0, "0 stores"), (1, "1 store"), (2, "2 stores"), (1_200, "1,200 stores")]
)
def test_a_noun_goes_with_its_count(count: int, says: str) -> None:
    assert counted(count, "store") == says


@pytest.mark.parametrize(
    ("with_promo", "says"),
    [
        (12, "are counted in 1 of 2 stores: there 45 % of the lift are more customers (+20 %)"),
        (20, "are counted in 1 of 2 stores: there customers change by +100 %, baskets by -25 %"),
    ],
)
def test_what_a_lift_is_made_of_is_told_of_the_stores_that_count_customers(
    small: duckdb.DuckDBPyConnection, with_promo: int, says: str
) -> None:
    add_store(small, 1, lift=1.5)
    add_store(small, 2, lift=3)
    small.execute(
        "update cleaned.sales set customers = if(is_promo, ?, 10) where is_open and store_id = 1",
        [with_promo],
    )
    rows = rows_of(small, "promo_effect")
    chain = rows.iloc[0]
    assert (chain["stores"], chain["counted_stores"]) == (2, 1)
    assert f". Customers {says}" in answer("promo_effect", rows)
    small.execute("update cleaned.sales set customers = if(is_promo, 12, 10) where is_open")
    assert "counted in" not in answer("promo_effect", rows_of(small, "promo_effect"))


def test_a_single_store_has_no_slice_to_differ_by(small: duckdb.DuckDBPyConnection) -> None:
    add_store(small, 1)
    text = answer("promo_distribution", rows_of(small, "promo_distribution"))
    assert text.endswith("; by weekday they hardly differ.")
    small.execute("delete from cleaned.sales where isodow(date) <> 1")
    text = answer("promo_distribution", rows_of(small, "promo_distribution"))
    assert text.endswith("the same days in all stores.")


def test_a_sliver_of_a_plan_that_is_derived_is_no_nothing(
    small: duckdb.DuckDBPyConnection,
) -> None:
    add_store(small, 1)
    add_plan(small, first=MONDAY + timedelta(days=28), days=500, is_promo=False)
    small.execute(
        "update cleaned.plan set is_derived = date = (select min(date) from cleaned.plan)"
    )
    assert "0.2 % of the plan is derived" in answer("plan_drift", rows_of(small, "plan_drift"))


@pytest.mark.parametrize(("high", "says"), [(0.01, ": perhaps none)"), (-0.01, "-1 %)")])
def test_a_level_of_promo2_that_may_be_that_of_the_others_is_told(
    of_sample: Ask, high: float, says: str
) -> None:
    rows = of_sample("promo2_effect")
    is_level = rows["comparison"] == "takes part"
    assert is_level.any()
    rows.loc[is_level, ["sales_effect", "sales_lo_95", "sales_hi_95"]] = [-0.05, -0.11, high]
    assert answer("promo2_effect", rows).endswith(f"{says}.")
    rows.loc[is_level, ["sales_lo_95", "sales_hi_95"]] = np.nan
    assert answer("promo2_effect", rows).endswith("by -5 % from others of their kind.")


def test_the_range_of_baskets_is_that_of_all_stores_days(of_sample: Ask) -> None:
    text = answer("sales_customers", of_sample("sales_customers"))
    assert "on eight of ten store days of the chain the mean basket is between EUR" in text


def test_a_group_of_one_store_is_told_in_the_singular(of_sample: Ask) -> None:
    rows = of_sample("store_clusters")
    last = rows["cluster"] == rows["cluster"].max()
    odd = rows[last].head(1).assign(cluster_stores=1, promo_lift=9.0, basket=99.0)
    rows = pd.concat([rows[~last], odd])
    assert "the most unusual of 1 store: " in answer("store_clusters", rows)
    names = [series.name for series in BY_NAME["store_clusters"].draw(rows).panels[0].series]
    assert names[-1].endswith(": 1 store")
