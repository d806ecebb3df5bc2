"""What an error says of what was sent before it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mktl.errors import LinkDown

__all__ = ["after_telling", "reason_only"]

_UNSENT = ("; nothing was sent", "; nothing more was sent")


def reason_only(error: Exception) -> str:
    """Return the text of *error* without what it says of the message that it is about."""
    text = str(error)
    for words in _UNSENT:
        text = text.removesuffix(words)
    return text


@contextlib.contextmanager
def after_telling(has_told: Callable[[], bool]) -> Iterator[None]:
    """Have a LinkDown in the context say what is known, if something was told before in the turn.

    That nothing was sent is true of the message that was to follow only.
    """
    try:
        yield
    except LinkDown as error:
        if not has_told():
            raise
        raise LinkDown(
            f"{reason_only(error)}; what was sent before in this turn may or may not have been "
            f"carried out"
        ) from error
