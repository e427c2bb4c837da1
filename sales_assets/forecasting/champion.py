"""The champion among the ensemble's versions: how it came to be, and what a refresh decided of it.

`models/champion.json` holds a `Champion`, `models/choice.json` the `Choice` of the last refresh.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Self

import pandas as pd

CHAMPION, FORMER, CHALLENGER = "champion", "former champion", "challenger"


@dataclass(frozen=True)
class Event:
    """A version that was made champion, or was judged and stayed a challenger.

    Attributes:
        version: The version.
        at: When, UTC.
        is_promoted: Whether it was made champion.
        is_pinned: Whether someone chose it by hand.
        reason: Why.
        against: The champion until then, if there was one.
        rmspe: Its error on the windows that both were judged on; none if there are none.
        champion_rmspe: The champion's error on the same windows.
    """

    version: str
    at: datetime
    is_promoted: bool
    is_pinned: bool
    reason: str
    against: str | None = None
    rmspe: float | None = None
    champion_rmspe: float | None = None


@dataclass(frozen=True)
class Champion:
    """The ensemble in use, why and since when.

    Attributes:
        version: The ensemble's version.
        manifest_sha256: Hash of its manifest.
        is_pinned: Whether someone chose it; a refresh leaves a pinned champion alone.
        reason: Why it was chosen.
        promoted_at: When, UTC.
        previous: The champion before it, if there was one.
        history: All that was promoted and refused, oldest first.
    """

    version: str
    manifest_sha256: str
    is_pinned: bool
    reason: str
    promoted_at: datetime
    previous: str | None
    history: tuple[Event, ...] = ()

    def to_json(self) -> str:
        """Return the text of the champion's file."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of a champion's file, also of one from before there was a history."""
        values = json.loads(text)
        values["promoted_at"] = datetime.fromisoformat(values["promoted_at"])
        values["history"] = tuple(_event(event) for event in values.get("history", ()))
        champion = cls(**values)
        return champion if champion.history else replace(champion, history=(_made_of(champion),))

    def ever(self) -> set[str]:
        """Return every version that is or was champion, as far as it is known."""
        known = {event.version for event in self.history if event.is_promoted}
        return known | {version for version in (self.version, self.previous) if version}

    def noting(self, events: Iterable[Event]) -> Self:
        """Return the same champion with more history; what was said before is not repeated."""
        history = list(self.history)
        for event in events:
            before = [past for past in history if past.version == event.version]
            if not before or before[-1].is_promoted or before[-1].reason != event.reason:
                history.append(event)
        return replace(self, history=tuple(history))


@dataclass(frozen=True)
class Choice:
    """What was decided: which version forecasts, and which is champion if that is published.

    A refresh decides, or someone who chooses a champion by hand.

    Attributes:
        version: The version that forecasts.
        champion: The champion from the publication on.
        against: The champion when this was decided, if there was one.
        challenger: The newly composed version, or the one chosen by hand.
        verdict: What was found of the challenger, or the reason given.
        reason: What became of challenger and champion, for people.
        is_warning: Whether someone should look at it.
        decided_at: When, UTC.
        rmspe: The challenger's error on the windows that both were judged on; none if there are
            none.
        champion_rmspe: The champion's error on the same windows.
        is_pinned: Whether the champion is pinned from then on; a refresh leaves that as it is.
        goes_back: Whether it is a rollback that is not published yet; asked for once more, it is
            the same one.
    """

    version: str
    champion: str
    against: str | None
    challenger: str
    verdict: str
    reason: str
    is_warning: bool
    decided_at: datetime
    rmspe: float | None = None
    champion_rmspe: float | None = None
    is_pinned: bool | None = None
    goes_back: bool = False

    @classmethod
    def by_hand(
        cls, version: str, present: Champion | None, is_pinned: bool, reason: str, at: datetime
    ) -> Self:
        """Return the choice of someone who wants a version to be champion."""
        told = f"{version} is champion, chosen by hand: {reason}."
        against = present.version if present else None
        return cls(version, version, against, version, reason, told, False, at, is_pinned=is_pinned)

    def to_json(self) -> str:
        """Return the text of the choice's file."""
        return _to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of a choice's file."""
        values = json.loads(text)
        values["decided_at"] = datetime.fromisoformat(values["decided_at"])
        return cls(**values)

    def holds(self, present: Champion | None) -> bool:
        """Tell whether no one has chosen another champion since."""
        if present is None:
            return True
        is_fixed = present.is_pinned and self.is_pinned is None
        expected = (self.champion,) if is_fixed else (self.champion, self.against)
        return present.version in expected

    def moves(self, present: Champion | None) -> bool:
        """Tell whether it asks for another champion, or for one that is pinned or not."""
        return (
            present is None
            or present.version != self.champion
            or self.is_pinned not in (None, present.is_pinned)
        )

    def promotion(self) -> Event:
        """Return what makes its champion champion."""
        is_new = self.champion == self.challenger
        return Event(
            version=self.champion,
            at=self.decided_at,
            is_promoted=True,
            is_pinned=bool(self.is_pinned),
            reason=self.verdict if is_new else f"{self.against} fitted again to new data",
            against=self.against,
            rmspe=self.rmspe if is_new else None,
            champion_rmspe=self.champion_rmspe if is_new else None,
        )

    def refusal(self) -> Event:
        """Return what keeps its challenger a challenger."""
        return replace(
            self.promotion(),
            version=self.challenger,
            is_promoted=False,
            reason=self.verdict,
            rmspe=self.rmspe,
            champion_rmspe=self.champion_rmspe,
        )


def status(version: str, champion: Champion | None) -> str:
    """Return what a version is: champion, former champion or challenger."""
    if champion is None or version not in champion.ever():
        return CHALLENGER
    return CHAMPION if version == champion.version else FORMER


def judgements(versions: Iterable[str], champion: Champion | None) -> pd.DataFrame:
    """Return what became of versions, in their order.

    Returns:
        One row a version: status, is_champion, is_pinned, and of the last time that it was
        promoted or refused judged_at, reason, judged_against, its rmspe_compared and
        champion_rmspe on the windows that both were judged on, and worse_by, a share.
    """
    last = {event.version: event for event in (champion.history if champion else ())}
    rows = [_judgement(version, champion, last.get(version)) for version in versions]
    # A column in which nothing is known yet has a type all the same.
    numbers = dict.fromkeys(("rmspe_compared", "champion_rmspe", "worse_by"), "float64")
    return pd.DataFrame(rows).astype({"judged_at": "datetime64[ns, UTC]", **numbers})


def _judgement(version: str, champion: Champion | None, event: Event | None) -> dict[str, Any]:
    is_champion = champion is not None and version == champion.version
    mine, theirs = (event.rmspe, event.champion_rmspe) if event else (None, None)
    return {
        "version": version,
        "status": status(version, champion),
        "is_champion": is_champion,
        "is_pinned": bool(is_champion and champion and champion.is_pinned),
        "judged_at": event.at if event else None,
        "reason": event.reason if event else None,
        "judged_against": event.against if event else None,
        "rmspe_compared": mine,
        "champion_rmspe": theirs,
        "worse_by": mine / theirs - 1 if mine is not None and theirs else None,
    }


def _made_of(champion: Champion) -> Event:
    """Return the event that an old file without a history tells of."""
    return Event(
        version=champion.version,
        at=champion.promoted_at,
        is_promoted=True,
        is_pinned=champion.is_pinned,
        reason=champion.reason,
        against=champion.previous,
    )


def _event(values: dict[str, Any]) -> Event:
    return Event(**{**values, "at": datetime.fromisoformat(values["at"])})


def _to_json(record: Any) -> str:
    return json.dumps(asdict(record), indent=2, default=lambda value: value.isoformat()) + "\n"
