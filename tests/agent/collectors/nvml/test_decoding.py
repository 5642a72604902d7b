"""What the library says, believed or refused: numbers of every type that a field's value can have."""

from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.nvml.decoding import Refused, count, flag, word

NUMBERS = st.integers(-(2**63), 2**64) | st.floats()


@given(NUMBERS)
def test_an_enumeration_takes_any_number(raw: float) -> None:
    """A whole number from 0 names a word, of whatever type it is; any other is refused."""
    (told,) = word("none", "reset", "reboot")(raw)

    if raw in {0, 1, 2}:
        assert told == ("none", "reset", "reboot")[int(raw)]
    else:
        assert isinstance(told, Refused)


@given(NUMBERS)
def test_a_count_is_a_whole_number(raw: float) -> None:
    """A count is an integer or refused: a fraction of an error is garbage."""
    (told,) = count(raw)

    assert isinstance(told, Refused) or (type(told) is int and told == raw and raw >= 0)


@given(NUMBERS)
def test_a_flag_is_yes_or_no(raw: float) -> None:
    """Only 0 and 1 say whether something is so."""
    (told,) = flag(raw)

    assert isinstance(told, Refused) if raw not in {0, 1} else told is bool(raw)
