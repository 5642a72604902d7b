import logging
from pathlib import Path

import pytest

from agent.config import Address, Web
from agent.protection import base_url, both, protection, warn_if_exposed


def refuse(what: str) -> int:
    """Refuse, as what reads files does."""
    raise ValueError(what)


def test_nothing_is_asked_where_nothing_is_configured() -> None:
    """An endpoint on loopback has no protection."""
    assert protection(Web()) is None


def test_what_is_wrong_is_gathered() -> None:
    """What two readers of files find is told at once, in order; what both return comes as a pair."""
    assert both(lambda: 1, lambda: "a") == (1, "a")
    with pytest.raises(ValueError, match=r"^one\ntwo$"):
        both(lambda: refuse("one"), lambda: refuse("two"))
    with pytest.raises(ValueError, match=r"^one$"):
        both(lambda: refuse("one"), lambda: 2)
    with pytest.raises(ValueError, match=r"^two$"):
        both(lambda: 1, lambda: refuse("two"))


def test_files_that_are_no_use_are_named_by_their_keys(tmp_path: Path) -> None:
    """The configuration's keys stand before each file."""
    web = Web(bearer_token_file=str(tmp_path / "token"), basic_auth_users_file=str(tmp_path))

    with pytest.raises(ValueError, match=r"web.bearer_token_file .*\nweb.basic_auth_users_file "):
        protection(web)


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", 0), ("10.0.0.1", 1)])
def test_an_open_endpoint_is_warned_of(
    host: str, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the key, the address and what to set, where strangers reach it, and else says nothing."""
    caplog.set_level(logging.WARNING)

    warn_if_exposed("drift.listen", Address(host, 9411), Web())

    said = [record.getMessage() for record in caplog.records]
    assert len(said) == warned
    assert all(each.startswith("drift.listen 10.0.0.1:9411 is open") for each in said)


@pytest.mark.parametrize(
    ("host", "web", "url"),
    [
        ("127.0.0.1", Web(), "http://127.0.0.1:1"),
        ("::1", Web(cert_file="tls.crt"), "https://[::1]:1"),
    ],
)
def test_the_url_says_how_it_is_asked(host: str, web: Web, url: str) -> None:
    """With a certificate it is HTTPS."""
    assert base_url(Address(host, 1), web) == url
