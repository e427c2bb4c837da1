"""Versions of fitted models on disk: complete or absent, and loaded only if their hash is right.

`models/<name>/<version>/` holds the files of one version and its `manifest.json`, which records
the hash of every file. `models/champion.json` names the ensemble in use; it records the hash of
that ensemble's manifest, which in turn records those of its members' manifests.
`models/choice.json` is what was decided last; the champion moves when that is published.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TypeVar

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.champion import Champion, Choice, Event
from sales_assets.forecasting.manifest import Draft, Manifest

log = logging.getLogger("sales_assets.models")

MANIFEST = "manifest.json"
VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
ENSEMBLE = "ensemble"
T = TypeVar("T")
LIBRARIES = (
    "duckdb", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "skops", "statsforecast",
    "tensorflow",
)  # fmt: skip


class ModelStore:
    """The model versions of one home.

    Args:
        root: The directory `models` of the home.
        now: The clock; tests pass their own.
    """

    def __init__(self, root: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.root = root
        self.now = now

    def save(self, name: str, draft: Draft, write: Callable[[Path], None]) -> Manifest:
        """Add a version: `write` fills a directory that gets its final name when complete."""
        created_at = self._next(name)
        while (final := self._directory(name, created_at, draft.fingerprint)).exists():
            created_at += timedelta(seconds=1)
        version = final.name
        partial = self.root / name / f".{version}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        files = {file: sha256_of(partial / file) for file in sorted(_files_in(partial))}
        manifest = Manifest(
            name=name,
            version=version,
            files=files,
            libraries=library_versions(),
            created_at=created_at,
            **{part.name: getattr(draft, part.name) for part in fields(draft)},
        )
        (partial / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        partial.replace(final)
        return manifest

    def find(self, name: str, fingerprint: str) -> Manifest | None:
        """Return the newest complete version with that fingerprint, if there is one.

        A version that was changed since it was saved is passed over, with a warning.
        """
        for manifest in reversed(self.versions(name)):
            if manifest.fingerprint == fingerprint:
                try:
                    self.verified(name, manifest.version)
                except ModelStoreError as error:
                    log.warning("%s", error)
                else:
                    return manifest
        return None

    def versions(self, name: str) -> list[Manifest]:
        """Return every complete version of a model, oldest first.

        One whose manifest cannot be read is left out, with a warning.
        """
        manifests = []
        for path in (self.root / name).glob(f"[!.]*/{MANIFEST}"):
            try:
                manifests.append(self._read(path))
            except ModelStoreError as error:
                log.warning("%s", error)
        return sorted(manifests, key=lambda manifest: (manifest.created_at, manifest.version))

    def manifest(self, name: str, version: str) -> Manifest:
        """Return what is recorded of one version.

        Raises:
            ModelStoreError: There is no such version; the message lists those there are.
        """
        path = self._manifest_path(name, version)
        if not VERSION.fullmatch(version) or not path.is_file():
            known = ", ".join(found.version for found in self.versions(name)) or "none"
            raise ModelStoreError(
                f"{name} has no version {version!r}; versions there are: {known}."
            )
        return self._read(path)

    def manifest_sha256(self, name: str, version: str) -> str:
        """Return the hash of a version's manifest."""
        return sha256_of(self._manifest_path(name, version))

    def recorded(self, name: str, version: str, manifest_sha256: str) -> Manifest:
        """Return what is recorded of one version, whose manifest is known by its hash.

        Raises:
            ModelStoreError: There is no such version, or its manifest was changed.
        """
        manifest = self.manifest(name, version)
        if self.manifest_sha256(name, version) != manifest_sha256:
            raise ModelStoreError(
                f"The manifest of {name} {version} is not the one that was recorded; not loaded."
            )
        return manifest

    def references(self, members: Mapping[str, Manifest]) -> dict[str, dict[str, str]]:
        """Return what an ensemble records of its members."""
        return {
            name: {
                "version": manifest.version,
                "manifest_sha256": self.manifest_sha256(name, manifest.version),
            }
            for name, manifest in members.items()
        }

    def verified(self, name: str, version: str, manifest_sha256: str | None = None) -> Path:
        """Return the directory of a version whose every file has the recorded hash.

        Raises:
            ModelStoreError: A file is missing, changed or not recorded, or the manifest is not
                the one expected.
        """
        manifest = (
            self.recorded(name, version, manifest_sha256)
            if manifest_sha256
            else self.manifest(name, version)
        )
        directory = self.root / name / version
        present = _files_in(directory)
        unrecorded = present - {*manifest.files, MANIFEST}
        if unrecorded:
            raise ModelStoreError(
                f"{directory} holds {', '.join(sorted(unrecorded))}, which {name} {version} was "
                "not saved with; it is not loaded. Remove what does not belong there."
            )
        for file, recorded in manifest.files.items():
            path = directory / file
            if file not in present or sha256_of(path) != recorded:
                raise ModelStoreError(
                    f"{path} is missing or was changed since it was saved; {name} {version} "
                    "is not loaded. Refresh to make a new version, or promote another one."
                )
        return directory

    def newest_composed(self) -> Manifest | None:
        """Return the newest ensemble with weights of its own, if there is one."""
        composed = [found for found in self.versions(ENSEMBLE) if found.continues is None]
        return composed[-1] if composed else None

    def champion(self) -> Champion | None:
        """Return the ensemble in use, or nothing before the first publication."""
        return self._record("champion.json", Champion.from_json)

    def choose(self, version: str, reason: str) -> Choice:
        """Decide by hand for a version as pinned champion, or with `newest` follow the newest.

        Raises:
            ModelStoreError: The version or one of its members is unknown or was changed.
        """
        if version != "newest":
            return self._decide_by_hand(version, reason)
        newest = self.versions(ENSEMBLE)
        if not newest:
            raise ModelStoreError(f"There are no ensembles in {self.root}; refresh first.")
        return self._decide_by_hand(newest[-1].version, reason, is_pinned=False)

    def roll_back(self, reason: str) -> Choice:
        """Decide by hand for the champion before the present one, pinned.

        Where a refresh was stopped before what it had decided for was published, the present
        champion is the one before that. A rollback that was stopped is decided for again.

        Raises:
            ModelStoreError: There was none before it.
        """
        present, choice = self.champion(), self.choice()
        earlier = present.previous if present else None
        if present and choice and choice.holds(present):
            if choice.goes_back:
                earlier = choice.version
            elif choice.is_pinned is None and choice.moves(present):
                earlier = present.version
        if earlier is None:
            raise ModelStoreError("There is no earlier champion to go back to.")
        return self._decide_by_hand(earlier, reason, goes_back=True)

    def choice(self) -> Choice | None:
        """Return what was decided last, if anything was."""
        return self._record("choice.json", Choice.from_json)

    def decide(self, choice: Choice) -> None:
        """Record what is to be forecast with; the champion moves when that is published."""
        self._write("choice.json", choice.to_json())

    def chosen(self) -> Manifest | None:
        """Return the ensemble to forecast with.

        It is what was decided last, unless another champion has come since, else the champion;
        before there is either, the newest version.

        Raises:
            ModelStoreError: The pinned champion is not the version that was promoted.
        """
        champion, choice = self.champion(), self.choice()
        if choice and choice.holds(champion):
            version = choice.version
        elif champion:
            version = champion.version
        else:
            newest = self.versions(ENSEMBLE)
            return newest[-1] if newest else None
        if champion and champion.is_pinned and version == champion.version:
            self.verified(ENSEMBLE, version, champion.manifest_sha256)
        return self.manifest(ENSEMBLE, version)

    def settled(self) -> Champion | None:
        """Return the champion once what was decided last is published, the refused noted.

        Another champion that has come since then stays, and what was noted before is not noted
        again. There is none before anything was decided.

        Raises:
            ModelStoreError: What is to be champion was changed.
        """
        present, choice = self.champion(), self.choice()
        if choice is None or not choice.holds(present):
            return present
        champion = present
        if champion is None or choice.moves(champion):
            self.verify_whole(choice.champion)
            champion = self._moved(champion, choice.promotion())
        if choice.challenger != choice.champion:
            champion = champion.noting([choice.refusal()])
        return champion

    def crown(self, champion: Champion) -> None:
        """Move the champion, in one step."""
        if champion != self.champion():
            self._write("champion.json", champion.to_json())

    def finish(self) -> None:
        """Note that what was decided last is published and released: it is not to be repeated."""
        present, choice = self.champion(), self.choice()
        if present and choice and choice.goes_back and not choice.moves(present):
            self.decide(replace(choice, goes_back=False))

    def verify_whole(self, version: str, manifest_sha256: str | None = None) -> None:
        """Verify an ensemble and its members.

        Raises:
            ModelStoreError: The version or one of its members is unknown or was changed.
        """
        self.verified(ENSEMBLE, version, manifest_sha256)
        for name, member in self.manifest(ENSEMBLE, version).members.items():
            self.verified(name, member["version"], member["manifest_sha256"])

    def _decide_by_hand(
        self, version: str, reason: str, *, is_pinned: bool = True, goes_back: bool = False
    ) -> Choice:
        self.verify_whole(version)
        choice = Choice.by_hand(version, self.champion(), is_pinned, reason, self.now())
        choice = replace(choice, goes_back=goes_back)
        self.decide(choice)
        return choice

    def _moved(self, present: Champion | None, event: Event) -> Champion:
        """Return the champion that an event makes."""
        return Champion(
            version=event.version,
            manifest_sha256=self.manifest_sha256(ENSEMBLE, event.version),
            is_pinned=event.is_pinned,
            reason=event.reason,
            promoted_at=event.at,
            previous=_previous(present, event.version),
            history=(*(present.history if present else ()), event),
        )

    def _record(self, name: str, read: Callable[[str], T]) -> T | None:
        path = self.root / name
        if not path.is_file():
            return None
        try:
            return read(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ModelStoreError(
                f"{path} cannot be read; remove it, and the next refresh takes the newest version."
            ) from None

    def _write(self, name: str, text: str) -> None:
        fresh = self.root / f"{name}.tmp"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.root / name)

    def _next(self, name: str) -> datetime:
        """Return the time, or that after the newest version's where the clock has jumped back."""
        newest = self.versions(name)[-1:]
        return max([self.now(), *(made.created_at + timedelta(seconds=1) for made in newest)])

    def _directory(self, name: str, created_at: datetime, fingerprint: str) -> Path:
        return self.root / name / f"{created_at:%Y%m%dT%H%M%SZ}-{fingerprint[:8]}"

    def _manifest_path(self, name: str, version: str) -> Path:
        return self.root / name / version / MANIFEST

    def _read(self, path: Path) -> Manifest:
        try:
            return Manifest.from_json(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelStoreError(f"{path} cannot be read: {error}.") from None


def _previous(present: Champion | None, version: str) -> str | None:
    if present is None:
        return None
    return present.previous if present.version == version else present.version


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide what a fitted model is."""
    return {library: library_version(library) for library in LIBRARIES}


def fingerprint_of(*parts: object) -> str:
    """Return one hash of everything that decides what a fitted model is."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _files_in(directory: Path) -> set[str]:
    """Return the files of a directory and those below it, as paths relative to it."""
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
