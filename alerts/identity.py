"""How an alert speaks of a GPU: by index and model where these are known, by UUID always."""

from typing import Final

from agent.catalogue.attributes import GPU_INDEX, HW_ID, HW_MODEL, NODE
from agent.catalogue.promql import PER_GPU, identity, labels, named

REMEMBERED: Final = "1d"
"""How long a GPU that is not listed any more is looked for: longer than an agent's restart or a reboot."""

WHICH: Final = (
    f"GPU {{{{ or $labels.{GPU_INDEX.label} $labels.{HW_ID.label} }}}}"
    f"{{{{ with $labels.{HW_MODEL.label} }}}} ({{{{ . }}}}){{{{ end }}}}"
)
WHERE: Final = f"node {{{{ $labels.{NODE.label} }}}}"
EXACTLY: Final = f"UUID {{{{ $labels.{HW_ID.label} }}}}"


def of_gpu(expression: str) -> str:
    """Join index and model; a GPU whose identity is not known any more still alerts, without them."""
    known = identity(window=REMEMBERED)
    return f"{named(expression, known)}\nor on ({labels(PER_GPU)})\n({expression})"
