"""The champion through a refresh: refused challengers, a blocked run, and the way back."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from shutil import copytree

import dagster as dg
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from sales_assets import releases, warehouse
from sales_assets.cli import main
from sales_assets.errors import SalesError
from sales_assets.forecasting.bundle import Bundle
from sales_assets.forecasting.champion import Champion
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS
from sales_assets.forecasting.model_store import ModelStore
from sales_assets.forecasting.release import Release
from sales_assets.forecasts import daily
from sales_assets.quality import Outcome, record
from sales_assets.resources import Home
from sales_assets.runs import run_job
from sales_assets.settings import Settings

LEARN = [*(f"models__{name}" for name in MEMBERS), "models__ensemble"]
FORECAST = [
    "models__choice", "forecasts__daily", "check_forecasts",
    "forecasts__explanations", "forecasts__latest", "forecasts__explanation_parts",
    "models__versions",
]  # fmt: skip
PUBLISH = ["models__promotions", "published__snapshot", "serving__ensemble", "models__retention"]


class Story:
    """A refreshed home, whose chain grows while its champion was judged better than it is."""

    def __init__(self, home: Path) -> None:
        self.store = ModelStore(home / "models")
        self.settings = Settings.choose(home=home)
        self.first = self.champion.version
        self.forecast = self.ask("forecast", "--format", "csv").stdout
        self._praise_the_champion()
        with duckdb.connect(self.settings.warehouse_path) as con:
            con.execute("update features.training set log_sales = log_sales + 0.1")
            for table in ("raw.sales", "cleaned.sales"):
                con.execute(f"update {table} set sales = sales * 1.1")

    @property
    def champion(self) -> Champion:
        found = self.store.champion()
        assert found is not None
        return found

    def ask(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--home", str(self.settings.home)])

    def run(self, steps: list[str]) -> None:
        run_job("weekly_refresh", Settings.load(), steps)

    def table(self, sql: str) -> pd.DataFrame:
        with duckdb.connect(self.settings.snapshot_path, read_only=True) as con:
            return con.execute(sql).df()

    def _praise_the_champion(self) -> None:
        """Record that the champion was hardly ever wrong, so that no challenger comes near."""
        path = self.store.root / ENSEMBLE / self.first / "manifest.json"
        manifest = json.loads(path.read_text())
        for window in manifest["windows"].values():
            window["rmspe"] = 0.01
        path.write_text(json.dumps(manifest))
        record = json.loads((self.store.root / "champion.json").read_text())
        record["manifest_sha256"] = self.store.manifest_sha256(ENSEMBLE, self.first)
        (self.store.root / "champion.json").write_text(json.dumps(record))


@pytest.fixture(scope="module")
def story(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The tests of this module are its chapters, in their order."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SALES_HOME", "DAGSTER_HOME"):
            patch.setenv(name, "")
        # Of the newly composed version alone: who goes on does so with what is recorded.
        patch.setenv("SALES_BASELINE__DAYS", "100")
        patch.setenv("SALES_PROMOTION__OTHERWISE", "champion")
        yield Story(Path(copytree(home, tmp_path_factory.mktemp("champions") / "home")))


def test_a_blocked_run_leaves_the_champion_where_it_was(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, published = story.champion, story.settings.snapshot_path.read_bytes()
    forecast = Bundle.forecast
    monkeypatch.setattr(Bundle, "forecast", lambda *asked: forecast(*asked).iloc[1:])

    with pytest.raises(SalesError, match="The check of forecasts/daily"):
        story.run([*LEARN, *FORECAST, *PUBLISH])

    assert story.champion == before
    assert story.settings.snapshot_path.read_bytes() == published
    listed = story.ask("models", "list")
    assert listed.exit_code == 0
    assert [line.count("challenger") for line in listed.stdout.splitlines()[4:-1]] == [0, 1, 1]


def test_a_champion_that_goes_on_is_fitted_to_the_new_data_and_published(story: Story) -> None:
    story.run(FORECAST)
    # A refresh that something else stops publishes nothing.
    assert story.champion.version == story.first
    story.run(PUBLISH)

    first, challenger, again = (found.version for found in story.store.versions(ENSEMBLE))
    assert (first, again) == (story.first, story.champion.version)
    manifests = [story.store.manifest(ENSEMBLE, version) for version in (first, challenger, again)]
    assert [manifest.continues for manifest in manifests] == [None, None, first]
    days = {
        story.store.manifest("baseline", manifest.members["baseline"]["version"]).parameters["days"]
        for manifest in manifests[::2]
    }
    assert days == {182}
    # An equal recipe costs nothing: both have the same version of the other members.
    assert {
        name for name in MEMBERS if manifests[1].members[name] != manifests[2].members[name]
    } == {"baseline"}

    told = story.table("from models.versions").set_index("version")
    assert told["status"].to_dict() == {
        first: "former champion", challenger: "challenger", again: "champion",
    }  # fmt: skip
    assert told.loc[again, "reason"] == f"{first} fitted again to new data"
    assert "worse by" in told.loc[challenger, "reason"]
    assert told.loc[challenger, "champion_rmspe"] == pytest.approx(0.01)
    assert told.loc[challenger, "worse_by"] > 1
    history = story.table("select version, is_promoted, against from models.promotions")
    assert history.values.tolist()[1:] == [[again, True, first], [challenger, False, first]]
    for table in ("forecasts.latest", "forecasts.explanations"):
        assert story.table(f"select distinct version from {table}").values.tolist() == [[again]]
    assert Release.read(story.settings.serving).version == again


def test_a_refresh_of_the_same_data_decides_the_same(story: Story) -> None:
    before = (story.champion, story.table("from models.promotions"))
    versions = sorted(story.store.root.glob("*/*"))

    story.run([*LEARN, *FORECAST, *PUBLISH])

    assert story.champion == before[0]
    pd.testing.assert_frame_equal(story.table("from models.promotions"), before[1])
    assert sorted(story.store.root.glob("*/*")) == versions


def test_the_challengers_forecasts_are_published_where_that_is_set(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_PROMOTION__OTHERWISE", "challenger")
    champion = story.champion

    story.run([*FORECAST, *PUBLISH])

    challenger = story.store.newest_composed()
    assert challenger is not None
    assert story.champion == champion
    assert story.table("select distinct version from forecasts.latest").values.tolist() == [
        [challenger.version]
    ]
    assert Release.read(story.settings.serving).version == challenger.version
    choice = story.store.choice()
    assert choice is not None
    assert "SALES_PROMOTION__OTHERWISE" in choice.reason


def test_a_version_that_was_changed_is_not_promoted_and_what_was_published_stays(
    story: Story,
) -> None:
    challenger = story.store.newest_composed()
    assert challenger is not None
    path = story.store.root / ENSEMBLE / challenger.version / "weights.json"
    good = path.read_bytes()
    before = (story.champion, story.settings.snapshot_path.read_bytes())
    path.write_bytes(good.replace(b"0", b"1", 1))

    done = story.ask("models", "promote", challenger.version)

    path.write_bytes(good)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"sales: {path} is missing or was changed since it was saved; ")
    assert len(done.stderr.splitlines()) == 1
    assert (story.champion, story.settings.snapshot_path.read_bytes()) == before


def test_a_promotion_that_a_check_stops_leaves_the_champion_where_it_was(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (story.champion, story.settings.snapshot_path.read_bytes())
    forecast = Bundle.forecast
    monkeypatch.setattr(Bundle, "forecast", lambda *asked: forecast(*asked).iloc[1:])

    done = story.ask("models", "promote", story.first)

    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("sales: The check of forecasts/daily")
    assert (story.champion, story.settings.snapshot_path.read_bytes()) == before


def test_a_rollback_gives_the_earlier_versions_forecasts_also_when_it_is_asked_for_again(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(story.settings.snapshot_path, read_only=True) as con:
        ((newer,),) = con.execute(
            "select sum(forecast) from forecasts.latest where model = 'ensemble'"
        ).fetchall()

    with monkeypatch.context() as patch:
        patch.setattr(releases, "write_release", no_room)
        failed = story.ask("models", "rollback", "--reason", "sales look odd")
    done = story.ask("models", "rollback", "--reason", "sales look odd")

    assert failed.stderr.splitlines()[-1] == "sales: There is no room."
    assert done.exit_code == 0, done.output
    assert (story.champion.version, story.champion.is_pinned) == (story.first, True)
    told = story.ask("forecast", "--format", "csv").stdout
    # Sales that grew alike leave the LSTM's relative past as it was, but for rounding.
    pd.testing.assert_frame_equal(
        pd.read_csv(StringIO(told)), pd.read_csv(StringIO(story.forecast)), rtol=1e-6
    )
    ((older,),) = story.table(
        "select sum(forecast) from forecasts.latest where model = 'ensemble'"
    ).values.tolist()
    # The chain had grown by a tenth.
    assert newer / older > 1.05
    listed = story.ask("models", "list").stdout
    assert "champion, pinned" in listed
    assert "sales look odd" in listed
    shown = json.loads(story.ask("models", "show").stdout)
    assert [event["reason"] for event in shown["history"]][1:] == ["sales look odd"]
    # Once more would be another one.
    choice = story.store.choice()
    assert choice is not None
    assert not choice.goes_back


def no_room(*_: object) -> None:
    raise SalesError("There is no room.")


def test_a_version_forecasts_the_same_whatever_horizon_it_is_published_with(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members see as far as the plan goes: nothing after it may stand for closed days."""
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    with duckdb.connect(Settings.load().warehouse_path) as con:
        con.execute("delete from features.future where h > 14")
    told = []
    for horizon in ("14", "42"):
        monkeypatch.setenv("SALES_HORIZON", horizon)
        assert dg.materialize([daily], resources={"home": Home()}).success
        with duckdb.connect(Settings.load().warehouse_path) as con:
            told.append(
                con.execute(
                    "from forecasts.daily where cutoff = (select max(cutoff) from forecasts.daily)"
                    " order by store_id, date, model"
                ).df()
            )
    assert set(told[0]["model"]) == {*MEMBERS, ENSEMBLE}
    pd.testing.assert_frame_equal(told[0], told[1])


@pytest.mark.parametrize("suite", ["raw_sales", "cleaned_stores"])
def test_what_a_check_has_stopped_is_not_published_by_another_way(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch, suite: str
) -> None:
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    settings = Settings.load()
    published, champion = (
        settings.snapshot_path.read_bytes(),
        ModelStore(settings.models).champion(),
    )
    with warehouse.connect(settings) as con:
        record(con, "a run", suite, [Outcome("Sales are plausible", False, "", 1, [])])

    for command in (["rollback"], ["promote", "newest"]):
        done = CliRunner().invoke(main, ["models", *command, "--home", str(home_copy)])
        assert done.exit_code == 1
        assert f"The check {suite} stopped the last refresh" in done.stderr
    with pytest.raises(SalesError, match=f"The check {suite} stopped the last refresh"):
        run_job("weekly_refresh", settings, ["published__snapshot"])
    assert settings.snapshot_path.read_bytes() == published
    assert ModelStore(settings.models).champion() == champion


def test_forecasts_that_a_check_has_stopped_are_not_published_step_by_step(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    settings = Settings.load()
    written = [settings.snapshot_path, settings.serving / "release.json"]
    written += settings.models.glob("*.json")
    before = [path.read_bytes() for path in written]
    with warehouse.connect(settings) as con:
        record(con, "a run", "forecasts_daily", [Outcome("None is absurd", False, "", 1, [])])

    for step in ("models__versions", "published__snapshot", "serving__ensemble"):
        with pytest.raises(SalesError, match=r"The newest forecasts are not those of .* check"):
            run_job("weekly_refresh", settings, [step])
    assert [path.read_bytes() for path in written] == before


def test_what_a_stopped_refresh_has_left_is_not_forecast(
    home_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_HOME", str(home_copy))
    store = ModelStore(Settings.load().models)
    choice = store.choice()
    with warehouse.connect(Settings.load()) as con:
        con.execute("update features.future set cutoff = cutoff - 7")

    done = CliRunner().invoke(main, ["models", "promote", "newest", "--home", str(home_copy)])
    assert done.exit_code == 1
    assert "A refresh was stopped half-way, so that features.future and" in done.stderr
    assert store.choice() == choice
    with pytest.raises(SalesError, match="A refresh was stopped half-way"):
        run_job("weekly_refresh", Settings.load(), ["forecasts__daily"])
