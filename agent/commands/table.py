"""Prints rows as a table: in columns for eyes, wide enough for grep in a pipe."""

from collections.abc import Iterable, Sequence
from typing import Final

_WIDTH_IN_A_PIPE: Final = 200
"""Columns where there is no terminal to measure."""


def print_rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under a head; every cell is text, and none is taken for markup."""
    from rich import box  # noqa: PLC0415 - the agent never loads it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_PIPE
    table = Table(*head, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
