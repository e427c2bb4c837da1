"""What answers, and whether it does: the paths that monitors and operators ask."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from serving import answers, gate
from serving.journal import Journal
from serving.metrics import CONTENT_TYPE, Metrics
from serving.predictor import Predictor
from serving.problems import ANYWHERE, ForbiddenError, NotReadyError
from serving.schemas import ModelStatus
from serving.service import Service


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _ready(request: Request) -> Predictor:
    service: Service = request.app.state.service
    predictor = service.predictor
    if predictor is None:
        raise NotReadyError(
            service.refused.says if service.refused else "No release is loaded yet."
        )
    request.state.version = predictor.release.version
    return predictor


async def _admin(request: Request) -> None:
    """Let a key of the role `admin` pass.

    Raises:
        ForbiddenError: The key is one for reading.
    """
    if request.state.role != "admin":
        raise ForbiddenError("This wants a key of the role admin.")


Answering = Annotated[Service, Depends(_service)]
Ready = Annotated[Predictor, Depends(_ready)]
router = APIRouter(responses=ANYWHERE)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(service: Answering, predictor: Ready) -> dict[str, Any]:
    """Tell which release answers, and whether a newer one was refused."""
    return {
        "status": "ready",
        "model": answers.model_info(predictor.release),
        "missing": service.missing,
        **_refused(service),
    }


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, service: Answering) -> Response:
    """Tell Prometheus what this replica counts."""
    counted: Metrics = request.app.state.metrics
    journal: Journal | None = request.app.state.journal
    counted.unjournaled.set(journal.dropped if journal else 0)
    counted.refused_at_gate.set(getattr(request.state, gate.REFUSED, 0))
    return Response(
        counted.text(service.predictor, service.missing, service.refused is not None),
        media_type=CONTENT_TYPE,
    )


@router.get("/v1/model", response_model=ModelStatus)
async def model(service: Answering, predictor: Ready) -> Response:
    """Tell what answers."""
    return JSONResponse(_status(service, predictor))


@router.post("/v1/model/reload", response_model=ModelStatus, dependencies=[Depends(_admin)])
async def reload(service: Answering) -> Response:
    """Look for a new release now, and tell what answers after that."""
    await service.renew()
    if service.predictor is None:
        raise NotReadyError("No release could be loaded.")
    return JSONResponse(_status(service, service.predictor))


def _status(service: Service, predictor: Predictor) -> dict[str, Any]:
    return {
        "model": answers.model_info(predictor.release),
        "horizon": predictor.release.horizon,
        "weights": dict(predictor.ensemble.weights),
        "missing": service.missing,
        "is_loading": service.is_loading,
        **_refused(service),
    }


def _refused(service: Service) -> dict[str, Any]:
    """Return what is said of the newest release where it does not answer."""
    refusal = service.refused
    release = refusal.release if refusal else None
    return {
        "refused": refusal.says if refusal else None,
        "refused_model": answers.model_info(release) if release else None,
    }
