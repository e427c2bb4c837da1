"""The calendar in words: found again where it was put in, told only where it is known."""

from collections.abc import Callable, Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.questions.calendar import QUESTIONS
from sales_assets.questions.question import Question
from sales_assets.settings import Settings
from sales_assets.sources.sample_facts import EFFECTS
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of

# A question's rows by its name, the last day of the history, and SQL that changes it.
Cut = Callable[..., pd.DataFrame]


@pytest.fixture
def cut(either: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[Cut]:
    """Either chain's rows of a question, had history ended earlier or been otherwise."""
    with warehouse.in_memory(settings) as con:

        def rows(name: str, last_day: str, change: str = "") -> pd.DataFrame:
            for table in ("sales", "stores", "plan"):
                found = either.execute(f"from cleaned.{table} where store_id < 300").df()
                warehouse.replace_table(con, f"cleaned.{table}", found)
            con.execute("alter table cleaned.sales alter date type date")
            con.execute("delete from cleaned.sales where date > $day", {"day": last_day})
            con.execute(change)
            return rows_of(con, name)

        yield rows


@pytest.mark.parametrize(
    ("last_day", "christmas", "easter"),
    [
        ("2014-04-18", [2013], [2013]),
        ("2014-04-21", [2013], [2013, 2014]),
        ("2014-12-23", [2013], [2013, 2014]),
        ("2014-12-24", [2013, 2014], [2013, 2014]),
    ],
)
def test_a_season_that_is_not_over_is_not_told(
    cut: Cut, last_day: str, christmas: list[int], easter: list[int]
) -> None:
    years = cut("season_effect", last_day).groupby("slice")["value"].agg(sorted)
    assert years["Christmas season"] == christmas
    assert years["Easter season"] == easter


@pytest.mark.parametrize(
    ("first_day", "christmas", "easter"),
    [
        ("2013-03-18", [2013, 2014], [2013, 2014, 2015]),
        ("2013-03-19", [2013, 2014], [2014, 2015]),
        ("2013-11-27", [2013, 2014], [2014, 2015]),
        ("2013-11-28", [2014], [2014, 2015]),
    ],
)
def test_a_season_that_began_before_the_history_is_not_told(
    cut: Cut, first_day: str, christmas: list[int], easter: list[int]
) -> None:
    earlier = f"delete from cleaned.sales where date < '{first_day}'"
    years = cut("season_effect", "2015-06-19", earlier).groupby("slice")["value"].agg(sorted)
    assert years["Christmas season"] == christmas
    assert years["Easter season"] == easter


WEEKENDS = (
    "update cleaned.sales set is_open = false, sales = 0, customers = 0 where isodow(date) > 5"
)
HOLE = (
    "update cleaned.sales set is_open = false, sales = 0, customers = 0, is_absent = true"
    " where date between '2014-03-03' and '2014-03-12'"
)


def test_days_of_rest_and_holes_in_the_files_are_no_closures(cut: Cut) -> None:
    last_day = "2015-06-19"
    closed = cut("opening_pattern", last_day).set_index(["closure", "day"])["days"]
    resting = cut("opening_pattern", last_day, WEEKENDS).set_index(["closure", "day"])["days"]
    holed = cut("opening_pattern", last_day, HOLE).set_index(["closure", "day"])["days"]

    assert resting["one to three days", 1] < 1.5 * closed["one to three days", 1]
    longest = "a week or more"
    assert holed.get((longest, 1), 0) <= closed.get((longest, 1), 0)


def test_christmas_in_the_sample_is_found_where_it_was_put(of_sample: Ask) -> None:
    rows = of_sample("holiday_effect")
    found = rows[(rows["kind"] == "christmas") & (rows["day"] == -2)].iloc[0]
    # 23 December is the peak; the days of December's usual weeks and the noise that all stores
    # share move it by some hundredths.
    assert found["sales_lo_95"] - 0.1 < EFFECTS.christmas_peak < found["sales_hi_95"] + 0.1


def test_pay_day_in_the_sample_is_found_where_it_was_put(of_sample: Ask) -> None:
    rows = of_sample("season_effect").set_index(["slice", "value"])
    last, quiet = rows.loc[("around pay-day", 0)], rows.loc[("around pay-day", -7)]
    # Usual days hold pay-days too: it is the difference between days that was put in.
    truth = dict(EFFECTS.pay_day)
    expected = (1 + truth[0]) / (1 + truth[-7]) - 1
    lowest = (1 + last["sales_lo_95"]) / (1 + quiet["sales_hi_95"]) - 1
    highest = (1 + last["sales_hi_95"]) / (1 + quiet["sales_lo_95"]) - 1
    assert lowest - 0.02 < expected < highest + 0.02


@pytest.mark.parametrize(
    ("day", "told"),
    [
        (3, "on day 3 of a month"),
        (0, "on the last day of a month"),
        (-1, "1 day before the last of a month"),
        (-4, "4 days before the last of a month"),
    ],
)
def test_the_strongest_day_around_pay_day_is_told_in_words(
    of_either: Ask, day: int, told: str
) -> None:
    rows = of_either("season_effect")
    others = (rows["slice"] == "around pay-day") & (rows["value"] != day)
    assert answer("season_effect", rows[~others]).endswith(f" {told}.")


def test_days_beside_a_closure_in_the_sample_are_found_where_they_were_put(
    of_sample: Ask,
) -> None:
    rows = of_sample("opening_pattern")
    found = rows[rows["closure"] == "one to three days"].set_index("day")["sales_effect"]
    # Some of these days are pay-days as well.
    assert found[[-1, 1]].mean() == pytest.approx(EFFECTS.around_closure, abs=0.08)
    assert abs(found[[-4, 4]].mean()) < 0.08


def test_school_holidays_in_the_sample_are_found_where_they_were_put(of_sample: Ask) -> None:
    found = of_sample("school_holiday_effect").iloc[0]
    # A hundredth for what stores of one state share.
    assert found["sales_lo_95"] - 0.01 < EFFECTS.school_holiday < found["sales_hi_95"] + 0.01


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_an_answer_changes_with_the_data(of_either: Ask, question: Question) -> None:
    rows = of_either(question.name)
    halved = rows.copy()
    effects = [name for name in rows if name.endswith(("effect", "lo_95", "hi_95"))]
    halved[effects] = rows[effects] / 2
    assert answer(question.name, rows) != answer(question.name, halved)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_nothing_is_claimed_without_rows(of_either: Ask, question: Question) -> None:
    told, is_answered = question.answered(of_either(question.name).head(0))
    assert not is_answered
    assert told.startswith("No answer: it needs ")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_without_intervals_nothing_is_said_of_them(of_either: Ask, question: Question) -> None:
    rows = of_either(question.name)
    bounds = [name for name in rows if name.endswith(("lo_95", "hi_95"))]
    told = answer(question.name, rows.assign(**dict.fromkeys(bounds, np.nan)))
    assert "95 %" not in told
    assert "nan" not in told


def test_without_a_store_that_opens_on_sundays_there_is_no_answer(of_either: Ask) -> None:
    rows = of_either("sunday_stores")
    told, is_answered = BY_NAME["sunday_stores"].answered(
        rows[rows["stores_are"] == "closed on Sundays"]
    )
    assert (told, is_answered) == ("No answer: no store sells on most Sundays.", False)
