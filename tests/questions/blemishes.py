"""What deliveries have and the sample has none of, put into the cleaned tables of 40 stores."""

import duckdb

SHUT = "update cleaned.sales set is_open = false, sales = 0, customers = 0 where {days}"
SELLING = (
    "update cleaned.sales set is_open = true, sales = 700 + 9 * store_id + day(date) * day(date),"
    " customers = 50 + store_id + day(date) where {days}"
)
CHANGES = (
    # Days on which customers were not counted, and two stores in which they never were.
    "update cleaned.sales set customers = if(store_id % 2 = 0, 0, null)"
    " where store_id % 5 < 2 and is_open and day(date) in (4, 13, 31)",
    "update cleaned.sales set customers = null where store_id in (10, 26)",
    # Closures of one, three, four, six and seven days; that of six ends four days before Easter.
    SHUT.format(days="store_id % 6 = 3 and date = '2014-09-17'"),
    SHUT.format(days="store_id % 6 = 1 and date between '2013-08-06' and '2013-08-08'"),
    SHUT.format(days="store_id % 6 = 2 and date between '2014-06-24' and '2014-06-27'"),
    SHUT.format(days="store_id % 6 = 5 and date between '2014-04-08' and '2014-04-13'"),
    SHUT.format(days="store_id % 6 = 4 and date between '2014-08-05' and '2014-08-11'"),
    # Stores that sell on two Sundays a year, on Sundays of late, and on Mondays in May alone.
    SELLING.format(days="store_id = 9 and isodow(date) = 7 and week(date) in (45, 46)"),
    SELLING.format(days="store_id = 19 and isodow(date) = 7 and year(date) > 2013"),
    "update cleaned.sales set sales = 0, customers = 0"
    " where store_id = 12 and isodow(date) = 1 and month(date) <> 5",
    # Days that no file speaks of, and a closed one after them.
    SHUT.format(days="store_id in (13, 15) and date between '2013-10-08' and '2013-10-10'"),
    "update cleaned.sales set is_absent = true"
    " where store_id in (13, 15) and date between '2013-10-08' and '2013-10-09'",
    # Holidays of some towns, four and five days apart and beside Christmas, and one left out.
    "update cleaned.sales set state_holiday = 'public'"
    " where store_id % 7 = 3 and date in ('2013-06-04', '2013-06-08', '2014-04-19', '2014-12-23')"
    " or store_id % 7 = 4 and date in ('2013-06-04', '2013-06-09')",
    "update cleaned.sales set state_holiday = 'none'"
    " where store_id % 8 = 6 and date between '2014-12-24' and '2014-12-31'",
    # Open days without sales.
    "update cleaned.sales set sales = 0 where store_id % 9 = 4 and date = '2013-09-11'",
    "update cleaned.sales set is_open = true where store_id = 17 and isodow(date) = 7",
    # A promotion of most stores alone, repairs, and a competitor at an unknown distance.
    "update cleaned.sales set is_promo = false"
    " where store_id % 4 = 2 and date between '2014-03-03' and '2014-03-07'",
    "update cleaned.sales set is_open_inferred = true where store_id % 8 = 3 and day(date) = 7",
    "update cleaned.sales set is_open_corrected = true where store_id % 8 = 5 and day(date) = 9",
    "update cleaned.stores set competition_distance_m = null where store_id = 7",
    # More days far from the usual than there are.
    "update cleaned.sales set outlier_score = null where not is_open or sales = 0",
    "update cleaned.sales set is_outlier = coalesce(abs(outlier_score) > 2, false)",
)  # fmt: skip


def blemish(con: duckdb.DuckDBPyConnection) -> None:
    for change in CHANGES:
        con.execute(change)
