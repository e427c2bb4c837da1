"""What answers in real time: an ensemble's version, and the data that its features are made from.

`serving/release.json` names both by hash. It is replaced atomically, after the data are complete
under a name of their own, so that a service finds the old release or the new one.
"""

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Self

import duckdb

from sales_assets.errors import ReleaseError
from sales_assets.forecasting.features import last_sales_day
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore, sha256_of
from sales_assets.warehouse import read_sql

FILE = "release.json"
DATA = re.compile(r"data-\d{8}-[0-9a-f]{12}")
# The cleaned tables that features are made from, ordered so that a store's rows lie together.
TABLES = {"sales": "store_id, date", "stores": "store_id", "plan": "store_id, date"}
# How well each store was forecast so far (`sql/serving/accuracy.sql`).
ACCURACY = "accuracy"


@dataclass(frozen=True)
class Release:
    """An ensemble and its data.

    Attributes:
        version: The ensemble's version.
        manifest_sha256: Hash of its manifest, which records those of its members.
        cutoff: Last day whose sales are known.
        horizon: Days after it that can be asked for.
        data: Name of the directory of the data, below `serving/`.
        files: SHA-256 of each of its files.
    """

    version: str
    manifest_sha256: str
    cutoff: date
    horizon: int
    data: str
    files: dict[str, str]

    def to_json(self) -> str:
        """Return the text of the release's file."""
        return json.dumps(asdict(self), indent=2, default=lambda value: value.isoformat()) + "\n"

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the present release of a home's directory `serving`.

        Raises:
            ReleaseError: There is none, or its file is damaged.
        """
        path = directory / FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**values, "cutoff": date.fromisoformat(values["cutoff"])})
        except FileNotFoundError:
            raise ReleaseError(f"There is no {path}; run `sales refresh` first.") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ReleaseError(f"{path} cannot be read: {error}; refresh again.") from None

    def verified(self, directory: Path) -> Path:
        """Return the directory of the data, once every file is the one that was recorded.

        Raises:
            ReleaseError: A file is missing or was changed.
        """
        # A name from a file must not lead out of the directory.
        expected = {_file(name) for name in (*TABLES, ACCURACY)}
        if set(self.files) != expected or not DATA.fullmatch(self.data):
            raise ReleaseError(f"{directory / FILE} names other files than a release has.")
        for name, sha256 in self.files.items():
            path = directory / self.data / name
            if not path.is_file() or sha256_of(path) != sha256:
                raise ReleaseError(f"{path} is not the file that was released; refresh again.")
        return directory / self.data


def write_release(
    con: duckdb.DuckDBPyConnection,
    directory: Path,
    store: ModelStore,
    version: str,
    served: Path | None = None,
) -> Release:
    """Release an ensemble's version with the warehouse's present data, and return what was written.

    Data that are there already are not written again; those of releases before the last are
    removed, unless a service answers with them.

    Args:
        con: The warehouse, its cleaned tables and the backtest in place.
        directory: `serving/` of the home.
        store: Where the version is.
        version: The ensemble's.
        served: Where a service notes the release that it answers with.
    """
    fresh = directory / ".partial"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, order in TABLES.items():
        con.table(f"cleaned.{name}").order(order).write_parquet(str(fresh / _file(name)))
    con.sql(read_sql("serving/accuracy")).write_parquet(str(fresh / _file(ACCURACY)))
    files = {_file(name): sha256_of(fresh / _file(name)) for name in (*TABLES, ACCURACY)}
    cutoff = last_sales_day(con)
    ((last_planned_day,),) = con.execute("select max(date) from cleaned.plan").fetchall()
    digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()
    release = Release(
        version=version,
        manifest_sha256=store.manifest_sha256(ENSEMBLE, version),
        cutoff=cutoff,
        horizon=(last_planned_day - cutoff).days,
        data=f"data-{cutoff:%Y%m%d}-{digest[:12]}",
        files=files,
    )
    if _is_intact(release, directory):
        shutil.rmtree(fresh)
    else:
        shutil.rmtree(directory / release.data, ignore_errors=True)
        fresh.replace(directory / release.data)
    # A service may still be reading those of the release so far.
    kept = {release.data, *_data_of(directory), *(_data_of(served) if served else ())}
    (directory / f"{FILE}.tmp").write_text(release.to_json(), encoding="utf-8")
    (directory / f"{FILE}.tmp").replace(directory / FILE)
    for path in directory.glob("data-*"):
        if path.name not in kept:
            shutil.rmtree(path)
    return release


def _is_intact(release: Release, directory: Path) -> bool:
    try:
        release.verified(directory)
    except ReleaseError:
        return False
    return True


def _data_of(directory: Path) -> list[str]:
    try:
        return [Release.read(directory).data]
    except ReleaseError:
        return []


def _file(table: str) -> str:
    return f"{table}.parquet"
