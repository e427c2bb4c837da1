"""What is watched from week to week: do the newest weeks still look like those learnt from?"""

import dagster as dg

from sales_assets.metadata import describe, markdown_table
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.warehouse import create_table, headline

# A block further from the others than this is told; with fewer blocks nothing is.
MOST_DEVIATIONS = 3.0
FEWEST_BLOCKS = 6


@dg.asset(
    key=["monitoring", "drift"],
    deps=[["cleaned", "sales"]],
    description=headline("monitoring/drift"),
    group_name="monitoring",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
    check_specs=[
        dg.AssetCheckSpec(
            "newest_weeks",
            asset=["monitoring", "drift"],
            description="The newest four weeks are like the months before them.",
        )
    ],
)
def drift(home: Home) -> dg.MaterializeResult:
    """Compare the newest four weeks with the blocks of four weeks before them."""
    with home.warehouse() as con:
        create_table(
            con,
            "monitoring.drift",
            "monitoring/drift",
            most_deviations=MOST_DEVIATIONS,
            fewest_blocks=FEWEST_BLOCKS,
        )
        rows = con.execute("from monitoring.drift").df()
        metadata = describe(con, "monitoring.drift")
    evidence = markdown_table(rows.columns.tolist(), rows.to_dict("records"))
    drifting = rows.loc[rows["is_drift"], "measure"].tolist()
    told = f"Unlike the months before: {', '.join(drifting)}" if drifting else None
    return dg.MaterializeResult(
        metadata={**metadata, "table": evidence},
        check_results=[
            dg.AssetCheckResult(
                check_name="newest_weeks",
                passed=not drifting,
                severity=dg.AssetCheckSeverity.WARN,
                description=told,
                metadata={"drifting": len(drifting), "evidence": evidence},
            )
        ],
    )


ASSETS = [drift]
