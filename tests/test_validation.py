"""The validation report: it opens without a network, on any screen, whatever was delivered."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sales_assets import validation, warehouse
from sales_assets.quality import Outcome, prepare, record
from sales_assets.settings import Settings
from sales_assets.suites import SUITES

CHROMIUM = shutil.which("chromium")
HOSTILE = "<img src=x onerror=alert(1)>&\"'</code><script>alert(2)</script>" + "x" * 2_000
MONDAY, TUESDAY = datetime(2026, 1, 5, 6), datetime(2026, 1, 6, 6)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.in_memory(Settings()) as con:
        prepare(con)
        yield con


def quarantined(con: duckdb.DuckDBPyConnection, lines: list[tuple[int, str, str]]) -> None:
    con.executemany("insert into quality.quarantine values (4, 'train.csv', ?, ?, ?)", lines)


@pytest.fixture
def troubled(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A warehouse in which something is wrong of every kind, and hostile throughout."""
    record(con, "first run", "sales", [Outcome("no hole", True, "", 0, [])], at=MONDAY)
    missed = Outcome(f"no hole {HOSTILE}", False, "", 1_234, [HOSTILE])
    record(con, "second run", "sales", [missed, Outcome("fine", True, "", 0, [])], at=TUESDAY)
    warned = Outcome("adds up", False, "0.5", 2, [], is_critical=False)
    record(con, "second run", f"parts {HOSTILE}", [warned], at=TUESDAY)
    quarantined(
        con,
        [(line, f"Sales is negative: -{line}", f"1,{HOSTILE}") for line in range(2, 12)]
        + [(50, f"Open '{HOSTILE}' is neither 0 nor 1", HOSTILE)],
    )
    return con


def test_what_failed_is_told_with_its_evidence(troubled: duckdb.DuckDBPyConnection) -> None:
    report = validation.render(troubled)
    assert "A check stopped the refresh: sales." in report
    assert "1 of 2 expectations failed" in report
    assert "1,234 rows" in report
    assert "1 of 1 expectations warn" in report
    # The run before.
    assert "<td>2026-01-05 06:00</td>" in report
    assert "1 of 1 expectations met" in report


def test_refused_rows_are_told_by_kind_with_examples_and_a_count(
    troubled: duckdb.DuckDBPyConnection,
) -> None:
    report = validation.render(troubled)
    assert "11 refused" in report
    assert [f"line {line}: Sales is negative" in report for line in (2, 3, 4, 5)] == [
        True, True, True, False,
    ]  # fmt: skip
    assert "7 more like these" in report
    assert "line 50: Open" in report


def test_what_failed_comes_first_with_what_to_do_then_what_warns(
    con: duckdb.DuckDBPyConnection,
) -> None:
    met, missed = Outcome("fine", True, "", 0, []), Outcome("no hole", False, "", 1, [])
    record(con, "run", "raw_sales", [met], at=MONDAY)
    record(con, "run", "raw_stores", [replace(missed, is_critical=False)], at=MONDAY)
    record(con, "run", "cleaned_sales", [missed], at=MONDAY)
    report = validation.render(con)
    assert re.findall("<h3>(.*)</h3>", report) == ["cleaned_sales", "raw_stores", "raw_sales"]
    assert report.count("What to do: ") == 1
    assert "What to do: Files cannot cause this" in report


def test_no_value_becomes_markup(troubled: duckdb.DuckDBPyConnection) -> None:
    report = validation.render(troubled)
    assert "<img" not in report
    assert "<script" not in report
    assert "&lt;script&gt;" in report


def test_where_all_is_well_it_says_so(con: duckdb.DuckDBPyConnection) -> None:
    assert "Nothing was checked yet." in validation.render(con)
    record(con, "run", "sales", [Outcome("fine", True, "", 0, [])], at=MONDAY)
    report = validation.render(con)
    assert "Every expectation is met." in report
    assert "No delivered row was refused." in report
    assert validation.render(con) == report


def test_the_report_is_replaced_in_one_go(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "quality" / "validation.html"
    validation.write_report(con, path)
    before = path.read_text()

    def broken(_: duckdb.DuckDBPyConnection) -> str:
        raise duckdb.IOException("the disk is full")

    monkeypatch.setattr(validation, "render", broken)
    with pytest.raises(duckdb.IOException):
        validation.write_report(con, path)
    assert path.read_text() == before
    assert [each.name for each in path.parent.iterdir()] == ["validation.html"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A narrow page on which nothing goes wrong unseen, and which asks for nothing but its file."""
    context = browser.new_context(
        viewport={"width": 400, "height": 800}, color_scheme=request.param, offline=True
    )
    page = context.new_page()
    wrong: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert wrong == []
    assert [re.sub(r"^file://.*/", "", url) for url in asked] == ["validation.html"]


def is_narrow(page: Page) -> bool:
    return page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def colours(page: Page) -> tuple[str, str]:
    style = "getComputedStyle(document.documentElement)"
    return page.evaluate(f"[{style}.color, {style}.backgroundColor]")


def test_the_report_of_a_refresh_opens_offline_with_its_styles(page: Page, home: Path) -> None:
    page.goto(Settings(home=home).validation_path.absolute().as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == "Data validation"
    assert page.get_by_text("Every expectation is met.").is_visible()
    assert page.get_by_role("heading", level=3).all_inner_texts() == [
        *(suite.name for suite in SUITES),
        "forecasts_explanations",
    ]
    first = page.locator("details").first
    assert not first.get_by_text("A store's day is there once").is_visible()
    first.locator("summary").click()
    assert first.get_by_text("A store's day is there once").is_visible()
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    text, ground = colours(page)
    assert (ground == "rgb(19, 23, 26)") == is_dark
    assert text != ground
    assert is_narrow(page)


def test_hostile_values_neither_run_nor_widen_the_page(
    page: Page, troubled: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = validation.write_report(troubled, tmp_path / "validation.html")
    page.goto(path.absolute().as_uri())
    for details in page.locator("summary").all():
        details.click()
    assert page.locator("img, script").count() == 0
    assert is_narrow(page)
    page.emulate_media(media="print")
    assert is_narrow(page)
