"""Which line of a TOML file each table, key and element stands on; ``tomllib`` does not tell.

It goes over a text that ``tomllib`` has understood already, so it need not check anything.
"""

from __future__ import annotations

import re
import tomllib

__all__ = ["line_numbers"]

Path = tuple[str, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)+")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""+|\'\'\'.*?\'\'\'+|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL
)
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")


def line_numbers(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of each table, key and element of an array.

    Args:
        text: Valid TOML.

    Returns:
        By the path of names; an element of an array counts from ``"0"``.
    """
    return _Walk(text).all()


class _Walk:
    """One walk over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._line_at = 1, 0
        self._found: dict[Path, int] = {}
        self._of_array: dict[Path, int] = {}

    def all(self) -> dict[Path, int]:
        table: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self._found

    def _header(self) -> Path:
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        table = self._note((), self._key())
        self._at = self._text.index("]", self._at) + (2 if many else 1)
        if many:
            number = self._of_array[table] = self._of_array.get(table, -1) + 1
            table = self._note(table, (str(number),))
        return table

    def _pair(self, table: Path) -> None:
        path = self._note(table, self._key())
        self._skip()
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip()
            match = _PART.match(self._text, self._at)
            if match is None:
                return tuple(parts)
            self._at = match.end()
            parts.append(_unquoted(match[0]))
            self._skip()
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _value(self, path: Path) -> None:
        self._skip()
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            self._inside("]", path)
        elif opening == "{":
            self._inside("}", path)
        else:
            match = _STRING.match(self._text, self._at) or _BARE_VALUE.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)

    def _inside(self, closing: str, path: Path) -> None:
        """Go over an array, or an inline table, to its end."""
        self._at += 1
        number = 0
        while True:
            self._skip()
            if self._text.startswith(",", self._at):
                self._at += 1
            elif self._text.startswith(closing, self._at) or self._at >= len(self._text):
                self._at += 1
                return
            elif closing == "]":
                self._value(self._note(path, (str(number),)))
                number += 1
            else:
                self._pair(path)

    def _skip(self) -> None:
        match = _BLANK.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _note(self, table: Path, name: Path) -> Path:
        """Note the present line for each part of *name* that is new; return the whole path."""
        self._line += self._text.count("\n", self._line_at, self._at)
        self._line_at = self._at
        for length in range(1, len(name) + 1):
            self._found.setdefault((*table, *name[:length]), self._line)
        return (*table, *name)


def _unquoted(part: str) -> str:
    if part.startswith("'"):
        return part[1:-1]
    if part.startswith('"'):
        return str(tomllib.loads(f"x = {part}")["x"])
    return part
