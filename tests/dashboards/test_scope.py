"""Queries by the reader's choice, asked of a real Prometheus engine."""

from pathlib import Path

import yaml

from agent.catalogue import gpu_mig
from agent.catalogue.promql import PER_GPU, value
from dashboards.scope import ON_NODE, of_mig
from tests.promql_catalogue import in_legend, labels_of, plain
from tests.real_parts.command import run

NODE = 'k8s_node_name="n1"'
PART = 'hw_gpu_mig_profile="1g.10gb", hw_gpu_mig_gpu_instance_id="7", hw_gpu_mig_compute_instance_id="0"'
SERIES = (
    f'hw_gpu_info{{hw_id="GPU-a", hw_gpu_index="0", hw_model="H100", {NODE}}}',
    f'hw_gpu_info{{hw_id="GPU-b", hw_gpu_index="1", hw_model="H100", {NODE}}}',
    f'hw_gpu_mig_info{{hw_id="MIG-x", hw_parent="GPU-a", {PART}, {NODE}}}',
    # Two agents' series overlap while a pod is replaced.
    f'hw_gpu_mig_info{{hw_id="MIG-y", hw_parent="GPU-b", {PART}, {NODE}, instance="old"}}',
    f'hw_gpu_mig_info{{hw_id="MIG-y", hw_parent="GPU-b", {PART}, {NODE}, instance="new"}}',
    f'hw_gpu_mig_memory_usage_bytes{{hw_id="MIG-x", {NODE}}}',
    f'hw_gpu_mig_memory_usage_bytes{{hw_id="MIG-y", {NODE}, instance="old"}}',
    f'hw_gpu_mig_memory_usage_bytes{{hw_id="MIG-y", {NODE}, instance="new"}}',
)


def test_mig_devices_are_those_of_the_chosen_gpu_and_named_by_it(
    promtool: Path, tmp_path: Path
) -> None:
    """A MIG device is found by its parent; its line has the GPU's index, the profile and the numbers."""
    query = of_mig(value(gpu_mig.MIG_MEMORY_USAGE, PER_GPU, *ON_NODE))
    asked = plain(query.expression, node="n1", gpu="GPU-b")
    found = f'{{hw_id="MIG-y", hw_gpu_index="1", {PART}, {NODE}}}'
    case = {
        "interval": "30s",
        "input_series": [{"series": series, "values": "1x10"} for series in SERIES],
        "promql_expr_test": [
            {
                "expr": asked,
                "eval_time": "1m",
                "exp_samples": [{"labels": found, "value": 1}],
            }
        ],
    }
    path = tmp_path / "mig.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "30s", "tests": [case]}))

    said = run(promtool, "test", "rules", path)

    assert "SUCCESS" in said
    assert in_legend(query.legend) <= labels_of(asked)
