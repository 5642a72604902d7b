from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.collectors.serving.scan.inventory import Family, everything, inventory
from tests.agent.collectors.serving.pages import captured

PAGES = sorted(
    path
    for path in (Path(__file__).parents[4] / "fixtures").glob("*/*.txt")
    if path.parent.name != "dcgm"  # its README samples declare families in groups
)


def families(text: str) -> dict[str, Family]:
    """Return the families of a page by name."""
    return {family.name: family for family in inventory(everything(text))}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_sample_is_counted_as_the_library_counts_it(path: Path) -> None:
    """The families, their types and their series are those that prometheus_client finds."""
    text = path.read_text()

    found = families(text)

    for family in text_string_to_metric_families(text):
        name = family.name if family.name in found else f"{family.name}_total"
        apart = {
            tuple(
                sorted(pair for pair in sample.labels.items() if pair[0] not in {"le", "quantile"})
            )
            for sample in family.samples
        }
        assert found[name].type == family.type
        assert found[name].series == len(apart)


def test_a_histogram_with_many_buckets_is_one_series() -> None:
    """Buckets, sum and count of one model are one series; a family without samples has none."""
    found = families(captured("kserve/kserve_python_sdk_0.21.0.txt"))

    assert found["request_predict_seconds"] == Family(
        "request_predict_seconds",
        "histogram",
        1,
        ("model_name",),
        (
            "request_predict_seconds_bucket",
            "request_predict_seconds_count",
            "request_predict_seconds_sum",
        ),
    )
    assert found["request_explain_seconds"].series == 0


def test_a_suffix_alone_makes_no_histogram() -> None:
    """A counter may end in _count and a histogram in _total; only declarations tell."""
    found = families(
        "# TYPE nv_inference_count counter\nnv_inference_count 1\n"
        "# TYPE step_total histogram\n"
        'step_total_bucket{le="+Inf"} 1\nstep_total_sum 1\nstep_total_count 1\n'
        "stray_sum 3\n"
    )

    assert {name: family.type for name, family in found.items()} == {
        "nv_inference_count": "counter",
        "step_total": "histogram",
        "stray_sum": "unknown",
    }
