"""TLS of our own endpoints. Loaded only where a certificate is configured."""

import ssl
from collections.abc import Callable, Mapping
from typing import Final

from exporters.access.kept import UnusableFilesError, content

_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_NO_PEM: Final = "holds no PEM of the kind that is needed"
_MEANINGS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not the certificate's",
    "NO_START_LINE": _NO_PEM,
    "NO_CERTIFICATE_OR_CRL_FOUND": _NO_PEM,
    "PEM lib": _NO_PEM,
    "EE_KEY_TOO_SMALL": "the key is too short",
    "CA_MD_TOO_WEAK": "it is signed by a digest that is too weak",
}


def contexts(
    cert_file: str, key_file: str, client_ca_file: str, min_version: str
) -> Callable[[Mapping[str, str]], ssl.SSLContext]:
    """Return what makes a server's context of files, these being the keys that name them.

    With authorities of clients, a client's certificate is verified where it shows one; whether it must is for
    whoever knows what is asked for. What is made raises `UnusableFilesError`.
    """

    def make(files: Mapping[str, str]) -> ssl.SSLContext:
        problems = list(filter(None, (_unreadable(*each) for each in files.items())))
        if problems:
            raise UnusableFilesError(*problems)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[min_version]
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            key = files.get(key_file)
            context.load_cert_chain(files[cert_file], key, password=_no_passphrase)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            problems.append(_complaint(files, (cert_file, key_file), error))
        if authorities := files.get(client_ca_file):
            # An authority in the middle is enough, as it is for Go's servers.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.verify_mode = ssl.CERT_OPTIONAL
            try:
                context.load_verify_locations(cafile=authorities)
            except (OSError, ValueError) as error:
                problems.append(_complaint(files, (client_ca_file,), error))
        if problems:
            raise UnusableFilesError(*problems)
        return context

    return make


def _unreadable(key: str, path: str) -> str:
    try:
        content(path)
    except ValueError as error:
        return f"{key} {path} {error}"
    return ""


def _no_passphrase() -> str:
    """Refuse an encrypted key: OpenSSL would otherwise ask for its passphrase at the terminal."""
    raise ValueError("the key is encrypted")


def _complaint(files: Mapping[str, str], keys: tuple[str, ...], error: Exception) -> str:
    named = ", ".join(f"{key} {files[key]}" for key in keys if key in files)
    said = str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
    why = next((meaning for word, meaning in _MEANINGS.items() if word in said), said)
    fix = "each must be a PEM file, and a key be the certificate's and without passphrase"
    return f"{named}: no use for TLS ({why}); {fix}"
