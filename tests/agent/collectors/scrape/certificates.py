"""Certificates for tests, made by OpenSSL: an authority, a server of 127.0.0.1, a client."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "vllm.models.svc"
"""The name in the server's certificate, beside 127.0.0.1 where it is asked for."""
_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM files."""

    cert: Path
    key: Path


def authority(folder: Path) -> Pair:
    """Make an authority that signs the others."""
    pair = Pair(folder / "ca.pem", folder / "ca.key")
    _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=test authority",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign",  # Python 3.13 looks for it
             "-keyout", pair.key, "-out", pair.cert)  # fmt: skip
    return pair


def signed(folder: Path, ca: Pair, name: str, *alternatives: str) -> Pair:
    """Make a certificate that ``ca`` signed; ``alternatives`` such as ``IP:127.0.0.1``."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-CA", ca.cert,
             "-CAkey", ca.key, "-addext", "basicConstraints=critical,CA:FALSE",
             "-addext", f"subjectAltName={','.join((f'DNS:{name}', *alternatives))}",
             "-keyout", pair.key, "-out", pair.cert)  # fmt: skip
    return pair


def server_context(server: Pair, clients: Path | None = None) -> ssl.SSLContext:
    """Return the context of a server; with ``clients``, it takes only who has a certificate of that CA."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
    context.load_cert_chain(server.cert, server.key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(  # noqa: S603 - a list of words, from the tests
        ["openssl", *map(str, arguments)],  # noqa: S607 - the system's
        check=True,
        capture_output=True,
        timeout=30,
    )
