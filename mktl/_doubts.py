"""Why an item is in doubt: what of it is told anew, and what is logged."""

from __future__ import annotations

import logging
import re
import time

from ._ratelimit import RateLimitedLog
from .errors import LinkDown, MktlError
from .payload import Payload

__all__ = ["Doubts", "reason_of"]

_log = logging.getLogger(__name__)
_NUMBERS = re.compile(r"[0-9]+(?:[.][0-9]+)?")
_RETELL_S = 1.0


def reason_of(error: BaseException) -> str:
    """Return why an item is in doubt because of *error*."""
    reason = str(error) or type(error).__name__
    if isinstance(error, LinkDown):
        return reason.partition("; ")[0]  # when it is tried again is soon no longer true
    return reason


class Doubts:
    """Those of one item.

    Args:
        full_key: The item.
    """

    def __init__(self, full_key: str) -> None:
        self._full_key = full_key
        self._trouble = RateLimitedLog(_log)
        self._is_logged = False
        self._told_at = -_RETELL_S

    def is_news(self, old: Payload, error: BaseException, *, always: bool = False) -> bool:
        """Whether *error* is to be told where *old* is what was told last.

        One that differs in its numbers only may count something, and is told no more often than
        once in a second, unless it *always* is.
        """
        told, reason = old.reason or "", reason_of(error)
        doubtful = old.quality == "invalid"
        if doubtful and reason == told:
            return False
        same = (
            doubtful
            and old.extra.get("error_class") == type(error).__name__
            and _NUMBERS.sub("0", reason) == _NUMBERS.sub("0", told)
        )
        now = time.monotonic()
        if same and not always and now < self._told_at + _RETELL_S:
            return False
        self._told_at = now
        return True

    def log(self, error: BaseException) -> None:
        """Log that the item cannot be read because of *error*, though not each time."""
        if isinstance(error, LinkDown):
            return  # the controller itself has logged it
        unexpected = None if isinstance(error, MktlError) else error
        if self._trouble.warning(
            "%s cannot be read: %s", self._full_key, reason_of(error), exc_info=unexpected
        ):
            self._is_logged = True

    def log_end(self, old: Payload, new: Payload) -> None:
        """Log that *new* is good again, if it was logged that *old* was not."""
        if self._is_logged and old.quality == "invalid" and new.quality != "invalid":
            self._is_logged = False
            _log.info("%s is read again", self._full_key)
