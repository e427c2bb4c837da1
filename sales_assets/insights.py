"""Answers about customers' behaviour: each file in `sql/insights/` is a question and a table."""

import dagster as dg

from sales_assets.metadata import describe, preview
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.settings import REPOSITORY
from sales_assets.warehouse import create_table, headline

QUESTIONS = tuple(sorted(path.stem for path in (REPOSITORY / "sql" / "insights").glob("*.sql")))


def insight(name: str) -> dg.AssetsDefinition:
    """Return the asset that answers the question in `sql/insights/<name>.sql`."""

    @dg.asset(
        key=["insights", name],
        deps=[["cleaned", "sales"], ["cleaned", "stores"]],
        description=headline(f"insights/{name}"),
        group_name="insights",
        kinds={"duckdb", "sql"},
        owners=OWNERS,
        pool=WRITER_POOL,
    )
    def answer(home: Home) -> dg.MaterializeResult:
        table = f"insights.{name}"
        with home.warehouse() as con:
            create_table(con, table, f"insights/{name}")
            return dg.MaterializeResult(
                metadata={**describe(con, table), "table": preview(con, table)}
            )

    return answer


ASSETS = [insight(name) for name in QUESTIONS]
