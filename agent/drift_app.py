"""Puts the drift process together: payloads in, counts out, by the same exporters as the agent's.

A process of its own: what a payload can do to it, it cannot do to the agent that watches the GPUs.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent.app import node_name
from agent.collectors.web import WebCollector
from agent.config import Config
from agent.config.drift import Drift, DriftModel
from agent.drift.collector import INTERVAL, DriftCollector
from agent.drift.intake.endpoint import Intake
from agent.drift.intake.tally import IntakeTally
from agent.drift.models import Models
from agent.drift.rows import LABEL, PREDICTION, SCORE
from agent.drift.schema import ROLE_OF_KIND, Declared
from agent.drift.selection import Selection
from agent.drift.store import reference_store
from agent.drift.thresholds import FILE, ThresholdFile
from agent.drift.traffic import Learning
from agent.lifecycle import until_told
from agent.protection import base_url, both, protection, warn_if_exposed
from agent.pushing import Push, UnusableSettingError, otlp_settings
from agent.sampler import Sampler
from exporters.prometheus import Exposition
from exporters.web import make_intake_app, serve

INTAKE: Final = "/v1/"
MOST_SENDERS: Final = 512
"""Connections at once: each pod of a model that logs may keep one or some."""


def thresholds(config: Config) -> ThresholdFile | None:
    """Return the file of learned thresholds: as configured, else in the state directory, if there is one."""
    configured = config.drift.thresholds if config.drift else None
    if configured:
        return ThresholdFile(Path(configured))
    return ThresholdFile(Path(config.state_dir) / FILE) if config.state_dir else None


def selection(model: DriftModel) -> Selection:
    """Return what is looked at of a model. Raises `ValueError` where its hash key cannot be read."""
    roles = {PREDICTION: model.prediction, SCORE: model.score, LABEL: model.label}
    roles |= {
        ROLE_OF_KIND[each.kind]: each.name for each in model.features if each.kind in ROLE_OF_KIND
    }
    key = b""
    if model.hash_key_file:
        try:
            key = Path(model.hash_key_file).read_bytes().strip()
        except OSError as error:
            raise ValueError(f"drift.models: {model.hash_key_file}: {error.strerror}") from error
        if not key:
            raise ValueError(
                f"drift.models: {model.hash_key_file} is empty; it should hold a secret"
            )
    return Selection(
        model=model.model,
        include=model.include,
        exclude=model.exclude,
        hashed=model.hashed,
        roles={role: feature for role, feature in roles.items() if feature},
        declared=tuple(
            Declared(
                name=each.name,
                kind=each.kind,
                values=each.values,
                low=each.low,
                high=each.high,
                required=each.required,
            )
            for each in model.features
        ),
        share=model.sample,
        reservoir=model.reservoir,
        key=key,
    )


async def run(
    config: Config,
    environment: Mapping[str, str] = os.environ,
    *,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Take payloads and tell what they look like until SIGTERM or SIGINT.

    ``ready`` is told the URL once it listens. Raises `OSError` where the address cannot be had and
    `ValueError` for a variable that makes no sense.
    """
    settings = config.drift or Drift()
    node = node_name(config, environment)
    receivers, access = both(
        lambda: otlp_settings(config, environment, node), lambda: protection(config.web)
    )
    models = Models(
        clock=time.time,
        store=reference_store(config.state_dir),
        learning=Learning(rows=settings.learn_rows, seconds=settings.learn_for),
        most_features=settings.max_features,
        most_models=settings.max_models,
        embeddings=settings.embeddings,
        selections=[selection(each) for each in settings.models],
    )
    models.refresh()  # so that what is in use is counted from 0, before the first row
    tally = IntakeTally()
    intake = Intake(models, tally)
    push = Push(receivers)
    sampler = Sampler(
        [
            DriftCollector(
                models, tally, time.time, settle=intake.settle, thresholds=thresholds(config)
            )
        ],
        interval=INTERVAL,
        exporters=push.states,
    )
    if access is not None:
        sampler.adopt(WebCollector(access))
    web = make_intake_app(
        sampler,
        Exposition(node, config.cluster or ""),
        intake.routes(),
        intake=INTAKE,
        access=access,
    )
    runner, port = await serve(
        web, settings.listen.host, settings.listen.port, access=access, most=MOST_SENDERS
    )
    warn_if_exposed("drift.listen", settings.listen, config.web)
    ready(base_url(replace(settings.listen, port=port), config.web))
    try:
        await until_told([sampler.run(), push.run(sampler)])
    except* UnusableSettingError as refusals:
        raise ValueError(str(refusals.exceptions[0])) from refusals
    finally:
        await push.close()
        await runner.cleanup()
