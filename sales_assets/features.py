"""Feature tables: the rows that models learn from, and those that they forecast."""

import logging

import dagster as dg

from sales_assets.forecasting.features import build_future, build_training
from sales_assets.metadata import describe
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.warehouse import headline

log = logging.getLogger("sales_assets.features")
INPUTS = [["cleaned", "sales"], ["cleaned", "stores"], ["cleaned", "plan"]]
SOURCES = ("cleaned.sales", "cleaned.stores")


@dg.asset(
    key=["features", "training"],
    deps=INPUTS,
    description=headline("features/targets") + " Columns: `sql/features/rows.sql`.",
    group_name="features",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def training(home: Home) -> dg.MaterializeResult:
    """Build the features of many past cutoffs, each as it was known then."""
    with home.warehouse() as con:
        rows = build_training(con, home.settings)
        log.info("features.training: %s rows", f"{rows:,}")
        return dg.MaterializeResult(metadata=describe(con, "features.training", SOURCES))


@dg.asset(
    key=["features", "future"],
    deps=INPUTS,
    description=headline("features/coming") + " Columns: `sql/features/rows.sql`.",
    group_name="features",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def future(home: Home) -> dg.MaterializeResult:
    """Build the features of the coming days."""
    with home.warehouse() as con:
        rows = build_future(con, home.settings)
        log.info("features.future: %s rows", f"{rows:,}")
        return dg.MaterializeResult(
            metadata=describe(con, "features.future", (*SOURCES, "cleaned.plan"))
        )


ASSETS = [training, future]
