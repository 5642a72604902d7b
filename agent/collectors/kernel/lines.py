"""From a line of the kernel log to what it reports. Pure.

The forms that NVIDIA's drivers write (docs.nvidia.com/deploy/xid-errors, and the fabric manager's guide):

    NVRM: Xid (PCI:0000:91:00): 79, pid=1234, name=python3, GPU has fallen off the bus.
    NVRM: Xid (PCI:0000:01:00 GPU-I:05): 94, pid=7, name=trainer, Contained: ...
    NVRM: Xid (0000:03:00): 31, Ch 00000010, engmask 00000101, ...
    NVRM: GPU at PCI:0000:09:00: GPU-ba5b9a8e-6ef6-...
    nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 48 LTSSM Fault Up
    nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Data {0x50611010, 0x50610000, ...}

The last is the continuation of the one before. Two lines may have run into one, and a line may be cut.
"""

import re
from typing import Final, NamedTuple

from agent.collectors.kernel.oom_kills import concerns_oom
from agent.xid.sighting import address

TEXT: Final = 400
"""Characters kept of what a line says: the longest known form has about 250."""
_NAME: Final = 64

_HEADER: Final = re.compile(
    r"\b(?P<kind>S?Xid)\s*\((?:PCI:)?(?P<pci>[0-9a-fA-F:.]{1,20})(?:\s[^)]{0,40})?\)\s*:\s*"
    r"(?:(?P<code>\d{1,9})(?P<rest>.*?))?(?=NVRM: Xid\b|nvidia-nvswitch\d{1,3}: SXid\b|\Z)",
    re.DOTALL,
)
_BEGINNING: Final = re.compile(r"NVRM: Xid\b|nvidia-nvswitch\d{1,3}: SXid\b")
_PID: Final = re.compile(r"\bpid='?(?P<pid>\d{1,10})\b")
_PROCESS: Final = re.compile(r"\bname=(?P<name>[^,\n]{1,200})")
_NOT_WORDS: Final = re.compile(r"^[\s,]*(?:pid=[^,]*,?\s*)?(?:name=[^,]*,?\s*)?")
_LOCATED: Final = re.compile(
    r"\bGPU at PCI:(?P<pci>[0-9a-fA-F:.]{1,20}):\s*(?P<uuid>GPU-[0-9a-fA-F-]{8,64})"
)
_FATAL: Final = re.compile(r"^[\s,]*(?:severity[ :]*)?(?P<non>non-?\s*)?fatal\b", re.IGNORECASE)
_DATA: Final = re.compile(
    r"^[\s,]*(?:(?:non-?\s*)?fatal\s*,\s*)?(?:link \d+\s*,?\s*)?data\b", re.IGNORECASE
)


class XidLine(NamedTuple):
    """An XID, or an SXID where ``switch``; ``pci`` as `agent.xid.sighting.address` gives it."""

    pci: str
    code: int
    text: str = ""
    pid: int | None = None
    process: str = ""
    switch: bool = False
    fatal: bool = False


class LocatedLine(NamedTuple):
    """Which GPU sits at a PCI address."""

    pci: str
    uuid: str


class BrokenLine(NamedTuple):
    """A line that reports an error and cannot be read: cut, or of a form that nobody has seen."""

    text: str


Line = XidLine | LocatedLine | BrokenLine


def worth_reading(message: bytes) -> bool:
    """Return whether it is worth decoding: cheap, for the thousands of lines that are not."""
    return b"Xid" in message or b"GPU at PCI:" in message or concerns_oom(message)


def read(message: str) -> list[Line]:
    """Return what a line reports; mostly nothing, more than one where lines ran into each other."""
    lines: list[Line] = [
        LocatedLine(pci, found["uuid"])
        for found in _LOCATED.finditer(message)
        if (pci := address(found["pci"]))
    ]
    headers = list(_HEADER.finditer(message))
    for header in headers:
        pci = address(header["pci"])
        if not pci or header["code"] is None:
            lines.append(BrokenLine(message[:TEXT]))
        elif line := _error(pci, header):
            lines.append(line)
    starts = len(_BEGINNING.findall(message))
    if starts > len(headers):
        lines += [BrokenLine(message[:TEXT])] * (starts - len(headers))
    return lines


def _error(pci: str, header: re.Match[str]) -> XidLine | None:
    code, rest = int(header["code"]), header["rest"]
    if header["kind"] == "SXid":
        return _switch_error(pci, code, rest)
    pid, process = _PID.search(rest), _PROCESS.search(rest)
    name = process["name"].strip(" '") if process else ""
    return XidLine(
        pci,
        code,
        _NOT_WORDS.sub("", rest, count=1).strip()[:TEXT],
        int(pid["pid"]) if pid else None,
        "" if name == "<unknown>" else _executable(name),
    )


def _switch_error(pci: str, code: int, rest: str) -> XidLine | None:
    if _DATA.match(rest):
        return None
    severity = _FATAL.match(rest)
    fatal = severity is not None and severity["non"] is None
    return XidLine(pci, code, rest.strip(" ,\n")[:TEXT], switch=True, fatal=fatal)


def _executable(name: str) -> str:
    """Return the executable's name, never its path or arguments."""
    return name.split(" ", 1)[0].rsplit("/", 1)[-1][:_NAME]
