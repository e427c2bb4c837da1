"""Saved versions without a fit: small files under a clock that goes on by itself."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sales_assets.forecasting.ensemble import ENSEMBLE
from sales_assets.forecasting.manifest import Draft, Manifest
from sales_assets.forecasting.model_store import ModelStore

START = datetime(2026, 11, 22, 6, 15, tzinfo=UTC)


def store_with_a_clock(directory: Path) -> ModelStore:
    """Return a store whose clock goes on by an hour each time someone looks at it."""
    hours = (START + timedelta(hours=hour) for hour in range(1_000))
    return ModelStore(directory / "models", now=lambda: next(hours))


def draft(fingerprint: str = "abcdef0123456789", **values: Any) -> Draft:
    return Draft(cutoff=date(2026, 11, 21), fingerprint=fingerprint, **values)


def write(directory: Path) -> None:
    (directory / "weights.txt").write_text("0.25 0.75\n")
    (directory / "table.parquet").write_bytes(bytes(range(256)))


def saved(
    store: ModelStore, name: str = ENSEMBLE, fingerprint: str = "abcdef0123456789", **values: Any
) -> Manifest:
    return store.save(name, draft(fingerprint, **values), write)


def ensembles(store: ModelStore, count: int) -> list[str]:
    """Save ensembles, each with a member of its own; return their versions, oldest first."""
    versions = []
    for number in range(count):
        member = saved(store, "baseline", f"{number:016x}")
        members = {
            "baseline": {
                "version": member.version,
                "manifest_sha256": store.manifest_sha256("baseline", member.version),
            }
        }
        versions.append(saved(store, ENSEMBLE, f"{number:016x}", members=members).version)
    return versions
