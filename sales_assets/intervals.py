"""Post-prediction intervals: how far sales may lie from a forecast, by store and horizon."""

import dagster as dg

from sales_assets.forecasting.ensemble import Ensemble
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.metadata import describe
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.warehouse import replace_table


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

    Split-conformal, from the residuals of the whole backtest, scaled by store and horizon week;
    store -1 serves stores without residuals. The table is the newest ensemble's own.
    """
    store = home.models
    with told_plainly():
        newest = store.versions(ENSEMBLE)[-1].version
        bounds = Ensemble.load(store.verified(ENSEMBLE, newest)).calibration
    with home.warehouse() as con:
        replace_table(con, "intervals.calibration", bounds)
        metadata = describe(con, "intervals.calibration")
    return dg.MaterializeResult(
        metadata={**metadata, "version": newest, "median_scale": float(bounds["scale"].median())}
    )


ASSETS = [calibration]
