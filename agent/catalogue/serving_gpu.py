"""Metrics that tie model servers to GPUs, and GPUs to money.

Prometheus divides by them: tokens per joule, tokens per GPU-second and cost per token follow from a
server's counters, the GPUs' energy and `inference.gpu.share`. What a GPU costs is divided among those who
hold its memory, so that no joule and no second of it is counted for two servers.
"""

from typing import Final

from agent.catalogue.attributes import (
    ATTRIBUTION,
    HW_ID,
    HW_PARENT,
    K8S_CONTAINER,
    K8S_NAMESPACE,
    K8S_POD,
    MODEL,
    MODEL_VERSION,
    PROVIDER,
    SERVER,
)
from agent.catalogue.metric import Kind, Metric
from agent.catalogue.serving import MODEL_ATTRIBUTES

GPU_INFO: Final = Metric(
    name="inference.gpu.info",
    kind=Kind.UP_DOWN_COUNTER,
    unit="1",
    description="Always 1, for each GPU or MIG device that a model server's processes hold and each of "
    "the server's models; hw_parent is the board that a MIG device is part of. Absent where it is not "
    "known which process the server is.",
    attributes=(
        HW_ID,
        HW_PARENT,
        SERVER,
        PROVIDER,
        MODEL,
        MODEL_VERSION,
        ATTRIBUTION,
        K8S_NAMESPACE,
        K8S_POD,
        K8S_CONTAINER,
    ),
    group="serving",
)
GPU_SHARE: Final = Metric(
    name="inference.gpu.share",
    kind=Kind.GAUGE,
    unit="1",
    description="Share of the board `hw.id` that counts as the server's: 1 where its processes alone hold "
    "memory of it, else their part of the memory that processes hold; of a MIG device, that times the "
    "device's part of the board's memory. Over all servers of a board never more than 1. Absent where the "
    "driver does not tell what each process holds.",
    attributes=(HW_ID, SERVER, PROVIDER),
    group="serving",
)
GPU_PRICE: Final = Metric(
    name="hw.gpu.hour.price",
    kind=Kind.GAUGE,
    unit="{currency}",
    description="What an hour of the GPU costs, by the configuration (`gpu_hour_price`) and in its "
    "currency; absent where none is configured for its model.",
    attributes=(HW_ID,),
    group="gpu",
)
KV_CACHE_SIZE: Final = Metric(
    name="inference.kv_cache.size",
    kind=Kind.UP_DOWN_COUNTER,
    unit="By",
    description="Device memory that the server set aside for its KV cache, over all GPUs of the engine; "
    "absent where the server does not tell bytes.",
    attributes=MODEL_ATTRIBUTES,
    group="serving",
)

METRICS: Final = (GPU_INFO, GPU_SHARE, GPU_PRICE, KV_CACHE_SIZE)
