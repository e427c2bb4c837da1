"""Runs of Dagster jobs from the command line, on the home's own Dagster instance."""

import fcntl
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

from sales_assets.errors import SalesError
from sales_assets.settings import REPOSITORY, Settings

# Tells the runs of this module, which die with their process, from those of the UI.
PROCESS_TAG = "sales/process"
UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
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
    with _only_one(settings), _progress(), dg.DagsterInstance.get() as instance:
        _close_killed_runs(instance)
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


def _close_killed_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs of killed commands as failed, and free the pool slots that they still hold.

    The caller holds the home's lock, so that no other command can be running: an unfinished run
    that a command started has lost its process.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if PROCESS_TAG in run.tags:
            instance.report_run_failed(run, f"Process {run.tags[PROCESS_TAG]} was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _refuse_beside_another_run(instance: dg.DagsterInstance) -> None:
    running = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    if running:
        raise SalesError(
            f"Run {running[0].run_id[:8]}, started in the Dagster UI, is under way; wait until it "
            "has finished, or terminate it there (`sales dev`)."
        )


def open_ui(settings: Settings, host: str, port: int) -> None:
    """Replace this process by the Dagster UI and daemon; the daemon runs the weekly schedule."""
    prepare_instance(settings)
    # A refresh under way holds the lock; then there is nothing to close.
    with suppress(SalesError), _only_one(settings), dg.DagsterInstance.get() as instance:
        _close_killed_runs(instance)
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
            return f"{event.step_key} failed: {reason} (`sales dev` shows the run's record)"
    return "The run failed; `sales dev` shows its record."


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
def _only_one(settings: Settings) -> Iterator[None]:
    """Hold the home's lock; the kernel lets go of it when this process ends, however it ends."""
    path = settings.home / "refresh.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SalesError(
                f"Process {file.read().strip() or 'unknown'} is refreshing {settings.home}; "
                "wait until it has finished."
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


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
