"""The champion: which version forecasts, and how that came to be."""

import logging

import dagster as dg
import pandas as pd

from sales_assets import quality
from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.champion import Champion, judgements
from sales_assets.forecasting.features import data_fingerprint, last_sales_day
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.forecasting.promotion import decide
from sales_assets.metadata import card, describe
from sales_assets.resources import OWNERS, WRITER_POOL, Home, told_plainly
from sales_assets.warehouse import replace_table

log = logging.getLogger("sales_assets.models")


@dg.asset(
    key=["models", "choice"],
    deps=[["models", ENSEMBLE], ["features", "training"]],
    group_name="models",
    kinds={"python"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def choice(home: Home) -> dg.MaterializeResult:
    """Which version forecasts: the new ensemble, or the champion where that is the better one.

    The new ensemble is judged by its backtest, against the baseline and the champion. A champion
    that goes on is fitted again to the new data. It is decided here, once for everything after it;
    the champion moves when that is published.
    """
    store, settings = home.models, home.settings
    with home.warehouse() as con:
        cutoff, data = last_sales_day(con), data_fingerprint(con)

    def frames() -> Frames:
        with home.warehouse() as con:
            return read_frames(con, "features.training")

    with told_plainly():
        challenger = store.newest_composed()
        assert challenger is not None, "models/ensemble comes first"
        decided = decide(store, challenger, frames, cutoff, data, settings)
    log.log(logging.WARNING if decided.is_warning else logging.INFO, "choice: %s", decided.reason)
    compared = {"rmspe": decided.rmspe, "champion_rmspe": decided.champion_rmspe}
    return dg.MaterializeResult(
        metadata={
            "version": decided.version,
            "champion": decided.champion,
            "challenger": decided.challenger,
            "reason": decided.reason,
            "needs_a_look": decided.is_warning,
            **card(store, store.manifest(ENSEMBLE, decided.version)),
            **{name: value for name, value in compared.items() if value is not None},
        }
    )


@dg.asset(
    key=["models", "versions"],
    deps=[["forecasts", "daily"], ["forecasts", "latest"], ["forecasts", "explanation_parts"]],
    group_name="published",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def versions(home: Home) -> dg.MaterializeResult:
    """One row a version of the ensemble: what it is, its scores, and what became of it and why.

    The status is champion, former champion or challenger; rmspe_compared and champion_rmspe are
    errors on the windows that it and the champion of then (judged_against) were both judged on.
    All of it as it is from this publication on.
    """
    store = home.models
    with home.warehouse() as con:
        quality.refuse_what_was_stopped(con, store.chosen())
        champion = store.settled()
        if champion is None:
            raise ModelStoreError(f"There is no champion in {store.root}; refresh first.")
        replace_table(con, "models.versions", _versions(store, champion))
        metadata = describe(con, "models.versions")
    return dg.MaterializeResult(
        metadata={**metadata, "champion": champion.version, "reason": champion.reason}
    )


@dg.asset(
    key=["models", "promotions"],
    deps=[["models", "versions"]],
    group_name="published",
    kinds={"python", "duckdb"},
    owners=OWNERS,
    pool=WRITER_POOL,
)
def promotions(home: Home) -> dg.MaterializeResult:
    """One row a time that a version was made champion or was refused: when, why, against which.

    Versions that are not kept any more are told of, too.
    """
    with told_plainly():
        champion = home.models.settled()
    table = pd.DataFrame([vars(event) for event in (champion.history if champion else ())])
    # A history without any comparison would otherwise have columns of no type.
    table = table.astype({"rmspe": float, "champion_rmspe": float, "against": "string"})
    with home.warehouse() as con:
        replace_table(con, "models.promotions", table)
        return dg.MaterializeResult(metadata=describe(con, "models.promotions"))


def _versions(store: ModelStore, champion: Champion) -> pd.DataFrame:
    manifests = store.versions(ENSEMBLE)
    told = judgements([manifest.version for manifest in manifests], champion)
    recorded = pd.DataFrame(
        [
            {
                "version": manifest.version,
                "cutoff": manifest.cutoff,
                "created_at": manifest.created_at,
                "continues": manifest.continues,
                "fingerprint": manifest.fingerprint,
                "manifest_sha256": store.manifest_sha256(ENSEMBLE, manifest.version),
                **manifest.scores,
            }
            for manifest in manifests
        ]
    )
    texts = dict.fromkeys(("reason", "judged_against", "continues"), "string")
    return told.merge(recorded, on="version").astype(texts)


ASSETS = [choice, versions, promotions]
