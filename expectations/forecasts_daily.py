"""What must be true of the newest forecasts before people see them."""

from itertools import pairwise

import great_expectations as gx
from great_expectations import expectations as gxe

BOUNDS = ("lo_95", "lo_80", "forecast", "hi_80", "hi_95")
# A day's forecast beyond this multiple of the store's best day ever is absurd.
MOST_OF_BEST_DAY = 3.0


def build_suite(rows: int, models: list[str]) -> gx.ExpectationSuite:
    """Return the suite: every store, day and model, in order, finite, closed days at zero.

    Args:
        rows: Stores times days times models.
        models: Names of the models.
    """
    return gx.ExpectationSuite(
        name="forecasts_daily",
        expectations=[
            gxe.ExpectTableRowCountToEqual(value=rows),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["store_id", "date", "model"]),
            gxe.ExpectColumnValuesToBeInSet(column="model", value_set=models),
            *(gxe.ExpectColumnValuesToNotBeNull(column=column) for column in BOUNDS),
            gxe.ExpectColumnValuesToBeBetween(column="lo_95", min_value=0),
            *(
                gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                    column_A=upper, column_B=lower, or_equal=True
                )
                for lower, upper in pairwise(BOUNDS)
            ),
            gxe.ExpectColumnValuesToBeBetween(column="hi_95_when_closed", max_value=0),
            gxe.ExpectColumnValuesToBeBetween(
                column="share_of_best_day", max_value=MOST_OF_BEST_DAY
            ),
        ],
    )
