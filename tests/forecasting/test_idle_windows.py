"""A window of the backtest in which nobody sold is passed over, and an older one is judged."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from sales_assets import models, studies, warehouse
from sales_assets.errors import SalesError
from sales_assets.forecasting import features
from sales_assets.resources import Home
from sales_assets.settings import Settings
from tests.conftest import load_and_clean

WARNING = (
    "no store sold anything in the 42 days after {}: older windows of the backtest take the place "
    "of these"
)


@pytest.fixture(scope="module")
def chain(
    source: Path, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, tmp_path_factory.mktemp("scratch"))
        yield con


@pytest.fixture
def con(chain: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The cleaned tables, to be changed by one test."""
    chain.execute("begin transaction")
    yield chain
    chain.execute("rollback")


@pytest.fixture(scope="module")
def windows(chain: duckdb.DuckDBPyConnection, settings: Settings) -> list[date]:
    """The newest three windows, the newest first."""
    three = settings.model_copy(update={"backtest_windows": 3})
    return features.backtest_cutoffs(features.last_sales_day(chain), three)[::-1]


def close(con: duckdb.DuckDBPyConnection, window: date, but: str = "false") -> None:
    """Close all stores on all days of a window, with some exceptions."""
    con.execute(
        "update cleaned.sales set sales = 0, customers = 0, is_open = false"
        f" where date > $first and date <= $first + 42 and not ({but})",
        {"first": window},
    )


def test_windows_in_which_stores_sold_are_the_newest_ones(con, settings: Settings, windows) -> None:
    newest, older, _ = windows
    assert features.idle_cutoffs(con, settings) == []
    assert features.judged_cutoffs(con, settings) == [older, newest]


@pytest.mark.parametrize("closed", [[0], [1], [0, 1], [2]])
def test_an_idle_window_is_passed_over_with_a_warning(
    con, settings: Settings, windows, caplog: pytest.LogCaptureFixture, closed: list[int]
) -> None:
    if closed == [0, 1]:
        settings = settings.model_copy(update={"backtest_windows": 1})
    for place in closed:
        close(con, windows[place])
    judged = [window for place, window in enumerate(windows) if place not in closed]
    expected = sorted(judged[: settings.backtest_windows])

    assert features.judged_cutoffs(con, settings) == expected
    features.build_training(con, settings)
    days = con.execute(
        "select cutoff, count(log_sales) > 0, count(distinct date) from features.training"
        " where list_contains($1, cutoff) group by cutoff order by cutoff",
        [expected],
    ).fetchall()
    assert days == [(cutoff, True, 42) for cutoff in expected]
    passed_over = sorted(windows[place] for place in closed if windows[place] > expected[0])
    told = [WARNING.format(", ".join(map(str, passed_over)))] if passed_over else []
    assert [record.getMessage() for record in caplog.records] == told


def test_a_window_of_one_selling_day_is_judged(con, settings: Settings, windows) -> None:
    newest, older, _ = windows
    for day in (1, 42):
        close(con, newest, but=f"store_id = 1 and date = date '{newest + timedelta(days=day)}'")
        # A Sunday or a holiday may be among them.
        con.execute(
            "update cleaned.sales set sales = 7, is_open = true where store_id = 1 and date = $1",
            [newest + timedelta(days=day)],
        )
        assert features.judged_cutoffs(con, settings) == [older, newest]


def test_a_store_that_opens_in_an_idle_window_is_not_judged_there(
    con, settings: Settings, windows
) -> None:
    newest, *others = windows
    close(con, newest, but="store_id = 1")
    assert features.idle_cutoffs(con, settings) == []

    con.execute(
        "update cleaned.sales set sales = 0, is_open = false where store_id = 1 and date <= $1",
        [newest],
    )
    assert features.idle_cutoffs(con, settings)[0] == newest
    assert features.judged_cutoffs(con, settings)[-1] == others[0]


def test_windows_of_a_day_are_those_on_which_stores_sold(con, settings: Settings) -> None:
    daily = settings.model_copy(update={"horizon": 1})
    last_day = features.last_sales_day(con)
    con.execute(
        "update cleaned.sales set sales = 0, is_open = false where date between $1 - 1 and $1",
        [last_day],
    )
    assert features.judged_cutoffs(con, daily)[-1] < last_day - timedelta(days=2)


def test_a_history_that_idle_windows_make_too_short_says_so(
    con, settings: Settings, windows
) -> None:
    newest, _, oldest = windows
    close(con, newest)
    needed_from = oldest - timedelta(days=features.WARM_UP + 42)
    first = needed_from + timedelta(days=1)
    con.execute("delete from cleaned.sales where date < $1", [first])

    with pytest.raises(SalesError) as refusal:
        features.build_training(con, settings)

    assert str(refusal.value) == (
        f"The history begins on {first}; 2 backtest windows of 42 days (SALES_BACKTEST_WINDOWS, "
        f"SALES_HORIZON), the oldest after {oldest}, need it from {needed_from}, since no store "
        f"sold anything in the 42 days after {newest}."
    )


def test_what_is_judged_and_studied_are_the_windows_in_which_stores_sold(
    source: Path, settings: Settings, windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, *judged = windows
    monkeypatch.setenv("SALES_HOME", str(tmp_path))
    with warehouse.connect(Settings.load()) as con:
        load_and_clean(con, source, settings, tmp_path / "scratch")
        close(con, newest)
        features.build_training(con, settings)

    def forecast(frames: Any, cutoffs: list[date], *_: Any) -> Any:
        asked = frames.rows[["cutoff", "store_id", "date"]]
        return asked[asked["cutoff"].dt.date.isin(cutoffs)]

    monkeypatch.setattr(models.backtesting, "run", forecast)
    assert dg.materialize([models.backtest], resources={"home": Home()}).success
    with warehouse.connect(Settings.load()) as con:
        found = con.execute("select distinct cutoff from models.backtest order by 1").fetchall()
        assert [cutoff.date() for (cutoff,) in found] == judged[::-1]
        assert studies._material(con, settings).cutoffs == judged[::-1]
