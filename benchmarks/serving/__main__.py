"""How fast the service answers, what Ray costs, and what faults and overload do to who asks.

    python -m benchmarks.serving --home HOME [--seconds 30] [speed] [faults] [overload]

The home was refreshed before; it is copied, since champions are changed under way.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.serving import faults, speed

PARTS = {"speed": speed.measure, "faults": faults.measure, "overload": faults.overload}


def main() -> None:
    """Run the parts that are named, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"Of {', '.join(PARTS)}.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=30.0, help="Length of each load.")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="sales-serving-") as directory:
        home = Path(directory) / "home"
        for part in ("models", "serving"):
            shutil.copytree(arguments.home / part, home / part)
        for part in arguments.parts or PARTS:
            PARTS[part](home, arguments.seconds, Path(directory))


if __name__ == "__main__":
    main()
