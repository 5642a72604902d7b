import subprocess
from pathlib import Path

import pytest

CHART = Path(__file__).resolve().parents[2] / "helm" / "warpwatch"
VALUES = """
config:
  listen: 0.0.0.0:9410
  profiles:
    - name: acme
      signals:
        - metric: inference.requests.running
          sources:
            - sum: [{family: acme_x, kind: gauge}, {family: acme_y, kind: KIND}]
"""


@pytest.mark.parametrize("version", ["helm3", "helm4"])
@pytest.mark.parametrize("kind", ["gauge", "gage"])
def test_a_profile_is_judged_at_its_depth(
    kind: str, version: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Helm follows the schema into sources of sources: a misspelt kind is refused with its path."""
    file = tmp_path / "values.yaml"
    file.write_text(VALUES.replace("KIND", kind))
    helm: Path = request.getfixturevalue(version)

    done = subprocess.run(  # noqa: S603 - helm itself
        [helm, "template", "w", CHART, "--values", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode == 0) is (kind == "gauge")
    if kind == "gage":
        assert "sum" in done.stderr
        assert "kind" in done.stderr
