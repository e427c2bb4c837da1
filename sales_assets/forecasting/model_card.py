"""Model cards: what a version is, learnt from and is worth, for whoever is to trust it.

A card is a file of its version's directory, recorded in the manifest like the others. It holds no
time stamp: the same model gets the same card. Source: Mitchell et al. (2019), Model cards for
model reporting.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting import metrics
from sales_assets.forecasting.frames import Frames
from sales_assets.forecasting.manifest import Draft, Manifest
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore, library_versions
from sales_assets.settings import LEVELS

log = logging.getLogger("sales_assets.models")

CARD = "card.md"
BASELINE = "baseline"
WORST_STORES = 10
# Sections that only a backtest can fill.
JUDGED = ("Scores by window", "Worst stores")
SCORES = ("rmspe", "mape", "wape", "bias", *(f"coverage_{level}" for level in LEVELS))

# What holds of every model of the platform.
LIMITS = (
    "Of the coming days it knows what the plan says: opening, promotions and holidays. Prices, "
    "deliveries, the weather and what competitors do are unknown to it.",
    "A planned closure is forecast as exactly zero; one that is not planned is not foreseen.",
    "It is judged on the selling days of the backtest's windows; no score speaks for a season "
    "that they leave out.",
)
TREES = (
    "Trees cannot extrapolate: a ratio to the store's usual level that they have not seen is not "
    "forecast, and a trend is followed only as far as that level has followed it.",
    "A store that has never sold is given the chain's typical level; one that was shut for long "
    "rests on what it sold before.",
)
MODEL_LIMITS: dict[str, tuple[str, ...]] = {
    "baseline": (
        "It knows no trend, season or holiday: a day is the median of days like it.",
        "A store that sold nothing lately is given the chain's median of such days.",
    ),
    "statistical": (
        "Each store is fitted alone, so that a short history says little; a store without one is "
        "given the chain's level.",
        "The effects of weekday and promotion do not change over the horizon.",
    ),
    "random_forest": (
        *TREES,
        "Its forecasts are means over leaves, which draws rare days to the ordinary.",
    ),
    "lightgbm": (
        *TREES,
        "Explanations share out what the model does, which need not be what causes the sales.",
    ),
    "lstm": (
        "It has learnt from past plans, and is not to be trusted with one unlike all of them.",
        "A store that it has not learnt from has no place of its own among the stores.",
    ),
    ENSEMBLE: (
        "Where all members err the same way, so does their mean.",
        "The weights come from few windows; members that are much alike share theirs by chance.",
        "Intervals hold on average over stores and days, not for each store by itself; a store "
        "that the backtest has not seen is treated as one of the noisiest.",
    ),
}


@dataclass(frozen=True)
class Facts:
    """What a card tells beside what its version records.

    Attributes:
        about: What the model is, in a sentence or two.
        data: What it learnt from, by name.
        backtest: The out-of-fold forecasts of all models (`backtest.run`); empty if not judged.
        champion: The present champion's version of the same model, if there is one.
        judged: The sections `JUDGED` of a version that this one continues.
    """

    about: str
    data: Mapping[str, object]
    backtest: pd.DataFrame
    champion: Manifest | None = None
    judged: Mapping[str, str] = field(default_factory=dict)


def data_facts(known: Frames) -> dict[str, object]:
    """Return what was learnt from: rows, stores and days."""
    rows, history = known.rows, known.history
    return {
        "rows learnt from": f"{len(rows):,}",
        "stores": f"{history['store_id'].nunique():,}",
        "history": _span(history["date"]),
        "cutoffs of the rows": _span(rows["cutoff"]),
    }


def backtest_facts(backtest: pd.DataFrame) -> dict[str, object]:
    """Return what an ensemble's weights and intervals were fitted to."""
    return {
        "forecasts of the backtest": f"{len(backtest):,}",
        "stores": f"{backtest['store_id'].nunique():,}",
        "days": _span(backtest["date"]),
    }


def champions_own(store: ModelStore, name: str) -> Manifest | None:
    """Return the champion's version of a model; nothing if there is none that can be read."""
    champion = store.champion()
    if champion is None:
        return None
    try:
        ensemble = store.manifest(ENSEMBLE, champion.version)
        if name == ENSEMBLE:
            return ensemble
        own = ensemble.members.get(name)
        return store.manifest(name, own["version"]) if own else None
    except ModelStoreError as error:
        # A new version does not have to do without a card because an old one is damaged.
        log.warning("%s", error)
        return None


def find_card(store: ModelStore, name: str, version: str) -> str | None:
    """Return the text of a version's card; versions made before there were cards have none.

    Raises:
        ModelStoreError: There is no such version.
    """
    manifest = store.manifest(name, version)
    if CARD not in manifest.files:
        return None
    return (store.root / name / version / CARD).read_text(encoding="utf-8")


def judged_sections(store: ModelStore, name: str, version: str) -> dict[str, str]:
    """Return what a version's card tells of its backtest, for one that continues it."""
    try:
        text = find_card(store, name, version) or ""
    except OSError as error:
        # What goes on does not have to stop because an old card is lost.
        log.warning("%s", error)
        text = ""
    sections = text.split("\n\n## ")[1:]
    found = dict(section.strip().split("\n\n", 1) for section in sections)
    whose = f"Of the version that this one continues, `{version}`."
    return {
        # What continues another itself tells of the first.
        title: text if text.startswith("Of the version") else f"{whose}\n\n{text}"
        for title, text in found.items()
        if title in JUDGED
    }


def write_card(directory: Path, name: str, draft: Draft, facts: Facts) -> None:
    """Write the card into the directory of a version that is being saved."""
    (directory / CARD).write_text(card(name, draft, facts), encoding="utf-8")


def card(name: str, draft: Draft, facts: Facts) -> str:
    """Return the card of a version in Markdown."""
    own = facts.backtest[facts.backtest["model"] == name]
    sections = {
        "Data": _facts({**facts.data, "fingerprint of the data": f"`{draft.data}`"}),
        "Parameters": _facts(draft.parameters),
        "Scores": _scores(name, draft.scores, facts),
        "Scores by window": _windows(own, facts.backtest),
        "Worst stores": _worst_stores(own),
        **facts.judged,
        "Known limits": "\n".join(f"- {limit}" for limit in (*MODEL_LIMITS.get(name, ()), *LIMITS)),
        "Features": ", ".join(f"`{feature}`" for feature in draft.features),
        "Members": _facts({key: f"`{own['version']}`" for key, own in draft.members.items()}),
        "Libraries": ", ".join(f"{key} {value}" for key, value in library_versions().items()),
    }
    head = [
        f"# {name}, cutoff {draft.cutoff}",
        " ".join(facts.about.split()),
        f"Fingerprint `{draft.fingerprint}`.",
    ]
    told = [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    return "\n\n".join([*head, *told]) + "\n"


def _facts(facts: Mapping[str, object]) -> str:
    return "\n".join(f"- {name}: {_plain(value)}" for name, value in facts.items())


def _scores(model: str, scores: Mapping[str, float], facts: Facts) -> str:
    if not scores:
        return "This version was not judged by a backtest."
    names = [name for name in SCORES if name in scores]
    rows = [_row("this version", scores, names)]
    said = "Over all windows of the backtest; each forecast is one that never saw its answer."
    baseline = facts.backtest[facts.backtest["model"] == BASELINE]
    if model != BASELINE and len(baseline):
        rows.append(_row(BASELINE, _overall(baseline), names))
    if champion := facts.champion:
        rows.append(_row("champion", champion.scores, names))
        said += (
            f" The champion's own is version `{champion.version}`, cutoff {champion.cutoff}, with "
            "the scores of its own backtest."
        )
    return f"{_table(['', *names], rows)}\n\n{said}"


def _row(whose: str, scores: Mapping[str, float], names: Iterable[str]) -> list[str]:
    return [whose, *(f"{scores[name]:.4f}" if name in scores else "" for name in names)]


def _overall(days: pd.DataFrame) -> dict[str, float]:
    y, f = days["sales"].to_numpy(), days["forecast"].to_numpy()
    return {
        "rmspe": metrics.rmspe(y, f),
        "mape": metrics.mape(y, f),
        "wape": metrics.wape(y, f),
        "bias": metrics.bias(y, f),
        **{f"coverage_{level}": _coverage(days, level) for level in LEVELS},
    }


def _windows(own: pd.DataFrame, backtest: pd.DataFrame) -> str:
    """Tell the error on each window, beside the baseline's on the same days."""
    rows = []
    for cutoff, days in own.groupby("cutoff"):
        baseline = backtest[(backtest["model"] == BASELINE) & (backtest["cutoff"] == cutoff)]
        score, yardstick = _rmspe(days), _rmspe(baseline) if len(baseline) else float("nan")
        gain = f"{1 - score / yardstick:.1%}" if yardstick > 0 else ""
        coverages = [f"{_coverage(days, level):.1%}" for level in LEVELS]
        told = [f"{score:.4f}", f"{yardstick:.4f}" if gain else "", gain, *coverages]
        rows.append([f"{pd.Timestamp(str(cutoff)):%Y-%m-%d}", f"{len(days):,}", *told])
    columns = [f"coverage {level} %" for level in LEVELS]
    head = ["cutoff", "days", "RMSPE", "baseline's", "lower by", *columns]
    return _table(head, rows) if rows else ""


def _worst_stores(own: pd.DataFrame) -> str:
    rows = [(store_id, len(days), _rmspe(days), days) for store_id, days in own.groupby("store_id")]
    rows.sort(key=lambda row: -row[2])
    told = [
        [f"{store_id}", f"{count:,}", f"{score:.4f}", *(f"{_coverage(d, n):.1%}" for n in LEVELS)]
        for store_id, count, score, d in rows[:WORST_STORES]
    ]
    columns = [f"coverage {level} %" for level in LEVELS]
    return _table(["store", "days", "RMSPE", *columns], told) if told else ""


def _rmspe(days: pd.DataFrame) -> float:
    return metrics.rmspe(days["sales"].to_numpy(), days["forecast"].to_numpy())


def _coverage(days: pd.DataFrame, level: int) -> float:
    bounds = (days[f"{side}_{level}"].to_numpy() for side in ("lo", "hi"))
    return metrics.coverage(days["sales"].to_numpy(), *bounds)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _span(days: pd.Series) -> str:
    return f"{days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
