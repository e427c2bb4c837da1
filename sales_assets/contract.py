"""The contract of the files, in words: what they hold, and what becomes of what breaks it.

Columns and allowed values are those that the loader judges by; whether a value may be blank, and
every sentence about a refusal, is what the loader says when it is given such a file.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from sales_assets.contract_cases import (
    REFUSED_FILES,
    Case,
    cases,
    delivery,
    header,
)
from sales_assets.errors import SourceError
from sales_assets.settings import Settings
from sales_assets.sources import kaggle
from sales_assets.sources.inbox import UNFINISHED
from sales_assets.sources.layout import EARLIEST_DAY, LAYOUTS, MAX_GAP_DAYS, Column, Layout
from sales_assets.warehouse import in_memory


def as_markdown() -> str:
    """Return the contract (`docs/data.md`), from the loader's own definitions and answers."""
    settings = Settings.model_construct()
    share = Settings.model_fields["max_refused_share"].default
    lines = [
        "# The files of a delivery",
        "",
        "Columns, allowed values and every reason below are the loader's own; written by",
        "`python -m sales_assets.contract > docs/data.md`.",
        "",
        "A delivery is a directory or a .zip with `store.csv`, `train.csv` and perhaps `test.csv`,",
        "the layout of Kaggle's Rossmann data. Files are CSV in UTF-8 with a header, commas and",
        "double quotes; the columns' order and their capitals do not matter, and columns that are",
        "not named here are ignored. A later delivery adds days or corrects them; what it leaves",
        "out stays.",
        "",
        "A file is loaded once: one of the same content is left alone when it comes again, also if",
        "others have changed its rows since then. To go back to it all the same, add an empty line",
        "at its end. Where store.csv is new, or days that were in the future have come, files are",
        "judged once more: rows that have become usable are added, and what is there stays.",
        "",
        "`sales doctor --source DIRECTORY_OR_ZIP` tells what is wrong with a delivery without",
        "loading it.",
    ]
    for layout in LAYOUTS:
        lines += ["", *_file(layout, settings)]
    lines += ["", *_refused_files(settings, share), "", *_arrival()]
    return "\n".join([*lines, ""])


def _arrival() -> list[str]:
    return [
        "## How a delivery arrives",
        "",
        "`sales refresh --source DIRECTORY_OR_ZIP` loads one from anywhere. While the Dagster",
        "daemon runs (`sales dev`), one may also be put into the home's `incoming`: a .zip, a",
        "directory, or the files side by side, which wait until `store.csv` and `train.csv` are",
        "both there. It is taken once it has not changed for half a minute, in the order of the",
        "names, one refresh after another. A copy under way is best called otherwise: what is",
        "hidden is left alone, and what ends in",
        f"{', '.join(f'`{ending}`' for ending in UNFINISHED)}.",
        "",
        "Afterwards it lies in the home's `archive`, the time of its arrival before its name.",
        "One that cannot be used goes to `rejected`, and beside it a `.txt` says why, by file",
        "and line; mend it and put it into `incoming` again. A refresh that stops for another",
        "reason, such as a full disk, is tried three times before that. Nobody empties the two",
        "directories but you.",
    ]


def _file(layout: Layout, settings: Settings) -> list[str]:
    judged = list(_judged(layout, settings))
    blanks = {case.column: reason for case, reason in judged if case.value == ""}
    return [
        f"## {layout.file}",
        "",
        f"{layout.says} {'May be left out.' if layout.is_optional else 'Required.'}",
        "",
        "| column | in the header | may be blank | values | what it says |",
        "| --- | --- | --- | --- | --- |",
        *(_column(column, layout, blanks[column.name] is None) for column in layout.columns),
        "",
        "A row that breaks this is refused: it goes to `quality.quarantine` with file, line, its",
        "text and a reason for each column at fault, and the other rows are loaded.",
        "",
        "| for example | reason |",
        "| --- | --- |",
        *(
            f"| {_cell(case.says)} | {_cell(reason)} |"
            for case, reason in judged
            if reason is not None
        ),
    ]


def _column(column: Column, layout: Layout, is_blank_allowed: bool) -> str:
    required = "required" if column.name in layout.required else "optional"
    blank = "yes" if is_blank_allowed else "no"
    return (
        f"| `{column.name}` | {required} | {blank} | {_values(column)} | {_cell(column.meaning)} |"
    )


def _values(column: Column) -> str:
    allowed = column.allowed
    if isinstance(allowed, range):
        return f"{column.kind}, {allowed[0]} to {allowed[-1]}"
    if isinstance(allowed, dict):
        return ", ".join(
            f"`{code}`" if code == name else f"`{code}` ({name})" for code, name in allowed.items()
        )
    if allowed is not None:
        return f"{column.kind}: {', '.join(f'`{value}`' for value in allowed)}"
    if column.kind == "date":
        return f"date, from {EARLIEST_DAY}"
    if column.kind in ("number", "whole number") and not column.is_negative:
        return f"{column.kind}, 0 or more"
    return "anything" if column.kind == "code" else column.kind


def _judged(layout: Layout, settings: Settings) -> Iterator[tuple[Case, str | None]]:
    """Have the loader judge every case, each a line of one file; none of its reason: accepted."""
    chosen = cases(layout)
    text = "\n".join([header(layout), *(case.line for case in chosen)]) + "\n"
    with tempfile.TemporaryDirectory() as name, in_memory(settings) as con:
        source = _written(Path(name) / "delivery", {**delivery(), layout.file: text})
        _load(con, source, Path(name), max_refused_share=1)
        reasons = dict(
            con.execute(
                "select line, reason from quality.quarantine where file = $file",
                {"file": layout.file},
            ).fetchall()
        )
    for line, case in enumerate(chosen, start=2):
        yield case, reasons.get(line)


def _refused_files(settings: Settings, share: float) -> list[str]:
    return [
        "## A delivery is refused",
        "",
        "Then nothing of it is loaded, the refresh stops with one sentence, and the last results",
        f"stay. Up to {100 * share:g} % of a file's rows may be refused",
        "(`SALES_MAX_REFUSED_SHARE`). Days more than",
        f"{MAX_GAP_DAYS} days from all others are taken for typing errors.",
        "",
        "Sales of days a week or more after the last one that a fifth of the usual stores tell of",
        "are loaded, and wait: a typing error, or early. Until more stores have come so far, or a",
        "later delivery brings those days anew, the refresh warns of them, and forecasts begin",
        "where the chain ends.",
        "",
        "| for example | what is said |",
        "| --- | --- |",
        *(
            f"| {_cell(says)} | {_cell(_refusal(files, settings, share))} |"
            for says, files in REFUSED_FILES.items()
        ),
    ]


def _refusal(files: dict[str, str | None], settings: Settings, share: float) -> str:
    with tempfile.TemporaryDirectory() as name, in_memory(settings) as con:
        chosen = {file: text for file, text in (delivery() | files).items() if text is not None}
        source = _written(Path(name) / "delivery", chosen)
        try:
            _load(con, source, Path(name), max_refused_share=share)
        except SourceError as error:
            return str(error).replace(str(source), "DIRECTORY")
    raise AssertionError(f"The loader takes what should be refused: {files}")


def _load(
    con: duckdb.DuckDBPyConnection, source: Path, directory: Path, *, max_refused_share: float
) -> None:
    kaggle.deliver(con, source, max_refused_share=max_refused_share, scratch=directory / "scratch")


def _written(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(as_markdown(), end="")
