"""The planner's page without a mouse, without seeing it, and for eyes that want contrast."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from serving.security import Keys
from tests.serving.conftest import Held, needs_browser
from tests.serving.planner import STORE, day_button, figure, long_day, open_store, whole_week

pytestmark = needs_browser

DAYS = 42
# What WCAG 2.2 asks of small text at level AA.
LEGIBLE = 4.5
PROBLEM = {"title": "Service Unavailable", "status": 503, "detail": "Nothing is loaded."}


def test_everything_is_reached_by_keyboard(page: Page, plan: list[dict[str, Any]]) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_visible()
    search = page.get_by_label("Store number")
    search.focus()
    page.keyboard.type(str(STORE))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Store {STORE}", level=1)).to_be_focused()
    week = whole_week(plan, is_promo=False)
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.getAttribute('aria-label')") or ""
        if re.search(r"day \d+ \w+:", name):
            break
    for _ in range(DAYS):
        if (
            page.evaluate("document.activeElement.getAttribute('aria-label')").find(
                long_day(week[1])
            )
            > 0
        ):
            break
        page.keyboard.press("ArrowRight")
    expect(day_button(page, week[1])).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(day_button(page, week[1])).to_have_attribute("aria-pressed", "true")
    # The editor comes after its week, and the week's own two buttons.
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Promotion", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    expect(figure(page, "Difference")).to_contain_text("EUR")
    expect(page.get_by_role("button", name="Promotion", exact=True)).to_be_focused()


@pytest.mark.parametrize("name", ["Back to the plan for this day", "Back to the plan"])
def test_the_way_back_leaves_the_focus_on_the_day(
    page: Page, plan: list[dict[str, Any]], name: str
) -> None:
    open_store(page)
    day = next(day for day in plan if day["plan"]["is_open"])
    day_button(page, day).click()
    page.get_by_role("button", name="School holidays", exact=True).click()
    expect(figure(page, "Difference")).to_contain_text("EUR")
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")
    expect(figure(page, "Difference")).not_to_contain_text("EUR")
    expect(day_button(page, day)).to_be_focused()


@pytest.mark.parametrize("provoked", [["503"]])
def test_the_way_back_keeps_the_focus_while_an_answer_comes(
    page: Page, plan: list[dict[str, Any]], held: Held
) -> None:
    open_store(page)
    change(page, plan)
    back = page.get_by_role("button", name="Back to the plan", exact=True)
    back.focus()
    held.next().fulfill(status=503, json=PROBLEM, headers={"Retry-After": "1"})
    expect(page.get_by_text("asking again in 1 s")).to_be_visible()
    expect(back).to_be_focused()
    held.next().continue_()
    expect(figure(page, "Difference")).to_contain_text("EUR")
    expect(back).to_be_focused()


@pytest.mark.parametrize("provoked", [["ERR_FAILED"]])
def test_trying_a_view_again_leaves_the_focus_in_it(page: Page) -> None:
    page.route("**/v1/overview", lambda route: route.abort())
    page.goto("/")
    again = page.get_by_role("button", name="Try again")
    again.focus()
    page.keyboard.press("Enter")
    expect(again).to_be_focused()
    page.unroute("**/v1/overview")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Whole chain", level=1)).to_be_focused()


@pytest.mark.parametrize("provoked", [["ERR_FAILED"]])
def test_trying_a_comparison_again_leaves_the_focus_where_its_words_come(
    page: Page, plan: list[dict[str, Any]], held: Held
) -> None:
    open_store(page)
    change(page, plan)
    again = page.get_by_role("button", name="Try again")
    for _ in range(2):
        held.next().abort()
        again.focus()
        page.keyboard.press("Enter")
        expect(told(page)).to_be_focused()
    held.next().abort()
    expect(again).to_be_focused()
    page.keyboard.press("Enter")
    held.next().continue_()
    expect(told(page)).to_contain_text("Your plan:")
    expect(told(page)).to_be_focused()


@pytest.mark.parametrize("provoked", [["ERR_FAILED"]])
@pytest.mark.parametrize(
    "view", [{"viewport": {"width": width, "height": 800}} for width in (390, 1400)]
)
def test_trying_the_list_of_stores_again_leaves_the_focus_in_it(page: Page) -> None:
    page.route("**/v1/stores", lambda route: route.abort())
    page.goto("/")
    if not page.get_by_label("Store number").is_visible():
        page.get_by_text("Choose a store").click()
    again = page.get_by_role("navigation").get_by_role("button", name="Try again")
    again.focus()
    page.unroute("**/v1/stores")
    page.keyboard.press("Enter")
    found = page.get_by_text(re.compile(r"^\d+ stores$"))
    expect(found).to_be_focused()
    expect(found).to_be_visible()


@pytest.mark.parametrize("provoked", [["503"]])
def test_how_a_comparison_stands_is_said(
    page: Page, plan: list[dict[str, Any]], held: Held
) -> None:
    open_store(page)
    # A region that comes together with its words may not be heard.
    expect(told(page)).to_be_empty()
    change(page, plan)
    expect(told(page)).to_have_text("Working it out…")
    held.next().fulfill(status=503, json=PROBLEM, headers={"Retry-After": "1"})
    expect(told(page)).to_contain_text("asking again in 1 s")
    held.next().continue_()
    expect(told(page)).to_contain_text("Your plan: ")
    page.get_by_role("button", name="Back to the plan", exact=True).click()
    expect(told(page)).to_have_text("As planned.")


@pytest.mark.parametrize("provoked", [["401"]])
def test_what_cannot_be_a_key_is_said(page: Page, keys: Keys) -> None:
    keys.add("planner")
    page.goto("/")
    dialog = page.get_by_role("dialog", name="A key is needed")
    text = dialog.get_by_label("Key")
    expect(text).not_to_have_attribute("aria-invalid", "true")
    text.fill("no key")
    text.press("Enter")
    expect(dialog.get_by_role("status")).to_contain_text("That is no key")
    expect(text).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("view", [{"color_scheme": "light"}, {"color_scheme": "dark"}])
def test_small_text_of_days_is_legible_on_whatever_is_behind_it(
    page: Page, plan: list[dict[str, Any]]
) -> None:
    open_store(page)
    day = next(day for day in plan if day["plan"]["is_open"] and not day["plan"]["is_promo"])
    day_button(page, day).click()
    page.get_by_role("button", name="Promotion", exact=True).click()
    expect(day_button(page, day).locator(".difference")).to_contain_text("k")
    grounds = {
        (".day:not(.promo, .closed)", "backgroundColor"),
        (".day.promo", "backgroundColor"),
        (".swatch.closed", "backgroundImage"),
    }
    behind = [
        ground
        for selector, name in grounds
        for ground in colours(page.locator(selector).first, name)
    ]
    assert len(set(behind)) >= len(grounds)
    for part in (".number", ".forecast", ".difference"):
        (ink,) = colours(day_button(page, day).locator(part), "color")
        assert min(contrast(ink, ground) for ground in behind) >= LEGIBLE, part


def change(page: Page, plan: list[dict[str, Any]]) -> None:
    """Change a day's plan."""
    day_button(page, next(day for day in plan if day["plan"]["is_open"])).click()
    page.get_by_role("button", name="School holidays", exact=True).click()


def told(page: Page) -> Locator:
    """Where the page says how the comparison stands."""
    return page.get_by_role("region", name="The plan").locator("p").and_(page.get_by_role("status"))


def colours(place: Locator, name: str) -> list[tuple[int, ...]]:
    """Return the colours that a property of a place has, as red, green and blue."""
    value = place.evaluate("(node, name) => getComputedStyle(node)[name]", name)
    return [
        tuple(int(part) for part in colour)
        for colour in re.findall(r"rgb\((\d+), (\d+), (\d+)\)", value)
    ]


def contrast(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    dark, light = sorted(luminance(colour) for colour in (first, second))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: tuple[int, ...]) -> float:
    shares = [value / 255 for value in colour]
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return sum(
        weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )
