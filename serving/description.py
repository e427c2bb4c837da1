"""The description of the interface, `/openapi.json`, with what wants a key."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from serving.doorway import KEPT
from serving.schemas import Problem


def described(app: FastAPI, needs_key: bool) -> dict[str, Any]:
    """Return FastAPI's description with the key that some paths want.

    Args:
        app: The application.
        needs_key: Whether a key is needed even as long as there are none.
    """
    if app.openapi_schema is None:
        found = FastAPI.openapi(app)
        found["components"]["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "`sales keys add NAME`"}
        }
        # What every path may answer instead is named there, and described here once.
        _, told = models_json_schema(
            [(Problem, "serialization")], ref_template="#/components/schemas/{model}"
        )
        found["components"]["schemas"] |= told["$defs"]
        for path, operations in found["paths"].items():
            if path.startswith(KEPT):
                for operation in operations.values():
                    operation["security"] = [{"key": []}] if needs_key else [{"key": []}, {}]
    assert app.openapi_schema is not None
    return app.openapi_schema
