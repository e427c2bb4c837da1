"""What the data hold, counted a second way; what is out of the ordinary, and why."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets.questions.figure import as_figure
from tests.questions.conftest import BY_NAME, Ask, answer
from tests.questions.oracle import ALIKE, agree
from tests.questions.tiny import sell

TABLES = ("sales", "stores", "plan")


def sell_daily(
    con: duckdb.DuckDBPyConnection, store: int, first: str, last: str, **far: float
) -> None:
    """Insert a selling day a date; keywords such as `may_05` give the scores of flagged ones."""
    for date in pd.date_range(first, last):
        sell(con, store, str(date.date()), score=far.get(f"{date:%b_%d}".lower(), 0))


def reason(con: duckdb.DuckDBPyConnection, date: str, store: int = 1) -> str:
    """Return why a store's day was flagged."""
    rows = BY_NAME["outliers"].rows(con)
    (found,) = rows[(rows["store_id"] == store) & (rows["date"] == pd.Timestamp(date))]["reason"]
    return str(found)


def test_the_overview_counts_what_a_loop_counts(
    either: duckdb.DuckDBPyConnection, of_either: Ask
) -> None:
    tables = {name: either.execute(f"from cleaned.{name}").df() for name in TABLES}
    sales, stores, plan = tables.values()
    sells = sales["is_open"] & (sales["sales"] > 0)
    is_sold = stores["store_id"].isin(sales["store_id"])
    facts = {
        "store days": (sales, sales["store_id"].notna()),
        "selling days": (sales, sells),
        "closed days": (sales, ~sales["is_open"] & ~sales["is_absent"]),
        "days that no file speaks of": (sales, sales["is_absent"]),
        "selling days without a count of customers": (
            sales, sells & ~(sales["customers"].fillna(0) > 0)
        ),
        "openings left blank": (sales, sales["is_open_inferred"]),
        "closed by the file, open by its sales": (sales, sales["is_open_corrected"]),
        "open without sales": (sales, sales["is_open"] & (sales["sales"] == 0)),
        "sales far from the usual": (sales, sales["is_outlier"]),
        "described stores": (stores, stores["store_id"].notna()),
        "described stores without days": (stores, ~is_sold),
        "distance of the competitor unknown": (stores, stores["competition_distance_m"].isna()),
        "opening of the competitor unknown": (stores, stores["competition_open_since"].isna()),
        "planned store days": (plan, plan["store_id"].notna()),
        "days that no plan speaks of": (plan, plan["is_derived"]),
        "planned openings left blank": (plan, plan["is_open_inferred"]),
    }  # fmt: skip
    expected = pd.DataFrame(
        [
            {"fact": fact, "rows": holds.sum(), "share": holds.mean(),
             "stores": table.loc[holds, "store_id"].nunique()}
            for fact, (table, holds) in facts.items()
        ]
    ).set_index("fact")  # fmt: skip
    rows = of_either("data_overview")
    told = rows.set_index("fact")
    assert rows["fact"].tolist() == [*facts, "rows refused"]
    agree(rows[rows["fact"] != "rows refused"], expected)
    for fact, (table, holds) in facts.items():
        dates = table.loc[holds, "date"] if "date" in table else pd.Series([pd.NaT])
        for column, date in (("first_day", dates.min()), ("last_day", dates.max())):
            assert told.loc[fact, column] is date or told.loc[fact, column] == date
    for fact in ("days that no file speaks of", "sales far from the usual",
                 "opening of the competitor unknown"):  # fmt: skip
        assert told.loc[fact, "rows"] > 0


def test_every_day_is_selling_closed_absent_or_open_in_vain(of_either: Ask) -> None:
    rows = of_either("data_overview").set_index("fact")["rows"]
    kinds = ["selling days", "closed days", "days that no file speaks of", "open without sales"]
    assert rows[kinds].sum() == rows["store days"]


def test_repairs_refusals_and_the_plan_are_told(small: duckdb.DuckDBPyConnection) -> None:
    sell(small, 1, "2015-01-05")
    small.execute("insert into cleaned.stores (store_id) values (1), (2)")
    small.execute("update cleaned.sales set is_open_corrected = true")
    small.execute("insert into quality.quarantine values (1, 'train.csv', 3, 'Sales is blank', '')")
    small.execute(
        "insert into cleaned.plan values"
        " (1, '2015-01-06', true, false, 'none', false, true, false),"
        " (1, '2015-01-07', true, false, 'none', false, false, true)"
    )
    table = BY_NAME["data_overview"].rows(small)
    rows = table.set_index("fact")
    assert rows.loc["days that no plan speaks of", "rows"] == 1
    assert rows.loc["days that no plan speaks of", "last_day"] == pd.Timestamp("2015-01-06")
    assert rows.loc["planned openings left blank", "share"] == 0.5
    assert rows.loc["described stores without days", "rows"] == 1
    text = answer("data_overview", table)
    assert "1 store from Monday 5 January 2015 to Monday 5 January 2015: 1 selling day" in text
    assert "1 opening had to be repaired and 1 row refused" in text
    assert "0 days that no file speaks of (0.0 %)" in text
    assert "50.0 % of the plan until 7 January 2015 is derived" in text
    small.execute("update cleaned.plan set is_derived = false")
    told = answer("data_overview", BY_NAME["data_overview"].rows(small))
    assert "the plan until 7 January 2015 was delivered" in told
    assert as_figure(BY_NAME["data_overview"].draw(table))


@pytest.mark.parametrize(
    ("counted", "says"),
    [
        ([100, 100], "customers were counted on every selling day"),
        ([100, None], "customers were not counted on 50.0 % of the selling days"),
        ([None, None], "customers were never counted"),
        ([0, 0], "customers were never counted"),
    ],
)
def test_what_is_known_of_customers_is_told(
    small: duckdb.DuckDBPyConnection, counted: list[int | None], says: str
) -> None:
    for day, customers in enumerate(counted, start=5):
        sell(small, 1, f"2015-01-0{day}", customers=customers)
    assert says in answer("data_overview", BY_NAME["data_overview"].rows(small))


@pytest.mark.parametrize("name", ["data_overview", "outliers"])
def test_no_day_is_no_answer(small: duckdb.DuckDBPyConnection, name: str) -> None:
    question = BY_NAME[name]
    rows = question.rows(small)
    assert rows.empty
    assert question.answered(rows) == (f"No answer: it needs {question.needs}.", False)


def reasons(days: pd.DataFrame, holidays: pd.DataFrame) -> pd.Series:
    """Return the first reason that fits each selling day, whether it was flagged or not.

    Args:
        days: The selling days, by store and date.
        holidays: The stores' state holidays.
    """
    date, score = days["date"], days["outlier_score"]
    above, below = score > 0, score < 0
    of_store = days.groupby("store_id")
    day = pd.Timedelta(days=1)
    reopened = date.where(of_store["date"].diff() > 7 * day)
    closes = date.where(-of_store["date"].diff(-1) > 7 * day)
    near = {
        (row.store_id, row.date + shift * day)
        for row in holidays.itertuples()
        for shift in range(-3, 4)
    }
    mondays = holidays["date"][
        (holidays["state_holiday"] == "easter") & (holidays["date"].dt.dayofweek == 0)
    ]
    carnival = {monday - shift * day for monday in mondays.unique() for shift in range(48, 54)}
    usual_basket = of_store["log_basket"].transform("median")
    odd = days["log_basket"] - usual_basket
    of_date = days.groupby("date")
    sizes = of_date["store_id"].transform("size")
    alike = pd.Series(0, index=days.index)
    for side in (above, below):
        flagged = (days["is_outlier"] & side).groupby(date).transform("sum")
        alike = alike.mask(side, flagged - days["is_outlier"])
    month, number = date.dt.month, date.dt.day
    fits = {
        "half day before a feast": below & (month == 12) & number.isin([24, 31]),
        "Christmas shopping": above & ((month == 12) | (month == 11) & (number >= 25)),
        "carnival": below & date.isin(carnival),
        "promotion unlike the chain's": days["is_promo"]
        != (of_date["is_promo"].transform("mean") > 0.5),
        "unusual basket": above & (odd > np.log(1.5)) | below & (odd < -np.log(1.5)),
        "reopened within a fortnight": date - reopened.groupby(days["store_id"]).ffill() < 14 * day,
        "closing within a week": closes.groupby(days["store_id"]).bfill() - date < 7 * day,
        "holiday within three days": pd.Series(
            [key in near for key in zip(days["store_id"], date, strict=True)], index=days.index
        ),
        "other stores too": (sizes >= 4) & (alike >= np.maximum(3, 0.02 * sizes)),
    }
    return pd.Series(np.select(list(fits.values()), list(fits), "unexplained"), index=days.index)


def test_flagged_days_and_their_reasons_are_those_of_pandas(
    either: duckdb.DuckDBPyConnection, days: pd.DataFrame, of_either: Ask
) -> None:
    holidays = either.execute("from cleaned.sales where state_holiday <> 'none'").df()
    days = days.sort_values(["store_id", "date"], ignore_index=True)
    days = days.assign(reason=reasons(days, holidays))
    days["usual_sales"] = days.groupby(ALIKE)["sales"].transform("median")
    days["deviation"] = days["sales"] / days["usual_sales"] - 1
    others = days.loc[~days["is_outlier"], "reason"].value_counts(normalize=True)
    expected = days[days["is_outlier"]].set_index(["store_id", "date"])
    found = of_either("outliers").set_index(["store_id", "date"])
    assert found["outlier_score"].abs().is_monotonic_decreasing
    found = found.loc[expected.index]
    assert len(found) == len(of_either("outliers")) > 20
    assert found["reason"].tolist() == expected["reason"].tolist()
    assert expected["reason"].nunique() > 5
    assert (found["selling_days"] == len(days)).all()
    for column in ("weekday", "sales", "usual_sales", "deviation", "outlier_score", "is_promo"):
        assert np.allclose(found[column], expected[column])
    shares = expected["reason"].map(others).fillna(0)
    assert np.allclose(found["share_of_other_days"], shares)
    # The score and what is told beside it agree on the direction.
    far = found[found["deviation"].abs() > 0.1]
    assert (np.sign(far["deviation"]) == np.sign(far["outlier_score"])).all()


def test_half_days_of_the_sample_are_told_as_such(of_sample: Ask) -> None:
    rows = of_sample("outliers")
    low = rows[rows["outlier_score"] < 0]
    half = low[(low["date"].dt.month == 12) & low["date"].dt.day.isin([24, 31])]
    assert len(half) > 5
    assert (half["reason"] == "half day before a feast").all()
    assert not (rows["reason"] == "half day before a feast").drop(half.index).any()


def test_reasons_fit_one_direction_alone(small: duckdb.DuckDBPyConnection) -> None:
    sell_daily(small, 1, "2014-11-20", "2015-01-10", nov_24=9, dec_17=9, dec_24=-9)
    sell_daily(small, 2, "2014-11-20", "2015-01-10", dec_17=-9, dec_24=9)
    assert reason(small, "2014-12-24") == "half day before a feast"
    assert reason(small, "2014-12-24", store=2) == "Christmas shopping"
    assert reason(small, "2014-12-17") == "Christmas shopping"
    assert reason(small, "2014-12-17", store=2) == "unexplained"
    assert reason(small, "2014-11-24") == "unexplained"


def test_the_first_days_after_a_closure_and_the_last_before_it_are_told(
    small: duckdb.DuckDBPyConnection,
) -> None:
    for day in range(1, 31):
        flagged = day in (1, 24, 25)
        sell(small, 1, f"2014-06-{day:02d}", score=9 if flagged else 0)
    for day in range(8, 29):
        sell(small, 1, f"2014-07-{day:02d}", score=9 if day in (8, 21, 22) else 0)
    assert reason(small, "2014-06-01") == "unexplained"
    assert reason(small, "2014-06-24") == "closing within a week"
    assert reason(small, "2014-07-08") == "reopened within a fortnight"
    assert reason(small, "2014-07-21") == "reopened within a fortnight"
    assert reason(small, "2014-07-22") == "unexplained"


def test_closed_weekends_are_no_closures(small: duckdb.DuckDBPyConnection) -> None:
    for date in pd.bdate_range("2014-06-02", "2014-06-27"):
        sell(small, 1, str(date.date()), score=9 if date.day == 13 else 0)
    assert reason(small, "2014-06-13") == "unexplained"


def test_holidays_carnival_and_promotions_are_told(small: duckdb.DuckDBPyConnection) -> None:
    sell_daily(
        small, 1, "2014-02-20", "2014-05-20", mar_03=-9, mar_04=9, mar_05=-9, apr_24=9, apr_25=9,
        may_05=9,
    )  # fmt: skip
    sell_daily(small, 2, "2014-05-05", "2014-05-05")
    sell_daily(small, 3, "2014-05-05", "2014-05-05")
    small.execute("update cleaned.sales set is_promo = store_id = 1 where date = '2014-05-05'")
    # Easter Monday: Ash Wednesday is on 5 March.
    small.execute("update cleaned.sales set state_holiday = 'easter' where date = '2014-04-21'")
    assert reason(small, "2014-05-05") == "promotion unlike the chain's"
    assert reason(small, "2014-04-24") == "holiday within three days"
    assert reason(small, "2014-04-25") == "unexplained"
    assert reason(small, "2014-03-03") == "carnival"
    assert reason(small, "2014-03-04") == "unexplained"
    assert reason(small, "2014-03-05") == "unexplained"


def test_a_shock_is_common_when_three_other_stores_have_it(
    small: duckdb.DuckDBPyConnection,
) -> None:
    for store in range(1, 11):
        sell(small, store, "2014-05-05", score=-9 if store <= 4 else 0)
        sell(small, store, "2014-05-06", score=-9 if store <= 3 else 0)
        sell(small, store, "2014-05-07", score=9 if store == 1 else -9 if store <= 5 else 0)
    assert reason(small, "2014-05-05") == "other stores too"
    assert reason(small, "2014-05-06") == "unexplained"
    assert reason(small, "2014-05-07") == "unexplained"


def test_a_basket_unlike_the_others_is_told_where_customers_are_counted(
    small: duckdb.DuckDBPyConnection,
) -> None:
    for store, customers in ((1, 100), (2, None)):
        for day in range(1, 10):
            sell(small, store, f"2014-05-{day:02d}", customers=customers)
        sell(small, store, "2014-05-12", sales=9_000, customers=customers, score=9)
    assert reason(small, "2014-05-12") == "unusual basket"
    assert reason(small, "2014-05-12", store=2) == "unexplained"


def test_the_answer_tells_the_share_that_has_a_reason(of_either: Ask) -> None:
    rows = of_either("outliers")
    share = 100 * (rows["reason"] != "unexplained").mean()
    assert f"{share:.0f} % of them have a likely reason" in answer("outliers", rows)
    doctored = rows.assign(reason="unexplained")
    assert "none of them has a reason" in answer("outliers", doctored)
    furthest = rows.loc[rows["outlier_score"].abs().idxmax()]
    rest = rows.drop(furthest.name)
    assert f"store {furthest['store_id']} on" in answer("outliers", rows)
    assert f"{furthest['sales']:,.0f}, usually" not in answer("outliers", rest)
    assert "1 day of" in answer("outliers", rows.head(1))


def test_a_single_flagged_day_is_drawn(small: duckdb.DuckDBPyConnection) -> None:
    sell(small, 1, "2014-05-05", score=9)
    rows = BY_NAME["outliers"].rows(small)
    assert rows["share_of_other_days"].tolist() == [0]
    assert as_figure(BY_NAME["outliers"].draw(rows))
