"""NVIDIA's XID codes, as data.

Codes and action buckets: NVIDIA's catalogue for Ampere and newer (docs.nvidia.com/deploy/xid-errors, with
"analyzing-xid-catalog"), read in 2025. Names are in our words, and so is the urgency: a bucket that takes the
GPU from everybody on it (reset, restart of the VM or the machine) pages; what the application did to itself
is information; the rest waits for working hours. A code that is not here is a ticket.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent.xid.record import Action, Nature, Urgency, Xid

_INFO, _TICKET, _PAGE = Urgency.INFO, Urgency.TICKET, Urgency.PAGE
_RESTART_APP: Final = Action.RESTART_APP


def _engines(name: str, codes: tuple[int, ...], first: int = 0) -> tuple[Xid, ...]:
    """Return the codes of an engine's instances: each is the application's error on that instance."""
    return tuple(
        Xid(code, f"{name} {number} exception", Nature.APP, _RESTART_APP, _INFO)
        for number, code in enumerate(codes, first)
    )


def _legacy(code: int, name: str, nature: Nature = Nature.GPU) -> Xid:
    """Return a code that only GPUs before Ampere use."""
    return Xid(code, f"{name} (GPUs before Ampere)", nature, Action.SUPPORT, _TICKET)


XIDS: Final[tuple[Xid, ...]] = (
    Xid(8, "channel idle too long", Nature.APP, _RESTART_APP, _INFO),
    Xid(11, "invalid push buffer: missing hardware", Nature.APP, _RESTART_APP, _INFO),
    Xid(13, "graphics engine exception", Nature.APP, Action.RESTART_APP, _INFO),
    Xid(14, "fake error, made by a test", Nature.TEST, Action.IGNORE, _INFO),
    Xid(25, "illegal push buffer", Nature.APP, _RESTART_APP, _INFO),
    Xid(31, "GPU memory page fault", Nature.APP, Action.RESTART_APP, _INFO),
    Xid(32, "corrupt push buffer", Nature.APP, _RESTART_APP, _INFO),
    Xid(37, "firmware refused a method", Nature.APP, Action.IGNORE, _INFO),
    Xid(38, "firmware watchdog ran out", Nature.GPU, Action.IGNORE, _TICKET),
    *_engines("copy engine", (39, 40, 41)),
    Xid(43, "channel reset after the application's fault", Nature.APP, Action.IGNORE, _INFO),
    Xid(44, "fault during a context switch", Nature.APP, Action.IGNORE, _TICKET),
    Xid(45, "channels cleaned up", Nature.SYMPATHETIC, Action.WORKFLOW_45, _INFO),
    Xid(46, "GPU stopped processing", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(48, "uncorrectable memory error (double bit)", Nature.MEMORY, Action.WORKFLOW_48, _PAGE),
    Xid(54, "auxiliary power missing", Nature.POWER, Action.CHECK_MECHANICALS, _TICKET),
    _legacy(56, "display engine error"),
    _legacy(57, "video memory link training failed", Nature.MEMORY),
    _legacy(58, "unstable video memory interface", Nature.MEMORY),
    _legacy(59, "micro-controller error"),
    Xid(60, "video security processor exception", Nature.APP, _RESTART_APP, _INFO),
    _legacy(61, "micro-controller breakpoint"),
    Xid(62, "power micro-controller halted", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(63, "memory row remapped or page retired", Nature.MEMORY_INFO, Action.IGNORE, _TICKET),
    Xid(64, "memory remapping failed", Nature.MEMORY, Action.RESET_GPU, _PAGE),
    _legacy(65, "video encoder 1 exception", Nature.APP),
    Xid(66, "driver accessed a forbidden register", Nature.GPU, Action.IGNORE, _TICKET),
    Xid(67, "driver failed a verification", Nature.GPU, Action.IGNORE, _TICKET),
    *_engines("video decoder", (68, 83, 84, 88, 89, 96, 97, 98)),
    Xid(69, "graphics engine class error", Nature.APP, _RESTART_APP, _INFO),
    *_engines("copy engine", (70, 71, 72), 3),
    _legacy(73, "video encoder 2 exception", Nature.APP),
    Xid(74, "NVLink error", Nature.LINK, Action.WORKFLOW_NVLINK, _PAGE),
    *_engines("copy engine", (75, 76, 77), 6),
    Xid(78, "vGPU did not start", Nature.GPU, Action.UPDATE, _TICKET),
    Xid(79, "GPU has fallen off the bus", Nature.GPU, Action.RESTART_BM, _PAGE),
    Xid(80, "commands reached the GPU corrupted", Nature.APP, _RESTART_APP, _INFO),
    _legacy(81, "VGA subsystem error"),
    *_engines("JPEG decoder", (82, 99, 100, 101, 102, 103, 104, 105)),
    *_engines("copy engine", (85,), 9),
    *_engines("optical flow engine", (86, 139)),
    Xid(92, "many corrected memory errors", Nature.MEMORY_INFO, Action.IGNORE, _TICKET),
    Xid(93, "InfoROM write limit reached", Nature.MEMORY_INFO, Action.IGNORE, _TICKET),
    Xid(
        94,
        "memory error contained to one application",
        Nature.MEMORY_CONTAINED,
        Action.RESTART_APP,
        _TICKET,
    ),
    Xid(95, "memory error not contained", Nature.MEMORY, Action.RESET_GPU, _PAGE),
    Xid(106, "management controller's test message", Nature.TEST, Action.IGNORE, _INFO),
    Xid(107, "management controller's silent test", Nature.TEST, Action.IGNORE, _INFO),
    Xid(109, "context switch timed out", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(110, "security fault", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(119, "GSP did not answer in time", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(120, "GSP error", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(121, "corrected errors on the link to the CPU", Nature.LINK, Action.IGNORE, _TICKET),
    *_engines("copy engine", tuple(range(126, 136)), 10),
    Xid(136, "NVLink training failed", Nature.LINK, Action.RESET_GPU, _PAGE),
    Xid(137, "NVLink access refused by the peer", Nature.APP, Action.WORKFLOW_137, _INFO),
    Xid(140, "memory error not recovered", Nature.MEMORY, Action.RESET_GPU, _PAGE),
    Xid(141, "CUDA fast path error", Nature.APP, Action.IGNORE, _INFO),
    Xid(142, "video encoder 3 exception", Nature.GPU, Action.SUPPORT, _TICKET),
    Xid(143, "GPU did not initialize", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(144, "NVLink 5 error (SAW)", Nature.LINK, Action.WORKFLOW_NVLINK5, _TICKET),
    Xid(145, "NVLink 5 error (RLW)", Nature.LINK, Action.WORKFLOW_NVLINK5, _TICKET),
    Xid(146, "NVLink 5 error (TLW)", Nature.LINK, Action.WORKFLOW_NVLINK5, _TICKET),
    Xid(147, "NVLink 5 error (TREX)", Nature.LINK, Action.WORKFLOW_NVLINK5, _TICKET),
    Xid(148, "NVLink 5 error (NVLPW)", Nature.LINK, Action.WORKFLOW_NVLINK5, _TICKET),
    Xid(149, "NVLink 5 error (NETIR)", Nature.LINK, Action.WORKFLOW_NVLINK5, _TICKET),
    Xid(150, "NVLink 5 error (MSE)", Nature.LINK, Action.WORKFLOW_NVLINK5, _TICKET),
    Xid(151, "encryption key rotation failed", Nature.GPU, Action.RESTART_VM, _PAGE),
    Xid(154, "recovery action changed", Nature.VERDICT, Action.FOLLOW_154, _TICKET),
    Xid(155, "NVLink error defined by software", Nature.LINK, Action.RESET_GPU, _PAGE),
    Xid(156, "hardware resource retired", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(157, "hardware resource could not be retired", Nature.GPU, Action.IGNORE, _TICKET),
    Xid(158, "GPU timed out fatally", Nature.GPU, Action.RESET_GPU, _PAGE),
    Xid(159, "error on the coherent link", Nature.LINK, Action.CHECK_UVM, _TICKET),
    Xid(160, "memory channel retired", Nature.MEMORY_INFO, Action.IGNORE, _TICKET),
    Xid(161, "memory channel could not be retired", Nature.MEMORY_INFO, Action.IGNORE, _TICKET),
    Xid(162, "power smoothing is back", Nature.POWER, Action.NONE, _INFO),
    Xid(163, "power smoothing switched itself off", Nature.POWER, Action.NONE, _TICKET),
    Xid(164, "power smoothing hardware is wearing out", Nature.POWER, Action.NONE, _TICKET),
    Xid(165, "power smoothing hardware is worn out", Nature.POWER, Action.NONE, _TICKET),
    Xid(166, "NVLink traffic before encryption was set up", Nature.LINK, Action.NONE, _TICKET),
    Xid(167, "PCIe timed out fatally", Nature.GPU, Action.NONE, _TICKET),
    Xid(168, "less memory than the GPU should have", Nature.MEMORY_INFO, Action.NONE, _TICKET),
    Xid(169, "security micro-controller halted", Nature.GPU, Action.NONE, _TICKET),
    Xid(170, "NVLink interrupt in confidential mode", Nature.LINK, Action.NONE, _TICKET),
    Xid(171, "the memory error was in DRAM", Nature.SYMPATHETIC, Action.NONE, _INFO),
    Xid(172, "the memory error was in SRAM", Nature.SYMPATHETIC, Action.NONE, _INFO),
)

BY_CODE: Final[Mapping[int, Xid]] = MappingProxyType({xid.code: xid for xid in XIDS})

PAGING: Final = tuple(sorted(xid.code for xid in XIDS if xid.urgency is Urgency.PAGE))
"""Codes that page by NVIDIA's buckets."""


def look_up(code: int) -> Xid:
    """Return what is known of ``code``; one that nobody told us of is a ticket, never a page."""
    known = BY_CODE.get(code)
    return known or Xid(code, "unknown", Nature.UNKNOWN, Action.NONE, Urgency.TICKET)
