"""References of a running process on a disk that comes and goes."""

from pathlib import Path

import pytest

from agent.drift.bins import NumericBins
from agent.drift.kept import KeptReferences
from agent.drift.reference import FeatureReference, Reference
from agent.drift.store import ReferenceStore

AGE = FeatureReference("age", NumericBins((18.0,)), (5, 5, 0, 0))
LEARNED = Reference("m", "1", (AGE,))
KEY = ("m", "1")


class Disk(ReferenceStore):
    """A store whose disk can be full."""

    full = True

    def use(self, reference: Reference) -> None:
        """Keep a reference, unless the disk is full."""
        if self.full:
            raise OSError(28, "No space left on device", "x.json")
        super().use(reference)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """Give a store on a full disk."""
    return Disk(tmp_path)


def test_what_the_disk_did_not_take_is_kept_once_it_does(disk: Disk) -> None:
    """A day of learning is not lost to an hour of a full disk, and the trouble is told once."""
    kept = KeptReferences(disk)
    kept.keep(LEARNED, 0.0)
    kept.others(100.0)
    (problem,), _ = kept.take()
    assert problem.reason == "reference_not_kept"
    assert "No space left on device" in problem.detail
    assert disk.current(*KEY) is None

    disk.full = False
    kept.others(200.0)

    assert disk.current(*KEY) == LEARNED
    assert kept.take() == ((), ())


def test_what_somebody_put_in_use_meanwhile_stays(disk: Disk) -> None:
    """A reference by hand wins over one that waited for room."""
    by_hand = Reference("m", "1", (FeatureReference("age", AGE.bins, (9, 1, 0, 0)),))
    kept = KeptReferences(disk)
    kept.keep(LEARNED, 0.0)
    disk.full = False
    disk.use(by_hand)

    for now in (100.0, 200.0):
        kept.others(now)

    assert disk.history(*KEY) == [by_hand.id]


def test_a_model_that_is_forgotten_is_not_kept_later(disk: Disk) -> None:
    """What made room for another model does not come back by itself."""
    kept = KeptReferences(disk)
    kept.keep(LEARNED, 0.0)
    kept.forget(KEY)
    disk.full = False

    kept.others(100.0)

    assert disk.current(*KEY) is None


def test_a_damaged_history_stops_no_counting(tmp_path: Path) -> None:
    """What cannot be kept for any reason is a problem, and is kept once the way is free."""
    store = ReferenceStore(tmp_path)
    store.use(LEARNED)
    history = tmp_path / "m/v1/history"
    history.write_bytes(b"\xff")
    kept = KeptReferences(store)

    kept.keep(LEARNED, 0.0)
    (problem,), _ = kept.take()
    history.unlink()
    kept.others(100.0)

    assert "remove it" in problem.detail
    assert store.current(*KEY) == LEARNED


def test_a_reference_that_was_given_up_does_not_stand_in_the_way(disk: Disk) -> None:
    """The one that is learned in its place is kept later as well."""
    old = Reference("m", "1", (FeatureReference("age", AGE.bins, (9, 1, 0, 0)),))
    disk.full = False
    disk.use(old)
    disk.full = True
    kept = KeptReferences(disk)
    kept.keep(LEARNED, 0.0)
    disk.full = False

    kept.others(100.0)

    assert disk.history(*KEY) == [old.id, LEARNED.id]
