"""What the evaluation found, as the document that is committed."""

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Final

from tests.evaluation.estimated import PUBLISHED_JS, Estimate, mean_errors
from tests.evaluation.real import Share
from tests.evaluation.simulated import SHIFTS, Outcome

RULE_OF_THREE: Final = 3.0
"""What none seen in n trials leaves possible, times n, with 95 % confidence (Hanley, Lippman-Hand 1983)."""
RARE: Final = "0.1 req/s, cycle and bursts"
SLOW: Final = "Warpwatch, slow (1d)"
HEAD: Final = """# Drift: evaluation

Written by `make eval-drift`; do not edit. Every number of Warpwatch is made by the code that runs:
references by `agent.drift.learning`, counts by `agent.drift.counting`, scores by
`agent.drift.difference` (which equal the recording rules, see `tests/alerts/test_drift_scores.py`),
bounds and episodes by `agent.drift.calibration`. Evidently and river are the real libraries;
NannyML's drift rule is its formula, which gives its published values (below), and its estimates of
performance were made by NannyML 0.13.1 itself.
"""
SIMULATED: Final = """## Simulated traffic

Lengths of requests are lognormal (sigma 1.2, mean 300 tokens); cycle: the mean goes 15 % up and
down over the day; bursts: 10 %, with a memory of 30 minutes. A reference is learned from the first
day, bounds from the first 14 days; 30 days have no drift, and then the lengths grow. {runs} runs of
each kind. False alarms are per feature and 30 days. Delay is the median until an alert; in
brackets, in how many runs there was one within two days. The traffic has fixed seeds; the sketch by
which a reference is learned has none, so a rerun differs: false alarms of the slow rule at 0.1
requests a second were 0.83 and 1.33 in two of them.
"""
SIMULATED_TOLD: Final = """
"Warpwatch, fast" and "slow" are the two alert rules, with the time for which they hold; the others
judge each window by itself, hour by hour (or ten minutes), without a hold and without a minimum of
samples.

Where traffic is steady, **Evidently's default is as quiet as ours and found the small shift as soon
as ours did, without any calibration**: it has an effect size. With a daily cycle it alerts two to
five times a day, as KS does; NannyML's rule, which learns from the reference as well, every three to
five days. What they gain is time: they tell a shift of a fifth within one to four hours, where our
fast rule mostly leaves it to the slow one, which needs half a day. **At 2 requests a second, PSI
above 0.1 over an hour is the best of all with a cycle**: hardly an alert, and the small shift after
four hours. It owes that to this one shape: without the cycle it never sees that shift,
and at another rate or with fewer samples the same 0.1 is something else.

Two warnings about the table. A detector that is on most of the time "finds" a shift at once: the
delays of those with many false alarms mean little (PSI over ten minutes at 0.1 requests a second
most of all). And 0.00 is what {runs} runs of 30 days gave: with 95 % confidence that is fewer than
{least:.1f} a month, not none.

At 0.1 requests a second there are not a hundred values a bin within an hour: the fast rule says
nothing (`DriftNotMeasured` says so), and the slow one, with 8,640 values a day, gave {slow:.2f} false
alarms a month: more than at 2 requests a second, and more than we promise.
"""
CENSUS: Final = """## US Census, Massachusetts, 2015 against 2016-2018

Employment of real people, {features} features in chunks of 5,000. There is almost no drift in any
one feature: what fires is a false alarm, or too small to matter. Bounds of those that learn are
from the reference's own chunks.

**The trap of the row order**: the files hold people of group quarters as blocks. Chunked in the
file's order, RELP and others seem to drift wildly although the years are alike; shuffled, nothing
is left of it. An evaluation that chunks public data in the order of its file measures how it was
stored.
"""
FLIGHTS: Final = """## US flights of 2015, first half against second, by week

Real and seasonal: some of what fires in the second half is a season that half a year of reference
has not seen. Below, changes that were made in each week: what a detector is for. **Others find more
of the small ones**: distances and flights longer by a tenth are within what our bounds, a third above
the reference's largest week, take for normal in many of the weeks. In how many is a matter of where
the edges of the bins happen to fall: of eight references learned from the same rows, the worst saw
the longer distances in 42 % of the weeks and the best in 65 %. Before calibration our bounds are no
better than those of others: delays of departure, which swing with the season, are above them in
more than a third of the weeks.
"""
LOANS: Final = """## Car loans (NannyML's synthetic data)

Four of seven features change in the second half, by its makers' word; chunks of 5,000.
"""
POINTS: Final = """## Annotated change points (river, Turing change point data set)

Series of single values, with changes that five people marked; F1 with a margin of 5 points.
**Others are better here**: Warpwatch compares distributions of at least a hundred values a bin,
none of these series has them within a window, so it measures nothing and says so. For one number a
day, take a change point detector. (river's oil prices are left out: the marks are of a thinned
series, which is not in the wheel.)
"""
PERFORMANCE: Final = """## Performance without labels

Mean absolute distance over chunks of 5,000 rows. Ours is made of the counts of 20 bins of the score
and nothing else, as `drift:estimated_accuracy:1d` and `drift:estimated_roc_auc:1d` are.
"""
LIMITS: Final = """## Limits

Simulated traffic is one family of distributions, with one cycle and one kind of bursts; there is no
week in it and no slow trend. The real data are not of language models. NannyML's bounds are made
for chunks of a batch, and Evidently's for a comparison that somebody asked for: run by the hour,
both are used outside of what they were made for, and that is how they are used.
"""


def simulated(cells: Mapping[str, Sequence[Mapping[str, Outcome]]]) -> str:
    """Return the section about simulated traffic."""
    count = len(next(iter(cells.values())))
    parts = [SIMULATED.format(runs=count)]
    for cell, runs in cells.items():
        head = ["", "false alarms", *(f"delay of x{shift:g}" for shift in SHIFTS)]
        rows = [
            [
                name,
                f"{mean(run[name].false_alarms for run in runs):.2f}",
                *(_delay([run[name].delays[shift] for run in runs]) for shift in SHIFTS),
            ]
            for name in runs[0]
        ]
        parts.append(f"**{cell}**\n\n{_table(head, rows)}")
    slow = mean(run[SLOW].false_alarms for run in cells[RARE])
    told = SIMULATED_TOLD.format(runs=count, least=RULE_OF_THREE / count, slow=slow)
    return "\n\n".join([*parts, told.strip()])


def _delay(delays: Sequence[float | None]) -> str:
    told = [delay for delay in delays if delay is not None]
    share = f"({len(told)}/{len(delays)})"
    return f"{median(told):.0f} min {share}" if told else f"never {share}"


def shares(found: Mapping[str, Mapping[str, Share]]) -> str:
    """Return a table of what fired, a detector a row."""
    names = list(next(iter(found.values())))
    head = [
        "",
        *(f"{column} (of {next(iter(told.values())).of})" for column, told in found.items()),
    ]
    rows = [[name, *(f"{told[name].percent:.0f} %" for told in found.values())] for name in names]
    return _table(head, rows)


def points(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table of change points, a series a row."""
    names = list(next(iter(found.values())))
    rows = [
        [series, *(f"{told[name]:.2f}" for name in names), "not measured"]
        for series, told in found.items()
    ]
    return _table(["", *names, "Warpwatch"], rows)


def performance(data: Mapping[str, Sequence[Estimate]]) -> str:
    """Return the section about estimated performance."""
    parts = [PERFORMANCE.strip()]
    for name, found in data.items():
        rows = [
            [what, _small(area), _small(accuracy)]
            for what, (area, accuracy) in mean_errors(found).items()
        ]
        parts.append(
            f"**{name}**, {len(found)} chunks\n\n{_table(['', 'ROC AUC', 'accuracy'], rows)}"
        )
    return "\n\n".join(parts)


def published(ours: Sequence[float]) -> str:
    """Return the table of distances that NannyML publishes."""
    rows = [
        [str(number), f"{theirs:.6f}", f"{mine:.9f}", f"{abs(theirs - mine):.1e}"]
        for number, (theirs, mine) in enumerate(zip(PUBLISHED_JS, ours, strict=False))
    ]
    return (
        "## Published values\n\nJensen-Shannon distances of `debt_to_income_ratio` (car loans), as NannyML's "
        "documents print\nthem and as the detector of this evaluation gives them: equal to the last printed "
        "digit.\n\n" + _table(["chunk", "NannyML", "here", "difference"], rows)
    )


def _small(value: float) -> str:
    return f"{value:.4f}" if value >= 1e-4 else f"{value:.0e}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
