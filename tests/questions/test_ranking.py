"""Rankings: as sure as draws say, and of nothing where noise alone tells stores apart."""

from collections.abc import Sequence

import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets.questions.ranking import ranked_promotions, shrunken, steadied
from sales_assets.warehouse import query
from tests.questions.conftest import answer
from tests.questions.promoted_stores import MONDAY, open_days

KNOWN = 1e6


def rng() -> np.random.Generator:
    return np.random.default_rng(20150619)


def add_chain(
    con: duckdb.DuckDBPyConnection,
    lifts: Sequence[float],
    *,
    weeks: int = 26,
    noise: float = 0,
    slow_noise: float = 0,
) -> None:
    """Add a store a lift, open from Mondays to Fridays, every second week in promotion.

    Args:
        con: A warehouse with empty tables.
        lifts: What promotions add to EUR 1,000 a day, store by store.
        weeks: From Monday, 6 January 2014.
        noise: The standard deviation of a day's log sales.
        slow_noise: That of what the days of two weeks share.
    """
    stores = len(lifts)
    days = pd.date_range(MONDAY, periods=7 * weeks)
    days = days[days.dayofweek < 5]
    is_promo = (days - days[0]).days // 7 % 2 == 0
    logs = np.log(1_000) + np.log1p(np.array(lifts))[:, None] * is_promo
    numbers = rng()
    logs = logs + numbers.normal(0, noise, logs.shape)
    logs = logs + np.repeat(numbers.normal(0, slow_noise, (stores, weeks // 2)), 10, axis=1)
    chain = pd.DataFrame(
        {
            "store_id": np.repeat(np.arange(1, stores + 1), len(days)),
            "date": np.tile(days, stores),
            "sales": np.exp(logs).ravel(),
            "is_promo": np.tile(is_promo, stores),
        }
    )
    con.register("chain", chain)
    con.execute(
        "insert into cleaned.sales (store_id, date, sales, is_open, is_promo, state_holiday, "
        "is_school_holiday, is_absent) select store_id, date, sales, true, is_promo, 'none', "
        "false, false from chain"
    )


def test_effects_are_shrunk_by_how_little_is_known_of_them() -> None:
    measured, freedom = np.array([0.0, 0.1, 0.2, 0.6]), np.full(4, KNOWN)
    sure, _ = shrunken(measured, np.full(4, 1e-6), freedom, rng())
    np.testing.assert_allclose(sure, measured, atol=1e-6)
    unsure, draws = shrunken(measured, np.array([0.0, 0.01, 0.01, 0.3]), freedom, rng())
    assert 0.225 < unsure[3] < 0.45
    assert unsure[0] == pytest.approx(0, abs=1e-6)
    assert draws.std(axis=0)[3] < 0.3
    noise, _ = shrunken(measured, np.full(4, 1.0), freedom, rng())
    assert np.ptp(noise) < np.ptp(measured) / 2


@pytest.mark.parametrize("spread", [0, 0.5, 1])
@pytest.mark.parametrize("stores", [12, 50])
def test_intervals_hold_what_stores_do_as_often_as_they_say(spread: float, stores: int) -> None:
    numbers, held = rng(), []
    for _ in range(2_400 // stores):
        truth = spread * numbers.standard_normal(stores)
        measured = truth + numbers.standard_normal(stores)
        _, draws = shrunken(measured, np.ones(stores), np.full(stores, KNOWN), numbers)
        low, high = np.quantile(draws, (0.025, 0.975), axis=0)
        held.append(np.mean((low <= truth) & (truth <= high)))
    # Where all are the same, each is told from its own noise by all others.
    assert np.mean(held) > 0.97 if spread == 0 else 0.92 < np.mean(held) < 0.98


def test_intervals_hold_as_often_where_errors_are_told_from_a_few_blocks() -> None:
    numbers, held = rng(), []
    for _ in range(48):
        errors = np.exp(numbers.standard_normal(50))
        truth = 3 * numbers.standard_normal(50)
        measured = truth + errors * numbers.standard_normal(50)
        found = errors * np.sqrt(numbers.chisquare(2, 50) / 2)
        _, draws = shrunken(measured, found, np.full(50, 2.0), numbers)
        low, high = np.quantile(draws, (0.025, 0.975), axis=0)
        held.append(np.mean((low <= truth) & (truth <= high)))
    assert 0.93 < np.mean(held) < 0.98


def test_a_store_whose_error_came_out_small_by_chance_does_not_lead() -> None:
    numbers, spreads = rng(), []
    for _ in range(20):
        errors = np.sqrt(numbers.chisquare(6, 50) / 6)
        effects, _ = shrunken(numbers.standard_normal(50), errors, np.full(50, 6.0), numbers)
        spreads.append(effects.std())
    assert np.mean(spreads) < 0.2


def test_errors_of_few_blocks_count_as_far_as_they_differ_by_more_than_chance() -> None:
    numbers, freedom = rng(), np.full(200, 6.0)
    chance = np.sqrt(numbers.chisquare(6, 200) / 6)
    errors, more_freedom = steadied(chance, freedom)
    assert errors.std() < 0.2 * chance.std()
    assert errors.mean() == pytest.approx(1, abs=0.05)
    assert more_freedom.min() > 5 * 6
    apart = chance * np.repeat([1, 10], 100)
    errors, more_freedom = steadied(apart, freedom)
    assert errors[100:].mean() / errors[:100].mean() == pytest.approx(10, rel=0.15)
    assert more_freedom.max() < 1.5 * 6
    np.testing.assert_array_equal(steadied(np.zeros(3), np.ones(3)), (np.zeros(3), np.ones(3)))


@pytest.mark.parametrize("stores", [12, 50])
def test_where_noise_alone_tells_stores_apart_no_store_is_named(
    small: duckdb.DuckDBPyConnection, stores: int
) -> None:
    add_chain(small, [0.4] * stores, noise=0.1)
    rows = ranked_promotions(small)
    assert rows["rank_hi_95"].iloc[0] > 0.6 * stores
    assert rows["chance_of_top_tenth"].max() < 0.5
    assert (rows["lift_hi_95"] - rows["lift_lo_95"]).min() > 0.01
    assert rows["moved_week_lo_95"].iloc[0] < 0 < rows["moved_week_hi_95"].iloc[0]
    text = answer("promo_targeting", rows)
    assert text.startswith(f"Which of {stores} stores gain most is not told from chance")
    assert "In the median store a promotion day adds EUR 4" in text
    assert "gains most" not in text


def test_what_a_store_sells_without_promotion_is_not_known_for_sure_either(
    small: duckdb.DuckDBPyConnection,
) -> None:
    add_chain(small, [4.0] * 12, noise=0.01, slow_noise=0.2)
    rows = ranked_promotions(small)
    assert np.log(rows["gain_hi_95"] / rows["gain_lo_95"]).min() > 0.13
    assert rows["gain_eur"].std() < 0.75 * 4 * rows["plain_sales"].std()
    assert rows["chance_of_top_tenth"].max() < 0.5


def test_stores_that_are_all_alike_share_every_rank(small: duckdb.DuckDBPyConnection) -> None:
    add_chain(small, [0.4] * 12)
    rows = ranked_promotions(small)
    assert rows["rank"].tolist() == list(range(1, 13))
    assert (rows["rank_lo_95"] == 1).all()
    assert (rows["rank_hi_95"] == 12).all()
    np.testing.assert_allclose(rows["chance_of_top_tenth"], 1 / 12, atol=0.03)
    assert "is not told from chance" in answer("promo_targeting", rows)


def test_a_week_is_moved_from_the_last_tenth_to_the_best(
    small: duckdb.DuckDBPyConnection,
) -> None:
    add_chain(small, [store / 10 for store in range(1, 21)])
    rows = ranked_promotions(small)
    gains = rows.set_index("rank")["gain_eur"]
    moved = 5 * (gains[[1, 2]].mean() - gains[[19, 20]].mean())
    np.testing.assert_allclose(rows["moved_week_eur"], moved)


def test_a_single_likely_store_is_told_in_the_singular(small: duckdb.DuckDBPyConnection) -> None:
    add_chain(small, [store / 10 for store in range(1, 13)])
    text = answer("promo_targeting", ranked_promotions(small))
    assert "1 store is more likely than not among the best 1." in text


def test_what_is_not_known_of_a_store_is_that_of_its_four_weeks(
    small: duckdb.DuckDBPyConnection,
) -> None:
    add_chain(small, [0.4] * 4, weeks=24, noise=0.1)
    days = open_days(small)
    cell = [days["store_id"], days["weekday"], days["is_promo"]]
    own = days["log_sales"] - days["log_sales"].groupby(cell).transform("mean")
    days["left"] = own - own.groupby(days["date"]).transform("mean")
    days["left"] /= days["left"].groupby(cell).transform("size")
    days["block"] = (days["date"] - pd.Timestamp("2000-01-03")).dt.days // 28
    found = query(small, "insights/promo_targeting").df().set_index("store_id")
    for column, sign in (("log_lift_error", -1), ("log_plain_error", 0)):
        moved = np.where(days["is_promo"], 1.0 if sign else 0.0, -1.0) * days["left"]
        blocks = moved.groupby([days["store_id"], days["block"]]).sum().unstack()
        count = blocks.shape[1]
        expected = np.sqrt((blocks**2).sum(axis=1) * count / (count - 1)) / 5
        np.testing.assert_allclose(found[column], expected)
        assert (found["freedom"] == count - 1).all()
