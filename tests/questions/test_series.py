"""The series: answers follow the tests' verdicts, and end where these do."""

import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.errors import SalesError
from sales_assets.forecasting.diagnostics import correlogram
from sales_assets.questions.question import Question
from sales_assets.questions.series import QUESTIONS, SAID
from sales_assets.settings import Settings
from tests.questions.conftest import BY_NAME, Ask, answer


def test_the_shares_of_steady_stores_are_those_of_the_table(of_either: Ask) -> None:
    rows = of_either("stationarity")
    raw = rows[(rows["transformation"] == "raw") & (rows["verdict"] != "too short")]
    told = answer("stationarity", rows)
    for verdict, words in SAID.items():
        share = 100 * (raw["verdict"] == verdict).mean()
        assert (f"{share:.0f} % {words}" in told) == (share > 0)


def test_differences_that_are_too_short_are_not_told(of_either: Ask) -> None:
    rows = of_either("stationarity")
    is_raw = rows["transformation"] == "raw"
    short = rows.assign(verdict=rows["verdict"].where(is_raw, "too short"))
    assert "fortnight" in answer("stationarity", rows)
    assert "fortnight" not in answer("stationarity", short)
    told, is_answered = BY_NAME["stationarity"].answered(rows.assign(verdict="too short"))
    assert not is_answered
    assert "too short" in told


def test_the_lags_that_are_named_are_the_strongest(of_either: Ask) -> None:
    rows = of_either("autocorrelation")
    chain = rows[(rows["series"] == "chain") & (rows["lag"] >= 7)]
    best = chain.loc[chain["acf"].idxmax()]
    told = answer("autocorrelation", rows)
    assert f"those of {best['lag']} days ({best['acf']:.2f})" in told
    assert f"those of {best['lag']} days" in BY_NAME["autocorrelation"].draw(rows).title
    noise = rows.assign(acf=0.0)
    assert not BY_NAME["autocorrelation"].answered(noise)[1]
    assert BY_NAME["autocorrelation"].draw(pd.DataFrame(noise)).panels


def correlated(values: np.ndarray) -> pd.DataFrame:
    """Return the table of a chain's daily values."""
    days = pd.Series(values, pd.date_range("2013-01-01", periods=len(values)))
    return correlogram(days).assign(series="chain")


def test_of_many_lags_none_is_told_by_chance() -> None:
    rng = np.random.default_rng(20150619)
    tables = [correlated(rng.standard_normal(600)) for _ in range(100)]
    answered = [BY_NAME["autocorrelation"].answered(table)[1] for table in tables]
    assert np.mean(answered) <= 0.05


@pytest.mark.parametrize(("days", "longest"), [(60, 20), (90, 30)])
def test_a_lag_longer_than_a_third_of_the_series_is_not_told(days: int, longest: int) -> None:
    rows = correlated(np.random.default_rng(1).standard_normal(days))
    for lag in range(7, 61):
        loud = rows.assign(acf=np.where(rows["lag"] == lag, 0.99, rows["acf"].clip(-0.1, 0.1)))
        told, is_answered = BY_NAME["autocorrelation"].answered(loud)
        assert is_answered == (lag <= longest), told
        title = BY_NAME["autocorrelation"].draw(loud).title
        assert (f"of {lag} days before" in title) == (lag <= longest)


def test_a_series_of_days_has_a_picture_without_a_lag_to_tell() -> None:
    rows = correlated(np.random.default_rng(1).standard_normal(12))
    assert not BY_NAME["autocorrelation"].answered(rows)[1]
    assert "Too few days" in BY_NAME["autocorrelation"].draw(rows).title


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_chain_that_never_sold_is_told_so(settings: Settings, question: Question) -> None:
    with warehouse.in_memory(settings) as con:
        con.execute(
            "create table cleaned.sales (store_id integer, date date, sales double,"
            " is_open boolean)"
        )
        con.execute("create table cleaned.stores (store_id integer, store_type varchar)")
        with pytest.raises(SalesError, match="No store sold anything"):
            question.make(con)
