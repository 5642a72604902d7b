"""Which container a process runs in, by its control group."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.nvml.container import Containers, container_id, sees_every_process

ID = "7f3c9a0b1d2e4f56" * 4
OUTER = "0123456789abcdef" * 4
TASK = "1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d-2894561230"
POD = "kubepods-burstable-pod6a3c8f8e_4c1e_4d0b_9f0e_2b6f0c1d2e3f.slice"


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        (f"12:memory:/docker/{ID}\n11:cpu:/docker/{ID}", ID),
        (f"0::/system.slice/docker-{ID}.scope", ID),
        (f"0::/kubepods.slice/kubepods-burstable.slice/{POD}/cri-containerd-{ID}.scope", ID),
        (f"0::/kubepods.slice/kubepods-burstable.slice/{POD}/crio-{ID}.scope", ID),
        (f"0::/kubepods.slice/{POD}/docker-{ID}.scope", ID),
        (f"4:memory:/kubepods/besteffort/pod6a3c8f8e-4c1e-4d0b-9f0e-2b6f0c1d2e3f/{ID}", ID),
        (f"4:memory:/system.slice/containerd.service/{POD}:cri-containerd:{ID}", ID),
        (f"0::/../../{POD}/cri-containerd-{ID}.scope", ID),
        (f"0::/machine.slice/libpod-{ID}.scope/container", ID),
        (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope", ID),
        (f"0::/docker/{OUTER}/kubelet/kubepods/pod1/{ID}", ID),
        (f"0::/system.slice/docker-{ID}.scope/init.scope", ID),
        (f"9:memory:/ecs/1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d/{TASK}", TASK),
        (f"1:name=systemd:/\n0::/system.slice/docker-{ID}.scope\n", ID),
        (f"0::/machine.slice/libpod-conmon-{ID}.scope", ""),
        (f"0::/{POD}/crio-conmon-{ID}.scope", ""),
        ("0::/", ""),
        ("0::/user.slice/user-0.slice/session-3.scope", ""),
        (f"0::/system.slice/docker-{ID[:-1]}.scope", ""),
        (f"0::/system.slice/docker-{ID}a.scope", ""),
        (f"no cgroup line {ID}", ""),
        ("", ""),
    ],
)
def test_forms(cgroup: str, expected: str) -> None:
    """Each runtime's way of writing its container's id is known; everything else has none."""
    assert container_id(cgroup) == expected


@given(st.text())
def test_any_text(cgroup: str) -> None:
    """Whatever the file says, what comes out is empty or an id that stands in it."""
    found = container_id(cgroup)

    assert found in cgroup
    assert found == "" or len(found) >= 34


@given(st.lists(st.text(alphabet="abcdef0123456789-_.:/ ", max_size=80), max_size=4))
def test_an_id_among_other_parts(parts: list[str]) -> None:
    """An id that is a part of the path by itself is found, or one further inside."""
    path = "/".join([*(part.replace("/", "").replace(":", "") for part in parts), ID])

    assert container_id(f"0::/{path}") == ID


def test_each_process_is_read_once_while_it_is_listed(tmp_path: Path) -> None:
    """A process that stays is not read again; one that comes back under the same number is."""
    group = tmp_path / "41" / "cgroup"
    group.parent.mkdir()
    group.write_text(f"0::/docker/{ID}")
    containers = Containers(tmp_path)
    first = containers.of([41, 42])
    group.write_text(f"0::/docker/{OUTER}")

    second = containers.of([41])
    containers.of([])
    third = containers.of([41])

    assert first == {41: ID, 42: ""}
    assert second == {41: ID}
    assert third == {41: OUTER}


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A control group named in bytes that are no UTF-8 has no container, and raises nothing."""
    group = tmp_path / "7" / "cgroup"
    group.parent.mkdir()
    group.write_bytes(b"0::/\xff\xfe/" + ID.encode() + b"\xff")

    assert Containers(tmp_path).of([7]) == {7: ""}


def test_a_machine_that_does_not_tell_its_namespace(tmp_path: Path) -> None:
    """Where the namespace cannot be seen, nobody believes to see every process."""
    assert not sees_every_process(tmp_path)
