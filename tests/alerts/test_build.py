"""The alert builder: deterministic, and honest about stale files."""

from pathlib import Path

import pytest
import yaml

from alerts import build


def test_committed_files_are_fresh() -> None:
    """The committed files, the chart's copies included, are what the builder makes now."""
    assert build.main(["--check"]) == 0


def test_same_input_gives_the_same_bytes() -> None:
    """Two builds are equal."""
    assert build.files() == build.files()


def test_no_file_of_the_chart_is_left_over() -> None:
    """The chart ships what the builder makes and nothing older."""
    shipped = {path for path in build.CHART.rglob("*") if path.suffix in {".yaml", ".md", ".tmpl"}}

    assert shipped == {path for path in build.files() if path.is_relative_to(build.CHART)}


def test_check_names_stale_files_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check of a folder without the files fails, says which, and leaves it empty; a build fills it."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "GENERATED", tmp_path / "generated")
    monkeypatch.setattr(build, "CHART", tmp_path / "chart")

    assert build.main(["--check"]) == 1
    assert not list(tmp_path.iterdir())
    assert "stale: generated/warpwatch.rules.yaml\n" in capsys.readouterr().out

    assert build.main([]) == 0
    assert build.main(["--check"]) == 0


def test_links_start_with_the_given_bases() -> None:
    """Whoever serves the runbooks and Grafana says where; the links follow."""
    rules = yaml.safe_load(build.rules_yaml("https://docs.example/runbooks/", "https://g.example/"))
    notes = rules["groups"][0]["rules"][0]["annotations"]

    assert notes["runbook_url"] == "https://docs.example/runbooks/GPULost.md"
    assert notes["dashboard_url"].startswith("https://g.example/d/warpwatch-gpu-node?var-gpu=")
