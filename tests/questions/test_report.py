"""The report: one file, whole, readable on any screen, and safe whatever is in the data."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Browser, sync_playwright

from sales_assets import report
from sales_assets.questions import answers
from sales_assets.questions.themes import QUESTIONS
from sales_assets.settings import Settings
from sales_assets.sources.sample import write_sample
from tests.questions.conftest import asked
from tests.serving.conftest import CHROMIUM

MEGABYTE = 1e6


@pytest.fixture(scope="module")
def told(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A small chain with every question's table, and a store type that is no name at all."""
    source = tmp_path_factory.mktemp("source")
    write_sample(source, stores=30, days=900, seed=2)
    with asked(source, settings, tmp_path_factory.mktemp("scratch")) as con:
        con.execute(
            "update cleaned.stores set store_type = '</script><script>alert(1)</script>'"
            " where store_type = 'd'"
        )
        for question in QUESTIONS:
            question.make(con)
        yield con


@pytest.fixture(scope="module")
def page(told: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(told, tmp_path_factory.mktemp("reports") / "new" / "insights.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs a chromium: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_every_question_has_its_answer_in_the_report(
    told: duckdb.DuckDBPyConnection, page: Path
) -> None:
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 10 * MEGABYTE
    for row in answers.told(told):
        assert f'id="{row["name"]}"' in text
    assert not page.with_suffix(".html.tmp").exists()


def test_numbers_that_are_names_have_no_separators(
    told: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with told.cursor() as con:
        con.execute("begin")
        con.execute("update insights.promo_targeting set store_id = 1000 + store_id")
        text = report.write(con, tmp_path / "insights.html").read_text(encoding="utf-8")
        con.execute("rollback")
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", text)
    assert [cell for cell in cells if re.fullmatch(r"10\d\d", cell)]
    assert not [cell for cell in cells if re.fullmatch(r"1,0\d\d", cell)]
    assert {"2014", "2013"} & set(cells)
    assert not [cell for cell in cells if re.fullmatch(r"2,01\d", cell)]
    # Amounts have them.
    assert [cell for cell in cells if re.fullmatch(r"[2-9],\d{3}", cell)]


def test_the_report_shows_the_sql_of_each_table_that_has_one(page: Path) -> None:
    text = html.unescape(page.read_text(encoding="utf-8"))
    with_sql = [question for question in QUESTIONS if question.sql]
    assert len(with_sql) == len(QUESTIONS) - 2
    assert all(question.sql in text for question in with_sql)


def test_names_in_what_a_table_means_are_set_as_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<code>cramers_v</code> tells of the whole slice" in text
    assert "<code>quality.quarantine</code>." in text
    assert not re.findall(r'<p class="soft">[^<]*`', text)


def test_numbers_stay_on_one_line_with_their_sign_of_percent(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    said = re.findall(r'<p class="(?:answer|picture-title)">([^<]*)', text)
    assert [part for part in said if "\N{NO-BREAK SPACE}%" in part]
    assert not [part for part in said if " %" in part]


def test_no_value_becomes_part_of_the_page(page: Path) -> None:
    assert "<script>alert" not in page.read_text(encoding="utf-8")


def test_a_question_without_an_answer_says_why(
    told: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    told.execute("begin transaction")
    told.execute("delete from insights.weekday_pattern")
    text = report.render(told)
    told.execute("rollback")
    assert "No answer: it needs" in text
    assert 'data-picture="weekday_pattern-1"' not in text


def test_a_report_that_cannot_be_made_leaves_the_former_one(
    told: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "insights.html"
    path.write_text("the former one", encoding="utf-8")
    told.execute("begin transaction")
    told.execute("drop table cleaned.sales cascade")
    with pytest.raises(duckdb.Error):
        report.write(told, path)
    told.execute("rollback")
    assert path.read_text(encoding="utf-8") == "the former one"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_report_is_drawn_without_a_network_at_any_width(
    browser: Browser, page: Path, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )  # fmt: skip
    tab = context.new_page()
    told: list[str] = []
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("dialog", lambda dialog: told.append(dialog.message))
    asked_for: list[str] = []
    tab.on("request", lambda request: asked_for.append(request.url))
    tab.goto(page.as_uri())
    pictures = tab.locator("[data-picture]")
    # plotly draws a picture's axes last.
    tab.wait_for_function(
        "document.querySelectorAll('[data-picture] .main-svg').length >="
        " document.querySelectorAll('[data-picture]').length"
    )
    assert pictures.count() >= len(QUESTIONS) // 2
    assert told == []
    assert [url for url in asked_for if not url.startswith(("file:", "data:", "blob:"))] == []
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def test_pictures_are_as_wide_as_paper_when_printed(browser: Browser, page: Path) -> None:
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.goto(page.as_uri())
    tab.wait_for_function("document.querySelectorAll('[data-picture] .main-svg').length > 0")
    tab.evaluate(
        "addEventListener('beforeprint', () => { window.printed = Math.max("
        "...[...document.querySelectorAll('.picture')].map((picture) =>"
        " [...picture.querySelectorAll('.svg-container')]"
        ".reduce((sum, plot) => sum + plot.offsetWidth, 0))); })"
    )
    tab.pdf(format="A4")
    # A4 is 794 CSS pixels wide, with the browser's own margins of 1 cm some 718.
    assert 600 <= tab.evaluate("window.printed") <= 718
    wide = tab.evaluate("document.querySelector('.svg-container').offsetWidth")
    assert wide > 718
    tab.close()
