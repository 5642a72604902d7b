from pathlib import Path

import pytest

from agent.config import ConfigError, load
from agent.config.probe import Probe
from agent.probes import plan_of


def _loaded(probe: str, tmp_path: Path, server: str = "") -> Probe:
    file = tmp_path / "agent.yaml"
    file.write_text(f"servers: [{{url: 'http://gpu:8000/metrics', {server} probe: {probe}}}]\n")
    probed = load(file, {}, {}).servers[0].probe
    assert probed is not None
    return probed


def _refused(probe: str, tmp_path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _loaded(probe, tmp_path)
    return [f"{each.path}: {each.message}" for each in caught.value.problems]


def test_a_probe_needs_no_more_than_its_kind(tmp_path: Path) -> None:
    """With its kind alone, a probe asks once a minute for four tokens within a budget."""
    probe = _loaded("{kind: openai}", tmp_path)

    assert (probe.interval, probe.timeout, probe.max_tokens) == (60.0, 10.0, 4)
    assert (probe.requests_per_minute, probe.tokens_per_day) == (6, 50_000)


def test_everything_can_be_set(tmp_path: Path) -> None:
    """Durations are durations, numbers whole numbers, and a body is kept as it is."""
    probe = _loaded(
        "{kind: triton, url: 'http://gpu:8000', model: m, interval: 5s, timeout: 500ms, "
        "body: {inputs: [{name: x, data: [[1]]}]}, requests_per_minute: 12}",
        tmp_path,
    )

    assert (probe.interval, probe.timeout, probe.requests_per_minute) == (5.0, 0.5, 12)
    assert probe.body == {"inputs": [{"name": "x", "data": [[1]]}]}


@pytest.mark.parametrize(
    ("probe", "key"),
    [
        ("{}", "kind: is required"),
        ("{kind: opanai}", "kind: must be one of"),
        ("{kind: triton, url: 'http://a'}", "model: is required"),
        ("{kind: kserve_v2}", "model: is required"),
        ("{kind: triton, model: m}", "url: is required"),
        ("{kind: triton, model: m, url: 'http://a', chat: true}", "chat: is of openai"),
        ("{kind: triton, model: m, url: 'http://a', prompt: x}", "prompt: is of openai"),
        ("{kind: openai, body: {}}", "body: is of kserve_v2 and triton"),
        ("{kind: openai, body: [1]}", "body: must be the body of a request"),
        ("{kind: kserve_v2, model: m, body: {a: .nan}}", "body: must be the body of a request"),
        ("{kind: kserve_v2, model: m, body: {a: 2020-01-01}}", "body: must be the body"),
        ("{kind: openai, max_tokens: 0}", "max_tokens: must be between 1 and 256"),
        ("{kind: openai, max_tokens: true}", "max_tokens: must be a whole number"),
        ("{kind: openai, max_tokens: 1.5}", "max_tokens: must be a whole number"),
        ("{kind: openai, tokens_per_day: -1}", "tokens_per_day: must be a whole number"),
        ("{kind: openai, interval: 0.5s}", "interval: must be between 1s and 3600s"),
        ("{kind: openai, promt: x}", "promt: is not known; did you mean prompt?"),
    ],
)
def test_what_cannot_be_meant_is_refused(probe: str, key: str, tmp_path: Path) -> None:
    """Each mistake is named with its key before anything starts."""
    (problem,) = _refused(probe, tmp_path)

    assert problem.startswith(f"servers[0].probe.{key}")


def test_a_plan_follows_from_the_server(tmp_path: Path) -> None:
    """A probe asks where the metrics are and gets in as the scrape does, unless that would leak a secret."""
    file = tmp_path / "agent.yaml"
    file.write_text(
        "servers:\n"
        "- {url: 'https://gpu:8443/metrics?a=b', bearer_token_file: /t, probe: {kind: openai}}\n"
        "- {url: 'https://gpu:8444', bearer_token_file: /t, "
        "probe: {kind: openai, url: 'http://gpu:1'}}\n"
    )

    plans = [plan_of(server, server.probe) for server in load(file, {}, {}).servers if server.probe]

    assert plans[0].url == "https://gpu:8443"
    assert plans[0].access.bearer_token_file == "/t"  # noqa: S105 - a path
    assert plans[1].url == "http://gpu:1"
    assert not plans[1].access.has_credentials
