"""OTLP/gRPC: the encoded bytes through a generic call, without generated stubs.

grpcio costs some 17 MiB of memory, so it is an extra, and imported only where a target asks for it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import agent
from exporters.otlp.delivery import Receipt, Refused, Retryable, one_line
from exporters.otlp.files import Signature, changed, signature
from exporters.otlp.response import receipt, retry_delay
from exporters.otlp.settings import SettingsError, Signal, Target

_METHODS: Final[dict[Signal, str]] = {
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_RETRYABLE: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
"""OTLP specification, gRPC failures; RESOURCE_EXHAUSTED joins them only where the server says when."""
_UNREACHED: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_NAME: Final = re.compile(r"[0-9a-z_.-]+")
_STATUS_DETAILS: Final = "grpc-status-details-bin"

_OPTIONS: Final = (
    ("grpc.enable_retries", 0),  # the sender retries, and counts it
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),  # by default 2 minutes, unseen by the sender
    ("grpc.primary_user_agent", f"warpwatch/{agent.__version__}"),
)


class GrpcTransport:
    """Calls Export of one signal.

    Raises `SettingsError` where grpcio is not installed or a header is none that gRPC takes.
    """

    def __init__(self, target: Target) -> None:
        try:
            import grpc  # noqa: PLC0415 - heavy, and an extra
            import grpc.aio  # noqa: PLC0415
        except ImportError:
            fix = "pip install 'warpwatch[grpc]', or use protocol http/protobuf"
            raise SettingsError([f"{target.name}: protocol grpc needs grpcio; {fix}"]) from None
        try:
            _metadata(target.headers.current())
        except ValueError as error:
            raise SettingsError([f"{target.name}: {error}"]) from None
        self._grpc: Any = grpc
        self._target = target
        self._tls_seen: Signature = ()
        self._channel: Any = None
        self._export: Any = None

    def pack(self, body: bytes) -> bytes:
        """Return the body as it is: compression is gRPC's own."""
        return body

    async def send(self, packed: bytes) -> Receipt:
        """Call once. Raises `Refused` or `Retryable`."""
        try:
            if self._channel is None or changed(self._tls_seen, *self._target.tls.files):
                await self.close()
                self._open()
            answer = await self._export(
                packed,
                timeout=self._target.timeout,
                metadata=_metadata(self._target.headers.current()),
                compression=self._compression,
            )
        except self._grpc.aio.AioRpcError as error:
            if error.code().name == "DEADLINE_EXCEEDED":
                await (
                    self.close()
                )  # a connection that went silent would be used for many minutes more
            raise _outcome(error) from error
        except (OSError, ValueError) as error:  # files or headers that changed, and are no good now
            raise Retryable(one_line(str(error))) from error
        except self._grpc.aio.BaseError as error:  # may quote headers, so only its name is kept
            raise Retryable(f"gRPC {type(error).__name__}") from None
        return receipt(self._target.signal, answer)

    async def close(self) -> None:
        """Close the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    @property
    def _compression(self) -> Any:
        gzip = self._target.compression == "gzip"
        return self._grpc.Compression.Gzip if gzip else self._grpc.Compression.NoCompression

    def _open(self) -> None:
        endpoint, tls = self._target.endpoint, self._target.tls
        self._tls_seen = signature(*tls.files)
        if endpoint.secure:
            credentials = self._grpc.ssl_channel_credentials(
                _content(tls.certificate),
                _content(tls.client_key),
                _content(tls.client_certificate),
            )
            self._channel = self._grpc.aio.secure_channel(endpoint.url, credentials, _OPTIONS)
        else:
            self._channel = self._grpc.aio.insecure_channel(endpoint.url, _OPTIONS)
        self._export = self._channel.unary_unary(_METHODS[self._target.signal])


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str | bytes], ...]:
    """Return headers as gRPC has them: bytes for names in ``-bin``. Raises `ValueError` with the name."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"header {name} cannot go by gRPC: names hold a-z, 0-9, '_', '-' and '.'"
            )
        if "\t" in value:
            raise ValueError(f"header {name} cannot go by gRPC: its value holds a tab")
    return tuple(
        (name, value.encode() if name.endswith("-bin") else value)
        for name, value in headers.items()
    )


def _content(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _outcome(error: Any) -> Refused | Retryable:
    code = error.code().name
    details = dict(error.trailing_metadata() or ()).get(_STATUS_DETAILS, b"")
    after = retry_delay(details)
    words = one_line(f"gRPC {code}: {error.details() or 'no reason given'}")
    if code in _RETRYABLE or (code == "RESOURCE_EXHAUSTED" and after is not None):
        return Retryable(words, after=after, answered=code not in _UNREACHED)
    return Refused(words)
