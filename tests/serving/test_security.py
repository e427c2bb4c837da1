"""Keys are told once, kept as hashes, and refused from the moment they are revoked."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.security import AccessError, Keys, RateLimit


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "home" / "keys.json")


def test_a_key_is_known_by_its_text_alone(keys: Keys) -> None:
    text = keys.add("planner", "admin")
    owner = keys.owner(text)
    assert owner is not None
    assert (owner.name, owner.role) == ("planner", "admin")
    assert keys.owner(text[:-1]) is None
    assert keys.owner("") is None


def test_the_key_itself_is_kept_nowhere(keys: Keys) -> None:
    text = keys.add("planner")
    content = keys.path.read_text()
    assert text not in content
    assert text.removeprefix("sales_") not in content
    assert keys.path.stat().st_mode & 0o777 == 0o600


def test_no_two_keys_are_alike(keys: Keys) -> None:
    assert len({keys.add(f"key-{number}") for number in range(20)}) == 20
    assert [key.name for key in keys.all()] == sorted(f"key-{number}" for number in range(20))


def test_a_running_service_sees_keys_come_and_go(keys: Keys) -> None:
    service = Keys(keys.path)
    assert service.all() == []
    text = keys.add("planner")
    assert service.owner(text) is not None
    keys.revoke("planner")
    assert service.owner(text) is None


def test_a_name_is_taken_until_it_is_revoked(keys: Keys) -> None:
    first = keys.add("planner")
    with pytest.raises(AccessError, match="a key named planner already"):
        keys.add("planner")
    keys.revoke("planner")
    assert keys.add("planner") != first
    with pytest.raises(AccessError, match="no key named nobody; keys there are: planner"):
        keys.revoke("nobody")


@pytest.mark.parametrize("name", ["", "Planner", "a b", "../x", "-x", "x" * 65, "a\n"])
def test_a_name_that_would_confuse_is_refused(keys: Keys, name: str) -> None:
    with pytest.raises(AccessError, match="is no name for a key"):
        keys.add(name)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", '[{"name": "x"}]', '[{"name":"x","role":"root","sha256":"","created_at":""}]'],
)
def test_a_damaged_file_is_told_and_lets_no_one_in(keys: Keys, text: str) -> None:
    keys.add("planner")
    keys.path.write_text(text)
    with pytest.raises(AccessError, match=r"keys\.json cannot be read"):
        keys.owner("anything")


def test_a_caller_may_ask_in_bursts_and_then_steadily() -> None:
    clock = [100.0]
    limit = RateLimit(per_second=2, burst=3, now=lambda: clock[0])
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]
    assert limit.wait("b") == 0
    clock[0] += 0.5
    assert limit.wait("a") == 0
    assert limit.wait("a") == pytest.approx(0.5)
    clock[0] += 60
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]


def test_the_file_is_whole_json_at_any_time(keys: Keys) -> None:
    keys.add("one")
    keys.path.with_suffix(".tmp").write_text("left by a killed command")
    keys.add("two")
    assert [value["name"] for value in json.loads(keys.path.read_text())] == ["one", "two"]


def test_keys_that_are_changed_at_once_are_all_changed(keys: Keys) -> None:
    """Each thread has a view of its own, as each command has."""
    for number in range(20):
        keys.add(f"old-{number}")

    def change(number: int) -> None:
        own = Keys(keys.path)
        own.add(f"new-{number}")
        own.revoke(f"old-{number}")

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(change, range(20)))

    assert [key.name for key in keys.all()] == sorted(f"new-{number}" for number in range(20))
