"""What must be true of `raw.plan`: usable rows, which speak of the coming days."""

import great_expectations as gx
from great_expectations import expectations as gxe

from sales_assets.sources.layout import STATE_HOLIDAYS

# Of the stores that sell, on each coming day; Kaggle's own plan has 77 %.
LEAST_SHARE_PLANNED = 0.5
LEAST_SHARE_WITH_OPENING = 0.9


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suites of the rows and of the coming days; a chain may do without a plan."""
    rows = gx.ExpectationSuite(
        name="raw_plan",
        expectations=[
            gxe.ExpectColumnValuesToBeInTypeList(
                description="Stores are whole numbers", column="store_id", type_list=["int32"]
            ),
            gxe.ExpectCompoundColumnsToBeUnique(
                description="A store's day is there once", column_list=["store_id", "date"]
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                description="Every store of the plan is in raw.stores", column="known_store_id"
            ),
            gxe.ExpectColumnValuesToBeInSet(
                description="State holidays are codes of the layout",
                column="state_holiday",
                value_set=list(STATE_HOLIDAYS),
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                description=f"The plan says of {LEAST_SHARE_WITH_OPENING:.0%} of its days whether "
                "the store opens",
                column="is_open",
                mostly=LEAST_SHARE_WITH_OPENING,
                severity="warning",
            ),
        ],
    )
    days = gx.ExpectationSuite(
        name="raw_plan_days",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description="The delivered plan has each day of the horizon, for at least "
                f"{LEAST_SHARE_PLANNED:.0%} of the stores that sell",
                column="share_planned",
                min_value=LEAST_SHARE_PLANNED,
                severity="warning",
            ),
        ],
    )
    return [rows, days]
