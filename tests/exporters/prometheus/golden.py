"""The committed exposition of a fixed snapshot: a change of any byte of it is seen in review.

``python -m tests.exporters.prometheus.golden`` writes it anew, after a change that is meant (the words of
the catalogue are in it).
"""

from pathlib import Path
from typing import Final

from exporters.prometheus import Exposition
from tests.exporters import snapshots

CLASSIC: Final = Path(__file__).parents[2] / "golden" / "exposition.classic.prom"
OPENMETRICS: Final = CLASSIC.with_name("exposition.openmetrics.txt")


def texts() -> dict[Path, bytes]:
    """Return what the files should hold."""
    exposition, snapshot = Exposition("node-a", "prod"), snapshots.full()
    return {CLASSIC: exposition.text(snapshot), OPENMETRICS: exposition.openmetrics(snapshot)}


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_bytes(text)
