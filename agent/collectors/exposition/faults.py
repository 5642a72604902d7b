"""Gathers what is wrong with a page: one problem per kind of fault and family, however often it occurs.

A page with a fault in every line must not turn into thousands of problems a second.
"""

from agent.collectors.exposition.page import Page
from agent.snapshot import Problem


class Faults:
    """The faults of one page. ``subject`` names the server."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._seen: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, reason: str, family: str, detail: str) -> None:
        """Count a fault; of several, the first one's detail is kept."""
        count, first = self._seen.get((reason, family), (0, detail))
        self._seen[reason, family] = (count + 1, first)

    def add_text(self, *, undecodable: int, cut: bool) -> None:
        """Count what was lost before parsing: values of lines that are not UTF-8, and a last line cut off."""
        if undecodable:
            self.add("bad_encoding", "", f"{undecodable} lines are not UTF-8 and have no value")
        if cut:
            self.add("truncated", "", "the page ends within a line, which was left out")

    def add_page(self, page: Page) -> None:
        """Count what the parser found."""
        if page.malformed:
            detail = f"{page.malformed} lines left out, the first: {page.malformed_example!r}"
            self.add("malformed_line", "", detail)
        for name in page.crowded:
            self.add("too_many_series", name, "a label seems to have a value per request")

    def problems(self) -> tuple[Problem, ...]:
        """Return them as problems."""
        return tuple(
            Problem(
                reason,
                f"{self._subject} {family}".rstrip(),
                detail if count == 1 else f"{detail} (and {count - 1} more)",
            )
            for (reason, family), (count, detail) in self._seen.items()
        )
