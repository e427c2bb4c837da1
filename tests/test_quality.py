"""What the checks found has a history, in the warehouse, in the snapshot and as a chart."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from shutil import copytree

import dagster as dg
import duckdb
import pandas as pd
import pytest

from sales_assets import quality_charts, warehouse
from sales_assets.checks import examine
from sales_assets.definitions import defs
from sales_assets.errors import SalesError
from sales_assets.quality import Outcome, record
from sales_assets.runs import run_job
from sales_assets.settings import Settings
from sales_assets.sources.kaggle import deliver
from sales_assets.suites import SUITES

MET = Outcome("sales are not negative", True, "", 0, [])
FAILED = Outcome("no hole", False, "", 7, [1, 2, 3, 4, 5, 6, 7])
WARNED = Outcome("adds up", False, "0.5", 2, ["store 1"], is_critical=False)
MONDAY, TUESDAY = datetime(2026, 1, 5, 6), datetime(2026, 1, 6, 6)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.in_memory(Settings()) as con:
        yield con


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple]:
    return con.execute(sql).fetchall()


def test_every_outcome_is_a_row_with_its_evidence(con: duckdb.DuckDBPyConnection) -> None:
    record(con, "run", "suite", [MET, FAILED, WARNED], at=MONDAY)
    assert rows(con, "from quality.results order by expectation") == [
        ("run", MONDAY, "suite", "adds up", "warning", False, 2, "0.5"),
        ("run", MONDAY, "suite", "no hole", "critical", False, 7, "1; 2; 3; 4; 5"),
        ("run", MONDAY, "suite", "sales are not negative", "critical", True, 0, None),
    ]


def test_a_suite_that_is_checked_again_in_one_run_counts_once(
    con: duckdb.DuckDBPyConnection,
) -> None:
    record(con, "run", "suite", [MET, FAILED], at=MONDAY)
    record(con, "run", "other", [MET], at=MONDAY)
    record(con, "run", "suite", [MET], at=TUESDAY)
    assert rows(con, "select suite, checked_at, success from quality.results order by 1") == [
        ("other", MONDAY, True),
        ("suite", TUESDAY, True),
    ]


def test_the_summary_is_of_each_suites_latest_run(con: duckdb.DuckDBPyConnection) -> None:
    record(con, "first", "sales", [MET, FAILED], at=MONDAY)
    record(con, "first", "parts", [WARNED], at=MONDAY)
    record(con, "second", "sales", [MET, MET], at=TUESDAY)
    assert rows(con, "from quality.summary") == [
        ("parts", "first", MONDAY, 1, 0, 1, 0, 2),
        ("sales", "second", TUESDAY, 2, 2, 0, 0, 0),
    ]


def test_the_latest_run_is_the_last_one_also_when_the_clock_has_jumped_back(
    con: duckdb.DuckDBPyConnection,
) -> None:
    record(con, "first", "sales", [FAILED], at=TUESDAY)
    record(con, "second", "sales", [MET], at=MONDAY)
    record(con, "second", "parts", [MET], at=MONDAY)
    assert rows(con, "select suite, run, failed from quality.summary") == [
        ("parts", "second", 0),
        ("sales", "second", 0),
    ]
    assert list(warehouse.query(con, "quality/history", runs=1).df()["run"]) == ["second"] * 2


def test_the_history_is_of_the_newest_runs_the_oldest_first(
    con: duckdb.DuckDBPyConnection,
) -> None:
    for day in range(1, 10):
        record(con, f"run {day}", "sales", [MET, FAILED], at=datetime(2026, 1, day))
    history = warehouse.query(con, "quality/history", runs=3).df()
    assert list(history["run"]) == ["run 7", "run 8", "run 9"]
    assert set(history["failed"]) == {1}


def test_the_chart_marks_each_run_and_tells_how_many_were_not_met(
    con: duckdb.DuckDBPyConnection,
) -> None:
    record(con, "first", "sales", [MET, FAILED, FAILED], at=MONDAY)
    record(con, "first", "parts", [WARNED], at=MONDAY)
    record(con, "second", "sales", [MET], at=TUESDAY)
    figure = quality_charts.outcomes(warehouse.query(con, "quality/history", runs=9).df())
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["sales", "parts"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        "05 Jan\n06:00", "06 Jan\n06:00",
    ]  # fmt: skip
    assert sorted(text.get_text() for text in axes.texts) == ["1", "2"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(quality_charts.OUTCOMES)


def test_the_snapshot_has_every_outcome_of_the_run_that_published_it(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(Settings(home=home).dagster_home)) as instance:
        (run,) = instance.get_runs()
        event = instance.get_latest_materialization_event(dg.AssetKey(["quality", "summary"]))
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        found = rows(con, "select suite, run, met = expectations from quality.summary")
        assert rows(con, "select distinct run from quality.results") == [(run.run_id,)]
    suites = sorted([*(suite.name for suite in SUITES), "forecasts_explanations"])
    assert found == [(suite, run.run_id, True) for suite in suites]
    assert event is not None
    assert event.asset_materialization is not None
    assert "data:image/png" in str(event.asset_materialization.metadata["chart"].value)


def test_a_check_that_stops_the_run_is_in_the_history_and_in_the_report(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Put back what the run changes of the environment.
    for name in ("SALES_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")
    settings = Settings.choose(home=home_copy)
    published = settings.snapshot_path.read_bytes()
    # Cleaning that loses a day leaves a hole in the calendar.
    monkeypatch.setattr("sales_assets.cleaned.clean_sales", _clean_badly)
    with pytest.raises(SalesError) as told:
        run_job(
            "weekly_refresh",
            settings,
            ["cleaned__sales", "check_cleaned", "cleaned__plan"],
        )
    assert str(told.value) == (
        "The check of cleaned/sales stopped the refresh: A store has every day of the calendar: "
        "1 row fails: store_id 1, days 499, calendar_days 500. Files cannot cause this: refresh "
        "again, and if it stays, report it with the validation report; a refresh that was killed "
        "is mended by the next one. Nothing was published; the last results are untouched. "
        f"{settings.validation_path} shows what was found."
    )
    assert settings.snapshot_path.read_bytes() == published
    with duckdb.connect(settings.warehouse_path, read_only=True) as con:
        assert rows(con, "select failed from quality.summary where suite = 'cleaned_sales'") == [
            (1,)
        ]
        assert rows(con, "select count(distinct run) from quality.results") == [(2,)]
    report = settings.validation_path.read_text(encoding="utf-8")
    assert "A check stopped the refresh: cleaned_sales." in report


def test_a_history_that_became_another_is_not_forecast_and_the_right_file_mends_it(
    home_copy: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SALES_HOME", "DAGSTER_HOME", "SALES_SOURCE"):
        monkeypatch.setenv(name, "")
    in_cents = copytree(source, tmp_path / "in_cents")
    days = pd.read_csv(in_cents / "train.csv", dtype={"StateHoliday": str})
    days.assign(Sales=100 * days["Sales"]).to_csv(in_cents / "train.csv", index=False)
    steps = ["delivery", "check_delivery", "cleaned__sales"]

    with pytest.raises(SalesError) as told:
        run_job("weekly_refresh", Settings.choose(home=home_copy, source=in_cents), steps)
    assert str(told.value).startswith(
        "The check of raw/sales stopped the refresh: At least 50% of the known weeks sold 90% to "
        "110% of what the last refresh knew: 72 rows fail, such as week_end "
    )
    assert "if the file is right, refresh from all files into a new home (--home)" in str(
        told.value
    )

    # A file of before is not mistaken for a newer one; the command says what to do about that.
    again = copytree(source, tmp_path / "again")
    with (again / "train.csv").open("a") as file:
        file.write("\n")
    run_job("weekly_refresh", Settings.choose(home=home_copy, source=again), steps)


def test_a_first_delivery_is_compared_with_nothing(source: Path, tmp_path: Path) -> None:
    settings = Settings()
    with warehouse.in_memory(settings) as con:
        deliver(con, source, max_refused_share=settings.max_refused_share, scratch=tmp_path)
        outcomes = examine(con, SUITES[0], settings)
    assert {outcome.is_met for outcome in outcomes} == {True}
    assert not any("the last refresh knew" in outcome.expectation for outcome in outcomes)


def test_a_table_that_is_made_alone_is_checked_alone(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    done = defs.resolve_job_def("weekly_refresh").execute_in_process(
        asset_selection=[dg.AssetKey(["cleaned", "stores"])],
        instance=dg.DagsterInstance.ephemeral(),
    )
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("cleaned_stores", True)


def test_a_warning_is_said_where_the_refresh_is_watched(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    with warehouse.connect(Settings.load()) as con:
        con.execute("update models.backtest set lo_80 = hi_80")
    with caplog.at_level("WARNING", "sales_assets"):
        done = defs.resolve_job_def("weekly_refresh").execute_in_process(
            op_selection=["check_backtest"], instance=dg.DagsterInstance.ephemeral()
        )
    assert done.success
    (line,) = [record.getMessage() for record in caplog.records if "warning of" in record.msg]
    assert line.startswith(
        "warning of models_backtest: 80 % intervals cover 65% to 92% of the days"
    )


def _clean_badly(con: duckdb.DuckDBPyConnection) -> int:
    con.execute("delete from cleaned.sales where store_id = 1 and date = '2014-01-06'")
    return 0
