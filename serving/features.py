"""Features of coming days, with the plan as it is or with changes to it: the SQL of training.

What depends on the past alone is computed once, when a release is loaded. A changed plan changes
what is known around a day, so that the whole horizon of its store is computed again.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Lock

import duckdb
import pandas as pd

from sales_assets.forecasting import features
from sales_assets.forecasting.frames import Frames, as_rows, read_frames
from sales_assets.forecasting.release import TABLES
from sales_assets.settings import Settings
from sales_assets.warehouse import create_table, in_memory, query

# Steps of the features that no plan changes: what a store's past comes to.
OF_THE_PAST = ("profiles", "levels", "seasons", "deviations")
# What a scenario may change of a day.
CHANGEABLE = ("is_open", "is_promo", "state_holiday", "is_school_holiday")


@dataclass(frozen=True)
class Change:
    """What differs from the plan on a day of a store; None leaves it as planned."""

    store_id: int
    date: date
    is_open: bool | None = None
    is_promo: bool | None = None
    state_holiday: str | None = None
    is_school_holiday: bool | None = None


class LiveFeatures:
    """The features of every coming day, in an in-memory DuckDB that no one else uses.

    Args:
        data: Directory of a release's data, verified.
        settings: Horizon and threads.
    """

    def __init__(self, data: Path, settings: Settings) -> None:
        self.settings = settings
        self._lock, self._stack = Lock(), ExitStack()
        self._con = con = self._stack.enter_context(in_memory(settings))
        for table in TABLES:
            con.read_parquet(str(data / f"{table}.parquet")).create(f"cleaned.{table}")
        features.build_future(con, settings)
        self.planned = read_frames(con, "features.future")
        self.stores = con.table("cleaned.stores").df().set_index("store_id")
        self._history = by_store(self.planned.history)
        self._rows = by_store(self.planned.rows)
        self._prepare(con)

    @property
    def store_ids(self) -> frozenset[int]:
        """The stores that have a plan."""
        return frozenset(self._rows)

    def history_of(self, store_id: int) -> pd.DataFrame:
        """Return the days of a store that were known at the cutoff; of a new one there are none."""
        return self._history.get(store_id, self.planned.history.head(0))

    def of(self, store_ids: list[int], changes: list[Change]) -> Frames:
        """Return the features of all coming days of some stores.

        Args:
            store_ids: Stores that have a plan, each once.
            changes: What is to differ from it, for some of these stores.

        Returns:
            Rows of whole stores, ordered by store and date, with the stores' history.
        """
        changed = sorted({change.store_id for change in changes})
        rows = [self._rows[store] for store in store_ids if store not in set(changed)]
        if changed:
            rows.append(self._computed(changed, changes))
        asked = pd.concat(rows).sort_values(["store_id", "date"], ignore_index=True)
        history = pd.concat([self.history_of(store) for store in sorted(store_ids)])
        return Frames(asked, history.reset_index(drop=True))

    def _prepare(self, con: duckdb.DuckDBPyConnection) -> None:
        """Set up a second database, whose tables of the same names hold the asked stores alone."""
        for step in OF_THE_PAST:
            con.execute(f"create table features.{step} as from {step} order by store_id")
        for step in ("targets", *features.STEPS):
            if step != "easters":
                con.execute(f"drop table temp.{step}")
        con.execute("attach ':memory:' as asked")
        con.execute("use asked")
        con.execute("create schema cleaned")
        con.execute("create table asked_stores (store_id integer)")
        columns = ", ".join(
            f"{name} {'varchar' if name == 'state_holiday' else 'boolean'}" for name in CHANGEABLE
        )
        con.execute(f"create table changes (store_id integer, date date, {columns})")
        now = ", ".join(f"coalesce(changes.{name}, plan.{name}) as {name}" for name in CHANGEABLE)
        of_asked = "semi join asked_stores using (store_id)"
        con.execute("create view cleaned.stores as from memory.cleaned.stores")
        con.execute(f"create view cleaned.sales as from memory.cleaned.sales {of_asked}")
        con.execute(
            f"create view cleaned.plan as select plan.store_id, plan.date, {now}"
            f" from memory.cleaned.plan {of_asked} left join changes using (store_id, date)"
        )
        for step in OF_THE_PAST:
            con.execute(f"create view {step} as from memory.features.{step} {of_asked}")

    def _computed(self, store_ids: list[int], changes: list[Change]) -> pd.DataFrame:
        """Return the feature rows of stores whose plan is changed."""
        horizon = self.settings.horizon
        with self._lock:
            con = self._con
            for table, given in (
                ("asked_stores", pd.DataFrame({"store_id": store_ids})),
                ("changes", _as_frame(changes)),
            ):
                con.execute(f"truncate {table}")
                con.register("given", given)
                con.execute(f"insert into {table} from given")
                con.unregister("given")
            create_table(con, "targets", "features/coming", temporary=True)
            create_table(con, "days", "features/days", temporary=True)
            return as_rows(query(con, "features/rows", horizon=horizon))


def _as_frame(changes: list[Change]) -> pd.DataFrame:
    names = ("store_id", "date", *CHANGEABLE)
    frame = pd.DataFrame([[getattr(change, name) for name in names] for change in changes])
    return frame.set_axis(names, axis=1).astype(
        {name: "string" if name == "state_holiday" else "boolean" for name in CHANGEABLE}
    )


def by_store(frame: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return the rows of each store."""
    return {int(store): rows for store, rows in frame.groupby("store_id")}
