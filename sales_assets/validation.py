"""The report of what the checks found: one HTML file that needs nothing but a browser."""

from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from sales_assets import warehouse
from sales_assets.settings import REPOSITORY
from sales_assets.suites import SUITES

RUNS_TOLD = 12
LOADS_TOLD = 10
KINDS_TOLD = 40
EXAMPLES = 3
# A delivered row may be as long as a file; this much of one is enough to find it by.
ROW_CHARACTERS = 300

_STYLE = REPOSITORY / "sales_assets" / "validation.css"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Data validation</title>
<style>
{style}</style>
</head>
<body>
<h1>Data validation</h1>
{body}
</body>
</html>
"""

Row = dict[str, Any]

_ORDER = [suite.name for suite in SUITES]
_REMEDIES = {suite.name: suite.remedy for suite in SUITES}


def write_report(con: duckdb.DuckDBPyConnection, path: Path) -> Path:
    """Replace the report by how `quality.results` and `quality.quarantine` stand now.

    Args:
        con: The warehouse, with the tables of `quality.prepare`.
        path: The file, which is replaced in one go; its directory is created if missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    fresh.write_text(render(con), encoding="utf-8")
    return fresh.replace(path)


def render(con: duckdb.DuckDBPyConnection) -> str:
    """Return the report; the same tables give the same text."""
    suites = _rows(con.execute("from quality.summary"))
    results = _rows(warehouse.query(con, "quality/latest_results"))
    history = _rows(warehouse.query(con, "quality/history", runs=RUNS_TOLD))
    refusals = _rows(warehouse.query(con, "quality/refusals", load_id=None, examples=EXAMPLES))
    parts = [
        _verdict(suites),
        "<h2>Suites</h2>",
        *(_suite(suite, results) for suite in sorted(suites, key=_place)),
        "<h2>Refused rows</h2>",
        *_quarantine(refusals),
        "<h2>The newest runs</h2>",
        _history(history),
    ]
    return _PAGE.format(style=_STYLE.read_text(encoding="utf-8"), body="\n".join(parts))


def _rows(result: duckdb.DuckDBPyConnection) -> list[Row]:
    names = [name for name, *_ in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _verdict(suites: list[Row]) -> str:
    if not suites:
        return "<p>Nothing was checked yet.</p>"
    checked_at = max(suite["checked_at"] for suite in suites)
    failed = [suite["suite"] for suite in suites if suite["failed"]]
    warned = [suite["suite"] for suite in suites if suite["warnings"] and not suite["failed"]]
    if failed:
        says = _mark("failed", f"A check stopped the refresh: {', '.join(failed)}.")
    elif warned:
        says = _mark("warning", f"Nothing stops the refresh; warnings of {', '.join(warned)}.")
    else:
        says = _mark("met", "Every expectation is met.")
    return f'<p>{says}</p>\n<p class="quiet">Last checked {checked_at:%Y-%m-%d %H:%M} UTC.</p>'


def _place(suite: Row) -> tuple[bool, bool, int, str]:
    """Return where a suite is told: what failed first, then warnings, as data passes through."""
    name = suite["suite"]
    place = _ORDER.index(name) if name in _ORDER else len(_ORDER)
    return not suite["failed"], not suite["warnings"], place, name


def _suite(suite: Row, results: list[Row]) -> str:
    own = [_result(row) for row in results if row["suite"] == suite["suite"]]
    # What is not met comes first and is seen at once, the rest when asked for.
    missed, met = own[: len(own) - suite["met"]], own[len(own) - suite["met"] :]
    head = f"<h3>{escape(suite['suite'])}</h3>\n{_outcome(suite)}"
    checked = (
        f'<p class="quiet">{suite["checked_at"]:%Y-%m-%d %H:%M} UTC, '
        f"run {escape(suite['run'][:8])}</p>"
    )
    if not missed:
        return (
            f'<details class="card">\n<summary>{head}</summary>\n{checked}{_listed(met)}\n'
            "</details>"
        )
    hidden = f"<details><summary>{len(met)} met</summary>{_listed(met)}</details>" if met else ""
    remedy = _REMEDIES.get(suite["suite"]) if suite["failed"] else None
    what_to_do = f"<p>What to do: {escape(remedy)}</p>\n" if remedy else ""
    return (
        f'<section class="card">\n<div class="head">{head}</div>\n{checked}\n'
        f"{_listed(missed)}{what_to_do}{hidden}\n</section>"
    )


def _outcome(suite: Row) -> str:
    number = suite["expectations"]
    if suite["failed"]:
        return _mark("failed", f"{suite['failed']} of {number} expectations failed")
    if suite["warnings"]:
        return _mark("warning", f"{suite['warnings']} of {number} expectations warn")
    return _mark("met", f"{number} of {number} expectations met")


def _result(row: Row) -> str:
    text = escape(row["expectation"])
    if row["success"]:
        return text
    kind = "failed" if row["severity"] == "critical" else "warning"
    number = row["failing"]
    rows = f": {number:,} row{'s' if number > 1 else ''}" if number else ""
    seen = f"<br><code>{_cut(row['observed'])}</code>" if row["observed"] else ""
    return f"{_mark(kind, kind)} {text}{rows}{seen}"


def _quarantine(refusals: list[Row]) -> list[str]:
    if not refusals:
        return ["<p>No delivered row was refused.</p>"]
    loads = [list(rows) for _, rows in groupby(refusals, lambda row: row["load_id"])]
    newest = [_load(rows) for rows in loads[::-1][:LOADS_TOLD]]
    rest = len(loads) - len(newest)
    if rest:
        newest.append(f"<p>{rest} earlier loads with refused rows are in quality.quarantine.</p>")
    return newest


def _load(rows: list[Row]) -> str:
    kinds = [list(kind) for _, kind in groupby(rows, _by_kind())]
    told = [_kind(kind) for kind in kinds[:KINDS_TOLD]]
    if len(kinds) > KINDS_TOLD:
        told.append(f"{len(kinds) - KINDS_TOLD} more kinds of reasons")
    refused = sum(kind[0]["rows"] for kind in kinds)
    return (
        f'<section class="card">\n<h3>{escape(rows[0]["file"])}, load {rows[0]["load_id"]}</h3>\n'
        f"<p>{refused:,} refused</p>\n{_listed(told)}</section>"
    )


def _by_kind() -> Any:
    """Return a key that changes where the next kind of reason starts."""
    kinds = 0

    def key(row: Row) -> int:
        nonlocal kinds
        kinds += row["place"] == 1
        return kinds

    return key


def _kind(rows: list[Row]) -> str:
    examples = [
        f"line {row['line']:,}: {_cut(row['reason'])}<br><code>{_cut(row['row_text'])}</code>"
        for row in rows
    ]
    more = rows[0]["rows"] - len(rows)
    if more:
        examples.append(f"{more:,} more like these")
    return "<br>".join(examples)


def _history(history: list[Row]) -> str:
    runs = [list(rows) for _, rows in groupby(history, lambda row: row["run"])]
    lines = [
        f"<tr><td>{run[0]['run_at']:%Y-%m-%d %H:%M}</td><td>{_run(run)}</td></tr>"
        for run in reversed(runs)
    ]
    head = "<tr><th>run (UTC)</th><th>outcome</th></tr>"
    return f"<table><thead>{head}</thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table>"


def _run(suites: list[Row]) -> str:
    """Tell the suites that a run did not meet, or else how much it met."""
    missed = [suite for suite in suites if suite["failed"] or suite["warnings"]]
    if missed:
        return "<br>".join(f"{escape(suite['suite'])}: {_outcome(suite)}" for suite in missed)
    return _outcome(
        {"failed": 0, "warnings": 0, "expectations": sum(row["expectations"] for row in suites)}
    )


def _listed(items: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def _mark(kind: str, text: str) -> str:
    return f'<span class="{kind}">{escape(text)}</span>'


def _cut(text: str) -> str:
    return escape(text if len(text) <= ROW_CHARACTERS else text[:ROW_CHARACTERS] + "…")
