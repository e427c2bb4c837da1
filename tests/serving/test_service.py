"""The service as a user starts it: Ray Serve on this machine, asked over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sales_assets import warehouse
from sales_assets.forecasting.model_store import ENSEMBLE
from sales_assets.forecasting.release import FILE, Release
from sales_assets.settings import Settings
from tests.conftest import installed_sales, sales
from tests.processes import free_port
from tests.serving.conftest import Client

START_S = 240
STOP_S = 30


class Running:
    """`sales serve`, and what it says."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home, self.port = home, free_port()
        self.log = log.open("w+", encoding="utf-8")
        command = [Path(sys.executable).parent / "sales", "serve", "--home", str(home)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=self.log, stderr=self.log
        )
        self.client = Client(self.port)

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def wait_until(self, words: str, seconds: float = START_S) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.2)


@pytest.fixture(scope="module")
def running(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("service")
    own_home = directory / "home"
    subprocess.run(["cp", "-r", home, own_home], check=True)
    service = Running(own_home, directory / "log")
    try:
        service.wait_until("Ready: ")
        yield service
    finally:
        service.process.kill()
        service.process.wait()


def test_planned_days_are_answered_as_published(running: Running, settings: Settings) -> None:
    body = running.client.get("/v1/stores/3/forecast").json
    with warehouse.connect_snapshot(settings.model_copy(update={"home": running.home})) as con:
        latest = con.table("forecasts.latest").df()
    rows = latest[latest["store_id"] == 3].assign(
        date=lambda rows: rows["date"].dt.date.astype(str)
    )
    assert body["degraded"] == []
    for found in body["predictions"]:
        day = rows[rows["date"] == found["date"]].set_index("model")
        own = day.loc[ENSEMBLE]
        assert found["forecast"] == pytest.approx(own["forecast"], rel=1e-6)
        assert found["intervals"]["80"] == pytest.approx([own["lo_80"], own["hi_80"]], rel=1e-6)
        assert found["intervals"]["95"] == pytest.approx([own["lo_95"], own["hi_95"]], rel=1e-6)
        members = day["forecast"].drop(ENSEMBLE).to_dict()
        assert found["members"] == pytest.approx(members, rel=1e-6)


def test_what_if_questions_are_explained(running: Running) -> None:
    release = Release.read(running.home / "serving")
    days = [release.cutoff + timedelta(days=h) for h in range(1, 8)]
    monday = next(day for day in days if day.weekday() == 0)
    body = running.client.post(
        "/v1/predict",
        {
            "instances": [
                {"store_id": 3, "date": str(monday), "is_open": True, "is_promo": True},
            ],
            "explain": True,
        },
    ).json
    (found,) = body["predictions"]
    assert found["contributions"]["promotion"] > 0


def test_a_broken_release_is_refused_and_the_last_good_one_goes_on(running: Running) -> None:
    path = running.home / "serving" / FILE
    good = path.read_text(encoding="utf-8")
    values = json.loads(good)
    path.write_text(json.dumps({**values, "manifest_sha256": "0" * 64}), encoding="utf-8")
    deadline = time.monotonic() + 60
    while (ready := running.client.get("/readyz").json)["refused"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert ready["model"]["version"] == values["version"]
    assert running.client.get("/v1/stores/3/forecast").status == 200
    path.write_text(good, encoding="utf-8")
    while running.client.get("/readyz").json["refused"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_second_start_on_the_port_says_so(running: Running) -> None:
    done = installed_sales("serve", "--home", running.home, "--port", str(running.port))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be bound: Address already in use" in done.stderr


def test_sigterm_stops_it_and_leaves_nothing_behind(running: Running) -> None:
    group = set(_descendants(running.process.pid))
    assert group
    started = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(STOP_S) == 0
    assert time.monotonic() - started < STOP_S
    deadline = time.monotonic() + 10
    while left := [pid for pid in group if _is_alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", running.port))


def test_without_a_release_it_says_what_to_do(tmp_path: Path) -> None:
    done = sales("serve", "--home", tmp_path, check=False)
    assert done.returncode == 1
    assert "release.json; run `sales refresh` first" in done.stderr


def test_without_a_key_it_binds_to_this_machine_alone(home: Path) -> None:
    done = sales("serve", "--home", home, "--host", "0.0.0.0", check=False)
    assert done.returncode == 1
    assert "sales keys add NAME" in done.stderr


def test_keys_are_added_listed_and_revoked(tmp_path: Path) -> None:
    text = sales("keys", "add", "planner", "--role", "admin", "--home", tmp_path).stdout.strip()
    listed = sales("keys", "list", "--home", tmp_path).stdout
    assert listed.startswith("planner\tadmin\t")
    assert text not in listed
    sales("keys", "revoke", "planner", "--home", tmp_path)
    assert sales("keys", "list", "--home", tmp_path).stdout == ""
    done = sales("keys", "revoke", "planner", "--home", tmp_path, check=False)
    assert (done.returncode, done.stderr) == (
        1, "sales: There is no key named planner; keys there are: none.\n"
    )  # fmt: skip


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    found = [int(child) for child in children]
    return [*found, *(each for child in found for each in _descendants(child))]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
