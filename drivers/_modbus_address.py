"""Where a register is on the wire, and what a manual calls that place. Pure."""

from __future__ import annotations

__all__ = ["MODICON_TABLES", "NUMBERINGS", "number_of", "place_text", "row_text"]

NUMBERINGS = ("protocol", "one-based", "modicon")
"""How manuals write addresses: from 0 as on the wire, from 1, or like 40001."""
MODICON_TABLES = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
"""What the first digit of a modicon number means."""
_DIGITS = {table: int(digit) for digit, table in MODICON_TABLES.items()}
_LAST_OF_FIVE = 9998
"""Last address that a number of five digits can name."""


def number_of(table: str, address: int, numbering: str) -> int:
    """Return what a file with *numbering* calls *address* of *table*."""
    if numbering == "protocol":
        return address
    if numbering == "one-based":
        return address + 1
    return _DIGITS[table] * (10_000 if address <= _LAST_OF_FIVE else 100_000) + address + 1


def place_text(table: str, start: int, end: int, number: int | None = None) -> str:
    """Return where something is, for error texts: ``40205 (holding 204 on the wire)``.

    Args:
        table: Which table.
        start: First address on the wire.
        end: The address after the last one.
        number: What the file calls *start*; ``None``: as on the wire.
    """
    wire = row_text(start, end)
    if number is None or number == start:
        return f"{table} {wire}"
    ours = row_text(number, number + end - start)
    if number == start + 1:
        return f"{table} {ours} ({wire} on the wire)"
    return f"{ours} ({table} {wire} on the wire)"


def row_text(start: int, end: int, to: str = "-") -> str:
    """Return the numbers from *start* up to, and without, *end*."""
    return str(start) if end == start + 1 else f"{start}{to}{end - 1}"
