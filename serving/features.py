"""Features of coming days, with the plan as it is or with changes to it, as in training.

What depends on the past alone is computed once, when a release is loaded. A changed plan changes
what is known around a day, so that the whole horizon of its store is made again: by the same SQL,
or without a query by `serving.changed_plans`, where that was found to say the same of this release.
"""

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from sales_assets.forecasting import features
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.frames import Frames, as_rows, read_frames
from sales_assets.forecasting.release import TABLES
from sales_assets.settings import Settings
from sales_assets.warehouse import create_table, in_memory, query
from serving.changed_plans import BEFORE, CHANGEABLE, HOLIDAYS, TAIL, Change, ChangedPlans

log = logging.getLogger("serving")

# Steps of the features that no plan changes: what a store's past comes to.
OF_THE_PAST = ("profiles", "levels", "seasons", "deviations")
# Stores whose plans are changed at random, to compare both ways to make features.
TRIED_STORES = 30
# How many of a tried store's days are, say, promotions: few, half of them, nearly all.
TRIED_SHARES = (0.1, 0.5, 0.9)


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
        days = _around(con)
        self.stores = con.table("cleaned.stores").df().set_index("store_id")
        self._history = by_store(self.planned.history)
        self._rows = by_store(self.planned.rows)
        self._plan = _plans(self.planned.rows)
        self._read = {
            name: by_store(read)
            for name, member in MEMBERS.items()
            if len(read := member.history_read(self.planned.history, settings))
        }
        self._prepare(con)
        self._changed_plans = self._compared(days)

    @property
    def needs_queries(self) -> bool:
        """Whether changed plans are asked of the database, since the faster way says otherwise."""
        return self._changed_plans is None

    @property
    def store_ids(self) -> frozenset[int]:
        """The stores that have a plan."""
        return frozenset(self._rows)

    def is_changed_by(self, change: Change) -> bool:
        """Tell whether a change of a coming day is another plan than the one that holds."""
        plan = self._plan[change.store_id, change.date]
        wanted = (getattr(change, name) for name in CHANGEABLE)
        return any(
            value is not None and value != now for value, now in zip(wanted, plan, strict=True)
        )

    def history_of(self, store_id: int) -> pd.DataFrame:
        """Return the days of a store that were known at the cutoff; of a new one there are none."""
        return self._history.get(store_id, self.planned.history.head(0))

    def days_read(self, names: Iterable[str], store_ids: Iterable[int]) -> pd.DataFrame:
        """Return the days of stores that some members look at."""
        read = [self._read[name] for name in names if name in self._read]
        days = [by[store] for by in read for store in store_ids if store in by]
        if not days:
            return self.planned.history.head(0)
        found = days[0] if len(days) == 1 else pd.concat(days)
        # Two members may look at the same days.
        return found.drop_duplicates(["store_id", "date"]) if len(read) > 1 else found

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
            rows.append(self._made(changed, changes))
        asked = rows[0]
        if len(rows) > 1:
            asked = pd.concat(rows).sort_values(["store_id", "date"], ignore_index=True)
        days = [self.history_of(store) for store in sorted(store_ids)]
        history = days[0] if len(days) == 1 else pd.concat(days)
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

    def _made(self, store_ids: list[int], changes: list[Change]) -> pd.DataFrame:
        """Return the feature rows of stores whose plan is changed."""
        if self._changed_plans:
            return self._changed_plans.rows(store_ids, changes)
        return self.queried(store_ids, changes)

    def queried(self, store_ids: list[int], changes: list[Change]) -> pd.DataFrame:
        """Return what the SQL says of stores of which some have another plan.

        Args:
            store_ids: Stores that have a plan, each once.
            changes: What is to differ from it, for some of these stores.
        """
        return self._queried(store_ids, _as_frame(changes))

    def _queried(self, store_ids: list[int], changes: pd.DataFrame) -> pd.DataFrame:
        horizon = self.settings.horizon
        with self._lock:
            con = self._con
            for table, given in (
                ("asked_stores", pd.DataFrame({"store_id": store_ids})),
                ("changes", changes),
            ):
                con.execute(f"truncate {table}")
                con.register("given", given)
                con.execute(f"insert into {table} from given")
                con.unregister("given")
            create_table(con, "targets", "features/coming", temporary=True)
            create_table(con, "days", "features/days", temporary=True)
            return as_rows(query(con, "features/rows", horizon=horizon))

    def _compared(self, days: pd.DataFrame) -> ChangedPlans | None:
        """Return what makes changed plans' rows without a query, if it says what the SQL says.

        Compared are every store as planned and with every promotion turned round, and some stores
        with anything changed at random.

        Args:
            days: What `_around` returned.
        """
        planned = self.planned.rows
        stores = sorted(self._rows)
        flips = planned[["store_id", "date"]].assign(is_promo=~planned["is_promo"].astype(bool))
        flipped = self._queried(stores, flips.reindex(columns=["store_id", "date", *CHANGEABLE]))
        try:
            plans = ChangedPlans(planned, flipped, days)
        except ValueError as error:
            log.warning("changed plans are answered by queries: %s", error)
            return None
        tried = stores[:: max(1, len(stores) // TRIED_STORES)]
        random = _random_changes(planned[planned["store_id"].isin(tried)])
        for what, expected, found in (
            ("the plan as it is", planned, plans.rows(stores, [])),
            ("promotions turned round", flipped, plans.rows(stores, _as_changes(flips))),
            (
                "changes at random",
                self._queried(tried, random),
                plans.rows(tried, _as_changes(random)),
            ),
        ):
            differing = [name for name in expected if not found[name].equals(expected[name])]
            if differing or list(found) != list(expected):
                log.warning(
                    "changed plans are answered by queries: of %s, serving/changed_plans.py says "
                    "otherwise than sql/features in %s",
                    what,
                    ", ".join(differing) or "its columns",
                )
                return None
        return plans


def _plans(rows: pd.DataFrame) -> dict[tuple[int, date], tuple[Any, ...]]:
    """Return what is planned of each day of a store, in the order of `CHANGEABLE`."""
    days = zip(rows["store_id"].tolist(), rows["date"].dt.date, strict=True)
    plans = zip(*(rows[name].tolist() for name in CHANGEABLE), strict=True)
    return dict(zip(days, plans, strict=True))


def _around(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return `features/days` of the last days known and of every coming one."""
    flags = ", ".join(CHANGEABLE)
    return con.execute(
        f"select store_id, date, {flags}, {', '.join(BEFORE)} from days"
        " where date > (select max(date) from cleaned.sales) - cast($tail as integer)"
        " order by store_id, date",
        {"tail": TAIL},
    ).df()


def _as_frame(changes: list[Change]) -> pd.DataFrame:
    names = ("store_id", "date", *CHANGEABLE)
    rows = [[getattr(change, name) for name in names] for change in changes]
    return pd.DataFrame(rows, columns=list(names)).astype(
        {name: "string" if name == "state_holiday" else "boolean" for name in CHANGEABLE}
    )


def _as_changes(frame: pd.DataFrame) -> list[Change]:
    frame = frame.assign(date=frame["date"].dt.date)
    return [Change(**values) for values in frame.to_dict("records")]


def _random_changes(planned: pd.DataFrame) -> pd.DataFrame:
    """Return changes of every day of some stores: runs of all lengths, across the cutoff too."""
    draw = np.random.default_rng(1)
    stores, place = np.unique(planned["store_id"], return_inverse=True)
    frame = planned[["store_id", "date"]].reset_index(drop=True)
    for name in CHANGEABLE:
        share = draw.choice(TRIED_SHARES, len(stores))[place]
        chosen = draw.random(len(frame)) < share
        if name == "state_holiday":
            frame[name] = np.where(chosen, "none", draw.choice(HOLIDAYS, len(frame)))
        else:
            frame[name] = chosen
    return frame


def by_store(frame: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Return the rows of each store."""
    return {int(store): rows for store, rows in frame.groupby("store_id")}
