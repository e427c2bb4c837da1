"""The file that a planner takes along: what is in it, and that spreadsheets open it."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.serving.conftest import needs_browser
from tests.serving.planner import STORE, eur, figure, open_store, promotion, whole_week

pytestmark = needs_browser

DAYS = 42


def test_the_forecasts_are_downloaded_as_csv(page: Page, plan: list[dict[str, Any]]) -> None:
    open_store(page)
    rows = downloaded(page)
    assert [row["date"] for row in rows] == [day["date"] for day in plan]
    assert len(rows) == DAYS
    for row, day in zip(rows, plan, strict=True):
        assert float(row["forecast"]) == pytest.approx(day["forecast"], abs=0.006)
        assert float(row["lo_80"]) == pytest.approx(day["intervals"]["80"][0], abs=0.006)
        assert row["is_promo"] == json.dumps(day["plan"]["is_promo"])
    assert "scenario_forecast" not in rows[0]


def test_the_download_has_the_changed_plan_too(page: Page, plan: list[dict[str, Any]]) -> None:
    week = whole_week(plan, is_promo=False)
    open_store(page)
    promotion(page, week, on=True).click()
    expect(figure(page, "Difference")).to_contain_text("EUR")
    rows = downloaded(page)
    total = sum(float(row["scenario_forecast"]) - float(row["forecast"]) for row in rows)
    assert round(total) == pytest.approx(eur(figure(page, "Difference").inner_text()), abs=1)
    promoted = {row["date"] for row in rows if row["scenario_is_promo"] == "true"}
    assert {day["date"] for day in week[:6] if day["plan"]["is_open"]} <= promoted


@pytest.mark.parametrize(
    ("view", "separator", "point"),
    [
        ({"locale": "en-GB"}, ",", "."),
        ({"locale": "de-DE"}, ";", ","),
        ({"locale": "ja-JP"}, ",", "."),
    ],
    ids=["en-GB", "de-DE", "ja-JP"],
)
def test_the_download_is_written_as_the_readers_region_writes(
    page: Page, plan: list[dict[str, Any]], separator: str, point: str
) -> None:
    open_store(page)
    content = download(page)
    assert content.startswith(b"\xef\xbb\xbf")
    names, first, *_ = (line.split(separator) for line in content.decode("utf-8-sig").splitlines())
    row = dict(zip(names, first, strict=True))
    assert row["date"] == plan[0]["date"]
    assert row["hi_95"] == f"{plan[0]['intervals']['95'][1]:.2f}".replace(".", point)


@pytest.mark.parametrize("provoked", [["ERR_FAILED"]])
def test_a_changed_plan_that_was_not_answered_is_not_downloaded(
    page: Page, plan: list[dict[str, Any]]
) -> None:
    open_store(page)
    expect(button(page)).to_be_enabled()
    page.route("**/scenario", lambda route: route.abort())
    promotion(page, whole_week(plan, is_promo=False), on=True).click()
    expect(button(page)).to_be_disabled()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(button(page)).to_be_disabled()
    page.get_by_role("button", name="Back to the plan", exact=True).click()
    expect(button(page)).to_be_enabled()
    assert "scenario_forecast" not in downloaded(page)[0]


def downloaded(page: Page) -> list[dict[str, str]]:
    return list(csv.DictReader(download(page).decode("utf-8-sig").splitlines()))


def download(page: Page) -> bytes:
    with page.expect_download() as waiting:
        button(page).click()
    assert waiting.value.suggested_filename == f"store-{STORE}-forecast.csv"
    return Path(waiting.value.path()).read_bytes()


def button(page: Page) -> Locator:
    return page.get_by_role("button", name="Download as CSV")
