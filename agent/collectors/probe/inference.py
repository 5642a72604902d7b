"""The probe of a server that speaks the open inference protocol (v2): KServe, MLServer, Triton.

Whether the server says that it is ready, what the model's inputs are, and one inference of them.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final
from urllib.parse import quote

from agent.collectors.probe.client import Client, parsed
from agent.collectors.probe.outcome import Answer, ProbeError
from agent.collectors.probe.plan import Plan

_MAX_ELEMENTS: Final = 2**16
"""Of all inputs together; an image of 3 x 128 x 128 has fewer. The request is one line of JSON."""
_MAX_RANK: Final = 16
_ZEROS: Final[Mapping[str, object]] = {
    "BOOL": False,
    "BYTES": "",
    **dict.fromkeys(("INT8", "INT16", "INT32", "INT64"), 0),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32", "UINT64"), 0),
    **dict.fromkeys(("FP32", "FP64"), 0.0),
}
"""FP16 and BF16 are missing: the protocol has no JSON for them."""


async def probe(client: Client, plan: Plan, clock: Callable[[], float]) -> Answer:
    """Ask for an inference. Raises `ProbeError` for an answer that is not one."""
    try:
        await client.get("/v2/health/ready")
    except ProbeError as error:
        if error.reason != "refused":
            raise
        raise ProbeError("not_ready", f"{error.detail}, which means that it is not ready") from None
    path = f"/v2/models/{quote(plan.model, safe='')}"
    body = plan.body if plan.body is not None else await _request(client, path)
    began = clock()
    answer = await client.post(f"{path}/infer", body)
    duration = clock() - began
    _check(answer, f"{client.shown}{path}/infer")
    return Answer(plan.model, duration)


async def _request(client: Client, path: str) -> dict[str, Any]:
    """Return the smallest request that fits the model's metadata: zeros, and 1 where a size is open."""
    where = f"{client.shown}{path}"
    inputs = parsed(await client.get(path), where).get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise ProbeError("no_input", f"{where} tells no inputs; set the probe's body")
    tensors = [_tensor(each, where) for each in inputs]
    if sum(len(tensor["data"]) for tensor in tensors) > _MAX_ELEMENTS:
        raise ProbeError("no_input", f"{where} wants more than a probe sends; set the probe's body")
    return {"inputs": tensors}


def _tensor(wanted: object, where: str) -> dict[str, Any]:
    match wanted:
        case {"name": str(name), "datatype": str(datatype), "shape": list(sizes)} if (
            datatype in _ZEROS and _plausible(sizes)
        ):
            shape = [size if size > 0 else 1 for size in sizes]
            count = min(prod(shape), _MAX_ELEMENTS + 1)
            data = [_ZEROS[datatype]] * count
            return {"name": name, "datatype": datatype, "shape": shape, "data": data}
        case _:
            detail = f"{where} wants an input that cannot be made up; set the probe's body"
            raise ProbeError("no_input", detail)


def _plausible(sizes: list[Any]) -> bool:
    """Tell whether a shape is one: a few whole numbers."""
    return len(sizes) <= _MAX_RANK and all(type(size) is int and size < 2**40 for size in sizes)


def _check(answer: bytes, where: str) -> None:
    """Raise `ProbeError` unless there is an output with data in it."""
    outputs = parsed(answer, where).get("outputs")
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise ProbeError("malformed", f"{where} answers something else than outputs")
    if not any(each.get("data") for each in outputs):
        raise ProbeError("empty", f"{where} answers without any output")
