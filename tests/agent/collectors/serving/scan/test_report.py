import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.collectors.serving.profiles import PROFILES
from agent.collectors.serving.scan.report import scan
from agent.collectors.serving.scan.written import draft_yaml, profile_yaml

NAMES = st.sampled_from(
    ["acme_requests_running", "vllm:num_requests_running", "nv_inference_count", "on", "null", "x"]
)
NUMBERS = st.sampled_from(["1", "0", "-1", "NaN", "+Inf", "1e3", "one", ""])
TYPES = st.sampled_from(["gauge", "counter", "histogram", "summary", "untyped", "nonsense"])
SAMPLES = st.builds(
    '{}{}{{model="{}",le="{}"}} {}'.format,
    NAMES,
    st.sampled_from(["", "_bucket", "_sum", "_count", "_total"]),
    st.sampled_from(["m", "", 'a\\"b', "é"]),
    NUMBERS,
    NUMBERS,
)
LINES = st.one_of(SAMPLES, st.builds("# TYPE {} {}".format, NAMES, TYPES), st.text(max_size=30))


@settings(deadline=None)
@given(st.lists(LINES, max_size=12).map("\n".join))
@example("# TYPE on gauge\non 1\n")
def test_no_page_is_too_odd_to_look_at(text: str) -> None:
    """Whatever stands there, a scan ends, and what it prints to be pasted is YAML."""
    report = scan(text, PROFILES, server="s")
    known = [each.profile for each in report.recognised]

    draft = yaml.safe_load(draft_yaml("acme", report.families, report.guesses, ["/a b,c"]))
    written = yaml.safe_load(profile_yaml(*known, found=report.guesses)) if known else draft

    assert draft == {"profiles": [{"name": "acme", "paths": ["/a b,c"]}]}
    assert len(written["profiles"]) == max(1, len(known))


@pytest.mark.parametrize("name", ["running", "acme:running", "acme_running"])
def test_guessed_names_are_text_when_they_are_uncommented(name: str) -> None:
    """What YAML could take for something else is quoted."""
    report = scan(f"# TYPE {name} gauge\n{name} 1\n", ())

    draft = draft_yaml("acme", report.families, report.guesses)
    judged = yaml.safe_load(re.sub(r"(?m)^    #(?! \w)", "    ", draft))

    (source,) = judged["profiles"][0]["signals"][0]["sources"]
    assert source == {"family": name, "kind": "gauge"}


@pytest.mark.parametrize("word", ["on", "null", "1e3", "yes"])
def test_words_of_yaml_are_quoted(word: str) -> None:
    """A path or a name that YAML has a meaning of its own for stays a text."""
    draft = yaml.safe_load(draft_yaml("acme", (), (), [word]))

    assert draft["profiles"][0]["paths"] == [word]
