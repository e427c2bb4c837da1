"""Promo2: what it adds, found again where it is known and counted a second way elsewhere."""

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from sales_assets.sources.sample_facts import EFFECTS
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.promoted_stores import MONDAY, add_store, open_days


def test_promo2s_months_are_those_of_a_loop_over_stores(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    days = open_days(real)
    days = days[days["state_holiday"] == "none"]
    days["surprise"] = days["log_sales"] - days.groupby(["store_id", "weekday", "is_promo"])[
        "log_sales"
    ].transform("mean")
    days["month"] = days["date"].dt.to_period("M")
    months = days.pivot_table(index="month", columns="store_id", values="surprise")
    stores = days.drop_duplicates("store_id").set_index("store_id")
    others = months[stores.index[stores["promo2_since"].isna()]]
    effects = []
    for store_id, store in stores[stores["promo2_since"].notna()].iterrows():
        running = months.index[months.index.to_timestamp() >= store["promo2_since"]]
        anew = running.month.isin(list(store["promo2_months"]))
        beyond = months.loc[running, store_id] - others.loc[running].mean(axis=1)
        effects.append(beyond[anew].mean() - beyond[~anew].mean())
    effect = np.expm1(pd.Series(effects).dropna().mean())
    row = of_real("promo2_effect").iloc[0]
    assert row["sales_effect"] == pytest.approx(effect, abs=0.002)
    assert row["stores"] == pd.Series(effects).notna().sum()


def test_the_promo2_of_the_sample_is_found_within_its_interval(of_sample: Ask) -> None:
    row = of_sample("promo2_effect").iloc[0]
    assert (row["comparison"], row["value"]) == ("starts anew", "all rounds")
    assert row["sales_lo_95"] < EFFECTS.promo2_lift < row["sales_hi_95"]
    assert row["sales_lo_95"] > 0


def test_joining_counts_against_stores_that_do_not(small: duckdb.DuckDBPyConnection) -> None:
    joined = MONDAY + timedelta(days=7 * 20)
    for store_id in range(1, 9):
        add_store(small, store_id, weeks=40, promo2_since=joined if store_id < 4 else None)
    # All stores sell a tenth more from then on, and those that join twice as much.
    small.execute("update cleaned.sales set sales = 1.1 * sales where date >= ?", [joined])
    small.execute("update cleaned.sales set sales = 2 * sales where date >= ? and store_id < 4",
                 [joined])  # fmt: skip
    rows = rows_of(small, "promo2_effect").set_index(["comparison", "value"])
    row = rows.loc[("joins", "half a year")]
    assert (row["stores"], row["control_stores"]) == (3, 5)
    assert row["sales_effect"] == pytest.approx(1.0)
    assert rows.loc[("weeks from joining", "-16"), "sales_effect"] == pytest.approx(0.0)
    assert rows.loc[("weeks from joining", "8"), "sales_effect"] == pytest.approx(1.0)


def test_how_stores_without_promo2_differ_is_in_the_interval(
    small: duckdb.DuckDBPyConnection,
) -> None:
    joined = MONDAY + timedelta(days=7 * 20)
    for store_id in range(1, 9):
        add_store(small, store_id, weeks=40, promo2_since=joined if store_id < 4 else None)
    small.execute("update cleaned.sales set sales = 1.5 * sales where date >= ? and store_id = 8",
                 [joined])  # fmt: skip
    rows = rows_of(small, "promo2_effect").set_index(["comparison", "value"])
    row = rows.loc[("joins", "half a year")]
    controls = pd.Series([0.0, 0.0, 0.0, 0.0, np.log(1.5)])
    assert np.log1p(row["sales_effect"]) == pytest.approx(-controls.mean())
    margin = np.log((1 + row["sales_hi_95"]) / (1 + row["sales_lo_95"])) / 2
    assert margin == pytest.approx(t.ppf(0.975, 4) * controls.sem(), rel=1e-3)


def test_promo2s_answer_says_when_nothing_is_sure(of_sample: Ask) -> None:
    rows = of_sample("promo2_effect").head(1)
    assert "no sure change" not in answer("promo2_effect", rows)
    rows["sales_lo_95"] = -0.01
    assert "no sure change" in answer("promo2_effect", rows)
    assert "no sure change" in BY_NAME["promo2_effect"].draw(rows).title
    rows[["sales_lo_95", "sales_hi_95"]] = np.nan
    assert "too few for an interval" in answer("promo2_effect", rows)
