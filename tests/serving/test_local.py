"""What `sales serve` settles before it starts anything: the release, the address, who may ask."""

from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml

from sales_assets.errors import ReleaseError, SalesError
from sales_assets.forecasting.release import Release
from sales_assets.settings import Settings
from serving import gate
from serving.arguments import Arguments
from serving.local import _config, serve_here
from serving.mirror import pull
from serving.predictor import Predictor
from tests.serving.conftest import GROUPS, URL


def arguments(config: dict[str, Any]) -> Arguments:
    (application,) = config["applications"]
    return Arguments(**application["args"])


@pytest.mark.parametrize(
    ("host", "needs_key"),
    [
        ("127.0.0.1", False),
        ("localhost", False),
        ("::1", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.0.2.7", True),
        ("sales.example.org", True),
        ("127.0.0.1.example.org", True),
    ],
)
def test_who_asks_from_another_machine_needs_a_key(
    tmp_path: Path, host: str, needs_key: bool
) -> None:
    config = _config(tmp_path, host, 8123, "")
    assert arguments(config).needs_key is needs_key
    assert (config["http_options"]["host"], config["http_options"]["port"]) == (host, 8123)


def test_on_a_cluster_a_key_is_needed() -> None:
    config = yaml.safe_load(gate.CONFIG.read_text(encoding="utf-8"))
    assert arguments(config).needs_key is True
    assert Arguments(members=GROUPS).needs_key is True


def test_the_service_is_told_where_releases_are_copied_from_and_to(tmp_path: Path) -> None:
    told = arguments(_config(tmp_path, "127.0.0.1", 8123, URL))
    assert (told.release_url, told.home) == (URL, tmp_path)


@pytest.fixture
def empty(settings: Settings, tmp_path: Path) -> Settings:
    """A home that has nothing of its own."""
    return settings.model_copy(update={"home": tmp_path})


def begin(settings: Settings) -> list[str]:
    """Begin to serve, as far as it goes without a key, and return what is told."""
    told: list[str] = []
    with pytest.raises(SalesError, match="Without a key"):
        serve_here(settings, "0.0.0.0", 8123, told.append, URL)
    return told


def test_a_release_that_is_made_elsewhere_is_copied_first(
    remote: fsspec.AbstractFileSystem, empty: Settings, predictor: Predictor
) -> None:
    assert begin(empty) == [f"Copying the release at {URL} …"]
    assert Release.read(empty.serving) == predictor.release


def test_while_it_cannot_be_reached_a_copy_answers(
    remote: fsspec.AbstractFileSystem, empty: Settings, predictor: Predictor
) -> None:
    pull(URL, empty.home)
    remote.store.clear()
    _, told = begin(empty)
    assert told.startswith(f"The release at {URL} cannot be copied")
    assert told.endswith("What was copied before answers until then.")
    assert Release.read(empty.serving) == predictor.release


def test_without_a_copy_it_has_to_be_reached(
    remote: fsspec.AbstractFileSystem, empty: Settings
) -> None:
    remote.store.clear()
    with pytest.raises(ReleaseError, match=f"The release at {URL} cannot be copied"):
        serve_here(empty, "0.0.0.0", 8123, lambda _: None, URL)
