"""`warpwatch drift calibrate`: what is normal for each feature, from weeks of history."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.catalogue.attributes import DRIFT_MODEL
from agent.catalogue.promql import aggregate, equals
from agent.catalogue.recorded_drift import PSI_GUARDED, RANK_SHIFT_GUARDED
from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse
from agent.commands.drift_extra import checked_url, needs_drift, token
from agent.commands.table import print_rows

if TYPE_CHECKING:
    from agent.drift.calibration import Calibrated
    from agent.drift.history import Prometheus
    from agent.drift.thresholds import Threshold

STEP: Final = {"1h": 300.0, "1d": 900.0}
"""Seconds between two points: fine enough for the shortest hold of an alert rule."""
_SCORES: Final = {"rank_shift": RANK_SHIFT_GUARDED, "psi": PSI_GUARDED}


@needs_drift
def calibrate(options: argparse.Namespace) -> int:
    """Learn bounds and write them. Exit codes: 0 some were learned, 1 none, 2 wrong configuration."""
    output = options.output
    if output is None:
        config = configured(options)
        if config is None:
            return WRONG_CONFIGURATION
        if not config.state_dir:
            return refuse("no `state_dir` is configured; say with --output where to write")
        from agent.drift.thresholds import FILE  # noqa: PLC0415 - loads what drift needs

        output = Path(config.state_dir) / FILE
    if not 0 < options.least_days <= options.days <= _MOST_DAYS:
        return refuse(
            f"--least-days must be above 0 and at most --days, and that at most {_MOST_DAYS}"
        )
    from agent.drift.history import HistoryError  # noqa: PLC0415 - loads aiohttp

    now = time.time()
    try:
        checked_url("--prometheus", options.prometheus)
        options.leave_out = [_span(each) for each in options.leave_out]
    except ValueError as error:
        return refuse(error)
    try:
        found = asyncio.run(_read(options, now))
        return _tell(found, options, output, now)
    except HistoryError as error:
        return refuse(error, 1)
    except OSError as error:
        return refuse(error, 1)


_MOST_DAYS: Final = 366
_DAY: Final = 86_400.0


async def _read(options: argparse.Namespace, now: float) -> "list[Calibrated]":
    import aiohttp  # noqa: PLC0415 - of this command alone

    from agent.drift import calibration  # noqa: PLC0415 - as above
    from agent.drift.evidence import thinned  # noqa: PLC0415 - as above
    from agent.drift.history import Prometheus  # noqa: PLC0415 - as above

    headers = {}
    if options.bearer_token_file:
        headers = {"Authorization": f"Bearer {token(options.bearer_token_file)}"}
    found = []
    async with aiohttp.ClientSession() as session:
        prometheus = Prometheus(session, options.prometheus, headers)
        for statistic, series in _SCORES.items():
            for window, step in STEP.items():
                name = series[window].name
                for model in await _models(prometheus, name, options, now):
                    # One at a time: weeks of every model of a fleet would be gigabytes.
                    history = await prometheus.scores(
                        f"{name}{{{equals(DRIFT_MODEL, model)}}}",
                        end=now,
                        days=options.days,
                        step=step,
                    )
                    found += [
                        thinned(
                            calibration.calibrate(
                                identity,
                                statistic,
                                window,
                                calibration.without(points, options.leave_out, window),
                                step=step,
                                days=options.least_days,
                            )
                        )
                        for identity, points in sorted(history.items())
                    ]
    return found


async def _models(
    prometheus: "Prometheus", name: str, options: argparse.Namespace, now: float
) -> list[str]:
    """Return the models that have a score within the days, or the one that was asked for."""
    if options.model:
        return [options.model]
    seconds = round(options.days * _DAY)
    there = f"last_over_time({name}[{seconds}s])"
    found = await prometheus.instant(aggregate("group", (DRIFT_MODEL,), there), at=now)
    labels = (each.get("metric") for each in found)
    return sorted(
        {str(each.get(DRIFT_MODEL.label, "")) for each in labels if isinstance(each, dict)}
    )


def _tell(
    found: "Sequence[Calibrated]", options: argparse.Namespace, output: Path, now: float
) -> int:
    from agent.drift.evidence import page  # noqa: PLC0415 - of this command alone
    from agent.drift.files import write  # noqa: PLC0415 - as above
    from agent.drift.thresholds import to_json  # noqa: PLC0415 - as above

    learned = [each.threshold for each in found if each.threshold]
    if options.evidence:
        write(options.evidence, page(found, now))
    if options.json:
        print(json.dumps([_row(each) for each in found], indent=1))
    else:
        head = (
            "model",
            "version",
            "reference",
            "feature",
            "score",
            "days",
            "bound",
            "alerts a month",
        )
        print_rows(head, [tuple(map(_shown, list(_row(each).values())[:-1])) for each in found])
        for each in found:
            if each.doubt:
                who = " ".join(filter(None, each.identity[:2]))
                what = f"{each.identity.feature}, {each.statistic} {each.window}"
                print(f"{who}: {what}: {each.doubt}", file=sys.stderr)
    if not found:
        where = options.prometheus
        return refuse(f"{where} has no drift scores; are the recording rules loaded there?", 1)
    if not learned:
        return refuse(
            f"no score has {options.least_days:g} days of history yet; nothing written", 1
        )
    try:
        kept = _kept(output, learned)
    except ValueError as error:
        return refuse(f"{output} is there, and {error}; remove it, or name another --output", 1)
    write(output, to_json([*kept, *learned], now))
    if not options.json:
        more = f", beside {len(kept)} others that were in it" if kept else ""
        print(f"{len(learned)} bounds written to {output}{more}")
    return 0


def _kept(output: Path, learned: "Sequence[Threshold]") -> "list[Threshold]":
    """Return the bounds in the file that were not learned anew: of other models, or of a reference before.

    Raises `ValueError` where the file is something else.
    """
    from agent.drift.thresholds import from_json  # noqa: PLC0415 - as above

    if not output.is_file():
        return []
    new = {each.key for each in learned}
    try:
        before = from_json(output.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"is no text: {error}") from error
    return [each for each in before if each.key not in new]


def _span(said: str) -> tuple[float, float]:
    """Return the Unix seconds of FROM/TO. Raises `ValueError` for what is no such span."""
    try:
        begin, end = (_instant(each) for each in said.split("/"))
    except ValueError:
        begin, end = 0.0, 0.0
    if begin >= end:
        raise ValueError(
            f"--leave-out {said}: write when it began and ended (UTC), as 2026-11-02/2026-11-05 or "
            "2026-11-02T08:00/2026-11-02T20:30"
        )
    return begin, end


def _instant(said: str) -> float:
    when = datetime.fromisoformat(said)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _row(each: "Calibrated") -> dict[str, object]:
    threshold = asdict(each.threshold) if each.threshold else {}
    return {
        "model": each.identity.model,
        "version": each.identity.model_version,
        "reference": each.identity.reference,
        "feature": each.identity.feature,
        "score": f"{each.statistic} {each.window}",
        "days": round(each.days, 1),
        "bound": threshold.get("value", each.why_not),
        "alerts_per_month": threshold.get("alerts_per_month", ""),
        "doubt": each.doubt,
    }


def _shown(value: object) -> str:
    """Return a cell: four digits of a number, and nothing for what cannot be told."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
