"""Groups of stores that behave alike, found again where they were put in."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from sales_assets import warehouse
from sales_assets.questions.clustering import TRAITS, groups
from sales_assets.questions.figure import as_figure
from tests.questions.conftest import BY_NAME, Ask, answer, rows_of
from tests.questions.oracle import ALIKE, agree
from tests.questions.tiny import describe, sell


def planted(con: duckdb.DuckDBPyConnection, stores: int, *, customers: bool = True) -> None:
    """Insert stores of three kinds: usual ones, some open on Sundays, some strong in promotions."""
    con.execute(
        """
        insert into cleaned.sales
        select
            store_id, date,
            case when is_open then 1000 * store_id * case
                when isodow(date) = 6 and store_id % 4 = 0 then 3
                when is_promo and store_id % 4 in (1, 2) then 2
                when is_promo then 1.2
                else 1 + 0.01 * (store_id % 3)
            end else 0 end,
            case when $customers and is_open then 100 * store_id end,
            is_open, is_promo, 'none', false, false, false, false, 0, false
        from (
            select
                cast(range as integer) as store_id,
                cast(day as date) as date,
                isodow(day) < 7 or range % 4 = 0 as is_open,
                isodow(day) < 6 and weekofyear(day) % 2 = 0 as is_promo
            from range(1, $stores + 1),
                generate_series(date '2014-06-02', date '2014-08-31', interval 1 day) as days(day)
        )
        """,
        {"stores": stores, "customers": customers},
    )
    for store in range(1, stores + 1):
        describe(con, store, "a", "basic")


def test_planted_groups_are_found_and_described(small: duckdb.DuckDBPyConnection) -> None:
    planted(small, 24)
    rows = rows_of(small, "store_clusters")
    assert rows["store_id"].nunique() == len(rows) == 24
    kinds = rows["store_id"].mod(4).map({0: "sundays", 1: "promos", 2: "promos", 3: "usual"})
    assert (kinds.groupby(rows["cluster"]).nunique() == 1).all()
    described = rows.groupby(kinds)["cluster_is"].first()
    assert "more open Sundays (100 % against 25 %)" in described["sundays"]
    assert "stronger Saturdays (+" in described["sundays"]
    assert "stronger promotions (+" in described["promos"]
    assert rows["christmas_lift"].isna().all()
    assert "silhouette" in answer("store_clusters", rows)
    assert "nan" not in answer("store_clusters", rows).lower()
    assert as_figure(BY_NAME["store_clusters"].draw(rows))


def test_groups_do_not_depend_on_the_order_of_days(small: duckdb.DuckDBPyConnection) -> None:
    planted(small, 16)
    rows = rows_of(small, "store_clusters")
    small.execute(
        "create or replace table cleaned.sales as from cleaned.sales order by hash(date, store_id)"
    )
    pd.testing.assert_frame_equal(rows_of(small, "store_clusters"), rows)


def test_groups_are_numbered_by_size(of_either: Ask) -> None:
    rows = of_either("store_clusters")
    sizes = rows["cluster"].value_counts().sort_index()
    assert sizes.index.tolist() == list(range(1, len(sizes) + 1))
    assert sizes.is_monotonic_decreasing
    assert (rows["cluster_stores"] == rows["cluster"].map(sizes)).all()
    assert 3 <= len(sizes) <= 6
    assert rows["cluster"].head(len(sizes)).tolist() == sizes.index.tolist()
    typical = rows.head(len(sizes)).set_index("cluster")["silhouette"]
    assert (typical == rows.groupby("cluster")["silhouette"].max()).all()


def test_groups_are_the_best_by_silhouette(of_either: Ask) -> None:
    rows = of_either("store_clusters")
    traits = rows[list(TRAITS)].astype(float)
    scores = ((traits - traits.mean()) / traits.std()).fillna(0).clip(-3, 3)
    assert rows["silhouette"].mean() == pytest.approx(silhouette_score(scores, rows["cluster"]))


def test_traits_are_those_of_pandas(
    either: duckdb.DuckDBPyConnection, days: pd.DataFrame, of_either: Ask
) -> None:
    means = days.groupby(ALIKE)["log_sales"].mean().unstack()
    usual = means[False].unstack()
    middle = usual[[2, 3, 4]].mean(axis=1)
    counted = days[days["customers"].notna()].groupby("store_id")[["sales", "customers"]].sum()
    # Of the weeks in which the store sold.
    sundays = either.execute(
        "from cleaned.sales where dayname(date) = 'Sunday'"
        " and (store_id, date_trunc('week', date)) in (select (store_id, date_trunc('week', date))"
        " from cleaned.sales where is_open and sales > 0)"
    ).df()
    sells = sundays["is_open"] & (sundays["sales"] > 0)
    month, day = days["date"].dt.month, days["date"].dt.day
    advent = days[(month == 12) & (day >= 10) & (day <= 23)]
    keys = ["store_id", "date", "is_promo"]
    earlier = days[[*keys, "log_sales"]].assign(date=days["date"] + pd.Timedelta(days=364))
    pairs = days.merge(earlier, on=keys, suffixes=("", "_before"))
    growth = (pairs["log_sales"] - pairs["log_sales_before"]).groupby(pairs["store_id"]).mean()
    expected = pd.DataFrame(
        {
            "mean_sales": days.groupby("store_id")["sales"].mean(),
            "promo_lift": np.expm1((means[True] - means[False]).groupby("store_id").mean()),
            "monday_lift": np.expm1(usual[1] - middle),
            "saturday_lift": np.expm1(usual[6] - middle),
            "sunday_share": sells.groupby(sundays["store_id"]).mean(),
            "christmas_lift": np.expm1(advent.groupby("store_id")["sales_deviation"].mean()),
            "basket": counted["sales"] / counted["customers"],
            "yearly_growth": np.expm1(growth),
        }
    )
    agree(of_either("store_clusters"), expected)


def test_the_number_of_groups_is_that_of_the_data() -> None:
    rng = np.random.default_rng(0)
    centres = 10 * np.eye(5)
    scores = np.repeat(centres, [4, 9, 5, 7, 6], axis=0) + rng.normal(0, 0.1, (31, 5))
    labels, silhouette = groups(scores)
    assert np.bincount(labels)[1:].tolist() == [9, 7, 6, 5, 4]
    assert silhouette.min() > 0.9


def test_the_answer_about_groups_tells_how_far_they_are_apart(of_either: Ask) -> None:
    rows = of_either("store_clusters")
    assert "The groups overlap" in answer("store_clusters", rows.assign(silhouette=0.2))
    assert "not far apart" in answer("store_clusters", rows.assign(silhouette=0.3))
    assert "well apart" in answer("store_clusters", rows.assign(silhouette=0.8))


def test_customers_are_not_needed_for_groups(small: duckdb.DuckDBPyConnection) -> None:
    planted(small, 12, customers=False)
    rows = rows_of(small, "store_clusters")
    assert len(rows) == 12
    assert rows["basket"].isna().all()
    assert "nan" not in answer("store_clusters", rows).lower()
    assert as_figure(BY_NAME["store_clusters"].draw(rows))


def test_seven_stores_are_not_grouped(small: duckdb.DuckDBPyConnection) -> None:
    planted(small, 7)
    rows = rows_of(small, "store_clusters")
    assert rows.empty
    assert warehouse.replace_table(small, "insights.store_clusters", rows) == 0
    assert not BY_NAME["store_clusters"].answered(rows)[1]


def test_stores_that_behave_the_same_are_not_grouped(small: duckdb.DuckDBPyConnection) -> None:
    for store in range(1, 11):
        describe(small, store, "a", "basic")
        for day in range(5, 11):
            sell(small, store, f"2015-01-{day:02d}")
    assert rows_of(small, "store_clusters").empty
