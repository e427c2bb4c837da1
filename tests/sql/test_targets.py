"""Which days are learnt from, judged and forecast, and that building them again changes nothing."""

from datetime import date, timedelta

import pytest

from sales_assets import cleaned, warehouse
from sales_assets.errors import SalesError
from sales_assets.forecasting import features
from sales_assets.sources.sample import write_sample
from tests.conftest import load_and_clean

STORES = 12
TABLES = ("features.training", "features.future")
# The history ends with the second of the first two windows, counted from 8 May 2015, that have
# a warm-up of 119 days and a window to learn from before them.
DAYS_NEEDED = (date(2015, 5, 8) - timedelta(days=14 * 42) - date(2012, 12, 31)).days


def values(con, select, *params):
    """Return a select's only row."""
    (row,) = con.execute(select, params).fetchall()
    return row


@pytest.fixture
def own_con(source, settings, tmp_path):
    """A warehouse with cleaned tables that a test may change."""
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, source, settings, tmp_path)
        yield con


@pytest.fixture
def short_con(settings, tmp_path):
    """A warehouse with cleaned tables of just as many days as are needed."""
    write_sample(tmp_path, stores=2, days=DAYS_NEEDED, seed=7)
    with warehouse.in_memory(settings) as con:
        load_and_clean(con, tmp_path, settings, tmp_path / "scratch")
        yield con


@pytest.fixture
def last_day(con):
    return features.last_sales_day(con)


def build(con, settings, **changes):
    """Build both feature tables under changed settings, which are returned."""
    changed = settings.model_copy(update=changes)
    cleaned.clean_plan(con, changed)
    features.build_training(con, changed)
    features.build_future(con, changed)
    return changed


def test_cutoffs_are_weekly_up_to_a_week_before_the_last_day(con, settings, last_day):
    cutoffs = {
        cutoff
        for (cutoff,) in con.execute("select distinct cutoff from features.training").fetchall()
    }
    weekly = {last_day - timedelta(weeks=week) for week in range(1, len(cutoffs) + 1)}
    backtest = set(features.backtest_cutoffs(last_day, settings))
    assert backtest < cutoffs
    assert cutoffs - backtest < weekly
    assert len(cutoffs) > 40


def test_the_first_cutoff_comes_in_the_week_after_the_warm_up(con):
    first_cutoff, first_day = values(
        con, "select min(cutoff), (select min(date) from cleaned.sales) from features.training"
    )
    assert 0 <= (first_cutoff - first_day).days - features.WARM_UP < 7


def test_targets_come_after_their_cutoff_and_up_to_the_horizon(con, settings, last_day):
    assert values(con, "select min(h), max(h), max(date) from features.training") == (
        1,
        settings.horizon,
        last_day,
    )
    assert values(
        con, "select count(*) from features.training where h <> date - cutoff or date <= cutoff"
    ) == (0,)


def test_no_target_stands_twice(con):
    for table in TABLES:
        rows, keys = values(
            con, f"select count(*), count(distinct (cutoff, store_id, date)) from {table}"
        )
        assert rows == keys > 0


def test_backtest_cutoffs_keep_every_day_open_or_not(con, settings, last_day):
    for cutoff in features.backtest_cutoffs(last_day, settings):
        rows, closed, horizon = values(
            con,
            "select count(*), count(*) filter (where not is_open), max(h)"
            " from features.training where cutoff = $1",
            cutoff,
        )
        assert (rows, horizon) == (STORES * settings.horizon, settings.horizon)
        assert closed > 0


def test_backtest_windows_are_the_newest_complete_ones_end_to_end(settings):
    assert features.backtest_cutoffs(date(2015, 6, 19), settings) == [
        date(2015, 3, 27),
        date(2015, 5, 8),
    ]


@pytest.mark.parametrize("horizon", [1, 7, 42, 56])
def test_a_new_week_moves_no_backtest_window_until_one_is_complete(settings, horizon):
    chosen = settings.model_copy(update={"horizon": horizon})
    seen = set()
    for days in range(2 * horizon):
        last_day = date(2013, 12, 30) + timedelta(days=days)
        older, newer = features.backtest_cutoffs(last_day, chosen)
        assert (newer - older).days == horizon
        assert 0 <= (last_day - newer).days - horizon < horizon
        seen.add(newer)
    assert len(seen) <= 3


def test_other_cutoffs_keep_selling_days_alone(con, settings, last_day):
    assert values(
        con,
        "select count(*) from features.training"
        " where log_sales is null and not list_contains($1, cutoff)",
        features.backtest_cutoffs(last_day, settings),
    ) == (0,)


def test_every_selling_day_is_learnt_from_and_no_other(con, settings, last_day):
    # Windows between the weekly cutoffs come and go with the newest days.
    weekly = "($1 - cutoff) % 7 = 0"
    assert values(
        con,
        "select count(*) from features.training"
        f" where is_training <> (log_sales is not null and {weekly})",
        last_day,
    ) == (0,)
    assert any((last_day - day).days % 7 for day in features.backtest_cutoffs(last_day, settings))


def test_a_store_has_no_rows_from_before_it_opened(own_con, settings, last_day):
    (*_, newest) = features.backtest_cutoffs(last_day, settings)
    build(own_con, settings)
    before = own_con.execute("from features.training where store_id <> 3 order by all").fetchall()
    prints = features.window_fingerprints(own_con, [newest])
    own_con.execute(
        "update cleaned.sales set is_open = false, sales = 0, customers = 0, is_absent = true"
        " where store_id = 3 and date <= $1",
        [newest],
    )
    build(own_con, settings)
    late = features.window_fingerprints(own_con, [newest])
    rows = "from features.training where store_id = 3"
    assert values(own_con, f"select count(*), min(cutoff) > $1 {rows}", newest)[1]
    assert (
        own_con.execute("from features.training where store_id <> 3 order by all").fetchall()
        == before
    )
    # To the window it is as if there were no such store.
    own_con.execute("delete from cleaned.sales where store_id = 3")
    build(own_con, settings)
    assert features.window_fingerprints(own_con, [newest]) == late != prints


def test_an_open_day_without_sales_is_not_learnt_from(own_con, settings, last_day):
    (*_, newest) = features.backtest_cutoffs(last_day, settings)
    day = newest + timedelta(days=3)
    own_con.execute(
        "update cleaned.sales set is_open = true, sales = 0, customers = 0 where date = $1", [day]
    )
    build(own_con, settings)
    rows, learnt, cutoffs = values(
        own_con,
        "select count(*), count(*) filter (where is_training), list(distinct cutoff)"
        " from features.training where date = $1",
        day,
    )
    assert (rows, learnt) == (STORES, 0)
    assert cutoffs == [newest]


# Windows of some 35 rows are drawn as a whole, so that few of them miss by more.
@pytest.mark.parametrize(("limit", "off"), [(5_000, 0.2), (15_000, 0.15)])
def test_about_as_many_rows_are_learnt_from_as_are_allowed(own_con, settings, last_day, limit, off):
    changed = build(own_con, settings, training_rows=limit)
    learnt, stores, cutoffs = values(
        own_con,
        "select count(*), count(distinct store_id), count(distinct cutoff)"
        " from features.training where is_training",
    )
    assert learnt == pytest.approx(limit, rel=off)
    assert stores == STORES
    assert cutoffs > 50
    for cutoff in features.backtest_cutoffs(last_day, changed):
        assert values(
            own_con, "select count(*) from features.training where cutoff = $1", cutoff
        ) == (STORES * settings.horizon,)


def test_a_smaller_limit_leaves_rows_out_and_changes_none(con, own_con, settings):
    build(own_con, settings, training_rows=1_000)
    rows = "select * exclude is_training from features.training where store_id = 1"
    few = own_con.execute(f"{rows} and is_training").fetchall()
    assert 0 < len(few) < 200
    assert set(few) < set(con.execute(rows).fetchall())


@pytest.mark.parametrize("horizon", [1, 7, 10, 42, 48, 56])
def test_each_horizon_has_complete_backtests_and_forecasts(own_con, settings, last_day, horizon):
    changed = build(own_con, settings, horizon=horizon)
    for cutoff in features.backtest_cutoffs(last_day, changed):
        assert values(
            own_con, "select count(*), max(h) from features.training where cutoff = $1", cutoff
        ) == (STORES * horizon, horizon)
    assert values(own_con, "select count(*), min(h), max(h) from features.future") == (
        STORES * horizon,
        1,
        horizon,
    )


def test_a_horizon_of_one_day_asks_for_the_next_day_alone(own_con, settings, last_day):
    build(own_con, settings, horizon=1)
    assert values(own_con, "select min(h), max(h) from features.training") == (1, 1)
    assert values(own_con, "select count(*), min(date), max(date) from features.future") == (
        STORES,
        last_day + timedelta(days=1),
        last_day + timedelta(days=1),
    )


def test_every_planned_day_is_forecast_from_the_last_day_of_sales(con, settings, last_day):
    assert values(
        con,
        "select count(*), min(cutoff), max(cutoff), min(date), max(date), bool_or(is_training),"
        " count(log_sales) from features.future",
    ) == (
        STORES * settings.horizon,
        last_day,
        last_day,
        last_day + timedelta(days=1),
        last_day + timedelta(days=settings.horizon),
        False,
        0,
    )


def test_a_history_of_the_days_needed_has_a_window_to_learn_from(short_con, settings):
    build(short_con, settings)
    oldest, *_ = features.backtest_cutoffs(features.last_sales_day(short_con), settings)
    (learnt,) = values(
        short_con,
        "select count(*) from features.training where is_training and date <= $1",
        oldest,
    )
    assert learnt > 0


def test_a_shorter_history_is_refused_in_one_sentence(short_con, settings):
    last = features.last_sales_day(short_con)
    short_con.execute("delete from cleaned.sales where date = $1", [last])
    with pytest.raises(SalesError) as refusal:
        features.build_training(short_con, settings)
    assert str(refusal.value) == (
        "The history begins on 2013-01-01; 2 backtest windows of 42 days "
        "(SALES_BACKTEST_WINDOWS, SALES_HORIZON), the oldest after 2013-05-24, need it from "
        "2012-12-14."
    )


@pytest.mark.parametrize("limit", [1_000_000, 2_000])
def test_building_again_gives_the_same_bits(own_con, settings, limit):
    build(own_con, settings, training_rows=limit)
    first = {table: own_con.sql(f"from {table}").df() for table in TABLES}
    build(own_con, settings, training_rows=limit)
    for table in TABLES:
        assert own_con.sql(f"from {table}").df().equals(first[table])


def test_neither_threads_nor_the_order_of_the_days_change_a_bit(con, own_con, settings):
    own_con.execute("set threads = 1")
    own_con.execute("create or replace table cleaned.sales as from cleaned.sales order by sales")
    build(own_con, settings)
    for table in TABLES:
        assert own_con.sql(f"from {table}").df().equals(con.sql(f"from {table}").df())


def test_a_new_week_of_sales_leaves_the_windows_of_the_backtest_as_they_were(
    own_con, settings, last_day
):
    cutoffs = features.backtest_cutoffs(last_day - timedelta(weeks=1), settings)
    assert cutoffs == features.backtest_cutoffs(last_day, settings)
    build(own_con, settings)
    with_the_week = features.window_fingerprints(own_con, cutoffs)

    own_con.execute("delete from raw.sales where date > $1", [last_day - timedelta(weeks=1)])
    cleaned.clean_sales(own_con)
    build(own_con, settings)
    assert features.window_fingerprints(own_con, cutoffs) == with_the_week

    older, newer = cutoffs
    own_con.execute("update cleaned.sales set sales = sales + 1 where date = $1", [newer])
    build(own_con, settings)
    corrected = features.window_fingerprints(own_con, cutoffs)
    assert corrected[newer] != with_the_week[newer]
    # The corrected day is the last of the older window, whose forecasts are judged by it.
    assert corrected[older] != with_the_week[older]
