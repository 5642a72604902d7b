"""Runs the evaluation and writes docs/drift-evaluation.md: ``python -m tests.evaluation [--quick]``.

It runs in the environment of the report (Evidently, pandas, scipy, river), which it makes and goes over to.
``--quick`` prints a small part of it instead, in half a minute.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from tests.evaluation import data, estimated, page, real, simulated
from tests.real_parts import report

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "drift-evaluation.md"
RUNS: Final = 6
PROCESSES: Final = 2
CENSUS_QUICK: Final = ("AGEP", "RELP")


def main(arguments: list[str]) -> int:
    """Go over to the environment, then evaluate."""
    for package in data.WHEELS:
        data.folder(package)
    if not data.available():
        python = str(report.python())
        variables = {**report.variables(), "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
        os.execve(python, [python, "-m", "tests.evaluation", *arguments], variables)  # noqa: S606
    if "--quick" in arguments:
        sys.stdout.write(json.dumps(quick(), indent=1) + "\n")
    else:
        DOCUMENT.write_text(document(), encoding="utf-8")
        sys.stdout.write(f"{DOCUMENT}\n")
    return 0


def document() -> str:
    """Return the whole evaluation."""
    jobs = [(cell, seed) for cell in simulated.CELLS for seed in range(RUNS)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        census_done = pool.submit(_census, ())
        outcomes = list(pool.map(simulated.run, *zip(*jobs, strict=True)))
        census, features = census_done.result()
    cells = {
        cell.name: outcomes[number * RUNS : (number + 1) * RUNS]
        for number, cell in enumerate(simulated.CELLS)
    }
    flights, loans = data.flights(), data.car_loan()
    series = data.annotated()
    parts = [
        page.HEAD,
        page.simulated(cells),
        page.CENSUS.format(features=features) + "\n" + page.shares(census),
        page.FLIGHTS + "\n" + page.shares(real.flights(flights)),
        page.shares(real.flights_changed(flights)),
        page.LOANS + "\n" + page.shares(real.car_loan(loans)),
        page.POINTS + "\n" + page.points({each.name: real.change_points(each) for each in series}),
        page.performance(
            {
                "US Census": estimated.estimates(data.census(), estimated.CENSUS, "census"),
                "Car loans": estimated.estimates(loans, estimated.CAR_LOAN, "car_loan"),
            }
        ),
        page.published(estimated.js_of_published(loans)),
        page.LIMITS,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _census(names: tuple[str, ...]) -> tuple[dict[str, dict[str, real.Share]], int]:
    split = data.census()
    features = names or tuple(name for name in split.reference if name not in real.NOT_FEATURES)
    return real.census(split, features), len(features)


def quick() -> dict[str, object]:
    """Return the part that a test looks at."""
    loans = data.car_loan()
    census, _ = _census(CENSUS_QUICK)
    estimates = {
        "census": estimated.estimates(data.census(), estimated.CENSUS, "census"),
        "car_loan": estimated.estimates(loans, estimated.CAR_LOAN, "car_loan"),
    }
    return {
        "js": estimated.js_of_published(loans)[: len(estimated.PUBLISHED_JS)],
        "performance": {name: estimated.mean_errors(each) for name, each in estimates.items()},
        "auc": [each.rows[0] for each in estimates["car_loan"]],
        "census": {
            order: {name: share.percent for name, share in told.items()}
            for order, told in census.items()
        },
        "car_loan": {
            where: {name: share.percent for name, share in told.items()}
            for where, told in real.car_loan(loans).items()
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
