"""PCIe and NVLink through the real binding: bytes, wraps, links, errors."""

from collections.abc import Callable

import pytest

from agent.catalogue import Metric, gpu_work
from agent.snapshot import Batch
from agent.vetting import vet
from tests.agent.collectors.nvml.node import Node, problems, uuid, value

Start = Callable[..., Node]
KIB = 1024


def entries(batch: Batch, metric: Metric, index: int) -> dict[tuple[str, ...], object]:
    """Return the values of a metric of one GPU, by its attributes but for the GPU."""
    return {
        reading.attributes[1:]: reading.value
        for reading in batch.readings
        if reading.metric == metric and reading.attributes[0] == uuid(index)
    }


def test_pcie_bytes(node: Node) -> None:
    """The GPU's own counters give bytes per direction, and grow with them."""
    node.tell("elapsed 0")
    first = node.collect()
    node.tell("elapsed 1")

    second = node.collect()

    assert entries(first, gpu_work.IO, 1) == {
        ("transmit",): 5_001_000_000,
        ("receive",): 6_001_000_000,
    }
    assert entries(second, gpu_work.IO, 1) == {
        ("transmit",): 6_001_000_000,
        ("receive",): 8_001_000_000,
    }
    assert value(second, gpu_work.PCIE_REPLAYS, uuid(1)) == 3


def test_pcie_counter_that_wraps(node: Node) -> None:
    """A counter of 32 bits that wraps goes on growing."""
    node.tell("rule field:197 0 value 4294967000 3")
    node.collect()
    node.tell("rule field:197 0 value 704 3")

    batch = node.collect()

    assert value(batch, gpu_work.IO, uuid(0), "transmit") == 4294967000 + 1000
    assert batch.problems == ()


def test_pcie_counter_that_is_too_small(node: Node) -> None:
    """32 bits cannot be followed on a link that fills them between two samples; on a slow one they can."""
    narrow = "rule field:197 {} value 1000 1\nrule field:198 {} value 1000 1\n"
    slow = "rule nvmlDeviceGetMaxPcieLinkGeneration 1 value 1"
    node.tell(narrow.format(0, 0) + narrow.format(1, 1) + slow)
    node.collect()

    batch = node.collect()

    assert entries(batch, gpu_work.IO, 0) == {}
    assert entries(batch, gpu_work.IO, 1) == {("transmit",): 1000, ("receive",): 1000}
    assert batch.problems == ()


def test_pcie_without_counters(node: Node) -> None:
    """Where nothing else tells, one GPU and direction a run is asked the question that takes 20 ms."""
    node.tell("devices 2\nmodel t4 *\nlog 1")
    node.collect()
    node.ask("simulated", "nvmlSimulatedLog")

    batches = [node.collect() for _ in range(5)]

    log = node.ask("simulated", "nvmlSimulatedLog").decode().splitlines()
    assert [line for line in log if "PcieThroughput" in line] == [
        "nvmlDeviceGetPcieThroughput:0 0",
        "nvmlDeviceGetPcieThroughput:0 1",
        "nvmlDeviceGetPcieThroughput:1 0",
        "nvmlDeviceGetPcieThroughput:1 1",
        "nvmlDeviceGetPcieThroughput:0 0",
    ]
    for index in (0, 1):
        assert entries(batches[-1], gpu_work.PCIE_THROUGHPUT, index) == {
            ("transmit",): 1_000_000,
            ("receive",): 2_000_000,
        }
        assert entries(batches[-1], gpu_work.IO, index) == {}


def test_pcie_question_that_fails(node: Node) -> None:
    """A kept answer goes when the question fails, as one problem; unsupported, it is asked no more."""
    node.tell("devices 1\nmodel t4 *")
    for _ in range(3):
        node.collect()
    node.tell("devices 1\nmodel t4 *\nrule nvmlDeviceGetPcieThroughput 0 error 999")
    failing = node.collect()
    node.tell("devices 1\nmodel t4 *\nlog 1\nrule nvmlDeviceGetPcieThroughput 0 error 3")

    later = [node.collect() for _ in range(3)]

    assert problems(failing) == {("unknown_error", uuid(0), "pcie_throughput transmit")}
    assert entries(failing, gpu_work.PCIE_THROUGHPUT, 0) == {("receive",): 2_000_000}
    assert entries(later[-1], gpu_work.PCIE_THROUGHPUT, 0) == {}
    log = node.ask("simulated", "nvmlSimulatedLog").decode()
    assert log.count("PcieThroughput") == 1


def test_nvlink_together(node: Node) -> None:
    """By default a GPU's links are told together: bytes of all, states, speed, errors by kind."""
    batch = node.collect()

    assert entries(batch, gpu_work.NVLINK_IO, 2) == {
        ("transmit",): 18 * 1020 * KIB,
        ("receive",): 18 * 2020 * KIB,
    }
    assert entries(batch, gpu_work.NVLINKS, 2) == {
        ("active",): 18,
        ("inactive",): 0,
        ("sleep",): 0,
        ("traffic_disabled",): 0,
    }
    assert value(batch, gpu_work.NVLINK_BANDWIDTH, uuid(2)) == 18 * 26_562e6
    assert entries(batch, gpu_work.NVLINK_ERRORS, 2) == {
        ("crc",): 36,
        ("replay",): 18,
        ("recovery",): 0,
    }
    assert entries(batch, gpu_work.NVLINK_LINK_STATE, 2) == {}
    assert batch.problems == ()


def test_a_link_goes_down(node: Node) -> None:
    """A link that is down is counted as such, is no problem, and its errors stay in the sum."""
    node.collect()
    node.tell(
        """
        rule field:165@7 0 value 0 1
        rule field:161@7 0 error 29
        rule field:164@7 0 error 29
        rule field:162@3 0 value 6 3
        """
    )

    batch = node.collect(10)

    assert entries(batch, gpu_work.NVLINKS, 0)["inactive",] == 1
    assert entries(batch, gpu_work.NVLINKS, 0)["active",] == 17
    assert value(batch, gpu_work.NVLINK_BANDWIDTH, uuid(0)) == 17 * 26_562e6
    assert entries(batch, gpu_work.NVLINK_ERRORS, 0) == {
        ("crc",): 36,
        ("replay",): 18,
        ("recovery",): 6,
    }
    assert batch.problems == ()


def test_a_link_that_was_reset(node: Node) -> None:
    """A link whose counter begins anew does not make the sum fall: once doubted, then counted on."""
    node.tell("rule field:163@0 0 value 100 3")
    node.collect()
    node.tell("rule field:163@0 0 value 5 3")

    doubted, counted = node.collect(10), node.collect(10)

    assert problems(doubted) == {("ran_backwards", uuid(0), "link 0 crc")}
    sums = [value(batch, gpu_work.NVLINK_ERRORS, uuid(0), "crc") for batch in (doubted, counted)]
    assert sums == [17 * 2 + 100, 17 * 2 + 105]


def test_nvlink_of_blackwell(node: Node) -> None:
    """The newest links count other errors, and bytes under other numbers."""
    node.tell("model b200 *")
    for _ in range(3):
        batch = node.collect()

    assert entries(batch, gpu_work.NVLINK_IO, 0) == {
        ("transmit",): 18_000_000,
        ("receive",): 36_000_000,
    }
    assert entries(batch, gpu_work.NVLINK_ERRORS, 0) == {
        ("recovery",): 18 * 5,
        ("recovery_failed",): 0,
        ("malformed",): 0,
        ("overrun",): 0,
        ("receive_errors",): 18,
        ("integrity",): 0,
        ("discard",): 0,
        ("effective",): 0,
    }


def test_each_link_by_itself(node: Node) -> None:
    """Where it is asked for, each link is told by itself beside the sums."""
    node.ask("renew_with_links")
    node.tell("devices 1\nrule field:165@4 0 value 2 1")

    batch = node.collect()

    states = entries(batch, gpu_work.NVLINK_LINK_STATE, 0)
    assert len(states) == 18 * 4
    assert [key for key, said in states.items() if said and key[1] != "active"] == [("4", "sleep")]
    assert value(batch, gpu_work.NVLINK_LINK_BANDWIDTH, uuid(0), "17") == 26_562e6
    assert value(batch, gpu_work.NVLINK_LINK_IO, uuid(0), "9", "receive") == 2000 * KIB
    assert value(batch, gpu_work.NVLINK_LINK_ERRORS, uuid(0), "9", "crc") == 2
    assert value(batch, gpu_work.NVLINK_IO, uuid(0), "receive") == 18 * 2000 * KIB


@pytest.mark.parametrize("asked", ["field:165", "field:91"])
def test_links_of_an_older_driver(node: Node, asked: str) -> None:
    """Links are counted and their states asked by call where no field tells."""
    node.tell(f"rule {asked} * error 2\nrule nvmlDeviceGetNvLinkState:5 0 value 0")
    node.collect()

    batch = node.collect()

    states = {
        "field:165": {("active",): 17, ("inactive",): 1},
        "field:91": {("active",): 18, ("inactive",): 0},
    }
    found = entries(batch, gpu_work.NVLINKS, 0)
    assert {key: found[key] for key in states[asked]} == states[asked]


@pytest.mark.parametrize("detail", ["renew", "renew_with_links"])
@pytest.mark.parametrize("summed", [("138@-1", "139@-1", "202@-1", "204@-1"), ("138@-1", "202@-1")])
def test_bytes_that_the_driver_does_not_sum(
    node: Node, detail: str, summed: tuple[str, ...]
) -> None:
    """Where a driver sums no bytes over the links in a direction, they are summed here."""
    node.ask(detail)
    node.tell("\n".join(f"rule field:{one} * error 2" for one in summed))
    for _ in range(3):
        batch = node.collect()

    assert entries(batch, gpu_work.NVLINK_IO, 0) == {
        ("transmit",): 18 * 1000 * KIB,
        ("receive",): 18 * 2000 * KIB,
    }
    assert vet(batch)[0].problems == ()


def test_no_links(node: Node) -> None:
    """A GPU without NVLink has no series of it."""
    node.tell("model t4 *")

    batch = node.collect()

    assert not [one for one in batch.readings if ".nvlink." in one.metric.name]
    assert batch.problems == ()
