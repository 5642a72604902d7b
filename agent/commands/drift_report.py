"""`warpwatch drift report`: Evidently's report of a model, made in a process of its own within limits."""

import argparse
import asyncio
import os
import signal
import sys
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse
from agent.commands.drift_extra import checked_url, needs_drift, token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config import Config
    from agent.drift.reference import Reference
    from agent.drift.report_bins import Exported, Sample
    from agent.drift.report_job import Job, Limits, Side

_LEAST_MEMORY: Final = 600
"""MiB of address space below which the libraries fail, or spin instead."""
_REFERENCE: Final = ".json"
"""A reference's file ends in this; rows end in something else."""


@needs_drift
def report(options: argparse.Namespace) -> int:
    """Make a report. Exit codes: 0 written, 1 it could not be made, 2 wrong usage or configuration."""
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - loads numpy
    from agent.drift.report_bins import UnusableSeriesError  # noqa: PLC0415 - as above
    from agent.drift.report_job import UnusableInputError  # noqa: PLC0415 - as above

    if options.memory < _LEAST_MEMORY:
        return refuse(f"--memory must be at least {_LEAST_MEMORY} MiB: the libraries need that")
    if min(options.cpu, options.wall, options.rows, options.columns) <= 0:
        return refuse("--cpu, --wall, --rows and --columns must be above 0")
    if options.threshold is not None and not 0 < options.threshold < inf:
        return refuse(f"--threshold must be a number above 0, not {options.threshold}")
    try:
        if options.prometheus is not None:
            checked_url("--prometheus", options.prometheus)
        if options.reservoir is not None:
            checked_url("--reservoir", options.reservoir)
            if not options.model:
                return refuse("--reservoir keeps the rows of each model: say which with --model")
        if "://" in (options.metrics or ""):
            checked_url("--metrics", options.metrics)
    except ValueError as error:
        return refuse(error)
    try:
        with TemporaryDirectory(prefix="warpwatch-") as folder:  # nobody else may read it
            job = asyncio.run(_job(options, Path(folder)))
            return WRONG_CONFIGURATION if job is None else asyncio.run(_done(job))
    except (
        InvalidReferenceError,
        UnusableSeriesError,
        UnusableInputError,
        OSError,
        UnicodeDecodeError,
    ) as error:
        return refuse(error, 1)


async def _job(options: argparse.Namespace, folder: Path) -> "Job | None":
    """Return what to compare; `None` where the configuration is wrong, which has been said then.

    Rows that are kept elsewhere are put into ``folder``.
    """
    from agent.drift.report_job import (  # noqa: PLC0415 - as above
        DEFAULT_THRESHOLD,
        Job,
        Limits,
        Side,
        UnusableInputError,
    )

    counted = await _exported(options)
    bounds: Mapping[str, float] = {}
    if counted is not None:
        told, where = counted
        model, version = told.reference.model, told.reference.model_version
        counts = {name: list(each) for name, each in told.counts.items()}
        current = Side(origin=where, counts=counts)
        origin = f"{told.identity}, as it is exported"
        reference = Side(origin=origin, reference=told.reference.to_json())
        identity, bounds = told.identity, told.bounds
    else:
        model, version, identity = options.model, options.model_version, ""
        file, where = await _rows(options, folder)
        current = Side(origin=where, file=str(file.resolve()))
        reference = Side(origin="")
    if options.reference is not None:
        if counted is not None:
            raise UnusableInputError(
                "--reference goes with --current: counts are of the bins of the reference that is exported"
            )
        reference = _reference(options.reference)
    elif counted is None:
        kept = _kept(options)
        if kept is None:
            return None
        reference, bounds = kept
    if counted is None and reference.reference:
        model, version, identity = _named(reference)
    limits = Limits(
        memory=options.memory,
        cpu=options.cpu,
        wall=options.wall,
        rows=options.rows,
        columns=options.columns,
    )
    return Job(
        reference=reference,
        current=current,
        output=str(options.output.resolve()),
        model=model,
        model_version=version,
        identity=identity,
        threshold=DEFAULT_THRESHOLD if options.threshold is None else options.threshold,
        bounds=dict(bounds) if options.threshold is None else {},
        limits=limits,
    )


async def _rows(options: argparse.Namespace, folder: Path) -> tuple[Path, str]:
    """Return the file of the current rows, and where they are from, in words."""
    from agent.drift.report_source import of_reservoir  # noqa: PLC0415 - loads aiohttp

    if options.reservoir is None:
        return options.current, str(options.current)
    file, headers = folder / "reservoir.ndjson", _headers(options)
    file.write_bytes(
        await of_reservoir(options.reservoir, options.model, options.model_version, headers)
    )
    return file, f"a sample of the rows that {options.reservoir} saw"


def _headers(options: argparse.Namespace) -> dict[str, str]:
    if not options.bearer_token_file:
        return {}
    return {"Authorization": f"Bearer {token(options.bearer_token_file)}"}


async def _exported(options: argparse.Namespace) -> "tuple[Exported, str] | None":
    """Return what is exported, and where; `None` where rows are given instead."""
    from agent.drift import report_source  # noqa: PLC0415 - loads aiohttp
    from agent.drift.report_bins import exported  # noqa: PLC0415 - loads numpy

    samples: list[Sample]
    headers = _headers(options)
    if options.metrics is not None:
        samples = await report_source.of_page(options.metrics, headers)
        where = f"all counts on {options.metrics}"
    elif options.prometheus is not None:
        samples = await report_source.of_prometheus(
            options.prometheus, options.window, options.model, headers
        )
        where = f"the last {options.window} in {options.prometheus}"
    else:
        return None
    found = exported(
        samples,
        model=options.model,
        model_version=options.model_version,
        identity=options.reference_id,
    )
    return found, where


def _named(side: "Side") -> tuple[str, str, str]:
    """Return the model, version and id of the reference that a side is."""
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - loads numpy
    from agent.drift.reference_file import from_json  # noqa: PLC0415 - as above
    from agent.drift.report_job import UnusableInputError  # noqa: PLC0415 - as above

    try:
        known = from_json(side.reference)
    except InvalidReferenceError as error:
        raise UnusableInputError(f"{side.origin}: {error}") from error
    return known.model, known.model_version, known.id


def _reference(path: Path) -> "Side":
    """Return the side that a file is: a reference, or rows."""
    from agent.drift.report_job import Side  # noqa: PLC0415 - as above

    if path.suffix.lower() == _REFERENCE:
        return Side(origin=str(path), reference=path.read_text(encoding="utf-8"))
    return Side(origin=str(path), file=str(path.resolve()))


def _kept(options: argparse.Namespace) -> "tuple[Side, Mapping[str, float]] | None":
    """Return the reference in use of the model, from the state directory, and what was calibrated of it."""
    from agent.drift.report_job import Side, UnusableInputError  # noqa: PLC0415 - as above
    from agent.drift.store import reference_store  # noqa: PLC0415 - as above

    config = configured(options)
    if config is None:
        return None
    store = reference_store(config.state_dir)
    if store is None or not options.model:
        raise UnusableInputError(
            "give --reference FILE, or --model and a configuration whose `state_dir` keeps its reference"
        )
    reference = store.current(options.model, options.model_version)
    if reference is None:
        raise UnusableInputError(
            f"{options.model} {options.model_version}".strip()
            + " has no reference; give --reference FILE"
        )
    side = Side(origin=f"{reference.id}, {reference.origin}", reference=reference.to_json())
    return side, _bounds(config, reference)


def _bounds(config: "Config", reference: "Reference") -> "Mapping[str, float]":
    """Return the PSI of a day above which each feature has drifted, where it was learned."""
    from agent.drift.report_job import UnusableInputError  # noqa: PLC0415 - as above
    from agent.drift_app import thresholds  # noqa: PLC0415 - as above

    file = thresholds(config)
    for problem in file.refresh() if file else ():
        raise UnusableInputError(f"{problem.subject}: {problem.detail}")
    who = (reference.model, reference.model_version, reference.id)
    return {
        each.feature: each.value
        for each in (file.thresholds if file else ())
        if each.key == (*who, each.feature, "psi", "1d")
    }


async def _done(job: "Job") -> int:
    """Do the job in a process of its own and tell how it ended."""
    from agent.drift.report_job import ENVIRONMENT  # noqa: PLC0415 - as above

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.drift.report_process"),
        env={**os.environ, **ENVIRONMENT},
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = await asyncio.wait_for(
            process.communicate(job.to_json().encode()), job.limits.wall
        )
    except TimeoutError:
        return refuse(f"no report within {job.limits.wall:g} s; {_LESS}, or raise --wall", 1)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        return refuse(_why(process.returncode, said, job.limits), 1)
    for kind in ("html", "json"):
        print(Path(job.output) / f"drift-report.{kind}")
    return 0


_LESS: Final = "give fewer --rows or --columns"
_SMALLER: Final = "give fewer --rows, or files with fewer columns"


def _why(code: int, said: bytes, limits: "Limits") -> str:
    """Return in words why there is no report."""
    from agent.drift.report_job import BEYOND_MEMORY, UNUSABLE  # noqa: PLC0415 - as above

    words = said.decode(errors="replace").strip()
    if code == BEYOND_MEMORY:
        return f"no report within {limits.memory} MiB of memory; {_SMALLER}, or raise --memory"
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and not words):
        return f"no report within {limits.cpu} s of processor time; {_LESS}, or raise --cpu"
    if code == UNUSABLE:
        return words.splitlines()[-1] if words else "no report"
    if code < 0 or "MemoryError" in words or "Cannot allocate memory" in words:
        how = f"signal {-code}" if code < 0 else f"code {code}"
        return f"no report: ended by {how}, most likely beyond {limits.memory} MiB of memory; {_SMALLER}"
    return f"no report: {words[-2_000:]}"
