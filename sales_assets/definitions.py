"""The code location: every stage's assets, checks, jobs and schedules in one graph."""

import dagster as dg

from sales_assets import (
    champions,
    checks,
    cleaned,
    features,
    forecasts,
    insights,
    intervals,
    models,
    monitoring,
    quality,
    raw,
    releases,
    schedules,
    studies,
)
from sales_assets.resources import Home

_stages = [
    *raw.ASSETS,
    *cleaned.ASSETS,
    *insights.ASSETS,
    *monitoring.ASSETS,
    *features.ASSETS,
    *models.ASSETS,
    *champions.ASSETS,
    *intervals.ASSETS,
    *forecasts.ASSETS,
    *quality.ASSETS,
]

defs = dg.Definitions(
    assets=[
        *_stages,
        *studies.SPECS,
        forecasts.publication_asset(
            made=[spec for asset in _stages for spec in asset.specs], if_there=studies.SPECS
        ),
        *insights.REPORTS,
        *releases.ASSETS,
    ],
    asset_checks=checks.CHECKS,
    jobs=[*schedules.JOBS, studies.studies],
    schedules=schedules.SCHEDULES,
    sensors=schedules.SENSORS,
    resources={"home": Home()},
    # Each step of the multiprocess executor imports everything again: three times as slow here.
    executor=dg.in_process_executor,
)
