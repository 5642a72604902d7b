"""Fields of DCGM that hold one of several states, or a mask of them: a series for each state of ours."""

from typing import Final

from agent.catalogue import gpu, gpu_health
from agent.collectors.dcgm.field import States, named

_DEV: Final = "DCGM_FI_DEV_"

THROTTLE_BITS: Final = (
    (0x04, "sw_power_cap"),
    (0x08, "hw_slowdown"),
    (0x10, "sync_boost"),
    (0x20, "sw_thermal"),
    (0x40, "hw_thermal"),
    (0x80, "hw_power_brake"),
)
"""The same bits as in NVML (nvml.h, nvmlClocksEventReasons); idle and user settings are no throttling."""

STATES: Final = (
    # NVIDIA renamed the field from the first to the second.
    States(
        named(_DEV, ("CLOCK_THROTTLE_REASONS", "CLOCKS_EVENT_REASONS")),
        gpu.THROTTLE,
        THROTTLE_BITS,
        mask=True,
    ),
    States(
        named(_DEV, ("COMPUTE_MODE", "GPU_COMPUTE_MODE")),
        gpu_health.COMPUTE,
        tuple(enumerate(("default", "exclusive_thread", "prohibited", "exclusive_process"))),
    ),
    States(
        named(_DEV, ("GET_GPU_RECOVERY_ACTION", "GPU_RECOVERY_ACTION")),
        gpu_health.RECOVERY,
        tuple(
            enumerate(
                (
                    "none",
                    "gpu_reset",
                    "node_reboot",
                    "drain_p2p",
                    "drain_and_reset",
                    "recover_imex_domain",
                    "bus_reset",
                    "system_reboot",
                )
            )
        ),
    ),
)
"""DCGM passes NVML's numbers on (nvml.h: nvmlComputeMode_t, nvmlDeviceGpuRecoveryAction_t)."""
