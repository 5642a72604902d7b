"""Fixtures: the simulated library, and nodes that find it."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.agent.collectors.nvml.node import Node
from tests.simulated_nvml.build import CannotBuildError
from tests.simulated_nvml.build import build as build_library


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that builds the library without some symbols, once for each choice."""

    @cache
    def built(*without: str) -> Path:
        try:
            library = build_library(tmp_path_factory.mktemp("nvml"), without)
        except CannotBuildError as error:
            pytest.skip(f"the simulated NVML library cannot be built: {error}")
        return library

    return built


@pytest.fixture
def start(tmp_path: Path, build: Callable[..., Path]) -> Iterator[Callable[..., Node]]:
    """Return a function that starts a node, ``without`` symbols or with no ``library`` at all."""
    nodes: list[Node] = []

    def started(
        without: Sequence[str] = (), *, library: bool = True, modules: Path | None = None
    ) -> Node:
        nodes.append(Node(tmp_path, build(*without) if library else None, modules))
        return nodes[-1]

    yield started
    for node in nodes:
        node.close()


@pytest.fixture(scope="session")
def standing(
    tmp_path_factory: pytest.TempPathFactory, build: Callable[..., Path]
) -> Iterator[Node]:
    """Return the node that tests share, since starting one takes longer than a test."""
    node = Node(tmp_path_factory.mktemp("node"), build())
    yield node
    assert node.close() == 0


@pytest.fixture
def node(standing: Node) -> Node:
    """Return a node with the whole simulated library: 8 healthy GPUs unless told otherwise."""
    standing.renew()
    return standing
