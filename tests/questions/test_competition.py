"""Competitors and refurbishments: found again where put in, counted a second way elsewhere."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from sales_assets.questions.competition import QUESTIONS
from sales_assets.questions.question import Question
from sales_assets.sources.sample import competitor_loss
from sales_assets.sources.sample_facts import EFFECTS
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.tiny import sell

NAMES = [question.name for question in QUESTIONS]


def row(rows: pd.DataFrame, part: str, value: str) -> pd.Series:
    return rows[(rows["slice"] == part) & (rows["value"] == value)].iloc[0]


def shifts(days: pd.DataFrame, events: pd.DataFrame, others: set[int], before: int) -> pd.DataFrame:
    """Return what stores moved by around their event, store by store, as a loop finds it.

    Args:
        days: store_id, store_type, date, residual (log sales less the mean of such days).
        events: By store: `until`, the last day before, and `since`, the first day after.
        others: Stores to compare with.
        before: Days before that the level is taken from.
    """
    calm = days[days["store_id"].isin(others)]
    counted = calm.groupby(["store_type", "date"])["residual"].agg(["mean", "count"])
    shared = counted.loc[counted["count"] >= 3, "mean"]
    every = calm.groupby("date")["residual"].agg(["mean", "count"])
    every = every.loc[every["count"] >= 3, "mean"]
    found = []
    for store, event in events.iterrows():
        own = days[days["store_id"] == store].set_index("date")
        own = own[own.index.isin(every.index)]
        of_kind = [shared.get((own["store_type"].iloc[0], day), every[day]) for day in own.index]
        beyond = own["residual"] - np.array(of_kind)
        age_before = (own.index - event["until"]).days - 1
        level = beyond[(age_before < 0) & (age_before >= -before)]
        if len(level) < 42:
            continue
        age = (own.index - event["since"]).days
        after = beyond[age >= 0] - level.mean()
        found += [
            {"store_id": store, "day": day, "change": value}
            for day, value in zip(age[age >= 0], after, strict=True)
            if day < 364
        ]
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def days(real: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    rows = real.execute(
        "select store_id, store_type, date, is_promo, sales from cleaned.sales"
        " join cleaned.stores using (store_id) where is_open and sales > 0"
    ).df()
    logs = np.log(rows["sales"])
    alike = [rows["store_id"], rows["date"].dt.dayofweek, rows["is_promo"]]
    rows["residual"] = logs - logs.groupby(alike).transform("mean")
    return rows


def test_an_opening_moves_the_real_stores_as_a_loop_over_them_says(
    real: duckdb.DuckDBPyConnection, of_real: Ask, days: pd.DataFrame
) -> None:
    stores = real.execute("from cleaned.stores").df().set_index("store_id")
    stores = stores[stores.index.isin(days["store_id"])]
    opened = stores["competition_open_since"]
    first, last = days["date"].min(), days["date"].max()
    day = pd.Timedelta(days=1)
    within = opened[(opened - 91 * day >= first) & (opened + 56 * day <= last)]
    others = opened.isna() | (opened < first - 365 * day) | (opened > last)
    events = pd.DataFrame({"until": within - day, "since": within})
    found = shifts(days, events, set(stores.index[others]), before=91)
    after = found[found["day"] <= 181].groupby("store_id")["change"].mean()
    expected = row(of_real("competition_opening"), "half-year after", "all")
    assert len(after) == expected["stores"]
    assert np.expm1(after.mean()) == pytest.approx(expected["effect"], rel=1e-6)
    upper = np.expm1(after.mean() + t.ppf(0.975, len(after) - 1) * after.sem())
    assert upper == pytest.approx(expected["effect_hi_95"], rel=1e-6)


def test_a_refurbishment_moves_the_real_stores_as_a_loop_over_them_says(
    of_real: Ask, days: pd.DataFrame
) -> None:
    events = {}
    for store, own in days.sort_values("date").groupby("store_id"):
        gaps = own["date"].diff().dt.days.fillna(0).to_numpy()
        place = int(gaps.argmax())
        if gaps[place] > 61:
            dates = own["date"].to_numpy()
            events[store] = {
                "until": pd.Timestamp(dates[place - 1]), "since": pd.Timestamp(dates[place])
            }  # fmt: skip
    others = set(days["store_id"]) - set(events)
    found = shifts(days, pd.DataFrame(events).T, others, before=182)
    rows = of_real("refurbishment_effect")
    for first_day, part, value in ((0, "after reopening", "+0"), (91, "settled", None)):
        chosen = found[found["day"] >= first_day]
        chosen = chosen[chosen["day"] < 28] if first_day == 0 else chosen
        means = chosen.groupby("store_id")["change"].mean()
        expected = row(rows, part, value or "from 13 weeks after")
        assert len(means) == expected["stores"]
        assert np.expm1(means.mean()) == pytest.approx(expected["effect"], rel=1e-6)


def test_distances_compare_stores_of_a_kind_as_a_regression_does(
    real: duckdb.DuckDBPyConnection, of_real: Ask
) -> None:
    stores = real.execute(
        "select store_id, store_type || assortment as kind, competition_distance_m as distance,"
        " avg(ln(sales)) as level from cleaned.sales join cleaned.stores using (store_id)"
        " where is_open and sales > 0 and competition_distance_m is not null group by all"
    ).df()
    stores = stores[stores.groupby("kind")["kind"].transform("size") > 1]
    effects = stores["level"] - stores.groupby("kind")["level"].transform("mean")
    kinds = pd.get_dummies(stores["kind"], dtype=float)
    design = kinds.assign(doublings=np.log2(stores["distance"].clip(lower=10))).to_numpy()
    fitted, *_ = np.linalg.lstsq(design, stores["level"].to_numpy())
    left = stores["level"].to_numpy() - design @ fitted
    freedom = len(left) - design.shape[1]
    variance = (left**2).sum() / freedom
    slope = fitted[-1]
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1])
    found = row(of_real("competition_distance"), "twice the distance", "all stores")
    assert found["effect"] == pytest.approx(np.expm1(slope), rel=1e-6)
    lower = np.expm1(slope - t.ppf(0.975, freedom) * error)
    assert found["effect_lo_95"] == pytest.approx(lower, rel=1e-6)
    near = effects[stores["distance"] < 250]
    band = row(of_real("competition_distance"), "distance", "under 250 m")
    assert band["stores"] == len(near)
    assert band["effect"] == pytest.approx(np.expm1(near.mean()), rel=1e-6)


def test_a_slope_within_kinds_is_found_however_far_apart_the_kinds_are(
    small: duckdb.DuckDBPyConnection,
) -> None:
    rng = np.random.default_rng(1)
    for store in range(1, 61):
        kind, doublings = ("a", 8) if store <= 30 else ("d", 12)
        doublings += rng.uniform(-1, 1)
        small.execute(
            "insert into cleaned.stores (store_id, store_type, assortment, competition_distance_m)"
            " values ($store, $kind, 'basic', $distance)",
            {"store": store, "kind": kind, "distance": 2**doublings},
        )
        level = (9 if kind == "a" else 8) + np.log(0.9) * doublings
        sell(small, store, "2015-01-05", sales=float(np.exp(level)))
    rows = BY_NAME["competition_distance"].rows(small)
    slopes = rows[rows["slice"] == "twice the distance"]
    np.testing.assert_allclose(slopes["effect"], -0.1, atol=1e-9)


@pytest.mark.parametrize(
    ("highest", "settled", "told"),
    [
        ([0.02, -0.01, -0.02, -0.03], -0.01, "have not come back"),
        ([-0.02, 0.01, -0.01, 0.02], 0.02, "back at their former level after 12 weeks"),
        ([-0.02, 0.01, 0.01, 0.02], 0.02, "back at their former level after 4 weeks"),
        ([-0.02, -0.01, 0.01, 0.02], 0.02, "back at their former level after 8 weeks"),
        ([-0.02, 0.01, 0.01, 0.02], -0.01, "have not come back"),
        ([0.02, 0.01, 0.01, 0.02], 0.02, "not surely below"),
        ([-0.02, -0.01, np.nan, np.nan], np.nan, "have not come back"),
        ([np.nan] * 4, np.nan, "is not known"),
    ],
)
def test_who_is_back_stays_so(
    of_real: Ask, highest: list[float], settled: float, told: str
) -> None:
    rows = of_real("refurbishment_effect")
    weeks = [0, 4, 8, 12]
    after = rows[rows["slice"] == "after reopening"]
    after = after[after["from_week"].isin(weeks)].assign(
        effect=[-0.15, -0.04, -0.04, -0.03], effect_hi_95=highest, effect_lo_95=-0.5
    )
    later = rows[rows["slice"] == "settled"].assign(effect_hi_95=settled, effect_lo_95=-0.5)
    assert told in answer("refurbishment_effect", pd.concat([after, later]))


def test_what_competitors_take_in_the_sample_is_within_the_interval(
    sampled: duckdb.DuckDBPyConnection, of_sample: Ask
) -> None:
    found = row(of_sample("competition_opening"), "half-year after", "all")
    ((first, last),) = sampled.execute("select min(date), max(date) from cleaned.sales").fetchall()
    met = sampled.execute(
        "select competition_distance_m from cleaned.stores"
        " where competition_open_since between $first + 91 and $last - 56",
        {"first": first, "last": last},
    ).df()["competition_distance_m"]
    truth = np.expm1(np.log1p(-competitor_loss(met.to_numpy())).mean())
    assert found["stores"] == pytest.approx(len(met), abs=2)
    assert found["effect_lo_95"] < truth < found["effect_hi_95"]
    assert found["effect_hi_95"] < 0


def test_nothing_happens_in_the_sample_before_a_competitor_opens(of_sample: Ask) -> None:
    rows = of_sample("competition_opening")
    placebo = row(rows, "placebo", "later half of before")
    # One interval in twenty misses; a hundredth is not what a competitor would do.
    assert placebo["effect_lo_95"] - 0.01 < 0 < placebo["effect_hi_95"] + 0.01


def test_what_a_refurbishment_does_in_the_sample_is_within_the_interval(of_sample: Ask) -> None:
    rows = of_sample("refurbishment_effect")
    for first, last, part, value in (
        (0, 27, "after reopening", "+0"), (91, 170, "settled", "from 13 weeks after")
    ):  # fmt: skip
        day = np.arange(first, last + 1)
        dip = EFFECTS.refurbishment_dip * np.exp(-day / EFFECTS.refurbishment_recovery_days)
        truth = np.expm1((np.log1p(EFFECTS.refurbishment_gain) + np.log1p(-dip)).mean())
        found = row(rows, part, value)
        assert found["effect_lo_95"] < truth < found["effect_hi_95"]


@pytest.mark.parametrize("name", NAMES)
def test_an_effect_that_is_turned_round_is_told_turned_round(of_real: Ask, name: str) -> None:
    rows = of_real(name)
    turned = rows.assign(
        effect=-rows["effect"], effect_lo_95=-rows["effect_hi_95"],
        effect_hi_95=-rows["effect_lo_95"],
    )  # fmt: skip
    assert answer(name, rows) != answer(name, turned)


@pytest.mark.parametrize(
    ("effects", "told"),
    [
        ([-0.15, -0.06, -0.04, -0.04], "back at their former level after 8 weeks"),
        ([-0.15, -0.04, -0.06, -0.04], "back at their former level after 12 weeks"),
        ([-0.15, -0.04, -0.04, -0.06], "After 4 weeks they were no longer surely below"),
        ([-0.15, -0.14, -0.14, -0.14], "After 4 weeks they were no longer surely below"),
    ],
)
def test_who_is_back_has_made_up_for_two_thirds_of_the_dip(
    of_sample: Ask, effects: list[float], told: str
) -> None:
    rows = of_sample("refurbishment_effect")
    after = (
        rows[rows["slice"] == "after reopening"]
        .head(4)
        .assign(effect=effects, effect_lo_95=-0.5, effect_hi_95=[-0.02, 0.3, 0.3, 0.3])
    )
    assert told in answer("refurbishment_effect", after)


def test_stores_that_never_come_back_to_their_level_are_told_of(of_real: Ask) -> None:
    rows = of_real("refurbishment_effect").assign(
        effect=-0.3, effect_lo_95=-0.35, effect_hi_95=-0.25
    )
    assert "have not come back" in answer("refurbishment_effect", rows)
    late = (rows["from_week"].fillna(0) >= 8) | (rows["slice"] == "settled")
    wide = rows.assign(effect_hi_95=np.where(late, 0.01, rows["effect_hi_95"]))
    assert "After 8 weeks they were no longer surely below" in answer("refurbishment_effect", wide)
    back = wide.assign(effect=np.where(late, -0.09, -0.3))
    assert "back at their former level after 8 weeks" in answer("refurbishment_effect", back)


def test_a_closure_without_a_history_before_it_is_not_in_the_median(
    small: duckdb.DuckDBPyConnection,
) -> None:
    # Store 5 sells for 150 days before it closes, store 6 for 20.
    small.execute(
        "insert into cleaned.stores (store_id, store_type, assortment) "
        "select store, 'a', 'basic' from range(1, 7) as stores(store)"
    )
    small.execute(
        "insert into cleaned.sales (store_id, date, sales, is_open, is_promo, state_holiday, "
        "is_school_holiday, is_absent) select store, cast(day as date), 1000, true, false, "
        "'none', false, false from range(1, 7) as stores(store), "
        "generate_series(date '2014-01-01', date '2015-01-31', interval 1 day) as days(day) "
        "where not (store > 4 and day between if(store = 5, date '2014-06-01', date '2014-01-21') "
        "and date '2014-08-09')"
    )
    rows = rows_of(small, "refurbishment_effect")
    assert (rows["stores"] == 1).all()
    assert (rows["median_days_away"] == 70).all()


def test_a_move_before_the_opening_is_warned_of(of_real: Ask) -> None:
    rows = of_real("competition_opening")
    is_placebo = rows["slice"] == "placebo"
    moved = rows.assign(
        effect=np.where(is_placebo, -0.1, rows["effect"]),
        effect_lo_95=np.where(is_placebo, -0.15, rows["effect_lo_95"]),
        effect_hi_95=np.where(is_placebo, -0.05, rows["effect_hi_95"]),
    )
    assert "had moved before already, by -10 %" in answer("competition_opening", moved)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_without_competitors_or_closures_nothing_is_claimed(
    sampled: duckdb.DuckDBPyConnection, question: Question
) -> None:
    empty = question.rows(sampled).head(0)
    told, is_answered = question.answered(empty)
    assert not is_answered
    assert told.startswith("No answer: it needs ")


def test_one_store_that_met_a_competitor_has_no_interval(of_real: Ask) -> None:
    rows = of_real("competition_opening")
    alone = rows.assign(stores=1, effect_lo_95=np.nan, effect_hi_95=np.nan)
    told = answer("competition_opening", alone)
    assert "one store sold" in told
    assert "too few stores for an interval" in told
    assert "nan" not in told
    assert BY_NAME["competition_opening"].draw(alone).panels
