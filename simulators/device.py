"""What a device model is: state and physics, bytes in and bytes out.

A model never sees a socket, a thread or a clock: the shells in `simulators.serve` give it whole
messages and the time that has passed, so a test can do the same with two plain calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol


class SimulatorError(Exception):
    """A request to a simulator that cannot be met; the text says why, in one line."""


class Framer(Protocol):
    """Cuts the bytes of one connection into messages; holds a bounded number of bytes."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the messages that are now complete, in order."""
        ...


class LineFramer:
    """Messages that end with LF; one CR before it is dropped, empty lines are ignored.

    Of a message longer than *longest* only a part is kept, which is still recognisably too long:
    ``len(message) > longest``. So a host that never sends a terminator takes no memory.
    """

    def __init__(self, *, longest: int) -> None:
        """Start empty; *longest* is the longest message in bytes, without its end."""
        # One more byte shows that the limit was passed, another may be the CR.
        self._kept = longest + 2
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the lines that are now complete, without their ends."""
        messages = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._keep(piece)
            line = bytes(self._pending).removesuffix(b"\r")
            self._pending.clear()
            if line.strip():
                messages.append(line)
        self._keep(rest)
        return messages

    def _keep(self, piece: bytes) -> None:
        self._pending += piece[: self._kept - len(self._pending)]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One physical quantity of a model, for the control port."""

    units: str
    """Units of the value, e.g. ``K``; empty for a pure number."""
    doc: str
    """One line: what it is."""
    read: Callable[[], float]
    """Gives the present value."""
    write: Callable[[float], None] | None = None
    """Takes a new value within `low` and `high`; None: read only."""
    low: float = 0.0
    """Smallest value that can be set."""
    high: float = 1.0
    """Largest value that can be set."""
    whole: bool = False
    """True: only whole numbers can be set."""


class Device(ABC):
    """One simulated instrument with whatever it is attached to."""

    name: ClassVar[str]
    """Name of the driver that this is the twin of."""
    default_baud: ClassVar[int] = 9600
    """Bits per second of its serial port, where the user names none."""
    min_gap_s: ClassVar[float] = 0.0
    """Seconds that a host must leave after a message or its reply; 0: no such rule."""

    disguise: str | None = None
    """While set, what the device answers when it is asked who it is (a fault)."""

    @abstractmethod
    def framer(self) -> Framer:
        """Give a fresh framer, for one connection."""

    @abstractmethod
    def answer(self, message: bytes) -> bytes:
        """Obey one whole message and return the reply with its terminator; empty: no reply."""

    @abstractmethod
    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds of simulated time pass; any length is stable.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """

    @abstractmethod
    def power_off(self) -> None:
        """Take the supply away: the device drives nothing, the physics around it goes on."""

    @abstractmethod
    def power_on(self) -> None:
        """Give the supply back: the device starts as its manual says."""

    @abstractmethod
    def quantities(self) -> Mapping[str, Quantity]:
        """Give the physical quantities by name."""
