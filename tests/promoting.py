"""Champions without a refresh: what is decided of a version is published at once."""

from sales_assets.forecasting.champion import Champion, Choice
from sales_assets.forecasting.model_store import ModelStore


def settle(store: ModelStore) -> Champion:
    """Do to the champion what a publication does, and return it."""
    champion = store.settled()
    assert champion is not None, "nothing was decided"
    store.crown(champion)
    store.finish()
    return champion


def promoted(store: ModelStore, version: str, reason: str = "a test") -> Champion:
    """Make a version champion as a refresh does, and return the champion."""
    present = store.champion()
    against = present.version if present else None
    store.decide(Choice(version, version, against, version, reason, "", False, store.now()))
    return settle(store)


def chosen(store: ModelStore, version: str, reason: str = "a test") -> Champion:
    """Make a version champion as `sales models promote` does, and return the champion."""
    store.choose(version, reason)
    return settle(store)


def rolled_back(store: ModelStore, reason: str = "a test") -> Champion:
    """Go back as `sales models rollback` does, and return the champion."""
    store.roll_back(reason)
    return settle(store)
