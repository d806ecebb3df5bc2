"""The line that several units share, and who they are."""

from __future__ import annotations

import weakref
from dataclasses import fields
from typing import TYPE_CHECKING

from drivers._places import Places, place_of
from drivers.identity import DrainOnly
from drivers.line import Line
from drivers.ports.base import Port
from drivers.settings import LineSettings
from mktl.controllers import ControllerStatus

if TYPE_CHECKING:
    from drivers.unit import Unit

__all__ = ["ALL_SILENT", "BUSES", "Bus", "join"]

ALL_SILENT = "none of its units answers"
"""Why a line is opened anew though nothing is wrong with its port."""

_PER_UNIT = ("identity", "timeout_s", "wait_s", "retry_first_s", "retry_longest_s")
_UNITED = ("settle_after", "unsolicited")


class Bus:
    """One line and its units; a unit that nobody has any more is none of them."""

    def __init__(self, port: Port, settings: LineSettings) -> None:
        """Note where the line is; the first unit that starts opens it."""
        self.place = place_of(port)
        self.settings = settings
        self._units: list[weakref.ref[Unit]] = []
        self.line = Line(port, settings, name="bus", heard=self._heard, synchroniser=DrainOnly())
        self.line.on_change(self._changed)

    @property
    def units(self) -> tuple[Unit, ...]:
        """Those who share it."""
        return tuple(unit for one in tuple(self._units) if (unit := one()) is not None)

    def add(self, unit: Unit) -> None:
        """Note one more unit."""
        self._units = [*(one for one in self._units if one() is not None), weakref.ref(unit)]

    def leave(self, unit: Unit) -> None:
        """Forget *unit*; the last one closes the line."""
        with BUSES.lock:
            self._units = [one for one in self._units if one() not in (None, unit)]
            if self._units:
                return
            BUSES.give_up(self.place, self)
        self.line.close()

    def give_up_if_all_are_silent(self) -> None:
        """Open the port anew when nobody answers any more: it may be the port that is dead."""
        if all(unit.silent for unit in self.units):
            self.line.reconnect(ALL_SILENT, quietly=True)  # each of them has told it

    def why_not_shared(self, port: Port, settings: LineSettings) -> str:
        """Say why a unit at *port* with *settings* cannot be one of them; empty: it can."""
        url, ours = port.url, self.line.url
        if place_of(port) != self.place or url.partition("?")[2] != ours.partition("?")[2]:
            return f"{ours} is shared already, not as {url}"
        for field in fields(LineSettings):
            have, want = getattr(self.settings, field.name), getattr(settings, field.name)
            if field.name not in (*_PER_UNIT, *_UNITED) and have != want:
                return f"{url} is shared, and has {field.name} = {have!r} already, not {want!r}"
        return ""

    def _heard(self, line: str) -> None:
        for unit in self.units:
            unit.hear(line)

    def _changed(self, status: ControllerStatus) -> None:
        for unit in self.units:
            unit.bus_changed(status)


BUSES: Places[Bus] = Places()
"""All lines of this process that units share."""


def join(port: Port, settings: LineSettings, unit: Unit) -> Bus:
    """Return the line at *port*, of which *unit* is one now.

    Raises:
        ConfigurationError: it is there already, with other settings.
    """
    bus = BUSES.share(
        place_of(port),
        lambda: Bus(port, settings),
        lambda bus: bus.why_not_shared(port, settings),
        lambda bus: bus.add(unit),
    )
    # It may close the port, which may take its time: the units of other lines do not wait for it.
    bus.line.learn(settings)
    return bus
