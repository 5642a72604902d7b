"""Seldon Core: the executor of Core 1 and the agent of Core 2, by their documents and samples of pages.

Neither was run here. What stands beside them in a pod (MLServer, Triton) has a page and a profile of its
own, which knows more of the model.

What is easily got wrong:

- The executor times the whole graph (``server``) and each call of a model in it (``client``).
- A deployment can have several predictors, as for a canary; where they have no version their name is it.
"""

from dataclasses import replace
from typing import Final

from agent.catalogue import serving
from agent.collectors.serving.profile import By, Mean, Native, Profile, Signal, Source, Where
from agent.collectors.serving.profiles.sources import info

_EXECUTOR: Final = "seldon_api_executor"
_CODE: Final = By(("code",))
_FAILED: Final = (Where("code", matching="[45].."),)
_GRAPH: Final = f"{_EXECUTOR}_server_requests_seconds"
_INFERENCES: Final = "seldon_model_infer_total"


def _answers(*where: Where) -> tuple[Source, ...]:
    return (
        Source(name=_GRAPH, native=Native.COUNT, by=(_CODE,), where=where),
        Source(name=_INFERENCES, native=Native.COUNTER, by=(_CODE,), where=where),
    )


SELDON: Final = Profile(
    name="seldon",
    prefixes=(f"{_EXECUTOR}_", "seldon_model_"),
    model_labels=("model_name", "model", "deployment_name"),
    version_labels=("model_version", "predictor_version", "predictor_name"),
    replica_labels=("server_replica",),
    signals=(
        Signal(serving.REQUESTS_FINISHED, _answers()),
        Signal(serving.REQUESTS_ERRORS, _answers(*_FAILED)),
        Signal(
            serving.REQUEST_DURATION,
            (
                Source(name=_GRAPH, native=Native.HISTOGRAM),
                Source(name="seldon_model_infer_api_seconds", native=Native.HISTOGRAM),
                Mean(
                    Source(name="seldon_model_infer_seconds_total", native=Native.COUNTER),
                    Source(name=_INFERENCES, native=Native.COUNTER),
                ),
            ),
        ),
        Signal(
            serving.COMPUTE_DURATION,
            (Source(name=f"{_EXECUTOR}_client_requests_seconds", native=Native.HISTOGRAM),),
        ),
        Signal(
            serving.REQUEST_DURATION_QUANTILES,
            (Source(name=f"{_GRAPH}_summary", native=Native.SUMMARY),),
        ),
        info(*(replace(each, by=()) for each in _answers())),
    ),
)
