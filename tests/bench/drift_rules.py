"""What drift's rules cost a Prometheus: 40 models of 20 features with 12 bins, on 8 nodes.

Run it with ``python -m tests.bench.drift_rules``: about ten minutes, 4 GiB of memory, 1 GiB of disk. A
Prometheus is given a day of what the rules over a day read, an hour of scrapes of counters and references, a
minute apart as the chart has it, and then the rules, each group every two minutes. Nothing is scraped
meanwhile: the time is the rules' alone. What counters hold makes no difference to the work.

``--nodes 1`` is a fleet whose replicas all log to one drift process, which has added them up already.
``--unscored`` is one whose processes do not tell their own scores, so that rules score each of them.
``--prometheus PATH`` takes another one than that of the tests.
What is reported is what each group's and each rule's last evaluation took, by Prometheus itself, and the CPU
that the process took beside, garbage collection included.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from alerts import build
from tests.bench import remote_write
from tests.real_parts.programs import Programs
from tests.real_parts.servers import Prometheus, start_prometheus

MODELS: Final = 40
FEATURES: Final = 20
NODES: Final = 8
ORDERED: Final = tuple(f"{number:02} {number}..{number + 1}" for number in range(10))
BINS: Final = (*ORDERED, "__missing__", "__other__")
SCRAPE: Final = 60.0
PAST: Final = 65 * 60
FUTURE: Final = 9 * 60
"""Seconds that rules are evaluated for and nobody scrapes; newer Prometheus takes ten minutes at most."""
SLICE: Final = 3480.0
"""Seconds. Prometheus takes no sample an hour older than its newest: all series must come along together."""
EVERY: Final = 120
"""Seconds between evaluations of each group: of all, whatever they have in the rule file."""
TWICE: Final = 4 * 60 + 20
"""Seconds until each group has been evaluated twice: the first time finds cold caches."""
COMPACTED: Final = 65
"""Seconds: Prometheus looks each minute whether there is something to make a block of."""
IDLE: Final = 0.05
BUDGET: Final = 1.0
"""Seconds, for all groups together."""
DAY: Final = 86_400.0
POOLED: Final = ("model", "model_version", "reference", "feature")
_OBSERVATIONS: Final = "model_drift_feature_observations_total"
Labels = Mapping[str, str]


def _features(nodes: int) -> Iterator[dict[str, str]]:
    for model, feature, node in product(range(MODELS), range(FEATURES), range(nodes)):
        yield {
            "model": f"model-{model:02}",
            "model_version": "1",
            "reference": "3fa94c1e7b20",
            "feature": f"feature_{feature:02}",
            "k8s_node_name": f"node-{node}",
            "instance": f"10.0.0.{node}:9411",
            "job": "warpwatch-drift",
        }


def _counters(nodes: int, times: remote_write.Array, told: Labels) -> Iterator[remote_write.Series]:
    chance = np.random.default_rng(0)
    for feature in _features(nodes):
        for label in BINS:
            grown = np.floor(times / SCRAPE * chance.integers(3, 30))
            yield {**feature, **told, "__name__": _OBSERVATIONS, "bin": label}, grown


def _gauges(nodes: int, count: int, told: Labels) -> Iterator[remote_write.Series]:
    def gauge(what: str, value: float, labels: Labels) -> remote_write.Series:
        return {**labels, "__name__": f"model_drift_{what}"}, np.full(count, value)

    for feature in _features(nodes):
        yield gauge("reference_samples", 20_000.0, feature)
        for place, label in enumerate(BINS):
            of_bin = {**feature, "bin": label}
            yield gauge("reference_proportion", 1 / len(BINS), of_bin)
            if place < len(ORDERED):
                yield gauge("reference_midrank", (place + 0.5) / len(ORDERED), of_bin)
        for window in ("1h", "1d") if told else ():
            yield gauge("replica_psi", 0.01, {**feature, "window": window})


def _scrapes(url: str, nodes: int, told: Labels) -> None:
    """Write what an hour of scrapes would have, and some minutes to come."""
    begin = time.time() - PAST
    for start in np.arange(0.0, PAST + FUTURE, SLICE):
        times = np.arange(start, min(start + SLICE, PAST + FUTURE), SCRAPE)
        remote_write.write(url, begin + times, _counters(nodes, times, told))
        remote_write.write(url, begin + times, _gauges(nodes, len(times), told))


def _pooled(name: str, value: float, count: int) -> Iterator[remote_write.Series]:
    """Return what rules have left of all replicas together."""
    for feature in _features(1):
        of_feature = {key: feature[key] for key in POOLED}
        for label in BINS:
            yield {**of_feature, "__name__": name, "bin": label}, np.full(count, value)


def _by_replica(nodes: int, count: int) -> Iterator[remote_write.Series]:
    """Return what rules have left of each replica that does not score itself."""
    for feature in _features(nodes):
        del feature["job"]
        name = {"__name__": "drift:replica_bin_count:1h"}
        for label in BINS:
            yield {**feature, **name, "bin": label}, np.full(count, 4_000.0)


def _day(url: str, nodes: int, told: Labels) -> None:
    """Write what the rules over a day read, and those against a day and a week ago."""
    now, share = time.time(), 1 / len(BINS)
    for ago, windows in ((7 * DAY, ("1h", "1d")), (DAY, ("1d",))):
        times = now - ago + np.arange(-300.0, COMPACTED + FUTURE, 120.0)
        for window in windows:
            remote_write.write(url, times, _pooled(f"drift:proportion:{window}", share, len(times)))
    begin, end = now - DAY + FUTURE + 600.0, now - PAST
    for start in np.arange(begin, end, SLICE):
        times = np.arange(start, min(start + SLICE, end), 120.0)
        if not told:
            remote_write.write(url, times, _by_replica(nodes, len(times)))
        seldom = times[::15]
        counts = _pooled("drift:hourly_bin_count:1h", 4_000.0 * nodes, len(seldom))
        remote_write.write(url, seldom, counts)


def _rules() -> dict[str, Any]:
    groups = yaml.safe_load(build.rules_yaml())["groups"]
    mine = [
        {**group, "interval": f"{EVERY}s"}
        for group in groups
        if group["name"].startswith("warpwatch-drift")
    ]
    return {"groups": mine}


def _started(
    programs: Programs, folder: Path, nodes: int, told: Labels, binary: Path | None
) -> Prometheus:
    config = folder / "prometheus.yaml"
    config.write_text('{"rule_files": ["rules.yaml"]}', encoding="utf-8")
    prometheus = start_prometheus(
        programs, config, "--web.enable-remote-write-receiver", binary=binary
    )
    url = f"{prometheus.program.url}/api/v1/write"
    _day(url, nodes, told)
    _scrapes(url, nodes, told)
    while _cpu_share(prometheus, COMPACTED) > IDLE:  # what was written is made into blocks
        pass
    (folder / "rules.yaml").write_text(yaml.safe_dump(_rules()), encoding="utf-8")
    prometheus.reload()
    return prometheus


def main(argv: Sequence[str] | None = None) -> None:
    """Run it, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES, help="default: %(default)s")
    parser.add_argument("--unscored", action="store_true", help="replicas do not score themselves")
    parser.add_argument("--prometheus", type=Path, help="default: that of the tests")
    chosen = parser.parse_args(argv)
    told = {} if chosen.unscored else {"scored_by": "process"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = Programs(folder)
        try:
            prometheus = _started(programs, folder, chosen.nodes, told, chosen.prometheus)
            spent = EVERY * _cpu_share(prometheus, TWICE)
            _tell(prometheus.ask("rules")["groups"])
            _line("CPU of the process, for all groups", spent, f"   load {os.getloadavg()[0]:.1f}")
        finally:
            for program in reversed(programs.started):
                program.stop()


def _cpu_share(prometheus: Prometheus, seconds: float) -> float:
    """Return how much of a core it takes over so many seconds."""
    before = _cpu(prometheus)
    time.sleep(seconds)
    return (_cpu(prometheus) - before) / seconds


def _cpu(prometheus: Prometheus) -> float:
    stat = Path(f"/proc/{prometheus.program.process.pid}/stat").read_text(encoding="ascii")
    user, system = stat.rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _tell(groups: Sequence[Mapping[str, Any]]) -> None:
    rules = [rule for group in groups for rule in group["rules"]]
    failed = [rule["lastError"] for rule in rules if rule.get("lastError")]
    assert not failed, failed[:3]
    for group in groups:
        _line(group["name"], group["evaluationTime"])
        for rule in sorted(group["rules"], key=lambda rule: -rule["evaluationTime"]):
            if rule["evaluationTime"] > BUDGET / 100:
                _line(f"  {rule['name']}", rule["evaluationTime"])
    total = sum(float(group["evaluationTime"]) for group in groups)
    verdict = "ok" if total <= BUDGET else "OVER"
    _line("all groups", total, f"   <= {BUDGET:g}  {verdict}")


def _line(name: str, seconds: float, more: str = "") -> None:
    sys.stdout.write(f"{name:40} {seconds:7.3f} s{more}\n")


if __name__ == "__main__":
    main()
