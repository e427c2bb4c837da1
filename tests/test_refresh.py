"""The weekly refresh as a whole, through the installed command, on a real home."""

import fcntl
import hashlib
import shutil
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from sales_assets import warehouse
from sales_assets.forecasts import replace_forecasts
from sales_assets.quality import FORECASTS, record
from sales_assets.settings import Settings
from tests.conftest import sales

STORES, HORIZON = 12, 42
MODELS = ("baseline", "statistical", "random_forest", "lightgbm", "lstm", "ensemble")
TABLES = (
    "raw.loads", "raw.sales", "raw.stores", "raw.plan", "quality.quarantine",
    "quality.results", "quality.summary",
    "cleaned.sales", "cleaned.stores", "cleaned.plan", "insights.promo_effect",
    "insights.stationarity", "insights.autocorrelation",
    "features.training", "features.future", "models.backtest", "models.scores",
    "models.ensemble_study", "models.versions", "models.promotions",
    "intervals.calibration", "intervals.coverage",
    "forecasts.daily", "forecasts.latest",
    "forecasts.explanations", "forecasts.explanation_parts",
)  # fmt: skip


def ask(home: Path, sql: str) -> list[tuple]:
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        return con.execute(sql).fetchall()


def frame(home: Path, sql: str) -> pd.DataFrame:
    with duckdb.connect(Settings(home=home).snapshot_path, read_only=True) as con:
        return con.execute(sql).df()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("table", TABLES)
def test_the_snapshot_has_every_table(home: Path, table: str) -> None:
    assert ask(home, f"select count(*) from {table}") is not None


def test_every_store_day_and_model_is_forecast_once(home: Path) -> None:
    counts = dict(ask(home, "select model, count(*) from forecasts.latest group by model"))
    assert counts == dict.fromkeys(MODELS, STORES * HORIZON)
    assert ask(
        home, "select count(*) - count(distinct (store_id, date, model)) from forecasts.latest"
    ) == [(0,)]


def test_forecasts_from_a_day_that_is_no_longer_the_last_one_go_and_earlier_ones_stay(
    settings: Settings,
) -> None:
    with warehouse.in_memory(settings) as con:
        for day in ("2015-05-04", "2015-06-20", "2015-05-11", "2015-05-11"):
            cutoff = pd.Timestamp(day)
            forecasts = pd.DataFrame(
                {"cutoff": [cutoff], "store_id": 1, "date": cutoff, "model": ""}
            )
            replace_forecasts(con, forecasts, day, settings)
            record(con, day, FORECASTS, [])
        found = con.execute("select cutoff::varchar from forecasts.daily order by 1").fetchall()
    assert found == [("2015-05-04",), ("2015-05-11",)]


def test_a_closed_day_is_exactly_zero_and_an_open_one_is_not(home: Path) -> None:
    sums = ask(
        home,
        "select plan.is_open, max(forecast), max(hi_95), min(forecast)"
        " from forecasts.latest join cleaned.plan using (store_id, date) group by 1 order by 1",
    )
    assert sums[0][:3] == (False, 0.0, 0.0)
    assert sums[1][3] > 0


def test_bounds_are_in_order(home: Path) -> None:
    assert ask(
        home,
        "select count(*) from forecasts.latest where not (0 <= lo_95 and lo_95 <= lo_80"
        " and lo_80 <= forecast and forecast <= hi_80 and hi_80 <= hi_95)",
    ) == [(0,)]


def test_parquet_files_hold_what_the_snapshot_holds(home: Path) -> None:
    published = Settings(home=home).published
    rows = duckdb.sql(f"select count(*) from '{published}/forecasts.latest.parquet'").fetchall()
    assert rows == ask(home, "select count(*) from forecasts.latest")
    assert not list(published.glob("*.tmp"))


def test_every_model_is_scored_over_all_windows(home: Path) -> None:
    scores = frame(home, "select * from models.scores where cutoff is null")
    assert set(scores["model"]) == set(MODELS)
    assert scores["coverage_80"].between(0, 1).all()


def test_the_run_and_its_metadata_are_in_the_homes_dagster_instance(home: Path) -> None:
    directory = Settings(home=home).dagster_home
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        (run,) = instance.get_runs()
        assert run.job_name == "weekly_refresh"
        assert run.is_success
        event = instance.get_latest_materialization_event(dg.AssetKey(["forecasts", "daily"]))
    assert event is not None
    assert event.asset_materialization is not None
    rows = event.asset_materialization.metadata["dagster/row_count"].value
    assert rows == STORES * HORIZON * len(MODELS)


def test_refreshing_twice_changes_no_row_and_fits_no_model_again(
    home_copy: Path, source: Path
) -> None:
    before = frame(home_copy, "from forecasts.daily order by all")
    backtest = frame(home_copy, "from models.backtest order by all")
    versions = sorted(path.name for path in (home_copy / "models").glob("*/*"))
    done = sales("refresh", "--source", source, "--home", home_copy)
    pd.testing.assert_frame_equal(frame(home_copy, "from forecasts.daily order by all"), before)
    pd.testing.assert_frame_equal(frame(home_copy, "from models.backtest order by all"), backtest)
    assert sorted(path.name for path in (home_copy / "models").glob("*/*")) == versions
    assert "unchanged" in done.stderr


def test_another_point_takes_effect_without_fitting_a_member_again(
    home_copy: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = frame(home_copy, "from forecasts.latest order by model, store_id, date")
    backtest = frame(home_copy, "from models.backtest order by all")
    monkeypatch.setenv("SALES_POINT", "rmspe")
    done = sales("refresh", "--source", source, "--home", home_copy)

    assert done.stderr.count("unchanged, version") == len(MODELS) - 1
    after = frame(home_copy, "from forecasts.latest order by model, store_id, date")
    pd.testing.assert_frame_equal(frame(home_copy, "from models.backtest order by all"), backtest)
    opened = before["forecast"] > 0
    ratios = after["forecast"][opened] / before["forecast"][opened]
    assert (ratios != 1).all()
    assert ratios.groupby(before["model"]).agg(lambda of: of.max() - of.min()).max() < 1e-9
    assert (after["forecast"][~opened] == 0).all()
    # What is explained is what is published.
    explained = frame(
        home_copy,
        "select latest.forecast, explanations.forecast as explained, exp(ln(usual_day) + parts) as"
        " product from forecasts.explanations as explanations join forecasts.latest as latest"
        " using (store_id, date) join (select store_id, date, sum(log_contribution) as parts from"
        " forecasts.explanation_parts group by all) using (store_id, date)"
        " where model = 'lightgbm'",
    )
    assert len(explained) == (opened & (before["model"] == "lightgbm")).sum()
    np.testing.assert_allclose(explained["explained"], explained["forecast"], rtol=1e-9)
    np.testing.assert_allclose(explained["product"], explained["forecast"], rtol=1e-9)
    summary = frame(home_copy, "from quality.summary").set_index("suite")
    assert summary.loc["forecasts_explanations", ["met", "failing_rows"]].tolist() == [1, 0]


def test_a_bad_delivery_stops_with_one_sentence_and_touches_nothing(
    home_copy: Path, source: Path, tmp_path: Path
) -> None:
    bad = Path(shutil.copytree(source, tmp_path / "bad"))
    lines = (bad / "train.csv").read_text().splitlines()
    (bad / "train.csv").write_text("\n".join(["Store,Date", *lines[1:]]))
    before = digest(Settings(home=home_copy).snapshot_path)
    done = sales("refresh", "--source", bad, "--home", home_copy, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("sales: train.csv")
    assert "Sales" in last
    assert "Traceback" not in done.stderr
    assert digest(Settings(home=home_copy).snapshot_path) == before


def test_a_refresh_without_any_data_says_what_to_do(tmp_path: Path) -> None:
    done = sales("refresh", "--home", tmp_path / "empty", check=False)
    assert done.returncode == 1
    assert "--source" in done.stderr.splitlines()[-1]


def test_a_second_refresh_at_once_names_the_process_that_holds_the_home(
    home_copy: Path, source: Path
) -> None:
    with (home_copy / "refresh.lock").open("a+") as held:
        held.truncate(0)
        held.write("4711\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        done = sales("refresh", "--source", source, "--home", home_copy, check=False)
    assert done.returncode == 1
    assert "Process 4711 is refreshing" in done.stderr


def test_an_interrupted_refresh_says_so_in_a_sentence(home_copy: Path, source: Path) -> None:
    command = [Path(sys.executable).parent / "sales", "refresh", "--home", str(home_copy)]
    running = subprocess.Popen(
        [*command, "--source", str(source)], stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    assert any("cleaned.sales" in line for line in running.stderr)
    running.send_signal(signal.SIGINT)
    last = running.stderr.read().splitlines()[-1]
    assert running.wait() == 1
    assert last.startswith("sales: Interrupted; the last results are untouched")


def test_a_longer_horizon_answers_all_of_kaggles_test_file(home_copy: Path, source: Path) -> None:
    short = sales("forecast", "--format", "kaggle", "--home", home_copy, check=False)
    assert short.returncode == 1
    assert "--horizon" in short.stderr
    sales("refresh", "--source", source, "--home", home_copy, "--horizon", "48")
    out = sales("forecast", "--format", "kaggle", "--home", home_copy).stdout
    assert out.startswith("Id,Sales\n")
    submission = pd.read_csv(StringIO(out), float_precision="round_trip")
    assert submission["Id"].tolist() == list(range(1, STORES * 48 + 1))
    plan = pd.read_csv(source / "test.csv", parse_dates=["Date"]).set_index(["Store", "Date"])
    latest = frame(home_copy, "from forecasts.latest where model = 'ensemble'")
    asked = plan["Id"].reindex(pd.MultiIndex.from_frame(latest[["store_id", "date"]]))
    expected = latest["forecast"].set_axis(asked).sort_index()
    assert submission["Sales"].tolist() == expected.tolist()
