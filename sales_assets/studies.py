"""Studies that justify choices: tables that a job of their own computes, when someone asks for it.

They refit models dozens of times, which no weekly refresh should wait for, nor *Materialize all*
in the UI: their assets are therefore declared here, and materialised by the job `studies` alone.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import dagster as dg
import duckdb
import pandas as pd
from matplotlib.figure import Figure

from sales_assets import study_charts
from sales_assets.errors import SalesError
from sales_assets.forecasting.features import data_fingerprint, judged_cutoffs
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.metadata import chart, describe
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.settings import Settings
from sales_assets.warehouse import publish_tables, replace_table, table_exists

log = logging.getLogger("sales_assets.studies")


@dataclass(frozen=True)
class Material:
    """What studies work on: the training rows, the backtest and its cutoffs."""

    frames: Frames
    backtest: pd.DataFrame
    cutoffs: list[date]
    data: str
    settings: Settings


@dataclass(frozen=True)
class Study:
    """A table in the schema `models`, what computes it and what shows it.

    Attributes:
        table: Its name, and the last part of its asset key.
        says: What one row means.
        compute: The thinking; imports what only this study needs.
        draw: The chart in its metadata.
    """

    table: str
    says: str
    compute: Callable[[Material], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key."""
        return dg.AssetKey(["models", self.table])

    @property
    def spec(self) -> dg.AssetSpec:
        """The asset as the graph shows it."""
        return dg.AssetSpec(
            key=self.key,
            deps=[["features", "training"], ["models", "backtest"]],
            description=self.says,
            group_name="studies",
            kinds={"python", "duckdb"},
            owners=OWNERS,
        )


def _loss(material: Material) -> pd.DataFrame:
    from sales_assets.forecasting.studies import loss

    return loss.run(material.frames, material.cutoffs, material.settings, material.backtest)


def _ablation(material: Material) -> pd.DataFrame:
    from sales_assets.forecasting.studies import ablation

    return ablation.run(material.frames, material.cutoffs, material.settings)


def _importance(material: Material) -> pd.DataFrame:
    from sales_assets.forecasting.studies import importance

    return importance.run(material.frames, material.cutoffs, material.settings)


def _tuning(material: Material) -> pd.DataFrame:
    # Optuna takes seconds to import.
    from sales_assets.forecasting.studies import tuning

    settings = material.settings
    return tuning.run(material.frames, material.cutoffs, material.data, settings, settings.tuning)


STUDIES = {
    "loss": Study(
        "loss_study",
        "One row a model, loss, point and backtest window (none: all): scores of LightGBM when it "
        "minimises that loss, and of the platform's forecasts moved to the mean or to the RMSPE's "
        "optimum by factors of the other windows.",
        _loss,
        study_charts.losses,
    ),
    "ablation": Study(
        "ablation",
        "One row a group of features and backtest window (none: all): LightGBM's RMSPE with and "
        "without the group, and their difference with its standard error over stores. Fits have "
        "as many trees as the column says.",
        _ablation,
        study_charts.ablation,
    ),
    "importance": Study(
        "importance",
        "One row a model and feature: its share of gain (lightgbm) or impurity decrease "
        "(random_forest), and the rise of the RMSPE on held-out windows when its values, or its "
        "whole group's, are permuted.",
        _importance,
        study_charts.importance,
    ),
    "tuning": Study(
        "tuning",
        "One row a trial of Optuna: settings of a model, its RMSPE in each backtest window that "
        "it got to and their mean. A study goes on with the same data and settings.",
        _tuning,
        study_charts.tuning,
    ),
}


def _material(con: duckdb.DuckDBPyConnection, settings: Settings) -> Material:
    """Read what the last refresh left.

    Raises:
        SalesError: There was none, or it was made with other settings.
    """
    if not table_exists(con, "models.backtest"):
        raise SalesError(
            f"There is no backtest in {settings.home} to study; run `sales refresh --source DIR` "
            "first."
        )
    backtest = con.execute("select * from models.backtest").df()
    cutoffs = judged_cutoffs(con, settings)
    judged = sorted({day.date() for day in backtest["cutoff"]})
    if judged != cutoffs:
        raise SalesError(
            f"The backtest is of {', '.join(map(str, judged))}, and the windows of now are "
            f"{', '.join(map(str, cutoffs))}; run `sales refresh` first."
        )
    frames = read_frames(con, "features.training")
    return Material(frames, backtest, cutoffs, data_fingerprint(con), settings)


def _step(name: str, study: Study) -> dg.OpDefinition:
    @dg.op(name=name, description=study.says, out=dg.Out(dg.Nothing), pool=WRITER_POOL)
    def step(context: dg.OpExecutionContext, home: Home) -> None:
        settings, table = home.settings, f"models.{study.table}"
        with home.warehouse() as con:
            material = _material(con, settings)
        with told_plainly():
            result = study.compute(material)
        with home.warehouse() as con:
            replace_table(con, table, result)
            metadata = describe(con, table)
        figure = study.draw(result)
        context.log_event(
            dg.AssetMaterialization(
                study.key, metadata={**metadata, "chart": chart(figure, study.says)}
            )
        )

    return step


@dg.op(ins={"done": dg.In(dg.Nothing)}, pool=WRITER_POOL)
def publish(home: Home) -> None:
    """Put the studies there are into the snapshot that people query."""
    settings = home.settings
    with home.warehouse() as con:
        described = {
            f"models.{study.table}": study.says
            for study in STUDIES.values()
            if table_exists(con, f"models.{study.table}")
        }
    with told_plainly():
        log.info("published %s", publish_tables(settings, described))


_STEPS = [_step(name, study) for name, study in STUDIES.items()]


@dg.job(
    description="Every study, tuning included, and their publication: an hour and more.",
    # As long as it takes; the bound in dagster.yaml is for refreshes.
    tags={"dagster/max_runtime": "0"},
)
def studies() -> None:
    """Run the studies one after the other, and publish what they found."""
    publish([step() for step in _STEPS])


SPECS = [study.spec for study in STUDIES.values()]
