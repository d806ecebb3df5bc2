"""The command table of the Model 336, as its sheet has it.

Each function gets the instrument and the checked arguments; it returns the reply, or None for a
command that has none. Replies that the sheet does not spell out are built from its signed float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from simulators._lakeshore336_input import NAME_LENGTH, Units
from simulators._lakeshore336_output import HeaterFault, Mode
from simulators._text_commands import (
    Argument,
    Command,
    Event,
    RefusedError,
    integer,
    number,
    one_of,
    quotable,
)

if TYPE_CHECKING:
    from simulators._lakeshore336_input import Input
    from simulators._lakeshore336_output import Output
    from simulators.lakeshore336 import LakeShore336

INPUT_NAMES = ("A", "B", "C", "D")
MAX_SETPOINT_K = 2000.0

_INPUT = one_of(*INPUT_NAMES)
_INPUT_OR_ALL = one_of("0", *INPUT_NAMES)
_OUTPUT = integer(1, 4)
_HEATER = integer(1, 2)
_ANALOG = integer(3, 4)
_FLAG = integer(0, 1)
_ANY = number(-99_999.0, 99_999.0)


def signed(value: float) -> str:
    """Write a number as the instrument does: a sign and five digits, ``+4.2000``, ``-196.15``."""
    size = abs(value)
    decimals = 4 - sum(size >= limit for limit in (9.99995, 99.9995, 999.995, 9999.95))
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "+") if float(text) == 0 else text


def _reading(units: Units) -> Callable[[LakeShore336, str], str]:
    def run(tc: LakeShore336, name: str) -> str:
        asked = INPUT_NAMES if name == "0" else (name,)
        return ",".join(signed(tc.inputs[each].shown(units)) for each in asked)

    return run


def _reading_status(tc: LakeShore336, name: str) -> str:
    return f"{int(tc.inputs[name].status()):03d}"


def _set_setpoint(tc: LakeShore336, output: int, value: float) -> None:
    source = tc.source_of(output)
    kelvin = source.to_kelvin(value) if source else value
    limit_k = source.limit_k if source else 0.0
    if not 0 <= kelvin <= (min(MAX_SETPOINT_K, limit_k) if limit_k > 0 else MAX_SETPOINT_K):
        raise RefusedError(Event.EXECUTION_ERROR)
    tc.outputs[output].set_target(kelvin)


def _setpoint(tc: LakeShore336, output: int) -> str:
    source = tc.source_of(output)
    kelvin = tc.outputs[output].setpoint_k
    return signed(source.from_kelvin(kelvin, source.units) if source else kelvin)


def _set_range(tc: LakeShore336, output: int, new: int) -> None:
    if new > tc.outputs[output].top_range:
        raise RefusedError(Event.EXECUTION_ERROR)
    tc.outputs[output].set_range(new)


def _heater_percent(tc: LakeShore336, output: int) -> str:
    return f"{tc.outputs[output].percent:+.1f}"


def _heater_fault(tc: LakeShore336, output: int) -> str:
    fault = tc.outputs[output].fault
    tc.outputs[output].fault = HeaterFault.NONE
    return str(int(fault))


def _set_pid(tc: LakeShore336, output: int, p: float, i: float, d: float) -> None:
    loop = tc.outputs[output].loop
    loop.p, loop.i, loop.d = p, i, d


def _pid(tc: LakeShore336, output: int) -> str:
    loop = tc.outputs[output].loop
    return ",".join(map(signed, (loop.p, loop.i, loop.d)))


def _ramp_rate(text: str) -> float:
    """Accept 0.1 to 100 K/min, and 0, which means at once."""
    value = float(number(0.0, 100.0)(text))
    if 0 < value < 0.1:
        raise RefusedError(Event.EXECUTION_ERROR)
    return value


def _set_ramp(tc: LakeShore336, output: int, on: int, rate: float) -> None:
    tc.outputs[output].set_ramp(bool(on), rate)


def _ramp(tc: LakeShore336, output: int) -> str:
    return f"{tc.outputs[output].ramp_on:d},{signed(tc.outputs[output].ramp_k_per_min)}"


def _set_output_mode(tc: LakeShore336, output: int, mode: int, source: int, power_up: int) -> None:
    changed = tc.outputs[output]
    changed.mode = Mode(mode)
    changed.input_number = source
    changed.power_up = bool(power_up)


def _output_mode(tc: LakeShore336, output: int) -> str:
    asked = tc.outputs[output]
    return f"{asked.mode:d},{asked.input_number},{asked.power_up:d}"


def _set_manual(tc: LakeShore336, output: int, percent: float) -> None:
    tc.outputs[output].manual_percent = percent


def _set_name(tc: LakeShore336, name: str, label: str) -> None:
    tc.inputs[name].name = label


def _set_type(tc: LakeShore336, name: str, *fields: int) -> None:
    changed = tc.inputs[name]
    changed.type_code, changed.autorange, changed.range, changed.compensation = fields[:4]
    changed.units = Units(fields[4])


def _type(tc: LakeShore336, name: str) -> str:
    asked = tc.inputs[name]
    parts = (asked.type_code, asked.autorange, asked.range, asked.compensation, int(asked.units))
    return ",".join(map(str, parts))


def _set_alarm(tc: LakeShore336, name: str, *fields: float) -> None:
    alarm = tc.inputs[name].alarm
    alarm.on = bool(fields[0])
    alarm.high_k, alarm.low_k, alarm.deadband_k = fields[1:4]
    alarm.latching, alarm.audible, alarm.visible = map(bool, fields[4:])
    if not alarm.on:
        alarm.reset()


def _alarm(tc: LakeShore336, name: str) -> str:
    alarm = tc.inputs[name].alarm
    levels = ",".join(map(signed, (alarm.high_k, alarm.low_k, alarm.deadband_k)))
    return f"{alarm.on:d},{levels},{alarm.latching:d},{alarm.audible:d},{alarm.visible:d}"


def _alarm_status(tc: LakeShore336, name: str) -> str:
    return f"{tc.inputs[name].alarm.high_active:d},{tc.inputs[name].alarm.low_active:d}"


def _reset_alarms(tc: LakeShore336) -> None:
    for each in tc.inputs.values():
        each.alarm.reset()


def _set_limit(tc: LakeShore336, name: str, kelvin: float) -> None:
    tc.inputs[name].limit_k = kelvin


def _events(tc: LakeShore336) -> str:
    return str(tc.take_events())


def _clear(tc: LakeShore336) -> None:
    tc.take_events()


def _of_input(show: Callable[[Input], str]) -> Command:
    return Command(lambda tc, name: show(tc.inputs[name]), (_INPUT,))


def _of_output(show: Callable[[Output], str], which: Argument = _OUTPUT) -> Command:
    return Command(lambda tc, output: show(tc.outputs[output]), (which,))


COMMANDS: Mapping[str, Command] = {
    "*IDN?": Command(lambda tc: tc.disguise or tc.identity),
    "*ESR?": Command(_events),
    "*STB?": Command(lambda tc: str(tc.status_byte())),
    "*CLS": Command(_clear),
    "*OPC?": Command(lambda _tc: "1"),
    "OPST?": Command(lambda tc: f"{tc.operation_status():03d}"),
    "KRDG?": Command(_reading(Units.KELVIN), (_INPUT_OR_ALL,)),
    "CRDG?": Command(_reading(Units.CELSIUS), (_INPUT_OR_ALL,)),
    "SRDG?": Command(_reading(Units.SENSOR), (_INPUT_OR_ALL,)),
    "RDGST?": Command(_reading_status, (_INPUT,)),
    "SETP": Command(_set_setpoint, (_OUTPUT, _ANY)),
    "SETP?": Command(_setpoint, (_OUTPUT,)),
    "RANGE": Command(_set_range, (_OUTPUT, integer(0, 3))),
    "RANGE?": _of_output(lambda output: str(output.range)),
    "HTR?": Command(_heater_percent, (_HEATER,)),
    "AOUT?": Command(_heater_percent, (_ANALOG,)),
    "HTRST?": Command(_heater_fault, (_HEATER,)),
    "PID": Command(_set_pid, (_OUTPUT, number(0.1, 1000), number(0.1, 1000), number(0, 200))),
    "PID?": Command(_pid, (_OUTPUT,)),
    "RAMP": Command(_set_ramp, (_OUTPUT, _FLAG, _ramp_rate)),
    "RAMP?": Command(_ramp, (_OUTPUT,)),
    "RAMPST?": _of_output(lambda output: f"{output.ramping:d}"),
    "OUTMODE": Command(_set_output_mode, (_OUTPUT, integer(0, 5), integer(0, 4), _FLAG)),
    "OUTMODE?": Command(_output_mode, (_OUTPUT,)),
    "MOUT": Command(_set_manual, (_OUTPUT, number(0, 100))),
    "MOUT?": _of_output(lambda output: signed(output.manual_percent)),
    "INNAME": Command(_set_name, (_INPUT, quotable(NAME_LENGTH))),
    "INNAME?": _of_input(lambda each: each.name.ljust(NAME_LENGTH)),
    "INTYPE": Command(
        _set_type, (_INPUT, integer(0, 5), _FLAG, integer(0, 8), _FLAG, integer(1, 3))
    ),
    "INTYPE?": Command(_type, (_INPUT,)),
    "ALARM": Command(
        _set_alarm, (_INPUT, _FLAG, _ANY, _ANY, number(0, 99_999.0), _FLAG, _FLAG, _FLAG)
    ),
    "ALARM?": Command(_alarm, (_INPUT,)),
    "ALARMST?": Command(_alarm_status, (_INPUT,)),
    "ALMRST": Command(_reset_alarms),
    "TLIMIT": Command(_set_limit, (_INPUT, number(0, MAX_SETPOINT_K))),
    "TLIMIT?": _of_input(lambda each: signed(each.limit_k)),
}
"""Header (with its question mark) to command."""
