"""Runs of Dagster jobs from the command line, on the home's own Dagster instance."""

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from sales_assets import faults, leftovers
from sales_assets.addresses import LOOPBACK, check_free
from sales_assets.errors import HomeError, SalesError
from sales_assets.lock import exclusive
from sales_assets.settings import REPOSITORY, Settings

# Tells the runs of this module, which die with their process, from those of the UI.
PROCESS_TAG = "sales/process"
# Of the runs that refresh from a delivery: its name.
DELIVERY_TAG = "sales/delivery"
# What the UI started and has not come to its first step by then never will.
MOST_STARTING = timedelta(minutes=5)
# What a run that has started may take until it holds the lock.
MOST_LOCKING = timedelta(seconds=10)
UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# How a run ends; one that someone has cancelled says nothing of how things stand.
ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
# What ends in a publication: these jobs, and whatever else has its asset among others.
PUBLISHING = ("weekly_refresh", "publication")
SNAPSHOT = dg.AssetKey(["published", "snapshot"])
RUNS_LOOKED_AT = 50
# Dagster's name of what evaluates sensors; it gives a sign of life twice a minute.
SENSOR_DAEMON = "SENSOR"
MOST_SILENCE = timedelta(minutes=5)
# The sensor of deliveries, and Dagster's word for one that somebody has switched off.
SENSOR, SWITCHED_OFF = "incoming", "STOPPED"
# `dg dev`, which `dagster dev` recommends instead, wants a project layout of its own.
SUPERSEDED = "Function `dev_command` is superseded"
# Dagster's own log lines go to the run's record, not to the terminal.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def prepare_instance(settings: Settings) -> Path:
    """Create the home's Dagster instance where it is missing and point the environment to it."""
    directory = settings.dagster_home.absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / "dagster.yaml", directory / "dagster.yaml")
    except OSError as error:
        raise SalesError(f"{directory} cannot be written: {error.strerror}.") from None
    os.environ["DAGSTER_HOME"] = str(directory)
    return directory


def run_job(
    name: str,
    settings: Settings,
    steps: list[str] | None = None,
    first: Callable[[], object] = lambda: None,
) -> None:
    """Run a job, or some steps of it, in this process, showing progress.

    Its record is in the UI afterwards.

    Args:
        name: The job's.
        settings: The home.
        steps: Those to run; without them, all.
        first: What is done before, when no other run is under way.

    Raises:
        SalesError: The run failed, or another one is under way.
    """
    prepare_instance(settings)
    with (
        exclusive(settings),
        _progress(),
        _plain_about_records(settings),
        _without_leftovers(settings),
        dg.DagsterInstance.get() as instance,
    ):
        close_killed_runs(instance)
        _refuse_beside_another_run(instance)
        first()
        from sales_assets.definitions import defs

        result = defs.resolve_job_def(name).execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config=QUIET,
            op_selection=steps,
            tags={PROCESS_TAG: str(os.getpid())},
        )
    if not result.success:
        raise SalesError(what_failed(result.all_events, settings))


def close_killed_runs(
    instance: dg.DagsterInstance, most_locking: timedelta = timedelta(0)
) -> list[str]:
    """Mark runs whose process was killed as failed, and free the pool slots that they still hold.

    The caller holds the home's lock, which every run holds while it is under way: an unfinished run
    has lost its process. Only one that is just being started has not come to the lock yet.

    Args:
        instance: With the runs' records.
        most_locking: What a run may take from its start to the lock.

    Returns:
        The ids of these runs.
    """
    killed, _ = _unfinished(instance, most_locking)
    for run in killed:
        process = run.tags.get(PROCESS_TAG)
        told = f"Process {process} was killed." if process else "The run's process was killed."
        instance.report_run_failed(run, told)
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in killed]


def unfinished(settings: Settings) -> tuple[list[str], list[str]]:
    """Return the ids of the runs whose process was killed, and of those just being started.

    Nobody holds the home's lock, so that none of the runs without an end is at work.
    """
    with (
        _plain_about_records(settings),
        dg.DagsterInstance.from_config(str(settings.dagster_home.absolute())) as instance,
    ):
        killed, starting = _unfinished(instance, MOST_LOCKING)
        return [run.run_id for run in killed], [run.run_id for run in starting]


def _unfinished(
    instance: dg.DagsterInstance, most_locking: timedelta
) -> tuple[list[dg.DagsterRun], list[dg.DagsterRun]]:
    """Return the runs without an end: those that will have none, and those on their way."""
    now = datetime.now(UTC)
    killed: list[dg.DagsterRun] = []
    starting: list[dg.DagsterRun] = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        run = record.dagster_run
        is_accepted = run.status == dg.DagsterRunStatus.STARTING
        # Either way, since the clock may have jumped back.
        waited = abs(now - record.update_timestamp)
        is_late = waited > (MOST_STARTING if is_accepted else most_locking)
        (killed if is_late else starting).append(run)
    return killed, starting


def takes_deliveries(settings: Settings) -> bool:
    """Tell whether a daemon evaluates the sensor of deliveries, by its last sign of life."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        return False
    with (
        _plain_about_records(settings),
        dg.DagsterInstance.from_config(str(settings.dagster_home.absolute())) as instance,
    ):
        beat = instance.get_daemon_heartbeats().get(SENSOR_DAEMON)
        if any(
            state.instigator_name == SENSOR and state.status.value == SWITCHED_OFF
            for state in instance.all_instigator_state()
        ):
            return False
    return beat is not None and abs(time.time() - beat.timestamp) < MOST_SILENCE.total_seconds()


@dataclass(frozen=True)
class Failure:
    """A run that failed: which one, when it ended, and what stopped it."""

    run_id: str
    ended_at: datetime
    reason: str


def newest_failure(settings: Settings) -> Failure | None:
    """Return how the newest refresh or publication failed, or nothing if one has succeeded since.

    One of a delivery that came by `incoming` is tried again, or told of by its report.
    """
    with (
        _plain_about_records(settings),
        dg.DagsterInstance.from_config(str(settings.dagster_home.absolute())) as instance,
    ):
        records = instance.get_run_records(dg.RunsFilter(statuses=ENDED), limit=RUNS_LOOKED_AT)
        records = [each for each in records if _publishes(each.dagster_run)]
        if not records or records[0].dagster_run.status != dg.DagsterRunStatus.FAILURE:
            return None
        newest, run = records[0], records[0].dagster_run
        # One that slipped past the queue ends at once, beside the one that is under way.
        is_mended = any(
            each.dagster_run.is_success and each.update_timestamp > newest.update_timestamp
            for each in records
        )
        if is_mended or DELIVERY_TAG in run.tags:
            return None
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
        reason = what_failed([event for event in events if event], settings)
        return Failure(run.run_id, newest.update_timestamp, reason)


def _publishes(run: dg.DagsterRun) -> bool:
    """Tell whether a run is to end in a publication, and not in one asset or a study."""
    if run.asset_selection:
        return SNAPSHOT in run.asset_selection
    return run.job_name in PUBLISHING


def _refuse_beside_another_run(instance: dg.DagsterInstance) -> None:
    if starting := instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        raise SalesError(
            f"Run {starting[0].run_id[:8]} is just being started in the Dagster UI; wait until it "
            "has finished, or terminate it there (`sales dev`)."
        )


@contextmanager
def _without_leftovers(settings: Settings) -> Iterator[None]:
    """Remove what a run that failed has half-written, which may be what fills the disk."""
    try:
        yield
    finally:
        leftovers.remove(settings)


@contextmanager
def _plain_about_records(settings: Settings) -> Iterator[None]:
    """Tell plainly why Dagster cannot keep the record of a run."""
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        told = faults.of_machine(str(error), settings) or faults.of_records(str(error), settings)
        reason = str(error).splitlines()[0]
        raise HomeError(
            told or f"{settings.dagster_home} cannot keep the run's record: {reason}."
        ) from error


def open_ui(settings: Settings, host: str, port: int, is_unprotected: bool = False) -> None:
    """Replace this process by the Dagster UI and daemon; the daemon runs the weekly schedule.

    Args:
        settings: The home.
        host: Address to bind.
        port: Port to bind.
        is_unprotected: Whether an address that others reach is meant: the UI asks for no key.

    Raises:
        SalesError: The home cannot be written, nothing can be bound to the address, or others
            would reach it unasked.
    """
    if host not in LOOPBACK and not is_unprotected:
        raise SalesError(
            "The UI asks for no key, and whoever reaches it can start runs and have files of this "
            f"machine read. To open it on {host} all the same, add --unprotected; safer is a "
            "tunnel (`ssh -L 3000:127.0.0.1:3000`)."
        )
    check_free(host, port)
    prepare_instance(settings)
    # A refresh under way holds the lock; then there is nothing to close.
    with suppress(SalesError), exclusive(settings), dg.DagsterInstance.get() as instance:
        close_killed_runs(instance)
    workspace = REPOSITORY / "workspace.yaml"
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    # Elsewhere than beside dagster.yaml, which Dagster would warn of.
    os.chdir(settings.home)
    command = [sys.executable, "-W", f"ignore:{SUPERSEDED}", "-m", "dagster", "dev"]
    command += ["--workspace", str(workspace)]
    os.execv(sys.executable, [*command, "--host", host, "--port", str(port)])  # noqa: S606


def what_failed(events: Iterable[dg.DagsterEvent], settings: Settings) -> str:
    """Return what stopped a run, by its events, in a sentence or two."""
    told = list(events)
    # A check that stops the run is a failed step too, whose message says less.
    if failed := failed_checks(told):
        return (
            f"The check of {failed} Nothing was published; the last results are untouched. "
            f"{settings.validation_path} shows what was found."
        )
    for event in told:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return str(data.user_failure_data.description)
            error = data.error.cause or data.error if data.error else None
            if error and error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
                return "Interrupted; the last results are untouched, and the same command goes on."
            reason = error.message.strip() if error else "no reason given"
            if fault := faults.of_machine(reason, settings):
                return fault
            return f"{event.step_key} failed: {reason} (`sales dev` shows the run's record)"
    for event in told:
        if event.is_run_failure:
            return _before_any_step(event)
    return "The run failed; `sales dev` shows its record."


def _before_any_step(event: dg.DagsterEvent) -> str:
    """Return why a run failed of which no step did: what it needs was refused, or it was killed."""
    error = event.job_failure_data.error if event.event_specific_data else None
    if error is None:
        return event.message or "The run failed; `sales dev` shows its record."
    while error.cause:
        error = error.cause
    # The name of its class comes first, as in a traceback.
    return error.message.strip().split(f"{error.cls_name}: ", 1)[-1]


def failed_checks(events: Iterable[dg.DagsterEvent]) -> str:
    """Return the assets whose checks stopped a run, each with what was found."""
    checks = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return " The check of ".join(
        f"{check.asset_key.to_user_string()} stopped the refresh: {check.description}"
        for check in checks
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    )


@contextmanager
def _progress() -> Iterator[None]:
    """Show the stages' log lines with elapsed time, and a running clock on a terminal."""
    console = Console(stderr=True, highlight=False)
    handler = _Lines(console)
    logger = logging.getLogger("sales_assets")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        if console.is_terminal:
            with Progress(
                SpinnerColumn(), TimeElapsedColumn(), console=console, transient=True
            ) as clock:
                clock.add_task("", total=None)
                yield
        else:
            yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self.console = console
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        elapsed = time.monotonic() - self.started
        self.console.print(f"{elapsed:6.0f} s  {record.getMessage()}", soft_wrap=True, markup=False)
