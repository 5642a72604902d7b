import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.kernel.lines import (
    TEXT,
    BrokenLine,
    LocatedLine,
    XidLine,
    read,
    worth_reading,
)

FORMS = [
    (
        "NVRM: Xid (PCI:0000:91:00): 79, pid=1234, name=python3, GPU has fallen off the bus.",
        XidLine("0000:91:00.0", 79, "GPU has fallen off the bus.", 1234, "python3"),
    ),
    (
        "NVRM: Xid (PCI:0000:91:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        XidLine("0000:91:00.0", 79, "GPU has fallen off the bus."),
    ),
    (
        "NVRM: Xid (0000:03:00): 31, Ch 00000010, engmask 00000101, intr 10000000",
        XidLine("0000:03:00.0", 31, "Ch 00000010, engmask 00000101, intr 10000000"),
    ),
    (
        "NVRM: Xid (PCI:0000:01:00 GPU-I:05): 94, pid=7, name=trainer, Contained: SM (0x1).",
        XidLine("0000:01:00.0", 94, "Contained: SM (0x1).", 7, "trainer"),
    ),
    (
        "NVRM: Xid (PCI:0002:00:00): 119, pid=1582259, name=nvc:[driver], Timeout after 6s of waiting",
        XidLine("0002:00:00.0", 119, "Timeout after 6s of waiting", 1582259, "nvc:[driver]"),
    ),
    (
        "NVRM: Xid (PCI:0000:05:00): 13, pid=9, name=/opt/app/bin/run --secret=x, Graphics Exception",
        XidLine("0000:05:00.0", 13, "Graphics Exception", 9, "run"),
    ),
    (
        "NVRM: Xid (PCI:0000:0d:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (PF FLR)",
        XidLine(
            "0000:0d:00.0",
            154,
            "GPU recovery action changed from 0x0 (None) to 0x1 (PF FLR)",
        ),
    ),
    ("NVRM: Xid (PCI:0000:91:00): 62", XidLine("0000:91:00.0", 62)),
    ("[  99.1] NVRM: Xid (PCI:0000:91:00): 62,", XidLine("0000:91:00.0", 62)),
    (
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 48 LTSSM Fault Up",
        XidLine(
            "0000:c1:00.0",
            20034,
            "Fatal, Link 48 LTSSM Fault Up",
            switch=True,
            fatal=True,
        ),
    ),
    (
        "nvidia-nvswitch0: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 RX Short Error Rate",
        XidLine("0000:c3:00.0", 20009, "Non-fatal, Link 28 RX Short Error Rate", switch=True),
    ),
    (
        "NVRM: GPU at PCI:0000:09:00: GPU-ba5b9a8e-6ef6-11ee-b962-0242ac120002",
        LocatedLine("0000:09:00.0", "GPU-ba5b9a8e-6ef6-11ee-b962-0242ac120002"),
    ),
]


@pytest.mark.parametrize(("message", "line"), FORMS)
def test_known_forms(message: str, line: object) -> None:
    """Each form that a driver is known to write is read in full; a process by its name alone."""
    assert worth_reading(message.encode())
    assert read(message) == [line]


@pytest.mark.parametrize(
    "message",
    [
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Data {0x50610002, 0x10100030, 0x1}",
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 48 Data {0x50610002}",
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15",
        "nvidia: module license 'NVIDIA' taints kernel.",
        "my Xid counter: 3",
        "",
    ],
)
def test_what_is_no_error(message: str) -> None:
    """The continuation of an SXID, and lines that only look alike, are nothing."""
    assert read(message) == []


@pytest.mark.parametrize(
    "message",
    [
        "NVRM: Xid (PCI:0000:91:00): ",
        "NVRM: Xid (PCI:0000:91:00): abc, pid=1",
        "NVRM: Xid (PCI:0000:9",
        "NVRM: Xid (PCI:zzzz): 79, pid=1",
        "NVRM: Xid ",
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): garbled, Fatal",
    ],
)
def test_cut_and_garbled_lines_are_said_to_be(message: str) -> None:
    """A line that reports an error and cannot be read is reported as such, once."""
    assert read(message) == [BrokenLine(message)]


def test_lines_that_ran_into_each_other() -> None:
    """Two messages in one line are both read, the first as far as it goes."""
    found = read(
        "NVRM: Xid (PCI:0000:91:00): 79, pid=12NVRM: Xid (PCI:0000:92:00): 45, pid=3, name=x, Ch 1"
        "nvidia-nvswitch1: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 1"
    )

    assert [(line.code, line.pci) for line in found if isinstance(line, XidLine)] == [
        (79, "0000:91:00.0"),
        (45, "0000:92:00.0"),
        (20034, "0000:c1:00.0"),
    ]


@pytest.mark.parametrize(("message", "_"), FORMS)
def test_every_cut_is_survived(message: str, _: object) -> None:
    """A line cut anywhere is read, reported or ignored; what is read has a real address."""
    for end in range(len(message)):
        for line in read(message[:end]):
            assert isinstance(line, BrokenLine) or len(line.pci) == 12


@given(
    st.lists(
        st.one_of(
            st.text(max_size=60),
            st.sampled_from([message for message, _ in FORMS]),
            st.sampled_from(["NVRM: Xid (", "PCI:", "): ", "SXid", "Data {", "pid=", "\n"]),
        ),
        max_size=8,
    )
)
def test_no_text_is_too_strange(parts: list[str]) -> None:
    """Whatever stands in the log, reading it ends, and what it gives is bounded."""
    for line in read("".join(parts)):
        if isinstance(line, XidLine):
            assert len(line.text) <= TEXT
            assert len(line.process) <= 64
            assert 0 <= line.code <= 999_999_999


def test_a_hostile_line_costs_little() -> None:
    """A line made to be read slowly is not: time grows with length alone."""
    assert read("NVRM: Xid (" + "0000:" * 3000) != []
    assert read("Xid (PCI:0000:91:00 " * 800) == []
