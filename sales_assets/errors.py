"""Errors whose message is meant for a user: one plain sentence, no traceback."""


class SalesError(Exception):
    """Something a user can mend; the message says what, which and what next."""


class SourceError(SalesError):
    """A delivery that cannot be used; nothing of it was loaded."""


class HomeError(SalesError):
    """The home cannot be written, or another process is changing it."""


class WarehouseError(SalesError):
    """The warehouse file cannot be opened, read or published."""


class ModelStoreError(SalesError):
    """A model version is unknown, incomplete, or not the one that was recorded."""


class ReleaseError(SalesError):
    """What should answer in real time is missing, incomplete, or not what was released."""
