"""A refresh that is killed leaves what was published, and the next one ends as if none had been."""

import hashlib
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest

from sales_assets import leftovers
from sales_assets.definitions import defs
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.release import Release
from sales_assets.resources import WRITER_POOL
from sales_assets.settings import Settings
from tests.faults.commands import Command, Moment, renamed, sales
from tests.faults.conftest import STORES, Chain
from tests.processes import CONTEXT

STEPS = [node.name for node in defs.resolve_job_def("weekly_refresh").nodes_in_topological_order]
STORE = "sales_assets.forecasting.model_store"
BACKTEST = "sales_assets.forecasting.backtest"

# Each stage is killed in the midst of its work, those that write files also between two of them.
KILLS = {
    "raw": ("delivery", Moment("sales_assets.sources.kaggle:_load", call=2, is_after=True)),
    "cleaned": ("cleaned__sales", Moment("sales_assets.cleaned:clean_sales", is_after=True)),
    "checks": ("check_cleaned", Moment("sales_assets.checks:record", is_after=True)),
    "monitoring": ("monitoring__drift", Moment("sales_assets.monitoring:describe")),
    "features": (
        "features__training",
        Moment("sales_assets.features:build_training", is_after=True),
    ),
    "insights": ("insights__answers", Moment("sales_assets.questions.answers:told")),
    "backtest": ("models__backtest", Moment(f"{BACKTEST}:_forecast", call=4)),
    "scores": ("models__scores", Moment("sales_assets.models:replace_table", is_after=True)),
    "a member's fit": (
        "models__lightgbm",
        Moment("sales_assets.forecasting.lightgbm:LightGBM.fit", is_after=True),
    ),
    "a network half-saved": (
        "models__lstm",
        Moment("sales_assets.forecasting.lstm:LSTM.save", is_after=True),
    ),
    "a model half-saved": ("models__random_forest", Moment(f"{STORE}:library_versions")),
    "a model without its name": ("models__statistical", renamed("/models/statistical/20")),
    "ensemble": ("models__ensemble", Moment("sales_assets.models:compose", is_after=True)),
    "intervals": ("intervals__calibration", Moment("sales_assets.intervals:replace_table")),
    "choice": ("models__choice", renamed("choice.json")),
    "forecasts, in their transaction": (
        "forecasts__daily",
        Moment("sales_assets.warehouse:read_sql", mentions="forecasts/daily"),
    ),
    "explanations": ("forecasts__explanations", Moment("sales_assets.forecasts:explain")),
    "realised accuracy": (
        "monitoring__accuracy",
        Moment("sales_assets.monitoring:measure_accuracy", is_after=True),
    ),
    "versions": ("models__versions", Moment("sales_assets.champions:_versions", is_after=True)),
    "quality": ("quality", renamed("validation.html")),
    "history of champions": (
        "models__promotions",
        Moment("sales_assets.champions:replace_table"),
    ),
    "publication, half-written": (
        "published__snapshot",
        Moment("sales_assets.warehouse:_write_parquet", is_after=True),
    ),
    "publication, half-renamed": ("published__snapshot", renamed("forecasts.daily.parquet")),
    "publication, but for the snapshot": ("published__snapshot", renamed("sales.duckdb")),
    "publication, but for the champion": ("published__snapshot", renamed("champion.json")),
    "reports": ("reports__insights", renamed("insights.html")),
    "release, without its data": ("serving__ensemble", renamed("serving/data-")),
    "release, with its data": ("serving__ensemble", renamed("release.json")),
    "retention": ("models__retention", Moment("sales_assets.forecasting.retention:_models")),
}
# From here on the snapshot is the new one, and then the release.
AFTER_RELEASE = ("retention",)
AFTER_PUBLICATION = (
    "publication, but for the champion", "reports", "release, without its data",
    "release, with its data", *AFTER_RELEASE,
)  # fmt: skip

# What says when and by which run a row was made.
STAMPS = (
    "version", "continues", "against", "judged_against", "created_at", "promoted_at", "judged_at",
    "at", "loaded_at", "checked_at", "run", "reason",
)  # fmt: skip
STAMPED_HASHES = ("manifest_sha256",)
# A row a run that checked, those included that were killed afterwards.
HISTORIES = ("quality.results",)


def tables(snapshot: Path) -> dict[str, pd.DataFrame]:
    """Return every published table, without its stamps, in a settled order."""
    with duckdb.connect(snapshot, read_only=True) as con:
        names = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables order by 1"
        ).fetchall()
        found = {}
        for name in [name for (name,) in names if name not in HISTORIES]:
            columns = [column for column, *_ in con.execute(f"describe {name}").fetchall()]
            kept = [name for name in columns if name not in (*STAMPS, *STAMPED_HASHES)]
            listed = ", ".join(f'"{column}"' for column in kept)
            found[name] = con.execute(f"select {listed} from {name} order by all").df()
        return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def statuses(home: Path) -> list[str]:
    directory = Settings(home=home).dagster_home
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        return [run.status.value for run in instance.get_runs()]


def finished_steps(home: Path) -> set[str]:
    """Return the steps that the newest run has finished."""
    directory = Settings(home=home).dagster_home
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        (run,) = instance.get_runs(limit=1)
        stats = instance.get_run_step_stats(run.run_id)
        return {step.step_key for step in stats if step.status and step.status.value == "SUCCESS"}


def slots_in_use(home: Path) -> int:
    directory = Settings(home=home).dagster_home
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        return instance.event_log_storage.get_concurrency_info(WRITER_POOL).active_slot_count


def look(snapshot: Path, stop: Any, answer: Any) -> None:
    """Open the snapshot again and again as a stranger would, and return what was seen."""
    seen: dict[tuple, int] = {}
    error = None
    while error is None and not stop.wait(0.05):
        try:
            with duckdb.connect(snapshot, read_only=True) as con:
                state = con.execute(
                    "select (select max(date) from raw.sales), (select count(*) from raw.sales),"
                    " (select max(date) from cleaned.sales), (select max(cutoff) from"
                    " forecasts.latest), (select count(*) from forecasts.daily),"
                    " (select count(*) from models.versions)"
                ).fetchall()
        except Exception as raised:
            error = repr(raised)
        else:
            seen[state[0]] = seen.get(state[0], 0) + 1
    answer.send((seen, error))


@dataclass(frozen=True)
class Reference:
    """The home as a refresh that nothing disturbs leaves it, and what a reader saw meanwhile."""

    tables: dict[str, pd.DataFrame]
    seen: dict[tuple, int]
    error: str | None


@pytest.fixture(scope="module")
def reference(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    home = Path(shutil.copytree(chain.home, tmp_path_factory.mktemp("reference") / "home"))
    snapshot = Settings(home=home).snapshot_path
    stop = CONTEXT.Event()
    answer, question = CONTEXT.Pipe(duplex=False)
    reader = CONTEXT.Process(target=look, args=(snapshot, stop, question))
    reader.start()
    done = sales(home, "refresh", "--source", str(chain.present))
    assert done.exit_status == 0, done.text
    # The reader opens the new snapshot once at least.
    stop.wait(0.5)
    stop.set()
    seen, error = answer.recv()
    reader.join()
    return Reference(tables(snapshot), seen, error)


def test_a_reader_finds_the_former_results_or_the_new_ones_at_every_moment(
    reference: Reference,
) -> None:
    assert reference.error is None
    assert len(reference.seen) == 2, reference.seen
    former, present = reference.seen
    week = timedelta(days=7)
    delivered, rows, cleaned, cutoff, forecasts, versions = former
    assert present[:5] == (
        delivered + week, rows + 7 * STORES, cleaned + week, cutoff + week, 2 * forecasts
    )  # fmt: skip
    assert present[5] > versions


def test_every_stage_is_killed_in_the_midst_of_its_work() -> None:
    def stages(steps: Iterable[str]) -> set[str]:
        return {step.split("_")[0] for step in steps}

    assert stages(step for step, _ in KILLS.values()) == stages(STEPS)
    # Each run below takes up the work of the one before.
    places = [STEPS.index(step) for step, _ in KILLS.values()]
    assert places == sorted(places)


def test_a_refresh_killed_in_every_stage_ends_as_one_that_was_not(
    chain: Chain, reference: Reference, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(chain.home, tmp_path / "home"))
    settings = Settings(home=home)
    former, released = digest(settings.snapshot_path), Release.read(settings.serving)
    champion = ModelStore(settings.models).champion()
    worked: set[str] = set()
    for stage, (step, moment) in KILLS.items():
        # A run takes up the work where the one before was killed: all of it is one long refresh.
        until = STEPS.index(step)
        steps = [name for name in STEPS[: until + 1] if name not in worked]
        done = Command(home, steps=steps, source=chain.present, at=moment).wait()
        assert done.exit_status == -signal.SIGKILL, f"{stage}: {done.text}"
        worked |= finished_steps(home)
        assert step not in worked, stage
        if stage in AFTER_PUBLICATION:
            assert_same(tables(settings.snapshot_path), reference.tables)
        else:
            assert digest(settings.snapshot_path) == former, stage
        is_released = stage in AFTER_RELEASE
        assert (Release.read(settings.serving) != released) == is_released, stage
        if STEPS.index("published__snapshot") >= until:
            assert ModelStore(settings.models).champion() == champion, stage
    released.verified(settings.serving)
    assert slots_in_use(home) == 1

    done = sales(home, "refresh", "--source", str(chain.present))

    assert done.exit_status == 0, done.text
    assert_same(tables(settings.snapshot_path), reference.tables)
    assert slots_in_use(home) == 0
    assert statuses(home) == ["SUCCESS", *["FAILURE"] * len(KILLS), "SUCCESS"]
    assert leftovers.found(settings) == []
    chosen = ModelStore(settings.models).chosen()
    assert chosen is not None
    assert chosen.version == Release.read(settings.serving).version != released.version


def assert_same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    assert found.keys() == expected.keys()
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, check_exact=True, obj=name)
