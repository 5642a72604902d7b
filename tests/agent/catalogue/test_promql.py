"""How the catalogue's series are asked for: right by construction, or an error at once."""

import promql_parser
import pytest

from agent.catalogue import gpu, itself, serving
from agent.catalogue.attributes import COLLECTOR, GPU_TASK, HW_ID, NODE, XID
from agent.catalogue.promql import (
    PER_GPU,
    aggregate,
    differs,
    equals,
    identity,
    matches,
    named,
    rate,
    select,
    value,
)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (select(gpu.LOST), "hw_gpu_lost"),
        (select(gpu.LOST, equals(NODE, "n1"), window="5m"), 'hw_gpu_lost{k8s_node_name="n1"}[5m]'),
        (select(gpu.LOST, equals(NODE, 'a"\\b')), 'hw_gpu_lost{k8s_node_name="a\\"\\\\b"}'),
        (
            select(gpu.UTILIZATION, matches(GPU_TASK, "encoder|decoder"), differs(HW_ID, "x.*")),
            'hw_gpu_utilization_ratio{hw_gpu_task=~"encoder|decoder", hw_id!~"x.*"}',
        ),
        (
            select(serving.QUEUE_DURATION, part="bucket"),
            "inference_queue_duration_seconds_bucket",
        ),
        (value(gpu.DEVICES, ()), "max(hw_gpu_devices)"),
        (value(gpu.LOST, (HW_ID,), operator="min"), "min by (hw_id) (hw_gpu_lost)"),
        (
            rate(gpu.XID_EVENTS, (XID,), window="5m", function="increase"),
            "sum by (hw_gpu_xid_code) (increase(hw_gpu_xid_events_total[5m]))",
        ),
    ],
)
def test_writes_promql(expression: str, text: str) -> None:
    """Selectors and aggregations are written as people write them, and parse."""
    assert expression == text
    promql_parser.parse(expression)


def test_refuses_a_label_that_the_metric_does_not_have() -> None:
    """A condition on a foreign label would match nothing for ever, in silence."""
    with pytest.raises(ValueError, match=r"hw.gpu.lost has no attribute warpwatch.collector"):
        select(gpu.LOST, equals(COLLECTOR, "nvml"))


def test_refuses_the_parts_of_what_has_none() -> None:
    """Only histograms have parts, and they have no series without one."""
    with pytest.raises(ValueError, match="not hw_gpu_lost_sum"):
        select(gpu.LOST, part="sum")
    with pytest.raises(ValueError, match=r"_bucket, .*_sum, .*_count, not"):
        select(serving.QUEUE_DURATION)


def test_refuses_the_rate_of_what_does_not_count() -> None:
    """The rate of a gauge is a number without a meaning."""
    with pytest.raises(ValueError, match="it has no rate"):
        rate(itself.PROCESS_MEMORY, (), window="5m")


def test_identity_is_one_series_per_gpu() -> None:
    """The joined side never has two series for a GPU, whatever else its info series say."""
    expression = named(value(gpu.LOST, PER_GPU), identity(window="1d"))

    assert "topk by (hw_id, k8s_node_name, k8s_cluster_name) (1, " in expression
    assert "group_left (hw_gpu_index, hw_model)" in expression
    promql_parser.parse(expression)
    promql_parser.parse(aggregate("sum", (), expression))
