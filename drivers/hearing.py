"""What a device says unasked, and from when on it is believed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

__all__ = ["Hearing"]

_MOST_KEPT = 100


class Hearing:
    """Gives away what comes unasked, once it is known who says it and the link is up.

    What is said before the identity is known may be another device's, and is dropped. What is
    said between that and "Up" is kept until then: a connection that does not come about after all
    would leave a valid value behind.
    """

    def __init__(self, heard: Callable[[str], None]) -> None:
        """Begin deaf; *heard* gets the lines."""
        self._heard = heard
        self._kept: deque[str] | None = None
        self._is_up = False

    def deafen(self) -> None:
        """Drop what comes from now on, and what was kept: the link is not up any more."""
        self._is_up = False
        self._kept = None

    def keep(self) -> None:
        """Keep what comes from now on: the right device says it."""
        self._kept = deque(maxlen=_MOST_KEPT)

    def open(self) -> tuple[str, ...]:
        """Give away what comes from now on; return what was kept, which :meth:`hear` takes now."""
        kept, self._kept, self._is_up = tuple(self._kept or ()), None, True
        return kept

    def hear(self, line: str) -> None:
        """Give away *line*, if it is time for that."""
        if self._is_up:
            self._heard(line)
        elif self._kept is not None:
            self._kept.append(line)
