"""Deliveries: files that are written, loaded, and looked for in the tables."""

import pytest

from sales_assets import warehouse
from sales_assets.settings import Settings
from sales_assets.sources import kaggle

STORES = "Store,StoreType,Assortment\n1,a,a\n2,d,c\n"
STORE_HEADER = (
    "Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,"
    "CompetitionOpenSinceYear,Promo2,Promo2SinceWeek,Promo2SinceYear,PromoInterval\n"
)
HEADER = "Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday\n"
PLAN_HEADER = "Id,Store,DayOfWeek,Date,Open,Promo,StateHoliday,SchoolHoliday\n"
GOOD = "1,1,2015-01-05,100,10,1,0,0,0\n"


@pytest.fixture
def con():
    with warehouse.in_memory(Settings()) as con:
        yield con


@pytest.fixture
def deliver(con, tmp_path):
    """Write the given files and load them; by default any share of their rows may be refused."""

    def deliver(train=HEADER + GOOD, store=STORES, test=None, max_refused_share=1.0):
        source = tmp_path / "source"
        write(source, {"train.csv": train, "store.csv": store, "test.csv": test})
        return load(con, source, max_refused_share)

    return deliver


def write(directory, files):
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / name).unlink(missing_ok=True)
        if content is not None:
            data = content if isinstance(content, bytes) else content.encode()
            (directory / name).write_bytes(data)


def load(con, source, max_refused_share=1.0):
    scratch = source.parent / "scratch"
    try:
        return kaggle.deliver(con, source, max_refused_share=max_refused_share, scratch=scratch)
    finally:
        assert list(scratch.iterdir()) == [], "temporary files were left behind"


def rows(con, sql):
    return con.execute(sql).fetchall()


def quarantine(con):
    return rows(con, "select line, reason from quality.quarantine order by load_id, line")


def everything(con):
    tables = ("raw.loads", "raw.stores", "raw.sales", "raw.plan", "quality.quarantine")
    return {table: rows(con, f"from {table} order by all") for table in tables}
