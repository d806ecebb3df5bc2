"""The fewest reads for registers that are wanted together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from drivers._modbus_pdu import MOST_BITS, MOST_REGISTERS
from drivers._modbus_types import BIT_TABLES

__all__ = ["Block", "Limits", "Span", "plan"]


class Span(NamedTuple):
    """Registers, or bits, that are read together or not at all. In order of table and address."""

    table: str
    """Which table."""
    start: int
    """First address."""
    end: int
    """The address after the last one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one read may cover."""

    max_registers: int = MOST_REGISTERS
    """Most registers."""
    max_bits: int = MOST_BITS
    """Most coils or discrete inputs."""
    max_gap: int = 16
    """Most registers in a row that nobody wants, but that are read with those around them; 16
    times as many bits."""
    holes: Mapping[str, tuple[tuple[int, int], ...]] | None = None
    """First and last addresses that are never read, by table."""

    def longest(self, table: str) -> int:
        """Return how much of *table* one read may cover."""
        return self.max_bits if table in BIT_TABLES else self.max_registers

    def widest_gap(self, table: str) -> int:
        """Return how much may be bridged."""
        return self.max_gap * (16 if table in BIT_TABLES else 1)

    def hits_hole(self, table: str, start: int, end: int) -> bool:
        """Whether an address from *start* up to *end* must not be read."""
        holes = (self.holes or {}).get(table, ())
        return any(start <= last and first < end for first, last in holes)

    def with_holes(self, spans: Iterable[Span]) -> Limits:
        """Return the same with *spans* as holes too."""
        holes = dict(self.holes or {})
        for span in spans:
            holes[span.table] = (*holes.get(span.table, ()), (span.start, span.end - 1))
        return replace(self, holes=holes)


@dataclass(frozen=True, slots=True)
class Block:
    """One read, and what it is for."""

    span: Span
    """What is read."""
    wanted: tuple[Span, ...]
    """What of it is wanted, in order, each once."""

    def pieces(self) -> tuple[Block, ...]:
        """Return it in parts, for a device that does not have all of it.

        First without what nobody wants; then each on its own; nothing more can be done then.
        """
        runs = plan(self.wanted, Limits(max_gap=0))
        if len(runs) > 1:
            return tuple(runs)
        if len(self.wanted) > 1:
            return tuple(Block(span, (span,)) for span in self.wanted)
        return ()


def plan(spans: Iterable[Span], limits: Limits) -> list[Block]:
    """Return the fewest reads that cover *spans*, none of which is split.

    From the lowest address on, each read takes whatever it can still reach: to begin one lower, or
    to end one sooner, could not save another.
    """
    blocks: list[Block] = []
    wanted: list[Span] = []
    end = 0
    for span in sorted(set(spans)):
        if wanted and _reaches(wanted[0], end, span, limits):
            end = max(end, span.end)
        else:
            _close(blocks, wanted, end)
            wanted, end = [], span.end
        wanted.append(span)
    _close(blocks, wanted, end)
    return blocks


def _reaches(first: Span, end: int, span: Span, limits: Limits) -> bool:
    """Whether a read from *first* up to *end* may go on to the end of *span*."""
    return (
        span.table == first.table
        and max(end, span.end) - first.start <= limits.longest(span.table)
        and span.start - end <= limits.widest_gap(span.table)
        and not limits.hits_hole(span.table, end, span.start)
    )


def _close(blocks: list[Block], wanted: Sequence[Span], end: int) -> None:
    if wanted:
        first = wanted[0]
        blocks.append(Block(Span(first.table, first.start, end), tuple(wanted)))
