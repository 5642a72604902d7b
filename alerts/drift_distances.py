"""Recording rules for the distances that no alert of ours is about: for people, and for rules of theirs.

They are evaluated less often than what alerts need. Formulas: total variation, Jensen-Shannon (Lin 1991,
here by entropies, which takes fewer series than by divergences) and Pearson's chi-square; and PSI against
references that roll along or come back with the season, which are earlier windows.
"""

from typing import Final

from agent.catalogue import recorded_drift as recorded
from agent.catalogue.recorded import Recorded
from agent.catalogue.recorded_drift import PER_FEATURE
from alerts.drift_counts import on, psi, record, summed
from alerts.recording import Recording

SEASON: Final = "1w"


def recordings() -> tuple[Recording, ...]:
    """Return the distances of both windows."""
    return (
        *(each for window in recorded.WINDOWS for each in _to_reference(window)),
        *(_earlier(series, window, window) for window, series in recorded.PSI_ROLLING.items()),
        *(_earlier(series, window, SEASON) for window, series in recorded.PSI_SEASONAL.items()),
    )


def _to_reference(window: str) -> tuple[Recording, ...]:
    share, reference = recorded.PROPORTION[window].name, recorded.REF_PROPORTION.name
    counts, samples = recorded.BIN_COUNT[window].name, recorded.SAMPLES[window].name
    both = f"({share} + {reference})"
    expected = f"({reference} * {on(PER_FEATURE)} group_left () {samples})"
    return (
        record(recorded.TVD[window], f"0.5 * {summed(f'abs({share} - {reference})')}"),
        record(
            recorded.JS[window],
            # Entropy of the mixture, whose shares are both / 2, less the mean entropy of the two.
            "sqrt(clamp_min(0.5 * (\n"
            f"{summed(f'{share} * log2({share})')}\n"
            f"- {summed(f'{both} * log2({both} / 2)')}\n"
            f"- {recorded.REF_ENTROPY.name}), 0))",
        ),
        record(recorded.CHI2[window], summed(f"({counts} - {expected}) ^ 2 / {expected}")),
    )


def _earlier(series: Recorded, window: str, ago: str) -> Recording:
    share = recorded.PROPORTION[window].name
    return record(series, psi(share, f"({share} offset {ago})"))
