"""What came in and what was refused, by road and reason; every pair is there from the start."""

from typing import Final

from agent.catalogue.attributes import REFUSAL, ROAD

ROADS: Final = ROAD.values
REASONS: Final = REFUSAL.values


class IntakeTally:
    """Counts rows and refusals. Not for several threads."""

    def __init__(self) -> None:
        self.rows: dict[str, float] = dict.fromkeys(ROADS, 0.0)
        self.refused: dict[tuple[str, str], float] = {
            (road, reason): 0.0 for road in ROADS for reason in REASONS
        }

    def take(self, road: str, rows: int) -> None:
        """Count rows that came by a road."""
        self.rows[road] += rows

    def refuse(self, road: str, reason: str, count: int = 1) -> None:
        """Count what was refused."""
        self.refused[road, reason] += count
