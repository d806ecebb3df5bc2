"""How long to wait before the next attempt."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Delays that double, with jitter so that many daemons do not come back in step."""

    def __init__(
        self, *, first_s: float, longest_s: float, jitter: float = 0.2, seed: int | None = None
    ) -> None:
        """Begin with *first_s*, and go up to *longest_s*; each differs by up to *jitter* of it."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter
        self._next_s = first_s
        self._random = random.Random(seed)

    def next_delay_s(self) -> float:
        """Return the delay before the next attempt: never more than the longest."""
        delay_s = self._next_s * self._random.uniform(1 - self._jitter, 1 + self._jitter)
        self._next_s = min(self._next_s * 2, self._longest_s)
        return min(delay_s, self._longest_s)

    def reset(self) -> None:
        """Begin anew, after a success that lasted."""
        self._next_s = self._first_s
