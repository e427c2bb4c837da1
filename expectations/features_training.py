"""What must be true of `features.training` before anything is learnt from it."""

import great_expectations as gx
from great_expectations import expectations as gxe

FEWEST_ROWS = 500
LEAST_SHARE_LABELLED = 0.5


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suites of the windows (a cutoff and store), of the columns, and of their size."""
    windows = gx.ExpectationSuite(
        name="features_training",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description="Rows lie after their cutoff", column="first_h", min_value=1
            ),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                description="Rows lie within the horizon",
                column_A="horizon",
                column_B="last_h",
                or_equal=True,
            ),
            *(
                gxe.ExpectColumnValuesToBeInSet(description=says, column=column, value_set=[0])
                for says, column in (
                    ("A row's h is its distance from the cutoff", "misplaced_days"),
                    ("A store's day is there once in a window", "repeated_days"),
                    ("No feature is infinite", "infinite_days"),
                    ("Every row to learn from has sales", "unlabelled_days"),
                )
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description="What rows tell of former sales is no younger than the cutoff",
                column="profile_age_days",
                min_value=0,
            ),
        ],
    )
    columns = gx.ExpectationSuite(
        name="features_training_columns",
        expectations=[
            gxe.ExpectColumnPairValuesToBeEqual(
                description="Every column is there, of the kind that models read",
                column_A="kind",
                column_B="expected_kind",
            ),
        ],
    )
    size = gx.ExpectationSuite(
        name="features_training_size",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                description="There is something to learn from",
                column="training_rows",
                min_value=1,
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"There are at least {FEWEST_ROWS:,} rows to learn from",
                column="training_rows",
                min_value=FEWEST_ROWS,
                severity="warning",
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"At least {LEAST_SHARE_LABELLED:.0%} of the rows have sales",
                column="labelled_share",
                min_value=LEAST_SHARE_LABELLED,
                severity="warning",
            ),
        ],
    )
    return [windows, columns, size]
