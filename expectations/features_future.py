"""What must be true of `features.future` before anything is forecast from it."""

import great_expectations as gx
from great_expectations import expectations as gxe

# Stores that have never sold have no level; their forecasts are the chain's.
LEAST_SHARE_WITH_LEVEL = 0.9


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suite of the rows."""
    return [
        gx.ExpectationSuite(
            name="features_future",
            expectations=[
                gxe.ExpectColumnValuesToNotBeNull(
                    description="Every planned day has its features", column="cutoff"
                ),
                gxe.ExpectColumnValuesToNotBeNull(
                    description="Every row is a planned day", column="planned_date"
                ),
                gxe.ExpectCompoundColumnsToBeUnique(
                    description="A store's day is there once", column_list=["store_id", "date"]
                ),
                gxe.ExpectColumnPairValuesToBeEqual(
                    description="The cutoff is the newest day with sales",
                    column_A="cutoff",
                    column_B="newest_day",
                ),
                gxe.ExpectColumnPairValuesToBeEqual(
                    description="A row's h is its distance from the cutoff",
                    column_A="h",
                    column_B="days_ahead",
                ),
                gxe.ExpectColumnValuesToBeBetween(
                    description="Rows lie after the cutoff", column="h", min_value=1
                ),
                gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                    description="Rows lie within the horizon",
                    column_A="horizon",
                    column_B="h",
                    or_equal=True,
                ),
                gxe.ExpectColumnValuesToBeNull(
                    description="No coming day knows its sales", column="log_sales"
                ),
                gxe.ExpectColumnValuesToBeInSet(
                    description="No feature is infinite", column="is_finite", value_set=[True]
                ),
                gxe.ExpectColumnValuesToNotBeNull(
                    description=f"{LEAST_SHARE_WITH_LEVEL:.0%} of the rows know the store's level",
                    column="anchor",
                    mostly=LEAST_SHARE_WITH_LEVEL,
                    severity="warning",
                ),
            ],
        )
    ]
