"""The page where not all of it comes, since the service is busy."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.serving.conftest import Held, needs_browser
from tests.serving.planner import STORE

pytestmark = needs_browser

ADDRESS = f"/#/store/{STORE}"


def refuse(route: Route) -> None:
    problem = {"title": "Service Unavailable", "status": 503}
    headers = {"X-Content-Type-Options": "nosniff", "Retry-After": "1"}
    route.fulfill(
        status=503, json=problem, headers=headers, content_type="application/problem+json"
    )


@pytest.mark.parametrize("provoked", [["503"]])
@pytest.mark.parametrize("module", ["main", "format"])
def test_a_page_that_cannot_start_says_so_and_can_be_reloaded(page: Page, module: str) -> None:
    page.route(f"**/planner/{module}.js", refuse)
    page.goto(ADDRESS)
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("could not start")
    expect(page.get_by_text("Loading…")).to_have_count(0)
    page.unroute(f"**/planner/{module}.js")
    page.get_by_role("link", name="Reload the page").click()
    expect(page.get_by_role("heading", name=f"Store {STORE}", level=1)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("provoked", [["503", "Refused to execute", "plotly is missing"]])
@pytest.mark.parametrize("part", ["start.js", "plotly.min.js"])
def test_what_the_page_can_do_without_keeps_it_from_nothing(page: Page, part: str) -> None:
    page.route(f"**/planner/{part}", refuse)
    page.goto(ADDRESS)
    expect(page.get_by_role("heading", name=f"Store {STORE}", level=1)).to_be_visible()
    expect(page.get_by_text("could not start")).to_have_count(0)


def test_a_page_that_waits_for_a_part_of_itself_says_so(page: Page) -> None:
    held = Held(page, "**/planner/format.js")
    page.goto(ADDRESS, wait_until="commit")
    part = held.next()
    start = page.get_by_role("main").get_by_role("status")
    expect(start).to_contain_text("Loading…")
    expect(start.get_by_text("Reload the page if this stays.")).to_have_css("opacity", "1")
    part.continue_()
    expect(page.get_by_role("heading", name=f"Store {STORE}", level=1)).to_be_visible()
    expect(page.get_by_text("Reload the page")).to_have_count(0)
