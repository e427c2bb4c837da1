"""Paths of series that were fitted before, kept by the hash of what decided them."""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.settings import Settings

log = logging.getLogger("sales_assets.models")

COLUMNS = ["key", "path", "failure", "sha256", "used_on"]
# Hashes and date of an entry, in bytes; its path and failure come on top.
ENTRY_BYTES = 160


@dataclass(frozen=True)
class Entry:
    """A model's path of a series and, where the seasonal naive stands in, why it failed."""

    path: NDArray[np.float64]
    failure: str

    def sha256(self, key: str) -> str:
        """Return the hash that tells whether the entry is still the one kept under the key."""
        said = f"{key}\0{self.failure}\0".encode() + self.path.astype("<f8").tobytes()
        return hashlib.sha256(said).hexdigest()

    @property
    def size(self) -> int:
        """About the bytes it takes on disk."""
        return ENTRY_BYTES + self.path.nbytes + len(self.failure.encode())


class SeriesCache:
    """One Parquet file of paths; nothing is lost but time when it is removed.

    Two processes that write at once lose what one of them added, and nothing else: the file is
    replaced as a whole.

    Args:
        directory: Where the file is.
        megabytes: Its size at most; entries least recently used go first.
        days: Entries not used for longer are dropped.
        today: The calendar; tests pass their own.
    """

    def __init__(
        self,
        directory: Path,
        megabytes: float,
        days: int,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.path = directory / "paths.parquet"
        self.megabytes = megabytes
        self.days = days
        self.today = today
        self._used: set[str] = set()

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the home's cache, or none if settings keep none."""
        if settings.cache_megabytes == 0:
            return None
        return cls(settings.statistical_cache, settings.cache_megabytes, settings.cache_days)

    def take(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Return the entries of the keys that are there and unharmed."""
        table = self._read()
        entries, damaged = {}, 0
        for row in table[table["key"].isin(set(keys))].itertuples():
            entry = Entry(np.array(row.path, dtype=np.float64), str(row.failure))
            if entry.sha256(row.key) == row.sha256:
                entries[row.key] = entry
            else:
                damaged += 1
        if damaged:
            log.warning("%s: %d damaged entries are fitted again", self.path, damaged)
        self._used |= entries.keys()
        return entries

    def keep(self, entries: Mapping[str, Entry]) -> None:
        """Add entries and forget those that are too old or too many."""
        today = self.today()
        new = pd.DataFrame(
            [
                (key, entry.path, entry.failure, entry.sha256(key), pd.Timestamp(today))
                for key, entry in entries.items()
            ],
            columns=COLUMNS,
        )
        former = self._read()
        is_used = former["key"].isin(self._used)
        # A day's resolution: a refresh that finds everything need not write the file again.
        if new.empty and (former.loc[is_used, "used_on"] == pd.Timestamp(today)).all():
            return
        former["used_on"] = former["used_on"].mask(is_used, pd.Timestamp(today))
        former = former[~former["key"].isin(set(entries))]
        table = pd.concat([part for part in (new, former) if len(part)], ignore_index=True)
        oldest = pd.Timestamp(today - timedelta(days=self.days))
        table = table[table["used_on"] >= oldest].sort_values(
            "used_on", ascending=False, kind="stable"
        )
        sizes = table["path"].map(len) * 8 + table["failure"].str.len() + ENTRY_BYTES
        self._write(table[sizes.cumsum() <= self.megabytes * 1e6])

    def _read(self) -> pd.DataFrame:
        empty = pd.DataFrame(columns=COLUMNS).astype({"used_on": "datetime64[ns]"})
        if not self.path.exists():
            return empty
        try:
            table = pd.read_parquet(self.path, columns=COLUMNS)
            table["used_on"] = table["used_on"].astype("datetime64[ns]")
        except Exception as error:
            # Whatever is wrong with the file, it only spares time.
            log.warning("%s cannot be read and is written anew: %s", self.path, error)
            return empty
        return table.drop_duplicates("key")

    def _write(self, table: pd.DataFrame) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
            table.to_parquet(partial, index=False)
            partial.replace(self.path)
        except OSError as error:
            log.warning("%s cannot be written; series will be fitted again: %s", self.path, error)
