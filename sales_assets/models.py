"""Models: the backtest that judges them, the members fitted to all history, their ensemble."""

import logging
import math
import time

import dagster as dg
import duckdb
import pandas as pd

from sales_assets import charts
from sales_assets.errors import SalesError
from sales_assets.forecasting import backtest as backtesting
from sales_assets.forecasting import ensemble_study as study
from sales_assets.forecasting import metrics
from sales_assets.forecasting.bundle import compose, fit_member, fitted_members
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.features import (
    data_fingerprint,
    judged_cutoffs,
    last_sales_day,
    window_fingerprints,
)
from sales_assets.forecasting.frames import feature_names, read_frames
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.metadata import card, chart, describe, markdown_table
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.warehouse import replace_table, table_exists

log = logging.getLogger("sales_assets.models")

KINDS = {
    "baseline": {"pandas"},
    "statistical": {"pandas"},
    "random_forest": {"scikitlearn"},
    "lightgbm": {"lightgbm"},
    "lstm": {"tensorflow"},
}


@dg.asset(
    key=["models", "backtest"],
    deps=[["features", "training"]],
    group_name="models",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def backtest(home: Home) -> dg.MaterializeResult:
    """One row a model, cutoff, store and selling day: a forecast that never saw its answer.

    Every member is refitted as of each cutoff. The ensemble's weights and all interval bounds
    come from the other windows. Read by the weights, the intervals and the scores.
    """
    settings = home.settings
    with home.warehouse() as con:
        frames = read_frames(con, "features.training")
        cutoffs = judged_cutoffs(con, settings)
        data = window_fingerprints(con, cutoffs)
        former = (
            con.execute("select * from models.backtest").df()
            if table_exists(con, "models.backtest")
            else None
        )
    with told_plainly():
        result = backtesting.run(frames, cutoffs, data, settings, former)
    with home.warehouse() as con:
        replace_table(con, "models.backtest", result)
        metadata = describe(con, "models.backtest")
    return dg.MaterializeResult(metadata={**metadata, "cutoffs": [str(day) for day in cutoffs]})


@dg.asset(
    key=["models", "scores"],
    deps=[["models", "backtest"], ["cleaned", "stores"], ["cleaned", "sales"]],
    group_name="models",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def scores(home: Home) -> dg.MaterializeResult:
    """One row a model and slice of the backtest: RMSPE, MAPE, WAPE, RMSSE, bias, coverage.

    Beside coverage the intervals' score (winkler) and that of the whole distribution (crps), both
    of log sales. Slices are the cutoff, the horizon week and the store type; an empty key means
    all of them.
    """
    with home.warehouse() as con:
        result = backtesting.scores(
            con.execute("select * from models.backtest").df(),
            con.execute("select store_id, store_type from cleaned.stores").df(),
            con.execute(
                "select store_id, date, sales from cleaned.sales order by store_id, date"
            ).df(),
        )
        replace_table(con, "models.scores", result)
        metadata = describe(con, "models.scores")
    overall = result[result[["cutoff", "horizon_week", "store_type"]].isna().all(axis=1)]
    by_model = overall.set_index("model")["rmspe"].to_dict()
    log.info("RMSPE: %s", ", ".join(f"{name} {value:.4f}" for name, value in by_model.items()))
    return dg.MaterializeResult(
        metadata={
            **metadata,
            **{f"rmspe_{name}": float(value) for name, value in by_model.items()},
            "scores": markdown_table(
                ["model", "rmspe", "mape", "wape", "bias", "coverage_80", "coverage_95", "crps"],
                overall.to_dict("records"),
            ),
            "chart": chart(charts.scores_by_cutoff(result), "RMSPE of each model by cutoff"),
        }
    )


@dg.asset(
    key=["models", "ensemble_study"],
    deps=[["models", "backtest"]],
    group_name="models",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def ensemble_study(home: Home) -> dg.MaterializeResult:
    """One row a way to combine the members and backtest window (none: all), the simplest first.

    Weights of a window come from the other windows. Differences are to the chosen combination
    (is_chosen), of mean squared errors of logs and of percentages, with standard errors over
    stores and over windows; is_worse: by more than two standard errors of logs over stores.
    """
    with home.warehouse() as con:
        history = con.execute("select * from models.backtest").df()
        result = study.run(history[history["model"] != ENSEMBLE])
        replace_table(con, "models.ensemble_study", result)
        metadata = describe(con, "models.ensemble_study")
    shown = [name for name in study.COLUMNS if name not in ("cutoff", "weights")]
    overall = result[result["cutoff"].isna()]
    return dg.MaterializeResult(
        metadata={
            **metadata,
            "combinations": markdown_table(shown, overall.to_dict("records")),
            "chart": chart(charts.combinations(result), "Error beyond the chosen combination's"),
        }
    )


def _overall_score(
    con: duckdb.DuckDBPyConnection, model: str, history: pd.DataFrame
) -> dict[str, float]:
    """Return a model's scores over the whole backtest.

    Raises:
        SalesError: The scores are those of another backtest.
    """
    scores = con.execute(
        "select * exclude (model, cutoff, horizon_week, store_type) from models.scores"
        " where model = $model and cutoff is null and horizon_week is null"
        " and store_type is null",
        {"model": model},
    ).df()
    own = history[history["model"] == model]
    rmspe = metrics.rmspe(own["sales"].to_numpy(), own["forecast"].to_numpy())
    if len(scores) != 1 or not math.isclose(scores["rmspe"].item(), rmspe, rel_tol=1e-9):
        raise SalesError(
            "models.scores is of another backtest than models.backtest: materialise models/scores "
            "first, or refresh."
        )
    return {str(name): float(value) for name, value in scores.iloc[0].items()}


def member_asset(name: str) -> dg.AssetsDefinition:
    """Return the asset that fits one member to everything known at the newest cutoff."""

    @dg.asset(
        key=["models", name],
        deps=[["features", "training"], ["models", "scores"]],
        description=MEMBERS[name].about(),
        group_name="models",
        kinds=KINDS.get(name, {"python"}),
        owners=OWNERS,
        pool=WRITER_POOL,
    )
    def member(home: Home) -> dg.MaterializeResult:
        settings = home.settings
        with home.warehouse() as con:
            frames = read_frames(con, "features.training")
            cutoff, data = last_sales_day(con), data_fingerprint(con)
            history = con.execute("select * from models.backtest").df()
            score = _overall_score(con, name, history)
        started = time.perf_counter()
        manifest, is_new = fit_member(
            home.models, name, frames, cutoff, data, settings, score, history
        )
        return dg.MaterializeResult(
            metadata={
                "version": manifest.version,
                "cutoff": str(manifest.cutoff),
                "is_new": is_new,
                "parameters": manifest.parameters,
                "learnt_rows": int(frames.rows["is_training"].sum()),
                "seconds": time.perf_counter() - started,
                **manifest.counts,
                **manifest.scores,
                **card(home.models, manifest),
            }
        )

    return member


@dg.asset(
    key=["models", ENSEMBLE],
    deps=[["models", "backtest"], ["models", "scores"], *(["models", name] for name in MEMBERS)],
    group_name="models",
    kinds={"python"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def ensemble(home: Home) -> dg.MaterializeResult:
    """The weighted geometric mean of the members, weights fitted on out-of-fold forecasts.

    Its version holds the weights, the interval calibration and the hashes of its members.
    """
    store, settings = home.models, home.settings
    with home.warehouse() as con:
        features = feature_names(con.execute("select * from features.training limit 0").df())
        cutoff, data = last_sales_day(con), data_fingerprint(con)
        history = con.execute("select * from models.backtest").df()
        score = _overall_score(con, ENSEMBLE, history)
    with told_plainly():
        members = fitted_members(store, features, cutoff, data, settings)
        manifest = compose(store, members, history, score, settings.point)
    weights = manifest.parameters["weights"]
    log.info("ensemble: %s", ", ".join(f"{name} {share:.2f}" for name, share in weights.items()))
    return dg.MaterializeResult(
        metadata={
            "version": manifest.version,
            "cutoff": str(manifest.cutoff),
            "point": settings.point,
            **{f"weight_{name}": share for name, share in weights.items()},
            **manifest.scores,
            **card(store, manifest),
        }
    )


ASSETS = [
    backtest,
    scores,
    ensemble_study,
    *(member_asset(name) for name in MEMBERS),
    ensemble,
]
