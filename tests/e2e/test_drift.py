"""A model on three nodes: payloads go in by HTTP, and Prometheus tells how the fleet has drifted.

All compare with one reference, which one process learned and the others were given: only then do their
counts add up.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np
import pytest
import yaml

from agent.drift.bins import CategoryBins, NumericBins
from agent.drift.reference import FeatureReference, Reference
from agent.drift.reference_file import from_json
from agent.drift.thresholds import Threshold, to_json
from alerts.drift_counts import reference_recordings
from alerts.drift_scores import hour_recordings
from tests.real_parts.command import run
from tests.real_parts.programs import Program, Programs, eventually, free_port
from tests.real_parts.servers import Prometheus, start_prometheus

MODEL: Final = "churn"
NODES: Final = ("n1", "n2", "n3")
SPAN: Final = "10m"
"""Longer than the test, so that each window holds all that came."""
SCRAPE: Final = "200ms"
"""Prometheus guesses what a counter did before its first scrape and since its last: within 1 % here, after a
few seconds, and within half a percent in an hour scraped each 15 s."""
CLOSE: Final = 0.03
"""What that may do to a score, as a share of it; tests/alerts shows that the formulas are exact."""
LONG_ENOUGH: Final = 15.0
BATCH: Final = 500
PLANS: Final = ("free", "team", "pro")
WARPWATCH: Final = Path(sys.executable).with_name("warpwatch")
Row = dict[str, Any]


@dataclass
class Node:
    """A node's drift process, and the rows that it was sent since it has a reference."""

    name: str
    config: Path
    state: Path
    process: Program
    rows: list[Row] = field(default_factory=list)
    told: int = 0
    """How many rows its process was sent since it started and had a reference."""

    def command(self, *words: str) -> str:
        """Return what a command says on this node."""
        return run(WARPWATCH, "drift", *words, "--config", self.config)


@dataclass
class Fleet:
    """All nodes, what they compare with, and the Prometheus that scrapes them."""

    nodes: Mapping[str, Node]
    reference: Reference
    prometheus: Prometheus

    @property
    def rows(self) -> list[Row]:
        """All rows that were sent."""
        return [row for node in self.nodes.values() for row in node.rows]

    def settled(self) -> None:
        """Wait until Prometheus has seen each row, and then computed its scores."""
        for node in self.nodes.values():
            self.scraped(node)
        # The last of the rules that always has a result.
        computed = (
            f'timestamp(drift:psi_threshold:1h{{feature="age", reference="{self.reference.id}"}})'
        )
        seen = time.time()
        eventually(
            "the scores are of now",
            lambda: (found := self.prometheus.query(computed)) and found[0][1] > seen,
        )

    def scraped(self, node: Node) -> None:
        """Wait until Prometheus has seen what a node's process was sent."""
        name = (
            f'model_drift_feature_observations_total{{k8s_node_name="{node.name}", feature="age"}}'
        )
        eventually(
            f"{node.name} tells of {node.told} rows",
            lambda: (found := self.prometheus.query(f"sum({name})")) and found[0][1] == node.told,
        )

    def score(self, series: str, feature: str) -> float:
        """Return a recorded score of a feature."""
        ((_, value),) = self.prometheus.query(
            f'{series}{{feature="{feature}", reference="{self.reference.id}"}}'
        )
        return value


def rows(count: int, seed: int, *, times: float = 1.0) -> list[Row]:
    """Return rows of a model; with ``times`` their incomes are that many times higher."""
    chance = np.random.default_rng(seed)
    return [
        {"age": age, "income": income * times, "plan": PLANS[plan]}
        for age, income, plan in zip(
            chance.normal(40, 12, count).tolist(),
            chance.lognormal(10, 0.6, count).tolist(),
            chance.choice(3, count, p=(0.7, 0.2, 0.1)).tolist(),
            strict=True,
        )
    ]


async def send_rows(node: Node, sent: Sequence[Row]) -> None:
    """Send rows as they are."""
    node.told += len(sent)
    async with aiohttp.ClientSession() as session:
        for start in range(0, len(sent), BATCH):
            body = {"model": MODEL, "rows": sent[start : start + BATCH]}
            async with session.post(f"{node.process.url}/v1/rows", json=body) as answer:
                assert answer.status < 300, await answer.text()


async def send_events(node: Node, sent: Sequence[Row]) -> None:
    """Send rows as KServe's logger does: a request and its response, each an event."""
    node.told += len(sent)
    async with aiohttp.ClientSession() as session:
        for number in range(0, len(sent), 100):
            instances = sent[number : number + 100]
            answers = {"predictions": [0] * len(instances)}
            for kind, body in (("request", {"instances": instances}), ("response", answers)):
                headers = {
                    "ce-specversion": "1.0",
                    "ce-type": f"org.kubeflow.serving.inference.{kind}",
                    "ce-id": f"{node.name}-{number}",
                    "ce-inferenceservicename": MODEL,
                }
                url = f"{node.process.url}/v1/kserve"
                async with session.post(url, json=body, headers=headers) as answer:
                    assert answer.status < 300, await answer.text()


def start(programs: Programs, name: str, config: Path, address: str) -> Program:
    """Start a node's drift process."""
    return programs.start(
        f"drift-{name}",
        [WARPWATCH, "drift", "run", "--config", config],
        url=f"http://{address}",
        ready="/readyz",
    )


def node(programs: Programs, folder: Path, name: str) -> Node:
    """Start a node of its own."""
    state, address = folder / name, f"127.0.0.1:{free_port()}"
    state.mkdir()
    config = folder / f"{name}.yaml"
    drift = {"listen": address, "learn_rows": 1_000_000}
    config.write_text(json.dumps({"node": name, "state_dir": str(state), "drift": drift}))
    return Node(name, config, state, start(programs, name, config, address))


def start_scraping(programs: Programs, folder: Path, nodes: Sequence[Node]) -> Prometheus:
    """Start a Prometheus that scrapes the nodes and evaluates the rules, each second."""
    recordings = (*reference_recordings(), *hour_recordings(SPAN))
    group = {"name": "drift", "rules": [each.as_yaml() for each in recordings]}
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    targets = [each.process.url.removeprefix("http://") for each in nodes]
    config = folder / "prometheus.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {
                    "scrape_interval": SCRAPE,
                    "scrape_timeout": SCRAPE,
                    "evaluation_interval": "1s",
                },
                "rule_files": ["rules.yaml"],
                "scrape_configs": [{"job_name": "drift", "static_configs": [{"targets": targets}]}],
            }
        )
    )
    return start_prometheus(programs, config)


@pytest.fixture
async def fleet(programs: Programs, tmp_path: Path) -> Fleet:
    """Run three nodes: the first learns from 4,000 rows, the others are given what it learned.

    Each has had a first row, which Prometheus knows: its counts are differences to that.
    """
    nodes = [node(programs, tmp_path, name) for name in NODES]
    first, *others = nodes
    prometheus = start_scraping(programs, tmp_path, nodes)
    await send_rows(first, rows(4_000, seed=0))

    assert "is compared with" in first.command("reference", "freeze", MODEL)
    first.told = 0  # what was learned from is not counted
    shared = tmp_path / "reference.json"
    shared.write_text(first.command("reference", "show", MODEL, "--json"))
    for other in others:
        other.command("reference", "use", str(shared))
    fleet = Fleet({each.name: each for each in nodes}, from_json(shared.read_text()), prometheus)
    for number, each in enumerate(nodes):
        await send_rows(each, rows(1, seed=10 + number))
    for each in nodes:
        fleet.scraped(each)
    await asyncio.sleep(LONG_ENOUGH)
    return fleet


def counts(feature: FeatureReference, sent: Sequence[Row]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return how many values fall into each bin, worked out beside the process."""
    values = [row[feature.name] for row in sent]
    found = np.zeros(len(feature.bins.labels))
    if isinstance(feature.bins, NumericBins):
        places = np.searchsorted(np.array(feature.bins.edges), np.array(values))
        found[: len(feature.bins.edges) + 1] = np.bincount(
            places, minlength=len(feature.bins.edges) + 1
        )
    else:
        assert isinstance(feature.bins, CategoryBins)
        for value in values:
            found[feature.bins.labels.index(value)] += 1
    return found


def psi(feature: FeatureReference, sent: Sequence[Row]) -> float:
    """Return the population stability index of rows."""
    found = counts(feature, sent)
    share = (found + 0.5) / (found.sum() + 0.5 * len(found))
    expected = np.array(feature.proportions)
    return float(((share - expected) * np.log(share / expected)).sum())


async def test_fleet_is_scored_as_one(fleet: Fleet, programs: Programs) -> None:
    """Pooled scores are numpy's on all rows, a shifted replica shows, and a restart disturbs neither."""
    n1, n2, n3 = (fleet.nodes[name] for name in NODES)
    for each, send, seed, times in (
        (n1, send_rows, 1, 1.0),
        (n2, send_events, 2, 1.0),
        (n3, send_rows, 3, 3.0),
    ):
        each.rows += rows(3_000, seed, times=times)
        await send(each, each.rows)
    fleet.settled()

    for name in ("age", "income", "plan"):
        feature = fleet.reference.by_name[name]
        pooled, worst = (
            psi(feature, fleet.rows),
            max(psi(feature, each.rows) for each in fleet.nodes.values()),
        )
        assert fleet.score("drift:psi:1h", name) == pytest.approx(pooled, rel=CLOSE, abs=1e-4)
        assert fleet.score("drift:replica_psi_max:1h", name) == pytest.approx(
            worst, rel=CLOSE, abs=1e-4
        )
    assert fleet.score("drift:replica_psi_max:1h", "income") > 1.0
    assert fleet.score("drift:psi:1h", "income") < 0.5
    before = fleet.score("drift:rank_shift:1h", "income")
    assert before == pytest.approx(shift(fleet, "income"), abs=0.005)

    restart(fleet, programs, n3)
    more = rows(3_000, seed=4, times=3.0)
    n3.rows += more
    await send_rows(n3, more[:100])
    fleet.scraped(n3)
    await send_rows(n3, more[100:])
    fleet.settled()

    assert fleet.score("drift:psi:1h", "income") == pytest.approx(
        psi(fleet.reference.by_name["income"], fleet.rows), rel=CLOSE
    )
    assert fleet.score("drift:rank_shift:1h", "income") == pytest.approx(
        shift(fleet, "income"), abs=0.005
    )


def shift(fleet: Fleet, name: str) -> float:
    """Return the rank shift of all rows."""
    feature = fleet.reference.by_name[name]
    ranks = np.array(feature.midranks)
    found = counts(feature, fleet.rows)[: len(ranks)]
    return float((found * ranks).sum() / found.sum() - 0.5)


def restart(fleet: Fleet, programs: Programs, node: Node) -> None:
    """Kill a node's process once it was scraped, and start it anew: its counters begin at 0."""
    fleet.scraped(node)
    node.process.kill()
    node.told = 0
    address = node.process.url.removeprefix("http://")
    node.process = start(programs, node.name, node.config, address)


async def test_learned_thresholds_are_taken_up_while_it_runs(fleet: Fleet) -> None:
    """A file of bounds that appears on one node becomes a series, and what the rules compare with."""
    n1 = fleet.nodes["n1"]
    n1.rows += rows(2_000, seed=1)
    await send_rows(n1, n1.rows)
    fleet.settled()
    assert fleet.score("drift:rank_shift_threshold:1h", "age") == 0.1
    learned = Threshold(
        model=MODEL,
        model_version="",
        reference=fleet.reference.id,
        feature="age",
        statistic="rank_shift",
        window="1h",
        value=0.042,
    )
    beside = n1.state / "thresholds.json.new"
    beside.write_text(to_json([learned], 0.0))

    os.replace(beside, n1.state / "thresholds.json")  # noqa: PTH105 - as calibrate's users do

    told = 'model_drift_threshold{feature="age", window="1h", statistic="rank_shift"}'
    eventually("the threshold", lambda: fleet.prometheus.query(told))
    eventually(
        "the rules compare with it",
        lambda: fleet.score("drift:rank_shift_threshold:1h", "age") == 0.042,
    )
    assert fleet.score("drift:rank_shift_threshold:1h", "income") == 0.1
