"""What went over a line, as it is told to who traces it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Exchanged"]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One exchange."""

    sent: bytes
    """The message, with its terminator."""
    received: bytes | None
    """The reply; ``None`` if none was due, or none came."""
    error: str
    """What went wrong; empty if nothing did."""
    took_s: float
    """Seconds from the first byte out to the last one in."""
