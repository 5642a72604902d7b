"""What the other collectors told last, as far as it says who might hold which GPU. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from agent.catalogue import gpu, gpu_mig, serving
from agent.snapshot import Batch, Holder, Reading

_MEMORY: Final = (gpu.MEMORY_LIMIT, gpu_mig.MIG_MEMORY_LIMIT)


@dataclass(frozen=True, slots=True)
class Board:
    """A GPU: its number on this boot, its product name, and its memory in bytes where that is known."""

    uuid: str
    index: str
    model: str
    memory: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A MIG device of a board, by NVML's numbers, and its memory in bytes where it is told for it."""

    uuid: str
    board: str
    numbers: tuple[str, str]
    memory: float | None = None


class Served(NamedTuple):
    """What a server is and has: its kind, whether it is up, and its models with their versions."""

    provider: str
    up: bool
    models: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Sight:
    """Everything at one moment; boards and parts by UUID, servers by name."""

    boards: dict[str, Board] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    served: dict[str, Served] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()

    def device(self, holder: Holder) -> str | None:
        """Return the board or MIG device that a process holds; `None` if it is on an unknown part."""
        parts = [each for each in self.parts.values() if each.board == holder.hw_id]
        if not parts:
            return holder.hw_id
        numbers = (str(holder.gpu_instance), str(holder.compute_instance))
        return next((each.uuid for each in parts if each.numbers == numbers), None)

    def named(self, name: str) -> str | None:
        """Return the board or MIG device that a configuration names by UUID or index."""
        if name in self.boards or name in self.parts:
            return name
        return next((each.uuid for each in self.boards.values() if each.index == name), None)


def sight_of(batches: Iterable[Batch]) -> Sight:
    """Return what the batches of a snapshot tell."""
    sight = Sight()
    for batch in batches:
        sight.holders += batch.holders
        if batch.readings and batch.readings[0].metric is serving.SERVER_UP:
            _meet_server(sight, batch)
        else:
            _meet_gpus(sight, batch.readings)
    return sight


def _meet_server(sight: Sight, batch: Batch) -> None:
    (name, provider), up = batch.readings[0].attributes[:2], batch.readings[0].value == 1
    depth = len(serving.MODEL_ATTRIBUTES)
    models = {
        attributes[2:4]
        for metric, attributes, _ in batch.readings
        if metric.attributes[:depth] == serving.MODEL_ATTRIBUTES and attributes[2]
    }
    pairs = sorted((model, version) for model, version in models)
    sight.served[name] = Served(provider, up, tuple(pairs))


def _meet_gpus(sight: Sight, readings: Iterable[Reading]) -> None:
    memory: dict[str, float] = {}
    for metric, attributes, value in readings:
        if metric is gpu.INFO:
            uuid, index, model = attributes[:3]
            sight.boards.setdefault(uuid, Board(uuid, index, model))
        elif metric is gpu_mig.MIG_INFO:
            uuid, board, _, *numbers = attributes
            sight.parts.setdefault(uuid, Part(uuid, board, (numbers[0], numbers[1])))
        elif metric in _MEMORY and isinstance(value, int | float):
            memory[attributes[0]] = value
    _remember(sight.boards, memory)
    for uuid in memory.keys() & sight.parts.keys():
        sight.parts[uuid] = replace(sight.parts[uuid], memory=memory[uuid])


def _remember(boards: dict[str, Board], memory: Mapping[str, float]) -> None:
    for uuid in memory.keys() & boards.keys():
        boards[uuid] = replace(boards[uuid], memory=memory[uuid])
