"""Backtest windows as matrices, and LightGBM fitted to them on terms of one's choice."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sales_assets.forecasting.frames import LABEL, Frames
from sales_assets.forecasting.lightgbm import CATEGORICAL, LightGBM, recency_weights
from sales_assets.forecasting.places import Places
from sales_assets.forecasting.reference import Reference
from sales_assets.settings import Settings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """What was known at a cutoff, and the selling days after it.

    Attributes:
        cutoff: Last day that is learnt from.
        known: Features of the rows to learn from (`Places.matrix`); `known_log_ratio` is their
            target.
        known_days: Their dates.
        known_reference: What their forecasts are relative to (`Reference.at`), in log EUR.
        asked: Features of the days to be judged by.
        asked_reference: What their forecasts are relative to, in log EUR.
        keys: Their cutoff, store_id, date and h.
        sales: What they sold, in EUR.
    """

    cutoff: date
    known: pd.DataFrame
    known_days: pd.Series
    known_reference: Array
    known_log_ratio: Array
    asked: pd.DataFrame
    asked_reference: Array
    keys: pd.DataFrame
    sales: Array


def windows(frames: Frames, cutoffs: list[date]) -> Iterator[Window]:
    """Yield the windows one by one, oldest first; one at a time is in memory."""
    for cutoff in cutoffs:
        past = frames.known_at(cutoff)
        known = past.rows[past.rows["anchor"].notna()]
        reference = Reference.fit(Frames(known, past.history), cutoff)
        asked = frames.asked_at(cutoff).rows
        asked = asked[asked[LABEL].notna()]
        level, places = reference.at(known), Places.learn(known)
        yield Window(
            cutoff=cutoff,
            known=places.matrix_of(known),
            known_days=known["date"],
            known_reference=level,
            known_log_ratio=known[LABEL].to_numpy(dtype=np.float64) - level,
            asked=places.matrix_of(asked),
            asked_reference=reference.at(asked),
            keys=asked[["cutoff", "store_id", "date", "h"]].reset_index(drop=True),
            sales=np.exp(asked[LABEL].to_numpy(dtype=np.float64)),
        )


@dataclass(frozen=True)
class Terms:
    """On what terms LightGBM learns; the defaults are the member's own.

    Attributes:
        features: Columns that it sees; none named: all of them.
        label: Its target; none: the log ratio to the reference.
        weight: What a row counts, apart from its recency; none: all alike.
        parameters: LightGBM's own, put over those of the settings.
    """

    features: list[str] | None = None
    label: Array | None = None
    weight: Array | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


def boosted(window: Window, settings: Settings, terms: Terms) -> Any:
    """Return one booster with the settings' parameters, first seed."""
    features = terms.features or list(window.known.columns)
    weight = recency_weights(window.known_days, window.cutoff, settings.lightgbm.half_life_days) * (
        1.0 if terms.weight is None else terms.weight
    )
    data = lightgbm.Dataset(
        window.known[features],
        label=window.known_log_ratio if terms.label is None else terms.label,
        weight=weight,
        categorical_feature=[name for name in CATEGORICAL if name in features],
    )
    params = LightGBM(settings).params(settings.seed) | terms.parameters
    return lightgbm.train(params, data, num_boost_round=settings.lightgbm.trees)
