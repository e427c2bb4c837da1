"""What must be true of `cleaned.sales` before anything is built on it."""

import sys

import great_expectations as gx
from great_expectations import expectations as gxe

from sales_assets.sources.layout import STATE_HOLIDAYS

# Sums of the same numbers in another order differ by less.
ROUNDING = 1e-9
LEAST_SHARE_DELIVERING = 0.9


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suites of the days, which are values that sales can have, and of the stores.

    The calendar of each store is that of the chain: days before it opened and after it closed are
    there, as days without sales.
    """
    days = gx.ExpectationSuite(
        name="cleaned_sales",
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
            *(
                gxe.ExpectColumnValuesToNotBeNull(
                    description=f"Every day has its {column}", column=column
                )
                for column in ("store_id", "date", "sales", "is_open", "is_promo", "state_holiday")
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
            gxe.ExpectColumnValuesToBeBetween(
                description="A closed day sold nothing", column="sales_when_closed", max_value=0
            ),
            gxe.ExpectColumnValuesToBeInSet(
                description="State holidays are words of the platform",
                column="state_holiday",
                value_set=list(STATE_HOLIDAYS.values()),
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="A closed day had no customers",
                column="customers_when_closed",
                max_value=0,
                severity="warning",
            ),
        ],
    )
    stores = gx.ExpectationSuite(
        name="cleaned_sales_stores",
        expectations=[
            gxe.ExpectColumnPairValuesToBeEqual(
                description="A store has every day of the calendar",
                column_A="days",
                column_B="calendar_days",
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                description="Every store with sales is in cleaned.stores", column="known_store_id"
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="No sales were lost or doubled",
                column="share_of_delivered_sales",
                min_value=1 - ROUNDING,
                max_value=1 + ROUNDING,
            ),
            gxe.ExpectColumnValuesToBeInSet(
                description=f"{LEAST_SHARE_DELIVERING:.0%} of the stores of the week before "
                "delivered the newest week",
                column="has_newest_week",
                value_set=[True],
                mostly=LEAST_SHARE_DELIVERING,
                severity="warning",
            ),
        ],
    )
    return [days, stores]
