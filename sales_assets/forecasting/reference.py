"""What a learnt forecast is relative to: the store's anchor, and part of what the chain shows.

The end of a month, the days before Easter and the season are seen in all stores alike, but on few
days: trees that learn store by store underrate them. `effects` estimates them from all stores
together. Half of that is taken for granted, since a few years tell it only roughly and some feasts
belong to some regions; the rest is left to the learner.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.effects import Effects, selling_days
from sales_assets.forecasting.frames import Frames, anchors, typical_anchors

# How much of the chain's effects is taken for granted.
SHARE = 0.5
# Days before the cutoff in which stores differ by weekday and promotion as they do now.
EFFECT_DAYS = 364
TYPICAL = "typical_anchor.json"


@dataclass(frozen=True)
class Reference:
    """A level for every feature row; a learner's target is log sales less it.

    Attributes:
        typical: The anchor of a store that has never sold, in log EUR, by weekday and promotion
            (`typical_anchors`).
        effects: What the calendar and the season add in any store.
    """

    typical: NDArray[np.float64]
    effects: Effects

    @classmethod
    def fit(cls, known: Frames, cutoff: date) -> Self:
        """Learn from what was known at the cutoff.

        Args:
            known: Learnable rows, and the history up to the cutoff.
            cutoff: The last known day.
        """
        days = selling_days(known.history)
        return cls(typical_anchors(known.rows), Effects.fit(days, cutoff, EFFECT_DAYS))

    def at(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the level of each row in log EUR, finite for every row."""
        return self.anchors(rows) + np.sum(list(self.added(rows).values()), axis=0)

    def anchors(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the anchor of each row in log EUR, a typical one where it has none."""
        kind = (
            rows["weekday"].to_numpy(dtype=np.int64) - 1,
            rows["is_promo"].to_numpy(dtype=np.int64),
        )
        return anchors(rows, self.typical[kind])

    def added(self, rows: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        """Return what is added to each row's anchor, in logs, by part (`Effects.of_chain`)."""
        return {part: SHARE * effect for part, effect in self.effects.of_chain(rows).items()}

    def save(self, directory: Path) -> None:
        """Write the typical anchors and the effects into an existing directory."""
        (directory / TYPICAL).write_text(json.dumps(self.typical.tolist()), encoding="utf-8")
        self.effects.save(directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote."""
        typical = json.loads((directory / TYPICAL).read_text(encoding="utf-8"))
        # Versions that were saved before have one for all days.
        return cls(np.broadcast_to(typical, (7, 2)), Effects.load(directory))
