"""The series: answers follow the tests' verdicts, and end where these do."""

import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.errors import SalesError
from sales_assets.questions.question import Question
from sales_assets.questions.series import QUESTIONS, SAID
from sales_assets.settings import Settings
from tests.questions.conftest import BY_NAME, Ask, answer


def test_the_shares_of_steady_stores_are_those_of_the_table(of_real: Ask) -> None:
    rows = of_real("stationarity")
    raw = rows[(rows["transformation"] == "raw") & (rows["verdict"] != "too short")]
    told = answer("stationarity", rows)
    for verdict, words in SAID.items():
        share = 100 * (raw["verdict"] == verdict).mean()
        assert (f"{share:.0f} % {words}" in told) == (share > 0)


def test_differences_that_are_too_short_are_not_told(of_real: Ask) -> None:
    rows = of_real("stationarity")
    is_raw = rows["transformation"] == "raw"
    short = rows.assign(verdict=rows["verdict"].where(is_raw, "too short"))
    assert "fortnight" in answer("stationarity", rows)
    assert "fortnight" not in answer("stationarity", short)
    told, is_answered = BY_NAME["stationarity"].answered(rows.assign(verdict="too short"))
    assert not is_answered
    assert "too short" in told


def test_the_lags_that_are_named_are_the_strongest(of_real: Ask) -> None:
    rows = of_real("autocorrelation")
    chain = rows[(rows["series"] == "chain") & (rows["lag"] >= 7)]
    best = chain.loc[chain["acf"].idxmax()]
    told = answer("autocorrelation", rows)
    assert f"those of {best['lag']} days ({best['acf']:.2f})" in told
    assert f"those of {best['lag']} days" in BY_NAME["autocorrelation"].draw(rows).title
    noise = rows.assign(acf=0.0)
    assert not BY_NAME["autocorrelation"].answered(noise)[1]
    assert BY_NAME["autocorrelation"].draw(pd.DataFrame(noise)).panels


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
