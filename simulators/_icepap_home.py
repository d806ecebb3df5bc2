"""How an axis of an IcePAP looks for its home switch: the steps of it, without the motor.

The sheet names ``HOME 1|-1|0`` and ``?HOMESTAT`` only. The twin looks for the edge of the switch
that it meets first, stops beyond it, comes back to it and calls it zero; with 0 it looks in the
negative direction first and turns back at the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HomeSearch"]


@dataclass(slots=True)
class HomeSearch:
    """The present search, or how the last one ended."""

    found: bool = False
    """True: home has been found since the last start."""
    direction: int = 1
    """Where it looks or looked for it: 1 or -1."""
    searching: bool = False
    """True: it is on its way."""
    found_at: float | None = None
    """Where the motor was at the edge, during a search that has met it."""
    returns_to: float | None = None
    """Where it has to come back to next."""
    _both_ways: bool = False
    _backing_off: bool = False

    @property
    def status(self) -> str:
        """What ``?HOMESTAT`` says, e.g. ``FOUND 1``."""
        if self.searching:
            return f"MOVING {self.direction}"
        return f"FOUND {self.direction}" if self.found else "NOTFOUND 0"

    def begin(self, direction: int, *, at_home: bool) -> bool:
        """Begin; True: it has to go off the switch first."""
        self.found = False
        self.searching = True
        self.found_at = self.returns_to = None
        self._both_ways = direction == 0
        self.direction = direction or -1
        self._backing_off = at_home
        return at_home

    def reached(self, position: float) -> bool:
        """Take note of the edge, with the motor at *position*; True: the motor has to stop."""
        if not self.searching or self._backing_off or self.found_at is not None:
            return False
        self.found_at = self.returns_to = position
        return True

    def backed_off(self) -> bool:
        """Tell whether it has just gone off the switch, so that the search begins."""
        backed_off, self._backing_off = self._backing_off, False
        return backed_off

    def turns_back(self) -> bool:
        """Tell whether it goes on in the other direction, at a limit."""
        if not (self.searching and self._both_ways) or self.found_at is not None:
            return False
        self._both_ways = False
        self._backing_off = False
        self.direction = -self.direction
        return True

    def finish(self) -> None:
        """Take note that it stands at the edge."""
        self.found, self.searching, self.found_at = True, False, None

    def give_up(self) -> None:
        """End a search that has not come to its end; else: no effect."""
        if self.searching:
            self.searching = self._backing_off = False
            self.found_at = self.returns_to = None
