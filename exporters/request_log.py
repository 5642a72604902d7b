"""What is logged of requests that are none: nothing, unless debugging.

Whoever can connect could fill the log with tracebacks; and where a length is wrong, what is taken for a
request is a piece of somebody's payload, which such a message quotes.
"""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

_NAME = "exporters.requests"


class _WithoutBytes(logging.Filter):
    """Keeps what went wrong here, and of what was wrong with a request its kind alone, for debugging."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log; what is logged of a request is changed."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError | web.RequestPayloadError):
            return True
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        record.msg, record.args = "a request that is none: %s", (type(error).__name__,)
        record.exc_info = record.exc_text = None
        return logging.getLogger(_NAME).isEnabledFor(logging.DEBUG)


_WITHOUT_BYTES = _WithoutBytes()


def request_logger() -> logging.Logger:
    """Return what the server logs to."""
    logger = logging.getLogger(_NAME)
    logger.addFilter(_WITHOUT_BYTES)  # once, however often it is asked for
    return logger
