"""What a killed run leaves half-written beside the results; nobody reads it."""

import shutil
from pathlib import Path

from sales_assets.settings import Settings

# Below the home: files and directories that get another name, or go, when they are complete.
PATTERNS = (
    "published/*.tmp*",
    "models/*.json.tmp",
    "models/*/.*.partial",
    "serving/.partial",
    "serving/release.json.tmp",
    "reports/*.tmp",
    "quality/*.tmp",
    "cache/*/.*.partial",
    "tmp/delivery-*",
)


def found(settings: Settings) -> list[Path]:
    """Return what a run has not finished writing; of a run under way, what it writes now."""
    return sorted(path for pattern in PATTERNS for path in settings.home.glob(pattern))


def remove(settings: Settings) -> None:
    """Remove what killed or failed runs have left; the caller holds the home's lock."""
    for path in found(settings):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
