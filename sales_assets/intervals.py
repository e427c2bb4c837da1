"""Post-prediction intervals: how far sales may lie from a forecast, by store and horizon."""

import logging

import dagster as dg

from sales_assets import charts
from sales_assets.forecasting import coverage as judging
from sales_assets.forecasting.ensemble import Ensemble
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.metadata import chart, describe, markdown_table
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.warehouse import replace_table

log = logging.getLogger("sales_assets.intervals")


@dg.asset(
    key=["intervals", "calibration"],
    deps=[["models", "ensemble"]],
    group_name="intervals",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def calibration(home: Home) -> dg.MaterializeResult:
    """One row a model, store and horizon week: interval bounds, to be added to a log forecast.

    Conformal, from the residuals of the whole backtest, each over a scale of the other windows;
    for a day on which the members differ as usual. Store -1 serves stores without residuals,
    -2 those that have never sold. The table is that of the newest ensemble with weights of its own.
    """
    store = home.models
    with told_plainly():
        composed = store.newest_composed()
        assert composed is not None, "models/ensemble comes first"
        newest = composed.version
        bounds = Ensemble.load(store.verified(ENSEMBLE, newest)).calibration
    with home.warehouse() as con:
        replace_table(con, "intervals.calibration", bounds)
        metadata = describe(con, "intervals.calibration")
    return dg.MaterializeResult(
        metadata={**metadata, "version": newest, "median_scale": float(bounds["scale"].median())}
    )


@dg.asset(
    key=["intervals", "coverage"],
    deps=[
        ["intervals", "calibration"],
        ["models", "backtest"],
        ["cleaned", "stores"],
        ["cleaned", "sales"],
    ],
    group_name="intervals",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def coverage(home: Home) -> dg.MaterializeResult:
    """One row a model, method, level and slice of the backtest: coverage, width and scores.

    Slices (slice, value) are all days, horizon_week, store_type, is_promo, weekday (1 is Monday),
    the tenth of the stores with the largest errors, and the cutoff. Methods: conformal is what
    forecasts carry; constant_width and trees (the forest's, 1.96 deviations between trees) are
    for comparison. Width is a share of the forecast (width_eur: in EUR), winkler and crps are of
    log sales.
    """
    with home.warehouse() as con:
        result = judging.run(
            con.execute("select * from models.backtest").df(),
            con.execute("select store_id, store_type from cleaned.stores").df(),
            con.execute("select store_id, date, is_promo from cleaned.sales").df(),
        )
        replace_table(con, "intervals.coverage", result)
        metadata = describe(con, "intervals.coverage")
    of_ensemble = result[result["model"] == ENSEMBLE]
    overall = of_ensemble[of_ensemble["slice"] == "all"]
    log.info(
        "intervals of the ensemble: %s",
        ", ".join(
            f"{row.level} % cover {row.coverage:.1%}"
            for row in overall[overall["method"] == judging.CONFORMAL].itertuples()
        ),
    )
    return dg.MaterializeResult(
        metadata={
            **metadata,
            "ensemble": markdown_table(
                ["method", "level", "days", "coverage", "width", "width_eur", "winkler", "crps"],
                overall.to_dict("records"),
            ),
            "chart": chart(charts.coverage(of_ensemble), "Coverage by horizon week and store type"),
        }
    )


ASSETS = [calibration, coverage]
