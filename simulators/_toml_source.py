"""A TOML file, and the line on which something in it stands; ``tomllib`` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulators.device import SimulatorError

__all__ = ["TomlSource"]

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_NAMES = rf"\s*(?P<name>{_NAME}(?:\s*\.\s*{_NAME})*)\s*"
# Nothing but a comment comes after it: else it is a part of an array of arrays.
_HEADER = re.compile(rf"\s*\[{{1,2}}{_NAMES}\]{{1,2}}\s*(?:#.*)?$")
_KEY = re.compile(rf"{_NAMES}=")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")
_LONG_QUOTES = ('"""', "'''")


class TomlSource:
    """One file."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the file at *path*, which errors call *name*.

        Raises:
            SimulatorError: it cannot be read, or is no TOML; the text says on which line.
        """
        self.name = name
        try:
            self._text = path.read_text(encoding="utf-8")
            self.content: dict[str, Any] = tomllib.loads(self._text)
        except OSError as error:
            raise SimulatorError(f"{name}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise SimulatorError(f"{name}: is not text in UTF-8: {error}") from error
        except tomllib.TOMLDecodeError as error:
            found = _PLACE.search(str(error))
            line = (found and found[1]) or len(self._text.split("\n"))
            words = _PLACE.sub("", str(error))
            raise SimulatorError(
                f"{name}, line {line}: is not TOML: {words[:1].lower()}{words[1:]}"
            ) from error

    def where(self, *path: str) -> str:
        """Return the name of the file with the line of *path*, or of what it stands in."""
        lines: dict[tuple[str, ...], int] = {}
        for number, place in self._places():
            for length in range(1, len(place) + 1):
                lines.setdefault(place[:length], number)
        for length in range(len(path), 0, -1):
            if path[:length] in lines:
                return f"{self.name}, line {lines[path[:length]]}"
        return self.name

    def _places(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Go over the lines that begin a table or a key; what is within a value is left out."""
        table: tuple[str, ...] = ()
        within = ""
        for number, line in enumerate(self._text.split("\n"), 1):
            if within:
                within = "" if within in line else within
                continue
            if match := _HEADER.match(line):
                table = _parts(match["name"])
                yield number, table
            elif match := _KEY.match(line):
                yield number, (*table, *_parts(match["name"]))
            within = next((quotes for quotes in _LONG_QUOTES if line.count(quotes) == 1), "")


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(name))
