"""Deliveries as they came: typed, with file, line and load; refused rows with their reason."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from pydantic import Field

from sales_assets.errors import SourceError
from sales_assets.metadata import describe, markdown_table
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.sources import kaggle
from sales_assets.warehouse import table_exists

TABLES = {
    "raw.loads": "One row a delivered file that brought something new: its hash and row counts.",
    "raw.stores": "One row a store, as delivered in `store.csv`, with file, line and load.",
    "raw.sales": (
        "One row a store and day, as delivered in `train.csv`, with file, line and load; "
        "a later delivery of the same day replaces it."
    ),
    "raw.plan": "One row a store and coming day, as delivered in `test.csv`.",
    "quality.quarantine": (
        "One row a delivered row that could not be used: file, line, reason and text."
    ),
}


class Delivery(dg.Config):
    """What one run loads, where that is not what the settings name."""

    source: str | None = Field(
        None, description="Directory or .zip with Kaggle's files, instead of SALES_SOURCE."
    )


@dg.multi_asset(
    name="delivery",
    specs=[
        dg.AssetSpec(
            table.split("."),
            description=description,
            group_name="raw",
            kinds={"duckdb"},
            owners=OWNERS,
        )
        for table, description in TABLES.items()
    ],
    pool=WRITER_POOL,
)
def delivery(config: Delivery, home: Home) -> Iterator[dg.MaterializeResult]:
    """Load the source's files; without a source, go on with what was delivered before."""
    settings = home.settings
    source = Path(config.source) if config.source else settings.source
    with home.warehouse() as con:
        loads: list[kaggle.Load] = []
        if source is not None:
            loads = kaggle.deliver(
                con,
                source,
                max_refused_share=settings.max_refused_share,
                scratch=settings.scratch,
            )
        elif not table_exists(con, "raw.sales"):
            raise SourceError(
                f"No sales were ever delivered to {settings.home}; name a directory or .zip with "
                "Kaggle's files by --source or SALES_SOURCE."
            )
        files = markdown_table(
            ["file", "rows", "refused", "is_new"], [vars(load) for load in loads]
        )
        for table in TABLES:
            yield dg.MaterializeResult(
                asset_key=table.split("."), metadata={**describe(con, table), "delivery": files}
            )


ASSETS = [delivery]
