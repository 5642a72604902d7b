"""Alerts about device memory that fails: errors that were not corrected, rows that wear out."""

from agent.catalogue import gpu_health
from agent.catalogue.attributes import ERROR_TYPE, MEMORY_LOCATION
from agent.catalogue.promql import PER_GPU, equals, rate, value
from alerts.growth import WINDOW
from alerts.identity import EXACTLY, WHERE, WHICH, of_gpu
from alerts.rule import HEALTH_DASHBOARD, Component, Rule, Severity

_LOCATION = f"{{{{ $labels.{MEMORY_LOCATION.label} | reReplaceAll `_` ` ` }}}}"


def rules() -> tuple[Rule, ...]:
    """Return the rules."""
    return (_uncorrected(), _sram(), _remap_failed(), _remap_pending())


def _uncorrected() -> Rule:
    """See growth alone: the driver counts since it was loaded, and an old count is no news."""
    by = (*PER_GPU, MEMORY_LOCATION)
    kind = equals(ERROR_TYPE, "uncorrected")
    grew = rate(gpu_health.ECC_ERRORS, by, kind, window=WINDOW, function="increase")
    return Rule(
        alert="GPUUncorrectedEcc",
        expression=of_gpu(f"{grew} > 0"),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="0s",
        linger="30m",
        subject=_LOCATION,
        summary=f"Uncorrected memory error ({_LOCATION}) on {WHICH}, {WHERE}",
        description=f"{EXACTLY}. ECC found an error that it could not correct. What used that memory was "
        "ended by the driver, or its results are wrong.",
        action="Cordon the node; see which XID came with it (48, 94, 95, 140): it says whether to reset.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _sram() -> Rule:
    return Rule(
        alert="GPUSramThreshold",
        expression=of_gpu(f"{value(gpu_health.SRAM_THRESHOLD, PER_GPU)} == 1"),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="5m",
        linger="10m",
        summary=f"SRAM errors beyond the threshold on {WHICH}, {WHERE}",
        description=f"{EXACTLY}. The board has had more uncorrected SRAM errors than NVIDIA allows before a "
        "field diagnosis. The flag stays until the board is exchanged.",
        action="Drain the node and run the field diagnosis; expect to exchange the board.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _remap_failed() -> Rule:
    return Rule(
        alert="GPURowRemapFailure",
        expression=of_gpu(f"{value(gpu_health.ROW_REMAP_FAILURE, PER_GPU)} == 1"),
        severity=Severity.CRITICAL,
        component=Component.GPU,
        hold="1m",
        linger="10m",
        summary=f"A bad memory row cannot be replaced on {WHICH}, {WHERE}",
        description=f"{EXACTLY}. Memory failed and there is no spare row for it. The next use of that row "
        "ends the work that touches it. The flag stays until the board is exchanged.",
        action="Cordon and drain the node; exchange the board.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )


def _remap_pending() -> Rule:
    return Rule(
        alert="GPURowRemapPending",
        expression=of_gpu(f"{value(gpu_health.ROW_REMAP_PENDING, PER_GPU)} == 1"),
        severity=Severity.WARNING,
        component=Component.GPU,
        hold="15m",
        linger="10m",
        summary=f"{WHICH} on {WHERE} waits for a reset to replace a memory row",
        description=f"{EXACTLY}. The driver set a failing memory row aside; the spare takes its place with "
        "the next reset. Work goes on correctly until then.",
        action="Reset the GPU with the next drain of the node.",
        dashboard=HEALTH_DASHBOARD,
        chosen=PER_GPU,
    )
