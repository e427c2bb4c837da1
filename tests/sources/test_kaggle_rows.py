"""Each delivered row is used as it is meant, or kept in the quarantine with the reason."""

import logging
import random
from datetime import UTC, datetime, timedelta

import pytest

from sales_assets.sources import kaggle
from tests.conftest import REAL_DATA
from tests.sources.conftest import (
    GOOD,
    HEADER,
    PLAN_HEADER,
    STORE_HEADER,
    quarantine,
    rows,
)


def test_a_delivery_is_typed_and_says_where_each_row_comes_from(con, deliver):
    store = STORE_HEADER + '1,c,a,1270,9,2008,1,13,2010,"Jan,Apr,Jul,Sept"\n2,d,b,,,,0,,,\n'
    test = PLAN_HEADER + "7,1,2,2015-01-06,,1,a,1\n"
    loads = deliver(HEADER + "1,1,2015-01-05,5263.5,555,1,1,b,0\n", store, test)

    assert [(load.load_id, load.file, load.kind, load.rows, load.refused) for load in loads] == [
        (1, "store.csv", "stores", 2, 0),
        (2, "train.csv", "sales", 1, 0),
        (3, "test.csv", "plan", 1, 0),
    ]
    assert all(load.is_new and len(load.sha256) == 64 for load in loads)
    day = datetime(2015, 1, 5).date()
    assert rows(con, "from raw.stores order by store_id") == [
        (1, "c", "a", 1270.0, 9, 2008, True, 13, 2010, "Jan,Apr,Jul,Sept", "store.csv", 2, 1),
        (2, "d", "b", None, None, None, False, None, None, None, "store.csv", 3, 1),
    ]
    assert rows(con, "from raw.sales") == [
        (1, day, 5263.5, 555, True, True, "b", False, "train.csv", 2, 2)
    ]
    assert rows(con, "from raw.plan") == [
        (7, 1, day + timedelta(1), None, True, "a", True, "test.csv", 2, 3)
    ]
    recorded = rows(con, "select load_id, file, kind, sha256, rows, refused from raw.loads")
    assert recorded == [
        (load.load_id, load.file, load.kind, load.sha256, load.rows, load.refused) for load in loads
    ]
    (loaded_at,) = rows(con, "select max(loaded_at) from raw.loads")[0]
    assert abs(datetime.now(UTC).replace(tzinfo=None) - loaded_at) < timedelta(minutes=5)


@pytest.mark.skipif(not REAL_DATA.exists(), reason=f"needs the files of Rossmann in {REAL_DATA}")
def test_the_real_files_load_without_a_refused_row(con, tmp_path):
    loads = kaggle.deliver(con, REAL_DATA, max_refused_share=0, scratch=tmp_path)

    assert [(load.rows, load.refused) for load in loads] == [(1115, 0), (86871, 0), (4200, 0)]


@pytest.mark.parametrize(
    "train",
    [
        pytest.param(HEADER + GOOD + "2,1,2015-01-05,0,0,0,1,a,1\n", id="plain"),
        pytest.param(HEADER + GOOD + "2,1,2015-01-05,0,0,0,1,a,1", id="no line end at the end"),
        pytest.param(
            (HEADER + GOOD + "2,1,2015-01-05,0,0,0,1,a,1\n").replace("\n", "\r\n"),
            id="windows line ends",
        ),
        pytest.param(
            HEADER.replace("\n", "\r\n") + GOOD + "2,1,2015-01-05,0,0,0,1,a,1\r\n",
            id="mixed line ends",
        ),
        pytest.param(
            "\ufeff" + HEADER + GOOD + "2,1,2015-01-05,0,0,0,1,a,1\n", id="byte order mark"
        ),
        pytest.param(
            '"Store","DayOfWeek","Date","Sales","Customers","Open","Promo","StateHoliday",'
            '"SchoolHoliday"\n1,1,2015-01-05,100,10,1,0,"0",0\n'
            '"2","1","2015-01-05","0","0","0","1","a","1"\n',
            id="quoted",
        ),
        pytest.param(
            "SchoolHoliday,STATEHOLIDAY,promo,Open,Customers,Sales,Date,Store\n"
            "0,0,0,1,10,100,2015-01-05,1\n1,a,1,0,0,0,2015-01-05,2\n",
            id="any order and case, no DayOfWeek",
        ),
        pytest.param(
            "Store,Town,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday,line\n"
            '1,"Köln, ""Süd""",2015-01-05,100,10,1,0,0,0,x\n2,Göttingen,2015-01-05,0,0,0,1,a,1,x\n',
            id="extra columns",
        ),
        pytest.param(
            HEADER + " 1 , 1,2015-01-05,100.0,10.0,1.0,0, 0,0.0\n2,1,2015-01-05, 0,0,0,1,a,1\n",
            id="spaces and pandas' decimals",
        ),
    ],
)
def test_every_published_form_of_the_file_gives_the_same_rows(con, deliver, train):
    deliver(train, max_refused_share=0)

    day = datetime(2015, 1, 5).date()
    assert rows(con, "select * exclude (file, load_id) from raw.sales order by store_id") == [
        (1, day, 100.0, 10, True, False, "0", False, 2),
        (2, day, 0.0, 0, False, True, "a", True, 3),
    ]


def test_extra_columns_are_named_in_the_log(deliver, caplog):
    caplog.set_level(logging.INFO, logger="sales_assets.raw")

    deliver(
        "Store,Town,Date,Sales,Open,Promo,StateHoliday,SchoolHoliday\n1,x,2015-01-05,1,1,0,0,0\n"
    )

    assert caplog.messages == [
        "store.csv: load 1, 2 rows loaded, 0 refused",
        "train.csv: ignored column Town",
        "train.csv: load 2, 1 rows loaded, 0 refused",
    ]


def test_customers_and_details_of_stores_may_be_absent(con, deliver):
    deliver("Store,Date,Sales,Open,Promo,StateHoliday,SchoolHoliday\n1,2015-01-05,5,,0,0,0\n")

    assert rows(con, "select customers, is_open from raw.sales") == [(None, None)]
    assert rows(con, "select competition_distance_m, promo2, promo_interval from raw.stores") == [
        (None, False, None),
        (None, False, None),
    ]


def test_a_blank_promo2_is_told_by_its_details(con, deliver):
    deliver(store=STORE_HEADER + "1,a,a,,,,,31,2013,\n2,a,a,,,,,,,\n")

    assert rows(con, "select store_id, promo2 from raw.stores order by 1") == [
        (1, True),
        (2, False),
    ]


def test_blank_lines_count_as_lines_but_not_as_rows(con, deliver):
    loads = deliver(HEADER + "\n" + GOOD + "  \r\n\n2,1,2015-01-05,-1,0,0,1,a,1\n\n")

    assert loads[1].rows == 2
    assert rows(con, "select line from raw.sales") == [(3,)]
    assert quarantine(con) == [(6, "Sales is negative: -1")]


# Still in the future when midnight passes while the tests run.
IN_TWO_DAYS = (datetime.now(UTC) + timedelta(2)).date().isoformat()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",1,2015-01-06,1,1,1,0,0,0", "Store is blank"),
        ("x,1,2015-01-06,1,1,1,0,0,0", "Store 'x' is not a whole number"),
        ("1.5,1,2015-01-06,1,1,1,0,0,0", "Store '1.5' is not a whole number"),
        ("99999999999,1,2015-01-06,1,1,1,0,0,0", "Store '99999999999' is not a whole number"),
        ("nan,1,2015-01-06,1,1,1,0,0,0", "Store 'nan' is not a whole number"),
        ("9999,1,2015-01-06,1,1,1,0,0,0", "Store 9999 is not in store.csv"),
        ("-1,1,2015-01-06,1,1,1,0,0,0", "Store -1 is not in store.csv"),
        ("1,1,,1,1,1,0,0,0", "Date is blank"),
        ("1,1,2015-02-30,1,1,1,0,0,0", "Date '2015-02-30' is not a date (YYYY-MM-DD)"),
        ("1,1,05.01.2015,1,1,1,0,0,0", "Date '05.01.2015' is not a date (YYYY-MM-DD)"),
        ("1,1,2015/01/06,1,1,1,0,0,0", "Date '2015/01/06' is not a date (YYYY-MM-DD)"),
        ("1,1,1989-12-31,1,1,1,0,0,0", "Date 1989-12-31 is before 1990"),
        (f"1,1,{IN_TWO_DAYS},1,1,1,0,0,0", f"Date {IN_TWO_DAYS} is in the future"),
        (
            "1,1,2019-01-05,1,1,1,0,0,0",
            "Date 2019-01-05 is 1459 days after 2015-01-07, the last of the other days "
            "(at most 92 allowed)",
        ),
        (
            "1,1,2014-10-04,1,1,1,0,0,0",
            "Date 2014-10-04 is 93 days before 2015-01-05, the first of the other days "
            "(at most 92 allowed)",
        ),
        ("1,1,2015-01-06,,1,1,0,0,0", "Sales is blank"),
        ("1,1,2015-01-06,,1,,0,0,0", "Sales is blank"),
        ("1,1,2015-01-06,abc,1,1,0,0,0", "Sales 'abc' is not a number"),
        ("1,1,2015-01-06,NaN,1,1,0,0,0", "Sales 'NaN' is not a number"),
        ("1,1,2015-01-06,inf,1,1,0,0,0", "Sales 'inf' is not a number"),
        ("1,1,2015-01-06,-5,1,1,0,0,0", "Sales is negative: -5"),
        ("1,1,2015-01-06,1,many,1,0,0,0", "Customers 'many' is not a whole number"),
        ("1,1,2015-01-06,1,1.5,1,0,0,0", "Customers '1.5' is not a whole number"),
        ("1,1,2015-01-06,1,-3,1,0,0,0", "Customers is negative: -3"),
        ("1,1,2015-01-06,1,1,2,0,0,0", "Open '2' is neither 0 nor 1"),
        ("1,1,2015-01-06,1,1,yes,0,0,0", "Open 'yes' is neither 0 nor 1"),
        ("1,1,2015-01-06,1,1,1,,0,0", "Promo is blank"),
        ("1,1,2015-01-06,1,1,1,0.5,0,0", "Promo '0.5' is neither 0 nor 1"),
        ("1,1,2015-01-06,1,1,1,0,,0", "StateHoliday is blank"),
        ("1,1,2015-01-06,1,1,1,0,d,0", "StateHoliday 'd' is none of 0, a, b, c"),
        ("1,1,2015-01-06,1,1,1,0,0,", "SchoolHoliday is blank"),
        ("1,1,2015-01-06,1,1,1,0,0,-1", "SchoolHoliday '-1' is neither 0 nor 1"),
        ("1,1,2015-01-05,7,1,1,0,0,0", "Store 1 on 2015-01-05 repeats line 2"),
        ("1,1,2015-01-06,1,1,1,0,0", "Row has 8 fields where the header has 9"),
        ("1,1,2015-01-06,1,1,1,0,0,0,0", "Row has 10 fields where the header has 9"),
        ("garbage", "Row has 1 field where the header has 9"),
        ('1,1,"2015-01-06,1,1,1,0,0,0', "Quotes are not closed or stand inside a value"),
        ('1,1,2015-01-06",1,1,1,0,0,0', "Quotes are not closed or stand inside a value"),
        ('1,1,"2015-01-06"x,1,1,1,0,0,0', "Quotes are not closed or stand inside a value"),
        ("1,1,2015-01-06,\x1b[2J,1,1,0,0,0", r"Sales '\x1b[2J' is not a number"),
        ("1,1,2015-01-06,1\0,1,1,0,0,0", r"Sales '1\x00' is not a number"),
    ],
)
def test_a_row_of_sales_that_cannot_be_used_is_quarantined(con, deliver, row, reason):
    # Rows on both sides prove that a fault neither moves a line nor swallows its neighbours.
    after = "2,1,2015-01-05,1,1,1,0,0,0\n2,1,2015-01-07,1,1,1,0,0,0\n"
    loads = deliver(HEADER + GOOD + row + "\n" + after)

    assert quarantine(con) == [(3, reason)]
    assert (loads[1].rows, loads[1].refused) == (4, 1)
    assert rows(con, "select line from raw.sales order by line") == [(2,), (4,), (5,)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,1,2,2015-01-06,1,1,0,0", "Id 'x' is not a whole number"),
        ("1,1,2,2015-01-06,maybe,1,0,0", "Open 'maybe' is neither 0 nor 1"),
        ("1,1,2,2015-01-06,1,,0,0", "Promo is blank"),
        ("1,3,2,2015-01-06,1,1,0,0", "Store 3 is not in store.csv"),
        ("1,1,2,2015-13-06,1,1,0,0", "Date '2015-13-06' is not a date (YYYY-MM-DD)"),
        ("1,2,2,2015-01-06,1,1,0,0", "Store 2 on 2015-01-06 repeats line 2"),
        (
            "1,1,2,2105-01-06,1,1,0,0",
            "Date 2105-01-06 is 32872 days after 2015-01-06, the last of the other days "
            "(at most 92 allowed)",
        ),
    ],
)
def test_a_row_of_the_plan_that_cannot_be_used_is_quarantined(con, deliver, row, reason):
    deliver(test=PLAN_HEADER + "5,2,2,2015-01-06,1,0,0,0\n" + row + "\n")

    assert quarantine(con) == [(3, reason)]
    assert rows(con, "select id, line from raw.plan") == [(5, 2)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,a,a,,,,0,,,", "Store 1 repeats line 2"),
        (",a,a,,,,0,,,", "Store is blank"),
        ("S3,a,a,,,,0,,,", "Store 'S3' is not a whole number"),
        ("-3,a,a,,,,0,,,", "Store is negative: -3"),
        ("3,,a,,,,0,,,", "StoreType is blank"),
        ("3,e,a,,,,0,,,", "StoreType 'e' is none of a, b, c, d"),
        ("3,a,,,,,0,,,", "Assortment is blank"),
        ("3,a,d,,,,0,,,", "Assortment 'd' is none of a, b, c"),
        ("3,a,a,far,,,0,,,", "CompetitionDistance 'far' is not a number"),
        ("3,a,a,nan,,,0,,,", "CompetitionDistance 'nan' is not a number"),
        ("3,a,a,-1,,,0,,,", "CompetitionDistance is negative: -1"),
        ("3,a,a,1,13,2008,0,,,", "CompetitionOpenSinceMonth '13' is not a month (1 to 12)"),
        ("3,a,a,1,1.5,2008,0,,,", "CompetitionOpenSinceMonth '1.5' is not a month (1 to 12)"),
        ("3,a,a,1,x,2008,0,,,", "CompetitionOpenSinceMonth 'x' is not a month (1 to 12)"),
        ("3,a,a,1,9,208,0,,,", "CompetitionOpenSinceYear '208' is not a year (1900 to 2100)"),
        ("3,a,a,1,9,1e300,0,,,", "CompetitionOpenSinceYear '1e300' is not a year (1900 to 2100)"),
        ("3,a,a,,,,2,,,", "Promo2 '2' is neither 0 nor 1"),
        ("3,a,a,,,,1,54,2010,", "Promo2SinceWeek '54' is not a week (1 to 53)"),
        ("3,a,a,,,,1,0,2010,", "Promo2SinceWeek '0' is not a week (1 to 53)"),
        ("3,a,a,,,,1,1,10,", "Promo2SinceYear '10' is not a year (1900 to 2100)"),
        (
            '3,a,a,,,,1,1,2010,"Jan,Smarch,Juli"',
            "PromoInterval 'Jan,Smarch,Juli' has unknown months: Smarch, Juli",
        ),
        ("3,a,a,,,,1,1,2010,Jan,Apr", "Row has 11 fields where the header has 10"),
    ],
)
def test_a_store_that_cannot_be_used_is_quarantined(con, deliver, row, reason):
    deliver(store=STORE_HEADER + "1,a,a,,,,0,,,\n" + row + "\n2,a,a,1,9.0,2008.0,0,,,\n")

    assert quarantine(con) == [(3, reason)]
    assert rows(con, "select store_id, line from raw.stores order by 1") == [(1, 2), (2, 4)]


def test_the_quarantine_keeps_the_row_as_it_was_delivered(con, deliver):
    row = '1,"2",2015-01-06, -5,"a ""quoted"" value",1,0,0,0'
    deliver(HEADER + GOOD + row + "\n1,\xff\n")

    assert rows(con, "select load_id, file, line, row_text from quality.quarantine") == [
        (2, "train.csv", 3, row),
        (2, "train.csv", 4, "1,\xff"),
    ]


def test_bytes_that_are_no_utf8_are_spelled_out(con, deliver):
    deliver((HEADER + GOOD).encode() + b"1,1,2015-01-06,\xff,1,1,0,0,0\n")

    assert quarantine(con) == [(3, r"Sales '\xff' is not a number")]


def test_of_a_repeated_day_the_first_usable_row_counts(con, deliver):
    deliver(
        HEADER
        + "1,1,2015-01-05,-1,1,1,0,0,0\n"
        + "1,1,2015-01-05,2,1,1,0,0,0\n"
        + "1,1,2015-01-05,3,1,1,0,0,0\n"
        + "1,1,2015-01-05,4,1,1,0,0,0\n"
    )

    assert rows(con, "select sales, line from raw.sales") == [(2.0, 3)]
    assert quarantine(con) == [
        (2, "Sales is negative: -1"),
        (4, "Store 1 on 2015-01-05 repeats line 3"),
        (5, "Store 1 on 2015-01-05 repeats line 3"),
    ]


def test_a_gap_of_three_months_is_a_gap_and_not_a_typing_error(con, deliver):
    deliver(HEADER + GOOD + "1,1,2015-04-07,1,1,1,0,0,0\n", max_refused_share=0)

    assert rows(con, "select max(date)::varchar from raw.sales") == [("2015-04-07",)]


def test_days_far_from_those_already_loaded_are_refused_however_many_they_are(con, deliver):
    deliver()
    days = "".join(f"1,1,2016-01-{day:02},1,1,1,0,0,0\n" for day in range(1, 11))
    deliver(HEADER + days)

    assert len(quarantine(con)) == 10
    assert rows(con, "select max(date)::varchar from raw.sales") == [("2015-01-05",)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_are_right_in_a_file_that_is_read_in_parallel(con, deliver, line_end):
    draw = random.Random(3)
    lines = [HEADER.strip()]
    expected = []
    for number in range(2, 60_000):
        day = (datetime(2000, 1, 1) + timedelta(number // 20)).date()
        store = 1 + number % 20
        kind = draw.random()
        if kind < 0.01:
            expected.append((number, f"Sales is negative: -{number}"))
            lines.append(f"{store},1,{day},-{number},1,1,0,0,0")
        elif kind < 0.02:
            expected.append((number, "Quotes are not closed or stand inside a value"))
            lines.append(f'{store},1,{day},"{number},1,1,0,0,0')
        elif kind < 0.03:
            lines.append("")
        else:
            # Customers carry the line, so that the loaded rows prove themselves.
            lines.append(f'{store},1,{day},"1",{number},1,0,"0",0')
    stores = "Store,StoreType,Assortment\n" + "".join(f"{store},a,a\n" for store in range(1, 21))
    deliver(line_end.join(lines), stores)

    assert quarantine(con) == expected
    assert rows(con, "select count(*) from raw.sales where line is distinct from customers") == [
        (0,)
    ]
