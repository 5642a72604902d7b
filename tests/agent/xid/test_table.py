import pytest

from agent.catalogue import Severity
from agent.catalogue import gpu as metrics
from agent.catalogue.attributes import URGENCY
from agent.xid.record import Action, Nature, Urgency
from agent.xid.table import BY_CODE, PAGING, XIDS, look_up


def test_codes_are_unique() -> None:
    """No code is described twice."""
    assert len(BY_CODE) == len(XIDS)


def test_catalogue_agrees() -> None:
    """The codes whose counters exist at 0 are those that page, in the words of the catalogue."""
    assert metrics.FATAL_XIDS == PAGING
    assert [urgency.word for urgency in Urgency] == list(URGENCY.values)
    assert {urgency.word for urgency in Urgency} == {severity.value for severity in Severity}


@pytest.mark.parametrize(
    "code", [46, 48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143, 151, 155, 156, 158]
)
def test_what_needs_a_reset_pages(code: int) -> None:
    """A code that NVIDIA answers by a reset or a restart of the machine pages."""
    assert look_up(code).urgency is Urgency.PAGE


@pytest.mark.parametrize("code", [8, 13, 31, 32, 43, 45, 68, 69, 137, 171, 172])
def test_what_the_application_did_does_not_page(code: int) -> None:
    """The application's own error, and what follows from another error, is information."""
    assert look_up(code).urgency is Urgency.INFO


def test_buckets_that_take_the_gpu_from_all_page() -> None:
    """No code with a bucket of reset or restart is less than a page, and no other one is a page."""
    taking = {
        Action.RESET_GPU,
        Action.RESTART_VM,
        Action.RESTART_BM,
        Action.WORKFLOW_48,
        Action.WORKFLOW_NVLINK,
    }

    assert {xid.code for xid in XIDS if xid.action in taking} == set(PAGING)


@pytest.mark.parametrize("code", [0, 1, 173, 185, 9999])
def test_unknown_code_is_a_ticket(code: int) -> None:
    """A code that nobody told us of is a ticket and never a page."""
    assert look_up(code) == (code, "unknown", Nature.UNKNOWN, Action.NONE, Urgency.TICKET)
