"""Where OTLP goes and how: the configuration, completed by the standard environment variables.

Explicit configuration wins over the environment, option by option: a configured endpoint still takes
its time-out, compression, certificates and, where it names no ``headers_file``, headers from there.
Imports neither OpenTelemetry nor any client, so that `config check` and `doctor` can use it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Final, Literal, NamedTuple

from exporters.otlp.endpoint import Endpoint, grpc_endpoint, http_endpoint
from exporters.otlp.environment import Environment
from exporters.otlp.headers import Headers, from_variable

Signal = Literal["metrics", "logs"]
SIGNALS: Final[tuple[Signal, ...]] = ("metrics", "logs")
HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
PROTOCOLS: Final = (HTTP, GRPC)
DEFAULT_INTERVAL: Final = 15.0
"""Seconds between two exports of metrics."""
DEFAULT_TIMEOUT: Final = 10.0
"""Seconds for one attempt: the specification's default."""
LEAST_INTERVAL: Final = 0.1

EVERYWHERE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


class SettingsError(ValueError):
    """The settings cannot be used; ``problems`` lists everything wrong, each with its fix."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Destination(NamedTuple):
    """One entry of the configuration's ``otlp`` list; `None` leaves an option to the environment.

    ``endpoint`` is a base: OTLP/HTTP adds ``/v1/metrics`` and ``/v1/logs``. ``headers_file`` holds lines
    ``key: value``. ``interval`` is in seconds.
    """

    endpoint: str
    protocol: str | None = None
    headers_file: str | None = None
    interval: float | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files; empty where the system's trust store, or no client certificate, is meant."""

    certificate: str = ""
    client_key: str = ""
    client_certificate: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(filter(None, (self.certificate, self.client_key, self.client_certificate)))


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how one signal goes. ``name`` is its exporter's name; ``timeout`` is in seconds."""

    name: str
    signal: Signal
    protocol: str
    endpoint: Endpoint
    headers: Headers = field(default_factory=Headers)
    timeout: float = DEFAULT_TIMEOUT
    compression: str = "gzip"
    tls: Tls = Tls()


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one exporter needs.

    ``interval`` (seconds) is between two exports of metrics; ``resource`` holds the attributes of
    OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME; ``node`` and ``cluster`` are on every data point.
    """

    targets: tuple[Target, ...]
    interval: float = DEFAULT_INTERVAL
    resource: Mapping[str, str] = field(default_factory=dict)
    node: str = ""
    cluster: str = ""


def otlp_settings(
    destinations: Iterable[tuple[str, str | None, str | None, float | None]],
    environ: Mapping[str, str],
    *,
    node: str = "",
    cluster: str = "",
) -> tuple[Settings, ...]:
    """Merge the configured destinations with the environment, one result each; read no file.

    Without destinations the environment alone decides: OTEL_EXPORTER_OTLP_ENDPOINT or a signal's own.
    OTEL_SDK_DISABLED, OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER switch off configured ones as well.
    Raises `SettingsError` with all problems at once.
    """
    environment = Environment(environ)
    interval = environment.seconds("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL)
    resource = environment.pairs("OTEL_RESOURCE_ATTRIBUTES")
    if name := environment.get("OTEL_SERVICE_NAME"):
        resource["service.name"] = name
    disabled = environment.flag("OTEL_SDK_DISABLED")
    signals = [
        signal for signal in SIGNALS if environment.exports(f"OTEL_{signal.upper()}_EXPORTER")
    ]
    base = Settings((), interval, resource, node, cluster)
    wanted = [Destination(*each) for each in destinations]
    if wanted:
        found = [_configured(base, n, each, signals, environment) for n, each in enumerate(wanted)]
        _refuse_shared_headers(wanted, signals, environment)
    else:
        found = [replace(base, targets=_from_environment(signals, environment))]
    found = _with_names_of_their_own(found, environment)
    if environment.problems:
        raise SettingsError(tuple(dict.fromkeys(environment.problems)))
    return () if disabled else tuple(each for each in found if each.targets)


def unusable_files(settings: Settings) -> tuple[str, ...]:
    """Read the files that the settings name; return what is wrong with them, each with its target."""
    problems: list[str] = []
    for target in settings.targets:
        try:
            target.headers.load()
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"{target.name}: headers_file {target.headers.file}: {said}")
        for path in target.tls.files:
            try:
                if not Path(path).read_bytes():
                    problems.append(f"{target.name}: {path} is empty; it should be a PEM file")
            except OSError as error:
                problems.append(f"{target.name}: {path}: {error.strerror}")
    return tuple(dict.fromkeys(problems))


def _configured(
    base: Settings,
    position: int,
    wanted: Destination,
    signals: Iterable[Signal],
    environment: Environment,
) -> Settings:
    where = f"otlp[{position}]"
    interval = base.interval if wanted.interval is None else wanted.interval
    if not (isfinite(interval) and interval >= LEAST_INTERVAL):
        environment.problems.append(
            f"{where}.interval is {interval:g} s; use {LEAST_INTERVAL:g} s or more"
        )
    if wanted.protocol not in {None, *PROTOCOLS}:
        known = ", ".join(PROTOCOLS)
        environment.problems.append(f"{where}.protocol is {wanted.protocol!r}; use one of: {known}")
        return base
    endpoint = wanted.endpoint.strip()
    if endpoint.rstrip("/").endswith(("/v1/metrics", "/v1/logs")):
        environment.problems.append(
            f"{where}.endpoint ends with a signal's path, which is added by itself; remove it"
        )
        return base
    headers = Headers(file=Path(wanted.headers_file)) if wanted.headers_file else None
    targets: list[Target] = []
    for signal in signals:
        protocol = wanted.protocol or _protocol(signal, environment)
        targets += _target(
            signal, f"{where}.endpoint", endpoint, protocol, environment, headers=headers
        )
    return replace(base, targets=tuple(targets), interval=interval)


def _from_environment(signals: Iterable[Signal], environment: Environment) -> tuple[Target, ...]:
    targets: list[Target] = []
    for signal in signals:
        variable = environment.otlp(signal, "ENDPOINT")
        if text := environment.get(variable):
            protocol = _protocol(signal, environment)
            own = variable != EVERYWHERE
            targets += _target(signal, variable, text, protocol, environment, as_it_is=own)
    return tuple(targets)


def _target(
    signal: Signal,
    where: str,
    text: str,
    protocol: str,
    environment: Environment,
    *,
    as_it_is: bool = False,
    headers: Headers | None = None,
) -> list[Target]:
    """Return the target, or none and a problem."""
    try:
        if protocol == GRPC:
            insecure = environment.flag(environment.otlp(signal, "INSECURE"))
            endpoint = grpc_endpoint(text, insecure=insecure)
        else:
            endpoint = http_endpoint(text, "" if as_it_is else f"/v1/{signal}")
    except ValueError as error:
        environment.problems.append(f"{where} {error}")
        return []
    if headers is None:
        variable = environment.otlp(signal, "HEADERS")
        headers = Headers(environment.parsed(variable, from_variable, {}))
    return [
        Target(
            f"otlp/{endpoint.address}",
            signal,
            protocol,
            endpoint,
            headers,
            environment.seconds(environment.otlp(signal, "TIMEOUT"), DEFAULT_TIMEOUT),
            environment.choice(environment.otlp(signal, "COMPRESSION"), ("gzip", "none"), "gzip"),
            _tls(signal, environment),
        )
    ]


def _protocol(signal: Signal, environment: Environment) -> str:
    return environment.choice(environment.otlp(signal, "PROTOCOL"), PROTOCOLS, HTTP)


def _tls(signal: Signal, environment: Environment) -> Tls:
    key, certificate = (
        environment.otlp(signal, option) for option in ("CLIENT_KEY", "CLIENT_CERTIFICATE")
    )
    if bool(environment.get(key)) is not bool(environment.get(certificate)):
        environment.problems.append(f"{key} and {certificate} need each other; set both or none")
    trusted = environment.get(environment.otlp(signal, "CERTIFICATE"))
    return Tls(trusted, environment.get(key), environment.get(certificate))


def _refuse_shared_headers(
    wanted: Sequence[Destination], signals: Iterable[Signal], environment: Environment
) -> None:
    """Refuse to send the environment's headers, which hold one receiver's key, to several receivers."""
    if len(wanted) == 1 or all(each.headers_file for each in wanted):
        return
    for signal in signals:
        variable = environment.otlp(signal, "HEADERS")
        if environment.get(variable):
            environment.problems.append(
                f"{variable} would go to several of the {len(wanted)} otlp destinations; give each "
                "its headers_file (it may be empty), or unset the variable"
            )


def _with_names_of_their_own(found: list[Settings], environment: Environment) -> list[Settings]:
    """Tell receivers on one address apart by their paths: names are labels of the agent's metrics."""
    count = Counter((target.name, target.signal) for each in found for target in each.targets)
    seen: set[tuple[str, Signal]] = set()

    def named(target: Target) -> Target:
        name = target.name
        if count[name, target.signal] > 1 and target.protocol == HTTP:
            path = target.endpoint.url.partition("://")[2].partition("/")[2].partition("?")[0]
            name = f"{name}/{path}"
        if (name, target.signal) in seen:
            environment.problems.append(f"otlp has {name.removeprefix('otlp/')} twice; remove one")
        seen.add((name, target.signal))
        return replace(target, name=name)

    return [replace(each, targets=tuple(map(named, each.targets))) for each in found]
