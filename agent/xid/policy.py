"""Who pages for what: vendors disagree, so the urgency of a code is a choice, and the choice is data.

A pack lists only the codes on which a vendor takes a stand; NVIDIA's urgency stays for the rest. Sources, as
read in 2025: ``eks`` is the well-known list of aws/eks-node-monitoring-agent (it replaces the node);
``azure`` the codes on which Azure/azurehpc-health-checks fails a node; ``gcm`` the ones that
facebookresearch/gcm and NVIDIA's Kubernetes device plugin pass over.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from agent.xid import nvlink5, verdict
from agent.xid.record import Action, Nature, Urgency
from agent.xid.table import PAGING, look_up

_EKS_FATAL: Final = (
    46, 48, 54, 62, 63, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 142, 143, 151, 155, 156, 158,
)  # fmt: skip
_AZURE_FAILS: Final = (
    48, 56, 57, 58, 62, 63, 64, 65, 68, 69, 73, 74, 79, 80, 81, 92, 119, 120,
)  # fmt: skip
_GCM_PASSES: Final = (13, 31, 43, 45, 63, 68, 92, 109)

PACKS: Final[Mapping[str, Mapping[int, Urgency]]] = MappingProxyType(
    {
        "nvidia": MappingProxyType({}),
        "eks": MappingProxyType(dict.fromkeys(_EKS_FATAL, Urgency.PAGE)),
        "azure": MappingProxyType(dict.fromkeys(_AZURE_FAILS, Urgency.PAGE)),
        "gcm": MappingProxyType(dict.fromkeys(_GCM_PASSES, Urgency.INFO)),
    }
)
"""The packs by name; the first is the default."""

LARGEST_CODE: Final = 9999
"""Codes above are garbage: NVIDIA's have three digits."""
_BY_WORD: Final = {urgency.word: urgency for urgency in Urgency}
_NOT_REAL: Final = re.compile(
    r"\b(?:simulated|injected|error[ -]injection|fault[ -]injection)\b", re.IGNORECASE
)
"""Words of a line that somebody made to test something; GPU Operational Events say SIMULATED."""


class Judgement(NamedTuple):
    """What an XID means under a policy. ``note`` is what its line says beyond the code."""

    name: str
    nature: Nature
    action: Action
    urgency: Urgency
    simulated: bool = False
    note: str = ""


class Policy:
    """Judges XIDs: the pack named, and over it what the operator says.

    ``overrides`` maps a code to ``page``, ``ticket`` or ``info``. An override of 144 to 150 or 154 holds
    whatever the line says. Raises `ValueError` with all that is wrong with them.
    """

    def __init__(self, pack: str = "nvidia", overrides: Mapping[int, str] | None = None) -> None:
        wrong = [] if pack in PACKS else [f"XID policy {pack!r}: it is one of {', '.join(PACKS)}"]
        own = overrides or {}
        for code, word in own.items():
            if not 1 <= code <= LARGEST_CODE:
                wrong.append(f"XID override {code!r}: a code is a number from 1 to {LARGEST_CODE}")
            if word not in _BY_WORD:
                wrong.append(f"XID override {code}: {word!r} is not page, ticket or info")
        if wrong:
            raise ValueError("; ".join(wrong))
        self._urgencies = {
            **PACKS[pack],
            **{code: _BY_WORD[word] for code, word in own.items()},
        }
        self.paging: Final = tuple(
            sorted(
                {code for code in PAGING if self._urgencies.get(code, Urgency.PAGE) == Urgency.PAGE}
                | {code for code, urgency in self._urgencies.items() if urgency == Urgency.PAGE}
            )
        )
        """The codes that page whatever their line says."""

    def judge(self, code: int, text: str = "") -> Judgement:
        """Return what XID ``code`` means; ``text`` is the line behind the code, where there is one."""
        known = look_up(code)
        judged = Judgement(known.name, known.nature, known.action, known.urgency)
        if code == verdict.CODE:
            judged = _with_verdict(judged, text)
        elif nvlink5.FIRST <= code <= nvlink5.LAST:
            judged = _with_decoding(judged, code, text)
        if code in self._urgencies:
            judged = judged._replace(urgency=self._urgencies[code])
        if known.nature is Nature.TEST or judged.simulated or made_to_test(text):
            judged = judged._replace(urgency=Urgency.INFO, simulated=True)
        return judged


def made_to_test(text: str) -> bool:
    """Return whether a line says that somebody made the error to test something."""
    return _NOT_REAL.search(text) is not None


def _with_verdict(judged: Judgement, text: str) -> Judgement:
    read = verdict.read(text)
    if read is None:
        return judged._replace(note="its line names no action that is known")
    return judged._replace(
        action=read.action, urgency=read.urgency, note=f"the driver's verdict: {read.words}"
    )


def _with_decoding(judged: Judgement, code: int, text: str) -> Judgement:
    decoded = nvlink5.decode(code, text)
    if decoded is None:
        return judged._replace(note="its registers could not be decoded")
    return judged._replace(
        action=decoded.action,
        urgency=decoded.urgency,
        simulated=decoded.injected,
        note=f"unit {decoded.unit}",
    )
