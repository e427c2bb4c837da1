"""Answers about customers' behaviour: each file in `sql/insights/` is a question and a table.

Two more, which SQL cannot give, are computed by `forecasting/diagnostics.py`.
"""

from collections.abc import Callable

import dagster as dg
import pandas as pd
from matplotlib.figure import Figure

from sales_assets import charts
from sales_assets.forecasting import diagnostics
from sales_assets.metadata import chart, describe, preview
from sales_assets.resources import OWNERS, WRITER_POOL, Home
from sales_assets.settings import REPOSITORY
from sales_assets.warehouse import create_table, headline, replace_table

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


def diagnostic(
    name: str,
    compute: Callable[[pd.DataFrame], pd.DataFrame],
    draw: Callable[[pd.DataFrame], Figure],
    says: str,
) -> dg.AssetsDefinition:
    """Return the asset that computes a table from selling days and draws it."""

    @dg.asset(
        key=["insights", name],
        deps=[["cleaned", "sales"], ["cleaned", "stores"]],
        description=diagnostics.MEANINGS[name],
        group_name="insights",
        kinds={"duckdb", "python"},
        owners=OWNERS,
        pool=WRITER_POOL,
    )
    def answer(home: Home) -> dg.MaterializeResult:
        table = f"insights.{name}"
        with home.warehouse() as con:
            rows = compute(diagnostics.read_selling_days(con))
            replace_table(con, table, rows)
            return dg.MaterializeResult(
                metadata={
                    **describe(con, table),
                    "table": preview(con, table),
                    "chart": chart(draw(rows), says),
                }
            )

    return answer


ASSETS = [
    *(insight(name) for name in QUESTIONS),
    diagnostic(
        "stationarity",
        diagnostics.stationarity,
        charts.verdicts,
        "Share of stores with each verdict, by transformation",
    ),
    diagnostic(
        "autocorrelation",
        diagnostics.autocorrelation,
        charts.autocorrelations,
        "ACF and PACF by lag, of the chain and each store type",
    ),
]
