"""What a device model is: state and physics, bytes in and bytes out.

A model never sees a socket, a thread or a clock: the shells in `simulators.serve` give it whole
messages and the time that has passed, so a test can do the same with two plain calls.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable


class SimulatorError(Exception):
    """A request to a simulator that cannot be met; the text says why, in one line."""


class Framer(Protocol):
    """Cuts the bytes of one connection into messages; holds a bounded number of bytes."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the messages that are now complete, in order."""
        ...


@runtime_checkable
class TimedFramer(Framer, Protocol):
    """A framer of a protocol in which silence ends a message, too."""

    gap_s: float
    """Seconds without a byte that are such a silence, beside three and a half characters."""

    def silence(self) -> list[bytes]:
        """Take note of a silence and return the messages that it has completed."""
        ...


class LineFramer:
    """Messages that end with LF, or with CR; the other one beside it is dropped, too.

    Empty lines are ignored.

    Of a message longer than *longest* only a part is kept, which is still recognisably too long:
    ``len(message) > longest``. So a host that never sends a terminator takes no memory.
    """

    def __init__(self, *, longest: int, end: bytes = b"\n") -> None:
        """Start empty; *longest* is the longest message in bytes, without its *end*."""
        self._end = end
        # One more byte shows that the limit was passed, another may be the CR (or the LF).
        self._kept = longest + 2
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data* and return the lines that are now complete, without their ends."""
        messages = []
        *ended, rest = data.split(self._end)
        for piece in ended:
            self._keep(piece)
            line = bytes(self._pending).removeprefix(b"\n").removesuffix(b"\r")
            self._pending.clear()
            if line.strip():
                messages.append(line)
        self._keep(rest)
        return messages

    def _keep(self, piece: bytes) -> None:
        self._pending += piece[: self._kept - len(self._pending)]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Later:
    """A reply that takes simulated time; other hosts are served meanwhile."""

    take: Callable[[], bytes | None]
    """Gives the whole reply once it is there; None: not yet; empty: there will be none."""
    interrupt: Callable[[], bool] = _never
    """Called when its host sends more before it is there. True: then it will never come; False:
    what was sent waits until it has come."""


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

    turnaround_s: float = 0.0
    """Real seconds from the end of a message to the begin of its reply."""
    abilities: frozenset[str] = frozenset()
    """Faults of its own kind that it can show, e.g. ``exception``; see `refusal`."""
    binary: bool = False
    """True: its messages are bytes rather than text, and the log shows them in hexadecimal."""
    line_end: bytes = b"\n"
    """What ends a message for its framer, where the link marks the end otherwise (END)."""
    reply_end: bytes = b"\n"
    """What the last bytes of a whole reply are."""
    unit: int | None = None
    """Its address on a line that it may share; None: it has none."""
    shares_line: bool = False
    """True: it is one of several units behind one port, so it must not answer for others."""
    daisy_chain: bool = False
    """True: each unit passes on what the next ones say, so replies of several do not clash."""
    place: int = 1
    """Its place on a shared line; 1: next to the host."""
    stranger: ClassVar[str] = "ACME,OTHER,0,1.0"
    """What a device says that one might take for it."""
    disguise: str | None = None
    """While set, what the device answers when it is asked who it is (a fault)."""
    taken_back: int = 0
    """Goes up when it gives up saying what `take_unasked` gave: what is not sent yet is dropped."""

    @classmethod
    def made_for(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG003 - as below
        """Give the arguments of the twin of a controller whose instrument file has *settings*."""
        return {}

    @abstractmethod
    def framer(self) -> Framer:
        """Give a fresh framer, for one connection."""

    def framer_for(self, transport: str) -> Framer:  # noqa: ARG002 - most devices have one
        """Give a fresh framer for one connection over *transport*, e.g. ``modbus+rtu``."""
        return self.framer()

    @abstractmethod
    def answer(self, message: bytes) -> bytes | Later:
        """Obey one whole message and return the reply with its terminator; empty: no reply."""

    def answer_on(self, transport: str, message: bytes) -> bytes | Later:  # noqa: ARG002 - as above
        """Obey one whole message that came over *transport*; as `answer`."""
        return self.answer(message)

    def refusal(
        self,
        transport: str,  # noqa: ARG002 - for devices that have abilities
        message: bytes,  # noqa: ARG002
        fault: str,
        how: Mapping[str, float | str],  # noqa: ARG002
    ) -> bytes:
        """Give what it answers to *message*, which it does not obey, while *fault* is active.

        Raises:
            SimulatorError: *fault* is none of its `abilities`.
        """
        raise SimulatorError(f"{self.name} cannot show the fault {fault}")

    def framing_bytes(self, transport: str, reply: bytes) -> Collection[int]:  # noqa: ARG002
        """Give the places in *reply* that tell a host where it ends; random bytes spare them."""
        return [place for place, byte in enumerate(reply) if byte in b"\r\n"]

    def unasked(self, transport: str, text: str) -> bytes:  # noqa: ARG002
        """Give the bytes of *text* as the device would send it without being asked."""
        return text.encode("latin-1", "replace") + b"\r\n"

    def take_unasked(self) -> list[bytes]:
        """Give what it has said by itself since the last time, message by message."""
        return []

    def speaks_in_s(self) -> float:
        """Give the simulated seconds until it says something by itself, as far as it knows."""
        return math.inf

    def overheard(self, transport: str) -> bytes:  # noqa: ARG002 - for devices that talk
        """Give the end of what it is saying by itself, for a host that connects amid it."""
        return b""

    def afflict(self, fault: str, how: Mapping[str, float | str]) -> None:
        """Begin a fault that changes what the device itself does.

        Raises:
            SimulatorError: it cannot have this fault with these parameters.
        """
        if fault == "wrong-identity":
            self.disguise = str(how["identity"]) or self.stranger

    def relieve(self) -> None:
        """End what `afflict` has begun."""
        self.disguise = None

    def hold(self) -> float:
        """Have every reading be the same from now on, until something is set.

        Returns:
            The time factor with which it is so; 1 where replies, or what it says by itself, take
            time, and nothing else does.
        """
        return 0.0

    def interrupted(self) -> bool:
        """Note that a host has sent more before it has read a reply; True: that reply is lost.

        Only links on which hosts fetch their replies can tell.
        """
        return False

    def trigger(self) -> bool:
        """Take a trigger of the bus, as from VXI-11 or HiSLIP; False: it means nothing to it."""
        return False

    def most_hosts(self, transport: str) -> int | None:  # noqa: ARG002 - for devices that count
        """Give how many hosts it serves at once over *transport*; None: enough of them."""
        return None

    @property
    def usual_baud(self) -> int:
        """Bits per second of its serial port, where the user names none."""
        return self.default_baud

    def pace_s(self) -> float:
        """Give the seconds that a host must leave after a message or its reply."""
        return self.min_gap_s

    def idle_limit_s(self) -> float | None:
        """Give the seconds without a message after which it closes a connection; None: never."""
        return None

    def status_byte(self) -> int:
        """Give the status byte (IEEE 488.2, section 11) for links that can ask for it."""
        return 0

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
