"""What the benchmarks report: measured numbers beside their budgets, and what could not be had."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number.

    ``budget`` is the most that the design grants, where it grants any; with ``at_least`` it is the least.
    """

    name: str
    value: float
    unit: str
    budget: float | None
    method: str
    at_least: bool = False

    @property
    def kept(self) -> bool | None:
        """Whether the budget is kept; `None` where there is none."""
        if self.budget is None:
            return None
        return self.value >= self.budget if self.at_least else self.value <= self.budget

    def __str__(self) -> str:
        """As a line of the report."""
        sign = ">=" if self.at_least else "<="
        budget = "" if self.budget is None else f"{sign} {self.budget:.4g}"
        verdict = {None: "", True: "ok", False: "OVER"}[self.kept]
        return (
            f"{self.name:50} {self.value:9.2f} {self.unit:8} {budget:10} {verdict:5} {self.method}"
        )


@dataclass(frozen=True)
class Missing:
    """What could not be measured on this machine, and why: said as loudly as a number."""

    name: str
    why: str

    def __str__(self) -> str:
        """As a line of the report."""
        return f"{self.name:50}   MISSING: {' '.join(self.why.split())[-300:]}"


Row = Figure | Missing
