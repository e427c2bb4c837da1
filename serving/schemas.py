"""What may be asked over HTTP, and what is answered; the source of the OpenAPI description."""

import datetime as dt
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from serving.changed_plans import Change

MAX_INSTANCES = 5_000
DAYS_IN_WEEK = 7
WEEK = r"^\d{4}-W\d{2}$"


def _as_written(value: Any) -> Any:
    """Refuse what else pydantic takes for a date, such as seconds since 1970."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return value
    raise ValueError("a date is written like 2015-06-25")


Day = Annotated[dt.date, BeforeValidator(_as_written), Field(examples=["2015-06-25"])]
StateHoliday = Literal["none", "public", "easter", "christmas"]
Level = Literal[80, 95]
StoreId = Annotated[StrictInt, Field(ge=0, le=2**31 - 1, examples=[11])]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Plan(_Request):
    """A day's plan; what is left out stays as planned."""

    is_open: StrictBool | None = Field(None, description="Whether the store opens.")
    is_promo: StrictBool | None = Field(None, description="Whether it has a promotion.")
    state_holiday: StateHoliday | None = Field(None, description="The public holiday, if any.")
    is_school_holiday: StrictBool | None = Field(None, description="Whether schools are closed.")

    def change(self, store_id: int, day: dt.date) -> Change | None:
        """Return the change of a day that this asks for, or nothing where it asks for none."""
        differs = self.model_dump(include=set(_Plan.model_fields), exclude_none=True)
        return Change(store_id, day, **differs) if differs else None


class Instance(_Plan):
    """One day of one store."""

    store_id: StoreId
    date: Day


class PredictRequest(_Request):
    """Days to forecast; what they change of the plan is taken together, store by store."""

    instances: list[Instance] = Field(min_length=1, max_length=MAX_INSTANCES)
    level: list[Level] = Field(
        [80, 95], min_length=1, max_length=2, description="Intervals to give, in percent."
    )
    explain: StrictBool = Field(False, description="Whether to say what each forecast is made of.")


class DayOrWeek(_Plan):
    """A change of one day, or of every day of a week."""

    date: Day | None = Field(None, description="The day; or name a week.")
    week: str | None = Field(None, pattern=WEEK, description="An ISO week.", examples=["2015-W27"])

    @model_validator(mode="after")
    def _names_one(self) -> "DayOrWeek":
        if (self.date is None) == (self.week is None):
            raise ValueError("name either a date or a week")
        if self.week is not None:
            self.days()
        return self

    def days(self) -> list[dt.date]:
        """Return the day, or the seven days of the week.

        Raises:
            ValueError: The year has no such week.
        """
        if self.date is not None:
            return [self.date]
        assert self.week is not None
        year, week = self.week.split("-W")
        return [
            dt.date.fromisocalendar(int(year), int(week), day + 1) for day in range(DAYS_IN_WEEK)
        ]


class ScenarioRequest(_Request):
    """Another plan for a store."""

    changes: list[DayOrWeek] = Field(min_length=1, max_length=100)
    explain: StrictBool = Field(False, description="Whether to say what each forecast is made of.")


class ModelInfo(BaseModel):
    """Which version answered, and what it knows."""

    version: str = Field(examples=["20261122T061500Z-0123abcd"])
    cutoff: dt.date = Field(description="The last day whose sales it knows.")
    data: str = Field(description="Which data it forecasts from, by their hash.")


class PlannedDay(BaseModel):
    """The plan that a forecast is for."""

    is_open: bool
    is_promo: bool
    state_holiday: StateHoliday
    is_school_holiday: bool


class Prediction(BaseModel):
    """The forecast of one day of one store, in EUR."""

    store_id: int
    date: dt.date
    h: int = Field(description="Days after the cutoff.")
    forecast: float
    intervals: dict[str, tuple[float, float]] = Field(
        description="Lower and upper bound by level in percent.",
        examples=[{"80": [5601.0, 7604.5]}],
    )
    members: dict[str, float] = Field(description="What each member of the ensemble says.")
    plan: PlannedDay
    contributions: dict[str, float] | None = Field(
        None, description="Percent by which each part moves the store's usual day."
    )


class Predictions(BaseModel):
    """Forecasts in the order in which they were asked for."""

    model: ModelInfo
    degraded: list[str] = Field(description="Members that gave no answer.")
    predictions: list[Prediction]


class Store(BaseModel):
    """A store that can be asked for."""

    store_id: int
    store_type: str
    assortment: str


class Stores(BaseModel):
    """All of them, and the days that can be asked for."""

    model: ModelInfo
    first_day: dt.date
    last_day: dt.date
    stores: list[Store]


class PastDay(BaseModel):
    """What a day came to; null where it is not known."""

    date: dt.date
    sales: float | None
    is_open: bool
    is_promo: bool


class Accuracy(BaseModel):
    """How well the ensemble forecast a store in the backtest; errors are shares, 0.1 for 10 %."""

    days: int = Field(description="Open days that were judged.")
    windows: int = Field(description="Windows of the backtest that they are from.")
    rmspe: float | None
    wape: float | None
    bias: float | None = Field(description="What was forecast too much of all that was sold.")
    coverage_80: float | None = Field(description="Share of days within the 80 % interval.")
    coverage_95: float | None
    baseline_rmspe: float | None = Field(description="What a simple median came to.")


class StoreForecast(BaseModel):
    """A store's last weeks, and its coming days as planned."""

    model: ModelInfo
    degraded: list[str]
    store: Store
    history: list[PastDay]
    accuracy: Accuracy | None
    predictions: list[Prediction]


class ChainDay(BaseModel):
    """A day of all stores together, in EUR."""

    date: dt.date
    forecast: float


class StoreOutlook(Store):
    """A store's coming days beside as many days just before, in EUR."""

    forecast_total: float
    recent_total: float
    change_percent: float | None = Field(description="Of the sales of an open day.")
    rmspe: float | None = Field(description="Of the backtest, as a share.")
    wape: float | None
    coverage_80: float | None


class Overview(BaseModel):
    """What the chain is expected to sell, and where that is unlike the last weeks."""

    model: ModelInfo
    degraded: list[str]
    days: list[ChainDay]
    forecast_total: float
    recent_total: float
    stores: list[StoreOutlook]


class Difference(BaseModel):
    """A day under both plans, in EUR."""

    date: dt.date
    planned: float
    scenario: float
    difference: float


class ScenarioAnswer(BaseModel):
    """A store's coming days under another plan, beside those under the plan that holds."""

    model: ModelInfo
    degraded: list[str]
    store: Store
    planned_total: float
    scenario_total: float
    difference: float
    days: list[Difference]
    predictions: list[Prediction] = Field(description="The days under the other plan.")
    warnings: list[str] = Field(description="Where the request leaves what the history has seen.")


class ModelStatus(BaseModel):
    """What answers, and what was refused."""

    model: ModelInfo
    horizon: int
    weights: dict[str, float]
    missing: list[str] = Field(
        description="Members that answers lack now, of planned days or of changed plans."
    )
    is_loading: bool = Field(description="Whether a release is looked for, or loaded, now.")
    refused: str | None = Field(description="Why the newest release does not answer, if so.")
    refused_model: ModelInfo | None = Field(description="Which that is, if it can be read.")


class FieldError(BaseModel):
    """A field that cannot be used, and why."""

    field: str = Field(examples=["instances.0.date"])
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
