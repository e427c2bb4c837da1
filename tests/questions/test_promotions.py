"""Promotions: what they add, found again where it is known and counted a second way elsewhere."""

import json
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.questions import answers
from sales_assets.questions.figure import as_figure
from sales_assets.questions.interactive import as_plotly
from sales_assets.questions.promotions import QUESTIONS
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.oracle import agree
from tests.questions.promoted_stores import MONDAY, add_plan, add_store
from tests.questions.tiny import sell

NAMES = [question.name for question in QUESTIONS]


# Every question.


@pytest.mark.parametrize("name", NAMES)
def test_without_a_day_there_is_no_answer(small: duckdb.DuckDBPyConnection, name: str) -> None:
    rows = rows_of(small, name)
    assert rows.empty
    assert BY_NAME[name].answered(rows)[0].startswith("No answer")


@pytest.mark.parametrize("stores", [1, 2, 12])
@pytest.mark.parametrize("name", NAMES)
def test_chains_without_customers_plan_or_promo2_have_sentences_without_nan(
    small: duckdb.DuckDBPyConnection, name: str, stores: int
) -> None:
    for store_id in range(1, stores + 1):
        add_store(small, store_id, lift=1 + store_id / 10)
    rows = rows_of(small, name)
    text, is_answered = BY_NAME[name].answered(rows)
    assert "nan" not in text.lower()
    assert is_answered == (
        name in {"promo_distribution", "promo_effect"} or (name == "promo_targeting" and stores > 9)
    )
    if is_answered:
        as_figure(BY_NAME[name].draw(rows))


@pytest.mark.parametrize("name", NAMES)
def test_without_promotions_no_effect_is_told(small: duckdb.DuckDBPyConnection, name: str) -> None:
    add_store(small, 1)
    small.execute("update cleaned.sales set is_promo = false")
    assert not BY_NAME[name].answered(rows_of(small, name))[1]


@pytest.mark.parametrize("name", NAMES)
def test_stores_without_attributes_are_no_error(
    small: duckdb.DuckDBPyConnection, name: str
) -> None:
    for store_id in range(1, 13):
        add_store(small, store_id, lift=1 + store_id / 10)
    add_plan(small, first=MONDAY + timedelta(days=28), days=7, is_promo=True)
    small.execute("delete from cleaned.stores")
    rows = rows_of(small, name)
    text, is_answered = BY_NAME[name].answered(rows)
    assert "nan" not in text.lower()
    assert is_answered == (name != "promo2_effect")
    if is_answered:
        as_figure(BY_NAME[name].draw(rows))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_told_and_drawn_as_what_was_computed(
    small: duckdb.DuckDBPyConnection, name: str
) -> None:
    question = BY_NAME[name]
    warehouse.replace_table(small, question.table, question.rows(small))
    assert not question.answered(answers.table_of(small, question))[1]
    for store_id in range(1, 13):
        joined = MONDAY + timedelta(days=70) if store_id < 4 else None
        add_store(small, store_id, weeks=26, lift=1 + store_id / 10, promo2_since=joined)
    # Longer than the history, which has no stretch to compare it with.
    add_plan(small, first=MONDAY + timedelta(days=182), days=300, is_promo=True)
    small.execute("update cleaned.stores set store_type = null, assortment = null")
    rows = question.rows(small)
    warehouse.replace_table(small, question.table, rows)
    stored = answers.table_of(small, question)
    assert question.answered(stored) == (answer(name, rows), True)
    json.dumps(as_plotly(question.draw(stored)), allow_nan=False)
    as_figure(question.draw(stored))


@pytest.mark.parametrize("name", NAMES)
def test_whole_chains_are_told_and_drawn(of_either: Ask, name: str) -> None:
    rows = of_either(name)
    assert "nan" not in answer(name, rows)
    assert set(BY_NAME[name].shows) <= set(rows.columns)
    json.dumps(as_plotly(BY_NAME[name].draw(rows)), allow_nan=False)


# How promotions are spread.


def values_of(days: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the value that each slice has on each day, as the table names it."""
    return {
        "all": pd.Series("all", index=days.index),
        "weekday": (days["date"].dt.dayofweek + 1).astype(str),
        "month": days["date"].dt.strftime("%m"),
        "year": days["date"].dt.strftime("%Y"),
        "store_type": days["store_type"],
        "assortment": days["assortment"],
        "store": days["store_id"].astype(str),
    }


def verdict(cramers_v: float) -> str:
    return "even" if cramers_v < 0.1 else "uneven" if cramers_v < 0.3 else "very uneven"


def test_promotions_are_spread_as_a_group_by_says(
    either: duckdb.DuckDBPyConnection, of_either: Ask, days: pd.DataFrame
) -> None:
    plan = either.execute(
        "from cleaned.plan join cleaned.stores using (store_id) where is_open"
    ).df()
    is_split = days.groupby("date")["is_promo"].transform("nunique") == 2
    coming = values_of(plan)
    parts = []
    for name, values in values_of(days).items():
        groups = days["is_promo"].groupby(values)
        part = pd.DataFrame(
            {
                "open_store_days": groups.size(),
                "promo_days": days["date"][days["is_promo"]].groupby(values).nunique(),
                "split_days": days["date"][is_split].groupby(values).nunique(),
                "promo_share": groups.mean(),
            }
        ).fillna(0)
        part["planned_share"] = plan["is_promo"].groupby(coming[name]).mean()
        # With two columns, V is the root of the R squared of promotion on the slice.
        explained = groups.transform("mean").astype(float).std() / days["is_promo"].std()
        part["cramers_v"] = np.nan if name == "all" else explained
        parts.append(part.assign(slice=name).rename_axis("value").set_index("slice", append=True))
    expected = pd.concat(parts).query("open_store_days > 0")
    found = of_either("promo_distribution")
    agree(found, expected)
    sliced = found[found["slice"] != "all"]
    assert sliced["verdict"].tolist() == sliced["cramers_v"].map(verdict).tolist()
    for name in ("weekday", "month", "year"):
        assert found.loc[found["slice"] == name, "value"].is_monotonic_increasing


def test_a_promotion_of_some_stores_alone_is_told(small: duckdb.DuckDBPyConnection) -> None:
    add_store(small, 1)
    add_store(small, 2)
    assert "the same days in all stores" in answer(
        "promo_distribution", rows_of(small, "promo_distribution")
    )
    small.execute("update cleaned.sales set is_promo = false where store_id = 2 and date < ?",
                 [MONDAY + timedelta(days=7)])  # fmt: skip
    text = answer("promo_distribution", rows_of(small, "promo_distribution"))
    assert "on 5 of 10 promotion days in some stores alone" in text
    assert "by store they differ" in text
    assert "by weekday they hardly do" in text


def test_promotion_days_of_a_store_are_its_own(small: duckdb.DuckDBPyConnection) -> None:
    for store in (1, 2):
        for day in range(5, 11):
            sell(small, store, f"2015-01-{day:02}", promo=store == 2 and day < 8)
    rows = BY_NAME["promo_distribution"].rows(small)
    found = rows[rows["slice"] == "store"].set_index("value")["promo_days"]
    assert found.to_dict() == {"1": 0, "2": 3}
