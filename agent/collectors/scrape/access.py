"""What a server wants to see before it shows its metrics: credentials and TLS.

Secrets are named by file and never held in the configuration; only the names of files appear in what is
said about them.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from agent.collectors.scrape.reasons import ScrapeError
from agent.collectors.scrape.secret import Secret, SecretError


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to get in. Files are paths, read again when they change; what is empty is not used.

    ``server_name`` is the name that the certificate must hold, where it is not the URL's host.
    """

    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False

    @property
    def has_credentials(self) -> bool:
        """Whether a secret is sent along."""
        return bool(self.bearer_token_file or self.password_file)

    @property
    def advice(self) -> str:
        """What to do where the server refuses us: the keys of the configuration to set or to look at."""
        if self.bearer_token_file:
            return f"it refuses the token in {self.bearer_token_file} (bearer_token_file)"
        if self.password_file:
            return (
                f"it refuses username {self.username!r} with the password in {self.password_file}"
            )
        return "it wants credentials; set bearer_token_file, or username and password_file"


OPEN: Final = Access()
"""Of servers that let everybody in."""


class Credentials:
    """Gives the header that proves who we are, from files that may change at any time."""

    def __init__(self, access: Access) -> None:
        self._username = access.username
        self._token = _secret("bearer_token_file", access.bearer_token_file)
        self._password = _secret("password_file", access.password_file)

    def headers(self) -> dict[str, str]:
        """Return the headers to add. Raises `ScrapeError`, which names the file and never its content."""
        try:
            if self._token:
                return {"Authorization": f"Bearer {self._token.read()}"}
            if self._password:
                pair = f"{self._username}:{self._password.read()}".encode()
                return {"Authorization": f"Basic {b64encode(pair).decode()}"}
        except SecretError as error:
            raise ScrapeError("unusable_secret", str(error)) from None
        return {}


def _secret(key: str, path: str) -> Secret | None:
    return Secret(key, path) if path else None
