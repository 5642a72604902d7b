import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.access.tokens import is_one, tokens
from exporters.access.users import Users, is_right, users

HASH = "$2b$04$vP5gZYAwOEHpluRd2VBbhOGWgdcmH49kXhoeGnfTCspzBZhPBKL.2"
"""Of the password wonder; always the same one, because tests are named by it."""


@pytest.mark.parametrize(
    "line",
    [
        f"alice:{HASH}",
        f"  alice : {HASH}  ",
        f"    alice: {HASH}",
        f"alice: '{HASH}'",
        f"\"alice\": '{HASH}'",
        f"# of the monitoring\n\nalice:{HASH.replace('$2b$', '$2y$')}\n",
        f"\ufeffalice:{HASH}\r\n",
    ],
)
def test_lines_of_htpasswd_and_of_exporters_are_understood(line: str) -> None:
    """What `htpasswd -B` writes, and what stands in a web configuration of Prometheus' exporters."""
    known = users(line.encode())

    assert is_right(known, b"alice", b"wonder")
    assert not is_right(known, b"alice", b"wonder ")
    assert not is_right(known, b"Alice", b"wonder")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no user"),
        ("# nobody", "holds no user"),
        ("alice:wonder", "line 1 is no `name: hash`"),
        (f"alice:{HASH}\nbob:$apr1$a$b", "line 2 is no `name: hash`"),
        (f"alice:{HASH[:-1]}", "line 1 is no `name: hash`"),
        (f":{HASH}", "line 1 is no `name: hash`"),
        (f"alice:{HASH}\nalice:{HASH}", "line 2 has a name that stands above"),
        (f"alice:{HASH.replace('$04$', '$31$')}", "cost 31; use 4 to 14"),
        (f"alice:{HASH.replace('$04$', '$00$')}", "cost 00; use 4 to 14"),
    ],
)
def test_what_is_no_user_is_named_by_its_line(text: str, complaint: str) -> None:
    """A plain password, another hash or one that would take hours is refused, and not repeated."""
    with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
        users(text.encode())

    assert "wonder" not in str(caught.value)


@given(st.text(max_size=40))
def test_a_file_of_users_holds_users_or_is_refused(text: str) -> None:
    """Whatever a file holds, there are users or one sentence."""
    found: Users | None = None
    with suppress(ValueError):
        found = users(text.encode())

    assert found is None or found


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_nobody_else_is_right(name: bytes, password: bytes) -> None:
    """No other pair is taken for the one there is, and none makes bcrypt fail."""
    known = users(f"alice:{HASH}".encode())

    assert is_right(known, name, password) is ((name, password) == (b"alice", b"wonder"))


def test_tokens_stand_one_a_line() -> None:
    """Blank lines and blanks around a token mean nothing, nor does the end of a line of Windows."""
    known = tokens(b"\xef\xbb\xbf one \r\n\r\ntwo\n")

    assert known == (b"one", b"two")
    assert [is_one(known, each) for each in (b"one", b"two", b"on", b"", b"onetwo")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a b", b"one\ntw\xc3\xb6", b"a\x00b"])
def test_what_is_no_token_is_refused(data: bytes) -> None:
    """A token is printable ASCII without blanks, as a header can carry it."""
    with pytest.raises(ValueError, match=r"line \d is no token|is empty"):
        tokens(data)
