"""The watchdog of a WAGO coupler (sheet ``wago_750_352.md``, rows 0x1000 to 0x100A)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import partial

from simulators.modbus import Code, ModbusError

_UNIT_S = 0.1
_TIME, _MASK_LOW, _MASK_HIGH, _TRIGGER, _LEAST, _STOP = range(0x1000, 0x1006)
_STATUS, _RESTART, _SIMPLE_STOP, _CONFIG = 0x1006, 0x1007, 0x1008, 0x100A
_STOP_SEQUENCE = (0xAAAA, 0x5555)
# What may be written where only some values mean something.
_ALLOWED = {_STOP: _STOP_SEQUENCE, _RESTART: (1,), _SIMPLE_STOP: (0x55AA, 0xAA55)}
_READ_ONLY = (_LEAST, _STATUS)


class Status(IntEnum):
    """Values of register 0x1006."""

    OFF = 0
    RUNS = 1
    EXPIRED = 2


class Watchdog:
    """Time that is left, and the registers that are about it."""

    def __init__(self) -> None:
        """Be off, with masks that let every function re-trigger."""
        self._kept = {_TIME: 0, _MASK_LOW: 0xFFFF, _MASK_HIGH: 0xFFFF, _TRIGGER: 0, _CONFIG: 0}
        self._left_s = math.inf
        self._least_s = 0.0
        self._stopping = False
        self.expired = False

    def status(self) -> Status:
        """Tell what it does."""
        if self.expired:
            return Status.EXPIRED
        return Status.OFF if math.isinf(self._left_s) else Status.RUNS

    def left_s(self) -> float:
        """Give the seconds until it expires; infinite: it does not run."""
        return self._left_s

    def hear(self, function: int) -> None:
        """Start anew if the masks have the bit of *function*: bit 0 is that of function 1."""
        masks = self._kept[_MASK_LOW] | self._kept[_MASK_HIGH] << 16
        if masks >> (function - 1) & 1:
            self._trigger()

    def step(self, dt_s: float) -> bool:
        """Let *dt_s* seconds pass; True: it has expired just now."""
        self._left_s -= dt_s
        self._least_s = min(self._least_s, max(0.0, self._left_s))
        if self._left_s > 0:
            return False
        self._left_s = math.inf
        self.expired = True
        return True

    # -- registers ---------------------------------------------------------------------------

    def has(self, address: int) -> bool:
        """Tell whether a register is one of the watchdog's."""
        return address in self.registers()

    def registers(self) -> dict[int, Callable[[], int]]:
        """Give how to read each register."""
        kept: Mapping[int, int] = self._kept
        return {
            **{address: partial(kept.__getitem__, address) for address in kept},
            _LEAST: lambda: round(self._least_s / _UNIT_S),
            _STOP: lambda: _STOP_SEQUENCE[0] if self._stopping else 0,
            _STATUS: lambda: int(self.status()),
            _RESTART: lambda: 0,
            _SIMPLE_STOP: lambda: 0,
        }

    def check(self, address: int, value: int) -> None:
        """Pass if *value* may be written.

        Raises:
            ModbusError: it may not: exception 2 where nothing can be, 3 where something else can.
        """
        if address in _READ_ONLY:
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        if value not in _ALLOWED.get(address, (value,)):
            raise ModbusError(Code.ILLEGAL_VALUE)

    def write(self, address: int, value: int) -> None:
        """Write a register that `check` has passed."""
        if address in self._kept:
            self._kept[address] = value
        if address == _TIME and not self.expired:
            self._start()
        elif address == _TRIGGER:
            self._trigger()
        elif address == _RESTART:
            self.expired = False
            self._start()
        elif address == _SIMPLE_STOP or (
            address == _STOP and self._stopping and value == _STOP_SEQUENCE[1]
        ):
            self.expired = False
            self._left_s = math.inf
        self._stopping = address == _STOP and value == _STOP_SEQUENCE[0]

    def _start(self) -> None:
        time_s = self._kept[_TIME] * _UNIT_S
        self._left_s = time_s or math.inf
        self._least_s = time_s

    def _trigger(self) -> None:
        if self.status() is Status.RUNS:
            self._left_s = self._kept[_TIME] * _UNIT_S
