"""The description of the interface, `/openapi.json`, with what wants a key."""

from typing import Any

from fastapi import FastAPI

from serving.doorway import KEPT


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
        for path, operations in found["paths"].items():
            if path.startswith(KEPT):
                for operation in operations.values():
                    operation["security"] = [{"key": []}] if needs_key else [{"key": []}, {}]
    assert app.openapi_schema is not None
    return app.openapi_schema
