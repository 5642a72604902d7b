"""What an hour of a GPU costs, by its model. Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase


def price_of(model: str, prices: Mapping[str, float]) -> float | None:
    """Return the price of a model, `None` where none is configured for it.

    An exact name goes before patterns, and of patterns that match the longest, which says the most.
    Capitals make no difference: people write names down from several tools.
    """
    known = {name.lower(): price for name, price in prices.items()}
    named = model.lower()
    if named in known:
        return known[named]
    matching = [name for name in known if fnmatchcase(named, name)]
    return known[max(matching, key=len)] if matching else None
