"""Settings come from the environment, are checked once, and say what is wrong with which one."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from sales_assets.errors import SalesError
from sales_assets.settings import LEVELS, Settings
from sales_assets.statsforecast_models import NOT_SETTABLE, signatures


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment without any setting."""
    for name in [name for name in os.environ if name.startswith("SALES_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def all_fields(model, path=()):
    """Yield the path and the definition of every field, those of groups included."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from all_fields(field.annotation, (*path, name))
        else:
            yield ".".join((*path, name)), field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("home", Path("var")),
        ("source", None),
        ("horizon", 42),
        ("backtest_windows", 4),
        ("max_refused_share", 0.05),
        ("threads", 2),
    ],
)
def test_what_is_not_set_has_its_default(field, value):
    assert getattr(Settings.load(), field) == value


def test_the_levels_are_80_and_95_percent():
    assert LEVELS == (80, 95)


@pytest.mark.parametrize(("path", "field"), list(all_fields(Settings)))
def test_every_setting_says_what_it_means(path, field):
    assert field.description, f"{path} has no description"
    assert field.description.endswith(".")


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("SALES_HOME", "/srv/sales", lambda settings: settings.home),
        ("SALES_SOURCE", "files.zip", lambda settings: settings.source),
        ("SALES_HORIZON", "1", lambda settings: settings.horizon),
        ("SALES_HORIZON", "56", lambda settings: settings.horizon),
        ("SALES_MEMORY_LIMIT", "512MB", lambda settings: settings.memory_limit),
        ("SALES_LIGHTGBM__TREES", "500", lambda settings: settings.lightgbm.trees),
        ("SALES_BASELINE__DAYS", "28", lambda settings: settings.baseline.days),
        ("SALES_STATISTICAL__EFFECT_DAYS", "56", lambda settings: settings.statistical.effect_days),
        ("SALES_RANDOM_FOREST__MAX_FEATURES", "1.0", lambda s: s.random_forest.max_features),
    ],
)
def test_a_variable_sets_its_field(environment, variable, value, read):
    environment.setenv(variable, value)

    assert str(read(Settings.load())) == value


def test_setting_one_field_of_a_group_leaves_the_others(environment):
    default = Settings.load().lightgbm
    environment.setenv("SALES_LIGHTGBM__TREES", "9")

    assert Settings.load().lightgbm == default.model_copy(update={"trees": 9})


def test_a_group_can_be_set_as_json(environment):
    environment.setenv("SALES_LIGHTGBM", '{"trees": 9, "leaves": 7}')

    assert (Settings.load().lightgbm.trees, Settings.load().lightgbm.leaves) == (9, 7)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SALES_HORIZON", "0"),
        ("SALES_HORIZON", "57"),
        ("SALES_HORIZON", "six weeks"),
        ("SALES_HORIZON", "41.5"),
        ("SALES_BACKTEST_WINDOWS", "1"),
        ("SALES_BACKTEST_WINDOWS", "13"),
        ("SALES_TRAINING_ROWS", "999"),
        ("SALES_MAX_REFUSED_SHARE", "-0.01"),
        ("SALES_MAX_REFUSED_SHARE", "1.01"),
        ("SALES_MAX_REFUSED_SHARE", "nan"),
        ("SALES_THREADS", "0"),
        ("SALES_SEED", "-1"),
        ("SALES_BASELINE__DAYS", "27"),
        ("SALES_STATISTICAL__DAYS", "59"),
        ("SALES_RANDOM_FOREST__MAX_FEATURES", "0"),
        ("SALES_LIGHTGBM__LEARNING_RATE", "1.5"),
        ("SALES_LIGHTGBM__LEAVES", "1"),
        ("SALES_LIGHTGBM__TREES", "many"),
        ("SALES_LIGHTGBM__TREEZ", "100"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_variable(environment, variable, value):
    environment.setenv(variable, value)

    with pytest.raises(SalesError) as error:
        Settings.load()

    message = str(error.value)
    assert message.startswith(f"Settings cannot be used: {variable}={value!r}: ")
    assert "\n" not in message


def test_all_values_that_cannot_be_used_are_named_at_once(environment):
    environment.setenv("SALES_HORIZON", "0")
    environment.setenv("SALES_LIGHTGBM__TREES", "none")
    environment.setenv("SALES_THREADS", "-2")

    with pytest.raises(SalesError) as error:
        Settings.load()

    for fault in ("SALES_HORIZON='0'", "SALES_LIGHTGBM__TREES='none'", "SALES_THREADS='-2'"):
        assert fault in str(error.value)


def test_variables_of_others_are_left_alone(environment):
    environment.setenv("SALES_REPORT_EMAIL", "someone@example.org")
    environment.setenv("HORIZON", "7")

    assert Settings.load() == Settings()
    assert Settings.load().horizon == 42


def test_settings_do_not_change_once_read():
    settings = Settings.load()

    with pytest.raises(ValidationError):
        settings.horizon = 7
    with pytest.raises(ValidationError):
        settings.lightgbm.trees = 7


def test_every_path_is_below_the_home():
    settings = Settings(home=Path("somewhere"))

    assert settings.warehouse_path == Path("somewhere/warehouse.duckdb")
    assert settings.published == Path("somewhere/published")
    assert settings.snapshot_path == Path("somewhere/published/sales.duckdb")
    assert settings.models == Path("somewhere/models")
    assert settings.dagster_home == Path("somewhere/dagster")
    assert settings.scratch == Path("somewhere/tmp")


def test_a_choice_counts_more_than_the_environment_and_is_left_to_child_processes(environment):
    environment.setenv("SALES_HORIZON", "10")
    environment.setenv("SALES_HOME", "from_environment")

    settings = Settings.choose(home=Path("chosen"), horizon=7, source=None)

    assert (settings.home, settings.horizon, settings.source) == (Path("chosen"), 7, None)
    assert os.environ["SALES_HORIZON"] == "7"
    assert os.environ["SALES_HOME"] == "chosen"
    assert "SALES_SOURCE" not in os.environ


def test_a_choice_of_none_leaves_the_environment_as_it_is(environment):
    environment.setenv("SALES_HORIZON", "10")

    assert Settings.choose(horizon=None).horizon == 10


def test_a_choice_that_cannot_be_used_is_named_like_a_variable(environment):
    environment.setenv("SALES_HORIZON", "42")

    with pytest.raises(SalesError, match="SALES_HORIZON='99'"):
        Settings.choose(horizon=99)


def test_an_empty_variable_is_as_good_as_none(environment):
    environment.setenv("SALES_HORIZON", "")
    environment.setenv("SALES_SOURCE", "")
    assert Settings.load().horizon == 42
    assert Settings.load().source is None


def test_a_group_that_is_no_json_is_named(environment):
    environment.setenv("SALES_LIGHTGBM", "abc")
    with pytest.raises(SalesError, match="SALES_LIGHTGBM is no JSON object"):
        Settings.load()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SALES_SEED", "5000000000"),
        ("SALES_MEMORY_LIMIT", "lots"),
        ("SALES_LIGHTGBM__L2", "inf"),
    ],
)
def test_a_value_that_no_library_takes_is_refused(environment, variable, value):
    environment.setenv(variable, value)
    with pytest.raises(SalesError, match=variable):
        Settings.load()


def test_models_are_set_as_json_with_their_parameters(environment):
    environment.setenv(
        "SALES_STATISTICAL__MODELS",
        '[{"name": "AutoETS", "season_length": 12}, {"name": "Theta"}]',
    )
    dumped = Settings.load().statistical.model_dump()

    assert dumped["models"] == ({"name": "AutoETS", "season_length": 12}, {"name": "Theta"})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('[{"name": "AutoETSS"}]', "'AutoETSS' is no model of statsforecast; the models are ADIDA"),
        ('[{"name": "AutoETS", "seasonal": 1}]', "takes no 'seasonal'; it takes season_length"),
        ('[{"name": "SeasonalNaive"}]', "SeasonalNaive needs season_length"),
        ('[{"name": "Naive", "alias": "x"}]', "Naive takes no 'alias'; it takes none"),
        ('[{"name": "SklearnModel"}]', "'SklearnModel' is no model"),
        ('[{"season_length": 12}]', "a JSON list of one object or more is expected"),
        ("[]", "a JSON list of one object or more is expected"),
        ("{}", "a JSON list of one object or more is expected"),
        ("[3]", "a JSON list of one object or more is expected"),
        ("AutoETS", "MODELS='AutoETS': a JSON list of one object or more is expected"),
    ],
)
def test_models_that_statsforecast_does_not_have_are_told_plainly(environment, value, told):
    environment.setenv("SALES_STATISTICAL__MODELS", value)

    with pytest.raises(SalesError) as error:
        Settings.load()

    message = str(error.value)
    assert message.startswith("Settings cannot be used: SALES_STATISTICAL__MODELS=")
    assert told in message
    assert "\n" not in message


def test_settings_are_loaded_without_statsforecast():
    code = "import sys; from sales_assets.settings import Settings; Settings.load();"
    code += "assert 'statsforecast' not in sys.modules"
    chosen = '[{"name": "AutoETS", "season_length": 12}]'

    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "SALES_STATISTICAL__MODELS": chosen},
    )


def test_the_models_that_can_be_set_are_those_of_statsforecast():
    models = pytest.importorskip("statsforecast.models")

    for name, signature in signatures().items():
        own = inspect.signature(getattr(models, name).__init__).parameters
        assert set(signature.accepted) == set(own) - {"self", *NOT_SETTABLE} - {
            "args", "kwargs"
        }, name  # fmt: skip
    assert {"AutoARIMA", "AutoETS", "MSTL", "Theta", "TBATS"} <= set(signatures())
