"""What those who ask notice when replicas die, champions change, and too much is asked."""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pandas as pd

from benchmarks.serving.load import Ask, Outcome, as_answered, quantiles_ms, steady
from benchmarks.serving.processes import Service, free_port, kill, platform, running
from sales_assets.forecasting.ensemble import Ensemble
from sales_assets.forecasting.manifest import Draft
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore
from sales_assets.forecasting.release import FILE, Release
from sales_assets.settings import Settings
from serving.security import Keys

PER_SECOND = 10.0
# A new champion's forecasts are twice as high: which one answered can be told from the number.
FACTOR = 2.0
AT_GATE = "sales_requests_refused_at_gate"
# Stores that are asked for in turn, as planned and under another plan.
STORES = 20
OVERLOAD_S = 60.0
# Who asks again at every answer, to see what can be borne; the gate refuses none of so few.
CLIENTS = 4
# Whose questions they are, in turn.
CALLERS = 20
# A network's last digits depend on what it is asked beside a store, hence on who asks when.
SAME = 1e-6


def measure(home: Path, seconds: float, scratch: Path) -> None:
    """Print what became of a steady load under each fault."""
    first = Release.read(home / "serving")
    second = _challenger(home, first)
    port = free_port()
    with running(platform(home, port), port, scratch / "faults.log") as service:
        asks = _mixed(home)
        asyncio.run(steady(port, asks, PER_SECOND, 5))
        print(f"{PER_SECOND:.0f} requests a second, every other one under another plan")
        print(
            f"{'':26s} {'whole':>6s} {'degraded':>9s} {'failed':>7s} {'p99 ms':>7s}   whole again"
        )
        loads = []
        for name, act in (
            ("nothing happens", lambda: None),
            ("trees killed", lambda: kill(service.replicas("trees"))),
            ("recurrent killed", lambda: kill(service.replicas("recurrent"))),
            ("statistical killed", lambda: kill(service.replicas("statistical"))),
            ("ingress killed", lambda: kill(service.replicas("ingress"))),
            ("champion promoted", lambda: _release(home, second)),
            ("broken release", lambda: _release(home, replace(second, manifest_sha256="0" * 64))),
            ("rolled back", lambda: _release(home, first)),
        ):
            found, acted_s = asyncio.run(_under(service, asks, seconds, act))
            _print(name, found, acted_s)
            loads.append(found)
        mixed = _mixed_answers(loads, first, second)
        print(f"  answers with numbers of another version than they name: {mixed}", flush=True)


def overload(home: Path, _: float, scratch: Path) -> None:
    """Print what is answered and what is refused when far too much is asked, and afterwards."""
    port = free_port()
    own, keys = _with_callers(home, scratch / "callers")
    mixed = _mixed(home)

    def asks(number: int) -> Ask:
        return replace(mixed(number), key=keys[number % CALLERS])

    with running(platform(own, port), port, scratch / "overload.log") as service:
        asyncio.run(steady(port, asks, 2.0, 5))
        able = asyncio.run(as_answered(port, asks, CLIENTS, 10))
        ended_s = max(outcome.started_s + outcome.took_s for outcome in able)
        rate = sum(outcome.status == 200 for outcome in able) / ended_s
        print(f"{CLIENTS} clients: {rate:.0f} answers a second; {10 * rate:.0f} are asked now")
        found = asyncio.run(steady(port, asks, 10 * rate, OVERLOAD_S))
        _print("ten times as much", found, None)
        p50, _ = quantiles_ms(found)
        longest_s = max(outcome.took_s for outcome in found if outcome.status == 200)
        print(f"  what was answered: p50 {p50:.0f} ms, at most {1000 * longest_s:.0f} ms")
        told = sum(outcome.retry_after for outcome in found if outcome.status in (429, 503))
        print(f"  {_by_status(found)}; {told} were told when to come back")
        print(f"  refused at the gate, by /metrics: {service.metric(AT_GATE, keys[0]):,.0f}")
        after = asyncio.run(steady(port, asks, rate / 2, 20, at_random=True))
        _print("half of it, after that", after, None)
        print(f"  {_by_status(after)}")
        print(f"  {service.megabytes():,.0f} MB", flush=True)


def _by_status(found: list[Outcome]) -> str:
    counts = Counter(outcome.status for outcome in found)
    return f"by status {dict(sorted(counts.items()))}"


def _with_callers(home: Path, own: Path) -> tuple[Path, list[str]]:
    """Return a home with the same releases and keys of its own: none asks for more than it may."""
    own.mkdir()
    for part in ("models", "serving"):
        (own / part).symlink_to((home / part).absolute())
    keys = Keys(Settings(home=own).keys_path)
    return own, [keys.add(f"caller_{number}") for number in range(CALLERS)]


def _mixed(home: Path) -> Callable[[int], Ask]:
    release = Release.read(home / "serving")
    plan = pd.read_parquet(home / "serving" / release.data / "plan.parquet")
    day = pd.Timestamp(release.cutoff + timedelta(days=4))
    is_promo = plan[pd.to_datetime(plan["date"]) == day].set_index("store_id")["is_promo"].to_dict()
    stores = sorted(is_promo)[:STORES]

    def ask(number: int) -> Ask:
        store = stores[number // 2 % len(stores)]
        changed = {"is_promo": not is_promo[store]} if number % 2 else {}
        instance = {"store_id": store, "date": str(day.date()), **changed}
        return Ask("/v1/predict", {"instances": [instance]})

    return ask


async def _under(
    service: Service, asks: Callable[[int], Ask], seconds: float, act: Callable[[], None]
) -> tuple[list[Outcome], float]:
    began = time.perf_counter()
    load = asyncio.create_task(steady(service.port, asks, PER_SECOND, seconds))
    await asyncio.sleep(seconds / 5)
    act()
    acted_s = time.perf_counter() - began
    return await load, acted_s


def _print(name: str, found: list[Outcome], acted_s: float | None) -> None:
    whole = [outcome for outcome in found if outcome.status == 200 and not outcome.degraded]
    degraded = [outcome for outcome in found if outcome.status == 200 and outcome.degraded]
    failed = [outcome for outcome in found if outcome.status not in (200, 429, 503)]
    failed += [outcome for outcome in found if outcome.status in (429, 503)] if acted_s else []
    again = ""
    if acted_s is not None:
        amiss = [
            outcome.started_s for outcome in found if outcome.status != 200 or outcome.degraded
        ]
        again = f"{max(amiss) - acted_s:.1f} s" if amiss else "at once"
        versions = {outcome.version for outcome in found if outcome.version}
        again += f", {len(versions)} versions" if len(versions) > 1 else ""
    if failed:
        again += f", by status {dict(Counter(outcome.status for outcome in failed))}"
    _, p99 = quantiles_ms(found)
    print(
        f"  {name:24s} {len(whole):6d} {len(degraded):9d} {len(failed):7d} {p99:7.0f}   {again}",
        flush=True,
    )


def _mixed_answers(loads: list[list[Outcome]], first: Release, second: Release) -> int:
    """Return how many whole answers have other numbers than the version that they name."""
    factor = {first.version: 1.0, second.version: FACTOR}
    # Every so many requests ask for the same.
    usual: dict[int, float] = {}
    mixed = 0
    for found in loads:
        for number, outcome in enumerate(found):
            if outcome.forecast is None or outcome.version is None or outcome.degraded:
                continue
            once = outcome.forecast / factor.get(outcome.version, float("nan"))
            mixed += not math.isclose(
                once, usual.setdefault(number % (2 * STORES), once), rel_tol=SAME
            )
    return mixed


def _challenger(home: Path, release: Release) -> Release:
    """Add an ensemble whose forecasts are `FACTOR` times as high, and return its release."""
    store = ModelStore(home / "models")
    present = store.manifest(ENSEMBLE, release.version)
    ensemble = Ensemble.load(store.verified(ENSEMBLE, release.version, release.manifest_sha256))
    doubled = replace(ensemble, factors={ENSEMBLE: FACTOR})
    draft = Draft(cutoff=release.cutoff, fingerprint="2" * 64, members=present.members)
    version = store.save(ENSEMBLE, draft, doubled.save).version
    return replace(
        release, version=version, manifest_sha256=store.manifest_sha256(ENSEMBLE, version)
    )


def _release(home: Path, release: Release) -> None:
    path = home / "serving" / FILE
    fresh = path.with_suffix(".tmp")
    fresh.write_text(
        json.dumps(asdict(release), default=lambda value: value.isoformat()), encoding="utf-8"
    )
    fresh.replace(path)
