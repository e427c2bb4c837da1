"""Paths, limits and hyper-parameters: the only module that reads the environment.

Every field can be set as an environment variable: `SALES_` and the field's name in capitals,
with `__` between a group and its field, as in `SALES_HORIZON=48` or `SALES_LIGHTGBM__TREES=500`.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from sales_assets import statsforecast_models
from sales_assets.errors import SalesError

REPOSITORY = Path(__file__).resolve().parent.parent
LEVELS = (80, 95)
# How a limit of a field is written.
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
# Columns of a table with intervals, the inner one first.
BOUNDS = [f"{side}_{level}" for level in LEVELS for side in ("lo", "hi")]
MAX_HORIZON = 56
MODELS_FORM = (
    "a JSON list of one object or more is expected, each with the name of a statsforecast model "
    """and its parameters, as in [{"name": "AutoETS", "season_length": 12}]"""
)


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BaselineSettings(_Group):
    """The median by store, weekday and promotion."""

    days: int = Field(182, ge=28, description="Days of history before the cutoff that count.")


class StatisticalModel(BaseModel):
    """A model of statsforecast by its name, with the parameters of its constructor."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """What the constructor is called with."""
        return dict(self.model_extra or {})


class StatisticalSettings(_Group):
    """statsforecast models on open-day series without their promotion and weekday effects."""

    models: tuple[StatisticalModel, ...] = Field(
        (
            StatisticalModel.model_validate({"name": "SimpleExponentialSmoothing", "alpha": 0.05}),
            StatisticalModel.model_validate({"name": "WindowAverage", "window_size": 24}),
            StatisticalModel.model_validate({"name": "WindowAverage", "window_size": 72}),
        ),
        description="statsforecast models whose mean is the forecast: a JSON list of objects with "
        "`name` and the model's parameters.",
    )
    days: int = Field(400, ge=60, description="Open days before the cutoff that are fitted.")
    effect_days: int = Field(
        364, ge=56, description="Days before the cutoff that weekday and promotion effects use."
    )

    @field_validator("models", mode="before")
    @classmethod
    def _has_models_of_statsforecast(cls, models: object) -> object:
        """Check names and parameters here, so that a slip is told before hours of work."""
        if not isinstance(models, (list, tuple)) or not models:
            raise PydanticCustomError("models", MODELS_FORM)
        for model in models:
            given = model.model_dump() if isinstance(model, StatisticalModel) else model
            if not isinstance(given, dict) or not isinstance(given.get("name"), str):
                raise PydanticCustomError("models", MODELS_FORM)
            parameters = {key: value for key, value in given.items() if key != "name"}
            if fault := statsforecast_models.fault_of(given["name"], parameters):
                raise PydanticCustomError("models", "{fault}", {"fault": fault})
        return models


class RandomForestSettings(_Group):
    """A scikit-learn pipeline around RandomForestRegressor."""

    trees: int = Field(60, ge=1, description="Number of trees.")
    min_samples_leaf: int = Field(5, ge=1, description="Smallest number of rows in a leaf.")
    max_features: float = Field(0.2, gt=0, le=1, description="Share of features tried a split.")
    rows_per_tree: int = Field(30_000, ge=100, description="Rows drawn for each tree, at most.")


class LightGBMSettings(_Group):
    """Gradient-boosted trees on log sales, averaged over seeds.

    Rates, leaves and shares were found by `sales study tuning` (docs/decisions.md).
    """

    trees: int = Field(700, ge=1, description="Boosting rounds.")
    learning_rate: float = Field(0.0557, gt=0, le=1, description="Shrinkage of each round.")
    leaves: int = Field(35, ge=2, description="Leaves of a tree.")
    min_rows_in_leaf: int = Field(62, ge=1, description="Smallest number of rows in a leaf.")
    feature_share: float = Field(0.443, gt=0, le=1, description="Share of features each tree sees.")
    row_share: float = Field(0.777, gt=0, le=1, description="Share of rows each tree sees.")
    l2: float = Field(4.06, ge=0, description="L2 penalty on leaf values.")
    seeds: int = Field(2, ge=1, description="Boosters that are averaged, each with its own seed.")
    half_life_days: int | None = Field(
        365, ge=1, description="Days after which a training row counts half; None: all alike."
    )


class StudySettings(_Group):
    """Studies of the models' choices: `sales study`."""

    ablation_trees: int = Field(300, ge=1, description="Boosting rounds of an ablation's fits.")
    rows: int = Field(
        2_000, ge=10, description="Rows of a window that permutation importance looks at."
    )
    repeats: int = Field(3, ge=1, description="Times that each feature is permuted.")
    trials: int = Field(30, ge=1, description="Trials that a tuning comes to, for each model.")
    minutes: float = Field(60, gt=0, description="Minutes that one run of the tuning may take.")


class LSTMSettings(_Group):
    """A recurrent encoder-decoder on windows of all stores, averaged over seeds."""

    past_days: int = Field(70, ge=56, description="Days of history in a window.")
    units: int = Field(64, ge=4, description="Units of each recurrent layer.")
    embedding: int = Field(16, ge=1, description="Numbers that stand for a store.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of inputs dropped in training.")
    windows: int = Field(
        12_000, ge=100, description="Windows learnt from, drawn from all (cutoff, store)."
    )
    batch: int = Field(256, ge=1, description="Windows in a training step.")
    epochs: int = Field(10, ge=1, description="Epochs, at most, with the last weeks held back.")
    patience: int = Field(6, ge=1, description="Epochs without gain before training stops.")
    last_epochs: int = Field(3, ge=1, description="Epochs that learn the last weeks as well.")
    learning_rate: float = Field(0.002, gt=0, le=1, description="Highest learning rate.")
    half_life_days: int = Field(365, ge=7, description="Age at which a window counts half.")
    seeds: int = Field(2, ge=1, description="Networks that are averaged, each with its own seed.")


class PromotionSettings(_Group):
    """When a new ensemble becomes champion, and what is published where it does not."""

    tolerance: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share by which a new ensemble's RMSPE may exceed the champion's on the "
        "backtest windows that both were judged on.",
    )
    otherwise: Literal["champion", "challenger"] = Field(
        "champion",
        description="Whose forecasts are published where the new ensemble stays a challenger: the "
        "champion's, refitted to the new data, or the challenger's.",
    )


class Settings(BaseSettings):
    """Everything that can be set from outside, validated once, with its meaning and default."""

    model_config = SettingsConfigDict(
        env_prefix="SALES_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        env_parse_none_str="None",
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
    )

    home: Path = Field(Path("var"), description="Directory of the warehouse, models and reports.")
    source: Path | None = Field(None, description="Directory or .zip with Kaggle's files.")
    horizon: int = Field(42, ge=1, le=MAX_HORIZON, description="Days ahead that are forecast.")
    backtest_windows: int = Field(4, ge=2, le=12, description="Non-overlapping backtest windows.")
    training_rows: int = Field(
        1_000_000, ge=1_000, description="Rows of features.training that models learn from."
    )
    point: Literal["median", "mean", "rmspe"] = Field(
        "median",
        description="What a forecast is: the median, the mean (for volumes), or what has the "
        "lowest RMSPE.",
    )
    max_refused_share: float = Field(
        0.05, ge=0, le=1, description="Share of a file's rows that may be refused."
    )
    memory_limit: str = Field(
        "2GB",
        pattern=r"^\d+(\.\d+)? ?[KMGT]i?B$",
        description="Memory that DuckDB may use before it spills.",
    )
    threads: int = Field(2, ge=1, description="Threads of DuckDB, LightGBM and the forest.")
    seed: int = Field(20150619, ge=0, le=2**31 - 1, description="Seed of everything random.")
    cache_megabytes: int = Field(
        100, ge=0, description="Size of the cache of fitted series at most; 0 keeps none."
    )
    cache_days: int = Field(
        60, ge=1, description="Days after its last use that a fitted series is forgotten."
    )

    kept_versions: int = Field(
        8,
        ge=2,
        description="Newest versions of the ensemble that are kept, with their members; every "
        "champion is kept beside them.",
    )
    stale_days: int = Field(
        8, ge=1, description="Days after its refresh that `sales doctor` calls a snapshot old."
    )

    service_url: str = Field(
        "http://127.0.0.1:8000",
        pattern=r"^https?://",
        description="Where a running service is told of a new release.",
    )
    service_key: SecretStr = Field(
        SecretStr(""), description="The key to ask it with; of the role admin, to tell it at once."
    )

    baseline: BaselineSettings = BaselineSettings()
    statistical: StatisticalSettings = StatisticalSettings()
    random_forest: RandomForestSettings = RandomForestSettings()
    lightgbm: LightGBMSettings = LightGBMSettings()
    lstm: LSTMSettings = LSTMSettings()
    studies: StudySettings = StudySettings()
    promotion: PromotionSettings = PromotionSettings()

    @classmethod
    def choose(cls, **choices: object) -> Self:
        """Put a command line's choices into the environment of this process, and read it.

        Processes that it starts see them too; a choice of None leaves the environment as it is.
        """
        for field, value in choices.items():
            if value is not None:
                os.environ[f"SALES_{field.upper()}"] = str(value)
        return cls.load()

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SalesError: A value is outside its limits; the message names variable and value.
        """
        try:
            return cls()
        except ValidationError as error:
            faults = [
                f"SALES_{'__'.join(str(part) for part in fault['loc']).upper()}="
                f"{fault['input']!r}: {fault['msg']}"
                for fault in error.errors()
            ]
            raise SalesError("Settings cannot be used: " + "; ".join(faults) + ".") from None
        except SettingsError as error:
            # A group that is set as a whole, and not as JSON.
            group = re.search(r'field "(\w+)"', str(error))
            variable = f"SALES_{group[1].upper()}" if group else "A SALES_ variable"
            models = os.environ.get("SALES_STATISTICAL__MODELS")
            if variable == "SALES_STATISTICAL" and variable not in os.environ and models:
                raise SalesError(
                    f"Settings cannot be used: {variable}__MODELS={models!r}: {MODELS_FORM}."
                ) from None
            raise SalesError(
                f"Settings cannot be used: {variable} is no JSON object; set its fields one by "
                f"one, as in {variable}__FIELD=1."
            ) from None

    @property
    def warehouse_path(self) -> Path:
        """The writer's DuckDB file."""
        return self.home / "warehouse.duckdb"

    @property
    def lock_path(self) -> Path:
        """The file that the one process which changes the home has locked."""
        return self.home / "refresh.lock"

    @property
    def published(self) -> Path:
        """Directory of what people query: the snapshot and the Parquet files."""
        return self.home / "published"

    @property
    def snapshot_path(self) -> Path:
        """The DuckDB snapshot that people query."""
        return self.published / "sales.duckdb"

    @property
    def models(self) -> Path:
        """Directory of the model versions."""
        return self.home / "models"

    @property
    def reports(self) -> Path:
        """Directory of the reports that people read."""
        return self.home / "reports"

    @property
    def serving(self) -> Path:
        """Directory of the release that a service answers with."""
        return self.home / "serving"

    @property
    def validation_path(self) -> Path:
        """The report of what the checks found, to be opened in a browser."""
        return self.home / "quality" / "validation.html"

    @property
    def tuning(self) -> Path:
        """Directory of the tuning's trials, which a later run goes on from."""
        return self.home / "tuning"

    @property
    def incoming(self) -> Path:
        """Directory in which deliveries appear; the Dagster daemon looks there."""
        return self.home / "incoming"

    @property
    def archive(self) -> Path:
        """Directory of the deliveries that came by `incoming` and were loaded."""
        return self.home / "archive"

    @property
    def rejected(self) -> Path:
        """Directory of the deliveries that could not be used, each with a report beside it."""
        return self.home / "rejected"

    @property
    def dagster_home(self) -> Path:
        """Directory of the home's own Dagster instance."""
        return self.home / "dagster"

    @property
    def statistical_cache(self) -> Path:
        """Directory of the series that statsforecast need not fit again; safe to remove."""
        return self.home / "cache" / "statistical"

    @property
    def served(self) -> Path:
        """Directory of what a service has answered, and of its log of requests."""
        return self.home / "served"

    @property
    def keys_path(self) -> Path:
        """File of the keys that a service knows, as hashes."""
        return self.home / "keys.json"

    @property
    def scratch(self) -> Path:
        """Directory for files that no one keeps; on the same disk as the rest of the home."""
        return self.home / "tmp"


def as_markdown() -> str:
    """Return every setting as a Markdown table: variable, default, limits, meaning."""
    rows = [
        f"| `{variable}` | `{_as_set(field.default)}` | {_limits(field)} | {field.description} |"
        for variable, field in _variables(Settings, "SALES_")
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Environment variables, read once by `sales_assets/settings.py`; written by",
            "`python -m sales_assets.settings > docs/settings.md`.",
            "",
            "| variable | default | may be | meaning |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _as_set(default: object) -> object:
    """Return a default as it is written in a variable."""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, tuple):
        return json.dumps([part.model_dump() for part in default])
    return default


def _limits(field: FieldInfo) -> str:
    """Return what a setting may be, where that is not told by its meaning alone."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    bounds = [
        f"{sign} {getattr(limit, name):,}"
        for limit in field.metadata
        for name, sign in _SIGNS.items()
        if hasattr(limit, name)
    ]
    return " and ".join(bounds)


def _variables(group: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in group.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from _variables(type(field.default), f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", field


if __name__ == "__main__":
    print(as_markdown(), end="")
