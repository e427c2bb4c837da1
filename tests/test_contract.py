"""The contract of the files says what the loader does, and leaves out none of its rules."""

import re
from pathlib import Path

import pytest

from sales_assets import cleaned, contract, warehouse
from sales_assets.contract_cases import FIRST_DAY, delivery
from sales_assets.settings import REPOSITORY, Settings
from sales_assets.sources import kaggle
from sales_assets.sources.layout import ASSORTMENTS, LAYOUTS, STATE_HOLIDAYS, Column, Layout
from tests.sources.conftest import write

DATA = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
RULES = sorted((REPOSITORY / "sql" / "raw").glob("*ed_days.sql")) + sorted(
    (REPOSITORY / "sql" / "raw").glob("*ed_stores.sql")
)


def test_the_contract_is_current() -> None:
    assert contract.as_markdown() == DATA


def reasons() -> list[str]:
    """Return the reasons in the loader's SQL, their values left open."""
    literals = [
        literal
        for path in RULES
        for literal in re.findall(r"'((?:[^'\n]|'')+)'", path.read_text(encoding="utf-8"))
    ]
    starts = (*(name for layout in LAYOUTS for name in layout.names), "Date")
    return [text for text in literals if text.split(" ")[0] in starts and " " in text]


@pytest.mark.parametrize("reason", sorted(set(reasons())))
def test_every_reason_of_the_loader_is_shown(reason: str) -> None:
    pattern = re.escape(reason.replace("''", "'")).replace(r"\{\}", ".+")
    assert re.search(rf"\| {pattern}", DATA)


def test_the_loader_has_as_many_reasons_as_were_looked_for() -> None:
    assert len(set(reasons())) >= 30


def allowed(column: Column) -> list[str]:
    """Return values at the edges of what a column may hold."""
    if isinstance(column.allowed, range):
        return [str(column.allowed[0]), str(column.allowed[-1])]
    if column.allowed is not None:
        return [str(value) for value in column.allowed]
    return {
        "0 or 1": ["0", "1"],
        "number": ["0", "0.5"],
        "whole number": ["0", "1", *(["-1"] if column.is_negative else [])],
    }.get(column.kind, [])


@pytest.mark.parametrize(
    ("layout", "column", "value"),
    [
        pytest.param(layout, column, value, id=f"{layout.file} {column.name} {value}")
        for layout in LAYOUTS
        for column in layout.columns
        for value in allowed(column)
        if not (column.name == "Store" and layout.kind != "stores")
    ],
)
def test_what_the_contract_allows_is_loaded(
    tmp_path: Path, layout: Layout, column: Column, value: str
) -> None:
    with warehouse.in_memory(Settings()) as con:
        files = delivery()
        lines = files[layout.file].splitlines()
        names, row = lines[0].split(","), lines[1].split(",", len(layout.columns) - 1)
        row[names.index(column.name)] = value
        files[layout.file] = "\n".join([lines[0], ",".join(row)]) + "\n"
        if layout.kind == "stores" and column.name == "Store":
            files[layout.file] += lines[1] + "\n" if value != "1" else ""
        write(tmp_path / "source", files)
        loads = kaggle.deliver(
            con, tmp_path / "source", max_refused_share=0, scratch=tmp_path / "scratch"
        )
    assert sum(load.refused for load in loads) == 0


def test_codes_are_called_what_the_contract_says_once_they_are_cleaned(tmp_path: Path) -> None:
    stores = "Store,StoreType,Assortment\n" + "".join(
        f"{number},a,{code}\n" for number, code in enumerate(ASSORTMENTS, start=1)
    )
    header, row, *_ = delivery()["train.csv"].splitlines()
    days = [
        row.replace(str(FIRST_DAY), str(FIRST_DAY.replace(day=5 + number))).replace(
            ",0,0", f",{code},0"
        )
        for number, code in enumerate(STATE_HOLIDAYS)
    ]
    write(tmp_path / "source", {"store.csv": stores, "train.csv": "\n".join([header, *days])})
    with warehouse.in_memory(Settings()) as con:
        kaggle.deliver(con, tmp_path / "source", max_refused_share=0, scratch=tmp_path / "scratch")
        cleaned.clean_stores(con)
        cleaned.clean_sales(con)
        named = con.execute("select assortment from cleaned.stores order by store_id").fetchall()
        holidays = con.execute(
            "select state_holiday from cleaned.sales where store_id = 1 order by date"
        ).fetchall()
    assert [name for (name,) in named] == list(ASSORTMENTS.values())
    assert [name for (name,) in holidays] == list(STATE_HOLIDAYS.values())
