"""References on a disk that is full, read-only, damaged, or in somebody else's hands."""

import errno
import os
from pathlib import Path

import pytest

from agent.drift import files
from agent.drift.bins import NumericBins
from agent.drift.reference import FeatureReference, InvalidReferenceError, Reference
from agent.drift.store import ReferenceStore


def reference(number: int) -> Reference:
    """Return one of several references of a model."""
    counts = (number, 5, 0, 0)
    return Reference("m", "1", (FeatureReference("a", NumericBins((1.0,)), counts),))


A, B, C = (reference(number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("used", "back", "ends"),
    [
        ((A, B, C), 1, B),
        ((A, B, C), 2, A),
        ((A, B, A), 0, A),
        ((A, B, C, B), 1, A),
        ((A, B, A, C), 1, A),
    ],
)
def test_going_back_twice_goes_back_twice_as_far(
    tmp_path: Path, used: tuple[Reference, ...], back: int, ends: Reference
) -> None:
    """Each step leads one further back, never to what was just left; every reference stays known."""
    store = ReferenceStore(tmp_path)
    for each in used:
        store.use(each)

    for _ in range(back):
        store.roll_back("m", "1")

    assert store.current("m", "1") == ends
    assert set(store.ids("m", "1")) == {each.id for each in used}


def test_there_is_an_end_to_going_back(tmp_path: Path) -> None:
    """Before the first reference there is none, and any that is kept can be named instead."""
    store = ReferenceStore(tmp_path)
    store.use(A)
    store.use(B)
    store.roll_back("m", "1")

    with pytest.raises(InvalidReferenceError, match="m 1: there is no earlier reference"):
        store.roll_back("m", "1")
    assert store.roll_back("m", "1", B.id[:5]) == B
    with pytest.raises(InvalidReferenceError, match=f"no reference 'zz'; there are {A.id}, {B.id}"):
        store.roll_back("m", "1", "zz")


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in use stays in use, whole, and no piece of the new one is left behind."""
    store = ReferenceStore(tmp_path)
    store.use(A)
    before = sorted(tmp_path.rglob("*"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '.*{B.id}.json'"):
        store.use(B)

    assert sorted(tmp_path.rglob("*")) == before
    assert store.current("m", "1") == A


def test_what_else_lies_there_is_no_reference(tmp_path: Path) -> None:
    """Folders of a file system's and files of a person's are passed over."""
    store = ReferenceStore(tmp_path)
    store.use(A)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "m" / ".DS_Store").touch()
    (tmp_path / "notes.txt").touch()

    assert list(store.models()) == [("m", "1")]


def test_a_damaged_history_names_the_way_out(tmp_path: Path) -> None:
    """The words name the file, and what to do with it."""
    store = ReferenceStore(tmp_path)
    store.use(A)
    (tmp_path / "m/v1/history").write_bytes(b"\xff\xfe")

    with pytest.raises(InvalidReferenceError, match=r"history is damaged .* remove it"):
        store.current("m", "1")


def test_a_pipe_is_written_to_and_a_link_is_followed(tmp_path: Path) -> None:
    """A file is replaced whole; what is none is not, and a link stays one."""
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    reading, writing = os.pipe()

    files.write(link, "a")
    files.write(Path(f"/dev/fd/{writing}"), "b")

    assert link.is_symlink()
    assert target.read_text() == "a"
    assert os.read(reading, 10) == b"b"
    assert sorted(tmp_path.iterdir()) == [link, target]
    os.close(reading)
    os.close(writing)
