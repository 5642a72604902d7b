import pytest

from agent.collectors.scrape import endpoint


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("http://node:8000", "node:8000", "http://node:8000/metrics"),
        ("http://node:8000/", "node:8000", "http://node:8000/metrics"),
        ("http://node", "node:80", "http://node:80/metrics"),
        ("https://node/v1/metrics", "node:443", "https://node:443/v1/metrics"),
        (" http://[::1]:8002/metrics ", "[::1]:8002", "http://[::1]:8002/metrics"),
        ("http://node:1/m?token=secret#x", "node:1", "http://node:1/m"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, address: str, shown: str) -> None:
    """Address and shown URL hold host, port and path; query and fragment stay inside."""
    target = endpoint(url)

    assert (target.address, target.shown) == (address, shown)
    assert "secret" not in repr(target)


@pytest.mark.parametrize(
    "url",
    ["", "node:8000", "ftp://secret@node/x", "http://", "http://secret@node:port/", "http://[::1"],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    """The error tells how to write one and holds nothing of this one."""
    with pytest.raises(ValueError, match="write it like http://host:8000/metrics") as error:
        endpoint(url)

    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["http://me:secret@node:1", "http://secret@node", "http://:secret@node"]
)
def test_a_url_with_credentials_is_refused_with_the_fix(url: str) -> None:
    """It is said where credentials belong, and they are not repeated."""
    with pytest.raises(ValueError, match="set username and password_file instead") as error:
        endpoint(url)

    assert "secret" not in str(error.value)
