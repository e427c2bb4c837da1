"""What the Dagster UI shows of a table: rows, columns, lineage, dates, charts."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import dagster as dg
import duckdb
from matplotlib.figure import Figure

from sales_assets.columns import meaning
from sales_assets.forecasting.manifest import Manifest
from sales_assets.forecasting.model_card import find_card
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.warehouse import count


def describe(
    con: duckdb.DuckDBPyConnection, table: str, upstream: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return row count, columns with their meaning, date range and column lineage of a table.

    Lineage is by name: a column comes from the upstream columns that are called the same.
    """
    columns = con.execute(f"describe {table}").fetchall()
    names = [name for name, *_ in columns]
    metadata: dict[str, Any] = {
        "dagster/row_count": count(con, table),
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name, kind, description=meaning(table, name))
                for name, kind, *_ in columns
            ]
        ),
    }
    if "date" in names:
        ((first, last),) = con.execute(f"select min(date), max(date) from {table}").fetchall()
        metadata |= {"first_day": str(first), "last_day": str(last)}
    if upstream:
        metadata["dagster/column_lineage"] = _lineage(con, names, upstream)
    return metadata


def _lineage(
    con: duckdb.DuckDBPyConnection, names: list[str], upstream: tuple[str, ...]
) -> dg.TableColumnLineage:
    origins: dict[str, list[dg.TableColumnDep]] = {name: [] for name in names}
    for table in upstream:
        for name, *_ in con.execute(f"describe {table}").fetchall():
            if name in origins:
                key = dg.AssetKey(table.split("."))
                origins[name].append(dg.TableColumnDep(asset_key=key, column_name=name))
    return dg.TableColumnLineage({name: deps for name, deps in origins.items() if deps})


def card(store: ModelStore, manifest: Manifest) -> dict[str, dg.MetadataValue[Any]]:
    """Return a version's card as metadata; versions made before there were cards have none."""
    text = find_card(store, manifest.name, manifest.version)
    return {"card": dg.MetadataValue.md(text)} if text else {}


def preview(con: duckdb.DuckDBPyConnection, table: str, rows: int = 20) -> dg.MetadataValue[Any]:
    """Return the first rows as a Markdown table."""
    frame = con.execute(f"select * from {table} limit {rows}").df()
    return markdown_table(frame.columns.tolist(), frame.to_dict("records"))


def markdown_table(names: list[str], records: list[Mapping[Any, Any]]) -> dg.MetadataValue[Any]:
    """Return records as a Markdown table, numbers with four significant digits."""
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    lines += [" | ".join(_cell(record[name]) for name in names) for record in records]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


def _cell(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def chart(figure: Figure, says: str) -> dg.MetadataValue[Any]:
    """Return a figure as an image inside Markdown; `says` is read where it is not seen."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    image = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![{says}](data:image/png;base64,{image})")
