"""The planner's page in a browser, as its user works with it."""

import re
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from serving.predictor import Predictor
from serving.security import Keys
from tests.serving.conftest import Client, InProcess, needs_browser
from tests.serving.planner import (
    STORE,
    day_button,
    eur,
    figure,
    long_day,
    open_store,
    promotion,
    whole_week,
)

pytestmark = needs_browser


def test_a_store_is_found_by_its_number(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Store number").fill(str(STORE))
    expect(page.get_by_text("1 store", exact=True)).to_be_visible()
    page.get_by_role("link", name=f"Store {STORE}").first.click()
    expect(page).to_have_url(re.compile(f"#/store/{STORE}$"))
    expect(page.get_by_role("heading", name=f"Store {STORE}", level=1)).to_be_focused()
    expect(page.get_by_role("img", name=re.compile("Daily sales of store"))).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_visible()


def test_stores_are_filtered_by_type(page: Page, client: Client) -> None:
    stores = client.get("/v1/stores").json["stores"]
    kind = stores[0]["store_type"]
    page.goto("/")
    page.get_by_label("Type").select_option(kind)
    of_kind = [store for store in stores if store["store_type"] == kind]
    expect(page.locator("#stores").get_by_role("link")).to_have_count(len(of_kind))


@pytest.mark.parametrize("is_promo", [True, False])
def test_a_promotion_of_a_week_is_compared_with_the_plan(
    page: Page, client: Client, plan: list[dict[str, Any]], is_promo: bool
) -> None:
    week = whole_week(plan, not is_promo)
    days = [day for day in week[:6] if day["plan"]["is_open"] or not is_promo]
    changes = [
        {"date": day["date"], "is_promo": is_promo}
        for day in days
        if day["plan"]["is_promo"] != is_promo
    ]
    answer = client.post(f"/v1/stores/{STORE}/scenario", {"changes": changes}).json
    open_store(page)
    difference = figure(page, "Difference")
    expect(difference).not_to_contain_text("EUR")
    promotion(page, week, is_promo).click()
    expect(promotion(page, week, is_promo)).to_have_attribute("aria-pressed", "true")
    expect(difference).to_contain_text("EUR")
    assert eur(difference.inner_text()) == round(answer["difference"]) != 0
    assert eur(figure(page, "As planned").inner_text()) == round(answer["planned_total"])
    assert eur(figure(page, "Your plan").inner_text()) == round(answer["scenario_total"])
    for warning in answer["warnings"]:
        expect(page.get_by_text(warning)).to_be_visible()
    page.get_by_role("button", name="Back to the plan", exact=True).click()
    expect(difference).not_to_contain_text("EUR")


def test_a_change_that_is_taken_back_is_no_change(page: Page, plan: list[dict[str, Any]]) -> None:
    asked: list[Any] = []
    page.on(
        "request",
        lambda request: (
            asked.append(request.post_data_json) if request.url.endswith("/scenario") else None
        ),
    )
    open_store(page)
    day = next(day for day in plan if day["plan"]["is_open"])
    switch = page.get_by_role("button", name="School holidays", exact=True)
    day_button(page, day).click()
    switch.click()
    expect(figure(page, "Difference")).to_contain_text("EUR")
    switch.click()
    expect(figure(page, "Difference")).not_to_contain_text("EUR")
    expect(day_button(page, day)).not_to_have_accessible_name(re.compile("changed"))
    changed = not day["plan"]["is_school_holiday"]
    changes = [{"date": day["date"], "is_school_holiday": changed}]
    assert [body["changes"] for body in asked] == [changes]


def test_a_closed_day_is_zero(page: Page, plan: list[dict[str, Any]]) -> None:
    open_store(page)
    day = next(day for day in plan if day["plan"]["is_open"])
    day_button(page, day).click()
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_text("Closed: 0")).to_be_visible()
    expect(day_button(page, day)).to_have_accessible_name(re.compile("closed, .*changed"))
    page.get_by_role("button", name="Back to the plan for this day").click()
    expect(page.get_by_text("Closed: 0")).to_have_count(0)


def test_a_days_reasons_are_told(page: Page, client: Client, plan: list[dict[str, Any]]) -> None:
    answer = client.get(f"/v1/stores/{STORE}/forecast?explain=true").json["predictions"]
    day = next(day for day in answer if day["plan"]["is_promo"] and day["plan"]["is_open"])
    open_store(page)
    day_button(page, day).click()
    expect(day_button(page, day)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text(f"EUR {day['forecast']:,.0f}", exact=True)).to_be_visible()
    percent = day["contributions"]["promotion"]
    sign = "+" if percent > 0 else "\u2212"
    reason = page.get_by_role("listitem").filter(has_text=re.compile("^Promotion"))
    expect(reason).to_contain_text(f"{sign}{abs(percent):.1f}")


def test_the_stores_accuracy_is_told(page: Page, client: Client) -> None:
    accuracy = client.get(f"/v1/stores/{STORE}/forecast").json["accuracy"]
    open_store(page)
    part = page.get_by_role("region", name="How good the forecasts were")
    expect(part).to_contain_text(f"Errors come to {100 * accuracy['wape']:.1f} % of sales")
    expect(part).to_contain_text(f"{accuracy['days']} open days")


def test_the_overview_leads_to_stores(page: Page, client: Client) -> None:
    overview = client.get("/v1/overview").json
    page.goto("/")
    total = figure(page, f"Next {len(overview['days'])} days")
    expect(total).to_contain_text("EUR")
    assert eur(total.inner_text()) == round(overview["forecast_total"])
    worst = max(overview["stores"], key=lambda store: store["wape"] or 0.0)
    table = page.get_by_role("table", name="Stores whose forecasts were off most")
    row = table.get_by_role("row").nth(1)
    expect(row).to_contain_text(f"{100 * worst['wape']:.1f}")
    row.get_by_role("link").click()
    name = f"Store {worst['store_id']}"
    expect(page.get_by_role("heading", name=name, level=1, exact=True)).to_be_visible()


@pytest.mark.parametrize("provoked", [["503"]])
def test_a_busy_service_is_told_and_asked_again(page: Page) -> None:
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        problem = {"title": "Service Unavailable", "status": 503, "detail": "Nothing is loaded."}
        headers = {"Retry-After": "1"}
        route.fulfill(status=503, json=problem, headers=headers)

    page.route("**/v1/overview", busy)
    page.goto("/")
    expect(page.get_by_text("asking again in 1 s")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("The service is busy")
    expect(page.get_by_role("alert")).to_contain_text("Nothing is loaded.")
    assert len(asked) == 3
    page.unroute("**/v1/overview")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("provoked", [["ERR_FAILED|ERR_CONNECTION"]])
def test_a_comparison_that_fails_leaves_the_plan_and_can_be_tried_again(
    page: Page, plan: list[dict[str, Any]]
) -> None:
    open_store(page)
    page.route("**/scenario", lambda route: route.abort())
    promotion(page, whole_week(plan, is_promo=False), on=True).click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(figure(page, "As planned")).to_contain_text("EUR")
    page.unroute("**/scenario")
    page.get_by_role("button", name="Try again").click()
    expect(figure(page, "Difference")).to_contain_text("EUR")


@pytest.mark.parametrize("provoked", [["404"]])
def test_a_store_that_does_not_exist_is_told(page: Page) -> None:
    page.goto("/#/store/999")
    expect(page.get_by_role("alert")).to_contain_text("999")
    page.get_by_role("navigation").get_by_role("link", name="Whole chain").click()
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_visible()


@pytest.mark.parametrize("provoked", [["401"]])
def test_a_key_is_asked_for_where_one_is_needed(page: Page, keys: Keys) -> None:
    text = keys.add("planner")
    page.goto("/")
    dialog = page.get_by_role("dialog", name="A key is needed")
    dialog.get_by_label("Key").fill("wrong")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog).to_contain_text("not known")
    dialog.get_by_label("Key").fill(text)
    dialog.get_by_label("Key").press("Enter")
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_visible()
    expect(dialog).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_visible()


@pytest.mark.parametrize("provoked", [["401"]])
def test_without_a_key_the_page_says_so(page: Page, keys: Keys) -> None:
    keys.add("planner")
    page.goto("/")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("A key is needed")


@pytest.mark.parametrize("width", [360, 1024, 1600])
@pytest.mark.parametrize("address", ["/", f"/#/store/{STORE}"])
def test_no_width_scrolls_sideways(page: Page, width: int, address: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("view", [{"viewport": {"width": 390, "height": 800}, "has_touch": True}])
def test_a_phone_shows_a_days_editor_below_its_week(page: Page, plan: list[dict[str, Any]]) -> None:
    open_store(page)
    day = whole_week(plan, is_promo=False)[2]
    day_button(page, day).tap()
    editor = page.get_by_role("heading", name=re.compile(long_day(day)), level=3)
    expect(editor).to_be_visible()
    below = editor.bounding_box()["y"] - day_button(page, day).bounding_box()["y"]
    assert 0 < below < 250


def test_charts_follow_the_colours_of_the_system(page: Page) -> None:
    open_store(page)
    tick = page.locator(".chart .ytick text").first
    expect(tick).to_be_visible()
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    colour = tick.evaluate("node => getComputedStyle(node).fill")
    page.emulate_media(color_scheme="dark")
    expect(tick).not_to_have_css("fill", colour)
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != light


def test_the_list_of_stores_is_of_the_forecast_that_answers(
    page: Page, service: InProcess, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def lists() -> int:
        return sum(url.endswith("/v1/stores") for url in asked)

    open_store(page)
    page.get_by_label("Store number").fill("1")
    page.get_by_role("link", name="Whole chain").first.click()
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_visible()
    assert lists() == 1
    newer = replace(predictor.release, version="20990101T000000Z-00000000")
    monkeypatch.setattr(service, "predictor", replace(predictor, release=newer))
    with page.expect_response(lambda response: response.url.endswith("/v1/stores")):
        page.get_by_role("link", name="Store 1 ", exact=False).first.click()
    expect(page.get_by_role("heading", name="Store 1", level=1)).to_be_visible()
    assert lists() == 2
    # What was searched for stays, and the list does what it did.
    expect(page.get_by_label("Store number")).to_have_value("1")
    page.get_by_label("Store number").fill(str(STORE))
    expect(page.get_by_text("1 store", exact=True)).to_be_visible()
