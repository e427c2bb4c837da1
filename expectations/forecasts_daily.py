"""What must be true of the newest forecasts before people see them."""

import sys
from itertools import pairwise

import great_expectations as gx
from great_expectations import expectations as gxe

BOUNDS = ("lo_95", "lo_80", "forecast", "hi_80", "hi_95")
# A day's forecast beyond this multiple of the store's best day ever is absurd.
MOST_OF_BEST_DAY = 3.0
# A store's mean open day, and the chain's, as multiples of what they sold.
STORE_RANGE = (0.5, 2.0)
CHAIN_RANGE = (0.6, 1.7)
ABSURD_CHAIN_RANGE = (0.2, 5.0)


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suites of the days, of the stores against their history, and of the chain."""
    days = gx.ExpectationSuite(
        name="forecasts_daily",
        expectations=[
            gxe.ExpectCompoundColumnsToBeUnique(
                description="A store's day is forecast once by a model",
                column_list=["store_id", "date", "model"],
            ),
            gxe.ExpectColumnPairValuesToBeEqual(
                description="What is forecast is what was asked for, from the same cutoff",
                column_A="cutoff",
                column_B="asked_cutoff",
            ),
            *(
                gxe.ExpectColumnValuesToNotBeNull(
                    description=f"Every day, store and model has its {column}", column=column
                )
                for column in BOUNDS
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="Bounds are 0 or more", column="lo_95", min_value=0
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="Bounds are finite", column="hi_95", max_value=sys.float_info.max
            ),
            *(
                gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                    description=f"{upper} is not below {lower}",
                    column_A=upper,
                    column_B=lower,
                    or_equal=True,
                )
                for lower, upper in pairwise(BOUNDS)
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="A closed day's forecast and bounds are 0",
                column="hi_95_when_closed",
                max_value=0,
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"No day's forecast is beyond {MOST_OF_BEST_DAY:g} times the store's "
                "best day",
                column="times_best_day",
                max_value=MOST_OF_BEST_DAY,
            ),
        ],
    )
    stores = gx.ExpectationSuite(
        name="forecasts_daily_stores",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description="A store's mean forecast is {:g} to {:g} times its mean sales".format(
                    *STORE_RANGE
                ),
                column="times_history",
                min_value=STORE_RANGE[0],
                max_value=STORE_RANGE[1],
                severity="warning",
            ),
        ],
    )
    chain = gx.ExpectationSuite(
        name="forecasts_daily_chain",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description=f"The chain's mean forecast is {least:g} to {most:g} times its mean "
                f"sales {when}",
                column=column,
                min_value=least,
                max_value=most,
                severity=severity,
            )
            for column, when, (least, most), severity in (
                ("times_recent", "of eight weeks", ABSURD_CHAIN_RANGE, "critical"),
                ("times_recent", "of eight weeks", CHAIN_RANGE, "warning"),
                ("times_last_year", "of the same days a year before", CHAIN_RANGE, "warning"),
            )
        ],
    )
    return [days, stores, chain]
