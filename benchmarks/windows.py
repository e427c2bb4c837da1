"""What each method of a comparison is shown: history up to a cutoff, and the plan after it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Self

import duckdb
import pandas as pd

from sales_assets import cleaned, warehouse
from sales_assets.errors import SalesError
from sales_assets.forecasting import features
from sales_assets.forecasting.frames import Frames, read_frames
from sales_assets.settings import Settings
from sales_assets.sources import kaggle
from sales_assets.sources.sample import write_sample

DAY = ["store_id", "date"]
PLAN = ["is_open", "is_promo", "state_holiday", "is_school_holiday"]


@dataclass(frozen=True)
class Window:
    """One cutoff's problem: forecast every row of `plan`.

    Attributes:
        cutoff: The last day whose sales are known.
        known: Days up to the cutoff: `DAY`, `PLAN` and sales; ordered by store and date.
        plan: Days after it, to the horizon: `DAY` and `PLAN`, in the same order.
        stores: The stores' attributes (`cleaned.stores`).
        frames: The platform's features, for its own members; they cut them at the cutoff.
    """

    cutoff: date
    known: pd.DataFrame
    plan: pd.DataFrame
    stores: pd.DataFrame
    frames: Frames | None = None


@dataclass(frozen=True)
class Data:
    """A chain's days, sold and planned, its stores, and the platform's features of them."""

    history: pd.DataFrame
    stores: pd.DataFrame
    rows: pd.DataFrame | None = None

    def window(self, cutoff: date, horizon: int) -> Window:
        """Return what is known at a cutoff, and the plan of the days after it."""
        first, last = pd.Timestamp(cutoff), pd.Timestamp(cutoff + timedelta(days=horizon))
        day = self.history["date"]
        return Window(
            cutoff,
            known=self.history[day <= first],
            plan=self.history.loc[(day > first) & (day <= last), DAY + PLAN],
            stores=self.stores,
            frames=None if self.rows is None else Frames(self.rows, self.history),
        )

    def judged(self, cutoff: date, horizon: int) -> pd.DataFrame:
        """Return the selling days after a cutoff: the rows on which everyone is judged."""
        first, last = pd.Timestamp(cutoff), pd.Timestamp(cutoff + timedelta(days=horizon))
        days = self.history[self.history["date"].between(first, last, inclusive="right")]
        sold = days.loc[days["is_open"] & (days["sales"] > 0), [*DAY, "sales"]]
        return sold.assign(cutoff=first).reset_index(drop=True)

    def save(self, directory: Path) -> None:
        """Write the tables as Parquet, for other processes."""
        assert self.rows is not None
        for name, table in (
            ("history", self.history), ("stores", self.stores), ("rows", self.rows)
        ):  # fmt: skip
            table.to_parquet(directory / f"{name}.parquet", index=False)

    @classmethod
    def load(cls, directory: Path, with_features: bool) -> Self:
        """Read what `save` wrote; methods with features of their own need no others."""
        history, stores = (
            pd.read_parquet(directory / f"{name}.parquet") for name in ("history", "stores")
        )
        rows = pd.read_parquet(directory / "rows.parquet") if with_features else None
        return cls(history, stores, rows)


def load(con: duckdb.DuckDBPyConnection, source: Path, settings: Settings, scratch: Path) -> None:
    """Load and clean Kaggle's files."""
    kaggle.deliver(con, source, max_refused_share=settings.max_refused_share, scratch=scratch)
    cleaned.clean_stores(con)
    cleaned.clean_sales(con)
    cleaned.clean_plan(con, settings)


@contextmanager
def from_source(
    source: Path, settings: Settings, scratch: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Load and clean Kaggle's files in memory."""
    with warehouse.in_memory(settings) as con:
        load(con, source, settings, scratch)
        yield con


@contextmanager
def delivered(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Load and clean the settings' source, or else a made-up chain of 60 stores and 942 days."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        source = settings.source or scratch / "source"
        if not settings.source:
            write_sample(source, stores=60, days=942, seed=1)
        with from_source(source, settings, scratch) as con:
            yield con


@contextmanager
def from_home(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Take the cleaned tables that a home has published into memory."""
    with warehouse.connect_snapshot(settings) as snapshot:
        tables = {
            table: snapshot.sql(f"from cleaned.{table}").to_arrow_table()
            for table in ("stores", "sales", "plan")
        }
        with warehouse.in_memory(settings) as con:
            for name, table in tables.items():
                con.register("published", table)
                con.execute(f"create table cleaned.{name} as from published")
            yield con


def read(con: duckdb.DuckDBPyConnection, cutoffs: list[date], settings: Settings) -> Data:
    """Return the chain's data with the platform's features as of the cutoffs.

    Raises:
        SalesError: A cutoff is too early to learn before it, or too late to be judged.
    """
    ((first_day, last_day),) = con.execute(
        "select min(date), max(date) from cleaned.sales"
    ).fetchall()
    # A member learns from rows whose own cutoff has a whole horizon before this one.
    earliest = first_day + timedelta(days=features.WARM_UP + settings.horizon)
    latest = last_day - timedelta(days=settings.horizon)
    outside = [str(cutoff) for cutoff in cutoffs if not earliest <= cutoff <= latest]
    if outside:
        raise SalesError(
            f"Cutoffs must lie between {earliest} and {latest}, and {', '.join(outside)} does not."
        )
    features.build_training(con, settings, cutoffs)
    frames = read_frames(con, "features.training")
    stores = con.execute("from cleaned.stores order by store_id").df()
    return Data(frames.history, stores, frames.rows)
