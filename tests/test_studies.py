"""The studies as a whole: from a refreshed home to tables that people query."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from sales_assets.forecasting.feature_groups import GROUPS
from sales_assets.settings import Settings
from tests.conftest import sales


def ask(home: Path, sql: str) -> list[tuple]:
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        return con.execute(sql).fetchall()


def test_studies_are_computed_published_and_shown(home_copy: Path) -> None:
    before = ask(home_copy, "from forecasts.daily order by all")
    done = sales("study", "loss", "ablation", "--home", home_copy)

    assert "quantile_50" in done.stdout
    assert "season a year ago" in done.stdout
    assert "loss study from" in done.stderr
    assert ask(home_copy, "select count(*) from models.loss_study") == [(3 * 12,)]
    assert ask(home_copy, "select count(*) from models.ablation") == [(3 * len(GROUPS),)]
    assert (Settings(home=home_copy).published / "models.loss_study.parquet").is_file()
    # All else in the snapshot is as it was, and what was not asked for is not there.
    assert ask(home_copy, "from forecasts.daily order by all") == before
    assert ask(
        home_copy,
        "select count(*) from information_schema.tables"
        " where table_name in ('importance', 'tuning')",
    ) == [(0,)]
    with dg.DagsterInstance.from_config(str(Settings(home=home_copy).dagster_home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["models", "loss_study"]))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["dagster/row_count"].value == 36
    assert str(metadata["chart"].value).startswith("![One row")


def test_a_killed_tuning_goes_on_and_prints_what_to_set(home_copy: Path) -> None:
    command = [Path(sys.executable).parent / "sales", "study", "tuning", "--trials", "50"]
    running = subprocess.Popen(
        [*command, "--home", str(home_copy)], stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    assert any("tuning lightgbm: trial 2 of 50" in line for line in running.stderr)
    running.send_signal(signal.SIGKILL)
    running.wait()

    done = sales("study", "tuning", "--trials", "4", "--home", home_copy)

    assert "tuning lightgbm: trial 1 of 4" not in done.stderr
    assert "tuning lightgbm: trial 2 of 4" not in done.stderr
    assert "tuning random_forest: trial 4 of 4" in done.stderr
    counts = ask(
        home_copy,
        "select model, count(*) filter (where state in ('complete', 'pruned')) from models.tuning"
        " group by model order by model",
    )
    assert counts == [("lightgbm", 4), ("random_forest", 4)]
    ((best,),) = ask(
        home_copy, "select parameters from models.tuning where is_best and model = 'lightgbm'"
    )
    for name, value in json.loads(best).items():
        assert f"SALES_LIGHTGBM__{name.upper()}={value}" in done.stdout.splitlines()


def test_what_a_tuning_prints_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALES_LIGHTGBM__HALF_LIFE_DAYS", "None")
    monkeypatch.setenv("SALES_LIGHTGBM__L2", "0.538")

    chosen = Settings.load().lightgbm

    assert chosen.half_life_days is None
    assert chosen.l2 == 0.538


def test_a_study_before_the_first_refresh_says_what_to_do(tmp_path: Path) -> None:
    done = sales("study", "loss", "--home", tmp_path / "empty", check=False)

    assert done.returncode == 1
    assert "sales refresh" in done.stderr.splitlines()[-1]


def test_a_study_of_another_number_of_windows_asks_for_a_refresh(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_BACKTEST_WINDOWS", "3")
    done = sales("study", "ablation", "--home", home_copy, check=False)

    assert done.returncode == 1
    assert "run `sales refresh` first" in done.stderr.splitlines()[-1]
