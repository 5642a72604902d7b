"""A model of MLServer: doubles what it gets after that many seconds, refuses less than 0."""

import asyncio

from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Doubler(MLModel):  # type: ignore[misc]  # MLServer is not in our environment
    """What model-settings.json names."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        x = float(payload.inputs[0].data[0])
        if x < 0:
            raise InferenceError("negative")
        await asyncio.sleep(x)
        output = ResponseOutput(name="y", shape=[1, 1], datatype="FP32", data=[2 * x])
        return InferenceResponse(model_name=self.name, outputs=[output])
