"""Small deliveries that are cleaned, and what became of a store's day."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from sales_assets import cleaned, warehouse
from sales_assets.settings import Settings
from sales_assets.sources import kaggle

MONDAY = date(2015, 1, 5)
STORE_COLUMNS = [
    "Store", "StoreType", "Assortment", "CompetitionDistance", "CompetitionOpenSinceMonth",
    "CompetitionOpenSinceYear", "Promo2", "Promo2SinceWeek", "Promo2SinceYear", "PromoInterval",
]  # fmt: skip


def days_of(stores=(1,), first=MONDAY, days=70):
    """Return train.csv of stores that open from Monday to Saturday, with promotions every other
    week and no holidays, a row a store and day."""
    dates = [first + timedelta(days=day) for day in range(days)]
    rows = pd.DataFrame({"Store": np.repeat(stores, days), "Date": dates * len(stores)})
    weekday = pd.to_datetime(rows["Date"]).dt.dayofweek
    week = pd.to_datetime(rows["Date"]).sub(pd.Timestamp(MONDAY)).dt.days // 7
    is_open = (weekday < 6).astype(int)
    return rows.assign(
        Sales=5_000 * is_open,
        Customers=(500 * is_open).astype(object),
        Open=is_open.astype(object),
        Promo=((week % 2 == 0) & (weekday < 5)).astype(int),
        StateHoliday="0",
        SchoolHoliday=0,
    )


def changed(rows, store, day, **values):
    """Return the rows with other values on a store's day; every store's if it is None."""
    rows = rows.copy()
    chosen = (rows["Date"] == day) & ((rows["Store"] == store) | (store is None))
    assert chosen.any(), f"there is no {day} of store {store}"
    rows.loc[chosen, list(values)] = list(values.values())
    return rows


def planned(stores=(1,), first=None, days=14):
    """Return test.csv of the days after `days_of`, all without promotion, none blank."""
    first = first or MONDAY + timedelta(days=70)
    plan = days_of(stores, first, days).assign(Promo=0).drop(columns=["Sales", "Customers"])
    return plan.assign(Id=range(1, len(plan) + 1))


@pytest.fixture
def con():
    with warehouse.in_memory(Settings(threads=1)) as con:
        yield con


@pytest.fixture
def clean(con, tmp_path):
    """Deliver files and clean them; read the cleaned tables with `table`."""

    def clean(days, stores=None, plan=None, horizon=14):
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        if stores is None:
            stores = pd.DataFrame({"Store": days["Store"].unique()})
            stores = stores.assign(StoreType="a", Assortment="a")
        for name, rows in (("train", days), ("store", stores), ("test", plan)):
            if rows is not None:
                rows.to_csv(source / f"{name}.csv", index=False)
        loads = kaggle.deliver(con, source, max_refused_share=0, scratch=tmp_path / "scratch")
        assert sum(load.refused for load in loads) == 0
        cleaned.clean_stores(con)
        cleaned.clean_sales(con)
        cleaned.clean_plan(con, Settings(horizon=horizon))

    return clean


@pytest.fixture
def one(con):
    """Read columns of the one row of a store's day."""

    def one(table, columns, store, day):
        (row,) = con.execute(
            f"select {columns} from cleaned.{table} where store_id = $store and date = $day",
            {"store": store, "day": day},
        ).fetchall()
        return row

    return one


def dates_where(con, condition, store=1):
    found = con.execute(
        f"select date from cleaned.plan where store_id = {store} and {condition} order by date"
    ).fetchall()
    return [day for (day,) in found]
