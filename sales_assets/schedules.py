"""The weekly refresh and its schedule, and the job that publishes after a change of champion."""

import dagster as dg

weekly_refresh = dg.define_asset_job(
    "weekly_refresh",
    selection=dg.AssetSelection.all(),
    description="Everything: load the delivery, clean, learn, forecast, check, publish.",
)

publication = dg.define_asset_job(
    "publication",
    selection=dg.AssetSelection.groups("forecasts", "quality", "published", "serving")
    | dg.AssetSelection.assets(["models", "versions"]),
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


JOBS = [weekly_refresh, publication]
SCHEDULES = [monday_morning]
