"""Why a page could not be had: one word for a counter, one sentence for a person."""

import aiohttp


class ScrapeError(Exception):
    """A page could not be had. ``reason`` is one word for a label; the message says what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def too_large(shown: str, limit: int) -> ScrapeError:
    """Return the error for a page beyond ``limit`` bytes."""
    return ScrapeError(
        "too_large",
        f"{shown} answers more than {limit / 2**20:g} MiB; "
        "is it the metrics path, or does a label have a value per request?",
    )


def overfull(shown: str) -> ScrapeError:
    """Return the error for a page with more new, unusual or repeated lines than are read."""
    return ScrapeError(
        "too_many_series",
        f"{shown} has too many series to be read; does a label have a value per request?",
    )


def truncated(shown: str) -> ScrapeError:
    """Return the error for a page that ends before it should."""
    return ScrapeError(
        "truncated", f"{shown} ended in the middle of the page; see the server's own log"
    )


def refused_status(shown: str, status: int, advice_on_access: str) -> ScrapeError:
    """Return the error for an HTTP status that is neither OK nor a redirect."""
    if status in (401, 403):
        return ScrapeError("unauthorized", f"{shown} answers {status}: {advice_on_access}")
    if status == 404:
        advice = "the path is wrong, or the server runs with its metrics switched off"
    elif status >= 500:
        advice = "see the server's own log"
    else:
        advice = "check the URL"
    return ScrapeError("http_status", f"{shown} answers {status}: {advice}")


def explained(error: BaseException, shown: str, timeout: float) -> ScrapeError:
    """Return what an exception of the HTTP client means.

    Its own text is not passed on: it can hold the URL, with whatever secret is in that.
    """
    match error:
        case TimeoutError():
            detail = f"{shown} gave no complete answer within {timeout:g} s; is the server hanging?"
            return ScrapeError("timeout", detail)
        case aiohttp.ClientConnectorDNSError():
            detail = f"the host of {shown} cannot be resolved; check its name"
            return ScrapeError("dns_failure", detail)
        case aiohttp.ClientSSLError():
            return _no_tls(error, shown)
        case aiohttp.ClientPayloadError():
            return truncated(shown)
        case aiohttp.ClientResponseError():
            detail = f"{shown} does not answer in HTTP; check scheme and port"
            return ScrapeError("not_http", detail)
        case _:
            return _not_connected(error, shown)


def _no_tls(error: aiohttp.ClientSSLError, shown: str) -> ScrapeError:
    """Say what OpenSSL found wrong, in its own few words; they hold no URL."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    said = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or ""
    why = f" ({str(said)[:80]})" if said else ""
    detail = f"no TLS connection to {shown}{why}; check its certificate, or use http"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        detail = f"the certificate of {shown} is not trusted{why}; set ca_file, or server_name"
    return ScrapeError("tls_failure", detail)


def _not_connected(error: BaseException, shown: str) -> ScrapeError:
    cause = getattr(error, "os_error", error)
    if isinstance(cause, ConnectionRefusedError):
        detail = f"nothing listens at {shown}; is the server running, and on this port?"
        return ScrapeError("connection_refused", detail)
    if isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionResetError):
        detail = f"{shown} closed the connection; see the server's own log"
        return ScrapeError("connection_reset", detail)
    return ScrapeError("connection_failed", f"no connection to {shown} ({type(cause).__name__})")
