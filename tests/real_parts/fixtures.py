"""The real programs as pytest fixtures: paths of the ones that run and end, starters of the ones that stay.

A part that this machine cannot have skips its tests, aloud; in CI a skipped test is a failure.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real_parts.install import MissingPartError, path_of
from tests.real_parts.programs import Programs
from tests.real_parts.programs import free_port as _free_port


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    """Skip a test whose fixtures need a part that cannot be had."""
    with _missing_part_skips():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Skip a test that needs a part that cannot be had."""
    with _missing_part_skips():
        yield


@contextmanager
def _missing_part_skips() -> Iterator[None]:
    try:
        yield
    except MissingPartError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """Return the path of Prometheus."""
    return path_of("prometheus")


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Return the path of promtool."""
    return path_of("promtool")


@pytest.fixture(scope="session")
def alertmanager() -> Path:
    """Return the path of Alertmanager."""
    return path_of("alertmanager")


@pytest.fixture(scope="session")
def amtool() -> Path:
    """Return the path of amtool."""
    return path_of("amtool")


@pytest.fixture(scope="session")
def helm3() -> Path:
    """Return the path of helm 3."""
    return path_of("helm3")


@pytest.fixture(scope="session")
def helm4() -> Path:
    """Return the path of helm 4."""
    return path_of("helm4")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Return the path of Chromium; start it with ``--headless --no-sandbox``."""
    return path_of("chromium")


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    return _free_port()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Start programs; they end with the test, and their logs are shown if it fails."""
    started = Programs(tmp_path)
    yield started
    started.stop()
