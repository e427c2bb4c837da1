"""What must be true of `models.backtest` before weights and intervals come from it."""

import great_expectations as gx
from great_expectations import expectations as gxe

# Between which shares of the days intervals should cover, by level; few stores vary more.
COVERAGES = {80: (0.65, 0.92), 95: (0.85, 1.0)}
MOST_MEDIAN_ERROR = 0.5


def build_suites() -> list[gx.ExpectationSuite]:
    """Return the suites of the windows (a model, cutoff and store) and of the models."""
    windows = gx.ExpectationSuite(
        name="models_backtest",
        expectations=[
            gxe.ExpectColumnPairValuesToBeEqual(
                description="Every model forecast every selling day of a window, and no other",
                column_A="selling_days",
                column_B="forecast_days",
            ),
            *(
                gxe.ExpectColumnValuesToBeInSet(description=says, column=column, value_set=[0])
                for says, column in (
                    ("A store's day is there once", "repeated_days"),
                    ("Forecasts, bounds and sales are numbers", "unknown_days"),
                    ("Bounds are 0 or more, and in order", "disordered_days"),
                    ("Days lie after the cutoff, within the horizon", "misplaced_days"),
                )
            ),
        ],
    )
    models = gx.ExpectationSuite(
        name="models_backtest_models",
        expectations=[
            *(
                gxe.ExpectColumnValuesToBeBetween(
                    description=f"{level} % intervals cover {least:.0%} to {most:.0%} of the days",
                    column=f"coverage_{level}",
                    min_value=least,
                    max_value=most,
                    severity="warning",
                )
                for level, (least, most) in COVERAGES.items()
            ),
            gxe.ExpectColumnValuesToBeBetween(
                description=f"The median error is at most {MOST_MEDIAN_ERROR:.0%}",
                column="median_error",
                max_value=MOST_MEDIAN_ERROR,
                severity="warning",
            ),
        ],
    )
    return [windows, models]
