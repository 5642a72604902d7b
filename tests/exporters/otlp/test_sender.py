import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise

import pytest

from exporters.otlp.clock import Clock
from exporters.otlp.delivery import Encoded, Receipt, Refused, Retryable
from exporters.otlp.sender import LONGEST_PAUSE, LONGEST_RETRY_AFTER, PATIENCE, Limits, Sender
from tests.virtual_time import EPOCH, in_virtual_time, unix_now

Outcome = Receipt | Exception | None
"""What an attempt comes to; `None` hangs."""


class Scripted:
    """A transport that does as ``script`` says for each body and keeps when it was asked for what."""

    def __init__(self, script: Callable[[bytes], Outcome], now: Callable[[], float]) -> None:
        self.script = script
        self.now = now
        self.tried: list[tuple[float, bytes]] = []
        self.taken: list[bytes] = []
        self.closed = 0

    def pack(self, body: bytes) -> bytes:
        """Return the body as it is."""
        return body

    async def send(self, packed: bytes) -> Receipt:
        """Do as the script says."""
        self.tried.append((self.now(), packed))
        match self.script(packed):
            case None:
                await asyncio.Event().wait()
            case Exception() as error:
                raise error
            case Receipt() as receipt:
                self.taken.append(packed)
                return receipt
        raise AssertionError

    async def close(self) -> None:
        """Count."""
        self.closed += 1


def sender(
    script: Callable[[bytes], Outcome], limits: Limits | None = None, *, speed: float = 1
) -> tuple[Sender, Scripted]:
    """Return a sender and its transport; ``speed`` seconds of theirs fit into one of virtual time."""
    loop = asyncio.get_running_loop()
    clock = Clock(
        unix_now, lambda: loop.time() * speed, lambda seconds: asyncio.sleep(seconds / speed)
    )
    transport = Scripted(script, clock.monotonic)
    return Sender("otlp/c:1", "metrics", transport, limits=limits, clock=clock), transport


def requests(*bodies: bytes) -> list[Encoded]:
    """Return requests of ten items each."""
    return [Encoded(body, 10) for body in bodies]


def unreachable(_: bytes) -> Outcome:
    """Act as a receiver that is gone."""
    return Retryable("connection refused")


@in_virtual_time
async def test_oldest_goes_first_and_is_counted() -> None:
    """Requests leave in order; items are counted as sent, and the last success is a Unix time."""
    one, transport = sender(lambda _: Receipt())
    for each in requests(b"1", b"2", b"3"):
        one.offer(each)

    one.start()
    await asyncio.sleep(1)

    state = one.state()
    assert transport.taken == [b"1", b"2", b"3"]
    assert (state.sent, state.failed, state.dropped, state.queued) == (30, 0, 0, 0)
    assert state.last_success == EPOCH
    await one.close(1)


@in_virtual_time
async def test_outage_costs_the_oldest_requests_only() -> None:
    """While the receiver is gone the queue holds its limit of newest requests, and they go out after."""
    one, transport = sender(unreachable, Limits(3, 100))
    one.start()

    for each in requests(b"1", b"2", b"3", b"4", b"5"):
        one.offer(each)
        await asyncio.sleep(0.1)
    during = one.state()
    transport.script = lambda _: Receipt()
    await asyncio.sleep(LONGEST_PAUSE)

    assert (during.sent, during.dropped, during.queued) == (0, 20, 3)
    assert during.last_error == "connection refused"
    assert during.last_success is None
    assert transport.taken == [b"3", b"4", b"5"]
    assert one.state().sent == 30
    assert one.state().dropped == 20
    assert one.state().last_error == ""
    await one.close(1)


@in_virtual_time
async def test_memory_is_bounded_by_bytes_too() -> None:
    """Large requests push the oldest out before their number does; the newest one always stays."""
    one, transport = sender(unreachable, Limits(100, 10))

    for each in requests(b"a" * 4, b"b" * 4, b"c" * 4):
        one.offer(each)
    two_left = one.state()
    one.offer(Encoded(b"d" * 50, 10))

    assert (two_left.queued, two_left.dropped) == (2, 10)
    assert (one.state().queued, one.state().dropped) == (1, 30)
    transport.script = lambda _: Receipt()
    one.start()
    await asyncio.sleep(0)
    await one.close(1)
    assert transport.taken == [b"d" * 50]


@in_virtual_time
async def test_requests_that_were_tried_count_as_well() -> None:
    """A request that came back from a failed attempt takes its room in the queue again."""
    one, _ = sender(unreachable, Limits(100, 10))
    one.start()

    for each in requests(b"a" * 4, b"b" * 4, b"c" * 4):
        one.offer(each)
        await asyncio.sleep(0.01)

    assert (one.state().queued, one.state().dropped) == (2, 10)
    await one.close(0)


@in_virtual_time
async def test_hung_receiver_holds_nothing_up() -> None:
    """Offering to a sender whose receiver hangs returns at once and stays within the limits."""
    one, transport = sender(lambda _: None, Limits(3, 100))
    one.start()

    for number in range(50):
        one.offer(Encoded(b"%d" % number, 10))
        await asyncio.sleep(0)

    assert len(transport.tried) == 1
    assert one.state().queued == 4  # the one in flight among them
    assert one.state().dropped == 460
    await one.close(0.5)
    assert one.state().dropped == 500


@in_virtual_time
async def test_pauses_grow_and_stay_bounded() -> None:
    """Attempts become rarer, never rarer than the longest pause, and are counted as failures."""
    one, transport = sender(unreachable, speed=100)
    one.offer(Encoded(b"1", 10))
    one.start()

    await asyncio.sleep(10)

    times = [time for time, _ in transport.tried]
    pauses = [after - before for before, after in pairwise(times)]
    assert max(pauses) <= LONGEST_PAUSE + 0.01
    assert max(pauses[:3]) <= 4.01
    assert 1000 / LONGEST_PAUSE < len(times) < 300
    assert one.state().failed == len(times)
    await one.close(0)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(7.0, 7.0, 7.1), (3600.0, LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER + 0.1), (0.0, 0.0, 1.1)],
)
@in_virtual_time
async def test_receiver_says_when_to_come_back(asked: float, least: float, most: float) -> None:
    """A receiver's wish to wait is honoured, up to a limit, and never shortens the usual pause to none."""
    answers: list[Outcome] = [Retryable("HTTP 429", after=asked, answered=True), Receipt()]
    one, transport = sender(lambda _: answers.pop(0), speed=100)
    one.offer(Encoded(b"1", 10))

    one.start()
    await asyncio.sleep(10)

    (first, _), (second, _) = transport.tried
    assert least <= second - first <= most
    assert one.state().sent == 10
    await one.close(1)


@in_virtual_time
async def test_request_that_alone_is_turned_away_gives_way() -> None:
    """Live data is not held up for ever by one old request that the receiver never takes."""
    busy = Retryable("HTTP 503", answered=True)
    one, transport = sender(lambda body: busy if body == b"bad" else Receipt(), speed=100)
    one.start()
    for each in requests(b"bad", b"2", b"3"):
        one.offer(each)

    await asyncio.sleep((PATIENCE - 1) / 100)
    before = one.state()
    await asyncio.sleep(2 * LONGEST_PAUSE / 100)

    assert (before.sent, before.dropped) == (0, 0)
    assert transport.taken == [b"2", b"3"]
    assert (one.state().sent, one.state().dropped) == (20, 10)
    await one.close(1)


@in_virtual_time
async def test_the_only_request_is_never_given_up() -> None:
    """Where nothing newer waits there is nothing to give way to, however long it takes."""
    busy = Retryable("HTTP 503", answered=True)
    one, transport = sender(lambda _: busy, speed=100)
    one.start()
    one.offer(Encoded(b"1", 10))

    await asyncio.sleep(10 * PATIENCE / 100)
    transport.script = lambda _: Receipt()
    await asyncio.sleep(2 * LONGEST_PAUSE / 100)

    assert (one.state().sent, one.state().dropped) == (10, 0)
    await one.close(1)


@in_virtual_time
async def test_patience_is_not_lost_on_a_receiver_that_is_gone() -> None:
    """Where nobody answers no request is to blame, so none is given up before the queue is full."""
    one, transport = sender(unreachable, speed=100)
    one.start()
    for each in requests(b"1", b"2"):
        one.offer(each)

    await asyncio.sleep(10 * PATIENCE / 100)
    transport.script = lambda _: Receipt()
    await asyncio.sleep(2 * LONGEST_PAUSE / 100)

    assert transport.taken == [b"1", b"2"]
    assert one.state().dropped == 0
    await one.close(1)


@in_virtual_time
async def test_refused_requests_are_dropped_and_counted() -> None:
    """What a receiver refuses for good is not sent again, and the next request goes out."""
    one, transport = sender(lambda body: Refused("HTTP 400: no") if body == b"1" else Receipt())
    for each in requests(b"1", b"2"):
        one.offer(each)

    one.start()
    await asyncio.sleep(1)

    assert [body for _, body in transport.tried] == [b"1", b"2"]
    state = one.state()
    assert (state.sent, state.failed, state.dropped) == (10, 1, 10)
    await one.close(1)


@in_virtual_time
async def test_rejected_items_count_as_dropped() -> None:
    """Of a request that is accepted in part, the rest is dropped; nonsense cannot make it negative."""
    answers = [Receipt(3, "too old"), Receipt(99, "nonsense")]
    one, _ = sender(lambda _: answers.pop(0))
    for each in requests(b"1", b"2"):
        one.offer(each)

    one.start()
    await asyncio.sleep(1)

    assert (one.state().sent, one.state().dropped, one.state().failed) == (7, 13, 0)
    assert one.state().last_error == "nonsense"
    await one.close(1)


@in_virtual_time
async def test_log_tells_of_changes_only(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is one line when it begins and one when it ends, with its length and its losses."""
    caplog.set_level(logging.INFO, "exporters.otlp")
    one, transport = sender(unreachable, Limits(2, 100), speed=100)
    one.start()

    for each in requests(b"1", b"2", b"3", b"4"):
        one.offer(each)
        await asyncio.sleep(1)
    transport.script = lambda _: Receipt()
    await asyncio.sleep(1)
    one.offer(Encoded(b"5", 10))
    await asyncio.sleep(1)

    began, ended = (record.getMessage() for record in caplog.records)
    assert began.startswith("otlp/c:1: metrics do not go out: connection refused")
    assert "go out again after 4" in ended
    assert "20 items lost" in ended
    await one.close(1)


@in_virtual_time
async def test_log_of_refusals_does_not_flood(caplog: pytest.LogCaptureFixture) -> None:
    """A receiver that refuses every other request fills counters, not the log."""
    caplog.set_level(logging.INFO, "exporters.otlp")
    answers: list[Outcome] = [Refused("HTTP 400: bad point"), Receipt(), Receipt(1, "late")] * 20
    one, _ = sender(lambda _: answers.pop(0))
    one.start()

    for number in range(60):
        one.offer(Encoded(b"%d" % number, 10))
        await asyncio.sleep(0.1)

    (said,) = (record.getMessage() for record in caplog.records)
    assert "refused 10 items, which are dropped: HTTP 400: bad point" in said
    assert one.state().dropped == 220
    await one.close(1)


@in_virtual_time
async def test_close_gives_what_waits_a_last_chance() -> None:
    """Closing ends a pause between attempts at once, and what can be delivered is."""
    one, transport = sender(unreachable)
    one.start()
    for each in requests(b"1", b"2"):
        one.offer(each)
    await asyncio.sleep(10)
    transport.script = lambda _: Receipt()
    before = asyncio.get_running_loop().time()

    await one.close(3)

    assert transport.taken == [b"1", b"2"]
    assert asyncio.get_running_loop().time() == before
    assert transport.closed == 1
    assert one.state().queued == 0


@pytest.mark.parametrize("hangs", [True, False])
@in_virtual_time
async def test_close_ends_in_time(
    caplog: pytest.LogCaptureFixture,
    *,
    hangs: bool,
) -> None:
    """A receiver that hangs or is gone delays the end by no more than was granted; losses are told."""
    one, transport = sender((lambda _: None) if hangs else unreachable)
    one.start()
    for each in requests(b"1", b"2"):
        one.offer(each)
    await asyncio.sleep(0.1)
    before = asyncio.get_running_loop().time()

    await one.close(3)
    await one.close(3)

    assert asyncio.get_running_loop().time() - before <= 3.01
    assert (one.state().queued, one.state().dropped) == (0, 20)
    assert caplog.records[-1].getMessage() == "otlp/c:1: 20 items of metrics undelivered at the end"
    assert transport.closed == 2


@in_virtual_time
async def test_close_before_start_is_safe() -> None:
    """A sender that never began can be closed; what it was offered is counted as lost."""
    one, transport = sender(lambda _: Receipt())
    one.offer(Encoded(b"1", 10))

    await one.close(1)

    assert one.state().dropped == 10
    assert transport.tried == []


@in_virtual_time
async def test_join_ends_with_what_ended_the_sender() -> None:
    """A mistake in a transport comes to light instead of ending the push in silence."""
    one, _ = sender(lambda _: RuntimeError("a mistake"))
    one.offer(Encoded(b"1", 10))
    one.start()

    with pytest.raises(RuntimeError, match="a mistake"):
        await one.join()
    await one.close(1)
