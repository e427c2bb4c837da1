"""What a browser loads: the planner page, plotly's script, the description of the interface."""

import mimetypes
from pathlib import Path

import plotly
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

PLANNER = Path(__file__).parent / "planner"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
# Browsers refuse modules of another type, which the machine's own table may name.
mimetypes.add_type("text/javascript", ".js")
A_DAY = {"Cache-Control": "public, max-age=86400"}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def planner() -> FileResponse:
    """Return the planner page, which asks for a key itself where one is needed."""
    return FileResponse(PLANNER / "index.html")


@router.get("/planner/plotly.min.js")
async def charts() -> FileResponse:
    """Return the script of the charts, as plotly's package brings it."""
    return FileResponse(PLOTLY, headers=A_DAY)


def add_pages(app: FastAPI) -> None:
    """Let the application answer browsers."""
    app.include_router(router)
    app.mount("/planner", StaticFiles(directory=PLANNER), name="planner")
