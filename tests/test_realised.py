"""Realised accuracy: what was forecast is judged by what was sold, and only by that."""

from collections.abc import Iterator
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets import charts, warehouse
from sales_assets.monitoring import FEWEST_WEEKS, measure_accuracy
from sales_assets.settings import Settings

STORES = pd.DataFrame({"store_id": range(1, 21), "store_type": ["a", "a", "b", "c"] * 5})
LAST_DAY = date(2015, 7, 31)
# A week, two weeks and six days ago, and today: the newest has nothing to be judged by.
CUTOFFS = [pd.Timestamp(day) for day in ("2015-07-10", "2015-07-24", "2015-07-25", "2015-07-31")]
MODELS = ("baseline", "ensemble")
KEYS = ["model", "cutoff", "horizon_week", "store_type"]
GROUPINGS = ([], ["cutoff"], ["horizon_week"], ["store_type"], KEYS[1:3], ["cutoff", "store_type"])


def sold() -> pd.DataFrame:
    """Return a history that ends on a Friday; one store is not reported in the last week."""
    dates = pd.date_range("2015-06-01", LAST_DAY)
    days = STORES[["store_id"]].merge(pd.DataFrame({"date": dates}), how="cross")
    rng = np.random.default_rng(1)
    days["is_open"] = days["date"].dt.weekday < 6
    days["is_absent"] = (days["store_id"] == 7) & (days["date"] > "2015-07-24")
    days.loc[days["is_absent"], "is_open"] = False
    days["sales"] = np.where(days["is_open"], rng.integers(2_000, 9_000, len(days)), 0)
    return days


def forecast(days: pd.DataFrame) -> pd.DataFrame:
    """Return what two models forecast of 42 days, wrong by a tenth, closed on Sundays."""
    rng = np.random.default_rng(2)
    truth = days[["store_id", "date", "sales"]].astype({"sales": float})
    truth.loc[truth["sales"] == 0, "sales"] = 4_000.0
    parts = []
    for cutoff in CUTOFFS:
        coming = STORES[["store_id"]].merge(
            pd.DataFrame({"date": pd.date_range(cutoff + pd.Timedelta(days=1), periods=42)}),
            how="cross",
        )
        coming = coming.merge(truth, "left", ["store_id", "date"]).fillna({"sales": 4_000.0})
        for model in MODELS:
            usual = coming["sales"] * np.exp(0.1 * rng.standard_normal(len(coming)))
            value = np.where(coming["date"].dt.weekday < 6, usual, 0.0)
            rows = coming[["store_id", "date"]].assign(cutoff=cutoff, model=model, forecast=value)
            rows["h"] = (rows["date"] - cutoff).dt.days
            for level, width in ((80, 0.13), (95, 0.2)):
                rows[f"lo_{level}"] = value * np.exp(-width)
                rows[f"hi_{level}"] = value * np.exp(width)
            parts.append(rows)
    return pd.concat(parts, ignore_index=True).assign(version="v")


def backtest_scores(weeks: int = 12) -> pd.DataFrame:
    """Return the ensemble's scores by week: errors around 0.1, coverage around its promise."""
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "model": "ensemble",
            "cutoff": [date(2015, 3, 6 + place // 6) for place in range(weeks)],
            "horizon_week": [place % 6 + 1 for place in range(weeks)],
            "store_type": pd.Series([None] * weeks, dtype="string"),
            "days": 120,
            "rmspe": 0.1 * np.exp(0.1 * rng.standard_normal(weeks)),
            "coverage_80": 0.8 + 0.03 * rng.standard_normal(weeks),
            "coverage_95": 0.95 + 0.01 * rng.standard_normal(weeks),
        }
    )


@pytest.fixture
def own(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with what was sold, what had been forecast, and the backtest's scores."""
    with warehouse.in_memory(settings) as con:
        days = sold()
        warehouse.query(con, "forecasts/daily")
        for table, frame in (
            ("cleaned.stores", STORES),
            ("cleaned.sales", days),
            ("models.scores", backtest_scores()),
        ):
            warehouse.replace_table(con, table, frame)
        con.execute("alter table cleaned.sales alter date type date")
        con.register("fresh", forecast(days))
        con.execute("insert into forecasts.daily by name select * from fresh")
        yield con


def by_hand(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Compute the table once more, with pandas and a loop."""
    days = con.execute("from forecasts.daily").df().merge(
        con.execute("from cleaned.sales").df(), on=["store_id", "date"]
    )  # fmt: skip
    days = days.merge(con.execute("from cleaned.stores").df(), on="store_id")
    days["horizon_week"] = np.ceil(days["h"] / 7).astype(int)
    sales = con.execute("from cleaned.sales").df()
    first = sales[sales["sales"] > 0].groupby("store_id")["date"].min()
    days["is_new"] = ~(days["store_id"].map(first) <= days["cutoff"])
    rows = []
    for grouping in GROUPINGS:
        for key, group in days.groupby(["model", *grouping]):
            both = group[(group["forecast"] > 0) & group["is_open"] & (group["sales"] > 0)]
            own, new = both[~both["is_new"]], both[both["is_new"]]
            y, f = own["sales"].to_numpy(), own["forecast"].to_numpy()
            planned, reported = group["forecast"] > 0, ~group["is_absent"]
            unplanned = ~planned & (group["sales"] > 0)
            unsold = planned & reported & (group["sales"] == 0)
            missing = planned & ~reported
            if not (len(both) or (unplanned | unsold | missing).any()):
                continue
            rows.append(
                dict(zip(["model", *grouping], key, strict=True))
                | {
                    "first_day": own["date"].min(),
                    "last_day": own["date"].max(),
                    "days": len(own),
                    "rmspe": np.sqrt(np.mean((f / y - 1) ** 2)),
                    "wape": np.abs(f - y).sum() / y.sum(),
                    "bias": f.sum() / y.sum() - 1,
                    "coverage_80": np.mean((own["lo_80"] <= y) & (y <= own["hi_80"])),
                    "coverage_95": np.mean((own["lo_95"] <= y) & (y <= own["hi_95"])),
                    "unplanned_days": int(unplanned.sum()),
                    "unsold_days": int(unsold.sum()),
                    "missing_days": int(missing.sum()),
                    "new_store_days": len(new),
                    "new_store_rmspe": np.sqrt(np.mean((new["forecast"] / new["sales"] - 1) ** 2)),
                    "new_store_coverage_80": new["sales"]
                    .between(new["lo_80"], new["hi_80"])
                    .mean(),
                    "new_store_coverage_95": new["sales"]
                    .between(new["lo_95"], new["hi_95"])
                    .mean(),
                }
            )
    return pd.DataFrame(rows)


def sorted_by_key(table: pd.DataFrame) -> pd.DataFrame:
    dates = dict.fromkeys(["cutoff", "first_day", "last_day"], "datetime64[ns]")
    table = table.astype({"horizon_week": "Int64", **dates})
    table["store_type"] = table["store_type"].fillna("")
    return table.sort_values(KEYS, na_position="first").reset_index(drop=True)


def test_the_table_is_that_of_a_loop_over_what_was_forecast_and_sold(
    own: duckdb.DuckDBPyConnection,
) -> None:
    # A Sunday that the plan took for closed, and a weekday on which a store stayed shut.
    own.execute(
        "update cleaned.sales set sales = 5000, is_open = true"
        " where store_id = 3 and date = '2015-07-26'"
    )
    own.execute(
        "update cleaned.sales set sales = 0, is_open = false"
        " where store_id = 4 and date = '2015-07-28'"
    )
    # One store opens in the last week, another on its last day but one.
    own.execute(
        "update cleaned.sales set sales = 0, is_open = false, is_absent = true"
        " where (store_id = 9 and date < '2015-07-27') or (store_id = 10 and date < '2015-07-30')"
    )
    measure_accuracy(own)
    found = own.execute("from monitoring.accuracy").df()
    pd.testing.assert_frame_equal(
        sorted_by_key(found),
        sorted_by_key(by_hand(own))[found.columns.tolist()],
        check_dtype=False,
        rtol=1e-6,
    )
    newest = found[(found["cutoff"] == CUTOFFS[1]) & (found["model"] == "ensemble")]
    whole = newest[newest["horizon_week"].isna() & newest["store_type"].isna()].iloc[0]
    # Six days of 17 stores, less the one on which a store was shut. No file speaks of a store's
    # six, nor of one and four of the new stores'.
    counts = ["days", "unplanned_days", "unsold_days", "missing_days", "new_store_days"]
    assert whole[counts].tolist() == [101, 1, 1, 11, 7]


def test_what_is_yet_to_come_is_not_judged(own: duckdb.DuckDBPyConnection) -> None:
    measure_accuracy(own)
    found = own.execute("from monitoring.accuracy where cutoff is not null").df()
    assert set(found["cutoff"]) == set(CUTOFFS[:3])
    weeks = found.groupby("cutoff")["horizon_week"].agg(lambda week: sorted(set(week.dropna())))
    assert weeks.tolist() == [[1, 2, 3], [1], [1]]


def test_before_any_sales_arrive_the_table_is_there_and_empty(
    own: duckdb.DuckDBPyConnection,
) -> None:
    own.execute("delete from forecasts.daily where cutoff < $cutoff", {"cutoff": LAST_DAY})
    newest = measure_accuracy(own)
    assert newest.empty
    assert warehouse.count(own, "monitoring.accuracy") == 0


def test_a_correction_is_judged_by_what_it_corrects_to(own: duckdb.DuckDBPyConnection) -> None:
    measure_accuracy(own)
    before = own.execute("from monitoring.accuracy where model = 'ensemble'").df()
    own.execute("update cleaned.sales set sales = 2 * sales where date = '2015-07-31'")
    measure_accuracy(own)
    after = own.execute("from monitoring.accuracy where model = 'ensemble'").df()
    assert (after["rmspe"] > before["rmspe"])[before["last_day"] == "2015-07-31"].all()


def test_a_store_that_had_sold_nothing_spoils_no_week(own: duckdb.DuckDBPyConnection) -> None:
    before = measure_accuracy(own).set_index("horizon_week")
    own.execute(
        "update cleaned.sales set sales = 0, is_open = false"
        " where store_id = 9 and date <= '2015-07-24'"
    )
    own.execute("update forecasts.daily set forecast = 9 * forecast where store_id = 9")
    after = measure_accuracy(own).set_index("horizon_week")
    assert after.loc[1, "rmspe"] == pytest.approx(before.loc[1, "rmspe"], rel=0.05)
    assert not after["is_outside"].any()
    ((days, rmspe),) = own.execute(
        "select new_store_days, new_store_rmspe from monitoring.accuracy where model = 'ensemble'"
        " and cutoff = '2015-07-24' and horizon_week is null and store_type is null"
    ).fetchall()
    assert days == 6
    assert rmspe > 5


@pytest.mark.parametrize("sales", [1e-12, 1e-300, 1e33, 1e300])
def test_an_absurd_value_stops_nothing(own: duckdb.DuckDBPyConnection, sales: float) -> None:
    own.execute("alter table cleaned.sales alter sales type double")
    own.execute(
        "update cleaned.sales set sales = $sales where store_id = 3 and date = '2015-07-28'",
        {"sales": sales},
    )
    assert np.isfinite(measure_accuracy(own)["rmspe"]).all()


def test_a_slice_of_new_stores_alone_is_there(own: duckdb.DuckDBPyConnection) -> None:
    own.execute(
        "update cleaned.sales set sales = 0, is_open = false from cleaned.stores as stores"
        " where stores.store_id = sales.store_id and store_type = 'c' and date <= '2015-07-24'"
    )
    measure_accuracy(own)
    by_type = own.execute(
        "select store_type, days, rmspe is null, new_store_days from monitoring.accuracy"
        " where model = 'ensemble' and cutoff = '2015-07-24' and horizon_week is null"
        " order by store_type nulls first"
    ).fetchall()
    # Store 7, of type b, is not reported.
    assert by_type == [
        (None, 84, False, 30), ("a", 60, False, 0), ("b", 24, False, 0), ("c", 0, True, 30)
    ]  # fmt: skip


def test_a_slice_of_which_nothing_came_is_there(own: duckdb.DuckDBPyConnection) -> None:
    own.execute(
        "update cleaned.sales set sales = 0, is_open = false, is_absent = true"
        " from cleaned.stores as stores where stores.store_id = sales.store_id"
        " and store_type = 'c' and date > '2015-07-24'"
    )
    newest = measure_accuracy(own)
    counts = own.execute(
        "select days, missing_days, unsold_days, unplanned_days, rmspe, first_day"
        " from monitoring.accuracy where model = 'ensemble' and cutoff = '2015-07-24'"
        " and store_type = 'c'"
    ).fetchall()
    assert counts == [(0, 30, 0, 0, None, None)]
    own.execute(
        "update cleaned.sales set sales = 0, is_open = false, is_absent = true"
        " where date > '2015-07-24'"
    )
    # A whole week that is missing is counted and judged by nothing.
    assert len(measure_accuracy(own)) < len(newest)
    weeks = own.execute(
        "select days, missing_days from monitoring.accuracy where model = 'ensemble'"
        " and cutoff = '2015-07-24' and horizon_week = 1 and store_type is null"
    ).fetchall()
    assert weeks == [(0, 120)]


def test_weeks_like_those_of_the_backtest_are_not_told(own: duckdb.DuckDBPyConnection) -> None:
    newest = measure_accuracy(own)
    # The newest week as forecast one and three weeks ahead; none began two weeks before its end,
    # and the first one from 25 July is not over.
    assert newest["horizon_week"].tolist() == [1, 3]
    assert newest["cutoff"].tolist() == [CUTOFFS[1], CUTOFFS[0]]
    assert (newest["week_until"] == pd.Timestamp(LAST_DAY)).all()
    assert not newest["is_outside"].any()


WRONG = {
    "an error": ("forecast = 2 * forecast, lo_80 = 0, lo_95 = 0, hi_80 = 1e6, hi_95 = 1e6", True),
    "narrow 80 % intervals": ("lo_80 = 0.99 * forecast, hi_80 = 1.01 * forecast", True),
    "narrow 95 % intervals": ("lo_95 = 0.9 * forecast, hi_95 = 1.1 * forecast", True),
    "better than ever": ("forecast = forecast, lo_80 = 0, lo_95 = 0, hi_80 = 1e6", False),
}


@pytest.mark.parametrize(("change", "is_told"), WRONG.values(), ids=WRONG)
def test_a_week_worse_than_any_of_the_backtest_is_outside(
    own: duckdb.DuckDBPyConnection, change: str, is_told: bool
) -> None:
    own.execute(f"update forecasts.daily set {change} where forecast > 0 and cutoff = '2015-07-24'")
    newest = measure_accuracy(own).set_index("horizon_week")
    assert newest.loc[1, "is_outside"] == is_told
    assert not newest.loc[3, "is_outside"]


@pytest.mark.parametrize(
    "spoil",
    [
        "delete from models.scores where cutoff > '2015-03-06'",
        # Most stores are late: what arrived may be those that are hard to forecast.
        "update cleaned.sales set is_absent = true, is_open = false, sales = 0"
        " where store_id > 8 and date > '2015-07-24'",
        "delete from cleaned.sales where date = '2015-07-31'",
    ],
    ids=["few weeks of backtest", "few stores", "a week that is not over"],
)
def test_what_says_little_gives_no_verdict(own: duckdb.DuckDBPyConnection, spoil: str) -> None:
    own.execute("update forecasts.daily set forecast = 3 * forecast where cutoff = '2015-07-24'")
    assert measure_accuracy(own).set_index("horizon_week").loc[1, "is_outside"]
    own.execute(spoil)
    newest = measure_accuracy(own)
    of_newest = newest[newest["cutoff"] == CUTOFFS[1]]
    assert not of_newest["is_outside"].any()
    assert len(of_newest) == ("models.scores" in spoil)


def test_the_fewest_weeks_leave_a_verdict_to_two_windows_and_none_to_one() -> None:
    assert 6 < FEWEST_WEEKS <= 12


def test_the_picture_shows_the_nearest_and_the_furthest_weeks(
    own: duckdb.DuckDBPyConnection,
) -> None:
    measure_accuracy(own)
    weeks = own.execute(
        "from monitoring.accuracy where model = 'ensemble' and cutoff is not null"
        " and horizon_week is not null"
    ).df()
    figure = charts.realised(weeks, backtest_scores())
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "RMSPE, %", "80 % intervals hold, %", "95 % intervals hold, %"
    ]  # fmt: skip
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "weeks of the backtest", "promised", "forecast 3 weeks ahead", "forecast 1 week ahead"
    ]  # fmt: skip
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    ahead = weeks[weeks["horizon_week"] == 1].sort_values("cutoff")
    np.testing.assert_allclose(drawn["forecast 1 week ahead"], 100 * ahead["rmspe"])
