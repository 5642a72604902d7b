"""A server of KServe's SDK: doubles what it gets after that many seconds, refuses less than 0."""

import argparse
import asyncio
from typing import Any

import uvicorn
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.protocol.rest import server as rest


class Doubler(Model):  # type: ignore[misc]  # KServe is not in our environment
    """One model, ready at once."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = True

    async def get_input_types(self) -> list[dict[str, object]]:
        """Tell the metadata of the input."""
        return [{"name": "x", "datatype": "FP32", "shape": [1]}]

    async def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - KServe's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002 - as above
    ) -> InferResponse:
        """Answer one request."""
        x = float(payload.inputs[0].data[0])
        if x < 0:
            raise ValueError("negative")
        await asyncio.sleep(x)
        output = InferOutput(name="y", shape=[1], datatype="FP32", data=[2 * x])
        return InferResponse("answer", self.name, [output])


class OnLoopback(uvicorn.Config):  # type: ignore[misc]  # as above
    """The SDK listens on every address and has no option against it; a test must not."""

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(app, **{**settings, "host": "127.0.0.1"})


if __name__ == "__main__":
    argparse.ArgumentParser(parents=[model_server.parser]).parse_args()
    rest.uvicorn.Config = OnLoopback
    ModelServer(enable_grpc=False).start([Doubler("doubler")])
