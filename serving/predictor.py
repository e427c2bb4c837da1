"""Forecasts in real time, without Dagster, Ray or HTTP: one release, loaded and verified."""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.errors import ReleaseError, SalesError
from sales_assets.forecasting.bundle import as_recorded, learnt_from, load_member, unlike
from sales_assets.forecasting.ensemble import Ensemble
from sales_assets.forecasting.frames import Frames, feature_names
from sales_assets.forecasting.member import Member
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.forecasting.release import ACCURACY, Release
from sales_assets.settings import Settings
from serving.changed_plans import CHANGEABLE, Change
from serving.features import LiveFeatures, by_store

log = logging.getLogger("serving")

# What a member says of asked rows: log forecasts of shape (rows,).
Ask = Callable[[Frames], NDArray[np.float64]]
# Offenders that an error names.
MOST_NAMED = 10


class UnknownStoreError(SalesError):
    """A store that the release has no plan for."""


class OutsideHorizonError(SalesError):
    """A day before or after those that the release can forecast."""


class ContradictionError(SalesError):
    """Two changes of one day that cannot both be."""


class NoMemberError(SalesError):
    """No member of the ensemble answers."""


@dataclass(frozen=True)
class Answer:
    """What was forecast, and what could not take part.

    Attributes:
        forecasts: One row a (store_id, date, model), every coming day of each asked store, with
            the columns of `forecasts.daily`.
        plan: One row a (store_id, date): the plan that was forecast, and the row's anchor.
        degraded: Members that gave no answer.
    """

    forecasts: pd.DataFrame
    plan: pd.DataFrame
    degraded: tuple[str, ...]

    def of(self, store_ids: Collection[int]) -> Self:
        """Return the answer for some of its stores."""
        forecasts, plan = self.forecasts, self.plan
        return type(self)(
            forecasts[forecasts["store_id"].isin(store_ids)],
            plan[plan["store_id"].isin(store_ids)],
            self.degraded,
        )

    def joined(self, other: Self) -> Self:
        """Return both answers, which are of different stores, as one."""
        return type(self)(
            pd.concat([self.forecasts, other.forecasts], ignore_index=True),
            pd.concat([self.plan, other.plan], ignore_index=True),
            tuple(sorted({*self.degraded, *other.degraded})),
        )


class Planned:
    """The answer to the plan as it is, which is forecast once, and given for any stores.

    Args:
        answer: Of every store.
    """

    def __init__(self, answer: Answer) -> None:
        self.degraded = answer.degraded
        self.forecasts = answer.forecasts
        self._forecasts = by_store(answer.forecasts)
        self._plan = by_store(answer.plan)

    def of(self, store_ids: Iterable[int]) -> Answer:
        """Return the answer for some of the stores."""
        stores = sorted(set(store_ids))
        return Answer(
            pd.concat([self._forecasts[store] for store in stores]),
            pd.concat([self._plan[store] for store in stores]),
            self.degraded,
        )


@dataclass(frozen=True)
class Predictor:
    """An ensemble, its members, and the features of the coming days of every store.

    Attributes:
        release: What is loaded.
        ensemble: Weights and intervals.
        features: The features of the release's data.
        accuracy: How well each store was forecast so far, by store (`sql/serving/accuracy.sql`).
        members: What answers for each member; those that are missing count as failed.
        planned: What the members said of the plan as it is, once they were asked.
    """

    release: Release
    ensemble: Ensemble
    features: LiveFeatures
    accuracy: pd.DataFrame
    members: Mapping[str, Ask]
    planned: Planned | None = None

    @classmethod
    def load(cls, home: Path, settings: Settings) -> Self:
        """Load the present release of a home with all its members.

        Raises:
            SalesError: There is no release, or a file is not the one that was recorded.
        """
        release = Release.read(home / "serving")
        alone = cls.without_members(release, home, settings)
        store, own = ModelStore(home / "models"), _of_release(settings, release)
        members: dict[str, Ask] = {
            name: loaded_member(store, release, name, own).predict
            for name in alone.ensemble.weights
        }
        whole = replace(alone, members=members)
        return whole.with_planned(whole.forecast(sorted(whole.stores)))

    @classmethod
    def without_members(cls, release: Release, home: Path, settings: Settings) -> Self:
        """Load everything of a release but its members, which others are to ask.

        Raises:
            SalesError: A file is not the one that was recorded, or members learnt from other
                features than there are now.
        """
        store = ModelStore(home / "models")
        ensemble = Ensemble.load(store.verified(ENSEMBLE, release.version, release.manifest_sha256))
        data = release.verified(home / "serving")
        manifest = store.manifest(ENSEMBLE, release.version)
        settings = as_recorded(store, manifest, _of_release(settings, release))
        features = LiveFeatures(data, settings)
        learnt = learnt_from(store, manifest)
        if others := unlike(learnt, feature_names(features.planned.rows)):
            raise ReleaseError(
                f"{release.version} was released by another version of the platform: {others} "
                "learnt from other features than there are now; `sales refresh` releases anew."
            )
        accuracy = pd.read_parquet(data / f"{ACCURACY}.parquet").set_index("store_id")
        return cls(release, ensemble, features, accuracy, members={})

    def with_planned(self, answer: Answer) -> Self:
        """Return this, with the answer to the plan as it is, of every store."""
        return replace(self, planned=Planned(answer))

    def forecast(self, store_ids: list[int], changes: list[Change] | None = None) -> Answer:
        """Forecast every coming day of some stores.

        Args:
            store_ids: The stores, in any order; those of the changes belong to them.
            changes: What is to differ from the plan, all of it together.

        Raises:
            UnknownStoreError: A store is not in the plan.
            OutsideHorizonError: A change is not of a coming day.
            ContradictionError: Two changes of one day contradict one another.
            NoMemberError: No member answers.
        """
        asked = self.asked(store_ids, changes)
        says: dict[str, NDArray[np.float64]] = {}
        for name in self.ensemble.weights:
            try:
                says[name] = self.members[name](asked)
            except Exception:
                # What fails in one member must not take the others with it; the answer names it.
                log.exception("%s gives no answer", name)
        return self.answer(asked, says)

    def asked(self, store_ids: list[int], changes: list[Change] | None = None) -> Frames:
        """Return the rows that `forecast` asks the members for."""
        stores = {*store_ids, *(change.store_id for change in changes or [])}
        self.check_stores(stores)
        return self.features.of(sorted(stores), self.checked(changes or []))

    def answer(self, asked: Frames, says: Mapping[str, NDArray[np.float64]]) -> Answer:
        """Return the forecasts that follow from what the members say of the asked rows.

        Args:
            asked: What `asked` returned.
            says: Log forecasts by member; those that are missing count as failed.
        """
        # The order of the members decides the last bit of their mean.
        present = {
            name: says[name]
            for name in self.ensemble.weights
            if name in says and _is_usable(says[name], asked)
        }
        if not present:
            raise NoMemberError("No member of the ensemble answers.")
        forecasts = self.ensemble.forecast(asked.rows, pd.DataFrame(present))
        forecasts["version"] = self.release.version
        return Answer(
            forecasts,
            asked.rows[["store_id", "date", *CHANGEABLE, "anchor"]],
            tuple(name for name in self.ensemble.weights if name not in present),
        )

    def as_if(self, answer: Answer, degraded: Collection[str]) -> Answer:
        """Return an answer as it would be without some members."""
        if set(degraded) <= set(answer.degraded):
            return answer
        rows = answer.plan.assign(cutoff=pd.Timestamp(self.release.cutoff))
        keys = ["store_id", "date"]
        members = answer.forecasts.pivot_table(
            index=keys, columns="model", values="forecast", sort=False
        ).reindex(pd.MultiIndex.from_frame(rows[keys]))
        heights = answer.forecasts.drop_duplicates(keys).set_index(keys)["h"]
        rows["h"] = heights.reindex(members.index).to_numpy()
        # The forecast of a closed day has no logarithm, and needs none.
        says = np.log(members.where(members > 0, 1.0))
        said = {
            # Moved already, and moved again below.
            name: says[name].to_numpy() - math.log(self.ensemble.factors.get(name, 1.0))
            for name in self.ensemble.weights
            if name not in degraded and name in says
        }
        return self.answer(Frames(rows, answer.forecasts.head(0)), said)

    def check_days(self, days: Iterable[tuple[int, date]]) -> None:
        """Say whether these days of stores can be forecast.

        Raises:
            UnknownStoreError: A store is not in the plan.
            OutsideHorizonError: A day is not a coming one.
        """
        wanted = set(days)
        self.check_stores({store for store, _ in wanted})
        for day in sorted({day for _, day in wanted}):
            if not self.first_day <= day <= self.last_day:
                raise OutsideHorizonError(
                    f"{day} is not among the days that can be forecast, {self.first_day} to "
                    f"{self.last_day}."
                )

    def check_stores(self, store_ids: set[int]) -> None:
        """Say whether these stores can be forecast.

        Raises:
            UnknownStoreError: A store is not in the plan.
        """
        unknown = sorted(store_ids - self.stores)
        if unknown:
            more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
            named = ", ".join(map(str, unknown[:MOST_NAMED]))
            raise UnknownStoreError(f"There is no store {named}{more}.")

    def checked(self, changes: list[Change]) -> list[Change]:
        """Return what the plan is to be changed by: all that is said of a store's day together.

        Raises:
            UnknownStoreError: A store is not in the plan.
            OutsideHorizonError: A day is not a coming one.
            ContradictionError: Two changes of one day contradict one another.
        """
        self.check_days((change.store_id, change.date) for change in changes)
        said: dict[tuple[int, date], dict[str, Any]] = {}
        for change in changes:
            fields = said.setdefault((change.store_id, change.date), {})
            for name in CHANGEABLE:
                value = getattr(change, name)
                if value is not None and fields.setdefault(name, value) != value:
                    raise ContradictionError(
                        f"Store {change.store_id} cannot have two different plans on "
                        f"{change.date}: {name} is said to be {fields[name]} and {value}."
                    )
        return [Change(store, day, **fields) for (store, day), fields in said.items()]

    @property
    def stores(self) -> frozenset[int]:
        """The stores that can be asked for."""
        return self.features.store_ids

    @property
    def first_day(self) -> date:
        """The first day that can be asked for."""
        return self.release.cutoff + timedelta(days=1)

    @property
    def last_day(self) -> date:
        """The last day that can be asked for."""
        return self.release.cutoff + timedelta(days=self.release.horizon)


def loaded_member(store: ModelStore, release: Release, name: str, settings: Settings) -> Member:
    """Return a member of a release, verified and ready for many questions.

    Raises:
        ModelStoreError: A version is missing, or a file is not the one that was recorded.
    """
    store.verified(ENSEMBLE, release.version, release.manifest_sha256)
    member = store.manifest(ENSEMBLE, release.version).members[name]
    found = load_member(store, name, member["version"], member["manifest_sha256"], settings)
    found.warm_up()
    return found


def _is_usable(log_forecasts: NDArray[np.float64], asked: Frames) -> bool:
    """Tell whether there is a number for every open day."""
    values = np.asarray(log_forecasts, dtype=np.float64)
    is_open = asked.rows["is_open"].to_numpy(dtype=bool)
    return values.shape == is_open.shape and bool(np.isfinite(values[is_open]).all())


def _of_release(settings: Settings, release: Release) -> Settings:
    return settings.model_copy(update={"horizon": release.horizon})
