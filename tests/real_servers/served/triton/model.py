"""A model of Triton's Python back end: doubles what it gets after that many seconds, refuses less than 0."""

import time
from typing import Any

import triton_python_backend_utils as backend


class TritonPythonModel:
    """What Triton's stub loads; the name is its contract."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer a batch of requests."""
        return [_answer(request) for request in requests]


def _answer(request: Any) -> Any:
    x = backend.get_input_tensor_by_name(request, "x").as_numpy()
    if x.flat[0] < 0:
        return backend.InferenceResponse(error=backend.TritonError("negative"))
    time.sleep(float(x.flat[0]))
    return backend.InferenceResponse([backend.Tensor("y", x * 2)])
