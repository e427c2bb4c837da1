"""What promotions add, and where: counted a second way, and found where it was put in."""

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import t

from sales_assets.questions.ranking import ranked_promotions, top_size
from sales_assets.sources.sample_facts import EFFECTS, SPREAD
from tests.questions.conftest import Ask, answer, rows_of
from tests.questions.oracle import ALIKE, agree, welch
from tests.questions.promoted_stores import MONDAY, add_store, open_days

FIRST_MONDAY = pd.Timestamp("2000-01-03")


# What promotions add.


def lifts_of(days: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return stores x weekdays: the mean of days with a promotion less that of days without."""
    means = days.groupby(ALIKE)[column].mean().unstack()
    return (means[True] - means[False]).unstack()


def moves_of(days: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return how four weeks at a time move the lifts of a store's weekdays: blocks in columns."""
    sides = days.groupby(ALIKE)[column]
    surprise = (days[column] - sides.transform("mean")) / sides.transform("count")
    signed = surprise.where(days["is_promo"], -surprise)
    has_both = days.groupby(["store_id", "weekday"])["is_promo"].transform("nunique") == 2
    block = (days["date"] - FIRST_MONDAY).dt.days // 28
    keys = [days["store_id"], days["weekday"], block.rename("block")]
    return signed[has_both].groupby([key[has_both] for key in keys]).sum(min_count=1).unstack()


def lift_and_margin(lifts: pd.Series, moves: pd.DataFrame) -> tuple[float, float]:
    """Return the mean of stores and how far its interval reaches, clustered by store and block.

    Args:
        lifts: One a store.
        moves: Stores x blocks.
    """
    known = moves.loc[moves.index.isin(lifts.dropna().index)].dropna(axis=1, how="all")
    stores, blocks = lifts.count(), known.shape[1]
    together = known.fillna(0).to_numpy() @ known.fillna(0).to_numpy().T
    # What two stores have in common; what is one store's own is in the variance over stores.
    common = max(together.sum() - np.trace(together), 0) * blocks / (blocks - 1) / stores**2
    variance = lifts.var() / stores
    if np.isnan(variance):
        return lifts.mean(), np.nan
    return lifts.mean(), welch(variance, stores - 1, common, blocks - 1)


def test_lifts_and_their_intervals_are_those_of_a_loop_over_slices(
    of_either: Ask, days: pd.DataFrame
) -> None:
    traits = days.drop_duplicates("store_id").set_index("store_id")
    rows = {}
    for measure, (effect, bound) in {
        "sales": ("sales_lift", "lift"),
        "customers": ("customer_lift", "customer"),
        "basket": ("basket_lift", "basket"),
    }.items():
        lifts = lifts_of(days, f"log_{measure}")
        moves = moves_of(days, f"log_{measure}")
        means = lifts.mean(axis=1)
        cells = lifts.count(axis=1)
        shifts = moves.groupby("store_id").sum(min_count=1).div(cells, axis=0)
        slices = {("all", "all"): (means, shifts)}
        for weekday in lifts.dropna(axis=1, how="all"):
            of_day = moves.xs(weekday, level="weekday")
            slices["weekday", str(weekday)] = (lifts[weekday], of_day)
        for trait in ("store_type", "assortment"):
            for value, own in traits.groupby(trait):
                slices[trait, str(value)] = (means[means.index.isin(own.index)], shifts)
        for key, (of_stores, of_blocks) in slices.items():
            lift, margin = lift_and_margin(of_stores.dropna(), of_blocks)
            row = rows.setdefault(key, {})
            row[f"log_{measure}"] = lift
            row[effect] = np.expm1(lift)
            row[f"{bound}_lo_95"] = np.expm1(lift - margin)
            row[f"{bound}_hi_95"] = np.expm1(lift + margin)
            row.setdefault("stores", of_stores.count())
    expected = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["slice", "value"])
    logs = [expected.pop(f"log_{measure}") for measure in ("sales", "customers", "basket")]
    expected["customer_share"] = logs[1] / (logs[1] + logs[2])
    found = of_either("promo_effect")
    assert found.set_index(expected.index.names)["stores"].to_dict() == expected["stores"].to_dict()
    # Of two or three stores, bounds are those of few and broken degrees of freedom: not so exact.
    agree(found[found["stores"] > 3], expected[expected["stores"] > 3], sure=3e-3)


def test_the_lift_of_the_chain_is_near_that_of_a_regression_with_clustered_blocks(
    of_either: Ask, days: pd.DataFrame
) -> None:
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
    row = of_either("promo_effect").iloc[0]
    assert np.log1p(row["sales_lift"]) == pytest.approx(fit.params["promo"], abs=0.005)
    wide = np.log((1 + row["lift_hi_95"]) / (1 + row["lift_lo_95"]))
    # Between the degrees of freedom of the weeks and those of the stores.
    error = wide / (2 * t.ppf(0.975, weeks.nunique() - 1))
    # The weeks are what is unsure; that stores differ adds to it.
    assert fit.bse["promo"] < error < 1.5 * fit.bse["promo"]


def test_the_lifts_of_the_sample_are_found_within_their_intervals(of_sample: Ask) -> None:
    rows = of_sample("promo_effect")
    found = rows[rows["slice"] == "weekday"].set_index("weekday")
    for weekday, lift in enumerate(EFFECTS.promo_lift, start=1):
        row = found.loc[weekday]
        assert row["lift_lo_95"] < lift < row["lift_hi_95"]
        assert row["basket_lo_95"] < EFFECTS.promo_basket < row["basket_hi_95"]


def test_customers_and_baskets_make_up_the_lift(of_sample: Ask) -> None:
    rows = of_sample("promo_effect")
    np.testing.assert_allclose(
        (1 + rows["customer_lift"]) * (1 + rows["basket_lift"]), 1 + rows["sales_lift"], rtol=2e-3
    )


def test_the_answer_names_the_strongest_weekday(of_either: Ask) -> None:
    rows = of_either("promo_effect")
    assert "most on Mondays" in answer("promo_effect", rows)
    rows.loc[rows["value"] == "3", "sales_lift"] = 2.0
    assert "most on Wednesdays (+200 %)" in answer("promo_effect", rows)


def test_an_interval_that_holds_zero_is_told(of_either: Ask) -> None:
    rows = of_either("promo_effect")
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
    either: duckdb.DuckDBPyConnection, of_either: Ask
) -> None:
    days, rows = open_days(either), of_either("promo_targeting").set_index("store_id")
    means = days.groupby(["store_id", "weekday", "is_promo"])["sales"].mean().unstack().dropna()
    gains = (means[True] - means[False]).groupby("store_id").mean()
    assert rows["gain_eur"].corr(gains, method="spearman") > 0.98
    assert rows["gain_eur"].mean() == pytest.approx(gains.mean(), rel=0.05)
    assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    assert ((rows["rank_lo_95"] <= rows["rank"]) & (rows["rank"] <= rows["rank_hi_95"])).all()
    assert rows["chance_of_top_tenth"].sum() == pytest.approx(top_size(len(rows)))


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
