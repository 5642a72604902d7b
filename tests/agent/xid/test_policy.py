import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.xid.policy import PACKS, Policy
from agent.xid.record import Action, Urgency
from agent.xid.table import PAGING

INFO, TICKET, PAGE = Urgency.INFO, Urgency.TICKET, Urgency.PAGE
VERDICT = "GPU recovery action changed from 0x0 (None) to "


@pytest.mark.parametrize(
    ("pack", "code", "urgency"),
    [
        ("nvidia", 63, TICKET),
        ("eks", 63, PAGE),
        ("azure", 63, PAGE),
        ("gcm", 63, INFO),
        ("nvidia", 109, PAGE),
        ("gcm", 109, INFO),
        ("eks", 142, PAGE),
        ("azure", 92, PAGE),
        ("azure", 95, PAGE),
        ("eks", 13, INFO),
    ],
)
def test_packs_disagree(pack: str, code: int, urgency: Urgency) -> None:
    """A pack decides on its own codes, and leaves the others as NVIDIA has them."""
    assert Policy(pack).judge(code).urgency is urgency


@pytest.mark.parametrize("pack", PACKS)
def test_paging_codes_are_those_that_are_judged_so(pack: str) -> None:
    """The codes that a policy says to page are the ones that it judges to page."""
    policy = Policy(pack)

    assert policy.paging == tuple(
        code for code in range(1, 200) if policy.judge(code).urgency is PAGE
    )


def test_override_wins() -> None:
    """The operator's word is above the pack's, and holds whatever the line says."""
    policy = Policy("eks", {79: "ticket", 13: "page", 154: "info"})

    assert policy.judge(79).urgency is TICKET
    assert policy.judge(13).urgency is PAGE
    assert policy.judge(154, f"{VERDICT}0x2 (Node Reboot Required)").urgency is INFO
    assert 79 not in policy.paging
    assert 13 in policy.paging


def test_all_mistakes_are_named() -> None:
    """A policy that makes no sense is refused with everything that is wrong with it."""
    with pytest.raises(ValueError, match=r"'aws'.*override 0.*override 13: 'loud'") as refused:
        Policy("aws", {0: "page", 13: "loud"})

    assert "nvidia, eks, azure, gcm" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "action", "urgency"),
    [
        (f"{VERDICT}0x0 (None)", Action.IGNORE, INFO),
        (f"{VERDICT}0x1 (GPU Reset Required)", Action.RESET_GPU, PAGE),
        (f"{VERDICT}0x1 (PF FLR)", Action.RESET_GPU, PAGE),
        (f"{VERDICT}0x2 (Node Reboot Required)", Action.RESTART_BM, PAGE),
        (f"{VERDICT}0x2 (OS Reboot)", Action.RESTART_BM, PAGE),
        (f"{VERDICT}0x3 (Drain P2P)", Action.DRAIN_P2P, PAGE),
        (f"{VERDICT}0x4 (Drain and Reset)", Action.DRAIN_AND_RESET, PAGE),
        (f"{VERDICT}(Drain and Reset)", Action.DRAIN_AND_RESET, PAGE),
        (f"{VERDICT}0x9 (Bake It)", Action.FOLLOW_154, TICKET),
        ("GPU recovery action changed", Action.FOLLOW_154, TICKET),
        ("", Action.FOLLOW_154, TICKET),
    ],
)
def test_verdict_is_read(text: str, action: Action, urgency: Urgency) -> None:
    """XID 154 is as urgent as the action that its line names; one that is not known is a ticket."""
    judged = Policy().judge(154, text)

    assert (judged.action, judged.urgency) == (action, urgency)


def line(unit: str, info: int, status: int, rest: str = "Nonfatal XC0 i0 Link 10") -> str:
    """Return the words of an NVLink 5 error."""
    return f"{unit} {rest} ({info:#010x} {status:#010x} 0x00000000 0x00000000)"


@pytest.mark.parametrize(
    ("code", "text", "action", "urgency"),
    [
        (144, line("SAW_MVB", 0x01, 0x2, "Fatal XC0 i0 Link 00"), Action.RESET_GPU, PAGE),
        (144, line("SAW_MVB", 0x01, 0x1), Action.IGNORE, TICKET),
        (144, line("SAW_MVB", 0x21, 0x4), Action.IGNORE, INFO),
        (144, line("SAW_MVB", 0x01, 0x14), Action.RESET_GPU, PAGE),
        (145, line("RLW_REMAP", 0x04, 0x40, "Fatal XC1 i0 Link 10"), Action.RESET_GPU, PAGE),
        (145, line("RLW_REMAP", 0x82, 0x40, "Fatal XC1 i0 Link 10"), Action.RESET_GPU, PAGE),
        (145, line("RLW_REMAP", 0x04, 0x1), Action.EVALUATE_154, INFO),
        (145, line("RLW_CTRL", 0x03, 0x80000000), Action.IGNORE, TICKET),
        (145, line("RLW_RXPIPE", 0x06, 0x1), Action.IGNORE, TICKET),
        (145, line("RLW_RXPIPE", 0x86, 0x1), Action.RESET_GPU, PAGE),
        (145, line("RLW_RXPIPE", 0xC2, 0x2), Action.IGNORE, TICKET),
        (145, line("RLW_RXPIPE", 0x4C2, 0x2), Action.RESET_GPU, PAGE),
        (146, line("TLW_RX_PIPE1", 0x0B, 0x4), Action.RESET_GPU, PAGE),
        (147, line("TREX", 0x0E, 0x80000000), Action.IGNORE, TICKET),
        (148, line("NVLPW", 0x0F, 0x80000000), Action.IGNORE, TICKET),
        (
            149,
            line("NETIR_LINK_DOWN", 0x11, 0x0, "Link Fatal XC0 i0 Link 03"),
            Action.RESET_GPU,
            PAGE,
        ),
        (149, line("NETIR_LINK_EVT", 38 << 20 | 0x1C6, 0x0), Action.IGNORE, TICKET),
        (149, line("NETIR_LINK_DOWN", 63 << 20 | 0x11, 0x0), Action.WORKFLOW_NVLINK5, TICKET),
        (149, line("NETIR_BER_EVENT", 0x13, 0x2), Action.IGNORE, TICKET),
        (149, line("NETIR_MFDE_EVENT", 0x14, 0x5), Action.RESET_GPU, PAGE),
        (149, line("NETIR_MFDE_EVENT", 0x14, 0x2), Action.WORKFLOW_NVLINK5, TICKET),
        (150, line("MSE_WATCHDOG", 0x00, 0x0, "Fatal XC0 i0 Link -1"), Action.RESET_GPU, PAGE),
    ],
)
def test_nvlink5_is_decoded(code: int, text: str, action: Action, urgency: Urgency) -> None:
    """The unit and its registers decide, in the encodings of old and new drivers; the code does not."""
    judged = Policy().judge(code, text)

    assert (judged.action, judged.urgency) == (action, urgency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RLW_REMAP",
        line("RLW_NOVEL", 0x04, 0x1),
        line("SAW_MVB", 0x01, 0x2),
        line("RLW_REMAP", 0x05, 0x40),
        line("RLW_REMAP", 0x04, 0x0),
        line("RLW_REMAP", 0x04, 0x440),
    ],
)
def test_what_cannot_be_decoded_is_a_ticket(text: str) -> None:
    """An unknown unit, one of another code, a number or a bit that does not fit: nothing is guessed."""
    judged = Policy().judge(145, text)

    assert judged.urgency is TICKET
    assert "could not be decoded" in judged.note


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (79, "GPU has fallen off the bus. SIMULATED"),
        (48, "DBE by error injection"),
        (95, "an injected error"),
        (14, ""),
        (106, ""),
        (145, line("RLW_REMAP", 0x04, 0x40, "Fatal XC1 i1 Link 10")),
    ],
)
def test_what_somebody_made_never_pages(code: int, text: str) -> None:
    """An error that was made to test something is information, under every policy."""
    for policy in (Policy(), Policy("eks"), Policy(overrides={code: "page"})):
        judged = policy.judge(code, text)

        assert judged.simulated
        assert judged.urgency is INFO


@given(st.integers(-10, 100_000), st.text())
def test_no_code_and_no_text_is_too_strange(code: int, text: str) -> None:
    """Every code with every text is judged; none that is unknown pages."""
    judged = Policy().judge(code, text)

    assert judged.urgency is not PAGE or code in {*PAGING, *range(144, 151), 154}
