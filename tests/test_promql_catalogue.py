"""The judge of PromQL is itself judged: a check that cannot fail is worse than none."""

import pytest

from tests.promql_catalogue import (
    UnknownName,
    in_annotation,
    in_legend,
    labels_of,
    metrics_of,
    plain,
)


@pytest.mark.parametrize(
    "expression",
    [
        "hw_gpu_losst",
        "hw_gpu_lost{hw_idd='x'}",
        "sum by (pid) (hw_gpu_lost)",
        "hw_gpu_lost * on (hw_model) hw_gpu_info",
        "hw_gpu_lost * on (hw_id) group_left (hw_modell) hw_gpu_info",
        "max without (hw_model) (hw_gpu_lost)",
        "sum by (hw_model) (max by (hw_id) (hw_gpu_info))",
        "warpwatch_collector_status{warpwatch_collector_status='broken'}",
        "warpwatch_collector_status{warpwatch_collector_status=~'failed|stuck'}",
        "histogram_quantile(0.9, sum by (hw_id) (rate(hw_energy_joules_total[5m])))",
        "rate(gen_ai_server_request_duration_seconds[5m])",
        "label_replace(hw_gpu_lost, 'a', '$1', 'hw_model', '(.*)')",
        "sum by (a) (max_over_time(hw_gpu_lost[1h:1m]))",
        "rate(hw_gpu_lost{le='1'}[5m])",
    ],
)
def test_refuses_what_the_catalogue_lacks(expression: str) -> None:
    """A metric, label or value that the catalogue does not have is found wherever it stands."""
    with pytest.raises(UnknownName):
        labels_of(expression)


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ("absent(warpwatch_info)", set()),
        ("sum by (hw_id) (hw_gpu_lost) or sum by (hw_model) (hw_gpu_info)", {"hw_id", "hw_model"}),
        (
            "max by (hw_id) (hw_gpu_lost) * on (hw_id) group_left (hw_model) hw_gpu_info",
            {"hw_id", "hw_model"},
        ),
        ("time() - max by (hw_id) (hw_gpu_lost)", {"hw_id"}),
        ("histogram_quantile(0.9, sum by (le) (rate(inference_queue_duration_seconds_bucket[5m])))", set()),
        ("topk by (hw_id) (1, max by (hw_id, hw_model) (hw_gpu_info))", {"hw_id", "hw_model"}),
    ],
)  # fmt: skip
def test_follows_labels_to_the_result(expression: str, labels: set[str]) -> None:
    """The labels of the result are those that the operators leave."""
    assert labels_of(expression) == labels


def test_finds_metrics_and_templates() -> None:
    """The metrics of an expression and the labels of a template are found."""
    names = {metric.name for metric in metrics_of("hw_gpu_lost * on (hw_id) hw_gpu_info")}

    assert names == {"hw.gpu.lost", "hw.gpu.info"}
    assert in_legend("GPU {{hw_id}} {{ hw_model }}") == {"hw_id", "hw_model"}
    assert in_annotation("{{ or $labels.a $labels.b }} {{ end }}") == {"a", "b"}
    assert plain('up{a="$node", b=~"$gpu"}[$__range]', node="n1") == 'up{a="n1", b=~".*"}[1h]'
