"""Measurements that take seconds, without keeping the line for as long.

A measurement is begun in one turn, and its readings are fetched in another one, when the memory of
the meter has all of them. Between these the line is free: it is looked at in short turns. Whoever
changes a setting meanwhile ends the measurement, and it is begun anew with the new settings.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from drivers import _keysight_34465a as dmm
from drivers._keysight_34465a import Setup
from drivers.scpi import ScpiController, to_float
from mktl.controllers import ControllerStatus
from mktl.errors import DeviceTimeout, InvalidReading

__all__ = ["Measured", "Measuring"]

_ATTEMPTS = 5
_SPARE_S = 2.0
_SPARE_FACTOR = 1.5
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.01, 0.25


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement."""

    function: int
    """What was measured, one of :data:`drivers._keysight_34465a.FUNCTIONS`."""
    values: tuple[float, ...]
    """Its readings, in the unit of the function."""

    @property
    def mean(self) -> float:
        """Their mean."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A measurement that is under way."""

    setup: Setup
    number: int
    deadline: float


class Measuring:
    """Has a meter measure, for one thread at a time."""

    def __init__(self, meter: ScpiController, trigger_wait_s: float) -> None:
        """Take the meter, whose turns it uses, and how long to wait for somebody's trigger."""
        self._meter = meter
        self._trigger_wait_s = trigger_wait_s
        self._one = threading.Lock()
        self._changed = threading.Condition()
        self._number = 0
        self._is_under_way = False
        self._until = 0.0

    def measure(self, wanted: int | None = None) -> Measured:
        """Measure with the present settings, and return the readings.

        Args:
            wanted: The function that it must be; ``None``: whatever it is.

        Raises:
            InvalidReading: the meter has another function, or an overload, or its settings do not
                stay the same for long enough.
            DeviceTimeout: it is not finished in time, or was not triggered; it was told to stop.
            DeviceError: as for any turn.
        """
        with self._alone():
            for _attempt in range(_ATTEMPTS):
                found = self._wait_for(self._begin(wanted), wanted)
                if found is not None:
                    return found
        raise InvalidReading(
            f"{self._meter.label}: its settings were changed {_ATTEMPTS} times while it measured"
        )

    def interrupt(self) -> None:
        """End the measurement that is under way, within a turn; it is begun anew after the turn."""
        if self._is_under_way:
            self._is_under_way = False
            self._meter.tell("ABOR")
        self.begin_anew()

    def setup(self) -> Setup:
        """Return what decides how long a measurement takes. Source: sheet, "Commands"."""
        with self._meter.turn():
            with self._meter.answered("SENS:FUNC?") as text:
                function = dmm.to_function(text)
            nplc = None
            if function == dmm.VOLTAGE:
                with self._meter.answered("SENS:VOLT:DC:NPLC?") as text:
                    nplc = to_float(text)
            with self._meter.answered("SAMP:COUN?") as text:
                samples = dmm.to_samples(text)
            with self._meter.answered("TRIG:SOUR?") as text:
                source = dmm.to_source(text)
            with self._meter.answered("SYST:LFR?") as text:
                line_hz = dmm.to_line_hz(text)
        return Setup(function, nplc, samples, source, line_hz)

    def longest_s(self, setup: Setup) -> float:
        """Return how long to wait for a measurement with *setup* at most."""
        triggered = setup.source in (dmm.IMMEDIATE, dmm.BUS)
        wait_s = 0.0 if triggered else self._trigger_wait_s
        return wait_s + _SPARE_FACTOR * setup.longest_s + _SPARE_S

    def link_changed(self, status: ControllerStatus) -> None:
        """Have who waits begin anew, or fail: what was under way is not known of any more."""
        if status.state != "Up":
            self.begin_anew()

    def begin_anew(self) -> None:
        """Have who waits begin anew; while the link is down, that fails."""
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    # --- inside -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for those who measure already, as long as they may take."""
        wait_s = max(0.0, self._until - time.monotonic()) + self._meter.settings.wait_s
        if not self._one.acquire(timeout=wait_s):
            raise DeviceTimeout(
                f"{self._meter.label}: for {wait_s:.0f} s others have measured; nothing was begun"
            )
        try:
            yield
        finally:
            self._one.release()

    def _begin(self, wanted: int | None) -> _Begun:
        with self._meter.turn():
            setup = self.setup()
            self._check_function(setup.function, wanted)
            self._meter.tell("ABOR")  # whoever has begun one before: a second INIT is an error
            self._meter.command("INIT")
            if setup.source == dmm.BUS:
                self._meter.command("*TRG")
            self._is_under_way = True
            self._until = time.monotonic() + self.longest_s(setup)
            return _Begun(setup, self._number, self._until)

    def _wait_for(self, begun: _Begun, wanted: int | None) -> Measured | None:
        """Return the readings; ``None``: it was ended, and has to be begun anew."""
        since = time.monotonic()
        pause_s = max(begun.setup.shortest_s, _FIRST_LOOK_S)
        while self._rest(pause_s, begun):
            found = self._look(begun, wanted)
            if found is not None:
                return found
            waited_s = time.monotonic() - since
            pause_s = min(max(waited_s / 10, _FIRST_LOOK_S), _LONGEST_LOOK_S)
        return None

    def _rest(self, pause_s: float, begun: _Begun) -> bool:
        """Wait; return whether *begun* is still what is under way."""
        with self._changed:
            self._changed.wait_for(lambda: self._number != begun.number, pause_s)
            return self._number == begun.number

    def _look(self, begun: _Begun, wanted: int | None) -> Measured | None:
        """Return the readings, if all of them are there."""
        meter, samples = self._meter, begun.setup.samples
        with meter.turn():
            if self._number != begun.number:
                return None
            with meter.answered("DATA:POIN?") as text:
                points = dmm.to_samples(text)
            if points < samples:
                if time.monotonic() > begun.deadline:
                    raise self._given_up(begun, points)
                return None
            self._is_under_way = False
            with meter.answered("FETC?") as text:
                values = dmm.to_values(text)
            with meter.answered("SENS:FUNC?") as text:
                function = dmm.to_function(text)
        if len(values) != samples or function != begun.setup.function:
            raise InvalidReading(
                f"{meter.label}: somebody else has changed its settings while it measured"
            )
        self._check_function(function, wanted)
        return Measured(function, values)

    def _given_up(self, begun: _Begun, points: int) -> DeviceTimeout:
        self._is_under_way = False
        self._meter.command("ABOR")
        setup = begun.setup
        what = f"{points} of {setup.samples} readings were there"
        if setup.source not in (dmm.IMMEDIATE, dmm.BUS):
            source = dmm.SOURCES[setup.source].lower()
            what += f"; its trigger source is {source}: did a trigger come?"
        return DeviceTimeout(
            f"{self._meter.label}: not finished after {self.longest_s(setup):.1f} s: {what}; the "
            f"measurement was ended (ABOR)"
        )

    def _check_function(self, function: int, wanted: int | None) -> None:
        if wanted is not None and function != wanted:
            raise InvalidReading(
                f"{self._meter.label}: its function is {dmm.FUNCTIONS[function]}, so that there is "
                f"no {dmm.FUNCTIONS[wanted]}; nothing was measured"
            )
