from pathlib import Path

import pytest

from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.detection import detect, profile_named
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profiles import PROFILES
from agent.config import load
from agent.custom_profiles import known_profiles
from agent.snapshot import Distribution

ACME = """
profiles:
  - name: acme
    prefixes: [acme_]
    model_labels: [model]
    engine_labels: [gpu]
    nameless: [none]
    signals:
      - metric: inference.requests.running
        sources:
          - sum:
              - {family: acme_http_running, kind: gauge, where: [{label: kind, values: [infer]}]}
              - {family: acme_grpc_running, kind: gauge}
      - metric: gen_ai.server.request.duration
        sources:
          - of: {family: acme_busy_us, kind: counter, unit: us}
            over: {family: acme_requests, kind: counter}
      - metric: inference.queue.duration
        sources: [{family: acme_wait_ms, kind: histogram, unit: ms}]
      - metric: inference.requests.errors
        of_server: true
        sources:
          - family: acme_errors_total
            kind: counter
            where: [{label: code, matching: "5.."}]
            by: [{labels: [code], otherwise: other, values: {"503": overloaded}}]
      - metric: inference.kv_cache.utilization
        sources:
          - {family: acme_kv_percent, kind: gauge, unit: percent, sentinels: [-1]}
          - of: {family: acme_kv_used, kind: gauge}
            over: {family: acme_kv_all, kind: gauge}
"""
PAGE = """\
# TYPE acme_http_running gauge
acme_http_running{model="m",gpu="0",kind="infer"} 2
acme_http_running{model="m",gpu="0",kind="admin"} 9
# TYPE acme_grpc_running gauge
acme_grpc_running{model="m",gpu="0"} 1
# TYPE acme_busy_us counter
acme_busy_us_total{model="m",gpu="0"} 5000000
# TYPE acme_requests counter
acme_requests_total{model="m",gpu="0"} 20
# TYPE acme_wait_ms histogram
acme_wait_ms_bucket{model="none",le="5"} 3
acme_wait_ms_bucket{model="none",le="+Inf"} 4
acme_wait_ms_sum{model="none"} 50
acme_wait_ms_count{model="none"} 4
# TYPE acme_errors_total counter
acme_errors_total{code="503"} 7
acme_errors_total{code="500"} 1
acme_errors_total{code="404"} 30
# TYPE acme_kv_percent gauge
acme_kv_percent{model="m",gpu="0"} -1
# TYPE acme_kv_used gauge
acme_kv_used{model="m",gpu="0"} 30
# TYPE acme_kv_all gauge
acme_kv_all{model="m",gpu="0"} 120
"""


def test_a_profile_of_the_configuration_reads_as_it_says(tmp_path: Path) -> None:
    """Sums, means, conditions, words, units and sentinels work as in a built-in profile."""
    file = tmp_path / "agent.yaml"
    file.write_text(ACME)
    profiles = known_profiles(load(file, {}, {}).profiles)

    (acme,) = detect(PAGE, profiles)
    faults = Faults("s")
    readings = Translation(acme, "s").readings(Parser(acme.samples).parse(PAGE), faults)

    assert faults.problems() == ()
    assert {(reading.metric.name, *reading.attributes): reading.value for reading in readings} == {
        ("inference.requests.running", "s", "acme", "m", "", "0"): 3.0,
        ("gen_ai.server.request.duration", "s", "acme", "m", "", "0"): Distribution((), (20,), 5.0),
        ("inference.queue.duration", "s", "acme", "", "", ""): Distribution((0.005,), (3, 1), 0.05),
        ("inference.requests.errors", "s", "acme", "", "", "", "overloaded"): 7.0,
        ("inference.requests.errors", "s", "acme", "", "", "", "500"): 1.0,
        ("inference.kv_cache.utilization", "s", "acme", "m", "", "0"): 0.25,
    }


def test_it_is_tried_before_the_built_in_ones(tmp_path: Path) -> None:
    """A page that is of both is first the configuration's."""
    file = tmp_path / "agent.yaml"
    file.write_text(ACME)
    page = PAGE + 'vllm:num_requests_running{model_name="m"} 1\n'

    found = detect(page, known_profiles(load(file, {}, {}).profiles))

    assert [profile.name for profile in found] == ["acme", "vllm"]


def test_one_of_a_built_in_name_stands_in_its_place(tmp_path: Path) -> None:
    """Who names a profile vllm means to replace ours: there is one of that name, and it is theirs."""
    file = tmp_path / "agent.yaml"
    file.write_text("profiles: [{name: vllm, prefixes: ['vllm:']}]")

    profiles = known_profiles(load(file, {}, {}).profiles)

    assert len(profiles) == len(PROFILES)
    assert profile_named("vllm", profiles).signals == ()


def test_without_prefixes_only_a_server_that_names_it_has_it(tmp_path: Path) -> None:
    """Such a profile is never detected, whatever is on a page."""
    file = tmp_path / "agent.yaml"
    file.write_text("profiles: [{name: acme}]")

    assert detect(PAGE, known_profiles(load(file, {}, {}).profiles)) == ()


@pytest.mark.parametrize("kind", ["histogram", "summary"])
def test_a_kind_is_the_records_kind(kind: str, tmp_path: Path) -> None:
    """The words for kinds are those of the records."""
    file = tmp_path / "agent.yaml"
    file.write_text(
        "profiles: [{name: a, signals: [{metric: inference.queue.duration, "
        f"sources: [{{family: a_wait, kind: {kind}}}]}}]}}]"
    )

    (profile, *_) = known_profiles(load(file, {}, {}).profiles)

    assert [leaf.native.value for leaf in profile.signals[0].leaves] == [kind]


def test_two_signals_never_tell_one_series(tmp_path: Path) -> None:
    """A profile that maps two families to one series is read by the first, and it is a problem."""
    file = tmp_path / "agent.yaml"
    file.write_text(
        "profiles: [{name: a, signals: ["
        "{metric: inference.requests.running, sources: [{family: acme_http_running, kind: gauge}]},"
        "{metric: inference.requests.running, sources: [{family: acme_grpc_running, kind: gauge}]}]}]"
    )
    (profile, *_) = known_profiles(load(file, {}, {}).profiles)
    faults = Faults("s")

    readings = Translation(profile, "s").readings(Parser(profile.samples).parse(PAGE), faults)

    assert [reading.value for reading in readings] == [11.0]
    assert [problem.reason for problem in faults.problems()] == ["ambiguous_series"]
