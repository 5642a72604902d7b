import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.otlp.settings import (
    Destination,
    Settings,
    SettingsError,
    Target,
    otlp_settings,
    unusable_files,
)
from tests.real_parts.command import run

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def from_environment(**variables: str) -> Settings:
    """Return what the environment alone comes to, with an endpoint unless the test has its own."""
    (settings,) = otlp_settings([], ENDPOINT | variables)
    return settings


def configured(*destinations: Destination, **variables: str) -> tuple[Settings, ...]:
    """Return what the configuration and the environment come to."""
    return otlp_settings(destinations, variables)


def urls(settings: Settings) -> dict[str, str]:
    """Return the URL of each signal."""
    return {target.signal: target.endpoint.url for target in settings.targets}


def problems(**variables: str) -> str:
    """Return all that is said to be wrong with an environment."""
    with pytest.raises(SettingsError) as caught:
        from_environment(**variables)
    return str(caught.value)


def one(settings: Settings, signal: str = "metrics") -> Target:
    """Return the target of a signal."""
    return next(target for target in settings.targets if target.signal == signal)


def test_nothing_is_pushed_without_an_endpoint() -> None:
    """Without configuration and without an endpoint variable there is nowhere to push to."""
    assert otlp_settings([], {"OTEL_SERVICE_NAME": "x", "OTEL_EXPORTER_OTLP_TIMEOUT": "500"}) == ()


def test_defaults() -> None:
    """An endpoint is enough: HTTP, gzip, 10 s for an attempt, 15 s between exports."""
    settings = from_environment()

    assert urls(settings) == {
        "metrics": "http://collector:4318/v1/metrics",
        "logs": "http://collector:4318/v1/logs",
    }
    assert settings.interval == 15
    assert {target.name for target in settings.targets} == {"otlp/collector:4318"}
    for target in settings.targets:
        assert (target.protocol, target.compression, target.timeout) == (
            "http/protobuf",
            "gzip",
            10,
        )
        assert dict(target.headers.current()) == {}


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://h:4318/", "http://h:4318/v1/metrics"),
        ("http://h:4318/mine", "http://h:4318/mine/v1/metrics"),
        ("http://h:4318/mine/", "http://h:4318/mine/v1/metrics"),
        ("https://h", "https://h/v1/metrics"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/metrics"),
        ("  http://h:4318  ", "http://h:4318/v1/metrics"),
    ],
)
def test_base_url_gains_the_path_of_the_signal(base: str, url: str) -> None:
    """The general endpoint is a base: each signal's path is added to its own path."""
    assert urls(from_environment(OTEL_EXPORTER_OTLP_ENDPOINT=base))["metrics"] == url


@pytest.mark.parametrize(
    ("own", "url"),
    [
        ("http://m:9/custom", "http://m:9/custom"),
        ("http://m:9", "http://m:9/"),
        ("http://m:9/v1/metrics?tenant=a", "http://m:9/v1/metrics?tenant=a"),
    ],
)
def test_own_endpoint_of_a_signal_is_used_as_it_is(own: str, url: str) -> None:
    """A signal's own endpoint gains nothing, and the other signal keeps the general one."""
    found = urls(from_environment(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=own))

    assert found == {"metrics": url, "logs": "http://collector:4318/v1/logs"}


def test_one_signal_alone_can_have_an_endpoint() -> None:
    """Only the signals that have an endpoint are pushed."""
    (settings,) = otlp_settings([], {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://l:1/v1/logs"})

    assert urls(settings) == {"logs": "http://l:1/v1/logs"}


@pytest.mark.parametrize(
    ("text", "target", "secure"),
    [
        ("http://h:4317", "h:4317", False),
        ("https://h:4317/ignored/path", "h:4317", True),
        ("https://h", "h:443", True),
        ("h:4317", "h:4317", True),
        ("[::1]:4317", "[::1]:4317", True),
        ("unix:///run/otel.sock", "unix:///run/otel.sock", False),
    ],
)
def test_grpc_targets(text: str, target: str, *, secure: bool) -> None:
    """For gRPC an endpoint is a target; the scheme decides about TLS, which is the default."""
    settings = from_environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=text, OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
    )

    assert {(each.endpoint.url, each.endpoint.secure) for each in settings.targets} == {
        (target, secure)
    }


def test_insecure_counts_where_no_scheme_does() -> None:
    """OTEL_EXPORTER_OTLP_INSECURE decides about TLS of a bare target only."""
    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_INSECURE": "TRUE"}

    bare = from_environment(OTEL_EXPORTER_OTLP_ENDPOINT="h:1", **grpc)
    https = from_environment(OTEL_EXPORTER_OTLP_ENDPOINT="https://h:1", **grpc)

    assert not one(bare).endpoint.secure
    assert one(https).endpoint.secure


def test_a_signals_own_options_win() -> None:
    """Each option of a signal wins over the general one, and the other signal keeps that."""
    settings = from_environment(
        OTEL_EXPORTER_OTLP_HEADERS="a=1",
        OTEL_EXPORTER_OTLP_METRICS_HEADERS="b=2",
        OTEL_EXPORTER_OTLP_TIMEOUT="2500",
        OTEL_EXPORTER_OTLP_LOGS_TIMEOUT="500",
        OTEL_EXPORTER_OTLP_METRICS_COMPRESSION="none",
        OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE="/m.pem",
        OTEL_EXPORTER_OTLP_CERTIFICATE="/all.pem",
    )
    metrics, logs = one(settings), one(settings, "logs")

    assert (dict(metrics.headers.current()), dict(logs.headers.current())) == (
        {"b": "2"},
        {"a": "1"},
    )
    assert (metrics.timeout, logs.timeout) == (2.5, 0.5)
    assert (metrics.compression, logs.compression) == ("none", "gzip")
    assert (metrics.protocol, logs.protocol) == ("http/protobuf", "grpc")
    assert (metrics.tls.certificate, logs.tls.certificate) == ("/m.pem", "/all.pem")


def test_configuration_wins_option_by_option() -> None:
    """What is configured wins; what is not comes from the environment."""
    wanted = Destination("http://mine:1", "http/protobuf", None, 30.0)

    (settings,) = configured(
        wanted,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://theirs:2",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://theirs:3/x",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_METRIC_EXPORT_INTERVAL="5000",
        OTEL_EXPORTER_OTLP_TIMEOUT="1500",
        OTEL_EXPORTER_OTLP_HEADERS="key=value",
    )

    assert urls(settings)["metrics"] == "http://mine:1/v1/metrics"
    assert settings.interval == 30
    assert one(settings).timeout == 1.5
    assert dict(one(settings).headers.current()) == {"key": "value"}


def test_interval_comes_in_milliseconds_from_the_environment() -> None:
    """OTEL_METRIC_EXPORT_INTERVAL is in milliseconds."""
    assert from_environment(OTEL_METRIC_EXPORT_INTERVAL="2500").interval == 2.5


def test_resource_attributes_are_decoded_and_the_service_name_wins() -> None:
    """Attributes are percent-decoded; OTEL_SERVICE_NAME wins over service.name among them."""
    settings = from_environment(
        OTEL_RESOURCE_ATTRIBUTES="team=a%2Cb, service.name=x ,empty=,unit=%C2%B5",
        OTEL_SERVICE_NAME="gpus",
    )

    assert settings.resource == {
        "team": "a,b",
        "service.name": "gpus",
        "empty": "",
        "unit": "\N{MICRO SIGN}",
    }


@pytest.mark.parametrize(
    ("variables", "signals"),
    [
        ({"OTEL_METRICS_EXPORTER": "none"}, {"logs"}),
        ({"OTEL_LOGS_EXPORTER": "None"}, {"metrics"}),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, {"logs"}),
        ({"OTEL_METRICS_EXPORTER": "prometheus,otlp"}, {"logs", "metrics"}),
        ({"OTEL_METRICS_EXPORTER": ""}, {"logs", "metrics"}),
        ({"OTEL_SDK_DISABLED": "false"}, {"logs", "metrics"}),
        ({"OTEL_SDK_DISABLED": "true"}, set()),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}, set()),
    ],
)
def test_signals_can_be_switched_off(variables: dict[str, str], signals: set[str]) -> None:
    """The standard switches leave signals out, of configured destinations as well."""
    from_variable = otlp_settings([], ENDPOINT | variables)
    from_config = configured(Destination("http://mine:1"), **variables)

    for found in (from_variable, from_config):
        assert {target.signal for each in found for target in each.targets} == signals


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "needs http:// or https://"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://h:1"}, "needs http:// or https://"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "has no host"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:port"}, "is no URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:0"}, "port 0"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h: 4318"}, "holds a blank"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1/?a=b"}, "takes no ?query"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "h"}, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT needs"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "use one of: http/protobuf, grpc"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, "use one of: gzip, none"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}, "10 seconds are 10000"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, "whole number of milliseconds"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "-1"}, "whole number of milliseconds"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "0"}, "use 100 to 86400000"),
        ({"OTEL_SDK_DISABLED": "yes"}, "use one of: true, false"),
        ({"OTEL_METRICS_EXPORTER": "oltp"}, "lists oltp; known are: otlp"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team"}, "write key=value,key=value"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "team=%FF"}, "not UTF-8"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=1,sesame"}, "pair 2 has no '='"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=x%0d%0ay: sesame"}, "pair 1 (a) has a control"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a b=sesame"}, "no header can have"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "Content-Type=sesame"}, "sets content-type"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=%FFsesame"}, "not UTF-8"),
        ({"OTEL_EXPORTER_OTLP_CLIENT_KEY": "/k.pem"}, "need each other"),
    ],
)
def test_bad_variables_are_named_with_a_fix(variables: dict[str, str], said: str) -> None:
    """A variable that makes no sense is named, with what to write; a secret is not repeated."""
    found = problems(**variables)

    assert said in found
    assert next(iter(variables)) in found
    assert "sesame" not in found


def test_all_problems_are_told_at_once() -> None:
    """One error lists everything that is wrong, each once though it counts for both signals."""
    with pytest.raises(SettingsError) as caught:
        configured(
            Destination("h:1"),
            Destination("http://h:1/v1/metrics"),
            Destination("http://h:2", "carrier pigeon"),
            Destination("http://h:3", interval=0.0),
            OTEL_EXPORTER_OTLP_TIMEOUT="soon",
        )

    named = [each.split()[0] for each in caught.value.problems]
    assert sorted(named) == [
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "otlp[0].endpoint",
        "otlp[1].endpoint",
        "otlp[2].protocol",
        "otlp[3].interval",
    ]


def test_credentials_in_a_url_are_refused_without_repeating_them() -> None:
    """A password in a URL would reach logs and labels, so it is refused."""
    found = problems(OTEL_EXPORTER_OTLP_ENDPOINT="http://me:sesame@h:1")

    assert "headers_file" in found
    assert "sesame" not in found


def test_environment_headers_do_not_go_to_several_receivers() -> None:
    """One receiver's key is never sent to another: several destinations need files of their own."""
    two = (Destination("http://a:1"), Destination("http://b:1", None, "/b"))

    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS would go to several"):
        configured(*two, OTEL_EXPORTER_OTLP_HEADERS="key=sesame")
    assert len(configured(*two)) == 2


def test_names_tell_receivers_on_one_address_apart() -> None:
    """Exporters are labels of the agent's metrics, so two never share a name."""
    tenants = configured(Destination("http://h:1/a"), Destination("http://h:1/b"))

    assert [one(each).name for each in tenants] == [
        "otlp/h:1/a/v1/metrics",
        "otlp/h:1/b/v1/metrics",
    ]
    with pytest.raises(SettingsError, match="twice; remove one"):
        configured(Destination("http://h:1"), Destination("http://h:1/"))


def test_secrets_do_not_show(tmp_path: Path) -> None:
    """No text form of the settings holds the value of a header."""
    file = tmp_path / "headers"
    file.write_text("authorization: Bearer sesame")
    (by_file,) = configured(Destination("http://h:1", None, str(file)))
    by_variable = from_environment(OTEL_EXPORTER_OTLP_HEADERS="api-key=sesame")

    assert unusable_files(by_file) == ()

    assert dict(one(by_file).headers.current()) == {"authorization": "Bearer sesame"}
    for settings in (by_file, by_variable):
        assert "sesame" not in f"{settings!r} {settings} {one(settings)!r}"
    assert "api-key" in repr(by_variable)
    assert f"authorization from {file}" in repr(by_file)


def test_unusable_files_are_named(tmp_path: Path) -> None:
    """Files that are missing, empty or hold nonsense are all named before anything starts."""
    headers = tmp_path / "headers"
    headers.write_text("no separator, sesame")
    (tmp_path / "empty.pem").touch()
    (settings,) = configured(
        Destination("https://h:1", None, str(headers)),
        OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "missing.pem"),
        OTEL_EXPORTER_OTLP_CLIENT_KEY=str(tmp_path / "empty.pem"),
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(tmp_path / "empty.pem"),
    )

    found = unusable_files(settings)

    assert found == (
        f"otlp/h:1: headers_file {headers}: line 1 is neither 'key: value' nor 'key=value'",
        f"otlp/h:1: {tmp_path}/missing.pem: No such file or directory",
        f"otlp/h:1: {tmp_path}/empty.pem is empty; it should be a PEM file",
    )


def test_importing_settings_loads_nothing_heavy() -> None:
    """`config check` and `doctor` can read settings without OpenTelemetry or a client."""
    code = (
        "import sys, exporters.otlp.settings;"
        "print([m for m in ('opentelemetry', 'aiohttp', 'grpc', 'tenacity', 'google') if m in sys.modules])"
    )

    said = run(sys.executable, "-c", code)

    assert said.strip() == "[]"


VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_METRICS_EXPORTER",
    "OTEL_SDK_DISABLED",
)
TEXT = st.text(max_size=30) | st.sampled_from(
    ["http://h:1", "grpc", "h:4317", "http://[::1", "http://h:99999", "a=b", "1000", "true", "\x00"]
)


@given(st.dictionaries(st.sampled_from(VARIABLES), TEXT), st.lists(TEXT, max_size=2))
def test_any_environment_gives_settings_or_a_complete_error(
    variables: dict[str, str], endpoints: list[str]
) -> None:
    """Whatever the variables hold, the result is usable settings or an error that says what to do."""
    try:
        found = otlp_settings([Destination(each) for each in endpoints], variables)
        problems: tuple[str, ...] = ()
    except SettingsError as error:
        found, problems = (), error.problems

    assert (
        found
        or problems
        or "true" in variables.get("OTEL_SDK_DISABLED", "").lower()
        or not endpoints
    )
    assert all(each.startswith(("OTEL_", "otlp")) for each in problems)
    for settings in found:
        assert settings.targets
        assert 0.1 <= settings.interval <= 86_400
        for target in settings.targets:
            assert 0.1 <= target.timeout <= 86_400
            assert target.name == f"otlp/{target.endpoint.address}" or len(found) > 1
            assert target.endpoint.url
