"""The HTTP interface: validation, access, errors as problem+json; no forecasting of its own."""

import logging
import math
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Protocol

import pandas as pd
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from sales_assets.errors import SalesError
from sales_assets.forecasting.frames import Frames
from serving import answers
from serving.predictor import (
    Answer,
    ContradictionError,
    NoMemberError,
    OutsideHorizonError,
    Predictor,
    UnknownStoreError,
)
from serving.schemas import (
    DayOrWeek,
    ModelStatus,
    Predictions,
    PredictRequest,
    Problem,
    ScenarioAnswer,
    ScenarioRequest,
    StoreForecast,
    Stores,
)
from serving.security import Keys, RateLimit

log = logging.getLogger("serving")

PROBLEM_JSON = "application/problem+json"
MAX_BODY = 2_000_000
RETRY_AFTER_S = 5
LEVELS = (80, 95)
ANONYMOUS = "anonymous"
MOST_ERRORS = 100
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Service(Protocol):
    """What answers behind the interface."""

    @property
    def predictor(self) -> Predictor | None:
        """The release that answers now; None until the first one is loaded."""

    @property
    def refused(self) -> str | None:
        """Why the newest release does not answer, if so."""

    async def forecast(self, predictor: Predictor, asked: Frames) -> Answer:
        """Ask the release's members, and put together what they say."""

    async def explain(self, predictor: Predictor, asked: Frames) -> pd.DataFrame:
        """Return what the forecasts of the release's `lightgbm` are made of."""


class NotReadyError(SalesError):
    """Nothing is loaded that could answer."""


class AccessDeniedError(SalesError):
    """The caller has no key."""


class TooManyRequestsError(SalesError):
    """The caller has to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many requests; wait a moment.")
        self.seconds = seconds


STATUS_OF: dict[type[Exception], HTTPStatus] = {
    UnknownStoreError: HTTPStatus.NOT_FOUND,
    OutsideHorizonError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ContradictionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    AccessDeniedError: HTTPStatus.UNAUTHORIZED,
    TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
    NoMemberError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _ready(request: Request) -> Predictor:
    predictor = _service(request).predictor
    if predictor is None:
        raise NotReadyError("No release is loaded yet.")
    return predictor


def _caller(request: Request) -> None:
    """Note whose key the request carries.

    Raises:
        AccessDeniedError: It carries none, or one that is not known.
        TooManyRequestsError: The caller has to wait.
    """
    keys: Keys = request.app.state.keys
    limit: RateLimit = request.app.state.limit
    request.state.caller = ANONYMOUS
    if request.app.state.needs_key or keys.all():
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        owner = keys.owner(text.strip()) if scheme.lower() == "bearer" else None
        if owner is None:
            raise AccessDeniedError("A known key is needed: Authorization: Bearer KEY.")
        request.state.caller = owner.name
    seconds = limit.wait(request.state.caller)
    if seconds:
        raise TooManyRequestsError(seconds)


ACCESS = [Depends(_caller)]
Answering = Annotated[Service, Depends(_service)]
Ready = Annotated[Predictor, Depends(_ready)]
StoreNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="The store's number.")]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    int(status): {"model": Problem, "description": status.phrase}
    for status in (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.LENGTH_REQUIRED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}
router = APIRouter(responses=PROBLEMS)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(service: Answering, predictor: Ready) -> dict[str, Any]:
    """Tell which release answers, and whether a newer one was refused."""
    return {
        "status": "ready",
        "model": answers.model_info(predictor),
        "refused": service.refused,
    }


@router.get("/v1/model", response_model=ModelStatus, dependencies=ACCESS)
async def model(service: Answering, predictor: Ready) -> Response:
    """Tell what answers."""
    return JSONResponse(
        {
            "model": answers.model_info(predictor),
            "horizon": predictor.release.horizon,
            "weights": dict(predictor.ensemble.weights),
            "refused": service.refused,
        }
    )


@router.get("/v1/stores", response_model=Stores, dependencies=ACCESS)
async def stores(predictor: Ready) -> Response:
    """List the stores and the days that can be asked for."""
    return JSONResponse(
        {
            "model": answers.model_info(predictor),
            "first_day": str(predictor.first_day),
            "last_day": str(predictor.last_day),
            "stores": [_store(predictor, store) for store in sorted(predictor.stores)],
        }
    )


@router.post("/v1/predict", response_model=Predictions, dependencies=ACCESS)
async def predict(request: PredictRequest, service: Answering, predictor: Ready) -> Response:
    """Forecast days of stores; what they change of the plan is taken together."""
    days = [(instance.store_id, instance.date) for instance in request.instances]
    predictor.check_days(days)
    changes = [
        change
        for instance in request.instances
        if (change := instance.change(instance.store_id, instance.date))
    ]
    asked = predictor.asked([store for store, _ in days], changes)
    answer = await service.forecast(predictor, asked)
    explained = await service.explain(predictor, asked) if request.explain else None
    return JSONResponse(
        {
            "model": answers.model_info(predictor),
            "degraded": list(answer.degraded),
            "predictions": answers.predictions(answer, days, request.level, explained),
        }
    )


@router.get(
    "/v1/stores/{store_id}/forecast",
    response_model=StoreForecast,
    dependencies=ACCESS,
)
async def store_forecast(
    store_id: StoreNumber,
    service: Answering,
    predictor: Ready,
    days: Annotated[int, Query(ge=1, le=366)] = 42,
) -> Response:
    """Forecast a store's coming days as planned, beside its last eight weeks."""
    answer = await service.forecast(predictor, predictor.asked([store_id]))
    return JSONResponse(
        {
            "model": answers.model_info(predictor),
            "degraded": list(answer.degraded),
            "store": _store(predictor, store_id),
            "history": answers.history(answer, store_id),
            "predictions": answers.predictions(answer, _coming(predictor, store_id)[:days], LEVELS),
        }
    )


@router.post(
    "/v1/stores/{store_id}/scenario",
    response_model=ScenarioAnswer,
    dependencies=ACCESS,
)
async def scenario(
    store_id: StoreNumber, request: ScenarioRequest, service: Answering, predictor: Ready
) -> Response:
    """Compare another plan for a store with the one that holds."""
    changes = [
        change
        for part in request.changes
        for day in _days(part, predictor)
        if (change := part.change(store_id, day))
    ]
    planned = await service.forecast(predictor, predictor.asked([store_id]))
    other = await service.forecast(predictor, predictor.asked([store_id], changes))
    days = answers.compared(planned, other)
    totals = {name: sum(day[name] for day in days) for name in ("planned", "scenario")}
    return JSONResponse(
        {
            "model": answers.model_info(predictor),
            "degraded": sorted({*planned.degraded, *other.degraded}),
            "store": _store(predictor, store_id),
            "planned_total": totals["planned"],
            "scenario_total": totals["scenario"],
            "difference": totals["scenario"] - totals["planned"],
            "days": days,
            "predictions": answers.predictions(other, _coming(predictor, store_id), LEVELS),
            "warnings": answers.warnings(other, changes),
        }
    )


def _days(part: DayOrWeek, predictor: Predictor) -> list[date]:
    """Return the days that are to change; of a week, those that can be forecast, if any can."""
    days = part.days()
    coming = [day for day in days if predictor.first_day <= day <= predictor.last_day]
    return coming or days


def _coming(predictor: Predictor, store_id: int) -> list[tuple[int, Any]]:
    days = range(predictor.release.horizon)
    return [(store_id, predictor.first_day + timedelta(days=day)) for day in days]


def _store(predictor: Predictor, store_id: int) -> dict[str, Any]:
    store = predictor.features.stores.loc[store_id]
    return {
        "store_id": store_id,
        "store_type": store["store_type"],
        "assortment": store["assortment"],
    }


async def _guarded(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse bodies that are too large, and send the headers that browsers go by."""
    length = request.headers.get("content-length")
    if request.method in ("POST", "PUT", "PATCH"):
        # Without a length the body would have to be read to be measured.
        if length is None or not length.isdecimal():
            response = _problem(HTTPStatus.LENGTH_REQUIRED, "The body's length must be told.")
        elif int(length) > MAX_BODY:
            response = _problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {MAX_BODY:,} bytes."
            )
        else:
            response = await answer(request)
    else:
        response = await answer(request)
    response.headers.update(HEADERS)
    return response


def _problem(
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    retry_after_s: float | None = None,
) -> Response:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        **({"errors": errors} if errors else {}),
    }
    headers = {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(retry_after_s))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(content, int(status), headers=headers, media_type=PROBLEM_JSON)


def _field(error: dict[str, Any]) -> str:
    """Return where a field is, without FastAPI's own word for the part of the request."""
    part, *path = error["loc"]
    # Of a body that is no JSON the place is a number of characters.
    return part if error["type"] == "json_invalid" else ".".join(map(str, path)) or str(part)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": _field(each), "message": each["msg"].removeprefix("Value error, ")}
        for each in error.errors()
    ]
    first = f"{errors[0]['field']}: {errors[0]['message']}"
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, first + more, errors[:MOST_ERRORS])


async def _told(request: Request, error: Exception) -> Response:
    if type(error) not in STATUS_OF:
        # Meant for who runs the service; it may name files.
        return await _failed(request, error)
    status = STATUS_OF[type(error)]
    retry_after_s = None
    if isinstance(error, TooManyRequestsError):
        retry_after_s = error.seconds
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = RETRY_AFTER_S
    return _problem(status, str(error), retry_after_s=retry_after_s)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, str(error.detail))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it is logged.")


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestValidationError: _invalid,
    SalesError: _told,
    HTTPException: _refused,
    Exception: _failed,
}


def create_app(
    service: Service,
    keys: Keys,
    limit: RateLimit,
    needs_key: bool,
    lifespan: Lifespan[FastAPI] | None = None,
) -> FastAPI:
    """Return the application.

    Args:
        service: What answers.
        keys: Who may ask.
        limit: How often each of them may.
        needs_key: Whether a key is needed even as long as there are none.
        lifespan: What goes on as long as the application is up.
    """
    app = FastAPI(
        title="Sales forecasts",
        description="Daily sales of each store, up to six weeks ahead, under the plan or another.",
        version="1",
        # Their script would come from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service, app.state.keys, app.state.limit = service, keys, limit
    app.state.needs_key = needs_key
    app.include_router(router)
    app.middleware("http")(_guarded)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app
