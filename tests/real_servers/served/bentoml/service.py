"""A service of BentoML: doubles what it gets after that many seconds, refuses less than 0."""

import asyncio

import bentoml


@bentoml.service(name="doubler", workers=1)  # type: ignore[untyped-decorator]  # BentoML is not in our environment
class Doubler:
    """What `bentoml serve` names."""

    @bentoml.api  # type: ignore[untyped-decorator]  # as above
    async def double(self, x: float) -> float:
        """Answer one request."""
        if x < 0:
            raise bentoml.exceptions.BentoMLException("negative")
        await asyncio.sleep(x)
        return 2 * x
