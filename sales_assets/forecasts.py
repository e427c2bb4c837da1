"""Forecasts of the chosen ensemble, and the publication of everything that people query."""

import logging

import dagster as dg
import duckdb
import pandas as pd

from sales_assets import charts, quality, warehouse
from sales_assets.errors import WarehouseError
from sales_assets.forecasting.bundle import Bundle, load_member
from sales_assets.forecasting.ensemble import Ensemble
from sales_assets.forecasting.explanations import explain
from sales_assets.forecasting.frames import read_frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.metadata import chart, describe
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.settings import Settings

log = logging.getLogger("sales_assets.forecasts")

NEWEST = "cutoff = (select max(cutoff) from warehouse.forecasts.daily)"


@dg.asset(
    key=["forecasts", "daily"],
    deps=[["features", "future"], ["intervals", "calibration"], ["models", "choice"]],
    group_name="forecasts",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def daily(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
    """One row a cutoff, store, coming day and model: forecast in EUR with 80 and 95 % bounds.

    A closed day is exactly 0. The rows of the present cutoff are replaced, and those of a later one
    go; those of earlier ones stay as they were published.
    """
    settings, store = home.settings, home.models
    with told_plainly():
        chosen = store.chosen()
        assert chosen is not None, "models/choice comes first"
    with home.warehouse() as con:
        quality.refuse_what_was_stopped(con)
        frames = read_frames(con, "features.future")
        # What members see ends with the plan that is there, which may be that of a refresh with
        # another horizon.
        horizon = int(frames.rows["h"].max())
        with told_plainly():
            bundle = Bundle.load(
                store, chosen.version, settings.model_copy(update={"horizon": horizon})
            )
            forecasts = bundle.forecast(frames)
        cutoff = frames.rows["cutoff"].iloc[0]
        replace_forecasts(con, forecasts, context.run.run_id, settings)
        ensemble = forecasts[forecasts["model"] == ENSEMBLE]
        figure = charts.forecast_against_history(frames.history, ensemble)
        metadata = describe(con, "forecasts.daily", ("features.future",))
    total = float(ensemble["forecast"].sum())
    log.info(
        "forecasts.daily: %s rows from %s, EUR %s in all",
        f"{len(forecasts):,}", cutoff.date(), f"{total:,.0f}",
    )  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            **metadata,
            "version": chosen.version,
            "cutoff": str(cutoff.date()),
            "total_forecast_eur": total,
            "chart": chart(figure, "The chain's sales and forecast by day"),
        }
    )


def replace_forecasts(
    con: duckdb.DuckDBPyConnection, forecasts: pd.DataFrame, run: str, settings: Settings
) -> None:
    """Replace the forecasts of a cutoff, which are unchecked from then on.

    Where the newest ones until then were stopped by their check, or killed before it, what was
    published of their cutoff is put back.

    Args:
        con: The warehouse.
        forecasts: All rows of one cutoff.
        run: Dagster's id of the run that makes them.
        settings: The home.
    """
    is_refused = quality.FORECASTS in quality.stopped(con)
    if is_refused:
        _recall_published(con, settings)
    con.register("fresh", forecasts)
    with warehouse.transaction(con):
        con.execute(warehouse.read_sql("forecasts/daily"))
        if is_refused:
            con.execute(f"delete from forecasts.daily where {NEWEST}")
            con.execute("insert into forecasts.daily by name from put_back")
        # A later cutoff was the day of a row that is no longer taken for the last day of sales.
        con.execute("delete from forecasts.daily where cutoff >= (select min(cutoff) from fresh)")
        con.execute("insert into forecasts.daily by name from fresh")
        quality.note(con, run, quality.FORECASTS, [quality.UNCHECKED])
    con.unregister("fresh")


def _recall_published(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Fill `put_back` with what is published of the newest cutoff, if anything is."""
    create = "create or replace temporary table put_back as"
    con.execute(f"{create} from forecasts.daily limit 0")
    if not settings.snapshot_path.exists():
        return
    try:
        with warehouse.beside_snapshot(con, settings):
            con.execute(f"{create} from published.forecasts.daily where {NEWEST}")
    except (WarehouseError, duckdb.Error) as error:
        log.warning("what was published of the newest cutoff cannot be put back: %s", error)


@dg.asset(
    key=["forecasts", "latest"],
    deps=[["forecasts", "daily"]],
    description=warehouse.headline("forecasts/latest"),
    group_name="forecasts",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def latest(home: Home) -> dg.MaterializeResult:
    """Point the view at the newest cutoff."""
    with home.warehouse() as con:
        warehouse.create_view(con, "forecasts.latest", "forecasts/latest")
        return dg.MaterializeResult(
            metadata=describe(con, "forecasts.latest", ("forecasts.daily",))
        )


@dg.asset(
    key=["forecasts", "explanations"],
    deps=[["forecasts", "daily"], ["features", "future"]],
    group_name="forecasts",
    kinds={"duckdb", "lightgbm"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def explanations(home: Home) -> dg.MaterializeResult:
    """One row a store and coming open day: why `lightgbm` forecasts what it does, and in words.

    The store's usual day in EUR, and for each group of features what it adds in logs: together
    the log of the forecast. `forecasts.explanation_parts` has them in percent, a row each.
    """
    settings, store = home.settings, home.models
    with told_plainly():
        chosen = store.chosen()
        assert chosen is not None, "models/choice comes first"
        own = chosen.members[LightGBM.name]
        member = load_member(store, LightGBM.name, own["version"], own["manifest_sha256"], settings)
        assert isinstance(member, LightGBM), "it is saved under its name"
        factors = Ensemble.load(store.verified(ENSEMBLE, chosen.version)).factors
    with home.warehouse() as con:
        explained = explain(
            member,
            read_frames(con, "features.future"),
            factors.get(LightGBM.name, 1.0),
        ).assign(version=chosen.version)
        warehouse.replace_table(con, "forecasts.explanations", explained)
        metadata = describe(con, "forecasts.explanations", ("features.future",))
    log.info("forecasts.explanations: %s days", f"{len(explained):,}")
    return dg.MaterializeResult(metadata={**metadata, "version": chosen.version})


@dg.asset(
    key=["forecasts", "explanation_parts"],
    deps=[["forecasts", "explanations"]],
    description=warehouse.headline("forecasts/explanation_parts"),
    group_name="forecasts",
    kinds={"duckdb", "sql"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def explanation_parts(home: Home) -> dg.MaterializeResult:
    """Tell the parts of the explanations in percent."""
    with home.warehouse() as con:
        warehouse.create_view(con, "forecasts.explanation_parts", "forecasts/explanation_parts")
        return dg.MaterializeResult(
            metadata=describe(con, "forecasts.explanation_parts", ("forecasts.explanations",))
        )


def publication_asset(
    made: list[dg.AssetSpec], if_there: list[dg.AssetSpec]
) -> dg.AssetsDefinition:
    """Return the asset that publishes what is made before it, and of other tables those there are.

    What the specs say is written into the snapshot as comments of its tables.
    """
    described = {
        ".".join(spec.key.path): " ".join((spec.description or "").split())
        for spec in [*made, *if_there]
    }

    @dg.asset(
        key=["published", "snapshot"],
        deps=[spec.key for spec in made],
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        pool=WRITER_POOL,
    )
    def snapshot(home: Home) -> dg.MaterializeResult:
        """The DuckDB and Parquet files that people query; replaced atomically after all checks.

        The champion moves with them.
        """
        store = home.models
        with home.warehouse() as con:
            quality.refuse_what_was_stopped(con, store.chosen())
        with told_plainly():
            champion = store.settled()
            path = warehouse.publish(home.settings, described)
            if champion:
                store.crown(champion)
        log.info("published %s", path)
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(path.absolute())),
                "megabytes": path.stat().st_size / 1e6,
            }
        )

    return snapshot


ASSETS = [daily, latest, explanations, explanation_parts]
