"""`warpwatch drift reference`: what models are compared with, on this node's disk."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse, warn
from agent.commands.drift_extra import needs_drift
from agent.commands.table import print_rows
from agent.config.drift import Drift

if TYPE_CHECKING:
    from agent.config import Config
    from agent.drift.reference import Reference
    from agent.drift.store import ReferenceStore


@needs_drift
def list_reference(options: argparse.Namespace) -> int:
    """List every reference that is kept. Exit codes of all: 0 done, 1 failed, 2 wrong configuration."""
    return _with_store(options, _list)


def _list(store: "ReferenceStore", options: argparse.Namespace) -> int:
    rows = list(_listed(store))
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    head = ("model", "version", "reference", "in use", "features", "samples", "created", "origin")
    print_rows(head, [tuple(str(row[key]) for key in _KEYS) for row in rows])
    return 0


_KEYS = (
    "model",
    "model_version",
    "reference",
    "in_use",
    "features",
    "samples",
    "created",
    "origin",
)


def _listed(store: "ReferenceStore") -> Iterator[dict[str, object]]:
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - loads numpy

    for model, version in store.models():
        blank: dict[str, object] = dict.fromkeys(_KEYS, "")
        blank |= {"model": model, "model_version": version}
        try:
            used = store.history(model, version)[-1:]
            known = store.ids(model, version)
        except (InvalidReferenceError, OSError) as error:  # of one model, not of all
            yield blank | {"origin": f"unusable: {error}"}
            continue
        for identity in known:
            row = blank | {"reference": identity, "in_use": "yes" if used == [identity] else ""}
            try:
                row |= _facts(store.load(model, version, identity))
            except InvalidReferenceError as error:
                row["origin"] = f"unusable: {error}"
            yield row


def _facts(reference: "Reference") -> dict[str, object]:
    return {
        "features": len(reference.features),
        "samples": max((feature.samples for feature in reference.features), default=0),
        "created": datetime.fromtimestamp(reference.created, UTC).isoformat(timespec="seconds"),
        "origin": reference.origin,
    }


@needs_drift
def show_reference(options: argparse.Namespace) -> int:
    """Show one reference, bin by bin."""
    return _with_store(options, _show)


def _show(store: "ReferenceStore", options: argparse.Namespace) -> int:
    reference = _one(store, options, options.reference)
    if options.json:
        print(reference.to_json(), end="")
        return 0
    print(f"{reference.model} {reference.model_version}".strip(), reference.id, reference.origin)
    rows = [
        (feature.name, label, str(count), f"{share:.4f}")
        for feature in reference.features
        for label, count, share in zip(
            feature.bins.labels, feature.counts, feature.proportions, strict=True
        )
    ]
    print_rows(("feature", "bin", "samples", "share"), rows)
    return 0


@needs_drift
def diff_reference(options: argparse.Namespace) -> int:
    """Show how two references differ."""
    return _with_store(options, _diff)


def _diff(store: "ReferenceStore", options: argparse.Namespace) -> int:
    from agent.drift.difference import differences  # noqa: PLC0415 - loads numpy

    old, new = _one(store, options, options.old), _one(store, options, options.new)
    rows = [
        (
            each.name,
            each.change,
            "" if each.psi is None else f"{each.psi:.4f}",
            "" if each.rank_shift is None else f"{each.rank_shift:+.4f}",
            f"{each.samples[0]} -> {each.samples[1]}",
        )
        for each in differences(old, new)
    ]
    print(f"{old.id} -> {new.id}")
    print_rows(("feature", "change", "PSI", "rank shift", "samples"), rows)
    return 0


@needs_drift
def use_reference(options: argparse.Namespace) -> int:
    """Keep a reference from a file, or from a model version in MLflow, and put it in use."""
    return _with_store(options, _use)


def _use(store: "ReferenceStore", options: argparse.Namespace) -> int:
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - loads numpy
    from agent.drift.reference_file import from_json  # noqa: PLC0415 - loads numpy

    text = _text(options.file, options.artifact)
    try:
        reference = from_json(text)
    except InvalidReferenceError as error:
        raise InvalidReferenceError(f"{options.file}: {error}") from error
    store.use(reference)
    print(f"{reference.model} {reference.model_version}".strip(), "is compared with", reference.id)
    return 0


def _text(file: Path, artifact: str) -> str:
    """Return what a file holds, standard input, or an artifact of a model version in MLflow."""
    if not str(file).startswith(_MLFLOW):
        try:
            return sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise OSError(f"{file}: no text, so no reference: {error}") from error
    import asyncio  # noqa: PLC0415 - this source alone asks a server
    import os  # noqa: PLC0415 - as asyncio

    from agent.drift import mlflow  # noqa: PLC0415 - as asyncio

    return asyncio.run(mlflow.fetch(str(file), artifact or mlflow.ARTIFACT, os.environ))


_MLFLOW = "models:/"


@needs_drift
def rollback_reference(options: argparse.Namespace) -> int:
    """Go back to the reference before the one in use."""
    return _with_store(options, _roll_back)


def _roll_back(store: "ReferenceStore", options: argparse.Namespace) -> int:
    reference = store.roll_back(options.model, options.model_version, options.to)
    print(f"{options.model} {options.model_version}".strip(), "is compared with", reference.id)
    return 0


def freeze_reference(options: argparse.Namespace) -> int:
    """Ask the running process to end learning now."""
    from agent.commands.asking import UnansweredError, asked, way_to  # noqa: PLC0415 - loads aiohttp

    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    try:
        way = way_to(options, (config.drift or Drift()).listen, config.web)
    except ValueError as error:
        return refuse(error)
    query = {"model": options.model, "model_version": options.model_version}
    try:
        answer = asked(way, "/v1/references/freeze", method="POST", query=query)
    except UnansweredError as error:
        return refuse(f"the drift process at {way.url} does not answer: {error}", 1)
    if answer.status != 200:
        return refuse(answer.text.strip(), 1)
    try:
        frozen = json.loads(answer.text)
        identity, left_out = frozen["reference"], [str(name) for name in frozen["left_out"]]
    except (ValueError, KeyError, TypeError):
        return refuse(f"{way.url} answers, but not as a drift process does; see --url", 1)
    print(f"{options.model} {options.model_version}".strip(), "is compared with", identity)
    if left_out:
        warn(f"not learned, beyond drift.max_features: {', '.join(left_out)}")
    return 0


def _with_store(
    options: argparse.Namespace,
    act: "Callable[[ReferenceStore, argparse.Namespace], int]",
) -> int:
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - loads numpy

    store = _store(options)
    if store is None:
        return WRONG_CONFIGURATION
    try:
        return act(store, options)
    except (InvalidReferenceError, OSError) as error:
        return refuse(error, 1)


def _store(options: argparse.Namespace) -> "ReferenceStore | None":
    config = configured(options)
    if config is None:
        return None
    store = _kept(config)
    if store is None:
        refuse("no `state_dir` is configured, so no reference is kept; set it to a folder")
    return store


def _kept(config: "Config") -> "ReferenceStore | None":
    from agent.drift.store import reference_store  # noqa: PLC0415 - loads numpy

    return reference_store(config.state_dir, (config.drift or Drift()).max_features)


def _one(store: "ReferenceStore", options: argparse.Namespace, identity: str) -> "Reference":
    """Return the reference of that id, without one the reference in use."""
    from agent.drift.reference import InvalidReferenceError  # noqa: PLC0415 - loads numpy

    if identity:
        return store.load(options.model, options.model_version, identity)
    current = store.current(options.model, options.model_version)
    if current is None:
        known = ", ".join(f"{model} {version}".strip() for model, version in store.models())
        raise InvalidReferenceError(
            f"{options.model} {options.model_version}".strip()
            + f" has no reference; there are some of: {known or 'no model'}"
        )
    return current
