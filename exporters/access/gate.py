"""The middleware that asks who is there. Part of an application only where something is asked for."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporters.access.credentials import Credentials
from exporters.access.refusals import CERTIFICATE_MISSING, TOO_MANY_ATTEMPTS, Refusals
from exporters.guard import PROBES, refusal

_AGAIN: Final = "1"
"""Seconds after which who tried too often may try again."""


def gate(credentials: Credentials | None, refusals: Refusals, *, certificates: bool) -> Middleware:
    """Return the middleware; with ``certificates``, a client must have shown one that was verified.

    Probes are answered all the same: a kubelet has neither, and they tell nothing of the node.
    """

    @web.middleware
    async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in PROBES:
            return await handler(request)
        if certificates and not _has_certificate(request):
            refusals.note(CERTIFICATE_MISSING, request.remote or "")
            return refusal(403, "a client certificate is needed\n")
        if credentials is not None:
            header = request.headers.get("Authorization", "")
            why = await credentials.refusal(header, request.remote or "")
            if why:
                refusals.note(why, request.remote or "")
                return _turned_away(why, credentials.challenges)
        return await handler(request)

    return ask


def _has_certificate(request: web.Request) -> bool:
    """Tell whether the handshake verified a certificate of the client's."""
    return bool(request.transport and request.transport.get_extra_info("peercert"))


def _turned_away(why: str, challenges: tuple[str, ...]) -> web.Response:
    if why == TOO_MANY_ATTEMPTS:
        answer = refusal(429, "too many passwords were tried; try again later\n")
        answer.headers["Retry-After"] = _AGAIN
        return answer
    answer = refusal(401, "credentials are missing or wrong\n")
    for challenge in challenges:
        answer.headers.add("WWW-Authenticate", challenge)
    return answer
