"""A release that lies elsewhere, at any URL that fsspec knows, copied into a home of its own.

What is copied is checked by the hashes that the release and the manifests record, before it is kept
and again when it is loaded.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from sales_assets.errors import ReleaseError, SalesError
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.model_store import ENSEMBLE, VERSION, ModelStore
from sales_assets.forecasting.release import DATA, FILE, Release
from sales_assets.forecasting.retention import members_of, remove_others

UNDER_WAY = ".pull-"
# Where copies are under way, below the home.
COPIES = tuple(f"{place}{UNDER_WAY}*" for place in ("", "serving/", "models/*/"))
# None takes as long; what is older was left by a process that was killed.
LONGEST_COPY_S = 6 * 3600.0


def pull(url: str, home: Path, *, is_start: bool = False) -> None:
    """Copy the present release of a home at a URL, unless it is there already.

    Several processes may do so at once; each part appears under its name when it is complete, and
    the release's file last.

    Args:
        url: What stands for `<home>` there; it has `serving/` and `models/`.
        home: Where to. A home that is refreshed by itself is not overwritten.
        is_start: Whether every file that is there is looked at, and copied again if it has to be.

    Raises:
        ReleaseError: The URL cannot be read, or what it holds is no release.
    """
    if (home / "warehouse.duckdb").exists():
        raise ReleaseError(
            f"{home} has releases of its own; name an empty --home for those of {url}."
        )
    serving, store = home / "serving", ModelStore(home / "models")
    try:
        serving.mkdir(parents=True, exist_ok=True)
        source, root = fsspec.core.url_to_fs(url)
        with tempfile.TemporaryDirectory(dir=home, prefix=UNDER_WAY) as fresh:
            source.get_file(f"{root}/serving/{FILE}", f"{fresh}/{FILE}")
            release = Release.read(Path(fresh))
            # One here that cannot be read is replaced.
            if release in _named(serving) and not is_start:
                return
            _check_names(release, url)
            _copy(
                source,
                f"{root}/serving/{release.data}",
                serving / release.data,
                lambda: release.verified(serving),
            )
            _copy_version(source, root, store, ENSEMBLE, release.version, release.manifest_sha256)
            # The manifest is the one that was recorded, and so are the names in it.
            for name, member in store.manifest(ENSEMBLE, release.version).members.items():
                if name not in MEMBERS:
                    raise ReleaseError(f"The release at {url} has a member {name!r}, unknown here.")
                if not VERSION.fullmatch(member["version"]):
                    raise _misnamed(url)
                _copy_version(
                    source, root, store, name, member["version"], member["manifest_sha256"]
                )
            former = _named(serving, home / "served")
            Path(fresh, FILE).replace(serving / FILE)
            _remove_others(home, [release, *former])
    except SalesError:
        raise
    except Exception as error:
        # A file system of any kind has errors of its own.
        raise ReleaseError(f"The release at {url} cannot be copied: {error}.") from None


def _copy_version(
    source: Any, root: str, store: ModelStore, name: str, version: str, manifest_sha256: str
) -> None:
    _copy(
        source,
        f"{root}/models/{name}/{version}",
        store.root / name / version,
        lambda: store.verified(name, version, manifest_sha256),
    )


def _copy(source: Any, remote: str, directory: Path, verify: Callable[[], object]) -> None:
    """Copy a directory, unless it is here and intact; it appears whole.

    Raises:
        SalesError: It is not what was recorded, and is not kept.
    """
    with suppress(SalesError):
        verify()
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=UNDER_WAY))
    try:
        source.get(f"{remote}/", f"{fresh}/", recursive=True)
        # Another process may have been faster.
        with suppress(OSError):
            fresh.rename(directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    try:
        verify()
    except SalesError:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _named(*directories: Path) -> list[Release]:
    """Return the releases that some directories name."""
    found = []
    for directory in directories:
        with suppress(ReleaseError):
            found.append(Release.read(directory))
    return found


def _remove_others(home: Path, releases: list[Release]) -> None:
    """Remove what was copied for other releases than these, and what killed copies left.

    They are the present one, the one before it, which another process may still be reading, and
    the one that answered last.
    """
    store, kept = ModelStore(home / "models"), {ENSEMBLE: {one.version for one in releases}}
    for version in kept[ENSEMBLE]:
        for name, member in members_of(store, version).items():
            kept.setdefault(name, set()).add(member)
    for name in (ENSEMBLE, *MEMBERS):
        remove_others(store.root / name, kept.get(name, ()))
    data = {one.data for one in releases}
    for path in (home / "serving").glob("data-*"):
        if path.name not in data:
            shutil.rmtree(path, ignore_errors=True)
    for pattern in COPIES:
        for path in home.glob(pattern):
            # Another process may be copying now, and have done so in this instant.
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > LONGEST_COPY_S:
                    shutil.rmtree(path)


def _check_names(release: Release, url: str) -> None:
    """Refuse names that would lead out of the home."""
    if not DATA.fullmatch(release.data) or not VERSION.fullmatch(release.version):
        raise _misnamed(url)


def _misnamed(url: str) -> ReleaseError:
    return ReleaseError(f"The release at {url} has names that no release has.")
