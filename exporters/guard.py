"""What every answer and every request of the HTTP endpoint must respect.

The endpoint only reads, and is made for loopback; still, a web page in an engineer's browser must not be
able to read it (DNS rebinding), frame it or script it, and no request may make the agent hold much.
"""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEADERS: Final = {
    "Server": "warpwatch",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICTEST_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
"""For all answers that are not the status page, which brings its own."""

ENDPOINTS: Final = "/, /metrics, /metrics/dcgm, /api/v1/status, /healthz and /readyz"
"""What the agent answers."""
PROBES: Final = frozenset({"/healthz", "/readyz"})
"""They tell nothing about the node, and are asked by programs that may use any name."""


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on an answer; for ``on_response_prepare``."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Content-Security-Policy", STRICTEST_POLICY)


def guard(hosts: Collection[str], *, intake: str = "", endpoints: str = ENDPOINTS) -> Middleware:
    """Return the middleware that refuses bodies and, on loopback, names that are not this machine.

    ``hosts`` are further names by which browsers may ask for a server on loopback, behind a proxy.
    Below the path ``intake`` bodies are taken. ``endpoints`` tells whoever is lost what there is.
    """
    known = frozenset(name.lower() for name in hosts)

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.can_read_body and not (intake and request.path.startswith(intake)):
            return refusal(413, "this endpoint takes no request body\n")
        if request.path not in PROBES and not _is_ours(request, known):
            return refusal(
                421,
                f"the host {request.host!r} is not this machine's; ask by IP address or localhost, "
                "or add the name to the allowed hosts\n",
            )
        if _is_foreign_script(request):
            return refusal(403, "scripts of other sites may not ask here\n")
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=404, text=f"nothing here; there is {endpoints}\n")

    return refuse


def refusal(status: int, text: str) -> web.Response:
    """Return an answer after which the connection ends: a body may not have been read."""
    response = web.Response(status=status, text=text)
    response.force_close()
    return response


def _is_foreign_script(request: web.Request) -> bool:
    """Tell whether another site's page asks, other than by a link that somebody followed.

    It could not read the answer, but it could take up all the streams. Only browsers send these headers.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    return (
        site in {"cross-site", "same-site"} and request.headers.get("Sec-Fetch-Mode") != "navigate"
    )


def _is_ours(request: web.Request, known: frozenset[str]) -> bool:
    """Tell whether the Host header may be answered.

    Rebinding needs a name whose address an attacker can change, so addresses and localhost are safe.
    Beyond loopback, any name may be the right one, and who may connect is for others to decide.
    """
    transport = request.transport
    socket = transport.get_extra_info("sockname") if transport else None
    if not isinstance(socket, tuple) or not _is_loopback(socket[0]):
        return True
    try:
        host = urlsplit(f"//{request.headers.get('Host', 'localhost')}").hostname or ""
    except ValueError:
        return False
    return host in known or host == "localhost" or host.endswith(".localhost") or _is_address(host)


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ip_address(address.partition("%")[0]).is_loopback


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
