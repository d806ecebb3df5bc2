"""What a daemon needs to know of a controller, whoever wrote it.

:meth:`mktl.Daemon.add_controller` takes any object that satisfies :class:`ControllerLike`; the
ones in ``drivers`` do, and so can a site's own. This package does not import ``drivers``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

__all__ = [
    "LINK_STATES",
    "ControllerLike",
    "ControllerStatus",
    "LinkState",
    "Pausable",
    "Traceable",
    "TurnKind",
]

LinkState = Literal["Down", "Connecting", "Up", "Wrong device", "Paused"]
LINK_STATES: tuple[LinkState, ...] = ("Down", "Connecting", "Up", "Wrong device", "Paused")
"""The enumerators of a ``NAME_link`` item, in the order of their numbers."""

TurnKind = Literal["set", "refresh", "poll"]
"""Why a controller is spoken to, most urgent first."""


@dataclass(frozen=True, slots=True)
class ControllerStatus:
    """The state of a connection at one moment."""

    state: LinkState
    """What ``NAME_link`` says."""
    error: str
    """The last error in one line: what, where, since when, what happens next. Empty if none yet."""
    errors: int
    """Number of failed turns and failed attempts to connect since the start."""
    latency_ms: float | None
    """Median duration of recent turns in milliseconds; ``None`` before the first."""
    load_percent: float
    """Share of recent time in which the bus was busy, 0 to 100."""


@runtime_checkable
class ControllerLike(Protocol):
    """One connection, shared by many items."""

    def start(self) -> None:
        """Begin connecting, in the background. Returns at once, hardware or not."""

    def close(self) -> None:
        """Stop for good: waiting turns fail, the port is released. May be called twice."""

    def status(self) -> ControllerStatus:
        """Return the state of the connection now. Never blocks on the hardware."""

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        """Have *callback* called, from a thread of the controller, after each change of state.

        It must be quick; an exception in it is logged and otherwise ignored.
        """

    def prioritised(self, kind: TurnKind) -> AbstractContextManager[None]:
        """Return a context in which this thread's turns have the priority of *kind*."""

    def raw(self, text: str) -> str:
        """Send *text* as it is, in a turn of its own, and return the reply.

        Returns:
            The reply, or the empty text if the device gave none.

        Raises:
            DeviceError: as for any turn.
        """


@runtime_checkable
class Pausable(Protocol):
    """A controller whose port can be released for a while: ``NAME_link`` can be set then."""

    def pause(self) -> None:
        """Release the port; turns fail until :meth:`resume`. Again is harmless."""

    def resume(self) -> None:
        """Connect again; harmless if it was not paused."""


@runtime_checkable
class Traceable(Protocol):
    """A controller whose exchanges can be looked at: it gets ``NAME_trace``, ``NAME_traffic``."""

    def trace(self, callback: Callable[[str], None] | None) -> None:
        """Have *callback* called with one line for each exchange; ``None`` ends it.

        It may be called from any thread, and is quick.
        """
