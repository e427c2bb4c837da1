"""What is recorded of a model's version, in the `manifest.json` of its directory."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Self


@dataclass(frozen=True)
class Window:
    """How an ensemble and the baseline did on one window of the backtest.

    Attributes:
        days: Selling days that were judged.
        rmspe: The ensemble's error.
        baseline_rmspe: The baseline's.
        judged: Hash of the stores, days and sales that were judged: the same one means that two
            versions had the same task.
    """

    days: int
    rmspe: float
    baseline_rmspe: float
    judged: str


@dataclass(frozen=True)
class Manifest:
    """What is recorded of one version.

    Attributes:
        name: A member's name, or `ensemble`.
        version: UTC time stamp and the beginning of the fingerprint.
        cutoff: Last day that was learnt from.
        fingerprint: Hash of data, features, settings and code; the same one means the same model.
        data: Hash of the cleaned tables and the features' definition alone.
        recipe: For a member, hash of everything else: features, settings, code and libraries.
        files: SHA-256 of each file, by its path within the version.
        parameters: The member's settings.
        features: Names of the features that it learnt from, in order.
        scores: Backtest scores, by name.
        members: For an ensemble, its members' versions and the hashes of their manifests.
        libraries: Versions of the libraries that made it.
        created_at: When it was written, UTC.
        counts: What the fit counted, such as series that a model failed on.
        windows: For an ensemble, how it did on each window of its backtest, by cutoff.
        continues: For a champion fitted again to new data, the version whose recipe it is.
    """

    name: str
    version: str
    cutoff: date
    fingerprint: str
    data: str
    files: dict[str, str]
    parameters: dict[str, Any]
    features: list[str]
    scores: dict[str, float]
    members: dict[str, dict[str, str]]
    libraries: dict[str, str]
    created_at: datetime
    counts: dict[str, int] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    continues: str | None = None
    recipe: str = ""

    def to_json(self) -> str:
        """Return the text of the manifest's file."""
        return json.dumps(asdict(self), indent=2, default=lambda value: value.isoformat()) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of a manifest's file."""
        values = json.loads(text)
        values["cutoff"] = date.fromisoformat(values["cutoff"])
        values["created_at"] = datetime.fromisoformat(values["created_at"])
        # Versions that were saved before windows were recorded have none.
        windows = values.get("windows", {})
        values["windows"] = {cutoff: Window(**window) for cutoff, window in windows.items()}
        return cls(**values)


@dataclass(frozen=True)
class Draft:
    """What a new version records besides its files."""

    cutoff: date
    fingerprint: str
    data: str = ""
    recipe: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    continues: str | None = None
