"""Writes a snapshot as dcgm-exporter would: names, units, types and labels.

Classic text alone, as from dcgm-exporter: OpenMetrics would demand ``_total`` of its counters.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from agent.catalogue import attributes
from agent.snapshot import Snapshot
from agent.xid.table import XIDS
from exporters.dcgm.families import FAMILIES, XID
from exporters.dcgm.rows import Entity, facts, rows
from exporters.dcgm.xids import LastXids
from exporters.prometheus import classic_header, gzipped, label_pairs, number

_HEADERS: Final = {
    family.name: classic_header(family.name, family.kind, family.help) for family in FAMILIES
}
_NAMES: Final = {xid.code: xid.name for xid in XIDS}
_NO_ERROR: Final = "No Error"
_UNKNOWN_ERROR: Final = "Unknown Error"


class DcgmExposition:
    """Writes snapshots; ``node`` is the host's name, in a label unless empty.

    ``hostname_label``: dcgm-exporter wrote ``Hostname`` until it became ``hostname`` in 2026 (its pull
    request 655). Most rules that there are have the older spelling; dashboard 12239 needs neither, it
    selects by ``instance`` and ``gpu``.
    """

    def __init__(
        self, node: str, *, hostname_label: Literal["Hostname", "hostname"] = "Hostname"
    ) -> None:
        self._node = node
        self._hostname_label = hostname_label
        self._xids = LastXids()
        self._sequence = 0
        self._text = b""
        self._gzipped = b""

    def text(self, snapshot: Snapshot, *, compressed: bool = False) -> bytes:
        """Return the snapshot in the classic format 0.0.4; gzipped where ``compressed``.

        One snapshot is written once, however often it is asked for.
        """
        if snapshot.sequence != self._sequence:
            self._text, self._gzipped = self._write(snapshot), b""
            self._sequence = snapshot.sequence
        if compressed and not self._gzipped:
            self._gzipped = gzipped(self._text)
        return self._gzipped if compressed else self._text

    def _write(self, snapshot: Snapshot) -> bytes:
        known = facts(snapshot)
        labels = {Entity(uuid): self._labels(uuid, told) for uuid, told in known.items()}
        parts: list[str] = []
        listed = rows(snapshot)
        for family in FAMILIES:
            lines = [
                f"{family.name}{{{self._of(entity, known, labels)}}} {number(value)}\n"
                for entity, value in listed.get(family.name, ())
                if entity.uuid in known
            ]
            if lines:
                parts += (_HEADERS[family.name], *lines)
        parts += self._last_xids(snapshot, labels)
        return "".join(parts).encode("utf-8", "replace")

    def _last_xids(self, snapshot: Snapshot, labels: Mapping[Entity, str]) -> Iterable[str]:
        lines = [
            f"{XID.name}{{{own},{_of_xid(code)}}} {code}\n"
            for uuid, code in self._xids.update(snapshot).items()
            if (own := labels.get(Entity(uuid)))
        ]
        return (_HEADERS[XID.name], *lines) if lines else ()

    def _of(
        self, entity: Entity, known: Mapping[str, Mapping[str, str]], labels: dict[Entity, str]
    ) -> str:
        """Return the labels of a row, kept for the next one about the same."""
        found = labels.get(entity)
        if found is None:
            found = self._labels(entity.uuid, known[entity.uuid], entity.profile, entity.instance)
            labels[entity] = found
        return found

    def _labels(
        self, uuid: str, known: Mapping[str, str], profile: str = "", instance: str = ""
    ) -> str:
        """Return the labels in dcgm-exporter's order; what is not known is left out."""
        index = known[attributes.GPU_INDEX.key]
        pairs = {
            "gpu": index,
            "UUID": uuid,
            "pci_bus_id": known[attributes.GPU_PCI.key],
            "device": f"nvidia{index}" if index else "",
            "modelName": known[attributes.HW_MODEL.key],
            "GPU_I_PROFILE": profile,
            "GPU_I_ID": instance,
            self._hostname_label: self._node,
            "DCGM_FI_DRIVER_VERSION": known[attributes.HW_DRIVER.key],
        }
        return label_pairs(pairs.keys(), pairs.values())


def _of_xid(code: int) -> str:
    """Return the labels that the last XID has besides."""
    name = _NAMES.get(code, _UNKNOWN_ERROR) if code else _NO_ERROR
    return label_pairs(("err_code", "err_msg"), (str(code), name))
