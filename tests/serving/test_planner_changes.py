"""What the page says of changed days: no number that is of another plan."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.serving.conftest import Held, needs_browser
from tests.serving.planner import day_button, figure, open_store

pytestmark = needs_browser

UNKNOWN = "forecast not known"
AWAITED = "forecast being worked out"


@pytest.fixture
def days(page: Page, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two open days of the store that is shown, the first of them chosen."""
    open_store(page)
    days = [day for day in plan if day["plan"]["is_open"]][:2]
    day_button(page, days[0]).click()
    return days


def change(page: Page, name: str) -> None:
    if name == "Holiday":
        page.get_by_label(name, exact=True).select_option("Easter")
    else:
        page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("provoked", [["ERR_FAILED"]])
@pytest.mark.parametrize("name", ["Promotion", "School holidays", "Holiday"])
def test_a_changed_day_has_no_number_of_the_day_as_planned(
    page: Page, days: list[dict[str, Any]], held: Held, name: str
) -> None:
    changed, other = (day_button(page, day) for day in days)
    planned = f"EUR {days[0]['forecast']:,.0f}"
    change(page, name)
    expect(changed).to_have_accessible_name(re.compile(AWAITED))
    expect(changed).to_contain_text("…")
    expect(page.get_by_text("is being worked out")).to_be_visible()
    held.next().abort()
    expect(changed).to_have_accessible_name(re.compile(UNKNOWN))
    expect(changed).to_contain_text("–")
    expect(page.get_by_text("The forecast of this change is not known")).to_be_visible()
    expect(page.get_by_text(planned, exact=True)).to_have_count(0)
    expect(page.get_by_role("heading", name="Why", exact=True)).to_have_count(0)
    expect(figure(page, "Your plan")).to_contain_text("Not known")
    expect(other).to_have_accessible_name(re.compile(rf"forecast EUR\s{days[1]['forecast']:,.0f}"))
    page.get_by_role("button", name="Try again").click()
    expect(changed).to_have_accessible_name(re.compile(AWAITED))
    held.next().continue_()
    expect(changed).to_have_accessible_name(re.compile(r"forecast EUR\s\d"))
    expect(page.get_by_role("heading", name="Why", exact=True)).to_be_visible()


def test_a_day_that_is_changed_anew_has_no_difference_of_the_change_before(
    page: Page, days: list[dict[str, Any]], held: Held
) -> None:
    first, second = (day_button(page, day) for day in days)
    change(page, "Promotion")
    held.next().continue_()
    expect(first).to_have_accessible_name(re.compile("against the plan"))
    change(page, "School holidays")
    expect(first).to_have_accessible_name(re.compile(AWAITED))
    expect(first).not_to_have_accessible_name(re.compile("against the plan"))
    held.next().continue_()
    expect(first).to_have_accessible_name(re.compile("against the plan"))
    expect(second).to_have_accessible_name(re.compile(r"forecast EUR\s\d"))


def test_that_a_closed_day_sells_nothing_needs_no_answer(
    page: Page, days: list[dict[str, Any]], held: Held
) -> None:
    change(page, "Open")
    expect(page.get_by_text("Closed: 0")).to_be_visible()
    expect(day_button(page, days[0])).to_have_accessible_name(re.compile("closed"))
    held.next().continue_()


@pytest.mark.parametrize("view", [{"viewport": {"width": 390, "height": 800}}])
def test_what_is_below_the_editor_stays_there_while_an_answer_is_awaited(
    page: Page, days: list[dict[str, Any]], held: Held
) -> None:
    editor = page.locator(".editor")
    expect(editor.get_by_role("heading", name="Why", exact=True)).to_be_visible()
    height = editor.evaluate("node => node.offsetHeight")
    change(page, "School holidays")
    expect(page.get_by_text("is being worked out")).to_be_visible()
    assert editor.evaluate("node => node.offsetHeight") >= height
    held.next().continue_()
    expect(editor.get_by_role("heading", name="Why", exact=True)).to_be_visible()
