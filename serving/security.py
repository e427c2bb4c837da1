"""Who may ask: keys that are kept as hashes, and how often each of them may ask."""

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from sales_assets.addresses import LOOPBACK, in_url
from sales_assets.errors import SalesError

Role = Literal["read", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
PREFIX = "sales_"
# A key is random, not chosen: so many bytes cannot be guessed from a plain hash.
KEY_BYTES = 32


ANONYMOUS = "anonymous"
# How a browser or a command on this machine names it.
LOCAL_HOSTS = tuple(in_url(host) for host in LOOPBACK)
# What a browser says of the service's own pages, and of what no page asks.
OWN_SITE = ("same-origin", "none")


class AccessError(SalesError):
    """A key cannot be added, revoked or read; the message says why."""


class AccessDeniedError(SalesError):
    """The caller has no key."""


class TooManyRequestsError(SalesError):
    """The caller has to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many requests; wait a moment.")
        self.seconds = seconds


@dataclass(frozen=True)
class Key:
    """What is kept of a key.

    Attributes:
        name: Whose it is, or what for.
        role: `read` asks for forecasts, `admin` also changes what answers.
        sha256: Hash of the key; the key itself is told once and kept nowhere.
        created_at: When it was added, UTC.
    """

    name: str
    role: Role
    sha256: str
    created_at: str


class Keys:
    """The keys of a home, read again whenever their file has changed.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}

    def all(self) -> list[Key]:
        """Return the keys by name.

        Raises:
            AccessError: The file is damaged.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return []
        if (stat.st_mtime_ns, stat.st_ino) != self._seen:
            self._keys = self._read()
            self._seen = (stat.st_mtime_ns, stat.st_ino)
        return sorted(self._keys.values(), key=lambda key: key.name)

    def add(self, name: str, role: Role = "read") -> str:
        """Add a key and return it; it cannot be had again.

        Raises:
            AccessError: The name is taken or unusable.
        """
        if not NAME.fullmatch(name):
            raise AccessError(
                f"{name!r} is no name for a key; use up to 64 of a to z, 0 to 9, dot, dash and "
                "underscore, a letter or digit first."
            )
        text = PREFIX + secrets.token_urlsafe(KEY_BYTES)
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._locked():
            present = self.all()
            if any(key.name == name for key in present):
                raise AccessError(f"There is a key named {name} already; revoke it first.")
            self._write([*present, Key(name, role, _hashed(text), created_at)])
        return text

    def revoke(self, name: str) -> None:
        """Forget a key; a running service refuses it from now on.

        Raises:
            AccessError: There is no such key.
        """
        with self._locked():
            present = self.all()
            if all(key.name != name for key in present):
                known = ", ".join(key.name for key in present) or "none"
                raise AccessError(f"There is no key named {name}; keys there are: {known}.")
            self._write([key for key in present if key.name != name])

    def owner(self, text: str) -> Key | None:
        """Return whose key that is, or nothing; the time it takes does not tell how near it was."""
        presented, found = _hashed(text), None
        for key in self.all():
            if hmac.compare_digest(key.sha256, presented):
                found = key
        return found

    def _read(self) -> dict[str, Key]:
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
            keys = [Key(**value) for value in values]
            if any(key.role not in ROLES for key in keys):
                raise ValueError("a role is unknown")
        except (OSError, ValueError, TypeError) as error:
            raise AccessError(f"{self.path} cannot be read: {error}.") from None
        return {key.name: key for key in keys}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time read, change and write, so that no revoked key comes back."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, keys: list[Key]) -> None:
        fresh = self.path.with_suffix(".tmp")
        fresh.unlink(missing_ok=True)
        text = json.dumps([asdict(key) for key in keys], indent=2) + "\n"
        # Of no one else's business, from the first byte.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(self.path)


@dataclass(frozen=True)
class Caller:
    """Who asks, and what they may."""

    name: str
    role: Role


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        keys: The keys there are.
        limit: How often each caller may ask.
        needs_key: Whether a key is needed even as long as there are none.
    """

    keys: Keys
    limit: "RateLimit"
    needs_key: bool

    def caller(self, authorization: str, host: str, origin: str = "", site: str = "") -> Caller:
        """Return who asks.

        Args:
            authorization: The header of that name.
            host: The name by which the service was called.
            origin: Of the page that asks, where a browser names it (`Origin`).
            site: How that page's site is related to the service's (`Sec-Fetch-Site`).

        Raises:
            AccessDeniedError: There is no key, or one that is not known.
            TooManyRequestsError: The caller has to wait.
        """
        caller = self._known(authorization, host, origin, site)
        seconds = self.limit.wait(caller.name)
        if seconds:
            raise TooManyRequestsError(seconds)
        return caller

    def _known(self, authorization: str, host: str, origin: str, site: str) -> Caller:
        if self.needs_key or self.keys.all():
            scheme, _, text = authorization.partition(" ")
            owner = self.keys.owner(text.strip()) if scheme.lower() == "bearer" else None
            if owner is None:
                raise AccessDeniedError("A known key is needed: Authorization: Bearer KEY.")
            return Caller(owner.name, owner.role)
        # A page from elsewhere could otherwise give its own name this machine's address.
        if re.sub(r":\d+$", "", host) not in LOCAL_HOSTS:
            raise AccessDeniedError("Without keys only 127.0.0.1 and localhost are answered.")
        # Nor may it ask by the browser of someone who sits at this machine.
        is_own = site in OWN_SITE if site else not origin or urlsplit(origin).netloc == host
        if not is_own:
            raise AccessDeniedError("Without keys no page from elsewhere is answered.")
        return Caller(ANONYMOUS, "admin")


class RateLimit:
    """A bucket of tokens for each caller: so many at once, and so many a second after that.

    Args:
        per_second: How fast a bucket fills.
        burst: How many tokens it holds.
        now: The clock, in seconds; tests pass their own.
    """

    def __init__(
        self, per_second: float, burst: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_second, self.burst, self.now = per_second, burst, now
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str) -> float:
        """Take a token and return 0, or return the seconds until there will be one."""
        now = self.now()
        tokens, since = self._buckets.get(caller, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - since) * self.per_second)
        if tokens < 1:
            self._buckets[caller] = (tokens, now)
            return (1 - tokens) / self.per_second
        self._buckets[caller] = (tokens - 1, now)
        return 0.0


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
