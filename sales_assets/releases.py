"""The last stage: what was published, handed to the service that answers in real time."""

import logging

import dagster as dg

from sales_assets.forecasting.release import write_release
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
        release = write_release(con, settings.serving, store, chosen.version)
    log.info("released %s with %s", release.version, release.data)
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


ASSETS = [ensemble]
