"""A byte of a release that was changed: it is refused, and what answered before goes on."""

import asyncio
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sales_assets.errors import SalesError
from sales_assets.forecasting.ensemble import ENSEMBLE
from sales_assets.forecasting.manifest import Draft, Manifest
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.release import FILE, Release
from sales_assets.settings import Settings
from serving.app import Ingress
from serving.arguments import Arguments
from serving.members import Members
from serving.predictor import Predictor
from tests.serving.conftest import GROUPS, Call

# Of every kind of file that a release is made of.
FILES = (
    "models/ensemble/*/weights.json",
    "models/lightgbm/*/booster_000.txt",
    "models/random_forest/*/*.skops",
    "models/lstm/*/**/*.pb",
    "models/statistical/*/*.parquet",
    "models/baseline/*/medians.parquet",
    "serving/data-*/sales.parquet",
)


class Handle:
    """Stands for a deployment's handle; behind it are the members that a replica holds."""

    def __init__(self, arguments: Arguments, names: list[str]) -> None:
        self._members = Members(arguments, names)

    @property
    def predict(self) -> "Call":
        return Call(self._members.predict)


def change_a_byte(home: Path, pattern: str) -> Path:
    path = sorted(home.glob(pattern))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pattern", FILES)
def test_a_changed_byte_is_refused_in_a_sentence_that_names_the_file(
    own_home: Path, settings: Settings, pattern: str
) -> None:
    path = change_a_byte(own_home, pattern)
    with pytest.raises(
        SalesError, match=r"changed since it was saved|not the file that was"
    ) as told:
        Predictor.load(own_home, settings)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("name", [ENSEMBLE, "lightgbm", "lstm"])
def test_beside_a_new_version_with_a_changed_byte_the_one_before_answers(
    own_home: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = Arguments(home=own_home, members=GROUPS)
    ingress = Ingress(arguments, {group: Handle(arguments, GROUPS[group]) for group in GROUPS})
    asyncio.run(ingress.renew())
    before = Release.read(own_home / "serving")
    assert ingress.predictor is not None
    assert ingress.predictor.release == before

    after = released_again(own_home, name)
    asyncio.run(ingress.renew())

    assert ingress.refused
    file = f"{own_home}/models/{name}/"
    assert any(
        file in line and "is missing or was changed since it was saved" in line
        for line in caplog.text.splitlines()
    )
    assert ingress.predictor.release == before != after
    planned = ingress.predictor.planned
    assert planned is not None
    assert planned.degraded == ()


def released_again(home: Path, damaged: str) -> Release:
    """Release another version of the ensemble, of whose parts one has a changed byte."""
    store, former = ModelStore(home / "models"), Release.read(home / "serving")
    members = dict(store.manifest(ENSEMBLE, former.version).members)
    if damaged != ENSEMBLE:
        own = saved_again(store, damaged, members[damaged]["version"])
        members |= store.references({damaged: own})
    ensemble = saved_again(store, ENSEMBLE, former.version, members=members)
    version = ensemble.version if damaged == ENSEMBLE else members[damaged]["version"]
    (file, *_) = sorted(store.manifest(damaged, version).files)
    change_a_byte(home, f"models/{damaged}/{version}/{file}")
    sha256 = store.manifest_sha256(ENSEMBLE, ensemble.version)
    release = Release(
        ensemble.version, sha256, former.cutoff, former.horizon, former.data, former.files
    )
    (home / "serving" / FILE).write_text(release.to_json(), encoding="utf-8")
    return release


def saved_again(store: ModelStore, name: str, version: str, **changes: Any) -> Manifest:
    """Save a version once more, under another name."""
    manifest = store.manifest(name, version)
    values = {part.name: getattr(manifest, part.name) for part in fields(Draft)}
    draft = Draft(**{**values, "fingerprint": "0" * 64, **changes})

    def write(fresh: Path) -> None:
        source = store.root / name / version
        shutil.copytree(
            source, fresh, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json")
        )

    return store.save(name, draft, write)
