from pathlib import Path

import pytest

from agent.catalogue import CATALOGUE, Kind, serving
from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.amounts import Combining
from agent.collectors.serving.budget import within_budget
from agent.collectors.serving.detection import (
    detect,
    is_exposition,
    profile_named,
)
from agent.collectors.serving.labels import Reader
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profile import Facts, Mean, Native, Product, Profile, Ratio, Source
from agent.collectors.serving.profiles import PROFILES
from agent.collectors.serving.profiles.vllm import VLLM
from agent.collectors.serving.scalars import One
from agent.config.settings import PROFILES as CONFIGURABLE
from agent.snapshot import Distribution, Reading
from tests.agent.collectors.serving.pages import captured, reasons, translate, values

RUNNING = 'vllm:num_requests_running{model_name="m"}'
M = ("m", "", "")


def histogram(*buckets: tuple[str, int], family: str = "vllm:time_to_first_token_seconds") -> str:
    """Write a histogram whose sum and count fit its last bucket."""
    lines = [f'{family}_bucket{{model_name="m",le="{le}"}} {count}' for le, count in buckets]
    lines += [
        f'{family}_sum{{model_name="m"}} 1',
        f'{family}_count{{model_name="m"}} {buckets[-1][1]}',
    ]
    return f"# TYPE {family} histogram\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_signal_of_a_profile_fits_the_catalogue(profile: Profile) -> None:
    """The native kind can give the metric's kind, and the attributes are as many as it has."""
    gauges, counters = {Native.GAUGE}, {Native.COUNTER, Native.SUM, Native.COUNT}
    fitting = {
        Kind.GAUGE: gauges,
        Kind.UP_DOWN_COUNTER: gauges,
        Kind.COUNTER: counters,
        Kind.HISTOGRAM: {Native.HISTOGRAM, Native.SUMMARY},
        Kind.SUMMARY: {Native.SUMMARY},
    }
    for signal in profile.signals:
        own = len(signal.metric.attributes) - len(serving.MODEL_ATTRIBUTES)
        assert signal.metric in CATALOGUE
        for origin in signal.sources:
            if isinstance(origin, Facts):
                assert len(origin.parts) == own
            elif isinstance(origin, Mean):
                assert signal.metric.kind is Kind.HISTOGRAM
                assert {leaf.native for leaf in origin.leaves} <= counters
            elif isinstance(origin, Ratio):
                assert signal.metric.unit == "1"
                assert {leaf.native for leaf in origin.leaves} <= gauges
            elif isinstance(origin, Product):
                assert {leaf.native for leaf in origin.of.leaves} <= fitting[signal.metric.kind]
                assert {leaf.native for leaf in origin.times.leaves} <= gauges
            else:
                for leaf in origin.leaves:
                    assert leaf.native in fitting[signal.metric.kind]
                    assert len(leaf.by) == own


def test_every_profile_can_be_configured() -> None:
    """The configuration offers exactly the profiles that there are."""
    assert {profile.name for profile in PROFILES} == set(CONFIGURABLE)


def test_a_profile_is_found_by_its_name() -> None:
    """An unknown name says which ones there are."""
    assert profile_named("vllm") is VLLM
    with pytest.raises(ValueError, match=r"no profile 'vlm'; known: .*triton.*, vllm"):
        profile_named("vlm")


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted((Path(__file__).parents[3] / "fixtures").glob("*/*.txt"))
        if path.parent.name == "nvidia_gpu_exporter" or "dcgm" in path.as_posix()
    ],
    ids=lambda path: path.stem,
)
def test_pages_of_others_are_not_mistaken(path: Path) -> None:
    """Exporters of GPUs give metrics of no model server."""
    text = path.read_text()

    assert detect(text) == ()
    assert is_exposition(text)


@pytest.mark.parametrize(
    "text",
    [
        '<a href="vllm:x">',
        "# TYPE vllm:x gauge\n",
        "vllm:\n",
        "see vllm:x 1\n",
        "vllm:x{ is great\n",
    ],
)
def test_a_name_in_passing_is_not_a_server(text: str) -> None:
    """Only a sample of its own at the beginning of a line tells a server."""
    assert detect(text) == ()


def test_prose_is_no_exposition() -> None:
    """JSON and plain sentences are not taken for metrics."""
    assert not is_exposition('{"detail": "Not Found"}')
    assert not is_exposition("Welcome to the model server\n")


def test_a_missing_family_is_absent() -> None:
    """What the page does not say is no reading, and no problem either."""
    readings, problems = translate(VLLM, f"{RUNNING} 3\n")

    assert [(reading.metric, reading.value) for reading in readings] == [
        (serving.SERVER_INFO, 1),
        (serving.REQUESTS_RUNNING, 3),
    ]
    assert problems == ()


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_absent_and_counted(value: str) -> None:
    """NaN and infinity reach nobody."""
    readings, problems = translate(VLLM, f"{RUNNING} {value}\n")

    assert readings == []
    assert reasons(problems) == {"not_finite"}


def test_the_same_thing_said_twice_is_taken_once() -> None:
    """A page that was put together twice gives each value once; the doubles are counted."""
    text = captured("vllm/vllm_0.33.0_dp1_t1.txt")

    once, _ = translate(VLLM, text)
    twice, problems = translate(VLLM, text + text)

    assert twice == once
    assert reasons(problems) == {"duplicate_series"}


def test_a_series_with_two_values_has_none() -> None:
    """Nobody can say which of two values is true; the other series stay."""
    other = 'vllm:num_requests_running{model_name="n"} 9\n'

    readings, problems = translate(VLLM, f"{RUNNING} 1\n{RUNNING} 2\n{other}")

    assert values(readings, serving.REQUESTS_RUNNING) == {("n", "", ""): 9}
    assert reasons(problems) == {"duplicate_series"}


def test_a_contested_bucket_takes_its_histogram_with_it() -> None:
    """A histogram of which a bucket is missing would look like one with other bounds."""
    text = histogram(("0.1", 1), ("0.5", 2), ("+Inf", 3))
    text += 'vllm:time_to_first_token_seconds_bucket{model_name="m",le="0.5"} 1\n'

    readings, problems = translate(VLLM, text)

    assert readings == []
    assert reasons(problems) == {"duplicate_series"}


def test_conflicting_types_are_refused() -> None:
    """A family declared as two types means nothing for sure."""
    text = (
        "# TYPE vllm:num_requests_running gauge\n# TYPE vllm:num_requests_running counter\n"
        f"{RUNNING} 1\n"
    )

    readings, problems = translate(VLLM, text)

    assert readings == []
    assert reasons(problems) == {"conflicting_type"}


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("vllm:num_requests_running", "counter"),
        ("vllm:prompt_tokens_total", "gauge"),
        ("vllm:time_to_first_token_seconds", "summary"),
    ],
)
def test_an_unexpected_type_is_refused(family: str, kind: str) -> None:
    """A server that means something else by a name is not misread."""
    samples = f'{RUNNING} 1\nvllm:prompt_tokens_total{{model_name="m"}} 1\n'
    samples += histogram(("+Inf", 1)).partition("\n")[2]

    readings, problems = translate(VLLM, f"# TYPE {family} {kind}\n{samples}")

    assert len({r.metric for r in readings} - {serving.SERVER_INFO}) == 2
    assert reasons(problems) == {"unexpected_type"}
    assert problems[0].subject == f"chat {family}"


def test_types_need_not_be_there() -> None:
    """Without any TYPE line the profile's word is taken."""
    text = captured("vllm/vllm_0.33.0_dp1_t1.txt")
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#"))

    assert translate(VLLM, bare) == translate(VLLM, text)


def test_a_counter_may_lack_its_suffix_or_have_one_more() -> None:
    """Whether a client library writes _total or not, it is the same counter."""
    text = '# TYPE vllm:prompt_tokens counter\nvllm:prompt_tokens{model_name="m"} 5\n'

    readings, problems = translate(VLLM, text)

    assert values(readings, serving.TOKENS_PROMPT) == {M: 5}
    assert problems == ()


@pytest.mark.parametrize(
    "buckets",
    [
        [("0.1", 1), ("0.5", 3)],
        [("0.5", 1), ("0.1", 1), ("+Inf", 3)],
        [("0.1", 2), ("0.5", 1), ("+Inf", 3)],
        [("0.1", 1), ("1e-1", 1), ("+Inf", 3)],
        [("low", 1), ("+Inf", 3)],
    ],
    ids=["no +Inf", "out of order", "falling", "doubled", "no number"],
)
def test_a_malformed_histogram_is_absent_and_counted(buckets: list[tuple[str, int]]) -> None:
    """No part of a histogram that contradicts itself is used."""
    readings, problems = translate(VLLM, histogram(*buckets))

    assert readings == []
    assert reasons(problems) == {"malformed_histogram"}
    assert problems[0].subject == "chat vllm:time_to_first_token_seconds"


def test_one_malformed_histogram_does_not_hide_the_next() -> None:
    """Engines are judged one by one."""
    good = histogram(("0.1", 1), ("+Inf", 3)).replace('"m"', '"n"')

    readings, problems = translate(VLLM, histogram(("0.1", 1)) + good)

    assert values(readings, serving.TIME_TO_FIRST_TOKEN) == {
        ("n", "", ""): Distribution((0.1,), (1, 2), 1.0)
    }
    assert reasons(problems) == {"malformed_histogram"}


def test_bounds_are_numbers_however_they_are_spelled() -> None:
    """1, 1.0 and 1e+00 are one bound, and the order of sum, count and buckets is free."""
    lines = histogram(("0", 0), ("1", 1), ("1e+06", 2), ("+Inf", 2)).splitlines()

    readings, _ = translate(
        VLLM, "\n".join(reversed(lines[-2:])) + "\n" + "\n".join(lines[:-2]) + "\n"
    )

    assert values(readings, serving.TIME_TO_FIRST_TOKEN) == {
        M: Distribution((0.0, 1.0, 1_000_000.0), (0, 1, 1, 0), 1.0)
    }


def test_what_the_catalogue_does_not_tell_apart_is_added() -> None:
    """A label per request makes one series of us, and the right one, of counters and histograms."""
    text = "".join(
        f'vllm:prompt_tokens_total{{model_name="m",request_id="{number}"}} 2\n'
        for number in range(5_000)
    )
    labelled = histogram(("0.1", 1), ("+Inf", 3)).replace(
        'model_name="m"', 'model_name="m",id="{}"'
    )

    readings, problems = translate(
        VLLM, text + labelled.replace("{}", "a") + labelled.replace("{}", "b")
    )

    assert values(readings, serving.TOKENS_PROMPT) == {M: 10_000}
    assert values(readings, serving.TIME_TO_FIRST_TOKEN) == {M: Distribution((0.1,), (2, 4), 2.0)}
    assert problems == ()


def test_ratios_are_not_added() -> None:
    """Two cache utilizations for one engine have no sum and are refused."""
    text = "".join(f'vllm:kv_cache_usage_perc{{model_name="m",x="{x}"}} 0.4\n' for x in "ab")

    readings, problems = translate(VLLM, text)

    assert readings == []
    assert reasons(problems) == {"ambiguous_series"}


def test_a_sum_lacking_a_part_is_refused() -> None:
    """If one of two replicas says NaN, the sum of the rest is not the server's."""
    text = (
        'vllm:prompt_tokens_total{model_name="m",x="a"} 2\n'
        'vllm:prompt_tokens_total{model_name="m",x="b"} NaN\n'
    )

    readings, problems = translate(VLLM, text)

    assert readings == []
    assert reasons(problems) == {"not_finite"}


def test_counters_that_fall_pass_unchanged() -> None:
    """After a restart the lower value is the true one: resets are for those who compute rates."""
    parser, translation, faults = Parser(VLLM.samples), Translation(VLLM, "chat"), Faults("chat")
    line = 'vllm:prompt_tokens_total{model_name="m"}'

    pages = [parser.parse(f"{line} {number}\n") for number in (500, 700, 3)]
    readings = [each for page in pages for each in translation.readings(page, faults)]

    assert list(values(readings, serving.TOKENS_PROMPT)) == [("m", "", "")]
    told = [each.value for each in readings if each.metric is serving.TOKENS_PROMPT]
    assert told == [500, 700, 3]
    assert faults.problems() == ()


def test_what_is_remembered_of_series_stays_bounded() -> None:
    """Models that come and go leave nothing behind."""
    running = Source(name="vllm:num_requests_running", native=Native.GAUGE)
    parser, one = Parser(running.samples), One(Reader(VLLM, "chat"), running, Combining.ADD)
    for round_ in range(40):
        text = "".join(
            f'vllm:num_requests_running{{model_name="{round_}-{number}"}} 1\n'
            for number in range(100)
        )
        assert len(one.read(parser.parse(text), Faults("chat"))) == 100

    assert len(one._family._labels._attributes) <= 1_300


def test_the_metric_with_the_most_series_goes_first() -> None:
    """Over budget, the exploded metric is dropped as a whole, and the rest stays."""
    bomb = [
        Reading(serving.REQUESTS_FINISHED, ("s", "p", "m", "", "", str(n)), 1.0) for n in range(50)
    ]
    calm = [Reading(serving.REQUESTS_RUNNING, ("s", "p", "m", "", str(n)), 1.0) for n in range(8)]
    faults = Faults("chat")

    kept = within_budget([*calm, *bomb], 20, faults)

    assert kept == calm
    assert [(problem.reason, problem.subject) for problem in faults.problems()] == [
        ("too_many_series", "chat inference.requests.finished")
    ]
    assert within_budget(calm, 20, Faults("chat")) == calm
