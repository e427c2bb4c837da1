"""The last stages: what was published is handed to the service, and what is old is removed."""

import logging

import dagster as dg

from sales_assets import quality
from sales_assets.forecasting.release import write_release
from sales_assets.forecasting.retention import clean_up, released
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.service import point_at

ANSWERS = "service_answers"

log = logging.getLogger("sales_assets.releases")


@dg.asset(
    key=["serving", "ensemble"],
    deps=[["published", "snapshot"]],
    group_name="serving",
    kinds={"python", "parquet"},
    owners=OWNERS,
    pool=WRITER_POOL,
    check_specs=[
        dg.AssetCheckSpec(
            ANSWERS,
            asset=["serving", "ensemble"],
            description="A running service answers a real request with the new release.",
        )
    ],
)
def ensemble(home: Home) -> dg.MaterializeResult:
    """The release in `serving/`: the ensemble in use, and the data that its features need.

    A service answers with the release that is there; it is replaced atomically. One that is
    running is told, and asked for a forecast.
    """
    settings, store = home.settings, home.models
    with told_plainly():
        chosen = store.chosen()
        assert chosen is not None, "models/choice comes first"
    with home.warehouse() as con:
        quality.refuse_what_was_stopped(con, chosen)
        release = write_release(con, settings.serving, store, chosen.version, settings.served)
    log.info("released %s with %s", release.version, release.data)
    store.finish()
    tried = point_at(release, settings)
    log.info("%s", tried.says)
    return dg.MaterializeResult(
        metadata={
            "version": release.version,
            "cutoff": str(release.cutoff),
            "horizon": release.horizon,
            "path": dg.MetadataValue.path(str((settings.serving / release.data).absolute())),
            "service": tried.says,
            **({"latency_ms": tried.latency_ms} if tried.latency_ms is not None else {}),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=ANSWERS,
                passed=not tried.is_running or tried.is_of(release),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"service": tried.says, "url": settings.service_url},
            )
        ],
    )


@dg.asset(
    key=["models", "retention"],
    deps=[["serving", "ensemble"]],
    group_name="serving",
    kinds={"python"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def retention(home: Home) -> dg.MaterializeResult:
    """What is kept of the models: the newest versions, every champion, and what is served.

    The others are removed once the publication is complete, with what killed runs left behind.
    """
    settings = home.settings
    with told_plainly():
        served = released([settings.serving, settings.served])
        removed = clean_up(home.models, settings.kept_versions, served)
    if removed:
        log.info("%d versions that are not kept were removed", len(removed))
    return dg.MaterializeResult(metadata={"removed": removed})


ASSETS = [ensemble, retention]
