"""Runs that meet on one home: the command line's, those of UI and schedule, and killed ones."""

import re
import signal
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from sales_assets import runs, schedules
from sales_assets.definitions import defs
from sales_assets.doctor import examine
from sales_assets.resources import WRITER_POOL, Home
from sales_assets.schedules import killed_runs
from sales_assets.settings import Settings
from tests.faults.commands import Command, Moment, held, sales
from tests.faults.conftest import Deliveries

LOADING = Moment("sales_assets.sources.kaggle:_load", call=2)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SALES_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def instance_of(home: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(Settings(home=home).dagster_home))


def tick(home: Path) -> str:
    """What the sensor of killed runs says."""
    with instance_of(home) as instance:
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        skipped = killed_runs(context, home=Home())
    assert isinstance(skipped, dg.SkipReason)
    return str(skipped.skip_message)


def test_a_run_of_the_ui_does_not_begin_while_a_command_holds_the_home(
    home: Path, deliveries: Deliveries
) -> None:
    with held(home, steps=["delivery"], source=deliveries.former, at=LOADING) as command:
        other = Command(home, steps=["cleaned__stores"], is_foreign=True).wait()
        assert "failed as" in other.last_line
        settings = Settings(home=home)
        failure = runs.newest_failure(settings)
        assert failure is not None
        assert failure.run_id == other.last_line.split()[-1]
        assert failure.reason == (
            f"Process {command.process.pid} is refreshing {home}; wait until it has finished."
        )
    assert command.wait().exit_status == 0
    assert runs.newest_failure(settings) is None


def test_of_two_commands_at_once_the_second_names_the_first(
    home: Path, deliveries: Deliveries
) -> None:
    with held(home, steps=["delivery"], source=deliveries.former, at=LOADING) as command:
        for arguments in (("refresh", "--source", str(deliveries.former)), ("models", "rollback")):
            assert sales(home, *arguments).sentence == (
                f"sales: Process {command.process.pid} is refreshing {home}; wait until it has "
                "finished."
            )
    assert command.wait().exit_status == 0


def test_a_command_does_not_begin_while_a_run_of_the_ui_is_under_way(
    home: Path, deliveries: Deliveries
) -> None:
    with held(
        home, steps=["delivery"], source=deliveries.former, at=LOADING, is_foreign=True
    ) as run:
        sentence = f"Process {run.process.pid} is refreshing {home}; wait until it has finished."
        refused = sales(home, "refresh", "--source", str(deliveries.former))
        assert refused.sentence == f"sales: {sentence}"
        assert tick(home) == sentence
        assert f"ok       process {run.process.pid} is refreshing" in sales(home, "doctor").text
    assert "succeeded" in run.wait().last_line


def told_of_runs(home: Path, *, is_well: bool) -> list[str]:
    """What the diagnosis says of runs."""
    found = [each.text for each in examine(Settings(home=home)) if each.is_well == is_well]
    return [text for text in found if re.match("(no run|run|Run) ", text)]


def test_a_killed_run_of_the_ui_is_closed_without_hands(
    home: Path, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = Command(
        home, steps=["delivery"], source=deliveries.former, at=LOADING, is_foreign=True
    ).wait()
    assert killed.exit_status == -signal.SIGKILL
    with instance_of(home) as instance:
        (run,) = instance.get_runs()
        pool = instance.event_log_storage.get_concurrency_info(WRITER_POOL)
    assert (run.status, pool.active_slot_count) == (dg.DagsterRunStatus.STARTED, 1)

    # It may be on its way to the lock.
    for module in (runs, schedules):
        monkeypatch.setattr(module, "MOST_LOCKING", timedelta(hours=1))
    assert f"run {run.run_id[:8]} is just being started" in told_of_runs(home, is_well=True)
    assert tick(home) == "No run was killed."
    for module in (runs, schedules):
        monkeypatch.setattr(module, "MOST_LOCKING", timedelta(0))
    (told,) = told_of_runs(home, is_well=False)
    assert told.startswith(f"Run {run.run_id[:8]} was killed and is not recorded as failed")
    assert tick(home) == f"Closed: {run.run_id[:8]}."

    with instance_of(home) as instance:
        (run,) = instance.get_runs()
        pool = instance.event_log_storage.get_concurrency_info(WRITER_POOL)
    assert (run.status, pool.active_slot_count) == (dg.DagsterRunStatus.FAILURE, 0)
    assert tick(home) == "No run was killed."
    diagnosis = sales(home, "doctor").text
    assert "ok       no run was killed" in diagnosis
    assert f"PROBLEM  The newest refresh, run {run.run_id[:8]} of " in diagnosis
    assert "failed: The run's process was killed. Once that is mended" in diagnosis


def start_a_run(home: Path) -> None:
    """Leave a run as the UI does that has accepted one, and not begun with it."""
    runs.prepare_instance(Settings.load())
    run = dg.DagsterRun(
        "weekly_refresh", run_id="abcdef12" * 4, status=dg.DagsterRunStatus.STARTING
    )
    with instance_of(home) as instance:
        instance.add_run(run)


def test_a_run_that_is_being_started_is_closed_only_when_it_never_came_to_work(
    home: Path, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_a_run(home)
    refused = sales(home, "refresh", "--source", str(deliveries.former))
    assert "Run abcdef12 is just being started in the Dagster UI" in refused.sentence
    assert tick(home) == "No run was killed."
    assert told_of_runs(home, is_well=True) == [
        "no run was killed", "run abcdef12 is just being started"
    ]  # fmt: skip
    assert told_of_runs(home, is_well=False) == []
    monkeypatch.setattr(runs, "MOST_STARTING", timedelta(0))
    assert tick(home) == "Closed: abcdef12."


def test_a_run_that_never_came_to_work_is_closed_also_when_the_clock_has_jumped_back(
    home: Path,
) -> None:
    start_a_run(home)
    with instance_of(home) as instance, instance.run_storage.connect() as con:
        con.exec_driver_sql("update runs set update_timestamp = '2040-01-01 00:00:00'")
    assert tick(home) == "Closed: abcdef12."


def test_the_newest_run_is_told_first_also_when_the_clock_has_jumped_back(home: Path) -> None:
    runs.prepare_instance(Settings.load())
    with instance_of(home) as instance:
        for number in range(2):
            instance.add_run(dg.DagsterRun("weekly_refresh", run_id=f"{number}" * 32))
        with instance.run_storage.connect() as con:
            con.exec_driver_sql("update runs set create_timestamp = '2040-01-01' where id = 1")
        assert [run.run_id[0] for run in instance.get_runs()] == ["1", "0"]
