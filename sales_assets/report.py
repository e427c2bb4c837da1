"""The report of the insights: one HTML file that needs no network, for a screen or for paper."""

import json
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pandas as pd
import plotly

from sales_assets.questions import answers
from sales_assets.questions.interactive import as_plotly
from sales_assets.questions.question import Question
from sales_assets.questions.themes import THEMES

TEMPLATE = Path(__file__).parent / "report.html.jinja"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
SHOWN_ROWS = 8
# Columns whose numbers are names.
NUMBERED = ("store_id", "value")


def write(con: duckdb.DuckDBPyConnection, path: Path) -> Path:
    """Write the report of a snapshot's insights, all of it or nothing.

    Args:
        con: The snapshot, or a warehouse with the same tables.
        path: The file; its directory is made where it is missing.
    """
    text = render(con)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".html.tmp")
    fresh.write_text(text, encoding="utf-8")
    return fresh.replace(path)


def render(con: duckdb.DuckDBPyConnection) -> str:
    """Return the report as HTML."""
    ((first, last, stores),) = con.execute(
        "select min(date), max(date), count(distinct store_id) from cleaned.sales"
    ).fetchall()
    themes = {
        theme: [_section(con, question) for question in questions]
        for theme, questions in THEMES.items()
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        themes=themes,
        first=f"{first:%d %B %Y}",
        last=f"{last:%d %B %Y}",
        stores=f"{stores:,}",
        plotly=PLOTLY.read_text(encoding="utf-8"),
    )


def _section(con: duckdb.DuckDBPyConnection, question: Question) -> dict[str, Any]:
    """Return what the template tells of a question."""
    rows = answers.table_of(con, question)
    answer, is_answered = question.answered(rows)
    shown = rows[list(question.shows)] if question.shows and not rows.empty else rows
    picture = question.draw(rows) if is_answered else None
    return {
        "name": question.name,
        "asks": question.asks,
        "answer": _unbroken(answer),
        "is_answered": is_answered,
        "caveats": question.caveats,
        "meaning": question.meaning,
        "columns": [str(column).replace("_", " ") for column in shown.columns],
        "rows": [
            [_cell(value, column) for value, column in zip(row, shown.columns, strict=True)]
            for row in shown.head(SHOWN_ROWS).itertuples(index=False)
        ],
        "hidden_rows": max(0, len(rows) - SHOWN_ROWS),
        "sql": question.sql,
        "title": _unbroken(picture.title) if picture else None,
        "panels": [_script_safe(panel) for panel in as_plotly(picture)] if picture else [],
    }


def _unbroken(text: str) -> str:
    """Return a text whose numbers stay on one line with their sign of percent."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _script_safe(value: dict[str, Any]) -> str:
    """Return JSON that no text in it can end the script of."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _cell(value: object, column: str) -> str:
    """Return a value as a reader wants it: four digits, dates without hours."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.4g}"
    if isinstance(value, int):
        return str(value) if column in NUMBERED else f"{value:,}"
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return str(value)
