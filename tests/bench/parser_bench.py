"""What reading a page costs: ours and the library's parser, in milliseconds of CPU per megabyte.

Run it with ``python -m tests.bench.parser_bench``. A megabyte is made of a captured vLLM page by giving it
more engines. The budget is 10 ms per megabyte in steady state, from text to readings.
"""

import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles.sglang import SGLANG
from agent.collectors.serving.profiles.torchserve import TORCHSERVE
from agent.collectors.serving.profiles.triton import TRITON
from agent.collectors.serving.profiles.vllm import VLLM

_FIXTURES: Final = Path(__file__).parents[1] / "fixtures"
_PAGE: Final = _FIXTURES / "vllm/vllm_0.33.0_dp1_t1.txt"
_OTHERS: Final = (
    ("SGLang", "sglang/sglang_0.5.23_t0.txt", SGLANG),
    ("Triton", "triton/triton_2.51.0_cpu_t1.txt", TRITON),
    ("Triton, more models", "triton/datadog_triton_t4_partial.txt", TRITON),
    ("TorchServe", "torchserve/torchserve_0.12.0_t0.txt", TORCHSERVE),
)
_ENGINE: Final = 'engine="0"'
_MEGABYTE: Final = 10**6
_ROUNDS: Final = 40


def with_engines(page: str, size: int) -> str:
    """Return the page with as many engines as it takes to make ``size`` bytes."""
    lines = page.splitlines()
    of_engine = sum(len(line) + 1 for line in lines if _ENGINE in line)
    engines = 1 + max(0, size - len(page)) // of_engine
    grown = []
    for line in lines:
        grown.append(line)
        if _ENGINE in line:
            grown += [line.replace(_ENGINE, f'engine="{number}"') for number in range(1, engines)]
    return "\n".join(grown) + "\n"


def busier(page: str) -> str:
    """Return the page of a server that has worked meanwhile: each bucket and counter is one higher."""
    return "".join(
        f"{line}\n" if line.startswith("#") or "} " not in line else f"{_one_more(line)}\n"
        for line in page.splitlines()
    )


def _one_more(line: str) -> str:
    labels, _, value = line.rpartition(" ")
    number = float(value)
    return f"{labels} {number + 1}" if number.is_integer() else line


def cpu(work: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """Return the median CPU milliseconds of a call, after one to warm up."""
    work()
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) * 1e3)
    return median(taken)


def report(title: str, page: str, profile: Profile = VLLM) -> None:
    """Print what one page costs, each way of reading it."""
    parser, translation = Parser(profile.samples), Translation(profile, "bench")
    pages = cycle((page, busier(page)))
    by_line, changing = Parser(profile.samples), cycle((page, f"{page}# one more\n"))

    def scrape() -> object:
        faults = Faults("bench")
        return translation.readings(parser.parse(next(pages)), faults)

    def first_time() -> object:
        return Translation(profile, "bench").readings(
            Parser(profile.samples).parse(page), Faults("bench")
        )

    megabytes = len(page) / _MEGABYTE
    print(f"{title}: {len(page):,} bytes, {page.count(chr(10)):,} lines")  # noqa: T201 - a bench prints
    for name, work, rounds in (
        ("parse", lambda: parser.parse(next(pages)), _ROUNDS),
        ("parse, line by line", lambda: by_line.parse(next(changing)), _ROUNDS),
        ("parse and map", scrape, _ROUNDS),
        ("parse and map, first time", first_time, 5),
        ("prometheus_client", lambda: list(text_string_to_metric_families(page)), 5),
    ):
        took = cpu(work, rounds)
        print(f"  {name:26} {took:9.2f} ms {took / megabytes:9.1f} ms/MB")  # noqa: T201 - as above


def main() -> None:
    """Print the figures for pages as captured, and for a megabyte."""
    page = _PAGE.read_text()
    report("vLLM page as captured", page)
    report("vLLM page of many engines", with_engines(page, _MEGABYTE))
    for title, name, profile in _OTHERS:
        report(f"{title} page as captured", (_FIXTURES / name).read_text(), profile)


if __name__ == "__main__":
    main()
