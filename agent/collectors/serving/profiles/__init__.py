"""The model servers that are known, one file each, data only.

Adding a server is adding a file, a line here and one in the configuration's list: the code that reads
pages knows none by name.
"""

from typing import Final

from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles.bentoml import BENTOML
from agent.collectors.serving.profiles.kserve import KSERVE
from agent.collectors.serving.profiles.mlserver import MLSERVER
from agent.collectors.serving.profiles.ray_serve import RAY_SERVE
from agent.collectors.serving.profiles.seldon import SELDON
from agent.collectors.serving.profiles.torchserve import TORCHSERVE
from agent.collectors.serving.profiles.triton import TRITON
from agent.collectors.serving.profiles.vllm import VLLM

PROFILES: Final[tuple[Profile, ...]] = (
    RAY_SERVE,
    KSERVE,
    SELDON,
    TRITON,
    MLSERVER,
    BENTOML,
    TORCHSERVE,
    VLLM,
)
"""Outermost first: a page can be of several, of a server and of the engine within it, and is read by all
of them. The first one names the server."""
