"""Which format and which coding a client asked for, by the q-values of its headers (RFC 9110, 12.4)."""

from collections.abc import Iterator
from typing import NamedTuple


class _Choice(NamedTuple):
    """One element of an Accept header: ``name`` in lower case, its parameters, its weight."""

    name: str
    parameters: dict[str, str]
    weight: float


def wants_openmetrics(accept: str) -> bool:
    """Return whether OpenMetrics 1.0.0 is asked for, and at least as much as plain text.

    A wildcard is not asking: browsers and curl send one, and want something to read.
    """
    wanted, plain = 0.0, {"text/plain": 0.0, "text/*": 0.0, "*/*": 0.0}
    for name, parameters, weight in _choices(accept):
        if name == "application/openmetrics-text":
            if parameters.get("version", "1.0.0") == "1.0.0":
                wanted = max(wanted, weight)
        elif name in plain:
            plain[name] = max(plain[name], weight)
    return wanted > 0 and wanted >= next(filter(None, plain.values()), 0.0)


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a gzipped answer is welcome; an explicit ``gzip`` outweighs ``*``."""
    weights = {name: weight for name, _, weight in _choices(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _choices(header: str) -> Iterator[_Choice]:
    for element in header.split(","):
        name, *rest = (part.strip() for part in element.split(";"))
        if not name:
            continue
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        yield _Choice(name.lower(), parameters, _weight(parameters.pop("q", "1")))


def _weight(text: str) -> float:
    """Return a q-value; what is none counts as 0, so that nothing is sent that was not asked for."""
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
