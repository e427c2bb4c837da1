"""The tables of the warehouse in words, from the assets' own descriptions."""

from collections.abc import Iterable, Mapping

import dagster as dg

from sales_assets.columns import FEATURES, GENERAL, INSIGHTS
from sales_assets.definitions import defs
from sales_assets.warehouse import SCHEMAS


def as_markdown() -> str:
    """Return every asset with what one row of it means (`docs/tables.md`)."""
    specs = sorted(defs.resolve_all_asset_specs(), key=lambda spec: list(spec.key.path))
    tables = [spec for spec in specs if _is_table(spec)]
    others = [spec for spec in specs if not _is_table(spec)]
    return "\n".join(
        [
            "# Tables",
            "",
            "Asset keys are the same with a slash. Written by",
            "`python -m sales_assets.catalogue > docs/tables.md`. What columns a table has is told",
            'by `sales query "describe models.scores"`.',
            "",
            "| table | what it is |",
            "| --- | --- |",
            *_rows(tables),
            "",
            "Those of the group `studies` are there once `sales study` has run:",
            f"{', '.join(f'`{_name(spec)}`' for spec in tables if spec.group_name == 'studies')};",
            "`models.tuning` only once it was asked for by name, `sales study tuning`.",
            "",
            "## Columns",
            "",
            "A name means the same wherever it stands, but where a table's name comes first. The",
            "snapshot has the same beside its columns ([querying.md](querying.md)).",
            "",
            *_columns(GENERAL),
            "",
            "### Of features",
            "",
            *_columns(FEATURES),
            "",
            "### Of insights",
            "",
            *_columns(INSIGHTS),
            "",
            "## Assets that are no tables",
            "",
            "Models, choices and files: `sales models show`, the home's `models/`, `published/`,",
            "`reports/` and `serving/` have them.",
            "",
            "| asset | what it is |",
            "| --- | --- |",
            *_rows(others),
            "",
        ]
    )


def _columns(told: Mapping[str, str]) -> list[str]:
    rows = [f"| `{name}` | {told[name]} |" for name in sorted(told)]
    return ["| column | what it is |", "| --- | --- |", *rows]


def _is_table(spec: dg.AssetSpec) -> bool:
    return spec.key.path[0] in SCHEMAS and "duckdb" in spec.kinds


def _rows(specs: Iterable[dg.AssetSpec]) -> list[str]:
    return [f"| `{_name(spec)}` | {' '.join((spec.description or '').split())} |" for spec in specs]


def _name(spec: dg.AssetSpec) -> str:
    return ".".join(spec.key.path)


if __name__ == "__main__":
    print(as_markdown(), end="")
