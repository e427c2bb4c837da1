"""A loaded release, and the interface on a port of its own, answered in this process."""

import asyncio
import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from sales_assets.forecasting.explanations import explain
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.lightgbm import LightGBM
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.forecasting.release import FILE, Release
from sales_assets.settings import Settings
from serving.api import create_app
from serving.changed_plans import Change
from serving.members import unpacked
from serving.predictor import Answer, Predictor, loaded_member
from serving.security import Keys, RateLimit
from serving.service import Refusal
from tests.serving.planner import STORE

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
# The first fit of a chart draws slowly where processors are shared.
PATIENCE_MS = 30_000
# The deployments of the members.
GROUPS = {
    "trees": ["lightgbm", "random_forest"],
    "recurrent": ["lstm"],
    "statistical": ["statistical", "baseline"],
}
# Where `remote` lies.
URL = "memory://chain/home"


class Call:
    """Stands for a method of a deployment's handle."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.remote = function


class Group:
    """Stands for a deployment's handle: what Ray would carry to a replica is called here."""

    def __init__(self, predictor: Predictor, names: list[str]) -> None:
        self.predictor, self.names = predictor, names
        self.fails: Callable[[Release], bool] = lambda _: False
        self.asked = 0
        self.days_read: list[int] = []

    @property
    def predict(self) -> Call:
        return Call(self._predict)

    @property
    def explain(self) -> Call:
        return Call(self._explain)

    async def _predict(self, release: Release, rows: bytes, history: bytes) -> dict[str, Any]:
        asked = Frames(unpacked(rows), unpacked(history))
        self.asked += 1
        self.days_read.append(len(asked.history))
        if self.fails(release):
            raise RuntimeError("the replica died")
        return {name: self.predictor.members[name](asked) for name in self.names}

    async def _explain(self, *_: Any) -> None:
        raise TimeoutError


@pytest.fixture
def own_home(home: Path, tmp_path: Path) -> Path:
    """What a service reads of the home, to be changed."""
    for part in ("models", "serving"):
        shutil.copytree(home / part, tmp_path / part)
    return tmp_path


@pytest.fixture(scope="session")
def predictor(home: Path, settings: Settings) -> Predictor:
    return Predictor.load(home, settings)


@pytest.fixture
def groups(predictor: Predictor) -> dict[str, Any]:
    return {group: Group(predictor, names) for group, names in GROUPS.items()}


@pytest.fixture
def remote(home: Path) -> fsspec.AbstractFileSystem:
    """What a home has to serve, in the memory of this process."""
    source = fsspec.filesystem("memory")
    source.store.clear()
    source.pseudo_dirs.clear()
    for part in ("serving", "models"):
        source.put(f"{home / part}/", f"/chain/home/{part}/", recursive=True)
    return source


@dataclass
class InProcess:
    """The service without Ray: members are called where the interface runs."""

    predictor: Predictor | None
    member: LightGBM | None
    refused: Refusal | None = None
    is_loading: bool = False
    missing: list[str] = field(default_factory=list)
    renewed: int = 0

    def admit(self, stores: int) -> None:
        """Everyone is let in; tests say where it is otherwise."""

    async def forecast(self, predictor: Predictor, changes: list[Change]) -> Answer:
        stores = sorted({change.store_id for change in changes})
        return predictor.forecast(stores, changes)

    async def explain(self, predictor: Predictor, asked: Frames) -> pd.DataFrame | None:
        return explain(self.member, asked) if self.member else None

    async def renew(self) -> None:
        self.renewed += 1


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks a port of this machine."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Reply:
        return self.ask(urllib.request.Request(self._url(path), headers=self.headers))

    def post(self, path: str, body: Any, kind: str = "application/json") -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": kind, **self.headers}
        return self.ask(urllib.request.Request(self._url(path), data, headers, method="POST"))

    def ask(self, request: urllib.request.Request) -> Reply:
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Reply(reply.status, dict(reply.headers), reply.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, dict(error.headers), error.read())

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture(scope="session")
def service(home: Path, predictor: Predictor, settings: Settings) -> InProcess:
    store = ModelStore(home / "models")
    explained = loaded_member(store, predictor.release, "lightgbm", settings)
    assert isinstance(explained, LightGBM)
    return InProcess(predictor, explained)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys.json")


@pytest.fixture
def needs_key() -> bool:
    return False


@pytest.fixture
def limit() -> RateLimit:
    return RateLimit(per_second=1000, burst=1000)


@pytest.fixture
def max_in_flight() -> int:
    return 32


@pytest.fixture
def app(
    service: InProcess, keys: Keys, limit: RateLimit, needs_key: bool, max_in_flight: int
) -> FastAPI:
    return create_app(service, keys, limit, needs_key, max_in_flight=max_in_flight)


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    """A client of the interface, which runs until the test has ended."""
    config = uvicorn.Config(app, port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield Client(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


def release_again(remote: fsspec.AbstractFileSystem, release: Release, number: int) -> Release:
    """Release another version and other data, whose files are those of a former release."""
    newer = replace(
        release,
        version=f"2099010{number}T000000Z-00000000",
        data=f"data-2099010{number}-000000000000",
    )
    for kind, old, new in (
        (f"models/{ENSEMBLE}", release.version, newer.version),
        ("serving", release.data, newer.data),
    ):
        copy = f"/chain/home/{kind}/{new}"
        remote.copy(f"/chain/home/{kind}/{old}/", f"{copy}/", recursive=True)
    remote.pipe(f"/chain/home/serving/{FILE}", newer.to_json().encode())
    return newer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def view() -> dict[str, Any]:
    """The screen of a laptop."""
    return {"viewport": {"width": 1400, "height": 900}}


@pytest.fixture
def provoked() -> list[str]:
    """Patterns of what a test makes the console say."""
    return []


@pytest.fixture
def page(
    browser: Browser, client: Client, view: dict[str, Any], provoked: list[str]
) -> Iterator[Page]:
    """A page of the service, on which nothing goes wrong unseen."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{client.port}", **view)
    expect.set_options(timeout=PATIENCE_MS)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda told: wrong.append(told.text) if told.type in ("error", "warning") else None,
    )
    yield page
    context.close()
    assert [text for text in wrong if not any(re.search(each, text) for each in provoked)] == []


@dataclass
class Held:
    """What the page asks for at an address, which waits until a test lets it be answered."""

    page: Page
    address: str
    routes: list[Route] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.route(self.address, lambda route: self.routes.append(route))

    def next(self) -> Route:
        """Return the question that waits, once there is one."""
        for _ in range(PATIENCE_MS // 20):
            if self.routes:
                return self.routes.pop()
            self.page.wait_for_timeout(20)
        raise AssertionError(f"{self.address} was not asked for")


@pytest.fixture
def held(page: Page) -> Held:
    """The comparisons that the page asks for."""
    return Held(page, "**/scenario")


@pytest.fixture
def plan(client: Client) -> list[dict[str, Any]]:
    """The coming days of the store, as planned."""
    return client.get(f"/v1/stores/{STORE}/forecast").json["predictions"]


def day(predictor: Predictor, h: int) -> str:
    return str(predictor.release.cutoff + timedelta(days=h))


def instances(*days: tuple[int, str], **plan: Any) -> dict[str, Any]:
    return {"instances": [{"store_id": store, "date": day, **plan} for store, day in days]}


def other_plan(predictor: Predictor, store_id: int, h: int) -> dict[str, Any]:
    """Return a question about a day with its promotion taken, or given."""
    plan = predictor.features.planned.rows
    of_day = plan[(plan["store_id"] == store_id) & (plan["h"] == h)]
    return instances((store_id, day(predictor, h)), is_promo=not bool(of_day["is_promo"].item()))


def assert_problem(reply: Reply, status: int, *words: str) -> None:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert reply.json["title"]
    for word in words:
        assert word in reply.json["detail"]
