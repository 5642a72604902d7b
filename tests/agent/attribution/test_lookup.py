"""Who listens for a server: on the host, in a pod's network, behind Docker's proxy."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.attribution.lookup import Asked, Lookup
from agent.attribution.network import accepts, addresses_of, forwarded, local_addresses
from tests.agent.attribution.machine import Machine

ANY = "0.0.0.0"  # noqa: S104 - what a table of sockets says


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return an empty machine."""
    return Machine(tmp_path)


def asked(address: str, port: int) -> dict[str, Asked]:
    """Return a question about one server."""
    return {"s": Asked(frozenset({address}), port)}


def owners(machine: Machine, address: str, port: int, *holders: int) -> frozenset[int]:
    """Return who listens there."""
    return Lookup(machine.proc).owners(asked(address, port), holders)["s"]


def test_an_ancestor_of_a_holder_is_found(machine: Machine) -> None:
    """The API server of the process that holds the GPU."""
    machine.add(100, 1, listens=((ANY, 8000),))
    machine.add(110, 100)

    assert owners(machine, "127.0.0.1", 8000, 110) == {100}


def test_a_process_beside_the_holders_is_found(machine: Machine) -> None:
    """A router that a launcher started beside the workers."""
    machine.add(10, 1)
    machine.add(11, 10, listens=(("127.0.0.1", 3000),))
    machine.add(12, 10)

    assert owners(machine, "127.0.0.1", 3000, 12) == {11}


def test_another_port_or_address_is_somebody_else(machine: Machine) -> None:
    """Neither a neighbour's port nor a socket of another address."""
    machine.add(100, 1, listens=(("127.0.0.2", 8000), (ANY, 8001)))

    assert owners(machine, "127.0.0.1", 8000, 100) == frozenset()


def test_the_same_port_in_two_pods_is_told_apart_by_address(machine: Machine) -> None:
    """Every vLLM pod listens at port 8000 of its own network."""
    machine.add(100, 1, network="pod-a", address="10.1.0.5", listens=((ANY, 8000),))
    machine.add(200, 1, network="pod-b", address="10.1.0.6", listens=((ANY, 8000),))

    assert owners(machine, "10.1.0.6", 8000, 100, 200) == {200}
    assert owners(machine, "10.1.0.7", 8000, 100, 200) == frozenset()


def test_loopback_is_the_lookers_own(machine: Machine) -> None:
    """127.0.0.1 of a pod is not the one that the agent scrapes."""
    machine.add(100, 1, network="pod-a", address="10.1.0.5", listens=((ANY, 8000),))

    assert owners(machine, "127.0.0.1", 8000, 100) == frozenset()


def test_dockers_proxy_leads_to_the_container(machine: Machine) -> None:
    """A published port is listened on by the proxy; the server is at the address that it names."""
    words = ("/usr/bin/docker-proxy", "-proto", "tcp", "-host-port", "8000")
    onward = ("-container-ip", "172.17.0.2", "-container-port", "80")
    machine.add(50, 1, listens=((ANY, 8000),), words=(*words, *onward))
    machine.add(100, 1, network="c", address="172.17.0.2", listens=((ANY, 80),))
    machine.add(101, 100, network="c", address="172.17.0.2")

    assert owners(machine, "127.0.0.1", 8000, 101) == {100}


def test_a_server_that_is_placed_otherwise_costs_no_search(machine: Machine) -> None:
    """Its container is known: not every process of the machine is looked at for it."""
    machine.add(11, 1, listens=((ANY, 8000),))
    machine.add(12, 1)
    question = asked("127.0.0.1", 8000)

    assert Lookup(machine.proc).owners(question, [12], placed=["s"]) == {"s": frozenset()}


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("/user.slice/user-0.slice/session-3.scope", ""),
        ("/user.slice/user-0.slice/user@0.service", ""),
        ("/system.slice/tgi.service", "/system.slice/tgi.service"),
        (f"/kubepods.slice/cri-containerd-{'a' * 64}.scope", "a" * 64),
        ("/", ""),
    ],
)
def test_a_group_is_a_container_or_a_service(machine: Machine, group: str, expected: str) -> None:
    """A login's processes have nothing in common but whoever logged in."""
    machine.add(7, 1, group=group)

    assert Lookup(machine.proc).group(7) == expected


def test_what_is_gone_is_nobody(machine: Machine) -> None:
    """A process that ended meanwhile has no parent, no group and no sockets."""
    lookup = Lookup(machine.proc)

    assert (lookup.parent(9), lookup.group(9), lookup.sees(9)) == (0, "", False)
    assert lookup.owners(asked("127.0.0.1", 8000), [9]) == {"s": frozenset()}


@pytest.mark.parametrize("hidden", ["ns/net", "fd"])
def test_a_process_that_may_not_be_looked_at_is_told_apart_from_none(
    machine: Machine, hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to trace processes it is known that somebody is there, and not where."""
    machine.add(100, 1, listens=((ANY, 8000),))
    denied = str(machine.proc / "100" / hidden)

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def look(path: object, **more: Any) -> Any:
            if str(path) == denied:
                raise PermissionError(denied)
            return real(path, **more)

        return look

    monkeypatch.setattr(Path, "stat", guarded(Path.stat))
    monkeypatch.setattr(os, "scandir", guarded(os.scandir))
    lookup = Lookup(machine.proc)

    assert lookup.owners(asked("127.0.0.1", 8000), [100]) == {"s": frozenset()}
    assert lookup.forbidden == {100}


@pytest.mark.parametrize(
    ("url", "addresses", "port"),
    [
        ("http://10.1.0.5:8000/metrics", {"10.1.0.5"}, 8000),
        ("http://localhost:8000", {"127.0.0.1", "::1"}, 8000),
        ("https://[fd00::0001]/metrics", {"fd00::1"}, 443),
        ("http://[::ffff:10.0.0.1]:1", {"10.0.0.1"}, 1),
        ("http://no-such-host.invalid:80", set(), 80),
    ],
)
def test_a_url_leads_to_addresses(url: str, addresses: set[str], port: int) -> None:
    """As sockets are compared with; a name that nobody knows leads nowhere."""
    found, at = addresses_of(url)

    assert (set(found), at) == (addresses, port)


def test_addresses_of_a_network_are_those_it_answers_at(machine: Machine) -> None:
    """Not those of its broadcasts and routes."""
    machine.add(5, 1, address="10.1.0.5")
    (machine.proc / "5/net/if_inet6").write_text(
        "fd000000000000000000000000000005 02 40 00 80     eth0\n"
    )

    assert local_addresses(5, machine.proc) == {"127.0.0.1", "10.1.0.5", "fd00::5"}


def test_only_dockers_proxy_is_read_for_what_it_passes_on(machine: Machine) -> None:
    """Another program's arguments are its own."""
    machine.add(5, 1, words=("python", "-container-ip", "10.0.0.9", "-container-port", "1"))
    machine.add(6, 1, words=("docker-proxy", "-container-ip", "10.0.0.9"))

    assert forwarded(5, machine.proc) is None
    assert forwarded(6, machine.proc) is None
    assert forwarded(7, machine.proc) is None


@pytest.mark.parametrize(
    ("listening", "expected"), [(ANY, True), ("::", True), ("10.0.0.1", True), ("10.0.0.2", False)]
)
def test_a_socket_accepts_its_own_address(listening: str, expected: bool) -> None:
    """An unspecified address stands for all."""
    assert accepts(listening, frozenset({"10.0.0.1"})) is expected
