"""The tables of the warehouse in words, from the assets' own descriptions."""

from sales_assets.definitions import defs


def as_markdown() -> str:
    """Return every asset with what one row of it means (`docs/tables.md`)."""
    specs = sorted(defs.resolve_all_asset_specs(), key=lambda spec: list(spec.key.path))
    rows = [
        f"| `{'.'.join(spec.key.path)}` | {' '.join((spec.description or '').split())} |"
        for spec in specs
    ]
    return "\n".join(
        [
            "# Tables",
            "",
            "Asset keys are the same with a slash. Written by",
            "`python -m sales_assets.catalogue > docs/tables.md`.",
            "",
            "| table | what it is |",
            "| --- | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    print(as_markdown(), end="")
