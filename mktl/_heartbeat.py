"""Whether a daemon is still heard: each broadcasts its clock once a second, whoever wrote it.

Time counts only while it was listened to, as the reader's thread tells it: a client that was held
up, or a machine that was suspended, has heard nothing either, and blames nobody for it. The time of
day is for messages alone.
"""

from __future__ import annotations

import enum
import time

__all__ = ["BREAK_S", "Finding", "Heartbeat", "clock_text"]

BREAK_S = 2.0
"""How long a connection may be down until what came over it counts as unknown."""


class Finding(enum.Enum):
    """What was found out about a daemon, as it was looked for the last time."""

    FINE = "it is heard, or it is too early to tell"
    UNSURE = "it is silent, but has never been heard to beat: it has to be asked"
    BROKEN = "the connection is down"
    SILENT = "it is connected, and nothing is heard"
    BEHIND = "it is heard, but does not answer what was missed before"


class Heartbeat:
    """For how long one daemon was listened to in vain. Used by one thread, but for the attributes.

    Args:
        silence_s: How long it may be silent.

    Attributes:
        heard: Set by whoever hears anything of it.
        beats: Whether its clock was heard on this connection. A daemon that never broadcasts is
            none the worse for it.
        unanswered: Set by whoever has asked a daemon that does not beat, in vain.
        heard_at: UNIX seconds at which it was heard last; ``None`` if never.
    """

    def __init__(self, silence_s: float) -> None:
        self.heard = False
        self.beats = False
        self.unanswered = False
        self.heard_at: float | None = None
        self.silence_s = silence_s
        self._apart_s = self._silent_s = self._behind_s = 0.0

    def begin(self) -> None:
        """Start anew with another connection."""
        self.beats = self.unanswered = False
        self._apart_s = self._silent_s = 0.0

    def look(self, listened_s: float, *, connected: bool, caught_up: bool) -> Finding:
        """Return what is known now.

        Args:
            listened_s: For how long it was listened to since the last look.
            connected: Whether there is a connection.
            caught_up: Whether all that was missed before is known by now.
        """
        heard, self.heard = self.heard, False
        if heard:
            self.heard_at = time.time()
            self.unanswered = False
        self._apart_s = 0.0 if connected else self._apart_s + listened_s
        self._silent_s = 0.0 if heard or not connected else self._silent_s + listened_s
        self._behind_s = 0.0 if caught_up or not connected else self._behind_s + listened_s
        if not connected:
            broken = self._apart_s >= min(BREAK_S, self.silence_s)
            return Finding.BROKEN if broken else Finding.FINE
        if self._silent_s >= self.silence_s:
            if self.beats:
                return Finding.SILENT
            self._silent_s = 0.0
            return Finding.UNSURE
        if self.unanswered:
            return Finding.SILENT
        return Finding.BEHIND if self._behind_s >= self.silence_s else Finding.FINE

    def reason(self, finding: Finding, name: str) -> str:
        """Return for people what *finding* says about the daemon *name*."""
        if finding is Finding.BEHIND:
            return f"its daemon {name} is heard again, but does not answer"
        since = "" if self.heard_at is None else f" since {clock_text(self.heard_at)}"
        said = f"its daemon {name} has not been heard{since or ' at all'}"
        return f"{said}: no connection" if finding is Finding.BROKEN else said


def clock_text(timestamp: float) -> str:
    """Return UNIX seconds for people, such as ``2026-11-26 03:12:05 UTC``."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(timestamp))
    except (OverflowError, ValueError, OSError):  # a clock can be set to anything
        return f"{timestamp:g} s of UNIX time"
