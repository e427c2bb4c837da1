"""When things run: the weekly refresh, by the clock and as files come in, and the publication."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb

from sales_assets.doctor import examine_delivery
from sales_assets.errors import HomeError, SalesError, SourceError
from sales_assets.lock import exclusive
from sales_assets.resources import Home
from sales_assets.runs import (
    DELIVERY_TAG,
    MOST_LOCKING,
    close_killed_runs,
    failed_checks,
    what_failed,
)
from sales_assets.settings import Settings
from sales_assets.sources.inbox import Inbox, in_words

# Runs that stop for a reason of their own, such as a full disk, before a delivery is given up.
MOST_ATTEMPTS = 3
# What a delivery was like when its run was asked for.
STAMPS_TAG = "sales/stamps"

weekly_refresh = dg.define_asset_job(
    "weekly_refresh",
    selection=dg.AssetSelection.all(),
    description="Everything: load the delivery, clean, learn, forecast, check, publish.",
)

publication = dg.define_asset_job(
    "publication",
    selection=dg.AssetSelection.groups("forecasts", "quality", "published", "serving"),
    description="Forecast with the chosen champion and publish, without learning anew.",
)


@dg.schedule(
    job=weekly_refresh,
    cron_schedule="0 6 * * 1",
    execution_timezone="Europe/Berlin",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def monday_morning(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Refresh on Mondays at six; a second tick in the same week starts nothing."""
    year, week, _ = context.scheduled_execution_time.isocalendar()
    return dg.RunRequest(run_key=f"{year}-W{week:02d}")


@dg.sensor(
    job=weekly_refresh,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def incoming(
    context: dg.SensorEvaluationContext, home: Home
) -> dg.SensorResult | dg.RunRequest | dg.SkipReason:
    """Refresh from each delivery that appears in `<home>/incoming`, one after another.

    One is taken when it has not changed for a tick. After its refresh it goes to `archive`, or,
    if it cannot be used, to `rejected` with a report.
    """
    settings = home.settings
    if not settings.home.is_dir():
        return dg.SkipReason(f"{settings.home} does not exist yet.")
    inbox = Inbox(settings)
    inbox.incoming.mkdir(exist_ok=True)
    for delivery in inbox.taken():
        runs = context.instance.get_runs(dg.RunsFilter(tags={DELIVERY_TAG: delivery.name}))
        if runs and not runs[0].is_finished:
            return dg.SkipReason(f"Run {runs[0].run_id[:8]} refreshes from {delivery.name}.")
        is_loaded = bool(runs) and runs[0].is_success
        if is_loaded and runs[0].tags.get(STAMPS_TAG) == inbox.stamps(delivery):
            context.log.info("%s was loaded", inbox.keep(delivery))
            continue
        is_tried = bool(runs) and not is_loaded
        if is_tried and (report := _report(context.instance, runs, delivery, settings)):
            context.log.warning("%s cannot be used", inbox.reject(delivery, report))
        else:
            return _refresh_from(inbox, delivery, attempt=len(runs) + 1)

    before, now = json.loads(context.cursor or "{}"), inbox.arrived()
    settled = [name for name, stamps in now.items() if before.get(name) == stamps]
    waiting = {name: in_words(name) for name in now}
    for name in now:
        if lacking := inbox.lacking(name):
            waiting[name] += f" waits for {' and '.join(lacking)}"
        elif name in settled:
            try:
                return _refresh_from(inbox, inbox.take(name), attempt=1)
            except OSError as error:
                # What cannot be moved keeps nothing else waiting.
                waiting[name] += f" cannot be taken: {error.strerror}"
    names = "; ".join(waiting.values())
    told = f"Looked at, once more in a moment: {names}." if waiting else "Empty."
    return dg.SensorResult(skip_reason=told, cursor=json.dumps(now))


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def killed_runs(context: dg.SensorEvaluationContext, home: Home) -> dg.SkipReason:
    """Close the runs whose process was killed, so that the next one does not queue behind them."""
    settings = home.settings
    if not settings.home.is_dir():
        return dg.SkipReason(f"{settings.home} does not exist yet.")
    try:
        with exclusive(settings):
            closed = close_killed_runs(context.instance, MOST_LOCKING)
    except HomeError as error:
        return dg.SkipReason(str(error))
    return dg.SkipReason(
        f"Closed: {', '.join(run_id[:8] for run_id in closed)}." if closed else "No run was killed."
    )


def _refresh_from(inbox: Inbox, delivery: Path, attempt: int) -> dg.RunRequest:
    """Ask for a run; what has grown when it is over is loaded once more."""
    return dg.RunRequest(
        run_key=f"{delivery.name}-{attempt}",
        run_config={"ops": {"delivery": {"config": {"source": str(delivery.absolute())}}}},
        tags={DELIVERY_TAG: delivery.name, STAMPS_TAG: inbox.stamps(delivery)},
    )


def _report(
    instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun], delivery: Path, settings: Settings
) -> str | None:
    """Return why a delivery is given up, or nothing where another run may succeed."""
    records = instance.all_logs(runs[0].run_id)
    events = [record.dagster_event for record in records if record.dagster_event]
    is_refused = SourceError.__name__ in _causes(events)
    is_canceled = runs[0].status == dg.DagsterRunStatus.CANCELED
    is_final = is_refused or is_canceled or failed_checks(events) or len(runs) >= MOST_ATTEMPTS
    if not is_final:
        return None
    told = "The run was canceled." if is_canceled else what_failed(events, settings)
    try:
        faults = [found.text for found in examine_delivery(settings, delivery) if not found.is_well]
    except (SalesError, duckdb.Error, OSError) as error:
        # Neither a full disk nor too little memory may keep the next delivery waiting.
        faults = [str(error)]
    report = "\n".join(
        [
            f"{delivery.name} was not used ({datetime.now(UTC):%Y-%m-%d %H:%M} UTC, run "
            f"{runs[0].run_id[:8]}, attempt {len(runs)}).",
            "",
            told,
            *(["", "What is wrong with it:", ""] if faults else []),
            *(f"- {fault}" for fault in faults),
            "",
            "Put it into `incoming` again once it is mended.",
            "",
        ]
    )
    # Where it lay meanwhile concerns nobody.
    return report.replace(str(delivery.absolute()), delivery.name)


def _causes(events: list[dg.DagsterEvent]) -> set[str | None]:
    """Return the names of the errors that steps failed by, and of what caused them."""
    errors = [event.step_failure_data.error for event in events if event.is_step_failure]
    chain = [*errors, *(error.cause for error in errors if error)]
    return {error.cls_name for error in chain if error}


JOBS = [weekly_refresh, publication]
SCHEDULES = [monday_morning]
SENSORS = [incoming, killed_runs]
