"""The calendar: found again where it was put in, counted a second way elsewhere."""

from collections.abc import Callable, Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from sales_assets import warehouse
from sales_assets.questions.calendar import QUESTIONS
from sales_assets.questions.question import Question
from sales_assets.settings import Settings
from sales_assets.sources.sample_facts import EFFECTS
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of

# A question's rows by its name, the last day of the history, and SQL that changes it.
Cut = Callable[..., pd.DataFrame]

QUARTER = pd.Timedelta(days=91)


@pytest.fixture(scope="module")
def days(real: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The real selling days with how far each is from its store's usual day, by a loop."""
    rows = real.execute("from cleaned.sales").df()
    rows["weekday"] = rows["date"].dt.dayofweek + 1
    near = set()
    for row in rows[rows["state_holiday"] != "none"].itertuples():
        near |= {(row.store_id, row.date + pd.Timedelta(days=day)) for day in range(-7, 8)}
    sold = rows[rows["is_open"] & (rows["sales"] > 0)].copy()
    sold["log_sales"] = np.log(sold["sales"])
    is_near = np.array([key in near for key in zip(sold["store_id"], sold["date"], strict=True)])
    calendar = sold["date"].dt
    sold["is_usual"] = ~is_near & (calendar.month != 12) & (calendar.dayofyear > 7)
    sold["deviation"] = np.nan
    for _, alike in sold.groupby(["store_id", "weekday", "is_promo"]):
        usual = alike[alike["is_usual"]]
        dates, logs = usual["date"].to_numpy(), usual["log_sales"].to_numpy()
        for place, date, value in zip(
            alike.index, alike["date"].to_numpy(), alike["log_sales"], strict=True
        ):
            is_other = (np.abs(dates - date) <= QUARTER.to_timedelta64()) & (dates != date)
            around = logs[is_other]
            if len(around):
                sold.loc[place, "deviation"] = value - around.mean()
    return sold


def relative(rows: pd.DataFrame, column: str = "deviation") -> float:
    """Return the mean over stores of their mean deviation, as a share."""
    return float(np.expm1(rows.groupby("store_id")[column].mean().mean()))


def test_the_usual_day_is_that_of_a_loop(
    real: duckdb.DuckDBPyConnection, days: pd.DataFrame
) -> None:
    found = real.execute("from insights.deviations").df()
    both = days.merge(found, on=["store_id", "date"], validate="one_to_one")
    assert len(both) == len(days) == len(found)
    assert (both["is_usual_x"] == both["is_usual_y"]).all()
    np.testing.assert_allclose(both["deviation"], both["sales_deviation"], atol=1e-9)


def test_pay_days_and_christmas_seasons_are_those_of_a_loop(
    of_real: Ask, days: pd.DataFrame
) -> None:
    found = of_real("season_effect").set_index(["slice", "value"])["sales_effect"]
    usual = days[days["is_usual"]]
    last = usual[usual["date"].dt.is_month_end]
    assert found["around pay-day", 0] == pytest.approx(relative(last), rel=1e-6)
    month, day = days["date"].dt.month, days["date"].dt.day
    season = days[((month == 11) & (day >= 27)) | ((month == 12) & (day <= 24))]
    for year in (2013, 2014):
        of_year = season[season["date"].dt.year == year]
        assert found["Christmas season", year] == pytest.approx(relative(of_year), rel=1e-6)


def test_the_day_before_easter_is_that_of_a_loop(
    real: duckdb.DuckDBPyConnection, of_real: Ask, days: pd.DataFrame
) -> None:
    holidays = real.execute(
        "select store_id, min(date) as first from cleaned.sales"
        " where state_holiday = 'easter' group by store_id, year(date)"
    ).df()
    eves = holidays.assign(date=holidays["first"] - pd.Timedelta(days=1))[["store_id", "date"]]
    found = of_real("holiday_effect")
    row = found[(found["kind"] == "easter") & (found["day"] == -1)].iloc[0]
    assert row["sales_effect"] == pytest.approx(
        relative(days.merge(eves, on=["store_id", "date"])), rel=1e-6
    )


@pytest.fixture
def cut(real: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[Cut]:
    """The real stores' rows of a question, had history ended earlier or been otherwise."""
    with warehouse.in_memory(settings) as con:

        def rows(name: str, last_day: str, change: str = "") -> pd.DataFrame:
            for table in ("sales", "stores", "plan"):
                found = real.execute(f"from cleaned.{table} where store_id < 300").df()
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
        ("2014-12-03", [2013], [2013, 2014]),
        ("2014-12-24", [2013, 2014], [2013, 2014]),
    ],
)
def test_a_season_that_is_not_over_is_not_told(
    cut: Cut, last_day: str, christmas: list[int], easter: list[int]
) -> None:
    years = cut("season_effect", last_day).groupby("slice")["value"].agg(sorted)
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


def test_weekdays_are_those_of_a_loop(of_real: Ask, days: pd.DataFrame) -> None:
    means = days.groupby(["store_id", "weekday"])["log_sales"].mean().unstack()
    beyond = means.sub(means.loc[:, 1:6].mean(axis=1), axis=0)
    found = of_real("weekday_pattern").set_index("weekday")
    np.testing.assert_allclose(found["sales_effect"], np.expm1(beyond.mean()), rtol=1e-6)
    upper = np.expm1(beyond.mean() + t.ppf(0.975, beyond.count() - 1) * beyond.sem())
    np.testing.assert_allclose(found["sales_hi_95"], upper, rtol=1e-3)


def test_days_beside_short_closures_are_those_of_a_loop(
    real: duckdb.DuckDBPyConnection, of_real: Ask, days: pd.DataFrame
) -> None:
    feasts = real.execute(
        "select distinct store_id, date from cleaned.sales"
        " where state_holiday in ('easter', 'christmas') or strftime(date, '%m-%d') = '01-01'"
    ).df()
    of_store = {store: own["date"].to_numpy() for store, own in feasts.groupby("store_id")}
    opened = real.execute(
        "select store_id, date, is_absent, is_open and sales > 0 as sells from cleaned.sales"
    ).df()
    absent = set(opened.loc[opened["is_absent"], ["store_id", "date"]].itertuples(index=False))
    known = opened[~opened["is_absent"]]
    share = known.groupby(["store_id", known["date"].dt.dayofweek])["sells"].mean()
    three = np.timedelta64(3, "D")
    beside = []
    for store, own in days.sort_values("date").groupby("store_id"):
        dates, beyond = own["date"].to_numpy(), own["deviation"].to_numpy()
        for place in range(len(dates) - 1):
            last, first = dates[place], dates[place + 1]
            shut = (first - last) // np.timedelta64(1, "D") - 1
            own_feasts = of_store.get(store, np.array([], dtype="datetime64[us]"))
            festive = ((own_feasts >= last - three) & (own_feasts <= first + three)).any()
            if not 1 <= shut <= 3 or festive:
                continue
            gap = pd.date_range(last, first)[1:-1]
            is_rest = all(share[store, date.dayofweek] <= 0.5 for date in gap)
            is_rest |= len(gap) == 1 and gap[0].dayofweek == 6
            if not is_rest and not any((store, date) in absent for date in gap):
                beside.append({"store_id": store, "deviation": beyond[place + 1]})
    found = of_real("opening_pattern")
    row = found[(found["closure"] == "one to three days") & (found["day"] == 1)].iloc[0]
    assert row["sales_effect"] == pytest.approx(relative(pd.DataFrame(beside)), rel=1e-6)


def test_school_holidays_are_those_of_a_loop(
    real: duckdb.DuckDBPyConnection, of_real: Ask, days: pd.DataFrame
) -> None:
    stores = real.execute("select store_id, store_type from cleaned.stores").df()
    usual = days[days["is_usual"] & days["deviation"].notna()].merge(stores, on="store_id")
    others = (
        usual[~usual["is_school_holiday"]]
        .groupby(["date", "store_type"])["deviation"].mean().rename("others").reset_index()
    )  # fmt: skip
    both = usual[usual["is_school_holiday"]].merge(others, on=["date", "store_type"])
    both["beyond"] = both["deviation"] - both["others"]
    found = of_real("school_holiday_effect").set_index("value")
    assert found.loc["all", "sales_effect"] == pytest.approx(relative(both, "beyond"), rel=1e-6)
    mondays = both[both["weekday"] == 1]
    assert found.loc["Monday", "sales_effect"] == pytest.approx(relative(mondays, "beyond"))


def test_the_stores_that_open_on_sundays_are_those_of_a_loop(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    rows = real.execute("from cleaned.sales where not is_absent").df()
    rows["weekday"] = rows["date"].dt.dayofweek + 1
    rows["sells"] = rows["is_open"] & (rows["sales"] > 0)
    share = rows[rows["weekday"] == 7].groupby("store_id")["sells"].mean()
    found = of_real("sunday_stores").set_index(["stores_are", "weekday"])
    assert found.loc[("open on Sundays", 7), "stores"] == (share > 0.5).sum()
    calm = rows[rows["sells"] & ~rows["is_promo"] & rows["store_id"].isin(share[share > 0.5].index)]
    means = calm.groupby(["store_id", "weekday"])["sales"].mean().unstack()
    expected = (means[7] / means.sum(axis=1)).mean()
    assert found.loc[("open on Sundays", 7), "week_share"] == pytest.approx(expected)


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
    of_real: Ask, day: int, told: str
) -> None:
    rows = of_real("season_effect")
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
def test_an_answer_changes_with_the_data(of_real: Ask, question: Question) -> None:
    rows = of_real(question.name)
    halved = rows.copy()
    effects = [name for name in rows if name.endswith(("effect", "lo_95", "hi_95"))]
    halved[effects] = rows[effects] / 2
    assert answer(question.name, rows) != answer(question.name, halved)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_nothing_is_claimed_without_rows(of_real: Ask, question: Question) -> None:
    told, is_answered = question.answered(of_real(question.name).head(0))
    assert not is_answered
    assert told.startswith("No answer: it needs ")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_without_intervals_nothing_is_said_of_them(of_real: Ask, question: Question) -> None:
    rows = of_real(question.name)
    bounds = [name for name in rows if name.endswith(("lo_95", "hi_95"))]
    told = answer(question.name, rows.assign(**dict.fromkeys(bounds, np.nan)))
    assert "95 %" not in told
    assert "nan" not in told


def test_without_a_store_that_opens_on_sundays_there_is_no_answer(of_real: Ask) -> None:
    rows = of_real("sunday_stores")
    told, is_answered = BY_NAME["sunday_stores"].answered(
        rows[rows["stores_are"] == "closed on Sundays"]
    )
    assert (told, is_answered) == ("No answer: no store sells on most Sundays.", False)
