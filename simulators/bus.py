"""Several devices on one line: each is offered every message, and at most one answers.

That is all that a bus is, so it carries Modbus units as well as text devices whose messages begin
with an address: a unit decides by itself whether a message is for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from simulators.device import Device, Framer, Later, Quantity, SimulatorError


class Bus(Device):
    """Units behind one port. Messages are cut as the first of them cuts its own."""

    name: ClassVar[str] = "bus"

    def __init__(self, units: Mapping[int, Device]) -> None:
        """Join *units*, by address.

        Raises:
            SimulatorError: there are none.
        """
        if not units:
            raise SimulatorError("a bus needs at least one unit")
        self.units = dict(units)
        self._first = next(iter(self.units.values()))
        self._dead: set[int] = set()
        for place, device in enumerate(self.units.values(), 1):
            device.shares_line = True
            device.place = place
        self.binary = self._first.binary
        self.daisy_chain = all(device.daisy_chain for device in self.units.values())
        self.line_end = self._first.line_end
        self.reply_end = self._first.reply_end
        self.turnaround_s = max(each.turnaround_s for each in self.units.values())
        every = [each.abilities for each in self.units.values()]
        self.abilities = frozenset.intersection(*every) | {"dead-unit"}

    @property
    def usual_baud(self) -> int:
        """Bits per second of the line, where the user names none: that of the first unit."""
        return self._first.usual_baud

    def framer(self) -> Framer:
        """Cut messages as the first unit does."""
        return self._first.framer()

    def framer_for(self, transport: str) -> Framer:
        """Cut messages as the first unit does on *transport*."""
        return self._first.framer_for(transport)

    def answer(self, message: bytes) -> bytes | Later:
        """Offer *message* to every unit; see `answer_on`."""
        return self._together([each.answer(message) for each in self._alive()])

    def answer_on(self, transport: str, message: bytes) -> bytes | Later:
        """Offer *message* to every unit and return what one has answered.

        Two that answer at once garble each other, so the host gets neither reply whole: the
        bytes of both are mixed. On a daisy chain they answer one after the other.
        """
        return self._together([each.answer_on(transport, message) for each in self._alive()])

    def refusal(
        self, transport: str, message: bytes, fault: str, how: Mapping[str, float | str]
    ) -> bytes:
        """Have the unit that *message* is for refuse it."""
        replies = [each.refusal(transport, message, fault, how) for each in self._alive()]
        return b"".join(replies) if self.daisy_chain else _mixed(replies)

    def framing_bytes(self, transport: str, reply: bytes) -> Collection[int]:
        """Give what the first unit gives."""
        return self._first.framing_bytes(transport, reply)

    def unasked(self, transport: str, text: str) -> bytes:
        """Give what the first unit would send."""
        return self._first.unasked(transport, text)

    def take_unasked(self) -> list[bytes]:
        """Give what the units have said by themselves; nobody hears the dead ones."""
        for unit in self._dead:
            self.units[unit].take_unasked()
        return [line for device in self._alive() for line in device.take_unasked()]

    def speaks_in_s(self) -> float:
        """Give the seconds until the first of the units says something by itself."""
        return min(device.speaks_in_s() for device in self._alive() or self.units.values())

    def afflict(self, fault: str, how: Mapping[str, float | str]) -> None:
        """Have one unit be dead, or all of them what *fault* says.

        Raises:
            SimulatorError: there is no such unit.
        """
        if fault != "dead-unit":
            for each in self.units.values():
                each.afflict(fault, how)
            return
        unit = int(how["unit"])
        if unit not in self.units:
            known = ", ".join(str(number) for number in self.units)
            raise SimulatorError(f"no unit {unit} on this bus; there are: {known}")
        self._dead.add(unit)

    def relieve(self) -> None:
        """Have all units be well again."""
        self._dead.clear()
        for each in self.units.values():
            each.relieve()

    def hold(self) -> float:
        """Hold all units; time goes on if one of them needs it."""
        return max(each.hold() for each in self.units.values())

    def pace_s(self) -> float:
        """Give the pace of the slowest unit."""
        return max(each.pace_s() for each in self.units.values())

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass for all units.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for each in self.units.values():
            each.step(dt_s)

    def power_off(self) -> None:
        """Take the supply away from all units."""
        for each in self.units.values():
            each.power_off()

    def power_on(self) -> None:
        """Give the supply back to all units."""
        for each in self.units.values():
            each.power_on()

    def quantities(self) -> Mapping[str, Quantity]:
        """Give the quantities of all units, named like ``unit3.chamber_c``."""
        return {
            f"unit{unit}.{name}": quantity
            for unit, device in self.units.items()
            for name, quantity in device.quantities().items()
        }

    def _alive(self) -> list[Device]:
        return [device for unit, device in self.units.items() if unit not in self._dead]

    def _together(self, replies: list[bytes | Later]) -> bytes | Later:
        at_once = [reply for reply in replies if not isinstance(reply, Later)]
        if self.daisy_chain and len(at_once) == len(replies):
            return b"".join(at_once)
        return _only(replies)


def _only(replies: list[bytes | Later]) -> bytes | Later:
    # Only replies that come at once can meet on the line.
    later = next((reply for reply in replies if isinstance(reply, Later)), None)
    return later or _mixed([reply for reply in replies if not isinstance(reply, Later)])


def _mixed(replies: list[bytes]) -> bytes:
    first, *others = [reply for reply in replies if reply] or [b""]
    for other in others:
        longer, shorter = sorted((first, other), key=len, reverse=True)
        mixed = bytes(a & b for a, b in zip(longer, shorter, strict=False))
        first = mixed + longer[len(shorter) :]
    return first
