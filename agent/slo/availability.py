"""Availability from counters: which requests ended well, of all that were asked for.

All is the requests that ended, those that were refused, and those that failed before an engine saw them.
Servers overlap in what they count: an error whose word is also a reason for which requests ended is one of
them, and a refusal whose word is also an error is that error. A request that is itself wrong is no error
of the server's, as its HTTP status says (4xx, but for 429). One that its client gave up ended.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.catalogue import Metric, serving
from agent.slo.growth import Growth

COUNTERS: Final = (
    serving.REQUESTS_FINISHED,
    serving.REQUESTS_ERRORS,
    serving.REQUESTS_REJECTED,
)
_OF_CLIENT: Final = re.compile(r"4(?!29)(\d\d|xx)")
_OF_SERVER: Final = re.compile(r"5(\d\d|xx)")

ModelKey = tuple[str, str, str]
"""Server, provider and model."""
_Words = dict[str, float]
"""Requests by the server's own word for what became of them, in lower case."""


def _words() -> _Words:
    return defaultdict(float)


@dataclass(slots=True)
class _Requests:
    finished: _Words = field(default_factory=_words)
    errors: _Words = field(default_factory=_words)
    rejected: _Words = field(default_factory=_words)


def availability(
    grown: Iterable[tuple[Metric, tuple[str, ...], float]],
) -> Mapping[ModelKey, Growth]:
    """Return what each model's requests came to; ``grown`` is by how much each counter grew.

    Counters without growth must be there as well: they tell which models a server has, and which words.
    Models of which the server does not say what ended are left out: errors alone are no share of anything.

    Errors of the HTTP front end, which knows no model, count for the only model of a server, as far as
    its engine has not counted them already; where there are several, nobody can say whose they were.
    """
    requests: dict[ModelKey, _Requests] = defaultdict(_Requests)
    front: dict[tuple[str, str], _Words] = defaultdict(_words)
    for metric, attributes, amount in grown:
        server, provider, model = attributes[:3]
        word = attributes[-1].lower()
        if metric is serving.REQUESTS_FINISHED:
            requests[server, provider, model].finished[word] += amount
        elif metric is serving.REQUESTS_REJECTED:
            requests[server, provider, model].rejected[word] += amount
        elif not model and _OF_SERVER.fullmatch(word):
            front[server, provider][word] += amount
        elif not _OF_CLIENT.fullmatch(word):
            requests[server, provider, model].errors[word] += amount
    told = {key: one for key, one in requests.items() if one.finished}
    for key, one in told.items():
        if not key[2]:  # a server that names no model at all: its errors are nobody else's
            one.errors.update(front.pop(key[:2], {}))
    return {
        key: _judged(one, sum(front[key[:2]].values()) if _is_alone(key, told) else 0.0)
        for key, one in told.items()
    }


def _is_alone(key: ModelKey, told: Mapping[ModelKey, _Requests]) -> bool:
    return sum(other[:2] == key[:2] for other in told) == 1


def _judged(one: _Requests, front: float) -> Growth:
    errors = sum(one.errors.values())
    unseen = max(0.0, front - errors)
    refused = sum(n for word, n in one.rejected.items() if word not in one.errors)
    beside = sum(n for word, n in one.errors.items() if word not in one.finished)
    beside += sum(n for w, n in one.rejected.items() if w not in {**one.errors, **one.finished})
    total = sum(one.finished.values()) + beside + unseen
    bad = min(errors + refused + unseen, total)
    return Growth(int(total - bad), int(total))
