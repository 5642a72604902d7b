"""What every test may ask for, and the one rule for all: in CI a skipped test is a failure."""

import os
from collections.abc import Generator
from typing import Final

import pytest

pytest_plugins = ["tests.real_parts.fixtures"]

MAY_SKIP: Final = "gpu"
"""The marker of tests that need what a CI machine need not have."""
GO_TESTS: Final = "REAL_PARTS_GO"
"""Set to 1, it adds the test that builds a real OpenTelemetry Collector: minutes, and a Go toolchain."""

collect_ignore = [] if os.environ.get(GO_TESTS) == "1" else ["e2e/test_collector.py"]


def pytest_report_header() -> str:
    """Say aloud what is not run by default."""
    state = "on" if os.environ.get(GO_TESTS) == "1" else f"off ({GO_TESTS}=1 turns it on)"
    return f"real OpenTelemetry Collector, built with Go: {state}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure in CI: a check that does not run checks nothing."""
    report = yield
    if not item.get_closest_marker(MAY_SKIP) and not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failure in CI."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be: {reason}"
