"""Drift: the newest four weeks are told when they are unlike those before, and only then."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets import monitoring, warehouse
from sales_assets.monitoring import FEWEST_BLOCKS
from sales_assets.resources import Home
from sales_assets.settings import Settings

DAYS_IN_BLOCK = 28


@pytest.fixture
def own(con: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse of the test's own with the sample's cleaned sales."""
    rows = con.execute("from cleaned.sales").df()
    with warehouse.in_memory(settings) as connection:
        connection.register("rows", rows)
        connection.execute(
            "create table cleaned.sales as select * replace (cast(date as date) as date) from rows"
        )
        yield connection


def drift(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    monitoring.measure_drift(con)
    return con.execute("from monitoring.drift").df().set_index("measure")


def newest(days: int = DAYS_IN_BLOCK) -> str:
    return f"date > (select max(date) - {days} from cleaned.sales)"


def test_a_chain_as_ever_does_not_drift(own: duckdb.DuckDBPyConnection) -> None:
    assert not drift(own)["is_drift"].any()


@pytest.mark.parametrize(
    ("change", "measures"),
    [
        ("sales = sales * 2, customers = customers * 2", {"sales", "customers"}),
        ("customers = greatest(customers // 2, 1)", {"customers", "basket"}),
        ("is_promo = true", {"promotion days"}),
        ("is_school_holiday = true", {"school holidays"}),
        ("is_absent = true", {"reported days"}),
        ("is_open = true", {"open days", "open days without sales"}),
        ("sales = 0, customers = 0", {"open days without sales"}),
    ],
)
def test_newest_weeks_unlike_the_others_are_told(
    own: duckdb.DuckDBPyConnection, change: str, measures: set[str]
) -> None:
    own.execute(f"update cleaned.sales set {change} where {newest()}")
    found = drift(own)
    assert measures <= set(found.index[found["is_drift"]])
    if "reported" not in str(measures):
        assert len(set(found.index[found["is_drift"]]) - measures) == 0


@pytest.mark.parametrize("blocks", [6, 9, 30])
def test_however_few_blocks_there_are_chance_alone_is_told_as_rarely(blocks: int) -> None:
    """As often as a normal variable is 3 deviations away: 27 times of 10,000."""
    rng = np.random.default_rng(20150619)
    values = rng.normal(size=(200_000, blocks + 1))
    before, now = values[:, 1:], values[:, 0]
    away = np.abs(now - before.mean(axis=1)) / before.std(axis=1, ddof=1)
    assert (away > monitoring.as_rare(blocks)).mean() == pytest.approx(0.0027, abs=0.0004)


@pytest.mark.parametrize(("beyond", "is_drift"), [(0.999, False), (1.001, True)])
def test_the_limit_is_that_of_as_many_blocks(
    own: duckdb.DuckDBPyConnection, beyond: float, is_drift: bool
) -> None:
    sales = drift(own).loc["sales"]
    wanted = sales["usual"] + beyond * monitoring.as_rare(sales["blocks"]) * sales["deviation"]
    own.execute(
        f"update cleaned.sales set sales = sales * exp($more) where {newest()}",
        {"more": wanted - sales["newest"]},
    )
    found = drift(own).loc["sales"]
    assert found["newest"] == pytest.approx(wanted)
    assert found["is_drift"] == is_drift


def test_what_changed_long_ago_is_no_drift_of_now(own: duckdb.DuckDBPyConnection) -> None:
    own.execute(f"update cleaned.sales set sales = 2 * sales where {newest(7 * DAYS_IN_BLOCK)}")
    assert not drift(own)["is_drift"].get("sales")


def test_the_change_of_level_is_that_of_a_loop_over_stores(own: duckdb.DuckDBPyConnection) -> None:
    days = own.execute("from cleaned.sales where is_open and sales > 0").df()
    last = days["date"].max()
    changes = []
    for _, store in days.groupby("store_id"):
        age = (last - store["date"]).dt.days // DAYS_IN_BLOCK
        means = [np.log(store.loc[age == block, "sales"]).mean() for block in range(4)]
        changes.append(means[0] - np.mean(means[1:]))
    assert drift(own).loc["sales", "newest"] == pytest.approx(np.mean(changes), rel=1e-9)


def test_sales_without_customers_are_watched_alone(own: duckdb.DuckDBPyConnection) -> None:
    own.execute("update cleaned.sales set customers = null")
    found = drift(own)
    assert found.loc["sales", "blocks"] > FEWEST_BLOCKS
    assert found.loc[["customers", "basket"], "newest"].isna().all()
    assert not found["is_drift"].any()


def test_a_short_history_says_nothing(own: duckdb.DuckDBPyConnection) -> None:
    own.execute(f"delete from cleaned.sales where not ({newest(5 * DAYS_IN_BLOCK)})")
    own.execute(f"update cleaned.sales set sales = 3 * sales where {newest()}")
    assert not drift(own)["is_drift"].any()


def years(con: duckdb.DuckDBPyConnection, last_day: str, days: int = 900) -> None:
    """Sell in eight stores until a day, half as much again in each December as else."""
    dates = pd.date_range(end=last_day, periods=days)
    noise = np.random.default_rng(20150619).normal(scale=0.05, size=(8, days))
    level = np.where(dates.month == 12, 1.5, 1.0) * np.exp(noise)
    rows = pd.DataFrame(
        {
            "store_id": np.repeat(np.arange(8), days),
            "date": np.tile(dates, 8),
            "sales": 1_000 * level.ravel(),
            "customers": 100,
            "is_open": True,
            "is_absent": False,
            "is_promo": False,
            "state_holiday": "none",
            "is_school_holiday": False,
        }
    )
    warehouse.replace_table(con, "cleaned.sales", rows)
    con.execute("alter table cleaned.sales alter date type date")


def test_a_season_that_comes_every_year_is_no_drift(own: duckdb.DuckDBPyConnection) -> None:
    years(own, "2014-12-28")
    assert not drift(own)["is_drift"].any()
    # It hides none either: a quarter less than in other Decembers is more than in other months.
    own.execute(f"update cleaned.sales set sales = 0.75 * sales where {newest()}")
    found = drift(own)
    assert set(found.index[found["is_drift"]]) == {"sales", "basket"}
    assert set(found["compared_with"]) == {"the same weeks a year before"}


def test_a_december_long_past_widens_nothing(own: duckdb.DuckDBPyConnection) -> None:
    years(own, "2014-09-28")
    own.execute(f"update cleaned.sales set sales = 0.85 * sales where {newest()}")
    assert drift(own).loc["sales", "is_drift"]


def test_a_season_that_comes_for_the_first_time_is_told(own: duckdb.DuckDBPyConnection) -> None:
    years(own, "2014-12-28", days=360)
    found = drift(own).loc["sales"]
    assert found["is_drift"]
    assert found["compared_with"] == "the blocks before"


def test_the_usual_of_a_season_is_that_of_a_loop_over_years(
    own: duckdb.DuckDBPyConnection,
) -> None:
    years(own, "2014-12-28")
    days = own.execute("from cleaned.sales").df()
    days["block"] = (days["date"].max() - days["date"]).dt.days // DAYS_IN_BLOCK
    days["log"] = np.log(days["sales"])
    means = days.groupby(["block", "store_id"])["log"].mean().unstack()
    means = means[means.index < 900 // DAYS_IN_BLOCK]
    changes = [
        (means.loc[block] - means.loc[block + 1 : block + 3].mean()).mean()
        for block in range(len(means) - 1)
    ]
    since = [changes[block] - changes[block + 13] for block in range(1, len(changes) - 13)]
    found = drift(own).loc["sales"]
    assert found["newest"] == pytest.approx(changes[0])
    assert found["usual"] == pytest.approx(changes[13] + np.mean(since))
    assert found["deviation"] == pytest.approx(np.std(since, ddof=1))
    assert found["blocks"] == len(since)


@pytest.mark.parametrize(("blocks", "others"), [(24, 10), (27, 13), (33, 19)])
def test_against_the_year_before_chance_is_told_no_more_often(blocks: int, others: int) -> None:
    rng = np.random.default_rng(20150619)
    values = rng.normal(size=(100_000, blocks))
    since = values[:, :-13] - values[:, 13:]
    before, now = since[:, 1:], since[:, 0]
    assert before.shape[1] == others
    away = np.abs(now - before.mean(axis=1)) / before.std(axis=1, ddof=1)
    assert (away > monitoring.as_rare(others)).mean() == pytest.approx(0.0025, abs=0.0006)


@pytest.mark.parametrize(("store_days", "is_drift"), [(1, False), (2, True)])
def test_a_share_that_never_changed_may_change_by_half_a_percent(
    own: duckdb.DuckDBPyConnection, store_days: int, is_drift: bool
) -> None:
    years(own, "2014-12-28", days=400)
    own.execute(
        f"update cleaned.sales set is_absent = true, is_open = false where {newest(store_days)}"
        " and store_id = 1"
    )
    found = drift(own)
    assert found.loc["reported days", "is_drift"] == is_drift


def test_the_check_warns_with_evidence_and_stops_nothing(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    with warehouse.connect(Settings.load()) as con:
        con.execute(f"update cleaned.sales set sales = 3 * sales where {newest()}")
    done = dg.materialize([monitoring.drift], resources={"home": Home()})
    assert done.success
    (check,) = done.get_asset_check_evaluations()
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "sales" in str(check.description)
    assert "sales" in str(check.metadata["evidence"].value)
