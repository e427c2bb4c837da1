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
from tests.questions.oracle import agree, over_stores
from tests.questions.tiny import sell

NAMES = [question.name for question in QUESTIONS]


def row(rows: pd.DataFrame, part: str, value: str) -> pd.Series:
    return rows[(rows["slice"] == part) & (rows["value"] == value)].iloc[0]


def shifts(days: pd.DataFrame, events: pd.DataFrame, others: set[int], before: int) -> pd.DataFrame:
    """Return what stores moved by around their event, store by store, as a loop finds it.

    Args:
        days: The selling days.
        events: By store: `until`, the last day before, and `since`, the first day after.
        others: Stores to compare with.
        before: Days before that the level is taken from.

    Returns:
        A row a day: its store, `day` (negative before), and sales against the days before and
        against the earlier ones of them.
    """
    calm = days[days["store_id"].isin(others)]
    counted = calm.groupby(["store_type", "date"])["sales_residual"].agg(["mean", "count"])
    shared = counted.loc[counted["count"] >= 3, "mean"]
    every = calm.groupby("date")["sales_residual"].agg(["mean", "count"])
    every = every.loc[every["count"] >= 3, "mean"]
    found = []
    for store, event in events.iterrows():
        own = days[(days["store_id"] == store) & days["date"].isin(every.index)]
        kind = own["store_type"].iloc[0]
        of_kind = [shared.get((kind, date), every[date]) for date in own["date"]]
        beyond = own["sales_residual"] - np.array(of_kind)
        is_before = own["date"] <= event["until"]
        day = (own["date"] - event["since"]).dt.days
        day = day.where(~is_before, (own["date"] - event["until"]).dt.days - 1)
        level = beyond[is_before & (day >= -before)]
        if len(level) < 42:
            continue
        early = beyond[is_before & (day >= -before) & (day < -(before // 2))].mean()
        found.append(
            pd.DataFrame(
                {
                    "store_id": store, "day": day, "is_before": is_before, "customers": np.nan,
                    "sales": beyond - level.mean(), "since_early": beyond - early,
                }
            )[(day >= -before) & (day < 364)]
        )  # fmt: skip
    return pd.concat(found)


def effects(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return each slice's mean over stores, and its interval."""
    told = over_stores(pd.concat(parts), "slice", "value")
    names = {f"sales_{end}": f"effect_{end}" for end in ("lo_95", "hi_95")}
    return told.rename(columns={"sales_effect": "effect", **names})[
        ["stores", "effect", "effect_lo_95", "effect_hi_95"]
    ]


def four_weeks(days: pd.DataFrame) -> pd.Series:
    return (4 * (days["day"] // 28)).map("{:+d}".format)


def test_an_opening_moves_stores_as_a_loop_over_them_says(
    of_either: Ask, days: pd.DataFrame
) -> None:
    stores = days.drop_duplicates("store_id").set_index("store_id")
    opened = stores["competition_open_since"]
    first, last = days["date"].min(), days["date"].max()
    day = pd.Timedelta(days=1)
    within = opened[(opened - 91 * day >= first) & (opened + 56 * day <= last)]
    others = opened.isna() | (opened < first - 365 * day) | (opened > last)
    events = pd.DataFrame({"until": within - day, "since": within})
    found = shifts(days, events, set(stores.index[others]), before=91)
    after = found[found["day"].between(0, 181)]
    distance = stores["competition_distance_m"].reindex(after["store_id"]).to_numpy()
    placebo = found[found["day"].between(-45, -1) & found["since_early"].notna()]
    parts = [
        found.assign(slice="four weeks", value=four_weeks(found))[found["day"] >= -84],
        after.assign(slice="half-year after", value="all"),
        after.assign(slice="half-year after", value="under 1 km")[distance < 1000],
        after.assign(slice="half-year after", value="1 km and more")[distance >= 1000],
        placebo.assign(slice="placebo", value="later half of before", sales=placebo["since_early"]),
    ]
    rows = of_either("competition_opening")
    agree(rows, effects(parts))
    weeks = rows["from_week"].dropna()
    assert weeks.is_monotonic_increasing
    assert weeks.map("{:+.0f}".format).tolist() == rows["value"].head(len(weeks)).tolist()


def test_a_refurbishment_moves_stores_as_a_loop_over_them_says(
    of_either: Ask, days: pd.DataFrame
) -> None:
    events, away = {}, []
    for store, own in days.sort_values("date").groupby("store_id"):
        gaps = own["date"].diff().dt.days.fillna(0).to_numpy()
        place = int(gaps.argmax())
        if gaps[place] > 61:
            dates = own["date"].to_numpy()
            away.append(gaps[place] - 1)
            events[store] = {
                "until": pd.Timestamp(dates[place - 1]), "since": pd.Timestamp(dates[place])
            }  # fmt: skip
    others = set(days["store_id"]) - set(events)
    found = shifts(days, pd.DataFrame(events).T, others, before=182)
    before = found[found["is_before"] & (found["day"] >= -84)]
    after = found[~found["is_before"]]
    parts = [
        before.assign(slice="before closing", value=four_weeks(before)),
        after.assign(slice="after reopening", value=four_weeks(after)),
        after.assign(slice="settled", value="from 13 weeks after")[after["day"] >= 91],
    ]
    rows = of_either("refurbishment_effect")
    agree(rows, effects(parts).assign(median_days_away=np.median(away)))
    weeks = rows["from_week"].dropna()
    assert weeks.is_monotonic_increasing
    assert weeks.map("{:+.0f}".format).tolist() == rows["value"].head(len(weeks)).tolist()


def slope(stores: pd.DataFrame, measure: str) -> tuple[float, float]:
    """Return what twice the distance changes beside a mean of each kind, and how far it is sure."""
    stores = stores.dropna(subset=measure)
    kinds = pd.get_dummies(stores["kind"], dtype=float)
    design = kinds.assign(doublings=np.log2(stores["distance"].clip(lower=10))).to_numpy()
    fitted, *_ = np.linalg.lstsq(design, stores[measure].to_numpy())
    left = stores[measure].to_numpy() - design @ fitted
    freedom = len(left) - design.shape[1]
    inverse = np.linalg.inv(design.T @ design)
    error = np.sqrt((left**2).sum() / freedom * inverse[-1, -1])
    return float(fitted[-1]), float(t.ppf(0.975, freedom) * error)


BANDS = ["under 250 m", "250 m to 1 km", "1 to 3 km", "3 to 10 km", "over 10 km"]


def test_distances_compare_stores_of_a_kind_as_a_regression_does(
    of_either: Ask, days: pd.DataFrame
) -> None:
    traits = days.drop_duplicates("store_id").set_index("store_id")
    stores = days.groupby("store_id")[["log_sales", "log_customers", "log_basket"]].mean()
    stores["kind"] = traits["store_type"] + traits["assortment"]
    stores["distance"] = traits["competition_distance_m"]
    stores = stores[stores["distance"].notna()]
    stores = stores[stores.groupby("kind")["kind"].transform("size") > 1]
    is_near = stores["distance"] <= stores["distance"].median()
    limits = [0, 250, 1000, 3000, 10000, np.inf]
    band = pd.cut(stores["distance"], limits, right=False, labels=BANDS)
    parts = [("distance", name, own) for name, own in stores.groupby(band, observed=True)]
    parts += [
        ("twice the distance", "all stores", stores),
        ("twice the distance", "nearer half", stores[is_near]),
        ("twice the distance", "farther half", stores[~is_near]),
    ]
    rows = []
    for part, value, own in parts:
        row = {
            "slice": part, "value": value, "stores": len(own),
            "median_distance_m": own["distance"].median(),
            "typical_sales": np.exp(own["log_sales"].mean()),
        }  # fmt: skip
        for measure, name in (("sales", "effect"), ("customers", "customers_effect"),
                              ("basket", "basket_effect")):  # fmt: skip
            column = f"log_{measure}"
            if part == "distance":
                of_kind = stores.groupby("kind")[column].transform("mean")
                beyond = (stores[column] - of_kind)[own.index]
                effect = beyond.mean()
                margin = t.ppf(0.975, len(own) - 1) * beyond.sem()
            else:
                effect, margin = slope(own, column)
            row[name] = np.expm1(effect)
            if measure == "sales":
                row["effect_lo_95"] = np.expm1(effect - margin)
                row["effect_hi_95"] = np.expm1(effect + margin)
        rows.append(row)
    found = of_either("competition_distance")
    agree(found, pd.DataFrame(rows).set_index(["slice", "value"]))
    assert found["value"].tolist() == [row["value"] for row in rows]


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
    of_either: Ask, highest: list[float], settled: float, told: str
) -> None:
    rows = of_either("refurbishment_effect")
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
def test_an_effect_that_is_turned_round_is_told_turned_round(of_either: Ask, name: str) -> None:
    rows = of_either(name)
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


def test_stores_that_never_come_back_to_their_level_are_told_of(of_either: Ask) -> None:
    rows = of_either("refurbishment_effect").assign(
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


def test_a_move_before_the_opening_is_warned_of(of_either: Ask) -> None:
    rows = of_either("competition_opening")
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


def test_one_store_that_met_a_competitor_has_no_interval(of_either: Ask) -> None:
    rows = of_either("competition_opening")
    alone = rows.assign(stores=1, effect_lo_95=np.nan, effect_hi_95=np.nan)
    told = answer("competition_opening", alone)
    assert "one store sold" in told
    assert "too few stores for an interval" in told
    assert "nan" not in told
    assert BY_NAME["competition_opening"].draw(alone).panels
