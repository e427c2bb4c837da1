"""What must be true of `raw.sales`: usable rows, newest weeks like those before, and a history."""

import sys

import great_expectations as gx
from great_expectations import expectations as gxe

from sales_assets.sources.layout import STATE_HOLIDAYS
from sales_assets.suites import NEEDS

# A day's sales beyond this multiple of the store's median day are taken for another currency.
MOST_TIMES_USUAL = 20.0
# A week's rows and sales, as shares of the weeks before: Christmas and Easter stay within.
FEWEST_ROWS, LEAST_SALES, MOST_SALES = 0.8, 0.4, 2.5
MOST_DAYS_OVERDUE = 14
# What known days sell may be corrected, but not most weeks by a tenth of the chain's sales: then
# they are in another currency, say, or another chain's.
LEAST_KNOWN, MOST_KNOWN, WEEKS_AS_KNOWN = 0.9, 1.1, 0.5


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suites of the rows, the newest weeks, the newest day, and of what was known."""
    rows = gx.ExpectationSuite(
        name="raw_sales",
        expectations=[
            gxe.ExpectColumnValuesToBeInTypeList(
                description="Stores are whole numbers", column="store_id", type_list=["int32"]
            ),
            gxe.ExpectColumnValuesToBeInTypeList(
                description="Sales are numbers", column="sales", type_list=["float64"]
            ),
            gxe.ExpectCompoundColumnsToBeUnique(
                description="A store's day is there once", column_list=["store_id", "date"]
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                description="The store of every sale is in raw.stores", column="known_store_id"
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="Sales are 0 or more, and finite",
                column="sales",
                min_value=0,
                max_value=sys.float_info.max,
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="Customers are 0 or more", column="customers", min_value=0
            ),
            gxe.ExpectColumnValuesToBeInSet(
                description="State holidays are codes of the layout",
                column="state_holiday",
                value_set=list(STATE_HOLIDAYS),
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="No day lies a week or more after the last one that a fifth of the "
                "usual stores tell of",
                column="days_ahead",
                max_value=0,
                severity="warning",
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"The newest four weeks sold at most {MOST_TIMES_USUAL:g} times a "
                "store's median day",
                column="times_usual",
                max_value=MOST_TIMES_USUAL,
                severity="warning",
            ),
        ],
    )
    weeks = gx.ExpectationSuite(
        name="raw_sales_weeks",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description=f"A new week has at least {FEWEST_ROWS:.0%} of the usual rows",
                column="share_of_rows",
                min_value=FEWEST_ROWS,
                severity="warning",
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"A new week sold {LEAST_SALES:.0%} to {MOST_SALES:.0%} of the usual",
                column="share_of_sales",
                min_value=LEAST_SALES,
                max_value=MOST_SALES,
                severity="warning",
            ),
        ],
    )
    freshness = gx.ExpectationSuite(
        name="raw_sales_freshness",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description=f"New sales are at most {MOST_DAYS_OVERDUE} days overdue",
                column="overdue_days",
                max_value=MOST_DAYS_OVERDUE,
                severity="warning",
            ),
        ],
    )
    as_known = {"column": "times_known", "min_value": LEAST_KNOWN, "max_value": MOST_KNOWN}
    share = f"{LEAST_KNOWN:.0%} to {MOST_KNOWN:.0%} of what the last refresh knew"
    known_weeks = gx.ExpectationSuite(
        name="raw_sales_known_weeks",
        meta={NEEDS: "cleaned.sales"},
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description=f"At least {WEEKS_AS_KNOWN:.0%} of the known weeks sold {share}",
                mostly=WEEKS_AS_KNOWN,
                **as_known,
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"A known week sold {share}", severity="warning", **as_known
            ),
        ],
    )
    known_stores = gx.ExpectationSuite(
        name="raw_sales_known_stores",
        meta={NEEDS: "cleaned.sales"},
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description=f"A store's known days sold {share}", severity="warning", **as_known
            ),
        ],
    )
    return [rows, weeks, freshness, known_weeks, known_stores]
