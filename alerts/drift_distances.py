"""Recording rules for the distances that no alert of ours is about: for people, and for rules of theirs.

They are evaluated less often than what alerts need. Formulas: total variation, Jensen-Shannon (Lin 1991) and
Pearson's chi-square; and PSI against references that roll along or come back with the season, which are
earlier windows.
"""

from typing import Final

from agent.catalogue import recorded_drift as recorded
from agent.catalogue.recorded import Recorded
from alerts.drift_counts import psi, record, summed
from alerts.recording import Recording

SEASON: Final = "1w"


def recordings() -> tuple[Recording, ...]:
    """Return the distances of both windows from the reference."""
    return tuple(each for window in recorded.WINDOWS for each in _to_reference(window))


def earlier_recordings() -> tuple[Recording, ...]:
    """Return the distances from a reference that rolls along, and from one of the same season."""
    return (
        *(_earlier(series, window, window) for window, series in recorded.PSI_ROLLING.items()),
        *(_earlier(series, window, SEASON) for window, series in recorded.PSI_SEASONAL.items()),
    )


def _to_reference(window: str) -> tuple[Recording, ...]:
    share, reference = recorded.PROPORTION[window].name, recorded.REF_PROPORTION.name
    both = f"({share} + {reference})"
    counts, samples = recorded.BIN_COUNT[window].name, recorded.SAMPLES[window].name
    return (
        record(recorded.TVD[window], f"0.5 * {summed(f'abs({share} - {reference})')}"),
        record(
            recorded.JS[window],
            # The entropy of the mixture of both, less the mean of their own.
            "sqrt(clamp_min(1 - 0.5 * (\n"
            f"{summed(f'{both} * log2{both}')}\n- {summed(f'{share} * log2({share})')}\n"
            f"+ {recorded.REF_ENTROPY.name}), 0))",
        ),
        # As the shares of a reference add up to 1, this is the sum of (count - expected)^2 / expected.
        record(
            recorded.CHI2[window],
            f"{summed(f'{counts} ^ 2 / {reference}')} / ({samples} > 0) - {samples}",
        ),
    )


def _earlier(series: Recorded, window: str, ago: str) -> Recording:
    share = recorded.PROPORTION[window].name
    return record(series, psi(share, f"({share} offset {ago})"))
