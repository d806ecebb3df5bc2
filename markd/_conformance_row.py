"""What one fault has shown: a row of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["HEAD", "Row", "as_markdown", "cells"]


@dataclass(frozen=True, slots=True)
class Row:
    """One controller, or those that share a line, and one fault."""

    controller: str
    """Its name; several: with ``+`` between them."""
    transport: str
    """How it was reached."""
    fault: str
    """The fault."""
    what: str
    """What it is, in a line."""
    result: str = ""
    """``pass``, ``fail`` or ``n/a``."""
    invalid_s: float | None = None
    """Seconds until nothing counted as valid that was not confirmed; ``None``: nothing had to."""
    good_s: float | None = None
    """Seconds from the end of the fault until all was good again."""
    crossed: int = 0
    """Values that were those of another item."""
    wrong: int = 0
    """Values that were not true, and counted as valid; crossed ones among them."""
    log_lines: int = 0
    """Lines that the daemon has logged."""
    most_log_lines: int = 0
    """So many make sense, for what has changed."""
    threads: tuple[int | None, int | None] = (None, None)
    """Threads of the daemon before and after."""
    files: tuple[int | None, int | None] = (None, None)
    """Open files before and after."""
    set: str = "-"
    """What became of a SET meanwhile: ``done``, ``refused``; else a failure."""
    invalid_within_s: float | None = None
    """Longest time that ``invalid_s`` may be."""
    good_within_s: float | None = None
    """Longest time that ``good_s`` may be."""
    notes: tuple[str, ...] = ()
    """What is wrong, or why it does not apply."""

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self)


HEAD = (
    "controller", "transport", "fault", "result", "invalid after", "good after", "crossed",
    "wrong", "log lines", "threads", "files", "SET",
)  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of *row*, in the order of `HEAD`."""
    if row.result == "n/a":
        return (row.controller, row.transport, row.fault, "n/a", *["-"] * (len(HEAD) - 4))
    return (
        row.controller,
        row.transport,
        row.fault,
        row.result,
        "stays true" if row.invalid_s is None else f"{row.invalid_s:.1f} s",
        "-" if row.good_s is None else f"{row.good_s:.1f} s",
        str(row.crossed),
        str(row.wrong),
        str(row.log_lines),
        _change(row.threads),
        _change(row.files),
        row.set,
    )


def _change(counts: tuple[int | None, int | None]) -> str:
    before, after = counts
    return "-" if before is None or after is None else f"{before} > {after}"


def as_markdown(rows: Sequence[Row]) -> str:
    """Return *rows* as a table for a page."""
    table = [HEAD, tuple("---" for _ in HEAD), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in table) + "\n"
