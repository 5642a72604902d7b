"""What is shipped: the wheel's content and the locks."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "exporters", "dashboards", "alerts")
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)==(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel and return the names of its files."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=True,
    )
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_wheel_holds_the_rooms_and_nothing_else(wheel: set[str]) -> None:
    """Every file of the four packages is in the wheel, templates included; no test is."""
    listed = subprocess.run(  # noqa: S603 - our own words
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOMS],  # noqa: S607 - git
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    there = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}

    shipped = {name for name in wheel if ".dist-info/" not in name}

    assert shipped == there


@pytest.mark.parametrize("room", ROOMS)
def test_packages_are_typed(room: str, wheel: set[str]) -> None:
    """Each package tells type checkers that it is typed."""
    assert f"{room}/py.typed" in wheel


def _pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def _required(extra: str) -> set[str]:
    """Return the names that pyproject.toml requires, extras of ourselves left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names: set[str] = {canonicalize_name(Requirement(line).name) for line in lines}
    return names - {"warpwatch"}


LOCKS = {path.name for path in ROOT.glob("requirements*.lock")}


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_locks_carry_hashes_and_no_address(name: str) -> None:
    """Every pin has hashes, and no line names a host, a path or an option."""
    text = (ROOT / name).read_text(encoding="utf-8")

    blocks = re.split(r"\n(?=\S)", text.strip())
    assert not re.search(r"://|@ |^-", text, re.MULTILINE)
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_development_installs_the_same_versions() -> None:
    """What is tested is what is run: the development lock holds each runtime pin."""
    assert _pins("requirements.lock").items() <= _pins("requirements-dev.lock").items()
    assert _pins("requirements-drift.lock").items() <= _pins("requirements-dev.lock").items()
    assert _pins("requirements-report.lock").items() <= _pins("tests/real_parts/report.txt").items()


def test_locks_are_complete() -> None:
    """Everything that pyproject.toml requires is pinned."""
    assert _required("") <= set(_pins("requirements.lock"))
    assert _required("") | _required("drift") <= set(_pins("requirements-drift.lock"))
    assert _required("drift") | _required("report") <= set(_pins("requirements-report.lock"))


def test_the_images_are_of_these_locks() -> None:
    """Each lock that the Dockerfile speaks of is there, and each that is for an image is spoken of."""
    spoken = set(re.findall(r"requirements[-a-z]*\.lock", (ROOT / "Dockerfile").read_text()))

    assert spoken == LOCKS - {"requirements-dev.lock"}


def test_the_development_lock_is_complete() -> None:
    """Everything that the tests require is pinned."""
    assert _required("dev") | _required("dashboards") <= set(_pins("requirements-dev.lock"))
