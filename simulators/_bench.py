"""A device on the bench: with a clock, faults, a log, and an eye on the pace of the host.

It has no sockets and no threads; one event loop uses it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from simulators._names import unknown_name
from simulators.clock import SimulatedClock
from simulators.device import Device, Later, Quantity, SimulatorError
from simulators.faults import Faults, Piece

LOG_LENGTH = 200
"""Exchanges that are remembered."""
LONGEST_LOGGED = 200
"""Bytes of a message or reply that the log shows."""
LARGEST_STEP_S = 600.0
"""Simulated seconds that are computed in one go, so that nobody waits long for an answer."""

# A silent command takes a host's scheduling delay off the gap that the host has kept.
_GAP_TOLERANCE_S = 0.010
_REFUSALS = ("exception", "busy", "nak")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message and what was done with it."""

    at_s: float
    """Simulated time."""
    link: str
    """The transport that it came over, e.g. ``tcp``."""
    received: str
    """The message, with escapes for what is not printable; in hexadecimal if it is no text. Empty:
    what was sent came unasked."""
    sent: str | None
    """What was sent back; None: nothing."""
    early: bool
    """True: it came sooner after the last one than the device allows."""


class Coming:
    """A reply that the device takes its time for."""

    def __init__(self, bench: Bench, later: Later, sent: Callable[[bytes], list[Piece]]) -> None:
        """Wait for *later*; *sent* notes the reply and gives what becomes of it."""
        self._bench = bench
        self._later = later
        self._sent = sent

    def take(self) -> list[Piece] | None:
        """Give what is to be sent back, which may be nothing; None: not yet."""
        self._bench.advance()
        reply = self._later.take()
        return None if reply is None else self._sent(reply)

    def interrupt(self) -> bool:
        """Tell the device that the host has sent more; True: the reply is lost."""
        return self._later.interrupt()

    def drop(self) -> None:
        """Note that it is not waited for any longer."""
        self._sent(b"")


class Bench:
    """Device, clock and faults, and what passes between them and a host."""

    def __init__(
        self,
        device: Device,
        clock: SimulatedClock,
        faults: Faults,
        *,
        source: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put *device* on the bench; *source* gives the real time in seconds, for the pace."""
        self.device = device
        self.clock = clock
        self.faults = faults
        self.log: deque[Exchange] = deque(maxlen=LOG_LENGTH)
        self._source = source
        self._stepped_to_s = clock.now_s()
        self._quiet_since_s: float | None = None
        self._messages = 0
        self._early = 0
        self._said: list[bytes] = []
        self.before_reply: Callable[[], Awaitable[None]] | None = None
        self._quantities = {
            **device.quantities(),
            "messages": Quantity("", "messages received", lambda: float(self._messages)),
            "early_messages": Quantity(
                "", "of these, sooner than the device allows", lambda: float(self._early)
            ),
        }

    @property
    def stepped_to_s(self) -> float:
        """The simulated time that the physics has come to."""
        return self._stepped_to_s

    def advance(self) -> bool:
        """Bring the physics up to the clock, or nearer to it; True: there is more to do."""
        behind_s = max(0.0, self.clock.now_s() - self._stepped_to_s)
        step_s = min(behind_s, LARGEST_STEP_S)
        self.device.step(step_s)
        self._stepped_to_s += step_s
        return step_s < behind_s

    def respond(self, message: bytes, *, link: str) -> list[Piece] | Coming:
        """Give *message* to the device and return what is to be sent back, which may be nothing."""
        early = self._note_pace()

        def sent(reply: bytes) -> list[Piece]:
            pieces = self._deformed(reply, link) if reply else []
            whole = b"".join(piece.data for piece in pieces)
            self._note(link, message, whole if pieces else None, early=early)
            return pieces

        reply = b"" if self._is_lost(early) else self._obey(message, link)
        return Coming(self, reply, sent) if isinstance(reply, Later) else sent(reply)

    def unasked(self, message: bytes, *, link: str) -> list[Piece]:
        """Return what hosts hear of a *message* that the device sends by itself."""
        ends = self.device.framing_bytes(link, message)
        lost = self.faults.strikes("silence")
        pieces = [] if lost else self.faults.deform(message, ends=ends)
        sent = b"".join(piece.data for piece in pieces)
        self._note(link, b"", sent if pieces else None)
        return pieces

    def take_unasked(self) -> list[bytes]:
        """Give what the device has said by itself since the last time, message by message."""
        return self.take_said() + self.device.take_unasked()

    def take_said(self) -> list[bytes]:
        """Give that part of it which it has said before it got the last message."""
        said, self._said = self._said, []
        return said

    async def speak_first(self) -> None:
        """Have hosts hear what the device has said before it got the last message."""
        if self.before_reply is not None:
            await self.before_reply()

    def reply_ended(self) -> None:
        """Note that the last byte of a reply has left: the gap of the next message begins."""
        self._quiet_since_s = self._source()

    def recent(self, last: int) -> list[dict[str, object]]:
        """Give the last exchanges, oldest first."""
        return [asdict(exchange) for exchange in list(self.log)[-last:]] if last else []

    def quantities(self) -> dict[str, Quantity]:
        """Give what can be read and set by name: the device's own, and counts of messages."""
        return self._quantities

    def read(self, names: list[str]) -> dict[str, float]:
        """Read quantities; no names: all.

        Raises:
            SimulatorError: no such quantity.
        """
        return {name: self._find(name).read() for name in names or self._quantities}

    def write(self, values: dict[str, object]) -> None:
        """Set quantities: all of them, or none if one cannot be.

        Raises:
            SimulatorError: no such quantity, read only, or out of range.
        """
        accepted = [(self._writer(name), self._accept(name, values[name])) for name in values]
        for write, value in accepted:
            write(value)

    def _note(self, link: str, received: bytes, sent: bytes | None, *, early: bool = False) -> None:
        self.log.append(
            Exchange(
                at_s=round(self._stepped_to_s, 3),
                link=link,
                received=self._shown(received),
                sent=None if sent is None else self._shown(sent),
                early=early,
            )
        )

    def _note_pace(self) -> bool:
        now_s = self._source()
        shortest_s = self.device.pace_s() - _GAP_TOLERANCE_S
        early = self._quiet_since_s is not None and now_s - self._quiet_since_s < shortest_s
        self._quiet_since_s = now_s
        self._messages += 1
        self._early += early
        return early

    def _is_lost(self, early: bool) -> bool:
        return self.faults.strikes("silence") or (early and self.faults.strikes("strict-flow"))

    def _obey(self, message: bytes, link: str) -> bytes | Later:
        self.advance()
        # It has said this before it got the message, so hosts have to hear it before the reply.
        self._said += self.device.take_unasked()
        for fault in _REFUSALS:
            how = self.faults.parameters(fault)
            if self.faults.strikes(fault):
                return self.device.refusal(link, message, fault, how)
        return self.device.answer_on(link, message)

    def _deformed(self, reply: bytes, link: str) -> list[Piece]:
        pieces = self.faults.deform(reply, ends=self.device.framing_bytes(link, reply))
        if pieces and self.device.turnaround_s:
            pieces[0] = Piece(pieces[0].delay_s + self.device.turnaround_s, pieces[0].data)
        return pieces

    def _shown(self, data: bytes) -> str:
        data = data[:LONGEST_LOGGED]
        if self.device.binary:
            return data.hex(" ")
        return data.decode("latin-1").encode("unicode_escape").decode("ascii")

    def _find(self, name: str) -> Quantity:
        if name not in self._quantities:
            raise SimulatorError(unknown_name("quantity", name, self._quantities))
        return self._quantities[name]

    def _writer(self, name: str) -> Callable[[float], None]:
        write = self._find(name).write
        if write is None:
            raise SimulatorError(f"{name} can be read, not set")
        return write

    def _accept(self, name: str, value: object) -> float:
        quantity = self._find(name)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise SimulatorError(f"{name} must be a number, not {value!r}")
        if not quantity.low <= value <= quantity.high:
            raise SimulatorError(
                f"{name} must be within {quantity.low:g} to {quantity.high:g}"
                f" {quantity.units}".rstrip()
                + f", not {value!r}"
            )
        if quantity.whole and value != int(value):
            raise SimulatorError(f"{name} must be a whole number, not {value!r}")
        return float(value)
