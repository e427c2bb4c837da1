"""Versions are known by what decides them: of anything that is another, another one is made."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

import pytest

from sales_assets.forecasting import backtest as backtesting
from sales_assets.forecasting import conformal, ensemble, features, point
from sales_assets.forecasting.backtest import member_recipe
from sales_assets.forecasting.baseline import Baseline
from sales_assets.forecasting.bundle import compose
from sales_assets.forecasting.ensemble import ENSEMBLE, MEMBERS
from sales_assets.forecasting.features import data_fingerprint
from sales_assets.forecasting.manifest import Manifest
from sales_assets.settings import BOUNDS, REPOSITORY, BaselineSettings
from sales_assets.warehouse import read_sql
from tests.made_up_backtests import generated
from tests.saved_versions import saved, store_with_a_clock

FEATURES = ["weekday", "anchor"]
QUERIES = [f"features/{path.stem}" for path in (REPOSITORY / "sql" / "features").glob("*.sql")]
PACKAGE = "sales_assets.forecasting"
# What decides no forecast: the face that all members show, and where paths are kept.
UNDECISIVE = {f"{PACKAGE}.member", f"{PACKAGE}.series_cache"}


def edit_code(monkeypatch: pytest.MonkeyPatch, part: object) -> None:
    """Let the code of a module or function read as if it had been edited."""
    read = inspect.getsource
    monkeypatch.setattr(inspect, "getsource", lambda of: read(of) + "# edited" * (of is part))


def edit_query(monkeypatch: pytest.MonkeyPatch, module: ModuleType, query: str) -> None:
    """Let a query read as if it had been edited, to one module."""
    monkeypatch.setattr(
        module, "read_sql", lambda name: read_sql(name) + "-- edited" * (name == query)
    )


def modules_of(name: str, found: set[str]) -> set[str]:
    """Add a module, and those of the package that it imports, and they; return all."""
    if name in found | UNDECISIVE:
        return found
    found.add(name)
    for node in ast.walk(ast.parse(inspect.getsource(import_module(name)))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            for alias in node.names:
                modules_of(f"{PACKAGE}.{alias.name}", found)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            modules_of(str(node.module), found)
    return found


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_a_recipe_is_of_all_code_that_a_member_computes_with(member, settings, monkeypatch):
    before = member_recipe(member, settings, FEATURES)
    modules = sorted(modules_of(member.__module__, set()))
    assert {member.__module__, f"{PACKAGE}.frames", f"{PACKAGE}.lookup"} <= set(modules)

    for name in modules:
        with monkeypatch.context() as patch:
            edit_code(patch, sys.modules[name])
            assert member_recipe(member, settings, FEATURES) != before, name


@pytest.mark.parametrize("query", QUERIES)
def test_a_recipe_is_of_every_query_that_makes_features(query, settings, monkeypatch):
    before = member_recipe(Baseline, settings, FEATURES)
    edit_query(monkeypatch, backtesting, query)

    assert member_recipe(Baseline, settings, FEATURES) != before


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": BaselineSettings(days=100)},
        {"seed": 1},
        {"horizon": 35},
        {"training_rows": 123_456},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_recipe_is_of_the_settings_that_decide_a_member(change, settings):
    changed = settings.model_copy(update=change)

    assert member_recipe(Baseline, changed, FEATURES) != member_recipe(Baseline, settings, FEATURES)


def test_a_recipe_is_of_name_features_and_libraries(settings, monkeypatch):
    first = member_recipe(Baseline, settings, FEATURES)
    twin = type("Twin", (Baseline,), {"name": "twin", "__module__": Baseline.__module__})

    assert member_recipe(twin, settings, FEATURES) != first
    assert member_recipe(Baseline, settings, FEATURES[::-1]) != first
    assert member_recipe(Baseline, settings, FEATURES) == first
    monkeypatch.setattr(backtesting, "library_versions", lambda: {"lightgbm": "another one"})
    assert member_recipe(Baseline, settings, FEATURES) != first


@pytest.fixture
def composed(tmp_path) -> Callable[[], Manifest]:
    """Compose an ensemble of two members and a backtest, always the same."""
    store = store_with_a_clock(tmp_path)
    members = {name: saved(store, name) for name in ("baseline", "lightgbm")}
    backtest = generated(1, models=(*members, ENSEMBLE))
    backtest = backtest.assign(**dict.fromkeys(BOUNDS, 5_000.0), fingerprint="f")
    return lambda: compose(store, members, backtest, {"rmspe": 0.1})


@pytest.mark.parametrize(
    "part",
    [ensemble, conformal, point],
    ids=lambda part: part.__name__.rsplit(".")[-1],
)
def test_an_ensemble_is_composed_again_when_the_code_that_makes_it_was_edited(
    composed, part, monkeypatch
):
    first = composed()
    assert composed() == first
    edit_code(monkeypatch, part)

    assert composed().version != first.version


@pytest.fixture
def changing(con) -> Iterator[None]:
    """Undo what a test changes in the warehouse that all share."""
    con.execute("begin transaction")
    yield
    con.execute("rollback")


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("stores", "assortment = 'another one'"),
        ("stores", "competition_distance_m = coalesce(competition_distance_m, 0) + 1"),
        ("sales", "sales = sales + 1"),
        ("sales", "is_promo = not is_promo"),
        ("sales", "state_holiday = 'another one'"),
        ("sales", "store_id = store_id + 100"),
        ("sales", "date = date - 10_000"),
        ("plan", "is_open = not is_open"),
        ("plan", "is_promo = not is_promo"),
    ],
)
@pytest.mark.usefixtures("changing")
def test_data_are_others_when_one_value_of_one_row_is(con, table, change):
    before = data_fingerprint(con)
    changed = con.execute(f"update cleaned.{table} set {change} where rowid = 7").fetchall()

    assert changed == [(1,)]
    assert data_fingerprint(con) != before


@pytest.mark.usefixtures("changing")
def test_data_are_others_when_the_training_rows_were_made_of_others(con):
    before = data_fingerprint(con)
    newest = "(select max(cutoff) from features.training)"
    con.execute(f"delete from features.training where cutoff = {newest}")

    assert data_fingerprint(con) != before


@pytest.mark.parametrize("table", ["stores", "sales", "plan"])
@pytest.mark.usefixtures("changing")
def test_data_are_others_when_a_row_is_there_thrice(con, table):
    before = data_fingerprint(con)
    for _ in range(2):
        con.execute(f"insert into cleaned.{table} from cleaned.{table} where rowid = 7")

    assert data_fingerprint(con) != before


@pytest.mark.parametrize("query", QUERIES)
def test_data_are_others_when_their_features_are_made_otherwise(con, query, monkeypatch):
    before = data_fingerprint(con)
    assert data_fingerprint(con) == before
    edit_query(monkeypatch, features, query)

    assert data_fingerprint(con) != before
