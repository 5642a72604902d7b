import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.kernel.log_file import LogFile
from agent.collectors.kernel.syslog_time import age

NOW = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()


def line(code: int) -> str:
    """Return a line as rsyslog writes it."""
    return (
        f"2025-03-01T11:59:00.500000+00:00 n1 kernel: [9.5] NVRM: Xid (PCI:0000:91:00): {code}, x\n"
    )


class Reader:
    """A log file and who reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = LogFile(path, clock=lambda: NOW)
        self.problems: list[str] = []

    def open(self, position: object = None) -> "Reader":
        """Open it."""
        self.log.open(position)
        return self

    def codes(self) -> list[int]:
        """Read until nothing is left; return the codes."""
        found = []
        while True:
            portion = self.log.read()
            self.problems += [problem.reason for problem in portion.problems]
            found += [
                int(record.message.split(b"): ")[1].split(b",")[0]) for record in portion.records
            ]
            if not portion.more:
                return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a log with history."""
    path = tmp_path / "kern.log"
    path.write_text(line(1) + "something else\n", encoding="ascii")
    return path


def append(path: Path, text: str) -> None:
    """Write to the end of a file."""
    with path.open("a", encoding="ascii") as file:
        file.write(text)


def test_begins_at_the_end(path: Path) -> None:
    """What was there is nobody's news; what comes is told once, with its time."""
    reader = Reader(path).open()
    before = reader.codes()
    append(path, line(79))
    (record,) = reader.log.read().records

    assert before == []
    assert record.age == pytest.approx(59.5)
    assert reader.codes() == []


def test_waits_for_the_end_of_a_line(path: Path) -> None:
    """Half a line is no line; it is read when its end comes."""
    reader = Reader(path).open()
    whole = line(79)
    append(path, whole[:70])
    half = reader.codes()
    append(path, whole[70:])

    assert half == []
    assert reader.codes() == [79]


def test_rotation(path: Path) -> None:
    """The rest of the old file is read, then the new one from its beginning."""
    reader = Reader(path).open()
    append(path, line(2))
    path.rename(path.with_name("kern.log.1"))
    between = reader.codes()
    append(path.with_name("kern.log.1"), line(3))
    path.write_text(line(4), encoding="ascii")

    assert between == [2]
    assert reader.codes() == [3, 4]
    assert reader.problems == []


def test_truncation(path: Path) -> None:
    """A file that becomes shorter is read from its beginning, and that is said."""
    reader = Reader(path).open()
    path.write_text("", encoding="ascii")
    empty = reader.codes()
    append(path, line(5))

    assert empty == []
    assert reader.codes() == [5]
    assert reader.problems == ["kernel_log_truncated"]


@pytest.mark.parametrize("rotated", [False, True])
def test_resumes_where_it_was(path: Path, rotated: bool) -> None:
    """A restarted reader tells what it missed, also where the file was rotated meanwhile."""
    reader = Reader(path).open()
    append(path, line(2) + line(3)[:40])
    reader.codes()
    position = reader.log.position()
    reader.log.close()
    append(path, line(3)[40:])
    if rotated:
        path.rename(path.with_name("kern.log.1"))
        path.write_text(line(4), encoding="ascii")

    resumed = Reader(path).open(position)

    assert resumed.codes() == ([3, 4] if rotated else [3])


def test_another_file_is_read_whole(path: Path) -> None:
    """Where the file was replaced and the old one is gone, the new one is all news."""
    reader = Reader(path).open()
    reader.codes()
    position = reader.log.position()
    reader.log.close()
    other = path.with_name("new")
    other.write_text(line(6), encoding="ascii")
    other.rename(path)

    assert Reader(path).open(position).codes() == [6]


def test_replaced_in_place(path: Path) -> None:
    """The same inode with another beginning is another file."""
    reader = Reader(path).open()
    reader.codes()
    position = reader.log.position()
    reader.log.close()
    with path.open("w", encoding="ascii") as file:
        file.write("a new beginning, and long enough to be beyond the place\n" * 4 + line(7))

    assert Reader(path).open(position).codes() == [7]


def test_a_line_without_end_is_cut(path: Path) -> None:
    """A line that never ends is dropped up to its end, once said, in bounded memory."""
    reader = Reader(path).open()
    for _ in range(50):
        append(path, "x" * 100_000)
        reader.codes()
    append(path, f" Xid\n{line(8)}")

    assert reader.codes() == [8]
    assert reader.problems == ["kernel_record_malformed"]
    assert len(reader.log._rest) == 0


@pytest.mark.parametrize("position", [3, "x", [], {"inode": "1"}, {"inode": 1}])
def test_a_strange_position_is_none(path: Path, position: object) -> None:
    """A position that is not one begins at the end."""
    assert Reader(path).open(position).codes() == []


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        (b"2025-03-01T11:59:30+00:00 n1 kernel: x", 30),
        (b"2025-03-01T12:59:30.250+01:00 n1 kernel: x", 29.75),
        (b"2025-03-01T12:00:09Z n1 kernel: x", 0),
        (b"Mar  1 11:58:00 n1 kernel: x", 120),
        (b"Dec 31 12:00:00 n1 kernel: x", 60 * 86400),
        (b"Mrz  1 11:58:00 n1 kernel: x", None),
        (b"Feb 31 11:58:00 n1 kernel: x", None),
        (b"2025-99-01T11:59:30+00:00 x", None),
        (b"0001-01-01T00:00:00Z x", None),
        (b"[ 9.5] NVRM", None),
        (b"", None),
    ],
)
def test_times(monkeypatch: pytest.MonkeyPatch, text: bytes, ago: float | None) -> None:
    """The times that syslog daemons write are understood; of another form there is none."""
    monkeypatch.setitem(os.environ, "TZ", "UTC")

    assert age(text, NOW) == (None if ago is None else pytest.approx(ago))


@given(st.binary(max_size=60))
def test_no_bytes_are_too_strange_a_time(text: bytes) -> None:
    """Whatever stands where the time should be, there is an age that is not negative, or none."""
    found = age(text, NOW)

    assert found is None or found >= 0
