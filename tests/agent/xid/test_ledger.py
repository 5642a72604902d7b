from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.xid.account import News
from agent.xid.bursts import SILENCE
from agent.xid.ledger import GRACE, HOLD, INBOX, XidLedger
from agent.xid.policy import Policy
from agent.xid.record import Urgency
from agent.xid.sighting import KnownGpu, Sighting, address

NOW = 1_700_000_000.0
PCI = "0000:91:00.0"
GPU = KnownGpu("GPU-a", PCI, "GPU 0 H100", "550.54.15")
REBOOT = "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"


def nvml(code: int, at: float = NOW, since: float | None = None) -> Sighting:
    """Return an XID as the library reports it: when it was asked, not when it happened."""
    return Sighting("nvml", code, at, at - 1.0 if since is None else since, "GPU-a")


def kernel(code: int, at: float = NOW, text: str = "", pci: str = PCI) -> Sighting:
    """Return an XID as the kernel log has it."""
    return Sighting("kernel", code, at, at, pci=pci, text=text)


def sxid(
    code: int, at: float = NOW, *, fatal: bool = True, text: str = "Fatal, Link 48"
) -> Sighting:
    """Return an error of a switch."""
    switch = "0000:c1:00.0"
    return Sighting("kernel", code, at, at, pci=switch, text=text, switch=True, fatal=fatal)


def ledger(*sources: str, policy: Policy | None = None) -> XidLedger:
    """Return a ledger that knows one GPU and hears these sources."""
    made = XidLedger(policy)
    made.know(GPU._replace(hears_xids="nvml" in sources))
    for source in ("nvml", "kernel"):
        if source in sources:
            made.hear(source, NOW)
    made.settle(NOW - 2 * GRACE)
    return made


def codes(news: News) -> list[int]:
    """Return the codes that were told."""
    return [error.sighting.code for error in news.errors]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("0000:91:00", PCI),
        ("PCI:0000:91:00", PCI),
        ("00000000:91:00.0", PCI),
        ("91:00", PCI),
        ("00010000:AB:1F.3", "10000:ab:1f.3"),
        ("0000:91", ""),
        ("", ""),
        ("index:3", ""),
        ("0000:91:00.0 ", PCI),
        ("0000:91:00.9", ""),
    ],
)
def test_addresses_have_one_spelling(text: str, normal: str) -> None:
    """Every spelling of a PCI address becomes the same; what is none becomes nothing."""
    assert address(text) == normal


@pytest.mark.parametrize("first", ["nvml", "kernel"])
@pytest.mark.parametrize("gap", [0.0, 0.25, 2.0])
def test_two_sources_count_once(first: str, gap: float) -> None:
    """What both sources saw is one count and one event, whoever is first and however late the other."""
    book = ledger("nvml", "kernel")
    sightings = {"nvml": nvml(79, NOW + gap), "kernel": kernel(79)}
    second = "kernel" if first == "nvml" else "nvml"

    told = []
    for step, source in enumerate((first, second)):
        book.hear(source, NOW + gap, [sightings[source]])  # type: ignore[arg-type]
        told += codes(book.settle(NOW + gap + 0.25 * step))
    told += codes(book.settle(NOW + gap + 10))

    assert told == [79]
    assert book.account.xids["GPU-a", 79] == 1
    assert book.account.by_urgency["GPU-a", Urgency.PAGE] == 1


def test_the_kernel_line_is_told_where_both_saw_it() -> None:
    """The library's report waits a moment for its kernel line, because that says more."""
    book = ledger("nvml", "kernel")
    book.hear("nvml", NOW, [nvml(154)])
    waiting = book.settle(NOW)
    book.hear("kernel", NOW, [kernel(154, text=REBOOT)])

    (error,) = book.settle(NOW + 0.25).errors

    assert waiting.errors == []
    assert error.judgement.note.endswith("Node Reboot Required")


def test_the_library_alone_is_heard_within_a_second() -> None:
    """An error that never reaches the kernel log is told all the same, once."""
    book = ledger("nvml", "kernel")
    book.hear("nvml", NOW, [nvml(79)])

    told = [codes(book.settle(NOW + step * 0.25)) for step in range(6)]

    assert HOLD < 1.0
    assert told == [[], [], [], [79], [], []]


@pytest.mark.parametrize("source", ["nvml", "kernel"])
def test_each_source_works_alone(source: str) -> None:
    """With one source alone nothing waits and every error counts, equal ones included."""
    book = ledger(source)
    sighting = nvml(31) if source == "nvml" else kernel(31)
    book.hear(source, NOW, [sighting, sighting])  # type: ignore[arg-type]

    assert codes(book.settle(NOW)) == [31, 31]
    assert book.account.xids["GPU-a", 31] == 2
    assert book.account.xids["GPU-a", 79] == 0


def test_a_library_that_hung_counts_nothing_twice() -> None:
    """What a hung call reports half a minute late is what the kernel log said at the time."""
    book = ledger("nvml", "kernel")
    book.hear("kernel", NOW + 1, [kernel(119, NOW + 1)])
    first = codes(book.settle(NOW + 1))
    for second in range(2, 30):
        book.hear("kernel", NOW + second)
        book.settle(NOW + second)

    book.hear("nvml", NOW + 30, [nvml(119, NOW + 30, since=NOW)])
    late = codes(book.settle(NOW + 30)) + codes(book.settle(NOW + 40))

    assert (first, late) == ([119], [])
    assert book.account.xids["GPU-a", 119] == 1


def test_errors_far_apart_are_two() -> None:
    """The same code a minute later is another error, whichever source reports it."""
    book = ledger("nvml", "kernel")
    book.hear("kernel", NOW, [kernel(31)])
    book.hear("nvml", NOW + 60)
    book.settle(NOW)
    book.settle(NOW + 60)

    book.hear("nvml", NOW + 61, [nvml(31, NOW + 61)])
    book.settle(NOW + 62)

    assert book.account.xids["GPU-a", 31] == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([13, 31, 79]), st.booleans(), st.booleans()),
        max_size=40,
    ),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_no_error_is_lost_nor_counted_twice(
    story: list[tuple[int, int, bool, bool]], lag: int
) -> None:
    """Whoever of the two saw each error, and however late the library is, it counts once.

    Errors of one code are far enough apart to tell; each is seen by the kernel, the library or both.
    """
    book = ledger("nvml", "kernel")
    story = [(moment * 30, *rest) for moment, *rest in sorted(set(story))]  # type: ignore[misc]
    seen = {
        (moment, code): (by_library, by_kernel) for moment, code, by_library, by_kernel in story
    }
    expected: Counter[int] = Counter()
    for (moment, code), (by_library, by_kernel) in seen.items():
        at = NOW + moment
        asked = at + lag
        if by_library or by_kernel:
            expected[code] += 1
        if by_kernel:
            book.hear("kernel", at, [kernel(code, at)])
            book.settle(at)
        book.hear("nvml", asked, [nvml(code, asked, since=at - 1)] if by_library else [])
        book.settle(asked)
    book.settle(NOW + 100_000)

    counted = {code: count for (_, code), count in book.account.xids.items() if count}
    assert counted == dict(expected)


def test_unknown_address_waits_for_its_gpu() -> None:
    """A line that is older than the first visit to the GPUs is its GPU's once that is met."""
    book = XidLedger()
    book.hear("kernel", NOW, [kernel(79)])
    early = book.settle(NOW)
    book.know(GPU)

    late = book.settle(NOW + 1)

    assert early.errors == []
    assert [error.hw_id for error in late.errors] == ["GPU-a"]


def test_unknown_address_is_told_by_itself_in_the_end() -> None:
    """Where no library ever answers, the address stands for the GPU."""
    book = XidLedger()
    book.settle(NOW - GRACE)
    book.hear("kernel", NOW, [kernel(79)])

    (error,) = book.settle(NOW).errors

    assert error.hw_id == f"pci:{PCI}"
    assert book.account.xids[f"pci:{PCI}", 79] == 1


def test_the_log_may_say_who_sits_where() -> None:
    """An address that the log itself resolves is the GPU's, and the library's word is above it."""
    book = ledger("kernel")
    book.locate("0000:09:00.0", "GPU-b")
    book.locate(PCI, "GPU-wrong")
    book.hear("kernel", NOW, [kernel(13, pci="0000:09:00.0"), kernel(13)])

    assert [error.hw_id for error in book.settle(NOW).errors] == ["GPU-b", "GPU-a"]


def test_one_fault_is_one_burst() -> None:
    """A GPU that falls, its switches and the verdict are one burst; 3 minutes of silence end it."""
    book = ledger("kernel")
    book.hear(
        "kernel", NOW, [kernel(79), sxid(20034), sxid(20034), kernel(45), kernel(154, text=REBOOT)]
    )
    first = book.settle(NOW)
    still = book.settle(NOW + SILENCE)
    over = book.settle(NOW + SILENCE + 1)
    book.hear("kernel", NOW + 200, [kernel(31, NOW + 200)])
    book.settle(NOW + 200)

    assert codes(first) == [79, 20034, 20034, 45, 154]
    assert still.bursts == []
    assert [(burst.errors, burst.urgency) for burst in over.bursts] == [(5, Urgency.PAGE)]
    assert book.account.bursts.counts == {Urgency.INFO: 1, Urgency.TICKET: 0, Urgency.PAGE: 1}


def test_a_burst_that_gets_worse_pages_at_once() -> None:
    """A burst that began with an application's error counts once more when a fatal one joins it."""
    book = ledger("kernel")
    for step, code in enumerate((31, 63, 79, 79, 119)):
        book.hear("kernel", NOW + step, [kernel(code, NOW + step)])
        book.settle(NOW + step)

    assert book.account.bursts.counts == {Urgency.INFO: 1, Urgency.TICKET: 1, Urgency.PAGE: 1}


def test_verdict_pages_once() -> None:
    """XID 154 pages where nothing else did, and is information where its fault paged already."""
    alone, after = ledger("kernel"), ledger("kernel")
    alone.hear("kernel", NOW, [kernel(154, text=REBOOT)])
    after.hear("kernel", NOW, [kernel(119), kernel(154, text=REBOOT)])

    (single,) = alone.settle(NOW).errors
    _, second = after.settle(NOW).errors

    assert single.judgement.urgency is Urgency.PAGE
    assert (second.judgement.urgency, second.follows) == (Urgency.INFO, "XID 119")


def test_cleanup_follows_the_error_before_it() -> None:
    """XID 45 names what it follows from; alone it names nothing. It never pages."""
    book = ledger("kernel")
    book.hear("kernel", NOW, [kernel(45), kernel(79), kernel(45)])

    first, _, last = book.settle(NOW).errors

    assert (first.follows, last.follows) == ("", "XID 79")
    assert {first.judgement.urgency, last.judgement.urgency} == {Urgency.INFO}


def test_what_was_made_to_test_is_told_and_not_counted() -> None:
    """An injected error is an event of no urgency: no counter that a rule watches moves."""
    book = ledger("nvml", "kernel")
    before = dict(book.account.xids), dict(book.account.by_urgency)
    book.hear("kernel", NOW, [kernel(79, text="SIMULATED"), sxid(20034, text="Fatal, SIMULATED")])
    book.hear("nvml", NOW, [nvml(79)])

    news = book.settle(NOW)
    book.settle(NOW + 5)

    assert [error.judgement.simulated for error in news.errors] == [True, True]
    assert {error.judgement.urgency for error in news.errors} == {Urgency.INFO}
    assert (book.account.xids, book.account.by_urgency) == before
    assert set(book.account.bursts.counts.values()) == {0}
    assert book.account.sxids == {}


def test_counters_exist_where_they_can_count() -> None:
    """Codes that page exist at 0 for each GPU that some source can hear, under the policy in force."""
    deaf, heard = ledger(), ledger("kernel", policy=Policy("eks", {79: "info"}))
    deaf.settle(NOW)
    heard.settle(NOW)

    assert deaf.account.xids == {}
    assert heard.account.xids["GPU-a", 63] == 0
    assert ("GPU-a", 79) not in heard.account.xids


def test_a_storm_is_counted_and_not_told_one_by_one() -> None:
    """10,000 errors of a second are counted to the last; ten are told, and the page comes through."""
    book = ledger("kernel")
    told = []
    for quarter in range(4):
        at = NOW + quarter / 4
        book.hear("kernel", at, [kernel(45, at)] * 2500)
        told += book.settle(at).errors
    book.hear("kernel", NOW + 1, [kernel(79, NOW + 1)])
    told += book.settle(NOW + 1).errors

    assert book.account.xids["GPU-a", 45] == 10_000
    assert [error.sighting.code for error in told] == [45] * 10 + [79]


def test_more_than_can_be_taken_in_is_counted_as_lost() -> None:
    """A ledger that nobody settles stays bounded, and says how much it lost."""
    book = ledger("kernel")
    book.hear("kernel", NOW, [kernel(45)] * (INBOX + 7))

    assert book.settle(NOW).lost == 7


def test_garbage_makes_no_series_without_end() -> None:
    """Codes and addresses that nobody knows get a bounded number of series; the rest is refused."""
    book = ledger("kernel")
    refused = 0
    for bus in range(1, 200):
        made = [kernel(code, pci=f"0000:{bus:02x}:00.0") for code in range(200, 230)]
        book.hear("kernel", NOW, [*made, kernel(0), kernel(123_456)])
        news = book.settle(NOW)
        refused += len(news.refused)

    assert len(book.account.xids) < 600
    assert refused > 5000
    assert book.account.bursts.current is not None
    assert len(book.account.bursts.current.kinds) <= 64


def test_a_gpu_that_is_gone_for_good() -> None:
    """The counts of a GPU that was replaced end, and an error at its address is its successor's."""
    one = ledger("nvml", "kernel")
    one.hear("kernel", NOW, [kernel(79)])
    one.settle(NOW + 1)
    one.know(GPU._replace(hw_id="GPU-b"))

    one.forget("GPU-a")
    one.hear("kernel", NOW + 60, [kernel(48, NOW + 60)])
    news = one.settle(NOW + 62)

    assert [error.hw_id for error in news.errors] == ["GPU-b"]
    assert {hw_id for hw_id, _ in one.account.xids} == {"GPU-b"}
    assert {hw_id for hw_id, _ in one.account.by_urgency} == {"GPU-b"}
