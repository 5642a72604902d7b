import logging

import pytest

from agent.catalogue.attributes import NOT_LET_IN
from exporters.access import refusals
from exporters.access.attempts import BURST, Attempts


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


def test_attempts_come_back_with_time() -> None:
    """After a burst there is one attempt a second, and never more than a burst."""
    clock = Clock()
    attempts = Attempts(clock)

    burst = [attempts.take("10.0.0.1") for _ in range(BURST + 2)]
    clock.now += 1.0
    second = [attempts.take("10.0.0.1") for _ in range(2)]
    clock.now += 3600.0
    later = [attempts.take("10.0.0.1") for _ in range(BURST + 1)]

    assert burst == [True] * BURST + [False] * 2
    assert second == [True, False]
    assert later == [True] * BURST + [False]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_addresses_do_not_share_attempts(one: str, other: str, *, same: bool) -> None:
    """Each address has its own, but whoever has one IPv6 address has all of its network."""
    attempts = Attempts(Clock())

    for _ in range(BURST):
        attempts.take(one)

    assert attempts.take(other) is not same


def test_there_is_no_end_of_addresses() -> None:
    """Addresses that were not seen for long are forgotten, so that they cannot fill the memory."""
    attempts = Attempts(Clock())

    for number in range(5000):
        attempts.take(f"10.0.{number >> 8}.{number & 255}")

    assert len(attempts._left) == 256


def test_each_reason_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The log tells who it was and how often it happens is counted, for each reason by itself."""
    clock = Clock()
    told = refusals.Refusals(clock)
    caplog.set_level(logging.WARNING)

    for _ in range(3):
        told.note(refusals.CREDENTIALS_WRONG, "10.0.0.1")
    told.note(refusals.HANDSHAKE_FAILED, "10.0.0.2", "UNKNOWN_CA")
    clock.now += 60.0
    told.note(refusals.CREDENTIALS_WRONG, "10.0.0.3")

    assert tuple(told.counts) == NOT_LET_IN.values
    assert told.counts["credentials_wrong"] == 4
    said = [record.getMessage().split(";")[0] for record in caplog.records]
    assert said == [
        "10.0.0.1 was not let in: credentials wrong",
        "10.0.0.2 was not let in: handshake failed (UNKNOWN_CA)",
        "10.0.0.3 was not let in: credentials wrong",
    ]
