"""The asset graph: what it holds, when it runs, and a run started through the UI's own door."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from sales_assets.definitions import defs
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.questions.question import BASES
from sales_assets.questions.themes import QUESTIONS
from sales_assets.schedules import incoming, monday_morning
from tests.faults.commands import Moment, held
from tests.processes import free_port

KEYS = {
    "raw/loads", "raw/sales", "raw/stores", "raw/plan", "quality/quarantine",
    "quality/results", "quality/summary",
    "cleaned/sales", "cleaned/stores", "cleaned/plan", "features/training", "features/future",
    "models/backtest", "models/scores", "models/ensemble_study", "models/ensemble",
    "models/choice", "models/versions", "models/promotions", "models/retention",
    "intervals/calibration", "intervals/coverage", "forecasts/daily",
    "forecasts/latest", "published/snapshot", "serving/ensemble",
    "forecasts/explanations", "forecasts/explanation_parts",
    *(f"models/{name}" for name in MEMBERS), "monitoring/drift", "monitoring/accuracy",
    *(f"insights/{name}" for name in BASES), "insights/answers",
    *(f"insights/{question.name}" for question in QUESTIONS), "reports/insights",
}  # fmt: skip
# Declared in the graph, and computed by a job of their own alone.
STUDIES = {"models/loss_study", "models/ablation", "models/importance", "models/tuning"}

CLEANING = Moment("sales_assets.cleaned:clean_stores")

SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_graph_holds_the_tables_of_the_contract() -> None:
    assert set(SPECS) == KEYS | STUDIES


@pytest.mark.parametrize("key", sorted(KEYS | STUDIES))
def test_every_asset_says_what_it_is(key: str) -> None:
    spec = SPECS[key]
    assert spec.description
    assert spec.group_name in {
        "raw", "cleaned", "insights", "features", "models", "intervals", "forecasts", "quality",
        "published", "serving", "studies", "monitoring",
    }  # fmt: skip
    assert spec.owners
    assert spec.kinds


def test_everything_that_is_published_comes_before_the_snapshot() -> None:
    upstream = {dep.asset_key.to_user_string() for dep in SPECS["published/snapshot"].deps}
    assert upstream == KEYS - {
        "published/snapshot", "reports/insights", "serving/ensemble", "models/retention",
    }  # fmt: skip


def test_no_study_is_part_of_a_refresh_nor_of_materialize_all() -> None:
    for name in ("weekly_refresh", "publication", "__ASSET_JOB"):
        layer = defs.resolve_job_def(name).asset_layer
        assert not {key.to_user_string() for key in layer.selected_asset_keys} & STUDIES
    steps = [node.name for node in defs.resolve_job_def("studies").nodes_in_topological_order]
    assert sorted(steps) == ["ablation", "importance", "loss", "publish", "tuning"]
    assert steps[-1] == "publish"


def test_the_code_location_loads_nothing_that_only_some_runs_need() -> None:
    code = (
        "import sys, sales_assets.definitions;"
        "print([name for name in ('tensorflow', 'ray', 'great_expectations', 'optuna')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_sensor_of_deliveries_is_on() -> None:
    assert incoming.default_status == dg.DefaultSensorStatus.RUNNING
    assert incoming.job_name == "weekly_refresh"


def tick(moment: datetime) -> dg.RunRequest:
    context = dg.build_schedule_context(scheduled_execution_time=moment)
    return monday_morning(context)


def test_the_schedule_runs_on_mondays_at_six_in_berlin_and_is_on() -> None:
    assert monday_morning.cron_schedule == "0 6 * * 1"
    assert monday_morning.execution_timezone == "Europe/Berlin"
    assert monday_morning.default_status == dg.DefaultScheduleStatus.RUNNING
    assert monday_morning.job_name == "weekly_refresh"


def test_two_ticks_of_one_week_are_one_run() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    monday = datetime(2026, 1, 5, 6, tzinfo=berlin)
    assert tick(monday).run_key == tick(monday.replace(hour=9)).run_key == "2026-W02"
    assert tick(monday.replace(day=12)).run_key == "2026-W03"


@pytest.mark.parametrize("name", ["weekly_refresh", "studies"])
def test_no_two_assets_write_at_once(name: str) -> None:
    job = defs.resolve_job_def(name)
    pools = {node.name: node.definition.pools for node in job.nodes}
    assert all(pools[name] == {"duckdb_writer"} for name in pools), pools


LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }
"""


class Ui:
    """The Dagster UI of a home, spoken to as its pages do: by GraphQL."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: object) -> dict:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            self.address, body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def status(self, run_id: str) -> str:
        return self.ask(STATUS, id=run_id)["runOrError"]["status"]

    def has_ended(self, run_id: str) -> bool:
        return self.status(run_id) in ("SUCCESS", "FAILURE", "CANCELED")

    def wait_until_ready(self, seconds: float) -> None:
        query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.ask(query)["repositoriesOrError"].get("nodes"):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(1)
        raise TimeoutError(f"The Dagster UI was not ready within {seconds} s.")


@pytest.fixture
def ui(home_copy: Path) -> Iterator[Ui]:
    """`sales dev` on a refreshed home; what has not stopped after ten seconds is killed."""
    port = free_port()
    command = [Path(sys.executable).parent / "sales", "dev", "--home", str(home_copy)]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        ui = Ui(port)
        ui.wait_until_ready(120)
        yield ui
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def test_materialize_all_in_the_ui_waits_for_a_command_and_does_what_the_refresh_does(
    ui: Ui, home_copy: Path
) -> None:
    params = {
        "selector": {
            "repositoryLocationName": "sales_assets",
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
        },
        "mode": "default",
    }
    with held(home_copy, steps=["cleaned__stores"], at=CLEANING) as command:
        launched = ui.ask(LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]
        # The queue is looked at every five seconds.
        time.sleep(12)
        assert ui.status(run_id) == "QUEUED"
    assert command.wait().exit_status == 0

    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not ui.has_ended(run_id):
        time.sleep(2)
    assert ui.status(run_id) == "SUCCESS"
