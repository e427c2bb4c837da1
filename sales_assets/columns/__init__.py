"""What columns mean: shown by the Dagster UI, the snapshot's comments and docs/tables.md.

A name that means the same wherever it stands has one line. Where a table means something else by
it, the table's name comes first.
"""

from sales_assets.columns.features import FEATURES
from sales_assets.columns.general import GENERAL
from sales_assets.columns.insights import INSIGHTS

__all__ = ["COLUMNS", "FEATURES", "GENERAL", "INSIGHTS", "meaning"]

COLUMNS = {**GENERAL, **FEATURES, **INSIGHTS}


def meaning(table: str, column: str) -> str | None:
    """Return what a column of a table means, or None if nobody has said so."""
    return COLUMNS.get(f"{table}.{column}", COLUMNS.get(column))
