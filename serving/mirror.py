"""A release that lies elsewhere, at any URL that fsspec knows, copied into a home of its own.

What is copied is checked where it is loaded, by the hashes that the release and the manifests
record: a source that was tampered with is refused there.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import fsspec

from sales_assets.errors import ReleaseError
from sales_assets.forecasting.model_store import ENSEMBLE, VERSION, ModelStore
from sales_assets.forecasting.release import DATA, FILE, Release


def pull(url: str, home: Path) -> None:
    """Copy the present release of a home at a URL, unless it is there already.

    Several processes may do so at once; each part appears under its name when it is complete, and
    the release's file last.

    Args:
        url: What stands for `<home>` there; it has `serving/` and `models/`.
        home: Where to. A home that is refreshed by itself is not overwritten.

    Raises:
        ReleaseError: The URL cannot be read, or what it holds is no release.
    """
    if (home / "warehouse.duckdb").exists():
        raise ReleaseError(
            f"{home} has releases of its own; name an empty --home for those of {url}."
        )
    serving, store = home / "serving", ModelStore(home / "models")
    serving.mkdir(parents=True, exist_ok=True)
    try:
        source, root = fsspec.core.url_to_fs(url)
        with tempfile.TemporaryDirectory(dir=home, prefix=".pull-") as fresh:
            source.get_file(f"{root}/serving/{FILE}", f"{fresh}/{FILE}")
            release = Release.read(Path(fresh))
            _check_names(release.data, release.version, url)
            _copy(source, f"{root}/serving/{release.data}", serving / release.data)
            _copy_version(source, root, store, ENSEMBLE, release.version)
            for name, member in store.manifest(ENSEMBLE, release.version).members.items():
                _copy_version(source, root, store, name, member["version"])
            Path(fresh, FILE).replace(serving / FILE)
    except (OSError, ValueError, ImportError) as error:
        raise ReleaseError(f"The release at {url} cannot be copied: {error}.") from None


def _copy_version(source: Any, root: str, store: ModelStore, name: str, version: str) -> None:
    _check_names(None, version, root)
    _copy(source, f"{root}/models/{name}/{version}", store.root / name / version)


def _copy(source: Any, remote: str, directory: Path) -> None:
    """Copy a directory that is not here yet; it appears whole."""
    if directory.exists():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=".pull-"))
    try:
        source.get(f"{remote}/", f"{fresh}/", recursive=True)
        # Another process may have been faster.
        if not directory.exists():
            fresh.rename(directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check_names(data: str | None, version: str, place: str) -> None:
    """Refuse names that would lead out of the home."""
    if (data is not None and not DATA.fullmatch(data)) or not VERSION.fullmatch(version):
        raise ReleaseError(f"The release at {place} has names that no release has.")
