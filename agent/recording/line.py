"""The format of a recording: JSON lines, one answer of the driver each.

The first line is the header, the last one ``end``. Lines of one round have the same ``at``, in seconds since
the beginning. An answer that is the same as the last one to the same question is not written again, except
for those that tell what happened since then. A file whose name ends in ``.gz`` is compressed.

====  ============================================================================================
key   value
====  ============================================================================================
at    seconds since the beginning
ask   a method of the driver: open, device_count, identity, sample, ..., xid_events; or ``end``
gpu   the index, where the question is about one GPU
ok    the answer: records as objects, without the fields that are at their default
error in place of the answer: kind (lost, device, gone, unavailable), reason, detail
====  ============================================================================================
"""

import json
from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from agent.collector import Unavailable
from agent.collectors.nvml.driver import (
    DeviceError,
    DriverGone,
    DriverInfo,
    GpuLost,
    Identity,
    Mig,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)
from agent.recording.codec import WrongShapeError, decode, encode

VERSION: Final = 1
"""Raised when a line of before would be read wrongly; new fields alone do not raise it."""
MARK: Final = "warpwatch_recording"
"""The header's key for the version: what tells a recording from any other file."""
LONGEST_LINE: Final = 1_000_000
"""Characters: far more than a GPU with a thousand processes takes."""
OF_A_GPU: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "identity": Identity,
        "sample": Sample,
        "recent": RecentSamples,
        "processes": Processes,
        "mig": Mig,
    }
)
"""The questions about one GPU, in the order in which they are asked, and what answers them."""
OF_THE_NODE: Final[Mapping[str, Any]] = MappingProxyType(
    {"open": DriverInfo, "device_count": int, "xid_events": tuple[XidEvent, ...]}
)
SINCE_LAST_TIME: Final = frozenset({"recent", "xid_events"})
"""Questions whose answer is what happened since they were last asked."""
END: Final = "end"


class DamagedLineError(ValueError):
    """A line that cannot be understood; the message says why."""


class Line(NamedTuple):
    """One answer. ``answer`` is the record, or the exception that was raised in its place."""

    at: float
    ask: str
    gpu: int | None
    answer: Any
    unknown: frozenset[str] = frozenset()
    """Fields that this version does not know."""


class _Failure(NamedTuple):
    kind: str
    reason: str
    detail: str


def encoded(line: Line) -> dict[str, Any]:
    """Return a line as JSON has it."""
    plain: dict[str, Any] = {"at": round(line.at, 3), "ask": line.ask}
    if line.gpu is not None:
        plain["gpu"] = line.gpu
    if isinstance(line.answer, Exception):
        plain["error"] = encode(_failure(line.answer))
    elif line.ask != END:
        plain["ok"] = encode(line.answer)
    return plain


def parsed(text: str) -> Line:
    """Read one line. Raises `DamagedLineError`."""
    try:
        plain = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedLineError(f"is not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise DamagedLineError("is no object")
    unknown: set[str] = set()
    try:
        return _line(plain, unknown)
    except WrongShapeError as error:
        raise DamagedLineError(str(error)) from error


def _line(plain: dict[str, Any], unknown: set[str]) -> Line:
    at, ask, gpu = plain.get("at"), plain.get("ask"), plain.get("gpu")
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 1e9:
        raise WrongShapeError(f"at is {at!r}, which is no time")
    if not isinstance(ask, str):
        raise WrongShapeError(f"ask is {ask!r}, which is no question")
    if ask in OF_A_GPU and (type(gpu) is not int or not 0 <= gpu < 1024):
        raise WrongShapeError(f"gpu is {gpu!r}, which is no index")
    hint = OF_A_GPU.get(ask) or OF_THE_NODE.get(ask)
    if ask == END:
        return Line(float(at), ask, None, None)
    if hint is None:
        return Line(float(at), ask, None, None, frozenset({ask}))
    index = gpu if ask in OF_A_GPU else None
    if "error" in plain:
        failure = decode(_Failure, plain["error"], unknown, "error")
        return Line(float(at), ask, index, _exception(failure), frozenset(unknown))
    answer = decode(hint, plain.get("ok"), unknown, "ok")
    return Line(float(at), ask, index, answer, frozenset(unknown))


def _failure(error: Exception) -> _Failure:
    said = str(error)
    match error:
        case GpuLost():
            return _Failure("lost", error.reason, said)
        case DeviceError():
            return _Failure("device", error.reason, said)
        case Unavailable():
            return _Failure("unavailable", "", said)
        case _:
            return _Failure("gone", "", said)


def _exception(failure: _Failure) -> Exception:
    match failure.kind:
        case "lost":
            return GpuLost(failure.detail)
        case "device":
            return DeviceError(_one_word(failure.reason), failure.detail)
        case "unavailable":
            return Unavailable(failure.detail)
        case "gone":
            return DriverGone(failure.detail)
    raise WrongShapeError(f"error.kind is {failure.kind!r}, which is none of ours")


def _one_word(reason: str) -> str:
    """Return a reason as it may stand in a label, whatever a file says."""
    plain = reason.isascii() and reason.replace("_", "").isalnum() and len(reason) <= 40
    return reason if plain else "unrecognized_error"


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def header(text: str) -> float:
    """Read the header; return the seconds between two rounds. Raises `DamagedLineError`."""
    try:
        plain = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict) or MARK not in plain:
        raise DamagedLineError("it is no recording of warpwatch's; make one: doctor --record FILE")
    if plain[MARK] != VERSION or isinstance(plain[MARK], bool):
        raise DamagedLineError(
            f"it is of version {str(plain[MARK])[:20]} of the format, and this agent reads version "
            f"{VERSION}: use the agent that made it, or record anew"
        )
    interval = plain.get("interval")
    if isinstance(interval, int | float) and isfinite(interval) and 0 < interval <= 3600:
        return float(interval)
    return 1.0
