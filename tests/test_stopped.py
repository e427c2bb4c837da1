"""What a refresh that was stopped has left is not published with the rest, nor kept for good."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.errors import SalesError
from sales_assets.forecasting.manifest import Manifest
from sales_assets.forecasts import replace_forecasts
from sales_assets.quality import FORECASTS, Outcome, record, refuse_what_was_stopped
from sales_assets.settings import Settings
from tests.saved_versions import saved, store_with_a_clock

MET, FAILED = (Outcome("None absurd", is_met, "", 0, []) for is_met in (True, False))
CUTOFF, NEXT = date(2026, 1, 4), date(2026, 1, 11)
SOLD = """
insert into raw.sales select
    store_id, cast(unnest(generate_series(cast($first as date), $last, interval 1 day)) as date),
    100 * store_id, null, null, false, '0', false, 'train.csv', 1, 1
from (values (1), (2)) as stores (store_id)
"""
CLEAN = """
create or replace table cleaned.sales as
select store_id, date, sales, false as is_absent from raw.sales
union all select 3, max(date), 0, true from raw.sales
"""
PLAN = """
create or replace table cleaned.plan as
select store_id, date + 7 as date from cleaned.sales where date > (select max(date) - 7 from
cleaned.sales)
"""
ASK = """
create or replace table features.future as
select (select max(date) from cleaned.sales) as cutoff, * from cleaned.plan
"""


def deliver(con: duckdb.DuckDBPyConnection, last: date) -> None:
    """Deliver a week that ends on a day."""
    con.execute(SOLD, {"first": str(pd.Timestamp(last) - pd.Timedelta(days=6)), "last": last})


def forecasts(cutoff: date, forecast: float, version: str) -> pd.DataFrame:
    """Return what two models forecast of a store's next day."""
    rows = pd.DataFrame({"model": ["baseline", "ensemble"]})
    bounds = dict.fromkeys(("lo_80", "hi_80", "lo_95", "hi_95"), forecast)
    day = pd.Timestamp(cutoff)
    return rows.assign(
        cutoff=day, store_id=1, date=day + pd.Timedelta(days=1), h=1, forecast=forecast,
        version=version, **bounds,
    )  # fmt: skip


@pytest.fixture
def chosen(tmp_path: Path) -> Manifest:
    return saved(store_with_a_clock(tmp_path))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def con(settings: Settings, chosen: Manifest) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse after a refresh that came to its end."""
    with warehouse.connect(settings) as con:
        warehouse.query(con, "raw/sales")
        deliver(con, CUTOFF)
        for table in (CLEAN, PLAN, ASK):
            con.execute(table)
        replace_forecasts(con, forecasts(CUTOFF, 100.0, chosen.version), "a run", settings)
        record(con, "a run", FORECASTS, [MET])
        yield con


def test_what_is_of_one_refresh_is_published(
    con: duckdb.DuckDBPyConnection, chosen: Manifest
) -> None:
    refuse_what_was_stopped(con)
    refuse_what_was_stopped(con, chosen)


@pytest.mark.parametrize(
    ("made", "left"),
    [
        pytest.param([], "raw.sales", id="before its deliveries were checked"),
        pytest.param([CLEAN], "cleaned.plan, features.future", id="before the plan"),
        pytest.param([CLEAN, PLAN], "features.future", id="before the features"),
    ],
)
def test_tables_that_a_stopped_refresh_has_left_are_not_published_with_the_rest(
    con: duckdb.DuckDBPyConnection, chosen: Manifest, made: list[str], left: str
) -> None:
    deliver(con, NEXT)
    for table in made:
        con.execute(table)
    for asked in (None, chosen):
        with pytest.raises(SalesError, match=f"so that {left} and cleaned.sales .*sales refresh"):
            refuse_what_was_stopped(con, asked)


def test_days_that_were_corrected_are_not_published_before_they_were_checked(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("update raw.sales set sales = 100 * sales where store_id = 2")
    with pytest.raises(SalesError, match=r"so that raw\.sales and"):
        refuse_what_was_stopped(con)


def test_before_there_are_features_nothing_is_held_against_them(
    con: duckdb.DuckDBPyConnection, chosen: Manifest
) -> None:
    con.execute("drop table features.future")
    deliver(con, NEXT)
    refuse_what_was_stopped(con, chosen)


@pytest.mark.parametrize("has_been_checked", [True, False])
def test_forecasts_that_have_not_passed_their_check_are_made_anew_and_not_published(
    con: duckdb.DuckDBPyConnection, chosen: Manifest, settings: Settings, has_been_checked: bool
) -> None:
    replace_forecasts(con, forecasts(CUTOFF, 9e9, chosen.version), "stopped", settings)
    if has_been_checked:
        record(con, "stopped", FORECASTS, [FAILED])
    with pytest.raises(SalesError, match=f"not those of {chosen.version} that have passed"):
        refuse_what_was_stopped(con, chosen)
    # Whoever forecasts anew checks anew.
    refuse_what_was_stopped(con)


@pytest.mark.parametrize(
    "made", [(CUTOFF, "20260101T000000Z-00000000"), (date(2025, 12, 28), None)]
)
def test_forecasts_of_another_version_or_cutoff_are_not_published(
    con: duckdb.DuckDBPyConnection,
    chosen: Manifest,
    settings: Settings,
    made: tuple[date, str | None],
) -> None:
    cutoff, version = made
    con.execute("delete from forecasts.daily")
    replace_forecasts(con, forecasts(cutoff, 100.0, version or chosen.version), "a run", settings)
    record(con, "a run", FORECASTS, [MET])
    with pytest.raises(SalesError, match=f"not those of {chosen.version}"):
        refuse_what_was_stopped(con, chosen)


def kept(con: duckdb.DuckDBPyConnection) -> dict[date, float]:
    """Return what is forecast, by cutoff."""
    return dict(con.execute("select distinct cutoff, forecast from forecasts.daily").fetchall())


@pytest.mark.parametrize("has_been_checked", [True, False])
def test_refused_forecasts_of_a_cutoff_are_gone_once_there_is_another_one(
    con: duckdb.DuckDBPyConnection, settings: Settings, has_been_checked: bool
) -> None:
    replace_forecasts(con, forecasts(NEXT, 9e9, "v"), "stopped", settings)
    if has_been_checked:
        record(con, "stopped", FORECASTS, [FAILED])
    later = date(2026, 1, 18)
    replace_forecasts(con, forecasts(later, 102.0, "v"), "next", settings)
    assert kept(con) == {CUTOFF: 100.0, later: 102.0}


def test_what_was_published_of_a_cutoff_is_put_back_once_there_is_another_one(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    con.close()
    warehouse.publish(settings)
    with warehouse.connect(settings) as con:
        replace_forecasts(con, forecasts(CUTOFF, 9e9, "v"), "stopped", settings)
        record(con, "stopped", FORECASTS, [FAILED])
        replace_forecasts(con, forecasts(NEXT, 101.0, "v"), "next", settings)
        assert kept(con) == {CUTOFF: 100.0, NEXT: 101.0}


def test_forecasts_that_passed_stay_whatever_is_published(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    replace_forecasts(con, forecasts(NEXT, 101.0, "v"), "next", settings)
    record(con, "next", FORECASTS, [MET])
    assert kept(con) == {CUTOFF: 100.0, NEXT: 101.0}


def test_refused_forecasts_go_also_where_the_snapshot_is_damaged(
    con: duckdb.DuckDBPyConnection, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.published.mkdir()
    settings.snapshot_path.write_bytes(b"no database")
    replace_forecasts(con, forecasts(NEXT, 9e9, "v"), "stopped", settings)
    replace_forecasts(con, forecasts(date(2026, 1, 18), 102.0, "v"), "next", settings)
    assert set(kept(con)) == {CUTOFF, date(2026, 1, 18)}
    assert "cannot be put back" in caplog.text
