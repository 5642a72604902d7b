"""What is known of an XID, as a record: the words in which the table speaks."""

from enum import Enum, IntEnum
from typing import NamedTuple


class Urgency(IntEnum):
    """Who should care, and when. Ordered: the worst of several is the greatest."""

    INFO = 0
    TICKET = 1
    PAGE = 2

    @property
    def word(self) -> str:
        """Its spelling in labels, configuration and events."""
        return self.name.lower()


class Action(Enum):
    """NVIDIA's buckets for what to do at once, in its own spelling; the follow-ups use them too."""

    IGNORE = "IGNORE"
    RESTART_APP = "RESTART_APP"
    RESET_GPU = "RESET_GPU"
    RESTART_VM = "RESTART_VM"
    RESTART_BM = "RESTART_BM"
    DRAIN_P2P = "DRAIN_P2P"
    DRAIN_AND_RESET = "DRAIN_AND_RESET"
    RECOVER_IMEX = "RECOVER_IMEX_DOMAIN"
    RESET_BUS = "RESET_BUS"
    UPDATE = "UPDATE_SWFW"
    CHECK_APP = "CHECK_APP"
    CHECK_MECHANICALS = "CHECK_MECHANICALS"
    CHECK_UVM = "CHECK_UVM"
    SUPPORT = "CONTACT_SUPPORT"
    WORKFLOW_13 = "WORKFLOW_XID_13"
    WORKFLOW_31 = "WORKFLOW_XID_31"
    WORKFLOW_45 = "WORKFLOW_XID_45"
    WORKFLOW_48 = "WORKFLOW_XID_48"
    WORKFLOW_137 = "XID_137_FLOW"
    WORKFLOW_NVLINK = "WORKFLOW_NVLINK_ERR"
    WORKFLOW_NVLINK5 = "WORKFLOW_NVLINK5_ERR"
    FOLLOW_154 = "XID_154"
    EVALUATE_154 = "XID_154_EVAL"
    INVESTIGATE_SW = "INVESTIGATE_SW"
    NONE = ""
    """NVIDIA gives none, or the code is not known."""


class Nature(Enum):
    """What kind of trouble a code is."""

    APP = "app"
    GPU = "gpu"
    MEMORY = "memory"
    MEMORY_CONTAINED = "memory_contained"
    MEMORY_INFO = "memory_info"
    LINK = "link"
    POWER = "power"
    SYMPATHETIC = "sympathetic"
    """It follows from another error, which is the one to look at."""
    VERDICT = "verdict"
    """The driver's own word on what to do about another error."""
    TEST = "test"
    UNKNOWN = "unknown"


class Xid(NamedTuple):
    """One code: what it is, what NVIDIA says to do at once, and how urgent we hold it to be."""

    code: int
    name: str
    nature: Nature
    action: Action
    urgency: Urgency
