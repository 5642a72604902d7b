import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric as Family
from prometheus_client import parser, utils
from prometheus_client.openmetrics import parser as open_parser

from agent.catalogue import CATALOGUE, Kind, gpu, itself, serving
from agent.snapshot import Batch, Distribution, Reading, Snapshot
from exporters.prometheus import Exposition, bound, number
from tests.exporters import snapshots
from tests.exporters.prometheus import golden
from tests.real_parts.command import run

Parse = Callable[[str], Iterable[Family]]
parse_text: Final[Parse] = parser.text_string_to_metric_families
parse_openmetrics: Final[Parse] = open_parser.text_string_to_metric_families


def snapshot_of(*readings: Reading, sequence: int = 1) -> Snapshot:
    """Return a snapshot of nothing but these readings."""
    return Snapshot(sequence, snapshots.NOON, {"any": Batch(snapshots.NOON, readings)})


def text_of(*readings: Reading, node: str = "", cluster: str = "") -> str:
    """Return the classic text of these readings."""
    return Exposition(node, cluster).text(snapshot_of(*readings)).decode()


def families(text: str) -> dict[str, Family]:
    """Return what Prometheus' own parser reads in the classic text."""
    return {family.name: family for family in parse_text(text)}


def samples_of(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def everything() -> list[Reading]:
    """Return a reading of every metric of the catalogue."""
    histogram = Distribution((0.5, 1.0), (1, 2, 3), 4.5)
    summary = Distribution((), (6,), 4.5, None, ((0.5, 0.2), (0.99, 0.75)))
    distributions = {Kind.HISTOGRAM: histogram, Kind.SUMMARY: summary}
    return [
        Reading(
            metric,
            tuple(f"value {n}" for n, _ in enumerate(metric.attributes)),
            distributions.get(metric.kind, 1),
        )
        for metric in CATALOGUE
    ]


@pytest.mark.parametrize("path", golden.texts(), ids=lambda path: path.name)
def test_golden_text(path: Path) -> None:
    """A fixed snapshot gives exactly the text that is committed."""
    written = golden.texts()[path]

    why = "is the change meant? python -m tests.exporters.prometheus.golden writes it anew"
    assert written.decode() == path.read_text(encoding="utf-8"), why


def test_both_parsers_read_the_whole_catalogue() -> None:
    """Both of Prometheus' parsers accept every metric of the catalogue, with type and description."""
    exposition, snapshot = Exposition("n", "c"), snapshot_of(*everything())

    classic = families(exposition.text(snapshot).decode())
    open_ = {f.name: f for f in parse_openmetrics(exposition.openmetrics(snapshot).decode())}

    for metric in CATALOGUE:
        name = metric.family.removesuffix("_total")
        assert classic[name].documentation == open_[name].documentation == metric.description
        assert classic[name].type == open_[name].type == metric.kind.prometheus_type
    assert len(classic) == len(open_) == len(CATALOGUE)


def test_both_formats_carry_the_same_samples() -> None:
    """The name, labels and value of each sample do not depend on the format."""
    exposition, snapshot = Exposition("n", "c"), snapshots.full()

    classic = samples_of(exposition.text(snapshot).decode())
    open_ = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_openmetrics(exposition.openmetrics(snapshot).decode())
        for sample in family.samples
    }

    assert classic == open_
    assert len(classic) > 250


def test_families_come_in_the_order_of_the_catalogue_and_once() -> None:
    """Families keep the catalogue's order however the collectors mix their readings."""
    shuffled = [*reversed(everything())]

    names = [line.split()[2] for line in text_of(*shuffled).splitlines() if "# TYPE" in line]

    assert names == [metric.family for metric in CATALOGUE]


def test_unit_lines_stand_only_where_the_name_ends_in_the_unit() -> None:
    """OpenMetrics demands that a family with a unit ends in it; counters drop their total."""
    text = Exposition("", "").openmetrics(snapshot_of(*everything())).decode()

    units = [line.split() for line in text.splitlines() if line.startswith("# UNIT")]

    assert all(family.endswith(f"_{unit}") for _, _, family, unit in units)
    assert ["#", "UNIT", "hw_energy_joules", "joules"] in units
    assert text.endswith("# EOF\n")


def test_node_and_cluster_are_on_every_series() -> None:
    """Each sample carries the node and the cluster."""
    found = families(Exposition("node-a", "prod").text(snapshots.full()).decode())

    labels = [sample.labels for family in found.values() for sample in family.samples]

    assert labels
    assert all(one["k8s_node_name"] == "node-a" for one in labels)
    assert all(one["k8s_cluster_name"] == "prod" for one in labels)


def test_empty_attributes_are_absent_labels() -> None:
    """An attribute without a value, and a cluster that is not configured, leave no label."""
    text = text_of(
        Reading(gpu.INFO, ("GPU-1", "0", *[""] * (len(gpu.INFO.attributes) - 2)), 1), node="n"
    )

    (sample,) = families(text)["hw_gpu_info"].samples

    assert sample.labels == {"k8s_node_name": "n", "hw_id": "GPU-1", "hw_gpu_index": "0"}


def test_series_without_any_label_has_no_braces() -> None:
    """Without node, cluster and attributes the bare name is the series."""
    assert "\nhw_gpu_devices 8\n" in text_of(Reading(gpu.DEVICES, (), 8))


def test_buckets_are_cumulative() -> None:
    """Counts per bucket become cumulative ones, the last being the count."""
    value = Distribution((0.5, 1.0), (2, 3, 4), 7.25)
    text = text_of(Reading(serving.QUEUE_DURATION, ("s", "vllm", "m", "", ""), value))

    samples = families(text)[serving.QUEUE_DURATION.family].samples

    buckets = [(s.labels["le"], s.value) for s in samples if s.name.endswith("_bucket")]
    rest = {s.name.rpartition("_")[2]: s.value for s in samples if "le" not in s.labels}
    assert buckets == [("0.5", 2), ("1.0", 5), ("+Inf", 9)]
    assert rest == {"sum": 7.25, "count": 9}


def test_histogram_without_bounds_has_one_bucket() -> None:
    """Where only sum and count are known, the bucket of infinity is the only one."""
    value = Distribution((), (9,), 7.25)
    text = text_of(Reading(serving.QUEUE_DURATION, ("s", "", "", "", ""), value))

    samples = families(text)[serving.QUEUE_DURATION.family].samples

    assert [s.labels.get("le") for s in samples] == ["+Inf", None, None]


def test_histogram_with_bounds_below_zero_has_no_sum() -> None:
    """A sum that can fall is no counter; OpenMetrics' parser refuses it, and a count without it."""
    value = Distribution((-1.0, 1.0), (1, 1, 1), -3.0)
    snapshot = snapshot_of(Reading(serving.QUEUE_DURATION, ("s", "", "", "", ""), value))

    (family,) = parse_openmetrics(Exposition("", "").openmetrics(snapshot).decode())

    assert {s.name.rpartition("_")[2] for s in family.samples} == {"bucket"}


def test_new_bounds_of_a_known_series_are_used() -> None:
    """A server that restarts with other buckets gets its new bounds at once."""
    key = ("s", "vllm", "m", "", "")
    exposition = Exposition("", "")
    first = Reading(serving.QUEUE_DURATION, key, Distribution((1.0,), (1, 1), 3.0))
    second = Reading(serving.QUEUE_DURATION, key, Distribution((2.0, 4.0), (1, 1, 1), 9.0))
    exposition.text(snapshot_of(first))

    text = exposition.text(snapshot_of(second, sequence=2)).decode()

    assert 'le="2.0"' in text
    assert 'le="1.0"' not in text


@given(st.dictionaries(st.sampled_from(range(3)), st.text(min_size=1)))
def test_any_label_survives_the_round_trip(given_values: dict[int, str]) -> None:
    """Whatever a label's text is, Prometheus' parser reads back the same text."""
    values = tuple(
        given_values.get(position, "").encode("utf-8", "replace").decode() for position in range(3)
    )
    text = text_of(Reading(serving.REQUESTS_RUNNING, (*values, "", ""), 1), node="n")

    (sample,) = families(text)[serving.REQUESTS_RUNNING.family].samples

    expected = zip(serving.REQUESTS_RUNNING.labels, values, strict=False)
    assert sample.labels == {"k8s_node_name": "n"} | {name: v for name, v in expected if v}


def test_text_that_is_no_unicode_does_not_fail_the_scrape() -> None:
    """A lone surrogate, as broken file names give, becomes a question mark."""
    text = text_of(Reading(serving.SERVER_UP, ("bad\udcffname", "vllm"), 1))

    assert 'inference_server_name="bad?name"' in text


@given(st.floats() | st.integers(-(2**62), 2**62))
def test_any_number_survives_the_round_trip(value: float) -> None:
    """Parsing a written number gives exactly the same float."""
    read = float(number(value))

    assert read == float(value) or math.isnan(value)
    assert math.copysign(1, read) == math.copysign(1, value) or math.isnan(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_bounds_are_spelled_as_client_libraries_do(value: float) -> None:
    """A bucket's bound is spelled as prometheus-client spells it, and is exact."""
    assert float(bound(value)) == value
    if value >= 0:
        assert bound(value) == utils.floatToGoString(value)  # type: ignore[no-untyped-call]


def test_one_snapshot_is_rendered_once() -> None:
    """Further scrapes of a snapshot get the very same bytes, in each format and coding."""
    exposition, snapshot = Exposition("n", ""), snapshots.full()

    for write in (exposition.text, exposition.openmetrics):
        for compressed in (False, True):
            first = write(snapshot, compressed=compressed)
            assert write(snapshot, compressed=compressed) is first


def test_new_snapshot_gives_new_numbers() -> None:
    """The next snapshot's values replace the kept ones."""
    exposition = Exposition("", "")
    exposition.text(snapshot_of(Reading(gpu.DEVICES, (), 8)))

    text = exposition.text(snapshot_of(Reading(gpu.DEVICES, (), 7), sequence=2))

    assert b"\nhw_gpu_devices 7\n" in text


def test_vanished_series_leave_nothing_behind() -> None:
    """Kept prefixes are those of the latest snapshot, however many series came and went."""
    exposition = Exposition("n", "")
    for sequence in range(1, 50):
        server = Reading(serving.SERVER_UP, (f"server-{sequence}", "vllm"), 1)
        queue = (f"server-{sequence}", "vllm", "m", "", "")
        histogram = Reading(serving.QUEUE_DURATION, queue, Distribution((1.0,), (1, 1), 3.0))
        exposition.text(snapshot_of(server, histogram, sequence=sequence))

    assert {len(kept) for kept in exposition._prefixes.values()} == {1}
    assert {len(kept) for kept in exposition._histograms.values()} == {1}


def test_descriptions_are_escaped_by_their_format() -> None:
    """Classic help escapes backslash and newline; OpenMetrics the quote as well."""
    metric = replace(itself.INFO, name="warpwatch.odd", description='a "b"\\c\nd')
    snapshot = snapshot_of(Reading(metric, ("1", "3"), 1))
    exposition = Exposition("", "")

    classic, open_ = exposition.text(snapshot), exposition.openmetrics(snapshot)

    assert b'# HELP warpwatch_odd a "b"\\\\c\\nd\n' in classic
    assert b'# HELP warpwatch_odd a \\"b\\"\\\\c\\nd\n' in open_


def test_promtool_reads_the_exposition(promtool: Path) -> None:
    """Prometheus' own checker reads the text and has nothing to say against the names."""
    said = run("bash", "-c", f"{promtool} check metrics < {golden.CLASSIC}")

    assert said == ""


@pytest.mark.parametrize("node", ["", "n1"])
def test_a_summary_is_written_as_one(node: str) -> None:
    """Quantiles, sum and count are samples of one family of that type."""
    metric = serving.QUEUE_DURATION_QUANTILES
    value = Distribution((), (7,), 1.5, None, ((0.5, 0.01), (1.0, 0.25)))

    (family,) = parse_text(text_of(Reading(metric, ("s", "triton", "m", "", ""), value), node=node))

    assert (family.name, family.type) == (metric.family, "summary")
    told = {(s.name, s.labels.get("quantile")): s.value for s in family.samples}
    assert told == {
        (metric.family, "0.5"): 0.01,
        (metric.family, "1.0"): 0.25,
        (f"{metric.family}_sum", None): 1.5,
        (f"{metric.family}_count", None): 7,
    }
