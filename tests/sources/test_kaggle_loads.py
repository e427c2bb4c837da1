"""A delivery is loaded whole or not at all, and a later one adds to it and corrects it."""

import os
import random
from datetime import UTC, datetime, timedelta

import pytest

from sales_assets import warehouse
from sales_assets.errors import SourceError
from sales_assets.sources import kaggle
from tests.sources.conftest import (
    GOOD,
    HEADER,
    PLAN_HEADER,
    STORES,
    everything,
    quarantine,
    rows,
)

MALFORMED = [
    pytest.param(
        {"train": ""},
        "train.csv is empty or starts with a blank line; expected a header with the columns "
        "Store, Date, Sales, Open, Promo, StateHoliday, SchoolHoliday; nothing was loaded.",
        id="no bytes",
    ),
    pytest.param(
        {"train": "\ufeff"}, "train.csv is empty or starts with a blank line", id="a mark alone"
    ),
    pytest.param(
        {"train": HEADER},
        "train.csv has a header but no rows; nothing was loaded.",
        id="header alone",
    ),
    pytest.param({"store": STORES[:27]}, "store.csv has a header but no rows", id="no stores"),
    pytest.param({"test": PLAN_HEADER + "\n\n"}, "test.csv has a header but no", id="no plan"),
    pytest.param(
        {"train": "Store,Date,Open\n1,2015-01-05,1\n"},
        "train.csv, line 1: lacks columns Sales, Promo, StateHoliday, SchoolHoliday; the header "
        "reads 'Store,Date,Open'; nothing was loaded.",
        id="columns missing",
    ),
    pytest.param(
        {"train": (HEADER + GOOD).replace(",", ";")},
        "the header reads 'Store;DayOfWeek;Date",
        id="semicolons",
    ),
    pytest.param(
        {"store": "Store,StoreType\n1,a\n"},
        "store.csv, line 1: lacks column Assortment;",
        id="a column of store.csv missing",
    ),
    pytest.param(
        {"test": PLAN_HEADER.replace("Open,", "") + "1,1,2,2015-01-06,1,0,0\n"},
        "test.csv, line 1: lacks column Open;",
        id="a column of test.csv missing",
    ),
    pytest.param(
        {"train": HEADER.replace("DayOfWeek", "sales") + GOOD},
        "train.csv, line 1: has column Sales more than once; the header reads 'Store,sales,Date",
        id="column twice",
    ),
    pytest.param(
        {"train": "Store,store,Date\n1,1,2015-01-05\n"},
        "line 1: lacks columns Sales, Open, Promo, StateHoliday, SchoolHoliday and has column "
        "Store more than once;",
        id="columns missing and a column twice",
    ),
    pytest.param(
        {"train": random.Random(1).randbytes(5000)},
        "train.csv, line 1: lacks columns Store, Date",
        id="binary garbage",
    ),
    pytest.param({"train": (HEADER + GOOD).encode("utf-16")}, "line 1: lacks columns", id="utf-16"),
    pytest.param(
        {"train": HEADER + GOOD + "x" * 70_000 + "\n"},
        "train.csv, line 3: longer than 65,536 bytes",
        id="endless line",
    ),
    pytest.param(
        {"train": b"\0" * 100_000},
        "train.csv, line 1: longer than 65,536 bytes",
        id="nothing but zeros",
    ),
    pytest.param(
        {"train": b"\0" * 40_000},
        "train.csv, line 1: lacks columns Store, Date",
        id="fewer zeros",
    ),
    pytest.param(
        {"train": HEADER.encode() + random.Random(2).randbytes(20_000)},
        "cannot be used, more than the 5 % allowed",
        id="binary garbage below a header",
    ),
]


@pytest.mark.parametrize(("files", "message"), MALFORMED)
def test_a_file_that_cannot_be_used_stops_everything(con, deliver, files, message):
    deliver(
        HEADER + GOOD + "2,1,2015-01-05,-1,1,1,0,0,0\n",
        test=PLAN_HEADER + "1,1,2,2015-01-06,1,1,0,0\n",
    )
    before = everything(con)

    new_stores = {"store": STORES + "3,a,a\n"}
    with pytest.raises(SourceError) as error:
        deliver(**(new_stores | files), max_refused_share=0.05)

    assert message in str(error.value)
    assert str(error.value).endswith("nothing was loaded.")
    assert "\n" not in str(error.value)
    assert everything(con) == before


def test_more_refused_rows_than_allowed_stop_everything_and_three_reasons_are_named(con, deliver):
    good = "".join(
        f"{store},1,{datetime(2015, 1, 1) + timedelta(day):%Y-%m-%d},1,1,1,0,0,0\n"
        for store in (1, 2)
        for day in range(44)
    )
    bad = (
        "1,1,2015-01-05,-5,1,1,0,0,0\n1,1,2015-01-05,-6,1,1,0,0,0\n9,1,2015-01-05,1,1,1,0,0,0\n"
        "8,1,2015-01-05,1,1,1,0,0,0\n1,1,2015-02-30,1,1,1,0,0,0\n1,1,2015-01-05,1,1,1,,0,0\n" * 2
    )
    deliver()
    before = everything(con)

    with pytest.raises(SourceError) as error:
        deliver(HEADER + bad + good, store=STORES + "3,a,a\n", max_refused_share=0.05)

    assert str(error.value) == (
        "train.csv: 12 of 100 rows (12.0 %) cannot be used, more than the 5 % allowed "
        "(SALES_MAX_REFUSED_SHARE); line 2: Sales is negative: -5; line 4: Store 9 is not in "
        "store.csv; line 6: Date '2015-02-30' is not a date (YYYY-MM-DD); nothing was loaded."
    )
    assert everything(con) == before


def test_exactly_the_allowed_share_may_be_refused(con, deliver):
    days = "".join(f"1,1,2015-01-{day:02},1,1,1,0,0,0\n" for day in range(1, 20))
    loads = deliver(HEADER + days + "1,1,2015-01-20,-1,1,1,0,0,0\n", max_refused_share=0.05)

    assert (loads[1].rows, loads[1].refused) == (20, 1)


def test_a_first_delivery_that_fails_leaves_no_table(con, deliver):
    with pytest.raises(SourceError):
        deliver(HEADER)

    assert not warehouse.table_exists(con, "raw.stores")
    assert deliver()[1].rows == 1


def test_later_days_are_added_and_corrected_days_replaced(con, deliver):
    deliver(HEADER + GOOD + "2,1,2015-01-05,50,5,1,0,0,0\n")
    loads = deliver(HEADER + "1,2,2015-01-06,7,1,1,0,0,0\n1,1,2015-01-05,101,,1,1,a,1\n")

    assert [(load.load_id, load.kind, load.is_new) for load in loads] == [
        (1, "stores", False),
        (3, "sales", True),
    ]
    query = (
        "select store_id, date::varchar, sales, customers, is_promo, line, load_id from raw.sales"
    )
    assert rows(con, f"{query} order by 1, 2") == [
        (1, "2015-01-05", 101.0, None, True, 3, 3),
        (1, "2015-01-06", 7.0, 1, False, 2, 3),
        (2, "2015-01-05", 50.0, 5, False, 3, 2),
    ]
    assert rows(con, "select load_id, kind, rows from raw.loads order by 1") == [
        (1, "stores", 2), (2, "sales", 2), (3, "sales", 1 + 1)
    ]  # fmt: skip


def test_a_changed_store_replaces_its_former_self_and_no_other(con, deliver):
    deliver()
    deliver(store="Store,StoreType,Assortment\n2,b,b\n3,c,a\n")

    assert rows(con, "select store_id, store_type, load_id from raw.stores order by 1") == [
        (1, "a", 1), (2, "b", 3), (3, "c", 3)
    ]  # fmt: skip


def test_a_later_plan_replaces_the_same_days(con, deliver):
    deliver(test=PLAN_HEADER + "1,1,2,2015-01-06,1,1,0,0\n2,1,2,2015-01-07,,1,0,0\n")
    deliver(test=PLAN_HEADER + "1,1,2,2015-01-07,0,0,a,0\n2,1,2,2015-01-08,1,1,0,0\n")

    query = "select date::varchar, is_open, is_promo, state_holiday from raw.plan order by 1"
    assert rows(con, query) == [
        ("2015-01-06", True, True, "0"),
        ("2015-01-07", False, False, "a"),
        ("2015-01-08", True, True, "0"),
    ]


def test_the_same_files_twice_change_nothing(con, deliver):
    files = {
        "train": HEADER + GOOD + "1,1,2015-01-06,-5,1,1,0,0,0\n",
        "test": PLAN_HEADER + "1,1,2,2015-01-06,1,1,0,0\n",
    }
    first = deliver(**files)
    before = everything(con)
    second = deliver(**files)

    assert everything(con) == before
    assert [load.is_new for load in first + second] == [True] * 3 + [False] * 3
    assert [load.load_id for load in second] == [1, 2, 3]
    assert [load.refused for load in second] == [0, 1, 0]


def test_a_former_file_that_comes_again_is_left_alone_and_told_how_to_be_loaded(
    con, deliver, caplog
):
    caplog.set_level("INFO", logger="sales_assets.raw")
    first = HEADER + GOOD
    deliver(first)
    deliver(first.replace(",100,", ",120,"))
    caplog.clear()

    _, load = deliver(first)

    assert (load.load_id, load.is_new, load.superseded_by) == (2, False, 3)
    assert rows(con, "select sales from raw.sales") == [(120.0,)]
    assert "what load 3 changed since then stays; to load it all the same" in caplog.text
    _, load = deliver(first + "\n")
    assert load.is_new
    assert rows(con, "select sales from raw.sales") == [(100.0,)]


def test_a_store_that_becomes_known_brings_its_refused_rows_back(con, deliver):
    train = HEADER + GOOD + "3,1,2015-01-05,30,1,1,0,0,0\n2,1,2015-01-05,-1,1,1,0,0,0\n"
    deliver(train)
    assert quarantine(con) == [(3, "Store 3 is not in store.csv"), (4, "Sales is negative: -1")]

    loads = deliver(train, store=STORES + "3,a,a\n")

    assert [(load.load_id, load.is_new, load.refused) for load in loads] == [
        (3, True, 0),
        (4, True, 1),
    ]
    assert rows(con, "select store_id, sales from raw.sales order by 1") == [(1, 100.0), (3, 30.0)]
    assert rows(con, "select load_id, line, reason from quality.quarantine") == [
        (4, 4, "Sales is negative: -1")
    ]


def test_a_new_store_csv_undoes_no_correction(con, deliver, caplog):
    caplog.set_level("INFO", logger="sales_assets.raw")
    train = HEADER + GOOD + "3,1,2015-01-05,30,1,1,0,0,0\n"
    plan = PLAN_HEADER + "1,1,2,2015-01-06,1,1,0,0\n2,3,2,2015-01-06,1,1,0,0\n"
    corrected_plan = PLAN_HEADER + "7,1,2,2015-01-06,0,0,0,0\n"
    deliver(train, test=plan)
    deliver(train.replace(",100,", ",777,"), test=corrected_plan)

    deliver(train, store=STORES + "3,a,a\n", test=plan)

    assert rows(con, "select store_id, sales from raw.sales order by 1") == [(1, 777.0), (3, 30.0)]
    query = "select store_id, id, is_open, load_id from raw.plan order by 1"
    assert "train.csv: load 7, judged once more, 1 rows added, 0 refused" in (caplog.text)
    # The plan that came last is still the one that a submission answers.
    assert rows(con, query) == [(1, 7, False, 5), (3, 2, True, 3)]


def test_of_files_that_are_judged_again_the_later_one_counts(con, deliver):
    first, second = (HEADER + GOOD + f"3,1,2015-01-05,{sold},1,1,0,0,0\n" for sold in (10, 20))
    deliver(first)
    deliver(second)
    deliver(first, store=STORES + "3,a,a\n")
    deliver(second, store=STORES + "3,a,b\n")

    assert rows(con, "select store_id, sales from raw.sales order by 1") == [(1, 100.0), (3, 20.0)]


def test_a_file_that_was_judged_again_has_superseded_none(con, deliver, caplog):
    caplog.set_level("INFO", logger="sales_assets.raw")
    train = HEADER + GOOD
    corrected = train.replace(",100,", ",777,")
    deliver(train)
    deliver(corrected)
    deliver(train, store=STORES + "3,a,a\n")

    _, of_former = deliver(train, store=STORES + "3,a,a\n")
    _, of_newest = deliver(corrected, store=STORES + "3,a,a\n")
    assert (of_former.is_new, of_former.superseded_by) == (False, 3)
    assert "already loaded as load 2, and what load 3 changed since then stays" in caplog.text
    assert (of_newest.is_new, of_newest.superseded_by) == (False, None)
    assert rows(con, "select sales from raw.sales") == [(777.0,)]


def test_days_that_were_in_the_future_are_loaded_once_they_have_come(con, deliver, monkeypatch):
    class Clock(datetime):
        days = 0

        @classmethod
        def now(cls, tz=None):
            return datetime(2015, 1, 5, tzinfo=UTC) + timedelta(days=cls.days)

    monkeypatch.setattr(kaggle, "datetime", Clock)
    later = [f"1,1,2015-01-{day:02},50,5,1,0,0,0\n" for day in (8, 9)]
    train = HEADER + GOOD + "".join(later)
    deliver(train)
    assert len(quarantine(con)) == 2
    Clock.days = 2
    assert not deliver(train)[1].is_new
    Clock.days = 3
    _, load = deliver(train)
    assert (load.is_new, load.added, load.refused) == (True, 1, 1)
    Clock.days = 4
    assert deliver(train)[1].added == 1
    assert not deliver(train)[1].is_new
    assert len(rows(con, "from raw.sales")) == 3
    assert quarantine(con) == []


def test_a_pipe_is_no_file(con, deliver, tmp_path):
    source = tmp_path / "pipes"
    source.mkdir()
    (source / "store.csv").write_text(STORES)
    os.mkfifo(source / "train.csv")
    with pytest.raises(SourceError, match=r"has no train\.csv"):
        kaggle.deliver(con, source, max_refused_share=0, scratch=tmp_path / "scratch")


def test_a_day_that_comes_again_unchanged_keeps_the_load_that_it_came_with(con, deliver):
    deliver(HEADER + GOOD)
    deliver(HEADER + GOOD + "2,1,2015-01-05,50,5,1,0,0,0\n")
    query = "select store_id, load_id, line from raw.sales order by 1"
    assert rows(con, query) == [(1, 2, 2), (2, 3, 3)]

    deliver(HEADER + "2,1,2015-01-05,50,,1,0,0,0\n" + GOOD)
    assert rows(con, query) == [(1, 2, 2), (2, 4, 2)]


def test_quarantined_rows_of_other_files_stay(con, deliver):
    deliver(HEADER + GOOD + "1,1,2015-01-06,-5,1,1,0,0,0\n")
    deliver(HEADER + GOOD + "1,1,2015-01-06,-6,1,1,0,0,0\n")

    assert quarantine(con) == [(3, "Sales is negative: -5"), (3, "Sales is negative: -6")]
