"""What was answered is kept, within bounds, and never at an answer's cost."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serving import journal as module
from serving.journal import Journal


def predictions(count: int, **plan: Any) -> list[dict[str, Any]]:
    known = {
        "is_open": True, "is_promo": False, "state_holiday": "none", "is_school_holiday": False
    }  # fmt: skip
    return [
        {
            "store_id": store, "date": "2015-06-20", "h": 1, "forecast": 10.0,
            "intervals": {"80": [9.0, 11.0]}, "members": {}, "plan": known | plan,
            "contributions": None,
        }
        for store in range(count)
    ]  # fmt: skip


def kept(directory: Path) -> pd.DataFrame:
    files = sorted(directory.glob("predictions-*.parquet"))
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


def test_answers_are_kept_with_their_version_and_plan(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "served", max_bytes=10**6)
    journal.start()
    journal.note(predictions(2, is_promo=True), "v1", "planner", "/v1/predict", ["lstm"])
    journal.note(predictions(1), "v2", "planner", "/v1/predict", [])
    journal.close()

    found = kept(tmp_path / "served")
    assert found["store_id"].tolist() == [0, 1, 0]
    assert found["version"].tolist() == ["v1", "v1", "v2"]
    assert found["is_promo"].tolist() == [True, True, False]
    assert found["degraded"].map(list).tolist() == [["lstm"], ["lstm"], []]
    assert found["hi_80"].tolist() == [11.0] * 3
    assert found["hi_95"].isna().all()
    assert journal.dropped == 0


def write_one_by_one(journal: Journal, versions: Iterable[str]) -> None:
    """Write a file of one prediction for each."""
    for version in versions:
        journal.note(predictions(1), version, "planner", "/v1/predict", [])
        journal._write()


def test_the_oldest_files_make_way_and_the_newest_stays(tmp_path: Path) -> None:
    write_one_by_one(Journal(tmp_path, max_bytes=1), ("v1", "v2", "v3"))
    assert kept(tmp_path)["version"].tolist() == ["v3"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]


def test_no_more_files_make_way_than_have_to(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=10**6)
    write_one_by_one(journal, ("v1", "v2"))
    journal.max_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())
    write_one_by_one(journal, ("v3",))
    assert kept(tmp_path)["version"].tolist() == ["v2", "v3"]


def test_what_cannot_be_written_is_counted_and_later_answers_are_kept(tmp_path: Path) -> None:
    # A directory that cannot be made stands for a disk that is full.
    blocked = tmp_path / "served"
    blocked.write_text("in the way")
    journal = Journal(blocked, max_bytes=10**6, seconds=0.01)
    journal.start()
    journal.note(predictions(3), "v1", "planner", "/v1/predict", [])
    while journal.dropped == 0:
        assert journal._thread.is_alive()
    assert journal.dropped == 3
    blocked.unlink()
    journal.note(predictions(1), "v1", "planner", "/v1/predict", [])
    journal.close()
    assert len(kept(blocked)) == 1


def test_more_than_can_wait_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 12)
    journal = Journal(tmp_path, max_bytes=10**6)
    for _ in range(3):
        journal.note(predictions(5), "v1", "planner", "/v1/predict", [])
    assert journal.dropped == 5


def test_what_was_written_makes_room_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 12)
    journal = Journal(tmp_path, max_bytes=10**6)
    for _ in range(3):
        journal.note(predictions(10), "v1", "planner", "/v1/predict", [])
        journal._write()
    assert journal.dropped == 0
    assert len(kept(tmp_path)) == 30
