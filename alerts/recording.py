"""What a recording rule is: a name of the catalogue and the expression that Prometheus computes it by."""

from dataclasses import dataclass
from typing import Any

from agent.catalogue.recorded import Recorded


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording rule. The expression gives the labels that ``recorded`` declares."""

    recorded: Recorded
    expression: str

    def as_yaml(self) -> dict[str, Any]:
        """Return the rule in the shape that Prometheus reads."""
        return {"record": self.recorded.name, "expr": self.expression}
