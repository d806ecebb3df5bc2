"""A SET in the middle of a fault: it ends in time, and what it says is true."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mktl
from mktl.description import Description
from mktl.errors import MktlError, NoAnswer

__all__ = ["Choice", "Probe", "other_value"]

_UNSENT, _SENT = "nothing was sent", ("may or may not have been", "it was set, but")
_STEP, _LESS = 0.05, 0.75


@dataclass(frozen=True, slots=True)
class Choice:
    """What is set in the faults of a line: one item, to one value and back."""

    key: str
    usual: Any
    """What it is without us."""
    asked: Any
    """What it is set to."""
    other: Any
    """What it is then: the device may round."""


def other_value(description: Description, value: Any) -> Any:
    """Return another value than *value* that an item may be set to; ``None``: nobody knows one."""
    if isinstance(value, bool):
        return not value
    if description.enumerators and isinstance(value, int):
        numbers = [int(number) for number in description.enumerators if str(number).isdecimal()]
        return next((number for number in numbers if number != value), None)
    if isinstance(value, int | float) and description.range is not None:
        low, high = description.range
        if low is not None and high is not None and high > low:
            return _near(value, float(low), float(high))
    return _LESS * value if isinstance(value, float) and value else None


def _near(value: float, low: float, high: float) -> float:
    """Return a round number within the range, and not far from *value*."""
    step = max(1.0, round((high - low) * _STEP))
    return next(
        (found for found in (value + step, value - step, (low + high) / 2) if low <= found <= high),
        low,
    )


@dataclass(slots=True)
class Probe:
    """One SET, on a thread of its own."""

    choice: Choice
    item: mktl.Item
    within_s: float
    error: MktlError | None = None
    _thread: threading.Thread | None = field(default=None)

    def start(self) -> None:
        """Ask for it."""
        self._thread = threading.Thread(target=self._set, name="conformance-set", daemon=True)
        self._thread.start()

    def _set(self) -> None:
        try:
            self.item.set(self.choice.asked, timeout=self.within_s)
        except MktlError as error:
            self.error = error

    def verdict(self, refresh: Callable[[], Any], *, forgets: bool) -> tuple[str, str]:
        """Return the outcome in a word, and what is wrong with it; empty: nothing.

        Args:
            refresh: Asks the hardware what the item is now.
            forgets: Whether the device may have forgotten what it was told.
        """
        assert self._thread is not None  # started before
        self._thread.join(self.within_s + 5.0)
        if self._thread.is_alive() or isinstance(self.error, NoAnswer):
            return "no end", f"the SET of {self.item.full_key} did not end in {self.within_s:.0f} s"
        if self.error is None:
            now = refresh()
            if now == self.choice.other or forgets:
                return "done", ""
            return "lost", f"the SET of {self.item.full_key} was acknowledged, and it is {now!r}"
        said = str(self.error)
        if _UNSENT in said and not any(words in said for words in _SENT):
            now = refresh()
            if now == self.choice.other:
                return "untrue", f"the SET of {self.item.full_key} was sent, though: {self.error}"
        return "refused", ""


def described(values: Mapping[str, Any]) -> str:
    """Return *values* in one line."""
    return ", ".join(f"{key} = {value!r}" for key, value in values.items())
