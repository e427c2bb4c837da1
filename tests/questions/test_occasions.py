"""Intervals over stores and occasions: what moves all stores at once makes nobody surer."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from tests.questions.conftest import BY_NAME, Ask, answer, rows_of

SALES = ["sales_effect", "sales_lo_95", "sales_hi_95"]
CUSTOMERS = ["customers_effect", "customers_lo_95", "customers_hi_95"]


def effects(con: duckdb.DuckDBPyConnection, days: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of days of some keys, by key."""
    con.register("days", days)
    return con.execute("from insights.effects('days')").df().set_index("key")


def by_hand(days: pd.DataFrame, what: str = "sales") -> list[float]:
    """Return the effect and its bounds as Cameron, Gelbach and Miller have them, by loops."""
    days = days[days[what].notna()]
    stores, occasions = days["store_id"].unique(), days["occasion"].unique()
    effect = np.mean([days.loc[days["store_id"] == store, what].mean() for store in stores])
    moves = np.zeros((len(stores), len(occasions)))
    for row, store in enumerate(stores):
        own = days[days["store_id"] == store]
        for column, occasion in enumerate(occasions):
            beyond = own.loc[own["occasion"] == occasion, what] - effect
            moves[row, column] = beyond.sum() / len(own) / len(stores)
    over_stores, over_occasions = (
        (moves.sum(axis=1 - axis) ** 2).sum() * clusters / (clusters - 1)
        for axis, clusters in enumerate(moves.shape)
    )
    variance = over_stores + max(over_occasions - (moves**2).sum(), 0)
    margin = t.ppf(0.975, min(moves.shape) - 1) * np.sqrt(variance)
    return [float(np.expm1(value)) for value in (effect, effect - margin, effect + margin)]


def drawn(
    keys: int, stores: int, occasions: int, shared: float, own: float = 0.1, seed: int = 1
) -> pd.DataFrame:
    """Return days without an effect: what all stores share of an occasion, and what is their own.

    One day in five is missing.
    """
    rng = np.random.default_rng(seed)
    key, store, occasion = (axis.ravel() for axis in np.indices((keys, stores, occasions)))
    noise = shared * rng.standard_normal((keys, 1, occasions)) + own * rng.standard_normal(
        (keys, stores, occasions)
    )
    days = pd.DataFrame(
        {"key": key, "store_id": store, "occasion": occasion, "sales": noise.ravel()}
    )
    days["customers"] = days["sales"].where(rng.random(len(days)) < 0.5)
    return days[rng.random(len(days)) < 0.8]


@pytest.mark.parametrize(("stores", "occasions"), [(6, 15), (12, 3)])
@pytest.mark.parametrize("shared", [0.0, 0.2])
def test_bounds_are_those_of_a_loop_over_stores_and_occasions(
    small: duckdb.DuckDBPyConnection, stores: int, occasions: int, shared: float
) -> None:
    days = drawn(3, stores, occasions, shared)
    days = pd.concat([days, days.sample(frac=0.3, random_state=1)])
    found = effects(small, days)
    for key, own in days.groupby("key"):
        assert found.loc[key, SALES].tolist() == pytest.approx(by_hand(own), rel=1e-3)
        assert found.loc[key, CUSTOMERS].tolist() == pytest.approx(
            by_hand(own, "customers"), rel=1e-3
        )
        assert found.loc[key, ["stores", "occasions", "days"]].tolist() == [
            own["store_id"].nunique(), own["occasion"].nunique(), len(own)
        ]  # fmt: skip


@pytest.mark.parametrize("occasions", [2, 3, 12, 60])
def test_what_all_stores_share_is_in_the_intervals(
    small: duckdb.DuckDBPyConnection, occasions: int
) -> None:
    found = effects(small, drawn(1_000, 15, occasions, shared=0.1, own=0.05))
    held = ((found["sales_lo_95"] <= 0) & (found["sales_hi_95"] >= 0)).mean()
    assert 0.92 <= held <= 0.99


def test_no_interval_is_narrower_than_over_stores_alone(small: duckdb.DuckDBPyConnection) -> None:
    days = drawn(200, 10, 30, shared=0.0)
    found = effects(small, days)
    means = days.groupby(["key", "store_id"])["sales"].mean().groupby("key")
    over_stores = t.ppf(0.975, means.count() - 1) * means.sem()
    margin = (np.log1p(found["sales_hi_95"]) - np.log1p(found["sales_lo_95"])) / 2
    assert (margin >= over_stores * (1 - 1e-4)).all()


@pytest.mark.parametrize(("stores", "occasions"), [(1, 9), (9, 1)])
def test_one_store_or_one_occasion_has_an_effect_without_an_interval(
    small: duckdb.DuckDBPyConnection, stores: int, occasions: int
) -> None:
    found = effects(small, drawn(1, stores, occasions, shared=0.1))
    assert found[["sales_effect", "customers_effect"]].notna().all(axis=None)
    assert found[[*SALES[1:], *CUSTOMERS[1:]]].isna().all(axis=None)


def test_customers_that_nobody_counted_have_no_effect(small: duckdb.DuckDBPyConnection) -> None:
    found = effects(small, drawn(2, 5, 5, shared=0.1).assign(customers=np.nan))
    assert found[SALES].notna().all(axis=None)
    assert found[CUSTOMERS].isna().all(axis=None)


def deviations(real: duckdb.DuckDBPyConnection, condition: str, occasion: str) -> pd.DataFrame:
    """Return the real stores' days that meet a condition, each with its occasion."""
    return real.execute(
        f"select store_id, {occasion} as occasion, sales_deviation as sales"
        f" from insights.deviations where sales_deviation is not null and {condition}"
    ).df()


EASTER_EVES = "date in ('2013-03-28', '2014-04-17', '2015-04-02')"


@pytest.mark.parametrize(
    ("name", "row", "condition", "occasion"),
    [
        (
            "season_effect", "slice == 'around pay-day' and value == 0",
            "is_usual and date = last_day(date)", "date",
        ),
        (
            "holiday_effect", "kind == 'easter' and part == 'before' and day == -1",
            EASTER_EVES, "year(date)",
        ),
        (
            "holiday_effect", "kind == 'easter' and part == 'between'",
            "state_holiday = 'none' and date in"
            " (select unnest([day + 2, day + 3]) from (select date as day from insights.deviations"
            f" where {EASTER_EVES}))", "year(date)",
        ),
    ],
    ids=["pay-day", "the day before Easter", "Easter's days between"],
)  # fmt: skip
def test_the_real_calendar_is_as_sure_as_a_loop_says(
    real: duckdb.DuckDBPyConnection,
    of_real: Ask,
    name: str,
    row: str,
    condition: str,
    occasion: str,
) -> None:
    days = deviations(real, condition, occasion)
    found = of_real(name).query(row).iloc[0]
    assert found[SALES].tolist() == pytest.approx(by_hand(days), rel=1e-3)
    assert found["occasions"] == days["occasion"].nunique()


def test_seasons_of_a_year_are_one_occasion_and_months_one_a_year(of_real: Ask) -> None:
    rows = of_real("season_effect").set_index("slice")
    assert (rows.loc[["Christmas season", "Easter season"], "occasions"] == 1).all()
    assert rows.loc[["Christmas season", "Easter season"], SALES[1:]].isna().all(axis=None)
    assert (rows.loc["month", "occasions"] == 2).all()
    assert rows.loc["ISO week", "occasions"].between(2, 3).all()


def test_closures_are_as_many_occasions_as_days_beside_them(of_real: Ask) -> None:
    rows = of_real("opening_pattern").set_index(["closure", "day"])
    short, long = rows.loc[("one to three days", 1)], rows.loc[("a week or more", 1)]
    assert 2 < short["occasions"] < short["days"] / 20
    assert 2 <= long["occasions"] <= long["days"]


def test_school_holidays_are_as_many_occasions_as_weeks(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    whole = of_real("school_holiday_effect").iloc[0]
    weeks = real.execute(
        "select count(distinct date_trunc('week', date)) from insights.deviations"
        " where is_usual and is_school_holiday"
    ).fetchall()
    assert whole["occasions"] <= weeks[0][0] < whole["days"] / 20


def fill(con: duckdb.DuckDBPyConnection, stores: int, seed: int) -> None:
    """Sell for two years without any calendar, on days that are good or bad in all stores."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2013-01-01", "2014-12-31")
    shared = 0.05 * rng.standard_normal(len(dates))
    noise = shared + 0.1 * rng.standard_normal((stores, len(dates)))
    days = pd.DataFrame(
        {
            "store_id": np.repeat(np.arange(stores), len(dates)),
            "date": np.tile(dates, stores),
            "sales": 1_000 * np.exp(noise.ravel()),
            "is_open": True,
            "is_promo": False,
            "state_holiday": "none",
            "is_school_holiday": False,
            "is_absent": False,
        }
    )
    con.register("sold", days)
    con.execute("insert into cleaned.sales by name select * from sold")


def test_days_that_are_good_in_all_stores_by_chance_are_no_pay_days(
    small: duckdb.DuckDBPyConnection,
) -> None:
    told = []
    for seed in range(5):
        small.execute("delete from cleaned.sales")
        fill(small, stores=6, seed=seed)
        told.append(answer("season_effect", rows_of(small, "season_effect")))
    unsure = ["perhaps none" in text.split("around pay-day")[1] for text in told]
    # By chance one of 20 is told as sure.
    assert sum(unsure) >= 4


def test_the_best_day_around_pay_day_has_the_bounds_of_the_best_of_all(of_real: Ask) -> None:
    rows = of_real("season_effect")
    around = rows[rows["slice"] == "around pay-day"]
    best = around.loc[around["sales_effect"].idxmax()]
    freedom = best["occasions"] - 1
    margin = np.log1p(best["sales_hi_95"]) - np.log1p(best["sales_effect"])
    margin *= t.ppf(1 - 0.025 / 21, freedom) / t.ppf(0.975, freedom)
    low, high = (np.expm1(np.log1p(best["sales_effect"]) + side * margin) for side in (-1, 1))
    told = answer("season_effect", rows)
    assert f"95 % sure between {100 * low:+.0f} % and {100 * high:+.0f} %) on the last day" in told


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"stores": 1, "occasions": 9}, "+25 % (too few stores for an interval)"),
        ({"stores": 9, "occasions": 1}, "+25 % (too few occasions for an interval)"),
    ],
)
def test_what_has_no_interval_is_not_told_as_sure(
    of_real: Ask, counts: dict[str, int], told: str
) -> None:
    rows = of_real("holiday_effect")
    rows = rows[rows["kind"] == "public"].assign(
        **counts, sales_effect=0.25, sales_lo_95=np.nan, sales_hi_95=np.nan
    )
    assert f"public holidays {told} and {told}" in answer("holiday_effect", rows)
    week = of_real("weekday_pattern").assign(stores=1, sales_lo_95=np.nan, sales_hi_95=np.nan)
    assert answer("weekday_pattern", week).count("(too few stores for an interval)") == 2


def test_seasons_of_a_single_year_are_told_without_an_interval(of_real: Ask) -> None:
    rows = of_real("season_effect")
    seasons = rows[rows["slice"] == "Christmas season"]
    assert answer("season_effect", seasons).endswith(
        " in 2013 and +32 % in 2014 (one occasion each: no interval)."
    )


def test_title_and_text_name_the_same_weekday(of_real: Ask) -> None:
    rows = of_real("weekday_pattern")
    rows.loc[rows["weekday"] == 7, "sales_effect"] = 0.9
    title = BY_NAME["weekday_pattern"].draw(rows).title
    assert title == "From Monday to Saturday a store sells most on its Mondays"
    assert answer("weekday_pattern", rows).startswith(
        "From Monday to Saturday, Monday is the strongest day,"
    )


def test_the_title_tells_the_largest_move_around_a_holiday_up_or_down(of_real: Ask) -> None:
    rows = of_real("holiday_effect")
    fall = (rows["kind"] == "easter") & (rows["day"] == 3)
    assert "before Christmas: +" in BY_NAME["holiday_effect"].draw(rows).title
    rows["sales_effect"] = np.where(fall, -0.6, rows["sales_effect"].clip(upper=0.5))
    assert (
        BY_NAME["holiday_effect"].draw(rows).title == "Sales move most 3 days after Easter: -60 %"
    )


@pytest.mark.parametrize(
    ("slices", "title"),
    [
        (None, "Sales are highest in December: +24 %"),
        (
            ["Easter season", "around pay-day"],
            "Sales are highest in the Easter season of 2015: +16 %",
        ),
        (["around pay-day"], "Sales are highest on the last day of a month: +17 %"),
    ],
)
def test_the_season_with_the_highest_sales_is_named_by_one_yardstick(
    of_real: Ask, slices: list[str] | None, title: str
) -> None:
    rows = of_real("season_effect")
    shown = rows if slices is None else rows[rows["slice"].isin(slices)]
    picture = BY_NAME["season_effect"].draw(shown)
    assert picture.title == title
    assert len(picture.panels) == (1 if slices == ["around pay-day"] else 2)
