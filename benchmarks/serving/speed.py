"""Latency, throughput and memory: this platform, the same without Ray, and the original's way."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.serving.load import Ask, Outcome, as_answered, quantiles_ms, steady
from benchmarks.serving.original import DAYS, FEATURES
from benchmarks.serving.processes import Service, free_port, original, plain, platform, running
from sales_assets.forecasting.release import Release
from sales_assets.settings import Settings
from serving.predictor import Predictor

PER_SECOND = 10.0
MANY = 1_000
CLIENTS = 2
WARM_UP_S = 5.0


def measure(home: Path, seconds: float, scratch: Path) -> None:
    """Print what each service takes for the same questions."""
    questions = _questions(home)
    print(f"{'':34s} {'p50 ms':>8s} {'p99 ms':>8s} {'a second':>9s} {'failed':>7s}")
    for name, command in (
        ("platform, Ray Serve", platform),
        ("the same in one process", plain),
    ):
        port = free_port()
        with running(command(home, port), port, scratch / "service.log") as service:
            asyncio.run(_ask(service, questions, seconds))
            print(f"{name}: {service.megabytes():,.0f} MB\n", flush=True)
    port = free_port()
    with running(original(port), port, scratch / "original.log") as service:
        asyncio.run(_ask_original(service, seconds))
        print(f"Flask, one LSTM, model.predict: {service.megabytes():,.0f} MB", flush=True)


def _questions(home: Path) -> dict[str, Callable[[int], Ask]]:
    """Return requests by what they ask; the number of a request chooses store and day."""
    release = Release.read(home / "serving")
    planned = Predictor.without_members(release, home, Settings.load()).features.planned.rows
    stores = sorted(planned["store_id"].unique().tolist())
    days = [str(release.cutoff + timedelta(days=h + 1)) for h in range(release.horizon)]
    promotions = planned.set_index(["store_id", planned["date"].dt.date.astype(str)])["is_promo"]
    is_promo = promotions.astype(bool).to_dict()

    def instance(number: int, is_changed: bool = False) -> dict[str, object]:
        store, day = stores[number % len(stores)], days[number * 7 % len(days)]
        plan = {"is_promo": not is_promo[store, day]} if is_changed else {}
        return {"store_id": store, "date": day, **plan}

    def of(instances: list[dict[str, object]]) -> Ask:
        return Ask("/v1/predict", {"instances": instances})

    week = [{"date": day, "is_promo": True} for day in days[7:14]]
    return {
        "a day as planned": lambda number: of([instance(number)]),
        "a day under another plan": lambda number: of([instance(number, is_changed=True)]),
        "42 days of a store": lambda number: Ask(
            f"/v1/stores/{stores[number % len(stores)]}/forecast"
        ),
        "a store's promotion week": lambda number: Ask(
            f"/v1/stores/{stores[number % len(stores)]}/scenario", {"changes": week}
        ),
        f"{MANY} days as planned": lambda number: of(
            [instance(number * MANY + each) for each in range(MANY)]
        ),
        f"{MANY} days under another plan": lambda number: of(
            [instance(number * MANY + each, is_changed=True) for each in range(MANY)]
        ),
    }


async def _ask(
    service: Service, questions: dict[str, Callable[[int], Ask]], seconds: float
) -> None:
    for question in questions.values():
        await steady(service.port, question, 2.0, WARM_UP_S)
    for name, question in questions.items():
        if name.startswith(str(MANY)):
            found = await as_answered(service.port, question, CLIENTS, seconds)
            _print(name, found, MANY * _answered(found) / max(map(_ended, found)))
        else:
            found = await steady(service.port, question, PER_SECOND, seconds)
            _print(name, found)


async def _ask_original(service: Service, seconds: float) -> None:
    windows = np.random.default_rng(1).normal(size=(MANY, DAYS, FEATURES)).round(3).tolist()
    one, many = Ask("/predict", {"windows": windows[:1]}), Ask("/predict", {"windows": windows})
    await steady(service.port, lambda _: one, 2.0, WARM_UP_S)
    _print("a window", await steady(service.port, lambda _: one, PER_SECOND, seconds))
    found = await as_answered(service.port, lambda _: many, CLIENTS, seconds)
    _print(f"{MANY} windows", found, MANY * _answered(found) / max(map(_ended, found)))


def _print(name: str, found: list[Outcome], per_second: float | None = None) -> None:
    p50, p99 = quantiles_ms(found)
    rate = f"{per_second:9,.0f}" if per_second else f"{'':9s}"
    failed = len(found) - _answered(found)
    print(f"  {name:32s} {p50:8.0f} {p99:8.0f} {rate} {failed:7d}", flush=True)


def _answered(found: list[Outcome]) -> int:
    return sum(outcome.status == 200 for outcome in found)


def _ended(outcome: Outcome) -> float:
    return outcome.started_s + outcome.took_s
