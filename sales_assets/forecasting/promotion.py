"""Whether a new ensemble becomes champion, and what forecasts where it stays a challenger."""

import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from sales_assets.errors import ModelStoreError
from sales_assets.forecasting.backtest import COLUMNS, member_recipe
from sales_assets.forecasting.bundle import fit_member, unlike, with_parameters
from sales_assets.forecasting.champion import Champion, Choice
from sales_assets.forecasting.ensemble import MEMBERS
from sales_assets.forecasting.frames import Frames, feature_names
from sales_assets.forecasting.manifest import Draft, Manifest, Window
from sales_assets.forecasting.model_card import (
    CARD,
    Facts,
    data_facts,
    judged_sections,
    write_card,
)
from sales_assets.forecasting.model_store import ENSEMBLE, ModelStore, fingerprint_of
from sales_assets.forecasting.point import IN_WORDS, MEDIAN
from sales_assets.settings import Settings

log = logging.getLogger("sales_assets.models")

TOLERANCE = "SALES_PROMOTION__TOLERANCE"
OTHERWISE = "SALES_PROMOTION__OTHERWISE"


@dataclass(frozen=True)
class Verdict:
    """What was found of a challenger.

    Attributes:
        is_promoted: Whether it is to become champion.
        reason: Why, with the numbers.
        is_warning: Whether someone should look at it.
        rmspe: Its error on the windows that both were judged on; none if there are none.
        champion_rmspe: The champion's error on the same windows.
    """

    is_promoted: bool
    reason: str
    is_warning: bool = False
    rmspe: float | None = None
    champion_rmspe: float | None = None


def judge(challenger: Manifest, champion: Manifest | None, tolerance: float) -> Verdict:
    """Return whether a new ensemble is to become champion.

    It has to beat the baseline on its backtest, and must not be worse than the champion by more
    than the tolerance on the windows that both were judged on. Without a champion there is nothing
    else to forecast with.

    Args:
        challenger: The new ensemble.
        champion: The champion, if there is one that can be read.
        tolerance: Share by which the RMSPE may exceed the champion's.
    """
    own = challenger.windows
    if not own:
        return Verdict(True, "composed before windows were recorded, so that it is not judged")
    baseline = _pooled((window.days, window.baseline_rmspe) for window in own.values())
    rmspe = _pooled((window.days, window.rmspe) for window in own.values())
    beside = f"RMSPE {rmspe:.4f} against the baseline's {baseline:.4f}"
    beats_baseline = rmspe < baseline
    if not beats_baseline:
        beside += f", which was as good or better in {_lost(own)}"
    if champion is None:
        other = "" if beats_baseline else "; it is published all the same, for there is no other"
        return Verdict(True, f"no champion to compare it with; {beside}{other}", not beats_baseline)
    shared = _shared(own, champion.windows)
    if not shared:
        lead = "" if beats_baseline else "does not beat the baseline: "
        reason = f"{lead}{beside}; it shares no window of the backtest with the champion"
        return Verdict(beats_baseline, reason)
    mine = _pooled((own[cutoff].days, own[cutoff].rmspe) for cutoff in shared)
    theirs = _pooled((own[cutoff].days, champion.windows[cutoff].rmspe) for cutoff in shared)
    compared = f"RMSPE {mine:.4f} against the champion's {theirs:.4f} on {_counted(len(shared))}"
    judged = Verdict(True, f"{compared}; {beside}", rmspe=mine, champion_rmspe=theirs)
    if not beats_baseline:
        reason = f"does not beat the baseline: {beside}; {compared}"
        return replace(judged, is_promoted=False, reason=reason)
    if mine > theirs * (1 + tolerance):
        reason = (
            f"{compared}, worse by {mine / theirs - 1:.1%}, where {tolerance:.1%} are allowed "
            f"({TOLERANCE})"
        )
        return replace(judged, is_promoted=False, reason=reason)
    return judged


def decide(
    store: ModelStore,
    challenger: Manifest,
    frames: Callable[[], Frames],
    cutoff: date,
    data: str,
    settings: Settings,
) -> Choice:
    """Record and return what is to be forecast with, and which version is to be champion.

    The champion itself moves when that is published (`ModelStore.crown`).

    Args:
        store: Where the versions are.
        challenger: The ensemble that was composed for the data of now.
        frames: Reads `features.training`, which a champion that goes on is fitted to.
        cutoff: Last day whose sales are known.
        data: Fingerprint of the data.
        settings: The rule, and what a champion's recipe is held against.
    """
    present = store.champion()
    champion = _readable(store, present)
    verdict = judge(challenger, champion, settings.promotion.tolerance)
    choice = Choice(
        version=challenger.version,
        champion=challenger.version,
        against=present.version if present else None,
        challenger=challenger.version,
        verdict=verdict.reason,
        reason=f"{challenger.version} is champion: {verdict.reason}.",
        is_warning=verdict.is_warning,
        decided_at=store.now(),
        rmspe=verdict.rmspe,
        champion_rmspe=verdict.champion_rmspe,
    )
    if present and present.is_pinned:
        choice = _by_hand(choice, present)
    elif present and present.version == challenger.version:
        choice = replace(choice, reason=f"Nothing is new: {present.version} is champion.")
    elif present and champion and not verdict.is_promoted:
        choice = _otherwise(choice, store, champion, frames, cutoff, data, settings)
    elif present and champion is None:
        lead = f"The champion {present.version} cannot be read. "
        choice = replace(choice, reason=lead + choice.reason, is_warning=True)
    if choice.version != challenger.version:
        choice = _beside_setting(choice, store, settings.point)
    store.decide(choice)
    return choice


def _by_hand(choice: Choice, present: Champion) -> Choice:
    """Return the choice beside a champion that someone has chosen."""
    if present.version == choice.challenger:
        return replace(choice, reason=f"{present.version} is champion, chosen by hand.")
    return replace(
        choice,
        version=present.version,
        champion=present.version,
        verdict=f"a champion was chosen by hand; {choice.verdict}",
        reason=f"{present.version} goes on, which was chosen by hand; {choice.challenger} stays a "
        f"challenger: {choice.verdict}. `sales models promote newest` follows the newest again.",
    )


def _beside_setting(choice: Choice, store: ModelStore, point: str) -> Choice:
    """Return the choice, with a warning where it does not forecast what the setting asks for."""
    try:
        own = store.manifest(ENSEMBLE, choice.version).parameters.get("point", MEDIAN)
    except ModelStoreError:
        # What loads it says so.
        return choice
    if own == point:
        return choice
    reason = (
        f"{choice.reason} It forecasts {IN_WORDS[own]}, as when it was composed: "
        f"SALES_POINT={point} takes effect with the next challenger that becomes champion."
    )
    return replace(choice, reason=reason, is_warning=True)


def _otherwise(
    choice: Choice,
    store: ModelStore,
    champion: Manifest,
    frames: Callable[[], Frames],
    cutoff: date,
    data: str,
    settings: Settings,
) -> Choice:
    """Return the choice where the challenger stays one."""
    stays = f"{choice.challenger} stays a challenger: {choice.verdict}."
    published = replace(choice, champion=champion.version)
    if settings.promotion.otherwise == "challenger":
        reason = f"{stays} Its forecasts are published ({OTHERWISE}), the champion is still "
        return replace(published, reason=f"{reason}{champion.version}.")
    try:
        again = fit_again(store, champion, frames(), cutoff, data, settings)
    except ModelStoreError as error:
        reason = (
            f"{stays} Its forecasts are published all the same, for the champion "
            f"{champion.version} cannot be fitted again: {error}"
        )
        return replace(published, reason=reason, is_warning=True)
    goes_on = (
        f"The champion {champion.version} goes on"
        if again.version == champion.version
        else f"The champion {champion.version} goes on as {again.version}, fitted to the new data"
    )
    return replace(
        choice, version=again.version, champion=again.version, reason=f"{stays} {goes_on}."
    )


def fit_again(
    store: ModelStore,
    champion: Manifest,
    frames: Frames,
    cutoff: date,
    data: str,
    settings: Settings,
) -> Manifest:
    """Return the champion's recipe, fitted to the data of now.

    Its members are fitted with the parameters that they record, and combined by its weights,
    intervals and factors, which are copied. What is there already is not fitted again.

    Raises:
        ModelStoreError: It was changed, or what it was made by and of is not there any more.
    """
    directory = store.verified(ENSEMBLE, champion.version)
    recorded = {
        name: store.recorded(name, own["version"], own["manifest_sha256"])
        for name, own in champion.members.items()
    }
    if set(recorded) != set(MEMBERS):
        raise ModelStoreError(
            f"its members are {', '.join(recorded)}, where {', '.join(MEMBERS)} are expected."
        )
    features = feature_names(frames.rows)
    if others := unlike({name: own.features for name, own in recorded.items()}, features):
        raise ModelStoreError(f"{others} learnt from other features than there are now.")
    recipes = {name: with_parameters(settings, name, member) for name, member in recorded.items()}
    changed = [
        name
        for name, own in recorded.items()
        if own.recipe != member_recipe(MEMBERS[name], recipes[name], features)
    ]
    if changed:
        raise ModelStoreError(
            f"code, libraries or settings of now would make another model of {', '.join(changed)}."
        )
    members = {
        name: fit_member(
            store, name, frames, cutoff, data, recipes[name], own.scores, continues=own.version
        )[0]
        for name, own in recorded.items()
    }
    if all(members[name].version == own["version"] for name, own in champion.members.items()):
        return champion
    kept = {file: sha256 for file, sha256 in champion.files.items() if file != CARD}
    draft = Draft(
        cutoff=cutoff,
        fingerprint=fingerprint_of(
            "continues", {name: member.fingerprint for name, member in members.items()}, kept
        ),
        data=data,
        parameters=champion.parameters,
        scores=champion.scores,
        members=store.references(members),
        windows=champion.windows,
        continues=champion.version,
    )
    found = store.find(ENSEMBLE, draft.fingerprint)
    if found and found.members == draft.members:
        return found
    facts = Facts(
        "A champion that goes on: weights, intervals and scores are those of the version that it "
        "continues, its members are fitted to new data.",
        {"continues": f"`{champion.version}`", **data_facts(frames.known_at(cutoff))},
        pd.DataFrame(columns=COLUMNS),
        champion,
        judged_sections(store, ENSEMBLE, champion.version),
    )

    def write(fresh: Path) -> None:
        for file in kept:
            shutil.copyfile(directory / file, fresh / file)
        write_card(fresh, ENSEMBLE, draft, facts)

    return store.save(ENSEMBLE, draft, write)


def _readable(store: ModelStore, present: Champion | None) -> Manifest | None:
    """Return the champion's manifest, if it is the one that was promoted."""
    if present is None:
        return None
    try:
        return store.recorded(ENSEMBLE, present.version, present.manifest_sha256)
    except ModelStoreError as error:
        log.warning("%s", error)
        return None


def _shared(own: dict[str, Window], others: dict[str, Window]) -> list[str]:
    """Return the cutoffs at which both had the same days to forecast."""
    return [
        cutoff
        for cutoff, window in own.items()
        if cutoff in others and others[cutoff].judged == window.judged
    ]


def _pooled(parts: Iterable[tuple[int, float]]) -> float:
    """Return the RMSPE over windows together, from the days and the RMSPE of each."""
    days, errors = np.array(list(parts)).T
    return float(np.sqrt(np.sum(days * errors**2) / np.sum(days)))


def _lost(windows: dict[str, Window]) -> str:
    """Say in which windows the baseline is not beaten."""
    lost = [
        cutoff for cutoff, window in windows.items() if not window.rmspe < window.baseline_rmspe
    ]
    return f"{len(lost)} of {len(windows)} windows (after {' and '.join(lost)})"


def _counted(windows: int) -> str:
    return "one window that both were judged on" if windows == 1 else f"{windows} common windows"
