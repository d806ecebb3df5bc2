"""What a line needs to know about its device, field by field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from drivers._suggest import suggestion
from drivers.framing.base import Framing
from mktl.errors import ConfigurationError

__all__ = ["USER_SETTINGS", "Identity", "LineSettings", "Looks", "Wake"]


class Looks(Protocol):
    """What knows how a line looks, such as a compiled regular expression; equal ones are one."""

    def fullmatch(self, string: str, /) -> object:
        """Return something true if the line *string*, a character for each byte, looks so."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How to find out which device answers."""

    ask: bytes
    """The identification query, complete with its terminator."""
    reply: re.Pattern[str]
    """What the whole answer (without terminator) of the right device looks like. No other query of
    the driver may have an answer like it: the line is resynchronised on it."""
    check: Callable[[str], str] | None = None
    """Called while the link is up, with each reply that nobody gets to see: what is thrown away
    when the line is put back in step, and the answer to the query itself. It returns what else
    people should know of it (empty: nothing), and raises DeviceLost where the device has forgotten
    its settings: the link is then taken down and made anew, ``restore`` included."""
    tells_model: bool = True
    """Whether the answer is that of the right model only, and not of whoever has the address."""


@dataclass(frozen=True, slots=True)
class Wake:
    """How to have a device listen that sleeps, or speaks by itself until it is spoken to."""

    say: bytes
    """What it is sent."""
    reply: bytes
    """What it says then, and nothing behind it."""
    within_s: float = 1.0
    """How long that may take."""
    tries: int = 3
    """How often it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """Timing and framing of one line. All times in seconds."""

    reply_end: bytes = b"\r\n"
    """What ends each reply."""
    longest_reply: int = 4096
    """Most bytes of one reply."""
    framing: Callable[[], Framing] | None = None
    """Makes what finds the replies of one connection, where that is no terminator."""
    ignore: bytes = b""
    """Bytes that are dropped from all that comes in, such as XON and XOFF."""
    echo: bool = False
    """Whether the device (or the wiring) sends back each message before it answers."""
    unsolicited: tuple[Looks, ...] = ()
    """Whole lines that the device sends unasked look so; they are never taken for a reply."""
    identity: Identity | None = None
    """How to check which device answers; without it there is no probe, and a line that is out of
    step is reopened instead of resynchronised."""
    timeout_s: float = 1.0
    """Deadline of one exchange, where the caller names none."""
    wait_s: float = 30.0
    """Longest wait for one's turn. It does not count into the deadline of the exchange."""
    min_gap_s: float = 0.0
    """Least silence between the last character, either way, and the next message."""
    char_delay_s: float = 0.0
    """Wait after each character that is sent, for devices without a buffer."""
    settle_after: tuple[tuple[bytes, float], ...] = ()
    """Extra silence after messages that begin so."""
    settle_s: float = 0.0
    """Silence after the port was opened."""
    quiet_s: float = 0.1
    """So long without a byte, and the line counts as quiet."""
    hush: bytes = b""
    """Sent before the line is drained: has the device say no more, and forget what it was asked."""
    wake: Wake | None = None
    """Has the device listen, before the first message of each turn, and before the line is
    drained; ``None``: it always does."""
    stream: bool = False
    """Whether the device, once it was told to, speaks by itself until something is sent. It is
    told so again whenever the line is left; see :meth:`drivers.base.ControllerBase.start_stream`.
    While it speaks it is not asked whether it is there."""
    drain_s: float = 2.0
    """A line that is not quiet after so long is reopened."""
    connect_timeout_s: float = 5.0
    """Longest attempt to open the port."""
    retry_first_s: float = 0.5
    """Wait before the first new attempt to connect; it doubles with each failure."""
    retry_longest_s: float = 30.0
    """Where it stops doubling."""
    steady_s: float = 5.0
    """A connection that held for so long lets the wait begin anew."""
    idle_probe_s: float = 30.0
    """The identification query is asked when nothing was exchanged for so long."""

    def updated(self, settings: dict[str, Any]) -> LineSettings:
        """Return a copy with *settings* of :data:`USER_SETTINGS` in the place of ours.

        Raises:
            ConfigurationError: one does not exist, or is not a number of seconds.
        """
        for name, value in settings.items():
            if name not in USER_SETTINGS:
                raise ConfigurationError(
                    f"unknown setting {name!r}: {suggestion(name, (*USER_SETTINGS, 'restore'))}"
                )
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigurationError(f"{name} must be a number of seconds, not {value!r}")
            if not (math.isfinite(value) and value >= 0) or (value == 0 and name not in _MAY_BE_0):
                raise ConfigurationError(f"{name} must be a positive number, not {value!r}")
        return replace(self, **settings)


_MAY_BE_0 = ("min_gap_s", "settle_s", "char_delay_s")

USER_SETTINGS: tuple[str, ...] = tuple(
    field.name
    for field in fields(LineSettings)
    if field.name.endswith("_s") and field.name not in ("quiet_s", "drain_s", "steady_s")
)
"""The fields that an instrument file, or ``open()``, may set."""
