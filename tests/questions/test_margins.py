"""How far intervals reach: as Student's t says, also for a handful of stores."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sales_assets import warehouse
from sales_assets.settings import Settings


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.in_memory(Settings(home=tmp_path)) as con:
        yield con


def ask(con: duckdb.DuckDBPyConnection, expression: str, *values: float | None) -> float | None:
    ((found,),) = con.execute(f"select {expression}", values).fetchall()
    return found


@pytest.mark.parametrize(
    ("freedom", "error"),
    [(1, 1e-5), (1.2, 0.03), (1.5, 0.03), (2, 1e-5), (2.5, 0.005), (3, 1e-5), (3.5, 0.003),
     (4, 4e-4), (4.5, 4e-4), (5, 2e-4), (10, 1e-5), (99, 1e-6), (1e6, 1e-6)],
)  # fmt: skip
def test_the_quantile_is_that_of_student(
    con: duckdb.DuckDBPyConnection, freedom: float, error: float
) -> None:
    found = ask(con, "insights.t_95($1)", freedom)
    assert found == pytest.approx(stats.t.ppf(0.975, freedom), rel=error)


def test_without_degrees_of_freedom_nothing_is_known(con: duckdb.DuckDBPyConnection) -> None:
    assert ask(con, "insights.t_95($1)", 0) is None
    assert ask(con, "insights.t_95($1)", None) is None


@pytest.mark.parametrize("stores", [2, 3, 5, 30])
def test_intervals_of_few_stores_hold_the_mean_as_often_as_they_say(
    con: duckdb.DuckDBPyConnection, stores: int
) -> None:
    chains = 20_000
    drawn = np.random.default_rng(20150619).normal(size=chains * stores)
    samples = pd.DataFrame({"chain": np.repeat(np.arange(chains), stores), "effect": drawn})
    con.register("samples", samples)
    held = con.execute(
        "select abs(avg(effect)) <= insights.margin_95(effect) from samples group by chain"
    ).fetchall()
    assert np.mean(held) == pytest.approx(0.95, abs=0.006)


def test_a_single_store_has_no_interval(con: duckdb.DuckDBPyConnection) -> None:
    assert ask(con, "insights.margin_95(x) from (values (1.0)) as v(x)") is None


def test_two_parts_together_are_as_sure_as_welch_says(con: duckdb.DuckDBPyConnection) -> None:
    one, two = [1.0, 4.0, 2.0, 7.0, 3.0], [2.0, 2.5, 3.5]
    expected = stats.ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    parts = [np.var(one, ddof=1) / 5, 4, np.var(two, ddof=1) / 3, 2]
    margin = ask(con, "insights.sum_margin_95($1, $2, $3, $4)", *parts)
    assert margin == pytest.approx((expected.high - expected.low) / 2, rel=2e-3)


def test_what_does_not_vary_is_sure_and_what_is_unknown_is_not(
    con: duckdb.DuckDBPyConnection,
) -> None:
    assert ask(con, "insights.sum_margin_95(0.0, 4, 0.0, 2)") == 0
    assert ask(con, "insights.sum_margin_95(0.1, 4, null, 0)") is None
    assert ask(con, "insights.sum_margin_95(0.1, 0, 0.1, 2)") is None


def test_the_published_file_has_the_functions_too(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with warehouse.connect(settings):
        pass
    warehouse.publish(settings)
    with warehouse.connect_snapshot(settings) as con:
        assert ask(con, "insights.t_95(4)") == pytest.approx(2.776, abs=0.001)
