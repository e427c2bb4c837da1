"""The HTTP interface: validation, access, answers; no forecasting of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Body, FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from sales_assets.forecasting.frames import Frames
from sales_assets.settings import LEVELS
from serving import answers, status, tables
from serving.batches import MOST_STORES
from serving.changed_plans import Change
from serving.description import described
from serving.doorway import Doorway
from serving.journal import Journal
from serving.metrics import Metrics
from serving.pages import add_pages
from serving.predictor import Answer, Predictor
from serving.problems import ANYWHERE, HANDLERS
from serving.schemas import (
    DayOrWeek,
    Instance,
    Overview,
    Predictions,
    PredictRequest,
    ScenarioAnswer,
    ScenarioRequest,
    StoreForecast,
    Stores,
)
from serving.security import Access, Keys, RateLimit
from serving.service import Service
from serving.status import Answering, Ready

CSV = "text/csv; charset=utf-8"
MAX_IN_FLIGHT = 32
# Of a file so many are told at a time, whatever its length.
DAYS_A_PART = 2_000
# What is told of so many takes no longer than beginning another thread.
FEW_DAYS = 50
NOT_BY_PARTS = "The file itself is the body (curl --data-binary @FILE), not a part of a form."


class CSVResponse(StreamingResponse):
    """A CSV file, sent as it is put into words."""

    media_type = "text/csv"


StoreNumber = Annotated[int, Path(ge=0, le=2**31 - 1, description="The store's number.")]
router = APIRouter(responses=ANYWHERE)


@router.get("/v1/stores", response_model=Stores)
async def stores(predictor: Ready) -> Response:
    """List the stores and the days that can be asked for."""
    return JSONResponse(
        {
            "model": answers.model_info(predictor.release),
            "first_day": str(predictor.first_day),
            "last_day": str(predictor.last_day),
            "stores": [answers.store_info(predictor, store) for store in sorted(predictor.stores)],
        }
    )


@router.get("/v1/overview", response_model=Overview)
async def overview(predictor: Ready) -> Response:
    """Sum up the chain: what it is expected to sell, and each store beside its last weeks."""
    assert predictor.planned is not None
    return JSONResponse(
        {
            "model": answers.model_info(predictor.release),
            "degraded": list(predictor.planned.degraded),
            **await asyncio.to_thread(answers.overview, predictor),
        }
    )


@router.post("/v1/predict", response_model=Predictions)
async def predict(
    request: Request, body: PredictRequest, service: Answering, predictor: Ready
) -> Response:
    """Forecast days of stores; what they change of the plan is taken together."""
    days = [(instance.store_id, instance.date) for instance in body.instances]
    predictor.check_days(days)
    changes = predictor.checked(_changes(body.instances))
    asked_stores = sorted({store for store, _ in days})
    answer = await _answer(service, predictor, asked_stores, changes)
    explained = None
    if body.explain:
        explained = await _explained(service, predictor, changes, frozenset(days))
    found = await _told(answer, days, body.level, explained)
    _note(request, predictor, found, answer.degraded)
    return JSONResponse(
        {
            "model": answers.model_info(predictor.release),
            "degraded": list(answer.degraded),
            "predictions": found,
        }
    )


@router.post(
    "/v1/predict/csv",
    response_class=CSVResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def predict_csv(
    request: Request,
    content: Annotated[
        bytes,
        Body(
            media_type="text/csv",
            description="Columns store_id and date; is_open, is_promo, state_holiday and "
            "is_school_holiday where the plan is to differ.",
            examples=["store_id,date,is_promo\n11,2015-06-25,true\n11,2015-06-26,\n"],
        ),
    ],
    service: Answering,
    predictor: Ready,
) -> CSVResponse:
    """Forecast the days of a CSV file, in its order, as CSV."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, NOT_BY_PARTS)
    # A long file takes tenths of a second, in which others are to be answered.
    days, changes = await asyncio.to_thread(_of_file, content, predictor)
    # Forecast as a whole: what fails has a status, and the headers name every missing member.
    answer = await _answer(service, predictor, sorted({store for store, _ in days}), changes)
    headers = {"X-Model-Version": predictor.release.version}
    if answer.degraded:
        headers["X-Degraded"] = ", ".join(answer.degraded)
    lines = _lines(request, predictor, answer, days)
    return CSVResponse(lines, media_type=CSV, headers=headers)


@router.get(
    "/v1/stores/{store_id}/forecast",
    response_model=StoreForecast,
)
async def store_forecast(
    request: Request,
    store_id: StoreNumber,
    service: Answering,
    predictor: Ready,
    days: Annotated[int, Query(ge=1, le=366)] = 42,
    explain: Annotated[bool, Query(description="Whether to say why.")] = False,
) -> Response:
    """Forecast a store's coming days as planned, beside its last eight weeks."""
    predictor.check_stores({store_id})
    answer = await _answer(service, predictor, [store_id], [])
    coming = _coming(predictor, store_id)[:days]
    explained = None
    if explain:
        explained = await _explained(service, predictor, [], frozenset(coming))
    found = answers.predictions(answer, coming, LEVELS, explained)
    _note(request, predictor, found, answer.degraded)
    return JSONResponse(
        {
            "model": answers.model_info(predictor.release),
            "degraded": list(answer.degraded),
            "store": answers.store_info(predictor, store_id),
            "history": answers.history(predictor.features.history_of(store_id)),
            "accuracy": answers.accuracy(predictor, store_id),
            "predictions": found,
        }
    )


@router.post(
    "/v1/stores/{store_id}/scenario",
    response_model=ScenarioAnswer,
)
async def scenario(
    request: Request,
    store_id: StoreNumber,
    body: ScenarioRequest,
    service: Answering,
    predictor: Ready,
) -> Response:
    """Compare another plan for a store with the one that holds."""
    predictor.check_stores({store_id})
    days = [(part, day) for part in body.changes for day in _days(part, predictor)]
    predictor.check_days([(store_id, day) for _, day in days])
    changes = predictor.checked(
        [change for part, day in days if (change := part.change(store_id, day))]
    )
    other = await _answer(service, predictor, [store_id], changes)
    # Both by the same members: what one of them thinks is not what the plan changes.
    planned = predictor.as_if(await _answer(service, predictor, [store_id], []), other.degraded)
    other = predictor.as_if(other, planned.degraded)
    degraded = other.degraded
    explained = None
    if body.explain:
        coming = frozenset(_coming(predictor, store_id))
        explained = await _explained(service, predictor, changes, coming)
    differences = answers.compared(planned, other)
    totals = {name: sum(day[name] for day in differences) for name in ("planned", "scenario")}
    found = answers.predictions(other, _coming(predictor, store_id), LEVELS, explained)
    _note(request, predictor, found, degraded)
    past = predictor.features.history_of(store_id)
    return JSONResponse(
        {
            "model": answers.model_info(predictor.release),
            "degraded": list(degraded),
            "store": answers.store_info(predictor, store_id),
            "planned_total": totals["planned"],
            "scenario_total": totals["scenario"],
            "difference": totals["scenario"] - totals["planned"],
            "days": differences,
            "predictions": found,
            "warnings": answers.warnings(other.plan, past, changes),
        }
    )


def _changes(instances: Iterable[Instance]) -> list[Change]:
    """Return what the days that are asked for change of the plan."""
    return [
        change
        for instance in instances
        if (change := instance.change(instance.store_id, instance.date))
    ]


def _of_file(content: bytes, predictor: Predictor) -> tuple[list[tuple[int, date]], list[Change]]:
    """Return the days that a file asks for, and what they change of the plan."""
    instances = tables.read_instances(content)
    days = [(instance.store_id, instance.date) for instance in instances]
    predictor.check_days(days)
    return days, predictor.checked(_changes(instances))


async def _answer(
    service: Service, predictor: Predictor, store_ids: list[int], changes: list[Change]
) -> Answer:
    """Return every coming day of some stores: as planned from memory, as changed by the members."""
    assert predictor.planned is not None
    changes = [change for change in changes if predictor.features.is_changed_by(change)]
    changed = sorted({change.store_id for change in changes})
    as_planned = sorted(set(store_ids) - set(changed))
    if changed:
        service.admit(min(len(changed), MOST_STORES))
    answer = None
    if as_planned:
        few = len(as_planned) <= MOST_STORES
        planned = predictor.planned
        answer = planned.of(as_planned) if few else await asyncio.to_thread(planned.of, as_planned)
    for first in range(0, len(changed), MOST_STORES):
        some = set(changed[first : first + MOST_STORES])
        theirs = [change for change in changes if change.store_id in some]
        live = await service.forecast(predictor, theirs)
        answer = answer.joined(live) if answer else live
    assert answer is not None
    return answer


async def _explained(
    service: Service,
    predictor: Predictor,
    changes: list[Change],
    days: frozenset[tuple[int, date]],
) -> pd.DataFrame | None:
    """Return what the forecasts of some days are made of, where anyone can tell."""
    asked = await asyncio.to_thread(predictor.asked, sorted({store for store, _ in days}), changes)
    keys = zip(asked.rows["store_id"], asked.rows["date"].dt.date, strict=True)
    wanted = Frames(asked.rows[[key in days for key in keys]], asked.history)
    return await service.explain(predictor, wanted)


async def _lines(
    request: Request, predictor: Predictor, answer: Answer, days: list[tuple[int, date]]
) -> AsyncIterator[str]:
    """Return the forecasts of a file's days as CSV, put into words as far as they were sent."""
    for first in range(0, len(days), DAYS_A_PART):
        found = await _told(answer, days[first : first + DAYS_A_PART], LEVELS)
        _note(request, predictor, found, answer.degraded, is_counted=first == 0)
        yield tables.lines(found, has_header=first == 0)


async def _told(
    answer: Answer,
    days: list[tuple[int, date]],
    levels: Sequence[int],
    explained: pd.DataFrame | None = None,
) -> list[dict[str, Any]]:
    """Return the forecasts of some days; many are put together beside other requests."""
    if len(days) <= FEW_DAYS:
        return answers.predictions(answer, days, levels, explained)
    return await asyncio.to_thread(answers.predictions, answer, days, levels, explained)


def _note(
    request: Request,
    predictor: Predictor,
    found: list[dict[str, Any]],
    degraded: tuple[str, ...],
    *,
    is_counted: bool = True,
) -> None:
    """Leave what was answered to the metrics, the journal and the log; an answer counts once."""
    state, request_state = request.app.state, request.state
    state.metrics.count_answer(len(found), degraded if is_counted else ())
    request_state.degraded = list(degraded)
    if state.journal is not None:
        path = request.scope["route"].path
        version = predictor.release.version
        state.journal.note(found, version, request_state.caller, path, degraded)


def _days(part: DayOrWeek, predictor: Predictor) -> list[date]:
    """Return the days that are to change; of a week, those that can be forecast, if any can."""
    days = part.days()
    coming = [day for day in days if predictor.first_day <= day <= predictor.last_day]
    return coming or days


def _coming(predictor: Predictor, store_id: int) -> list[tuple[int, date]]:
    days = range(predictor.release.horizon)
    return [(store_id, predictor.first_day + timedelta(days=day)) for day in days]


def create_app(
    service: Service,
    keys: Keys,
    limit: RateLimit,
    needs_key: bool,
    lifespan: Lifespan[FastAPI] | None = None,
    journal: Journal | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> FastAPI:
    """Return the application.

    Args:
        service: What answers.
        keys: Who may ask.
        limit: How often each of them may.
        needs_key: Whether a key is needed even as long as there are none.
        lifespan: What goes on as long as the application is up.
        journal: Takes down what was answered; its owner starts and closes it.
        max_in_flight: Requests that are worked on at a time; more are told to come back.
    """
    app = FastAPIOffline(
        title="Sales forecasts",
        description="Daily sales of each store, up to six weeks ahead, under the plan or another.",
        version="1",
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service, app.state.journal, app.state.metrics = service, journal, Metrics()
    app.include_router(status.router)
    app.include_router(router)
    add_pages(app)
    app.openapi = partial(described, app, needs_key)  # type: ignore[method-assign]
    app.add_middleware(
        Doorway,
        access=Access(keys, limit, needs_key),
        metrics=app.state.metrics,
        max_in_flight=max_in_flight,
    )
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return app
