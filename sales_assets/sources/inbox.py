"""The home's `incoming`: what appears there is taken whole, and filed once it has been used."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sales_assets.settings import Settings
from sales_assets.sources.layout import LAYOUTS

# Files of the layout that lie in `incoming` itself are one delivery together, of this name, which
# nothing else that lies there can have.
LOOSE = "files/"
# Where deliveries lie once they are taken.
TAKEN = ".taken"
# Bytes of a delivery's name that are kept, since no name may have more than 255.
LONGEST_STEM, LONGEST_SUFFIX = 120, 20
# How programs that copy files call those that are not complete yet.
UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".crdownload")


class Inbox:
    """The deliveries of one home, from their arrival to the archive.

    A delivery is a .zip, a directory, or Kaggle's files side by side. It is taken by a rename, so
    that what arrives meanwhile under the same name is a delivery of its own.

    Args:
        settings: The home.
        now: The clock; tests pass their own.
    """

    def __init__(
        self, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.incoming = settings.incoming
        self.archive = settings.archive
        self.rejected = settings.rejected
        self.now = now
        # On the disk of `incoming`, which may be another one than the home's.
        self._taken = self.incoming / TAKEN
        self._loose = self._taken / ".files"

    def arrived(self) -> dict[str, str]:
        """Return what lies in `incoming`, and what changes of it while it is written.

        Names come in order, `week9` before `week10`.
        """
        if not self.incoming.is_dir():
            return {}
        parts: dict[str, list[tuple[str, int, int]]] = {}
        for path in sorted(self.incoming.iterdir()):
            if _is_delivery(path) and path.suffix.lower() not in UNFINISHED:
                name = LOOSE if _is_loose(path) else path.name
                parts.setdefault(name, []).extend(_stamps(path))
        if self._loose.is_dir():
            # Taking them was begun, and not finished.
            parts.setdefault(LOOSE, [])
        return {name: json.dumps(parts[name]) for name in sorted(parts, key=_as_counted)}

    def waiting_since(self, moment: datetime) -> list[str]:
        """Return the names of what lies in `incoming` since before a moment."""
        if not self.incoming.is_dir():
            return []
        paths = [path for path in self.incoming.iterdir() if not path.name.startswith(".")]
        return sorted(
            in_words(path.name) for path in paths if path.lstat().st_ctime < moment.timestamp()
        )

    def lacking(self, name: str) -> list[str]:
        """Return the files that loose ones have to wait for."""
        if name != LOOSE:
            return []
        present = {path.name.lower() for path in self._loose_files()}
        required = [layout.file for layout in LAYOUTS if not layout.is_optional]
        return [file for file in required if file not in present]

    def take(self, name: str) -> Path:
        """Move a delivery to where no one writes, and return its place.

        Raises:
            OSError: It cannot be moved.
        """
        place = self._taken / f"{self.now():%Y%m%dT%H%M%S%fZ}-{in_words(name)}"
        self._taken.mkdir(exist_ok=True)
        if name == LOOSE:
            self._loose.mkdir(exist_ok=True)
            for path in self._loose_files():
                # What has arrived since a take that was not finished belongs to the next delivery.
                if not (self._loose / path.name).exists():
                    path.replace(self._loose / path.name)
            return self._loose.replace(place)
        return (self.incoming / name).replace(place)

    def taken(self) -> list[Path]:
        """Return the deliveries that were taken and not filed yet, the first one first."""
        if not self._taken.is_dir():
            return []
        return sorted(path for path in self._taken.iterdir() if not path.name.startswith("."))

    def stamps(self, delivery: Path) -> str:
        """Return what changes of a taken delivery that somebody still writes."""
        stamps = json.dumps(list(_stamps(delivery)))
        return hashlib.sha256(stamps.encode()).hexdigest()[:16]

    def keep(self, delivery: Path) -> Path:
        """Move a delivery that was loaded to the archive."""
        return _moved(delivery, self.archive)

    def reject(self, delivery: Path, report: str) -> Path:
        """Move a delivery that could not be used to `rejected`, its report beside it."""
        self.rejected.mkdir(parents=True, exist_ok=True)
        (self.rejected / f"{delivery.name}.txt").write_text(report, encoding="utf-8")
        return _moved(delivery, self.rejected)

    def _loose_files(self) -> list[Path]:
        places = [place for place in (self.incoming, self._loose) if place.is_dir()]
        return [path for place in places for path in place.iterdir() if _is_loose(path)]


def in_words(name: str) -> str:
    """Return a delivery's name as text that every file system and record can hold."""
    text = name.rstrip("/").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    path = Path(text)
    parts = ((path.stem, LONGEST_STEM), (path.suffix, LONGEST_SUFFIX))
    return "".join(part.encode()[:most].decode("utf-8", "ignore") for part, most in parts)


def _as_counted(name: str) -> list[tuple[bool, int, str]]:
    """Return what names are ordered by: their numbers as numbers."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _is_delivery(path: Path) -> bool:
    """Tell a file or directory from links, which may lead anywhere, and from pipes."""
    is_hidden = path.name.startswith(".") or path.is_symlink()
    return not is_hidden and (path.is_file() or path.is_dir())


def _is_loose(path: Path) -> bool:
    is_named = any(layout.file == path.name.lower() for layout in LAYOUTS)
    return is_named and _is_delivery(path) and path.is_file()


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of change of a file, or of everything in a directory."""
    for part in (path, *sorted(path.rglob("*"))):
        stat = part.lstat()
        yield part.name, stat.st_size, stat.st_mtime_ns


def _moved(delivery: Path, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    place = directory / delivery.name
    if place.is_dir():
        # A move to another disk that was not finished; the whole of it is still here.
        shutil.rmtree(place)
    return Path(shutil.move(delivery, place))
