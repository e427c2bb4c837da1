"""What must be true of `cleaned.plan`: every store and coming day, up to the horizon."""

import great_expectations as gx
from great_expectations import expectations as gxe

from sales_assets.sources.layout import STATE_HOLIDAYS

# A store may close for a refurbishment; that most do is a fault of the plan, unless it was
# delivered so.
LEAST_SHARE_OPENING, LEAST_SHARE_DERIVED_OPENING = 0.9, 0.5


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suites of the days and of the stores."""
    days = gx.ExpectationSuite(
        name="cleaned_plan",
        expectations=[
            gxe.ExpectCompoundColumnsToBeUnique(
                description="A store's day is there once", column_list=["store_id", "date"]
            ),
            *(
                gxe.ExpectColumnValuesToNotBeNull(
                    description=f"Every day has its {column}", column=column
                )
                for column in ("is_open", "is_promo", "state_holiday")
            ),
            gxe.ExpectColumnValuesToBeInSet(
                description="State holidays are words of the platform",
                column="state_holiday",
                value_set=list(STATE_HOLIDAYS.values()),
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                description="Every store of the plan is in cleaned.stores", column="known_store_id"
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="Days lie after the newest sales", column="days_ahead", min_value=1
            ),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                description="Days lie within the horizon",
                column_A="horizon",
                column_B="days_ahead",
                or_equal=True,
            ),
        ],
    )
    stores = gx.ExpectationSuite(
        name="cleaned_plan_stores",
        expectations=[
            gxe.ExpectColumnPairValuesToBeEqual(
                description="A store's plan covers the horizon",
                column_A="planned_days",
                column_B="horizon",
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"{LEAST_SHARE_OPENING:.0%} of the stores that sell will open",
                column="open_days",
                min_value=1,
                mostly=LEAST_SHARE_OPENING,
                severity="warning",
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"{LEAST_SHARE_DERIVED_OPENING:.0%} of the stores that sell will open "
                "on the days that no plan was delivered for",
                column="derived_open_days",
                min_value=1,
                mostly=LEAST_SHARE_DERIVED_OPENING,
            ),
        ],
    )
    return [days, stores]
