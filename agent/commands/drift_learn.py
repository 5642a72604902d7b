"""`warpwatch drift reference learn`: a reference from rows on disk, or from what Prometheus remembers."""

import argparse
import asyncio
import time
from math import isfinite
from typing import TYPE_CHECKING, Any

from agent.catalogue.attributes import BIN, DRIFT_MODEL, DRIFT_MODEL_VERSION, FEATURE, REFERENCE
from agent.catalogue.drift import FEATURE_OBSERVATIONS
from agent.catalogue.promql import aggregate, equals, select
from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse, warn
from agent.commands.drift_extra import checked_url, needs_drift, token
from agent.config.drift import Drift

if TYPE_CHECKING:
    from agent.config import Config
    from agent.drift.reference import Reference

_DAY = 86_400.0
_MOST_DAYS = 366


@needs_drift
def learn_reference(options: argparse.Namespace) -> int:
    """Make a reference and put it in use. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration."""
    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    if bool(options.rows) == (options.prometheus is not None):
        return refuse("name either --rows or --prometheus")
    for name, least in ((options.model, 1), (options.model_version, 0)):
        if not least <= len(name.strip()) <= _LONGEST_NAME or name != name.strip():
            return refuse(f"{name[:60]!r} is no name that payloads can have: see `reference list`")
    try:
        if options.prometheus is not None:
            checked_url("--prometheus", options.prometheus)
    except ValueError as error:
        return refuse(error)
    if not config.state_dir and (options.prometheus or not options.output):
        return refuse("no `state_dir` is configured, where references are kept; set it to a folder")
    if not 0 < options.days <= _MOST_DAYS or not 0 <= options.ago <= _MOST_DAYS:
        return refuse(f"--days and --ago are from 0 to {_MOST_DAYS}")
    from agent.drift.history import HistoryError  # noqa: PLC0415 - loads what drift needs
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - as above
    from agent.drift.row_files import RowFileError  # noqa: PLC0415 - as above

    try:
        reference = (
            _of_history(config, options) if options.prometheus else _of_files(config, options)
        )
        return _keep(config, options, reference)
    except (HistoryError, InvalidReferenceError, RowFileError, OSError, ValueError) as error:
        return refuse(error, 1)


_LONGEST_NAME = 128
_FEW = 2_000
"""Values below which ten bins differ by chance as much as by drift."""


def _keep(config: "Config", options: argparse.Namespace, reference: "Reference") -> int:
    from agent.drift.files import write  # noqa: PLC0415 - as all of drift
    from agent.drift.store import reference_store  # noqa: PLC0415 - loads what drift needs

    said = f"{reference.model} {reference.model_version}".strip()
    told = f"{len(reference.features)} features, {reference.origin}"
    few = [each for each in reference.features if each.samples < _FEW]
    if few:
        more = f" and of {len(few) - 1} others" if few[1:] else ""
        warn(
            f"{few[0].samples} values of {few[0].name!r}{more} are few: below {_FEW} "
            "chance looks like drift; take more rows, or more --days"
        )
    if options.output:
        write(options.output, reference.to_json())
        print(f"{reference.id} ({told}) written to {options.output}")
        return 0
    store = reference_store(config.state_dir, (config.drift or Drift()).max_features)
    if store is not None:
        store.use(reference)
    print(f"{said} is compared with {reference.id}: {told}")
    return 0


def _of_files(config: "Config", options: argparse.Namespace) -> "Reference":
    """Learn from rows as a running process would, with the selection that is configured."""
    import random  # noqa: PLC0415 - beside its only use

    from agent.drift.columns_seen import ColumnsSeen  # noqa: PLC0415 - as above
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - as above
    from agent.drift.row_files import read_rows  # noqa: PLC0415 - as above
    from agent.drift.rows import Rows  # noqa: PLC0415 - as above
    from agent.drift.schema import Schema  # noqa: PLC0415 - as above
    from agent.drift.selection import selection_of  # noqa: PLC0415 - as above
    from agent.drift.traffic import Learning, Traffic  # noqa: PLC0415 - as above
    from agent.drift_app import selection  # noqa: PLC0415 - as above

    settings, now = config.drift or Drift(), time.time()
    chosen = selection_of(options.model, [selection(each) for each in settings.models])
    traffic = Traffic(
        options.model,
        options.model_version,
        learning=Learning(rows=10**15, seconds=0),
        most_features=settings.max_features,
        embeddings=settings.embeddings,
        schema=Schema(chosen.declared),
    )
    left_out: list[str] = []
    seen = ColumnsSeen()
    for path in options.rows:
        for columns in read_rows(path, left_out.append):
            rows = Rows(options.model, options.model_version, columns, now)
            rows = chosen.apply(rows, random.Random())  # noqa: S311 - a sample
            traffic.add(rows)
            seen.add(rows.columns)
    if left_out:
        warn(f"no features, and left out: {', '.join(dict.fromkeys(left_out))}")
    if traffic.left_out:
        raise InvalidReferenceError(
            f"the files have more columns than the {settings.max_features} that a model may have, such as "
            f"{next(iter(traffic.left_out))}: raise drift.max_features, or choose some by "
            "drift.models[].include"
        )
    count = traffic.rows
    reference = traffic.freeze(now, origin=f"learned from {count} rows of files")
    if reference is None:
        raise InvalidReferenceError("the files have nothing that could be compared with")
    for said in seen.told(reference):
        warn(said)
    return reference


def _of_history(config: "Config", options: argparse.Namespace) -> "Reference":
    from agent.drift.rebase import counts_of, rebased  # noqa: PLC0415 - loads what drift needs
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - as above
    from agent.drift.store import reference_store  # noqa: PLC0415 - as above

    store = reference_store(config.state_dir)
    current = store.current(options.model, options.model_version) if store else None
    if current is None:
        raise InvalidReferenceError(
            f"{options.model} {options.model_version}".strip()
            + " has no reference whose bins could be filled"
        )
    end = time.time() - options.ago * _DAY
    counted, days = asyncio.run(_ask(options, current, end))
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
    origin = f"{days:.3g} days of traffic until {until}, in the bins of {current.id}"
    found = rebased(current, counts_of(counted), origin=origin, created=time.time())
    if days < _MOST_OF * options.days:
        warn(
            f"{options.prometheus} has {days:.3g} of the {options.days:g} days: before that nothing was "
            f"counted, or not against {current.id}"
        )
    return found


_MOST_OF = 0.95
_POINTS = 500


async def _ask(
    options: argparse.Namespace, current: "Reference", end: float
) -> "tuple[list[dict[str, Any]], float]":
    """Return what was counted per bin, and for how many days there are counts."""
    import aiohttp  # noqa: PLC0415 - beside its only use

    from agent.drift.history import Prometheus  # noqa: PLC0415 - as above

    headers = {}
    if options.bearer_token_file:
        headers = {"Authorization": f"Bearer {token(options.bearer_token_file)}"}
    chosen = (
        equals(DRIFT_MODEL, current.model),
        equals(DRIFT_MODEL_VERSION, current.model_version),
        equals(REFERENCE, current.id),
    )
    seconds = max(1, round(options.days * _DAY))
    step = max(60, seconds // _POINTS)
    counted = select(FEATURE_OBSERVATIONS, *chosen, window=f"{seconds}s")
    there = aggregate("group", (), select(FEATURE_OBSERVATIONS, *chosen))
    async with aiohttp.ClientSession() as session:
        prometheus = Prometheus(session, options.prometheus, headers)
        counts = await prometheus.instant(
            aggregate("sum", (FEATURE, BIN), f"increase({counted})"), at=end
        )
        points = await prometheus.instant(f"count_over_time({there}[{seconds}s:{step}s])", at=end)
    return counts, min(options.days, _number(points) * step / _DAY)


def _number(result: "list[dict[str, Any]]") -> float:
    """Return the one value of an instant query, 0 where there is none."""
    try:
        found = float(result[0]["value"][1])
    except (IndexError, KeyError, TypeError, ValueError):
        return 0.0
    return found if isfinite(found) else 0.0
