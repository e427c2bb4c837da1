"""The planner's page as tests find their way about it."""

import datetime as dt
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

STORE = 11


def open_store(page: Page) -> None:
    page.goto(f"/#/store/{STORE}")
    expect(page.get_by_role("heading", name=f"Store {STORE}", level=1)).to_be_visible()


def figure(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name=name, exact=True)


def whole_week(plan: list[dict[str, Any]], is_promo: bool) -> list[dict[str, Any]]:
    """Return Monday to Sunday of the first whole week that starts with or without a promotion."""
    starts = [number for number, day in enumerate(plan) if _weekday(day) == 0]
    week = next(number for number in starts if plan[number]["plan"]["is_promo"] == is_promo)
    return plan[week : week + 7]


def promotion(page: Page, week: list[dict[str, Any]], on: bool) -> Locator:
    name = f"Promotion Monday to Saturday {'on' if on else 'off'}, Week of {short_day(week[0])}"
    return page.get_by_role("button", name=re.compile(f"^{name}$"))


def day_button(page: Page, day: dict[str, Any]) -> Locator:
    return page.get_by_role("button", name=re.compile(rf"^\w+ {long_day(day)}:"))


def eur(text: str) -> int:
    """Return the EUR that a text of the page tells."""
    found = re.search(r"([+\u2212]?)EUR\s([\d,]+)", text)
    assert found, text
    return int(found[2].replace(",", "")) * (-1 if found[1] == "\u2212" else 1)


def _weekday(day: dict[str, Any]) -> int:
    return _date(day).weekday()


def long_day(day: dict[str, Any]) -> str:
    return f"{_date(day).day} {_date(day):%B}"


def short_day(day: dict[str, Any]) -> str:
    return f"{_date(day).day} {_date(day):%b}"


def _date(day: dict[str, Any]) -> dt.date:
    return dt.date.fromisoformat(day["date"])
