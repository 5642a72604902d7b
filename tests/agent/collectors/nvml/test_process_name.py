import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors.nvml.process_name import executable


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("/usr/bin/python3.11", "python3.11"),
        ("python3", "python3"),
        (b"/opt/\xff/app", "app"),
        ("/usr/bin/python3 train.py --key=/etc/secret", "python3"),
        ("VLLM::EngineCore_DP0", "VLLM::EngineCore_DP0"),
        ("  /bin/a\tb", "a"),
        ("/bin/evil\x1b[31m", "evil[31m"),
        ("x" * 100, "x" * 64),
        ("", ""),
        ("/", ""),
    ],
)
def test_executable(said: str | bytes, name: str) -> None:
    """The name is the last part of the path, without arguments and control characters."""
    assert executable(said) == name


@given(st.text(), st.text(min_size=1))
def test_arguments_never_pass(path: str, secret: str) -> None:
    """Nothing that follows a blank is part of the name, whatever the text."""
    assert executable(f"p{path} {secret}") == executable(f"p{path}")
