import logging
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.otlp.headers import Headers, from_lines, from_variable

NAMES = st.from_regex(r"x-[a-z0-9.-]{1,10}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(st.dictionaries(NAMES, VALUES))
def test_percent_encoded_pairs_come_back(headers: dict[str, str]) -> None:
    """Any header that is percent-encoded into the variable is read as it was."""
    text = ",".join(f"{name}={quote(value, safe='')}" for name, value in headers.items())

    assert from_variable(text) == headers


@given(st.dictionaries(NAMES, VALUES), st.sampled_from([": ", ":", "=", " = "]))
def test_lines_come_back(headers: dict[str, str], separator: str) -> None:
    """A file's values stand as they are, whatever separates them from the names."""
    text = "\n".join(f"{name}{separator}{value}" for name, value in headers.items())

    assert from_lines(f"# comment\n\n{text}\n") == headers


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("Authorization: Basic dXNlcjpwYXNz==", ("authorization", "Basic dXNlcjpwYXNz==")),
        ("api-key=abc:def=", ("api-key", "abc:def=")),
        ("  x-scope-orgid :  tenant 1  ", ("x-scope-orgid", "tenant 1")),
        ("x-empty:", ("x-empty", "")),
    ],
)
def test_the_first_separator_counts(line: str, header: tuple[str, str]) -> None:
    """Keys and tokens hold colons and equals signs, so only the first one separates."""
    assert from_lines(line) == dict([header])


@given(st.text(max_size=60))
def test_any_text_gives_headers_or_an_error_without_it(text: str) -> None:
    """Whatever a file or a variable holds, headers come out or an error that does not repeat it."""
    for parse in (from_lines, from_variable):
        try:
            headers = parse(text)
        except ValueError as error:
            headers = {"said": str(error)}
        for name, value in headers.items():
            assert name
            assert (name + value).isascii()
            assert (name + value).replace("\t", " ").isprintable()


def test_file_is_read_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rotated secret is picked up, also where a link is swapped as Kubernetes does it."""
    caplog.set_level(logging.INFO)
    for name, value in (("one", "sesame1"), ("two", "sesame2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "headers").write_text(f"key: {value}")
    link = tmp_path / "data"
    link.symlink_to("one")
    headers = Headers(file=link / "headers")
    headers.load()

    before = dict(headers.current())
    link.unlink()
    link.symlink_to("two")
    after = dict(headers.current())

    assert (before, after) == ({"key": "sesame1"}, {"key": "sesame2"})
    assert "sesame" not in caplog.text


def test_file_that_goes_bad_leaves_the_last_good_headers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A half-written or vanished file changes nothing, and is told once."""
    file = tmp_path / "headers"
    file.write_text("key: good")
    headers = Headers(file=file)
    headers.load()

    file.write_bytes(b"sesame\xff")
    os.utime(file, (1, 1))
    bad = [dict(headers.current()) for _ in range(3)]
    file.unlink()
    gone = dict(headers.current())

    assert [*bad, gone] == [{"key": "good"}] * 4
    assert len(caplog.records) == 1
    assert "sesame" not in caplog.text


def test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A path that points at something else by mistake is not read into memory."""
    file = tmp_path / "headers"
    file.write_bytes(b"a: b\n" * 20_000)

    with pytest.raises(ValueError, match="larger than"):
        Headers(file=file).load()
