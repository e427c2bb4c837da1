"""What is kept of the models: the newest versions, every champion, and what a service answers with.

A version is renamed before it is removed, so that none is ever there by halves; ensembles go before
the members that they refer to.
"""

import logging
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from sales_assets.errors import ModelStoreError, ReleaseError
from sales_assets.forecasting.model_store import ENSEMBLE, VERSION, ModelStore
from sales_assets.forecasting.release import Release

log = logging.getLogger("sales_assets.models")

# What a killed run or a killed removal leaves behind.
LEFTOVERS = (".*.partial", ".*.removed")


def released(directories: Iterable[Path]) -> set[str]:
    """Return the versions that the releases in some directories name."""
    versions = set()
    for directory in directories:
        try:
            versions.add(Release.read(directory).version)
        except ReleaseError:
            # There is none, or nothing can be answered with it.
            continue
    return versions


def clean_up(store: ModelStore, newest: int, served: Collection[str]) -> list[str]:
    """Remove what is not kept, and what killed runs left; no other run may be under way.

    Kept are the newest versions of the ensemble, every champion that ever was, what the last
    refresh decided, what is served, and the members of all these; of each member the newest
    versions, too. While the manifest of one of these ensembles cannot be read, every member may be
    its own, and none is removed.

    Args:
        store: The versions.
        newest: How many of the newest versions are kept.
        served: Versions of the ensemble that a service may need.

    Returns:
        The removed versions, each with its model's name.
    """
    champion, choice = store.champion(), store.choice()
    chosen = {choice.version, choice.challenger} if choice else set()
    ensembles = {*(champion.ever() if champion else ()), *chosen, *served}
    kept = {ENSEMBLE: ensembles | set(_versions(store.root / ENSEMBLE)[-newest:])}
    unread = []
    for version in sorted(kept[ENSEMBLE]):
        members = members_of(store, version)
        if not members and (store.root / ENSEMBLE / version).is_dir():
            unread.append(version)
        for name, member in members.items():
            kept.setdefault(name, set()).add(member)
    if unread:
        log.warning("Members are not removed: those of %s are not known", ", ".join(unread))
    removed = remove_others(store.root / ENSEMBLE, kept[ENSEMBLE])
    for directory in _models(store.root):
        if directory.name != ENSEMBLE and not unread:
            own = kept.get(directory.name, set()) | set(_versions(directory)[-newest:])
            removed += remove_others(directory, own)
        for pattern in LEFTOVERS:
            for left in directory.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)
    return removed


def remove_others(directory: Path, kept: Collection[str]) -> list[str]:
    """Remove the versions of a model but those that are kept; return what was removed."""
    removed = []
    for version in _versions(directory):
        if version not in kept:
            aside = directory / f".{version}.removed"
            try:
                (directory / version).rename(aside)
                shutil.rmtree(aside)
            except OSError as error:
                # It is tried again after the next publication.
                log.warning("%s cannot be removed: %s", directory / version, error.strerror)
            else:
                removed.append(f"{directory.name} {version}")
    return removed


def members_of(store: ModelStore, version: str) -> dict[str, str]:
    """Return the versions of an ensemble's members; none, where it cannot be read."""
    try:
        members = store.manifest(ENSEMBLE, version).members
    except (ModelStoreError, OSError) as error:
        log.warning("%s", error)
        return {}
    return {name: own["version"] for name, own in members.items()}


def _models(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def _versions(directory: Path) -> list[str]:
    """Return the names of a model's versions, readable or not, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path.name for path in directory.iterdir() if VERSION.fullmatch(path.name))
