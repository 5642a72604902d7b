"""What can be said of a source in a profile, each by a small page."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import Metric, serving
from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profile import (
    Added,
    By,
    Facts,
    Mean,
    Native,
    Origin,
    Product,
    Profile,
    Ratio,
    Signal,
    Source,
    Where,
)
from agent.snapshot import Distribution
from tests.agent.collectors.serving.pages import reasons, translate, values

M = ("m", "", "")


def gauge(name: str, **more: object) -> Source:
    """Return a gauge."""
    return Source(name=name, native=Native.GAUGE, **more)  # type: ignore[arg-type]


def counter(name: str, **more: object) -> Source:
    """Return a counter."""
    return Source(name=name, native=Native.COUNTER, **more)  # type: ignore[arg-type]


def profile(metric: Metric, *origins: Origin, **more: object) -> Profile:
    """Return a profile of one signal."""
    more = {"model_labels": ("model",), "engine_labels": ("engine",), **more}
    return Profile(name="p", prefixes=("x_",), signals=(Signal(metric, origins),), **more)  # type: ignore[arg-type]


def told(
    metric: Metric, text: str, *origins: Origin, **more: object
) -> dict[tuple[str, ...], object]:
    """Return what one signal is on a page without problems."""
    readings, problems = translate(profile(metric, *origins, **more), text)
    assert problems == ()
    return dict(values(readings, metric))


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (Where("status", frozenset({"4xx"})), {"4xx"}),
        (Where("status", matching="[45](xx|..)"), {"4xx", "500", "404"}),
        (Where("status", matching="5.."), {"500"}),
        (Where("status", frozenset({""})), {""}),
        (Where("status", frozenset({"4xx", ""}), matching="2.."), {"4xx", "200", ""}),
        (Where("status", frozenset({""}), excluding=True), {"4xx", "500", "404", "200", "xx5"}),
        (Where("status", matching="..", excluding=True), {"4xx", "500", "404", "200", "xx5", ""}),
        (Where("absent", frozenset({""})), {"4xx", "500", "404", "200", "xx5", ""}),
    ],
)
def test_series_are_chosen_by_their_labels(where: Where, kept: set[str]) -> None:
    """By value, by a pattern of the whole value, by absence, and by the opposite."""
    text = "".join(
        f'x_total{{model="m",status="{status}"}} 1\n'
        for status in ("4xx", "500", "404", "200", "xx5")
    )
    source = counter("x_total", where=(where,), by=(By(("status",)),))

    found = told(serving.REQUESTS_ERRORS, f'{text}x_total{{model="m"}} 1\n', source)

    assert {key[3] for key in found} == kept


def test_all_conditions_must_hold() -> None:
    """Two conditions are both met, or the series is left out."""
    text = 'x{a="1",b="1"} 1\nx{a="1",b="2"} 2\nx{a="2",b="1"} 4\n'
    both = (Where("a", frozenset({"1"})), Where("b", frozenset({"1"})))

    assert told(serving.REQUESTS_RUNNING, text, gauge("x", where=both)) == {("", "", ""): 1}


def test_an_attribute_is_the_first_label_there_is_in_the_catalogues_words() -> None:
    """What the vocabulary does not know stays; without a label it is what the profile says."""
    by = By(
        ("reason", "status"), otherwise="success", values=(("end_id", "stop"), ("bad", "error"))
    )
    text = (
        'x_total{model="m",reason="end_id",status="bad"} 1\n'
        'x_total{model="m",status="bad"} 2\n'
        'x_total{model="m",reason="",status="odd"} 4\n'
        'x_total{model="m"} 8\n'
        'x_total{model="m",reason="stop"} 16\n'
    )

    assert told(serving.REQUESTS_FINISHED, text, counter("x_total", by=(by,))) == {
        (*M, "stop"): 17,
        (*M, "error"): 2,
        (*M, "odd"): 4,
        (*M, "success"): 8,
    }


def test_labels_name_the_model_in_order_of_preference() -> None:
    """The first label that a series has; the configured name where it has none."""
    text = 'x{served="s",model="m",release="2"} 1\nx{model="m",version="1"} 2\nx{} 4\n'
    told_by = Profile(
        name="p",
        prefixes=("x",),
        signals=(Signal(serving.REQUESTS_RUNNING, (gauge("x"),)),),
        model_labels=("served", "model"),
        version_labels=("version", "release"),
    )

    page = Parser(told_by.samples).parse(text)
    readings = Translation(told_by, "chat", "configured").readings(page, Faults("chat"))

    assert values(readings, serving.REQUESTS_RUNNING) == {
        ("s", "2", ""): 1,
        ("m", "1", ""): 2,
        ("configured", "", ""): 4,
    }


def test_several_families_are_added_up_by_their_attributes() -> None:
    """Each adds what it has; one that is not there adds nothing."""
    both = Added((counter("x_total"), counter("y_total")))
    x, y = 'x_total{model="m"} 1\nx_total{model="n"} 2\n', 'y_total{model="m"} 4\n'

    assert told(serving.TOKENS_PROMPT, x + y, both) == {M: 5, ("n", "", ""): 2}
    assert told(serving.TOKENS_PROMPT, x, both) == {M: 1, ("n", "", ""): 2}


def test_a_sum_that_must_be_whole_needs_every_family() -> None:
    """A family that is declared and has no series yet is known to be 0."""
    both = Added((counter("x_total"), counter("y_total")), whole=True)
    x = 'x_total{model="m"} 1\n'

    assert told(serving.TOKENS_PROMPT, x, both) == {}
    assert told(serving.TOKENS_PROMPT, f"{x}# TYPE y_total counter\n", both) == {M: 1}


@pytest.mark.parametrize("bad", ['y_total{model="m"} NaN\n', "# TYPE y_total gauge\ny_total 1\n"])
def test_a_sum_that_lacks_a_part_is_left_out(bad: str) -> None:
    """A part that cannot be believed takes the sum with it."""
    both = Added((counter("x_total"), counter("y_total")))

    readings, problems = translate(
        profile(serving.TOKENS_PROMPT, both), f'x_total{{model="m"}} 1\n{bad}'
    )

    assert readings == []
    assert len(problems) == 1


def test_two_gauges_make_a_share() -> None:
    """Of the same model; over 0 there is none."""
    share = Ratio(gauge("x_used"), gauge("x_all"))
    text = (
        'x_used{model="m"} 1\nx_all{model="m"} 4\n'
        'x_used{model="n"} 1\nx_all{model="n"} 0\n'
        'x_used{model="o"} 1\n'
    )

    assert told(serving.KV_CACHE_UTILIZATION, text, share) == {M: 0.25}


def test_one_family_can_hold_both_sides_of_a_share() -> None:
    """TensorRT-LLM's back end of Triton has used and greatest number of blocks in one family."""

    def blocks(kind: str) -> Source:
        return gauge("x_blocks", where=(Where("kind", frozenset({kind})),))

    text = 'x_blocks{model="m",kind="used"} 3\nx_blocks{model="m",kind="max"} 4\n'

    assert told(serving.KV_CACHE_UTILIZATION, text, Ratio(blocks("used"), blocks("max"))) == {
        M: 0.75
    }


@pytest.mark.parametrize(
    "size",
    [
        'x_size{model="m"} 32\n',
        "x_size 32\n",
        'x_size{engine=""} 32\n',
        'x_size{model="m"} 32\nx_size{model="other"} 16\n',
        'x_size{model="m",rank="0"} 32\nx_size{model="m",rank="1"} 32\n',
    ],
)
def test_blocks_become_tokens(size: str) -> None:
    """By the size of the model's own blocks, or the only size there is."""
    tokens = Product(of=counter("x_total"), times=gauge("x_size"))

    assert told(serving.TOKENS_CACHED, f'x_total{{model="m"}} 3\n{size}', tokens) == {M: 96}


def test_sizes_that_contradict_each_other_are_none() -> None:
    """Two ranks with different blocks leave the number of tokens unknown."""
    tokens = Product(of=counter("x_total"), times=gauge("x_size"))
    text = 'x_total{model="m"} 3\nx_size{model="m",rank="0"} 32\nx_size{model="m",rank="1"} 16\n'

    readings, problems = translate(profile(serving.TOKENS_CACHED, tokens), text)

    assert readings == []
    assert reasons(problems) == {"ambiguous_series"}


def test_the_sum_of_a_histogram_is_a_counter() -> None:
    """Of a summary too; its count is one as well."""
    text = (
        "# TYPE x_length histogram\n"
        'x_length_bucket{model="m",le="+Inf"} 3\nx_length_sum{model="m"} 70\n'
        'x_length_count{model="m"} 3\n'
        "# TYPE x_time summary\nx_time_sum 7.5\nx_time_count 5\n"
    )
    length, times = (
        Source(name="x_length", native=Native.SUM),
        Source(name="x_time", native=Native.COUNT),
    )

    assert told(serving.TOKENS_PROMPT, text, length) == {M: 70}
    assert told(serving.TOKENS_PROMPT, text, times) == {("", "", ""): 5}


def test_a_gauge_that_is_a_counter_is_read_as_one() -> None:
    """Where the profile says so; with and without the suffix, the first one wins."""
    source = counter("x_total", declared=("gauge",))

    for text in (
        '# TYPE x gauge\nx{model="m"} 5\n',
        '# TYPE x_total counter\nx_total{model="m"} 5\n',
        '# TYPE x gauge\nx{model="m"} 4\n# TYPE x_total counter\nx_total{model="m"} 5\n',
    ):
        assert told(serving.TOKENS_PROMPT, text, source) == {M: 5}


@pytest.mark.parametrize("sentinel", ["-1", "NaN"])
def test_a_sentinel_is_absent_and_no_problem(sentinel: str) -> None:
    """The server says in its own way that there is nothing; the other series stay."""
    source = gauge("x", sentinels=(-1.0, nan))
    text = f'x{{model="m"}} {sentinel}\nx{{model="n"}} 0.5\n'

    assert told(serving.KV_CACHE_UTILIZATION, text, source) == {("n", "", ""): 0.5}


def test_a_value_can_stand_in_a_label() -> None:
    """None, and whatever is no number, is no value."""
    text = (
        '# TYPE x_info info\nx_info{model="m",size="16"} 1\nx_info{model="n",size="None"} 1\n'
        'x_info{model="o"} 1\n'
    )

    assert told(serving.KV_CACHE_CAPACITY, text, gauge("x_info", value_label="size")) == {M: 16}


def test_what_names_no_model_gets_it_from_what_does() -> None:
    """By the engine, where that has one model; with two of them nobody knows."""
    signal = Signal(serving.KV_CACHE_CAPACITY, (gauge("x_size"),), models=gauge("x_running"))
    named = Profile(
        name="p",
        prefixes=("x_",),
        signals=(signal,),
        model_labels=("model",),
        engine_labels=("engine",),
    )
    text = (
        'x_size{engine="0"} 1\nx_running{model="m",engine="0"} 0\n'
        'x_size{engine="1"} 2\nx_running{model="m",engine="1"} 0\nx_running{model="n",engine="1"} 0\n'
    )

    readings, _ = translate(named, text)

    assert values(readings, serving.KV_CACHE_CAPACITY) == {("m", "", "0"): 1, ("", "", "1"): 2}


def test_facts_come_from_labels_and_from_values() -> None:
    """Of the model itself, else of its engine, else of all there is; contradictions are not told."""
    facts = Facts(
        models=gauge("x_running"),
        parts=(
            (gauge("x_new_info", value_label="version"), gauge("x_info", value_label="version")),
            (gauge("x_length"),),
            (gauge("x_info", value_label="dtype"),),
        ),
    )
    text = (
        'x_running{model="m",engine="0"} 1\nx_running{model="m",engine="1"} 1\n'
        'x_info{engine="0",version="1.2",dtype="fp8"} 1\nx_info{engine="1",dtype="auto"} 1\n'
        'x_info{engine="1",dtype="None"} 1\nx_length{} 4096\n'
    )

    assert told(serving.SERVER_INFO, text, facts) == {
        ("m", "", "0", "1.2", "4096", "fp8"): 1,
        ("m", "", "1", "1.2", "4096", "auto"): 1,
    }


QUANTILES = (
    "# TYPE x_us summary\n"
    'x_us{model="m",quantile="0.99"} 3000\nx_us{model="m",quantile="0.5"} 1000\n'
    'x_us{model="m",quantile="0.9"} NaN\nx_us_sum{model="m"} 5000\nx_us_count{model="m"} 4\n'
)


def test_a_summary_stays_a_summary() -> None:
    """Its quantiles in the catalogue's unit, without those of an idle window."""
    source = Source(name="x_us", native=Native.SUMMARY, per=1e6)

    assert told(serving.REQUEST_DURATION_QUANTILES, QUANTILES, source) == {
        M: Distribution((), (4,), 0.005, None, ((0.5, 0.001), (0.99, 0.003)))
    }


def test_a_summary_can_be_a_histogram_without_bounds() -> None:
    """Its mean is right; a summary without quantiles is nothing else."""
    source = Source(name="x_us", native=Native.SUMMARY, per=1e6)
    bare = "\n".join(line for line in QUANTILES.splitlines() if "quantile" not in line)

    for text in (QUANTILES, bare):
        assert told(serving.REQUEST_DURATION, text, source) == {M: Distribution((), (4,), 0.005)}
    assert told(serving.REQUEST_DURATION_QUANTILES, bare, source) == {}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (QUANTILES.replace("x_us_count", "x_us_number"), "malformed_summary"),
        (QUANTILES.replace("} 4\n", "} 4.5\n"), "malformed_summary"),
        (QUANTILES.replace("} 5000\n", "} +Inf\n"), "not_finite"),
        (QUANTILES.replace('"0.5"', '"50"'), "malformed_summary"),
        (QUANTILES.replace('"0.5"', '"half"'), "malformed_summary"),
        (QUANTILES + QUANTILES.partition("\n")[2].replace("{", '{a="b",'), "ambiguous_series"),
    ],
)
def test_a_summary_that_cannot_be_is_refused(broken: str, reason: str) -> None:
    """Without a count, with half a request, with a share beyond 1; and two have no common quantiles."""
    source = Source(name="x_us", native=Native.SUMMARY, per=1e6)

    readings, problems = translate(profile(serving.REQUEST_DURATION_QUANTILES, source), broken)

    assert readings == []
    assert reasons(problems) == {reason}


def test_the_first_origin_with_values_wins() -> None:
    """A family that is there and says nothing of use leaves the next one its turn."""
    first = gauge("x", where=(Where("kind", frozenset({"none"})),))

    assert told(serving.REQUESTS_RUNNING, "x 1\ny 2\n", first, gauge("y")) == {("", "", ""): 2}
    assert told(serving.REQUESTS_RUNNING, "x 1\ny 2\n", gauge("x"), gauge("y")) == {("", "", ""): 1}


def test_a_mean_needs_both_of_its_counters() -> None:
    """What was spent says nothing without how often."""
    mean = Mean(counter("x_seconds_total"), counter("x_total"))
    text = 'x_seconds_total{model="m"} 3\nx_total{model="m"} 2\nx_seconds_total{model="n"} 1\n'

    assert told(serving.QUEUE_DURATION, text, mean) == {M: Distribution((), (2,), 3.0)}


NAMES = ("x_newest", "x_newer", "x_old", "x_oldest")


@given(st.permutations(NAMES), st.integers(1, 4), st.permutations(NAMES))
def test_whatever_names_a_page_has_the_first_of_the_profile_is_taken_once(
    order: list[str], present: int, on_page: list[str]
) -> None:
    """Any order of renames, any subset of them, in any order on the page."""
    there = set(on_page[:present])
    text = "".join(
        f'{name}{{model="m"}} {NAMES.index(name)}\n' for name in on_page if name in there
    )
    origins = [gauge(name) for name in order]

    found = told(serving.REQUESTS_RUNNING, text, *origins)

    assert found == {M: NAMES.index(next(name for name in order if name in there))}


def test_a_worker_that_restarts_leaves_the_others_tokens_alone() -> None:
    """Parts of a sum are followed from page to page, each by itself."""
    translation_of = profile(serving.TOKENS_PROMPT, counter("x_total"))
    parser = Parser(translation_of.samples)
    translation = Translation(translation_of, "chat")
    sums = []
    for first, second in ((100, 50), (110, 4), (111, 6)):
        text = (
            f'x_total{{model="m",worker="1"}} {first}\nx_total{{model="m",worker="2"}} {second}\n'
        )
        (reading,) = translation.readings(parser.parse(text), Faults("chat"))
        sums.append(reading.value)

    assert sums == [150, 164, 167]


def test_buckets_may_change_between_two_pages() -> None:
    """A server that restarts with other buckets is read with those."""
    source = Source(name="x", native=Native.HISTOGRAM)
    kept = profile(serving.QUEUE_DURATION, source)
    parser, translation = Parser(kept.samples), Translation(kept, "chat")
    found = []
    for bounds, count in ((("1", "+Inf"), 7), (("2", "4", "+Inf"), 3), (("1", "+Inf"), 1)):
        lines = [f'x_bucket{{le="{bound}"}} {count}\n' for bound in bounds]
        page = parser.parse("".join([*lines, f"x_sum 1\nx_count {count}\n"]))
        found += [reading.value for reading in translation.readings(page, Faults("chat"))]

    assert found == [
        Distribution((1.0,), (7, 0), 1.0),
        Distribution((2.0, 4.0), (3, 0, 0), 1.0),
        Distribution((1.0,), (1, 0), 1.0),
    ]
