"""Wait for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["WAIT_S", "wait_until"]

T = TypeVar("T")

POLL_S = 0.01
WAIT_S = 30.0
"""What takes a second alone may take ten of them among others; only a failure waits so long."""


def wait_until(predicate: Callable[[], T], timeout_s: float = WAIT_S, what: str = "") -> T:
    """Call *predicate* until its result is true, and return that result.

    An ``AssertionError`` or ``LookupError`` that it raises counts as "not yet", so that a
    predicate may hold plain asserts. It is always called at least once, and once more after
    the time is up.

    Raises:
        AssertionError: it did not become true within *timeout_s*; the message has *what*, the
            last result, or the last error.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        late = time.monotonic() >= deadline
        last: object
        try:
            result = predicate()
        except (AssertionError, LookupError) as error:
            last, cause = f"it raised {type(error).__name__}: {error}", error
        else:
            if result:
                return result
            last, cause = f"last result: {result!r}", None
        if late:
            subject = what or getattr(predicate, "__name__", repr(predicate))
            raise AssertionError(f"not within {timeout_s:g} s: {subject} ({last})") from cause
        time.sleep(POLL_S)
