"""The registers of a Watlow F4 (sheet ``watlow_f4.md``, "Holding registers")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from simulators._watlow_profile import PROFILES, Operation
from simulators._watlow_settings import Sensor, Units, signed
from simulators.modbus import Code, ModbusError

if TYPE_CHECKING:
    from simulators.watlow_f4 import WatlowF4

_MODEL = 5270
_SERIAL = (12, 34_567)
_MADE = 4520
_START_PROFILE = 5
_PHYSICAL = (-200.0, 800.0)


def _pass(_value: int) -> None:
    """Take every value."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Register:
    """One register."""

    read: Callable[[], int]
    """Gives its value, signed or not."""
    write: Callable[[int], None] | None = None
    """Takes a word that `check` has passed; None: it can only be read."""
    check: Callable[[int], None] = _pass
    """Raises `ModbusError` for a word that it does not take now."""
    active: Callable[[], bool] = _always
    """Whether it exists in the present configuration."""
    kept: bool = True
    """A write to it goes to the EEPROM."""


def registers(f4: WatlowF4) -> Mapping[int, Register]:
    """Give the registers of *f4* by address."""
    found = {
        0: Register(lambda: _MODEL if f4.disguise is None else _MODEL + 1),
        1: _constant(_SERIAL[0]),
        2: _constant(_SERIAL[1]),
        5: _constant(_MADE),
        24: Register(
            lambda: int(f4.no_save),
            lambda value: setattr(f4, "no_save", bool(value)),
            _within(0, 1),
            kept=False,
        ),
        25: Register(lambda: 0, lambda _value: f4.save(), _within(0, 0), kept=False),
        200: Register(lambda: int(f4.profile.operation)),
        311: _command(f4.clear_errors),
        331: _command(f4.clear_alarms),
        332: _command(lambda: setattr(f4, "silenced", True)),
        901: Register(
            lambda: int(f4.settings.celsius),
            lambda value: setattr(f4.settings, "celsius", bool(value)),
            _within(0, 1),
        ),
    }
    for number in (1, 2, 3):
        found |= _input(f4, number)
    return found | _controls(f4) | _digital(f4) | _profile(f4) | _clock(f4)


# -- kinds of register ---------------------------------------------------------------------------


def _constant(value: int) -> Register:
    return Register(lambda: value)


def _within(low: int, high: int) -> Callable[[int], None]:
    def check(word: int) -> None:
        if not low <= signed(word) <= high:
            raise ModbusError(Code.ILLEGAL_VALUE)

    return check


def _command(run: Callable[[], None], active: Callable[[], bool] = _always) -> Register:
    """Write 1, and it resets itself."""

    def check(word: int) -> None:
        if not active():
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        _within(1, 1)(word)

    return Register(lambda: 0, lambda _value: run(), check, kept=False)


def _attribute(
    owner: Callable[[], Any],
    name: str,
    kind: Callable[[int], Any],
    check: Callable[[int], None],
    active: Callable[[], bool] = _always,
) -> Register:
    return Register(
        lambda: int(getattr(owner(), name)),
        lambda value: setattr(owner(), name, kind(value)),
        check,
        active,
    )


# -- groups --------------------------------------------------------------------------------------


def _input(f4: WatlowF4, number: int) -> dict[int, Register]:
    at = 600 + 10 * (number - 1)

    def settings() -> Any:
        return f4.settings.inputs[number]

    def on() -> bool:
        return f4.is_on(number)

    def is_process() -> bool:
        return on() and settings().sensor is Sensor.PROCESS

    def sensor(word: int) -> None:
        _within(0, 4)(word)
        # Wet and dry bulb make a humidity, which is the business of input 2 alone.
        if word == Sensor.WET_DRY and number != 2:
            raise ModbusError(Code.ILLEGAL_VALUE)

    found = {
        100 + 4 * (number - 1): Register(lambda: f4.reading(number), active=on),
        at: _attribute(settings, "sensor", Sensor, sensor),
        at + 6: _attribute(settings, "decimals", int, _within(0, 3), on),
    }
    if number == 3:
        return found
    return found | {
        300 + 19 * (number - 1): _set_point(f4, number, on),
        at + 2: _limit(f4, number, "low", on),
        at + 3: _limit(f4, number, "high", on),
        at + 7: _attribute(settings, "latch", int, _within(0, 1), on),
        at + 8: Register(
            lambda: int(settings().units),
            lambda value: setattr(settings(), "units", Units(value)),
            lambda word: _check_units(word, changeable=is_process()),
            on,
        ),
    }


def _check_units(word: int, *, changeable: bool) -> None:
    if not changeable:
        raise ModbusError(Code.ILLEGAL_ADDRESS)
    _within(0, 3)(word)


def _set_point(f4: WatlowF4, number: int, on: Callable[[], bool]) -> Register:
    def check(word: int) -> None:
        if number == 1 and f4.profile.operation is not Operation.STATIC:
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        low, high = (
            f4.settings.to_register(number, limit)
            for limit in (f4.settings.inputs[number].low, f4.settings.inputs[number].high)
        )
        _within(low, high)(word)

    def write(word: int) -> None:
        value = f4.settings.from_register(number, signed(word))
        f4.settings.inputs[number].set_point = value

    return Register(lambda: f4.settings.to_register(number, f4.set_point(number)), write, check, on)


def _limit(f4: WatlowF4, number: int, name: str, on: Callable[[], bool]) -> Register:
    def check(word: int) -> None:
        value = f4.settings.from_register(number, signed(word))
        settings = f4.settings.inputs[number]
        low, high = (_PHYSICAL[0], settings.high) if name == "low" else (settings.low, _PHYSICAL[1])
        if not low <= value <= high:
            raise ModbusError(Code.ILLEGAL_VALUE)

    def write(word: int) -> None:
        value = f4.settings.from_register(number, signed(word))
        setattr(f4.settings.inputs[number], name, value)

    return Register(
        lambda: f4.settings.to_register(number, getattr(f4.settings.inputs[number], name)),
        write,
        check,
        on,
    )


def _controls(f4: WatlowF4) -> dict[int, Register]:
    def power(number: int, sign: int) -> Callable[[], int]:
        return lambda: round(10_000 * max(0.0, sign * f4.loops[number].output))

    return {
        102: Register(lambda: int(f4.alarms[1])),
        103: Register(power(1, 1)),
        106: Register(lambda: int(f4.alarms[2])),
        107: Register(power(1, -1)),
        110: Register(lambda: int(f4.errors[1])),
        111: Register(power(2, 1)),
        114: Register(lambda: int(f4.errors[2])),
        115: Register(power(2, -1)),
    }


def _digital(f4: WatlowF4) -> dict[int, Register]:
    def event(number: int) -> Register:
        return Register(
            lambda: int(f4.events[number]),
            lambda value: f4.events.__setitem__(number, bool(value)),
            _within(0, 1),
            kept=False,
        )

    def state(number: int) -> Register:
        return Register(lambda: int(f4.digital_inputs[number]))

    inputs = {201 + 12 * number: state(number) for number in range(len(f4.digital_inputs))}
    return inputs | {2000 + 10 * number: event(number) for number in range(len(f4.events))}


def _profile(f4: WatlowF4) -> dict[int, Register]:
    def running() -> bool:
        return f4.profile.operation is Operation.RUNNING

    def held() -> bool:
        return f4.profile.operation is Operation.HELD

    def hold() -> None:
        f4.profile.hold()

    def resume() -> None:
        f4.profile.resume()

    def terminate() -> None:
        f4.settings.inputs[1].set_point = f4.profile.set_point_c
        f4.profile.terminate()

    def check_start(word: int) -> None:
        steps = PROFILES.get(f4.chosen_profile, ())
        if word != _START_PROFILE or not 1 <= f4.chosen_step <= len(steps):
            raise ModbusError(Code.ILLEGAL_VALUE)
        if f4.profile.operation is not Operation.STATIC:
            raise ModbusError(Code.ILLEGAL_ADDRESS)

    def left(divisor: int, modulus: int) -> Register:
        return Register(lambda: int(f4.profile.left_s) // divisor % modulus)

    return {
        1209: _command(resume, held),
        1210: _command(hold, running),
        1217: _command(terminate, lambda: running() or held()),
        4000: _volatile(f4, "chosen_profile", 40),
        4001: _volatile(f4, "chosen_step", 256),
        4002: Register(
            lambda: 0,
            lambda _word: f4.profile.start(
                f4.chosen_profile, f4.chosen_step, f4.settings.inputs[1].set_point
            ),
            check_start,
            kept=False,
        ),
        4100: Register(lambda: f4.profile.number),
        4101: Register(lambda: f4.profile.step_number),
        4119: left(3600, 1000),
        4120: left(60, 60),
        4121: left(1, 60),
    }


def _volatile(f4: WatlowF4, name: str, high: int) -> Register:
    return Register(
        lambda: int(getattr(f4, name)),
        lambda value: setattr(f4, name, value),
        _within(1, high),
        kept=False,
    )


def _clock(f4: WatlowF4) -> dict[int, Register]:
    def changed(name: str, word: int) -> datetime:
        part: dict[str, Any] = {name: word}
        return f4.clock.replace(**part)

    def part(name: str) -> Register:
        def check(word: int) -> None:
            try:
                changed(name, word)
            except ValueError as error:
                raise ModbusError(Code.ILLEGAL_VALUE) from error

        return Register(
            lambda: int(getattr(f4.clock, name)),
            lambda word: setattr(f4, "clock", changed(name, word)),
            check,
            kept=False,
        )

    names = ("hour", "minute", "second", "month", "day", "year")
    return {1916 + at: part(name) for at, name in enumerate(names)}
