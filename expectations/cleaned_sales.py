"""What must be true of `cleaned.sales` before anything is built on it."""

import great_expectations as gx
from great_expectations import expectations as gxe

from sales_assets.sources.layout import STATE_HOLIDAYS


def build_suite(stores: int, days: int) -> gx.ExpectationSuite:
    """Return the suite: an unbroken calendar, and values that sales can have.

    Args:
        stores: Stores that have delivered sales.
        days: Days from the first delivered one to the last.
    """
    return gx.ExpectationSuite(
        name="cleaned_sales",
        expectations=[
            gxe.ExpectTableRowCountToEqual(value=stores * days),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["store_id", "date"]),
            *(
                gxe.ExpectColumnValuesToNotBeNull(column=column)
                for column in ("store_id", "date", "sales", "is_open", "is_promo")
            ),
            gxe.ExpectColumnValuesToBeBetween(column="sales", min_value=0),
            gxe.ExpectColumnValuesToBeBetween(column="sales_when_closed", max_value=0),
            gxe.ExpectColumnValuesToBeInSet(
                column="state_holiday", value_set=list(STATE_HOLIDAYS.values())
            ),
        ],
    )
