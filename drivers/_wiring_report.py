"""What a check has found, and on which line of which file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drivers._suggest import suggestion

__all__ = ["Path", "Problem", "Report"]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an instrument file, or that one should know of it."""

    where: str
    """The key in question, such as ``items.setpoint.range``."""
    text: str
    """What is wrong, and what would be right."""
    line: int | None = None
    """Its line in the file, from 1, where it can be found."""
    file: str | None = None
    """The file, where it is another than the instrument file: a driver file."""

    def __str__(self) -> str:
        """Give all of it in one line."""
        places = [self.file] if self.file else []
        places += [f"line {self.line}"] if self.line else []
        parts = [", ".join(places), self.where, self.text]
        return ": ".join(part for part in parts if part)


class Report:
    """The problems and notes about one file."""

    def __init__(self, lines: Mapping[Path, int], *, file: str | None = None) -> None:
        """Begin with none.

        Args:
            lines: Where the keys of the file stand.
            file: What the file is called, if it is not the instrument file itself.
        """
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._lines = lines
        self._file = file

    def problem(self, path: Path, text: str) -> None:
        """Add a problem with what stands at *path*; one that is known already is not repeated."""
        found = Problem(".".join(path), text, self.line(path), self._file)
        if found not in self.problems:
            self.problems.append(found)

    def note(self, path: Path, text: str, *, at: Path | None = None) -> None:
        """Add what is good, but should be known; *at* is where it stands, if not *path*."""
        self.notes.append(Problem(".".join(path), text, self.line(at or path), self._file))

    def has(self, path: Path) -> bool:
        """Return whether there is a problem with what stands at *path*, or in it."""
        where = ".".join(path)
        return any(f"{found.where}.".startswith(f"{where}.") for found in self.problems)

    def adopt(self, other: Report) -> None:
        """Take over what is in *other*, about another file; what is known is not repeated."""
        self.problems += [found for found in other.problems if found not in self.problems]

    def unknown_keys(self, path: Path, table: Iterable[str], known: Iterable[str]) -> None:
        """Add a problem, with the nearest names, for each key of *table* that is not *known*."""
        known = tuple(known)
        for key in table:
            if key not in known:
                self.problem((*path, key), f"unknown key: {suggestion(key, known)}")

    def sorted_problems(self) -> tuple[Problem, ...]:
        """Return the problems in the order of the file; those of other files come last."""
        return tuple(sorted(self.problems, key=lambda found: (found.file or "", found.line or 0)))

    def line(self, path: Path) -> int | None:
        """Return the line of *path*, or of what it stands in."""
        parts = (path[:n] for n in range(len(path), 0, -1))
        return next((self._lines[part] for part in parts if part in self._lines), None)
