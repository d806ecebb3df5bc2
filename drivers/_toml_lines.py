"""On which line of a TOML file a table or a key stands, which ``tomllib`` does not tell."""

from __future__ import annotations

import re

__all__ = ["line_numbers"]

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\s*({_NAME})\s*\]")
_KEY = re.compile(rf"\s*({_NAME})\s*=")
_INLINE_KEY = re.compile(rf"[{{,]\s*({_NAME})\s*=")


def line_numbers(text: str) -> dict[tuple[str, ...], int]:
    """Return the line, counted from 1, of each table and key that can be found by its looks.

    It does not parse: in a string of several lines it may see keys that are none, which does no
    harm, as it is asked only for those that the parser found.
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(line):
            table = _parts(match[1])
            found.setdefault(table, number)
        elif match := _KEY.match(line):
            key = (*table, *_parts(match[1]))
            for length in range(len(table) + 1, len(key) + 1):
                found.setdefault(key[:length], number)
            for inner in _INLINE_KEY.finditer(line, match.end()):
                found.setdefault((*key, *_parts(inner[1])), number)
    return found


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, name))
