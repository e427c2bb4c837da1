"""Promo2: what it adds, found again where it is known and counted a second way elsewhere."""

from collections import defaultdict
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from pandas.tseries.offsets import MonthBegin
from scipy.stats import t

from sales_assets.sources.sample_facts import EFFECTS
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.oracle import ALIKE, agree, welch
from tests.questions.promoted_stores import MONDAY, add_store

MEASURES = ["sales", "customers"]
WEEK = pd.Timedelta(days=7)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Of some stores: those that take part, and how one mean of each store is from another.
Cohort = tuple[list[int], pd.DataFrame]


def beyond_others(days: pd.DataFrame) -> pd.DataFrame:
    """Return the days without holidays, less what stores without Promo2 saw on the same date."""
    calm = days[days["state_holiday"] == "none"]
    for name in MEASURES:
        logs = calm[f"log_{name}"]
        means = logs.groupby([calm[key] for key in ALIKE]).transform("mean")
        calm = calm.assign(**{name: logs - means})
    others = calm[calm["promo2_since"].isna()].groupby("date")[MEASURES].mean()
    calm = calm[calm["date"].isin(others.index)]
    return calm.assign(**{name: calm[name] - calm["date"].map(others[name]) for name in MEASURES})


def apart(days: pd.DataFrame, is_one: pd.Series, is_other: pd.Series) -> pd.DataFrame:
    """Return by how much each store's mean of some days is beyond that of others."""
    one, other = (days[which].groupby("store_id")[MEASURES].mean() for which in (is_one, is_other))
    return (one - other).dropna(subset="sales")


def told(cohorts: list[Cohort], others: pd.Index) -> dict[str, float]:
    """Return the row of a comparison; each store without Promo2 stands beside all cohorts."""
    treated = pd.concat([changes.loc[changes.index.isin(own)] for own, changes in cohorts])
    beside = pd.concat(
        [
            changes[changes.index.isin(others)].assign(stores=changes.index.isin(own).sum())
            for own, changes in cohorts
        ]
    ).query("stores > 0")
    weighted = beside[MEASURES].mul(beside["stores"], axis=0).groupby("store_id").sum(min_count=1)
    controls = weighted.div(beside.groupby("store_id")["stores"].sum(), axis=0)
    row = {"stores": len(treated), "control_stores": len(controls)}
    for name in MEASURES:
        one, two = treated[name].dropna(), controls[name].dropna()
        margin = welch(one.var() / len(one), len(one) - 1, two.var() / len(two), len(two) - 1)
        row[f"{name}_effect"] = np.expm1(one.mean())
        row[f"{name}_lo_95"] = np.expm1(one.mean() - margin)
        row[f"{name}_hi_95"] = np.expm1(one.mean() + margin)
    return row


def level(days: pd.DataFrame, first: pd.Timestamp) -> dict[str, float]:
    """Return how far stores that took part all along are from others of their kind."""
    calm = days[days["state_holiday"] == "none"]
    since = calm["promo2_since"]
    calm = calm[since.isna() | (since <= first)].assign(is_in=since.notna())
    kinds = ["store_type", "assortment", "is_in"]
    stores = calm.groupby([*kinds, "store_id"])["log_sales"].mean().reset_index()
    sizes = stores.pivot_table(
        index=kinds[:2], columns="is_in", values="log_sales", aggfunc=["mean", "size"]
    ).dropna()
    ours, theirs = sizes["size", True], sizes["size", False]
    gap = (ours * (sizes["mean", True] - sizes["mean", False])).sum() / ours.sum()
    both = stores[pd.MultiIndex.from_frame(stores[kinds[:2]]).isin(sizes.index)]
    left = both["log_sales"] - both.groupby(kinds)["log_sales"].transform("mean")
    freedom = len(both) - 2 * len(sizes)
    weights = (ours / ours.sum()) ** 2 * (1 / ours + 1 / theirs)
    margin = t.ppf(0.975, freedom) * np.sqrt((left**2).sum() / freedom * weights.sum())
    return {
        "stores": ours.sum(), "control_stores": theirs.sum(), "sales_effect": np.expm1(gap),
        "sales_lo_95": np.expm1(gap - margin), "sales_hi_95": np.expm1(gap + margin),
    }  # fmt: skip


def test_comparisons_are_those_of_a_loop_over_cohorts(of_either: Ask, days: pd.DataFrame) -> None:
    beyond = beyond_others(days)
    date, month = beyond["date"], beyond["date"].dt.month
    calm = days.loc[days["state_holiday"] == "none", "date"]
    first, last = calm.min(), calm.max()
    stores = days.drop_duplicates("store_id").set_index("store_id")
    joined = stores["promo2_since"].dropna()
    others = stores.index[stores["promo2_since"].isna()]
    cohorts: dict[tuple[str, str], list[Cohort]] = defaultdict(list)

    begins = (joined - pd.Timedelta(days=1)).dt.to_period("M").dt.start_time + MonthBegin()
    begins = begins.clip(lower=first.replace(day=1))
    rounds = stores.loc[joined.index, "promo2_months"].map(tuple)
    for (begin, months), own in joined.groupby([begins, rounds]):
        is_anew = month.isin(months)
        changes = apart(beyond, is_anew & (date >= begin), ~is_anew & (date >= begin))
        names = ", ".join(MONTHS[number - 1] for number in months)
        for value in ("all rounds", names):
            cohorts["starts anew", value].append((list(own.index), changes))
    is_inside = (joined - 8 * WEEK >= first) & (joined + 8 * WEEK <= last)
    mondays = joined.dt.to_period("W").dt.start_time
    for (monday, inside), own in joined.groupby([mondays, is_inside]):
        stretches = [("weeks from joining", str(week), week, 8) for week in (-24, -16, 0, 8, 16)]
        if inside:
            stretches.append(("joins", "half a year", 0, 26))
        for comparison, value, week, weeks in stretches:
            begin = monday + week * WEEK
            changes = apart(
                beyond,
                (date >= begin) & (date < begin + weeks * WEEK),
                (date >= monday - weeks * WEEK) & (date < monday),
            )
            cohorts[comparison, value].append((list(own.index), changes))
    rows = {key: told(parts, others) for key, parts in cohorts.items()}
    rows["takes part", "level"] = level(days, first)
    expected = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["comparison", "value"])
    agree(of_either("promo2_effect"), expected)


def test_the_promo2_of_the_sample_is_found_within_its_interval(of_sample: Ask) -> None:
    row = of_sample("promo2_effect").iloc[0]
    assert (row["comparison"], row["value"]) == ("starts anew", "all rounds")
    assert row["sales_lo_95"] < EFFECTS.promo2_lift < row["sales_hi_95"]
    assert row["sales_lo_95"] > 0


def test_joining_counts_against_stores_that_do_not(small: duckdb.DuckDBPyConnection) -> None:
    joined = MONDAY + timedelta(days=7 * 20)
    for store_id in range(1, 9):
        add_store(small, store_id, weeks=40, promo2_since=joined if store_id < 4 else None)
    # All stores sell a tenth more from then on, and those that join twice as much.
    small.execute("update cleaned.sales set sales = 1.1 * sales where date >= ?", [joined])
    small.execute("update cleaned.sales set sales = 2 * sales where date >= ? and store_id < 4",
                 [joined])  # fmt: skip
    rows = rows_of(small, "promo2_effect").set_index(["comparison", "value"])
    row = rows.loc[("joins", "half a year")]
    assert (row["stores"], row["control_stores"]) == (3, 5)
    assert row["sales_effect"] == pytest.approx(1.0)
    assert rows.loc[("weeks from joining", "-16"), "sales_effect"] == pytest.approx(0.0)
    assert rows.loc[("weeks from joining", "8"), "sales_effect"] == pytest.approx(1.0)


def test_how_stores_without_promo2_differ_is_in_the_interval(
    small: duckdb.DuckDBPyConnection,
) -> None:
    joined = MONDAY + timedelta(days=7 * 20)
    for store_id in range(1, 9):
        add_store(small, store_id, weeks=40, promo2_since=joined if store_id < 4 else None)
    small.execute("update cleaned.sales set sales = 1.5 * sales where date >= ? and store_id = 8",
                 [joined])  # fmt: skip
    rows = rows_of(small, "promo2_effect").set_index(["comparison", "value"])
    row = rows.loc[("joins", "half a year")]
    controls = pd.Series([0.0, 0.0, 0.0, 0.0, np.log(1.5)])
    assert np.log1p(row["sales_effect"]) == pytest.approx(-controls.mean())
    margin = np.log((1 + row["sales_hi_95"]) / (1 + row["sales_lo_95"])) / 2
    assert margin == pytest.approx(t.ppf(0.975, 4) * controls.sem(), rel=1e-3)


def test_promo2s_answer_says_when_nothing_is_sure(of_sample: Ask) -> None:
    rows = of_sample("promo2_effect").head(1)
    assert "no sure change" not in answer("promo2_effect", rows)
    rows["sales_lo_95"] = -0.01
    assert "no sure change" in answer("promo2_effect", rows)
    assert "no sure change" in BY_NAME["promo2_effect"].draw(rows).title
    rows[["sales_lo_95", "sales_hi_95"]] = np.nan
    assert "too few for an interval" in answer("promo2_effect", rows)
