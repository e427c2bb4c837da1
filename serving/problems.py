"""Errors as `application/problem+json` (RFC 9457), without anything of the inside."""

import logging
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from sales_assets.errors import SalesError
from serving import gate
from serving.batches import BusyError
from serving.predictor import (
    ContradictionError,
    NoMemberError,
    OutsideHorizonError,
    UnknownStoreError,
)
from serving.schemas import Problem
from serving.security import AccessDeniedError, TooManyRequestsError

log = logging.getLogger("serving")

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5
MOST_ERRORS = 100


class NotReadyError(SalesError):
    """Nothing is loaded that could answer."""


class ForbiddenError(SalesError):
    """The caller's key is not for this."""


class UnusableRowsError(SalesError):
    """Rows of a CSV file that cannot be used, each with its place and reason."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__(_first(errors))
        self.errors = errors


STATUS_OF: dict[type[Exception], HTTPStatus] = {
    UnknownStoreError: HTTPStatus.NOT_FOUND,
    OutsideHorizonError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ContradictionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnusableRowsError: HTTPStatus.UNPROCESSABLE_ENTITY,
    AccessDeniedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
    NoMemberError: HTTPStatus.SERVICE_UNAVAILABLE,
    BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
}
COMES_BACK = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
# What every path may answer instead, for the description of the interface.
ANYWHERE: dict[int | str, dict[str, Any]] = {
    int(status): {
        "description": status.phrase,
        "content": {PROBLEM_JSON: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
        **({"headers": RETRY_AFTER} if status in COMES_BACK else {}),
    }
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.LENGTH_REQUIRED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    )
}


def problem(
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    retry_after_s: float | None = None,
) -> Response:
    """Return a problem.

    Args:
        status: The HTTP status.
        detail: What went wrong, which, and what next.
        errors: The offending fields, each with a message; the first hundred are told.
        retry_after_s: When to try again.
    """
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        **({"errors": errors[:MOST_ERRORS]} if errors else {}),
    }
    headers = {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(retry_after_s))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(content, int(status), headers=headers, media_type=PROBLEM_JSON)


def failed(method: str, path: str, error: BaseException) -> Response:
    """Return what is told of an error of ours; the log has the rest."""
    log.error("%s %s failed", method, path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it is logged.")


def _field(error: dict[str, Any]) -> str:
    """Return where a field is, without FastAPI's own word for the part of the request."""
    part, *path = error["loc"]
    # Of a body that is no JSON the place is a number of characters.
    return part if error["type"] == "json_invalid" else ".".join(map(str, path)) or str(part)


def message_of(error: dict[str, Any]) -> str:
    """Return pydantic's message, without its own word for errors of ours."""
    return str(error["msg"]).removeprefix("Value error, ")


def _first(errors: list[dict[str, str]]) -> str:
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"{errors[0]['field']}: {errors[0]['message']}{more}"


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"field": _field(each), "message": message_of(each)} for each in error.errors()]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, _first(errors), errors)


def told(method: str, path: str, error: Exception) -> Response:
    """Return what is told of an error that has a meaning for who asks."""
    if type(error) not in STATUS_OF:
        # Meant for who runs the service; it may name files.
        return failed(method, path, error)
    status = STATUS_OF[type(error)]
    retry_after_s = None
    if isinstance(error, TooManyRequestsError):
        retry_after_s = error.seconds
    elif isinstance(error, BusyError):
        retry_after_s = gate.RETRY_AFTER_S
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = RETRY_AFTER_S
    errors = error.errors if isinstance(error, UnusableRowsError) else None
    return problem(status, str(error), errors, retry_after_s)


async def _told(request: Request, error: Exception) -> Response:
    return told(request.method, request.url.path, error)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestValidationError: _invalid,
    SalesError: _told,
    HTTPException: _refused,
}
