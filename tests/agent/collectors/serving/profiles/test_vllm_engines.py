"""vLLM with several engines, adapters, under Ray and behind Triton."""

from collections.abc import Callable

import pytest

from agent.catalogue import serving
from agent.collectors.serving.detection import detect
from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles.vllm import VLLM
from tests.agent.collectors.serving.pages import captured, names, reasons, translate, values
from tests.agent.collectors.serving.tables import table

PAGE = captured("vllm/vllm_0.33.0_dp1_t1.txt")


def spoken(text: str) -> Profile:
    """Return vLLM's profile as a page speaks it."""
    (found,) = detect(text)
    assert found.name == VLLM.name
    return found


def test_data_parallel_engines_are_kept_apart() -> None:
    """Each engine has all series of its own; what has no engine stays one."""
    lines = [line for line in PAGE.splitlines() if 'engine="0"' in line]
    both = PAGE + "\n".join(lines).replace('engine="0"', 'engine="1"') + "\n"

    one, two = table(VLLM, PAGE), table(VLLM, both)

    apart = {key: value for key, value in one.items() if key[3] == "0"}
    assert len(one) - len(apart) == 3
    assert two == one | {(*key[:3], "1", *key[4:]): value for key, value in apart.items()}


def test_only_the_newest_combination_of_adapters_is_true() -> None:
    """Old combinations stay on the page; the value is the time at which one was true."""
    family = "vllm:lora_requests_info"
    page = (
        f"# TYPE {family} gauge\n"
        f'{family}{{max_lora="4",running_lora_adapters="a,b,c",waiting_lora_adapters=""}} 1.7e+09\n'
        f'{family}{{max_lora="4",running_lora_adapters="b, a",waiting_lora_adapters="c"}} 1.8e+09\n'
        f'{family}{{max_lora="0",running_lora_adapters="",waiting_lora_adapters=""}} 1.6e+09\n'
    )

    assert table(VLLM, page) == {
        ("inference.lora.adapters.running", "", "", ""): 2,
        ("inference.lora.adapters.waiting", "", "", ""): 1,
        ("inference.lora.adapters.limit", "", "", ""): 4,
    }


def under_ray(prefix: str, replica: str = "r1") -> Callable[[str], str]:
    """Return what makes a vLLM page one of a Ray node's agent."""

    def renamed(text: str) -> str:
        named = text.replace("vllm:", prefix)
        return named.replace("{", f'{{ReplicaId="{replica}",WorkerId="w1",Version="2.50.0",')

    return renamed


@pytest.mark.parametrize("prefix", ["ray_vllm:", "ray_vllm_"])
def test_under_ray_it_says_the_same(prefix: str) -> None:
    """Another prefix and Ray's own labels change nothing but the engine's name."""
    text = under_ray(prefix)(PAGE)

    found = table(spoken(text), text)

    expected = table(VLLM, PAGE)
    assert found == {
        (*key[:3], "/".join(filter(None, ("r1", key[3]))), *key[4:])
        if key[1] or "rejected" in key[0]
        else key: value
        for key, value in expected.items()
    }


def test_old_ray_declares_counters_as_gauges_without_a_suffix() -> None:
    """They are counters all the same; under vLLM's own name that would be a surprise."""
    text = '# TYPE ray_vllm:prompt_tokens gauge\nray_vllm:prompt_tokens{model_name="m"} 5\n'

    readings, problems = translate(spoken(text), text)

    assert values(readings, serving.TOKENS_PROMPT) == {("m", "", ""): 5}
    assert problems == ()
    assert reasons(translate(VLLM, text.replace("ray_", ""))[1]) == {"unexpected_type"}


def test_replicas_of_ray_are_kept_apart_also_when_one_is_dead() -> None:
    """A dead replica's series stand still beside the living one's: they are not added to them."""
    dead, alive = under_ray("ray_vllm_", "r1")(PAGE), under_ray("ray_vllm_", "r2")(PAGE)
    text = dead + alive.replace("94665", "1000")

    readings, problems = translate(spoken(text), text)

    found = values(readings, serving.TOKENS_PROMPT)
    assert {key[2]: value for key, value in found.items()} == {"r1/0": 94665, "r2/0": 1000}
    assert problems == ()


def test_behind_triton_both_are_told_each_under_its_name() -> None:
    """Triton's page carries the engine's families, with the model and version that Triton gives."""
    triton = captured("triton/triton_2.51.0_cpu_t1.txt")
    engine = (
        "# TYPE vllm:prompt_tokens_total counter\n"
        'vllm:prompt_tokens_total{model="llama",version="1"} 50\n'
    )
    text = triton + engine

    outer, inner = detect(text)

    assert names((outer, inner)) == ["triton", "vllm"]
    assert table(inner, text) == {
        ("inference.server.info", "llama", "1", "", "", "", ""): 1,
        ("inference.tokens.prompt", "llama", "1", ""): 50,
    }
    assert table(outer, text) == table(outer, triton)


def test_a_ray_node_is_told_as_serve_and_as_vllm() -> None:
    """Families of Ray Serve and of vLLM on the page of one node are two sets of readings."""
    text = captured("ray/ray_serve_2.60.0_t0.txt") + under_ray("ray_vllm_")(PAGE)

    found = detect(text)

    assert names(found) == ["ray_serve", "vllm"]
    assert all(table(profile, text) for profile in found)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gpu_cache_usage_perc", "kv_cache_usage_perc"),
        ("gpu_prefix_cache_queries_total", "prefix_cache_queries_total"),
        ("gpu_prefix_cache_hits_total", "prefix_cache_hits_total"),
        ("time_per_output_token_seconds", "inter_token_latency_seconds"),
        ("time_in_queue_requests", "request_queue_time_seconds"),
    ],
)
@pytest.mark.parametrize("order", [0, 1], ids=["old first", "new first"])
def test_old_names_serve_until_there_are_new_ones(old: str, new: str, order: int) -> None:
    """A page with the old name says the same as one with the new; one with both says it once."""
    former = PAGE.replace(f"vllm:{new}", f"vllm:{old}")
    outdated = "\n".join(
        f"{line.rpartition(' ')[0]} 0" if not line.startswith("#") else line
        for line in former.splitlines()
        if f"vllm:{old}" in line
    )
    both = f"{outdated}\n{PAGE}" if order else f"{PAGE}{outdated}\n"

    assert table(VLLM, former) == table(VLLM, PAGE)
    assert table(VLLM, both) == table(VLLM, PAGE)


def test_a_model_is_known_though_its_gauge_is_none() -> None:
    """The info of a model does not go with one value that cannot be believed: a join needs it."""
    page = (
        'vllm:num_requests_running{model_name="m",engine="0"} NaN\n'
        'vllm:prompt_tokens_total{model_name="m",engine="0"} 5\n'
    )

    readings, _ = translate(VLLM, page)

    assert values(readings, serving.SERVER_INFO) == {("m", "", "0", "", "", ""): 1}
