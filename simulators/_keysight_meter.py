"""The measuring of a multimeter: settings, trigger, readings one after another, their memory.

Pure: time is an argument. The trigger model is that of SCPI-99 (volume 1, chapter 5): idle,
waiting for a trigger, measuring.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from simulators._keysight_front import FUNCTIONS, Front, Function, range_for
from simulators._scpi import ScpiError

MEMORY = 50_000
"""Readings that are kept (general knowledge; the option MEM has more)."""
NPLCS = (0.001, 0.02, 0.06, 0.2, 1.0, 10.0, 100.0)
"""Integration times in cycles of the mains; the first one needs the option DIG (sheet)."""

# General knowledge: what a digit more costs, as parts of the range at each integration time.
_RESOLUTIONS = (3e-5, 3e-6, 1.5e-6, 7e-7, 3e-7, 1e-7, 3e-8)
_AUTO_DELAY_S = 0.0015


class State(Enum):
    """Where the trigger model is."""

    IDLE = auto()
    WAITING = auto()
    MEASURING = auto()


@dataclass(slots=True)
class Settings:
    """What is set for one function."""

    full_scale: float
    """The range, also the one that autorange has chosen last."""
    autorange: bool = True
    nplc: float = 10.0
    autozero: bool = True
    """True: each reading takes as long again, for its zero."""


class Meter:
    """Settings and readings."""

    def __init__(self, front: Front) -> None:
        """Start idle, with the settings of ``*RST``."""
        self.front = front
        self.line_hz = 50
        self.fastest_nplc = NPLCS[1]
        self.reset()

    def reset(self) -> None:
        """Set everything as ``*RST`` does: DC voltage, autorange, 10 NPLC, one sample at once."""
        self.name = "VOLT"
        self.settings: Mapping[str, Settings] = {
            name: Settings(_usual_range(function)) for name, function in FUNCTIONS.items()
        }
        self.samples = self.triggers = 1
        self.source = "IMMediate"
        self.delay_s: float | None = None
        self.memory: deque[float] = deque(maxlen=MEMORY)
        self.abort()

    # -- settings ----------------------------------------------------------------------------

    @property
    def function(self) -> Function:
        """What is measured."""
        return FUNCTIONS[self.name]

    @property
    def now(self) -> Settings:
        """Settings of what is measured."""
        return self.settings[self.name]

    def select(self, name: str) -> None:
        """Measure something else; that empties the memory."""
        self.abort()
        self.name = name
        self.memory.clear()

    def configure(
        self, name: str, full_scale: float | None = None, resolution: float | None = None
    ) -> None:
        """Measure *name* with the usual settings, on a range or (None) with autorange."""
        function = FUNCTIONS[name]
        settings = Settings(_usual_range(function))
        if full_scale is not None:
            settings.full_scale = range_for(function, full_scale, overrange=False)
            settings.autorange = False
        if resolution is not None:
            settings.nplc = self._nplc_for(resolution / settings.full_scale)
        self.select(name)
        self.settings = {**self.settings, name: settings}
        self.samples = self.triggers = 1
        self.source, self.delay_s = "IMMediate", None

    def set_range(self, name: str, value: float) -> None:
        """Take the range for *value*, and leave autorange."""
        self.abort()
        settings = self.settings[name]
        settings.full_scale = range_for(FUNCTIONS[name], value, overrange=False)
        settings.autorange = False

    def set_autorange(self, name: str, mode: str) -> None:
        """Switch it ``ON`` or ``OFF``, or choose a range ``ONCE``."""
        self.abort()
        settings, function = self.settings[name], FUNCTIONS[name]
        settings.autorange = mode == "ON"
        if mode == "ONCE":
            settings.full_scale = range_for(function, self.front.present(function), overrange=True)

    def set_nplc(self, name: str, value: float) -> None:
        """Integrate over the next number of cycles that there is."""
        self.abort()
        self.settings[name].nplc = next(each for each in NPLCS if each >= value)

    def set_autozero(self, name: str, mode: str) -> None:
        """Switch it ``ON`` or ``OFF``; ``ONCE`` takes one zero for all that follow."""
        self.abort()
        self.settings[name].autozero = mode == "ON"

    def resolution(self) -> float:
        """Give the resolution of what is measured."""
        return _RESOLUTIONS[NPLCS.index(self.now.nplc)] * self.now.full_scale

    def _nplc_for(self, part: float) -> float:
        for nplc, resolution in zip(NPLCS, _RESOLUTIONS, strict=True):
            if nplc >= self.fastest_nplc and resolution <= part:
                return nplc
        raise ScpiError(-222)

    # -- trigger -----------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """True: all that was asked for has been measured, or aborted."""
        return self._state is State.IDLE

    @property
    def state(self) -> State:
        """Where the trigger model is."""
        return self._state

    def initiate(self) -> None:
        """Empty the memory and begin, or wait for a trigger.

        Raises:
            ScpiError: it measures already (-213), or that would be too many readings (-221).
        """
        if not self.idle:
            raise ScpiError(-213)
        if self.samples * self.triggers > MEMORY:
            raise ScpiError(-221)
        self.memory.clear()
        self._triggers_left = self.triggers
        self._state = State.WAITING
        self._trigger_if("IMMediate")

    def trigger(self) -> None:
        """Take a trigger of the bus.

        Raises:
            ScpiError: it waits for none (-211).
        """
        if self._state is not State.WAITING or self.source != "BUS":
            raise ScpiError(-211)
        self._trigger_if("BUS")

    def trigger_from_outside(self) -> None:
        """Take a pulse at the trigger input; without effect if it waits for none."""
        if self._state is State.WAITING:
            self._trigger_if("EXTernal")

    def abort(self) -> None:
        """Stop measuring; readings stay."""
        self._state = State.IDLE
        self._triggers_left = self._samples_left = 0
        self._due_in_s = 0.0

    def _trigger_if(self, source: str) -> None:
        if self.source == source:
            self._triggers_left -= 1
            self._samples_left = self.samples
            self._due_in_s = _AUTO_DELAY_S if self.delay_s is None else self.delay_s
            self._due_in_s += self._reading_s()
            self._state = State.MEASURING

    # -- time --------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Let *dt_s* seconds pass."""
        while self._state is State.MEASURING and self._due_in_s <= dt_s:
            self.front.step(self._due_in_s)
            dt_s -= self._due_in_s
            self._read()
        if self._state is State.MEASURING:
            self._due_in_s -= dt_s
        self.front.step(dt_s)

    def _read(self) -> None:
        settings, function = self.now, self.function
        if settings.autorange:
            settings.full_scale = range_for(function, self.front.present(function), overrange=True)
        self.memory.append(self.front.reading(function, settings.full_scale, settings.nplc))
        self._samples_left -= 1
        self._due_in_s = self._reading_s()
        if not self._samples_left:
            self._state = State.WAITING if self._triggers_left else State.IDLE
            if self._state is State.WAITING:
                self._trigger_if("IMMediate")

    def _reading_s(self) -> float:
        return self.now.nplc / self.line_hz * (2 if self.now.autozero else 1)


def _usual_range(function: Function) -> float:
    return function.ranges[min(2, len(function.ranges) - 1)]
