"""Promotions: what they add, found again where it is known and counted a second way elsewhere."""

import json
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import t

from sales_assets import warehouse
from sales_assets.questions import answers
from sales_assets.questions.figure import as_figure
from sales_assets.questions.interactive import as_plotly
from sales_assets.questions.promotions import QUESTIONS
from sales_assets.questions.ranking import ranked_promotions
from sales_assets.sources.sample_facts import EFFECTS, SPREAD
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.promoted_stores import MONDAY, add_plan, add_store, open_days
from tests.questions.tiny import sell

NAMES = [question.name for question in QUESTIONS]


# Every question.


@pytest.mark.parametrize("name", NAMES)
def test_without_a_day_there_is_no_answer(small: duckdb.DuckDBPyConnection, name: str) -> None:
    rows = rows_of(small, name)
    assert rows.empty
    assert BY_NAME[name].answered(rows)[0].startswith("No answer")


@pytest.mark.parametrize("stores", [1, 2, 12])
@pytest.mark.parametrize("name", NAMES)
def test_chains_without_customers_plan_or_promo2_have_sentences_without_nan(
    small: duckdb.DuckDBPyConnection, name: str, stores: int
) -> None:
    for store_id in range(1, stores + 1):
        add_store(small, store_id, lift=1 + store_id / 10)
    rows = rows_of(small, name)
    text, is_answered = BY_NAME[name].answered(rows)
    assert "nan" not in text.lower()
    assert is_answered == (
        name in {"promo_distribution", "promo_effect"} or (name == "promo_targeting" and stores > 9)
    )
    if is_answered:
        as_figure(BY_NAME[name].draw(rows))


@pytest.mark.parametrize("name", NAMES)
def test_without_promotions_no_effect_is_told(small: duckdb.DuckDBPyConnection, name: str) -> None:
    add_store(small, 1)
    small.execute("update cleaned.sales set is_promo = false")
    assert not BY_NAME[name].answered(rows_of(small, name))[1]


@pytest.mark.parametrize("name", NAMES)
def test_stores_without_attributes_are_no_error(
    small: duckdb.DuckDBPyConnection, name: str
) -> None:
    for store_id in range(1, 13):
        add_store(small, store_id, lift=1 + store_id / 10)
    add_plan(small, first=MONDAY + timedelta(days=28), days=7, is_promo=True)
    small.execute("delete from cleaned.stores")
    rows = rows_of(small, name)
    text, is_answered = BY_NAME[name].answered(rows)
    assert "nan" not in text.lower()
    assert is_answered == (name != "promo2_effect")
    if is_answered:
        as_figure(BY_NAME[name].draw(rows))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_told_and_drawn_as_what_was_computed(
    small: duckdb.DuckDBPyConnection, name: str
) -> None:
    question = BY_NAME[name]
    warehouse.replace_table(small, question.table, question.rows(small))
    assert not question.answered(answers.table_of(small, question))[1]
    for store_id in range(1, 13):
        joined = MONDAY + timedelta(days=70) if store_id < 4 else None
        add_store(small, store_id, weeks=26, lift=1 + store_id / 10, promo2_since=joined)
    # Longer than the history, which has no stretch to compare it with.
    add_plan(small, first=MONDAY + timedelta(days=182), days=300, is_promo=True)
    small.execute("update cleaned.stores set store_type = null, assortment = null")
    rows = question.rows(small)
    warehouse.replace_table(small, question.table, rows)
    stored = answers.table_of(small, question)
    assert question.answered(stored) == (answer(name, rows), True)
    json.dumps(as_plotly(question.draw(stored)), allow_nan=False)
    as_figure(question.draw(stored))


@pytest.mark.parametrize("name", NAMES)
def test_real_stores_are_told_and_drawn(of_real: Ask, name: str) -> None:
    rows = of_real(name)
    assert "nan" not in answer(name, rows)
    assert set(BY_NAME[name].shows) <= set(rows.columns)
    json.dumps(as_plotly(BY_NAME[name].draw(rows)), allow_nan=False)


# How promotions are spread.


def test_shares_of_promotion_are_those_of_a_group_by(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    days, rows = open_days(real), of_real("promo_distribution")
    days["month"] = days["date"].dt.month
    for kind in ("weekday", "month", "store_type"):
        found = rows[rows["slice"] == kind]["promo_share"].to_numpy()
        np.testing.assert_allclose(found, days.groupby(kind)["is_promo"].mean().to_numpy())


def test_dependence_is_cramers_v_of_the_cross_table(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    days, rows = open_days(real), of_real("promo_distribution")
    for kind in ("weekday", "store_id"):
        # With two columns, V is the root of the R squared of promotion on the slice.
        explained = days["is_promo"].astype(float).groupby(days[kind]).transform("mean").var()
        found = rows.loc[rows["slice"] == kind.removesuffix("_id"), "cramers_v"].iloc[0]
        assert found == pytest.approx(np.sqrt(explained / days["is_promo"].astype(float).var()))


def test_a_promotion_of_some_stores_alone_is_told(small: duckdb.DuckDBPyConnection) -> None:
    add_store(small, 1)
    add_store(small, 2)
    assert "the same days in all stores" in answer(
        "promo_distribution", rows_of(small, "promo_distribution")
    )
    small.execute("update cleaned.sales set is_promo = false where store_id = 2 and date < ?",
                 [MONDAY + timedelta(days=7)])  # fmt: skip
    text = answer("promo_distribution", rows_of(small, "promo_distribution"))
    assert "on 5 of 10 promotion days in some stores alone" in text
    assert "by store they differ" in text
    assert "by weekday they hardly do" in text


# Whether the plan is like the history.


def test_psi_is_that_of_cross_tables(real: duckdb.DuckDBPyConnection, of_real: Ask) -> None:
    rows = of_real("plan_drift").set_index("covariate")
    history = real.execute("from cleaned.sales where not is_absent").df()
    plan = real.execute("from cleaned.plan").df()
    cases = (("is_open", slice(None)), ("state_holiday", slice(None)), ("is_promo", "open"))
    for covariate, which in cases:
        old, new = (
            (frame[frame["is_open"]] if which == "open" else frame)[covariate]
            .value_counts(normalize=True)
            for frame in (history, plan)
        )  # fmt: skip
        both = pd.concat([old, new], axis=1, keys=["old", "new"]).fillna(0)
        floor = both.clip(lower=1e-4)
        psi = ((floor["new"] - floor["old"]) * np.log(floor["new"] / floor["old"])).sum()
        assert rows.loc[covariate, "psi"] == pytest.approx(psi)
        gap = (both["new"] - both["old"]).abs().sum() / 2
        assert rows.loc[covariate, "distance"] == pytest.approx(gap)


def test_the_same_weeks_are_whole_weeks_before(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    row = of_real("plan_drift").set_index("covariate").loc["is_school_holiday"]
    days = real.execute("from cleaned.sales where is_open").df()
    coming = real.execute("select distinct date from cleaned.plan").df()["date"]
    former = pd.concat([coming - pd.Timedelta(weeks=52 * years) for years in (1, 2)])
    share = days.loc[days["date"].isin(former), "is_school_holiday"].mean()
    assert row["same_weeks_share"] == pytest.approx(share)


def test_stretches_are_those_of_a_loop_over_weeks(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    row = of_real("plan_drift").set_index("covariate").loc["is_school_holiday"]
    days = real.execute("from cleaned.sales where is_open").df()
    plan = real.execute("from cleaned.plan").df()
    whole = days["is_school_holiday"].mean()

    def psi(share: float) -> float:
        pairs = ((share, whole), (1 - share, 1 - whole))
        return sum(
            (max(a, 1e-4) - max(b, 1e-4)) * np.log(max(a, 1e-4) / max(b, 1e-4)) for a, b in pairs
        )

    of_plan, length = plan.loc[plan["is_open"], "is_school_holiday"].mean(), plan["date"].nunique()
    far, end = [], days["date"].max()
    while (start := end - pd.Timedelta(days=length - 1)) >= days["date"].min().replace(day=1):
        share = days.loc[days["date"].between(start, end), "is_school_holiday"].mean()
        far.append(psi(share) >= psi(of_plan))
        end -= pd.Timedelta(days=7)
    assert row["stretches"] == len(far)
    assert row["stretches_as_far"] == pytest.approx(np.mean(far))


def test_a_plan_full_of_promotions_is_told(small: duckdb.DuckDBPyConnection) -> None:
    add_store(small, 1, weeks=60)
    first = MONDAY + timedelta(days=420)
    add_plan(small, first=first, days=14, is_promo=True)
    text = answer("plan_drift", rows_of(small, "plan_drift"))
    assert "promotions (PSI" in text
    assert "against the same weeks of former years promotions differ" in text
    assert "In promotions hardly any former stretch of that length was as far" in text
    assert "The whole plan is derived" in text
    small.execute("delete from cleaned.plan")
    add_plan(small, first=first, days=14, is_promo=False)
    small.execute("update cleaned.plan set is_promo = true where date < ? and is_open",
                 [first + timedelta(days=7)])  # fmt: skip
    text = answer("plan_drift", rows_of(small, "plan_drift"))
    assert "promotions" not in text


# What promotions add.


def test_the_lift_by_weekday_is_that_of_a_loop_over_stores(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    days = open_days(real)
    logs = days.groupby(["weekday", "store_id", "is_promo"])["log_sales"].mean().unstack()
    lifts = np.exp((logs[True] - logs[False]).dropna().groupby("weekday").mean()) - 1
    rows = of_real("promo_effect")
    found = rows[rows["slice"] == "weekday"].set_index("weekday")["sales_lift"]
    pd.testing.assert_series_equal(found, lifts, check_names=False, check_index_type=False)


def test_the_lift_of_the_chain_is_near_that_of_a_regression_with_clustered_blocks(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    days = open_days(real)
    days = days[days["weekday"] <= 5]
    cell = [days["store_id"], days["weekday"]]
    flat = pd.DataFrame(
        {
            "y": days["log_sales"] - days["log_sales"].groupby(cell).transform("mean"),
            "promo": days["is_promo"] - days["is_promo"].groupby(cell).transform("mean"),
        }
    )
    weeks = (days["date"] - pd.Timestamp("2000-01-03")).dt.days // 28
    fit = smf.ols("y ~ promo - 1", flat).fit(cov_type="cluster", cov_kwds={"groups": weeks})
    row = of_real("promo_effect").iloc[0]
    assert np.log1p(row["sales_lift"]) == pytest.approx(fit.params["promo"], abs=0.005)
    wide = np.log((1 + row["lift_hi_95"]) / (1 + row["lift_lo_95"]))
    # Between the degrees of freedom of the weeks and those of the stores.
    error = wide / (2 * t.ppf(0.975, weeks.nunique() - 1))
    # The weeks are what is unsure; that stores differ adds to it.
    assert fit.bse["promo"] < error < 1.3 * fit.bse["promo"]


def test_the_lifts_of_the_sample_are_found_within_their_intervals(of_sample: Ask) -> None:
    rows = of_sample("promo_effect")
    found = rows[rows["slice"] == "weekday"].set_index("weekday")
    for weekday, lift in enumerate(EFFECTS.promo_lift, start=1):
        row = found.loc[weekday]
        assert row["lift_lo_95"] < lift < row["lift_hi_95"]
        assert row["basket_lo_95"] < EFFECTS.promo_basket < row["basket_hi_95"]


def test_customers_and_baskets_make_up_the_lift(of_real: Ask) -> None:
    rows = of_real("promo_effect")
    np.testing.assert_allclose(
        (1 + rows["customer_lift"]) * (1 + rows["basket_lift"]), 1 + rows["sales_lift"], rtol=2e-3
    )


def test_the_answer_names_the_strongest_weekday(of_real: Ask) -> None:
    rows = of_real("promo_effect")
    assert "most on Mondays" in answer("promo_effect", rows)
    rows.loc[rows["value"] == "3", "sales_lift"] = 2.0
    assert "most on Wednesdays (+200 %)" in answer("promo_effect", rows)


def test_an_interval_that_holds_zero_is_told(of_real: Ask) -> None:
    rows = of_real("promo_effect")
    assert "may be nothing" not in answer("promo_effect", rows)
    rows.loc[rows["slice"] == "all", "lift_lo_95"] = -0.01
    assert "may be nothing" in answer("promo_effect", rows)


def test_baskets_that_shrink_are_no_share_of_a_lift(small: duckdb.DuckDBPyConnection) -> None:
    add_store(small, 1, lift=1.5)
    small.execute("update cleaned.sales set customers = if(is_promo, 20, 10) where is_open")
    text = answer("promo_effect", rows_of(small, "promo_effect"))
    assert "Customers change by +100 %, baskets by -25 %" in text
    small.execute("update cleaned.sales set customers = null")
    assert "ustomers" not in answer("promo_effect", rows_of(small, "promo_effect"))


def test_days_without_counted_customers_leave_the_lift_of_sales_as_it_is(
    small: duckdb.DuckDBPyConnection,
) -> None:
    add_store(small, 1, lift=1.5, weeks=8)
    small.execute("update cleaned.sales set customers = if(is_promo, 12, 10) where is_open")
    whole = rows_of(small, "promo_effect").iloc[0]
    small.execute("update cleaned.sales set customers = null, sales = 10 * sales where date < ?",
                 [MONDAY + timedelta(days=28)])  # fmt: skip
    row = rows_of(small, "promo_effect").iloc[0]
    assert row["sales_lift"] == pytest.approx(whole["sales_lift"]) == pytest.approx(0.5)
    # A basket is that of days whose customers are known.
    assert row["customer_lift"] == pytest.approx(0.2)
    assert row["basket_lift"] == pytest.approx(0.25)


# Where promotions pay.


def test_gains_rank_stores_as_a_mean_over_weekdays_does(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    days, rows = open_days(real), of_real("promo_targeting").set_index("store_id")
    means = days.groupby(["store_id", "weekday", "is_promo"])["sales"].mean().unstack().dropna()
    gains = (means[True] - means[False]).groupby("store_id").mean()
    assert rows["gain_eur"].corr(gains, method="spearman") > 0.98
    assert rows["gain_eur"].mean() == pytest.approx(gains.mean(), rel=0.05)
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    assert ((rows["rank_lo_95"] <= rows["rank"]) & (rows["rank"] <= rows["rank_hi_95"])).all()
    assert rows["chance_of_top_tenth"].sum() == pytest.approx(10)


def test_the_responses_of_the_sample_are_within_their_intervals(
    sampled: duckdb.DuckDBPyConnection, of_sample: Ask
) -> None:
    rows = of_sample("promo_targeting")
    spread = np.log1p(rows["lift"]).std() / np.log1p(rows["lift"]).mean()
    assert spread == pytest.approx(SPREAD.promo_response, abs=0.06)
    # The two halves of the history are two samples of each store's response.
    logs = open_days(sampled)
    logs["half"] = (logs["date"].dt.isocalendar().week // 2) % 2
    sides = logs.groupby(["half", "store_id", "weekday", "is_promo"])["log_sales"].mean().unstack()
    lifts = (sides[True] - sides[False]).dropna().groupby(["half", "store_id"]).mean()
    apart = (lifts[0] - lifts[1]) - (lifts[0] - lifts[1]).mean()
    errors = (
        rows.set_index("store_id")
        .pipe(lambda r: np.log((1 + r["lift_hi_95"]) / (1 + r["lift_lo_95"])))
        .div(2 * 1.96)
    )
    # Half of the days doubles the variance, and a difference of two doubles it again.
    assert apart.std() == pytest.approx(2 * np.sqrt((errors**2).mean()), rel=0.3)


def test_a_moved_week_is_worth_the_difference_of_the_tenths(
    small: duckdb.DuckDBPyConnection,
) -> None:
    for store_id in range(1, 21):
        add_store(small, store_id, lift=1 + store_id / 10)
    rows = ranked_promotions(small)
    assert rows["store_id"].tolist() == list(range(20, 0, -1))
    # EUR 195 against 15 more a day of EUR 100, for five days; days of one store are all alike.
    assert "5 days" in answer("promo_targeting", rows)
    assert "worth EUR 900 (95 % sure between EUR 900 and EUR 900)" in answer(
        "promo_targeting", rows
    )
    rows["moved_week_lo_95"] = -10.0
    assert "between EUR -10 and EUR 900: perhaps nothing)" in answer("promo_targeting", rows)


def test_promotion_days_of_a_store_are_its_own(small: duckdb.DuckDBPyConnection) -> None:
    for store in (1, 2):
        for day in range(5, 11):
            sell(small, store, f"2015-01-{day:02}", promo=store == 2 and day < 8)
    rows = BY_NAME["promo_distribution"].rows(small)
    found = rows[rows["slice"] == "store"].set_index("value")["promo_days"]
    assert found.to_dict() == {"1": 0, "2": 3}
