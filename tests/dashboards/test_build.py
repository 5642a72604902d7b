"""The dashboard builder: deterministic, and honest about stale files."""

from pathlib import Path

import pytest

from dashboards import build


def test_committed_dashboards_are_fresh() -> None:
    """The committed files, the chart's copies included, are what the builder makes now."""
    assert build.main(["--check"]) == 0


def test_same_input_gives_the_same_bytes() -> None:
    """Two builds are equal."""
    assert build.files() == build.files()


def test_check_names_stale_files_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check of a folder without the files fails, says which, and leaves it empty; a build fills it."""
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "FOLDER", tmp_path / "generated")
    monkeypatch.setattr(build, "CHART", tmp_path / "chart")

    assert build.main(["--check"]) == 1
    assert not list(tmp_path.iterdir())
    named = [
        f"stale: {folder}/{name}.json"
        for folder in ("generated", "chart")
        for name in build.DASHBOARDS
    ]
    assert capsys.readouterr().out.splitlines() == named

    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
