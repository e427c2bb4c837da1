"""An ensemble's bundle: its members fitted, composed, loaded again, and asked for forecasts."""

import hashlib
import inspect
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pydantic import ValidationError

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting import conformal, metrics
from sales_assets.forecasting import ensemble as ensemble_module
from sales_assets.forecasting import point as point_module
from sales_assets.forecasting.backtest import COLUMNS, member_fingerprint, member_recipe
from sales_assets.forecasting.baseline import Baseline
from sales_assets.forecasting.conformal import calibrate
from sales_assets.forecasting.ensemble import (
    MEMBERS,
    Ensemble,
    fit_weights,
)
from sales_assets.forecasting.frames import KEYS, Frames, feature_names
from sales_assets.forecasting.manifest import Draft, Manifest, Window
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.model_card import (
    Facts,
    backtest_facts,
    champions_own,
    data_facts,
    judged_sections,
    write_card,
)
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore, fingerprint_of
from sales_assets.forecasting.point import MEDIAN, factors
from sales_assets.settings import BOUNDS, Settings

log = logging.getLogger("sales_assets.models")

MADE_BY = (ensemble_module, conformal, point_module)
FORECAST_COLUMNS = ["cutoff", "store_id", "date", "model", "h", "forecast", *BOUNDS, "version"]


def fit_member(
    store: ModelStore,
    name: str,
    frames: Frames,
    cutoff: date,
    data: str,
    settings: Settings,
    scores: Mapping[str, float] | None = None,
    backtest: pd.DataFrame | None = None,
    continues: str | None = None,
) -> tuple[Manifest, bool]:
    """Return a member fitted at the cutoff, and whether it had to be fitted now.

    A complete version with the same fingerprint is taken as it is. The backtest's scores are
    recorded with a new one, and told in its card with the backtest itself, or with what the card
    of the version tells that it continues.
    """
    member = MEMBERS[name]
    features = feature_names(frames.rows)
    fingerprint = member_fingerprint(member, cutoff, data, settings, features)
    found = store.find(name, fingerprint)
    if found:
        log.info("%s: unchanged, version %s is kept", name, found.version)
        return found, False
    started = time.perf_counter()
    known = frames.known_at(cutoff)
    fitted = member(settings).fit(known, cutoff)
    draft = Draft(
        cutoff=cutoff,
        fingerprint=fingerprint,
        data=data,
        recipe=member_recipe(member, settings, features),
        parameters=fitted.parameters.model_dump(mode="json"),
        features=features,
        scores=dict(scores or {}),
        counts=fitted.counts,
    )
    judged = pd.DataFrame(columns=COLUMNS) if backtest is None else backtest
    facts = Facts(
        member.about(),
        data_facts(known),
        judged,
        champions_own(store, name),
        judged_sections(store, name, continues) if continues else {},
    )

    def write(directory: Path) -> None:
        fitted.save(directory)
        write_card(directory, name, draft, facts)

    manifest = store.save(name, draft, write)
    log.info("%s: version %s, %.0f s", name, manifest.version, time.perf_counter() - started)
    return manifest, True


def fitted_members(
    store: ModelStore, features: list[str], cutoff: date, data: str, settings: Settings
) -> dict[str, Manifest]:
    """Return the version of each member that belongs to these data and settings.

    Raises:
        ModelStoreError: A member has not been fitted to them.
    """
    found: dict[str, Manifest] = {}
    for name, member in MEMBERS.items():
        fingerprint = member_fingerprint(member, cutoff, data, settings, features)
        manifest = store.find(name, fingerprint)
        if manifest is None:
            raise ModelStoreError(
                f"{name} is not fitted to the data and settings of now; materialise models/{name}, "
                "or refresh."
            )
        found[name] = manifest
    return found


def compose(
    store: ModelStore,
    members: Mapping[str, Manifest],
    backtest: pd.DataFrame,
    scores: Mapping[str, float],
    point: str = MEDIAN,
) -> Manifest:
    """Return the ensemble of fitted members: weights, intervals and factors from the backtest.

    The newest version is kept if it would come out the same; an older one is composed anew, so
    that the newest is always the one last composed. What it records of each window is what it is
    judged by (`promotion.judge`).
    """
    cutoff = max(manifest.cutoff for manifest in members.values())
    fingerprint = fingerprint_of(
        {name: manifest.fingerprint for name, manifest in members.items()},
        sorted(backtest["fingerprint"].unique()),
        point,
        # What makes weights, bounds and factors of the same backtest.
        [inspect.getsource(part) for part in MADE_BY],
    )
    found = store.find(ENSEMBLE, fingerprint)
    if (
        found
        and found == store.newest_composed()
        and all(
            found.members[name]["version"] == manifest.version for name, manifest in members.items()
        )
    ):
        return found
    weights = fit_weights(backtest[backtest["model"].isin(list(members))])
    ensemble = Ensemble(weights, calibrate(backtest), factors(backtest, point))
    draft = Draft(
        cutoff=cutoff,
        fingerprint=fingerprint,
        data=next(iter(members.values())).data,
        parameters={"weights": weights, "point": point},
        scores=dict(scores),
        members=store.references(members),
        windows=windows_of(backtest),
    )
    facts = Facts(
        Ensemble.__doc__ or "", backtest_facts(backtest), backtest, champions_own(store, ENSEMBLE)
    )

    def write(directory: Path) -> None:
        ensemble.save(directory)
        write_card(directory, ENSEMBLE, draft, facts)

    return store.save(ENSEMBLE, draft, write)


def windows_of(backtest: pd.DataFrame) -> dict[str, Window]:
    """Return how the ensemble and the baseline did on each window, by cutoff."""
    ensemble = backtest[backtest["model"] == ENSEMBLE]
    baseline = backtest[backtest["model"] == Baseline.name].set_index(list(KEYS))
    windows = {}
    for cutoff, days in ensemble.sort_values(list(KEYS)).groupby("cutoff"):
        sales = days["sales"].to_numpy()
        beside = baseline["forecast"].reindex(pd.MultiIndex.from_frame(days[list(KEYS)]))
        numbers = (days["store_id"], days["date"].to_numpy("datetime64[D]"), np.rint(100 * sales))
        task = np.column_stack([np.asarray(number).astype("int64") for number in numbers])
        windows[f"{pd.Timestamp(str(cutoff)):%Y-%m-%d}"] = Window(
            days=len(days),
            rmspe=metrics.rmspe(sales, days["forecast"].to_numpy()),
            baseline_rmspe=metrics.rmspe(sales, beside.to_numpy()),
            judged=hashlib.sha256(task.tobytes()).hexdigest(),
        )
    return windows


def with_parameters(settings: Settings, name: str, member: Manifest) -> Settings:
    """Return the settings with a member's own as its version records them.

    Raises:
        ModelStoreError: They are not valid any more.
    """
    try:
        own = type(getattr(settings, name)).model_validate(member.parameters)
    except ValidationError as error:
        faults = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise ModelStoreError(
            f"{name} has parameters that cannot be used any more: {faults}."
        ) from None
    return settings.model_copy(update={name: own})


def as_recorded(store: ModelStore, ensemble: Manifest, settings: Settings) -> Settings:
    """Return the settings that an ensemble's members were fitted with.

    Raises:
        ModelStoreError: A member is unknown, its manifest was changed, or its parameters cannot
            be used any more.
    """
    for name, own in ensemble.members.items():
        member = store.recorded(name, own["version"], own["manifest_sha256"])
        settings = with_parameters(settings, name, member)
    return settings


def load_member(
    store: ModelStore, name: str, version: str, manifest_sha256: str, settings: Settings
) -> Member:
    """Return a member as it was saved.

    Raises:
        ModelStoreError: It is unknown, a file is not the one that was recorded, or the code of now
            needs files that it was saved without, or cannot use its parameters.
    """
    directory = store.verified(name, version, manifest_sha256)
    # A network is asked for as many days of the past as it was trained with, whatever is set now.
    settings = with_parameters(settings, name, store.manifest(name, version))
    try:
        return MEMBERS[name].load(directory, settings)
    except FileNotFoundError as error:
        raise ModelStoreError(
            f"{name} {version} was saved by another version of the platform; `sales models promote "
            "newest` and a refresh follow the newest."
        ) from error


def learnt_from(store: ModelStore, ensemble: Manifest) -> dict[str, list[str]]:
    """Return the features that each member of an ensemble learnt from.

    Raises:
        ModelStoreError: A member is unknown, or its manifest was changed.
    """
    return {
        name: store.recorded(name, own["version"], own["manifest_sha256"]).features
        for name, own in ensemble.members.items()
    }


def unlike(learnt: Mapping[str, list[str]], features: list[str]) -> str:
    """Return the members that learnt from other features than these, as a sentence lists them."""
    return ", ".join(name for name, own in learnt.items() if own != features)


@dataclass(frozen=True)
class Bundle:
    """A verified ensemble with its members, ready to forecast."""

    manifest: Manifest
    ensemble: Ensemble
    members: Mapping[str, Member]
    features: Mapping[str, list[str]]

    @classmethod
    def load(cls, store: ModelStore, version: str, settings: Settings) -> Self:
        """Load an ensemble and its members.

        Raises:
            ModelStoreError: A version is unknown, or a file is not the one that was recorded.
        """
        ensemble = Ensemble.load(store.verified(ENSEMBLE, version))
        manifest = store.manifest(ENSEMBLE, version)
        members = {
            name: load_member(store, name, member["version"], member["manifest_sha256"], settings)
            for name, member in manifest.members.items()
        }
        return cls(manifest, ensemble, members, learnt_from(store, manifest))

    def forecast(self, asked: Frames) -> pd.DataFrame:
        """Return every member's and the ensemble's forecasts with intervals.

        Args:
            asked: The rows to forecast, with `is_open` as planned.

        Returns:
            One row a (cutoff, store_id, date, model) with the columns `FORECAST_COLUMNS`; a
            closed day is exactly 0, bounds included.

        Raises:
            ModelStoreError: Its members learnt from other features than there are now.
        """
        if others := unlike(self.features, feature_names(asked.rows)):
            raise ModelStoreError(
                f"{self.manifest.version} cannot forecast, for {others} learnt from other features "
                "than there are now; `sales models promote newest` and a refresh follow the newest."
            )
        log_forecasts = pd.DataFrame(
            {name: member.predict(asked) for name, member in self.members.items()}
        )
        forecasts = self.ensemble.forecast(asked.rows, log_forecasts)
        return forecasts.assign(version=self.manifest.version)[FORECAST_COLUMNS]
