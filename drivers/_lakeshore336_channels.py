"""The channels of a Lake Shore 336: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from drivers import _lakeshore336 as ls
from drivers._block_plan import Block
from drivers._channel_words import item_fields, texts_of
from drivers.channel import Channel
from drivers.lakeshore336 import LakeShore336
from mktl.errors import BadValue

__all__ = ["blocks_of", "channels_of"]

_HEATERS = (1, 2)
_FAST_S, _USUAL_S, _SLOW_S = 1.0, 5.0, 60.0


def channels_of(tc: LakeShore336) -> tuple[Channel, ...]:
    """Return all channels, bound to *tc*; nothing is sent."""
    return tuple(_with_load(channel) for channel in _channels_of(tc))


def blocks_of(tc: LakeShore336) -> tuple[Block, ...]:
    """Return what one message can read together: temperatures and their status."""

    def read() -> list[Any]:
        pairs = tc.all_temperatures_k().values()
        return [*(kelvin for kelvin, _status in pairs), *(status for _kelvin, status in pairs)]

    paths = tuple(f"{name}.{letter}" for name in ("temperature", "status") for letter in ls.INPUTS)
    queries = ";".join(("KRDG? 0", *(f"RDGST? {letter}" for letter in ls.INPUTS)))
    return (Block(paths, read, queries, len(queries) + len(_ESR) + 1, 53),)


def _with_load(channel: Channel) -> Channel:
    """Return *channel* with about how much is sent and received to read it."""
    queries, received = _LOADS[channel.path.partition(".")[0]]
    return replace(
        channel, sent_bytes=len(queries) + len(_ESR) + 1, received_bytes=received + len(";000\r\n")
    )


def _channels_of(tc: LakeShore336) -> tuple[Channel, ...]:
    return (
        *(
            channel
            for of in (_of_input, _of_input_setup)
            for a in ls.INPUTS
            for channel in of(tc, a)
        ),
        *(channel for of in _OF_OUTPUT for output in ls.OUTPUTS for channel in of(tc, output)),
        Channel(
            "operation",
            item_fields(
                "Operational status", "mask", enumerators=texts_of(ls.OPERATION_BITS, none=True)
            ),
            tc.operation_status,
        ),
        Channel(
            "identity",
            item_fields("Maker, model, serial, firmware", "string"),
            tc.identity,
            None,
            None,
        ),
    )


def _of_input(tc: LakeShore336, letter: str) -> Iterator[Channel]:
    yield Channel(
        f"temperature.{letter}",
        item_fields(f"Temperature of input {letter}", units="kelvin", format="%.3f"),
        partial(tc.temperature_k, letter),
        poll_s=_FAST_S,
    )
    yield Channel(
        f"sensor.{letter}",
        item_fields(f"Reading of input {letter} in volts or ohms, by sensor", format="%.4f"),
        partial(tc.sensor_units, letter),
    )
    yield Channel(
        f"status.{letter}",
        item_fields(
            f"Reading status of input {letter}",
            "mask",
            enumerators=texts_of(ls.READING_BITS, none=True),
        ),
        partial(tc.reading_status, letter),
        poll_s=_FAST_S,
    )
    yield Channel(
        f"alarm.{letter}",
        item_fields(
            f"Alarms of input {letter}",
            "mask",
            enumerators={"None": "None", "0": "High", "1": "Low"},
        ),
        partial(tc.alarm_state, letter),
    )


def _of_input_setup(tc: LakeShore336, letter: str) -> Iterator[Channel]:
    yield Channel(
        f"limit.{letter}",
        item_fields(
            f"Temperature of input {letter} above which all heaters shut off; 0: none",
            units="kelvin",
            format="%.2f",
            range=[0, 2000],
        ),
        partial(tc.temperature_limit_k, letter),
        partial(tc.set_temperature_limit_k, letter),
        _SLOW_S,
    )
    yield Channel(
        f"name.{letter}",
        item_fields(f"Name of input {letter}, up to 15 characters", "string"),
        partial(tc.sensor_name, letter),
        partial(tc.set_sensor_name, letter),
        _SLOW_S,
    )
    yield Channel(
        f"type.{letter}",
        item_fields(
            f"Kind of sensor on input {letter}", "enumerated", enumerators=texts_of(ls.SENSOR_TYPES)
        ),
        lambda: tc.input_type(letter).sensor_type,
        poll_s=_SLOW_S,
    )


def _of_output(tc: LakeShore336, output: int) -> Iterator[Channel]:
    yield Channel(
        f"range.{output}",
        item_fields(
            f"Heater range of output {output}",
            "enumerated",
            enumerators=texts_of(ls.ranges_of(output)),
        ),
        partial(tc.heater_range, output),
        partial(tc.set_heater_range, output),
    )
    yield Channel(
        f"{'heater' if output in _HEATERS else 'analog'}.{output}",
        item_fields(f"Output {output}, of full scale", units="percent", format="%.1f"),
        partial(tc.heater_percent, output),
        poll_s=_FAST_S,
    )
    if output in _HEATERS:
        yield Channel(
            f"fault.{output}",
            item_fields(
                f"Heater fault of output {output}; reading it clears it in the instrument",
                "enumerated",
                enumerators=texts_of(ls.HEATER_FAULTS),
            ),
            partial(tc.heater_fault, output),
        )


def _of_output_setup(tc: LakeShore336, output: int) -> Iterator[Channel]:
    yield Channel(
        f"manual.{output}",
        item_fields(
            f"Manual output {output}",
            units="percent",
            format="%.2f",
            range=[0, 100],
        ),
        partial(tc.manual_output_percent, output),
        partial(tc.set_manual_output_percent, output),
    )
    yield Channel(
        f"mode.{output}",
        item_fields(f"Mode of output {output}", "enumerated", enumerators=texts_of(ls.MODES)),
        lambda: tc.output_mode(output).mode,
        partial(_set_mode, tc, output),
    )
    yield Channel(
        f"input.{output}",
        item_fields(
            f"Control input of output {output}",
            "enumerated",
            enumerators=texts_of(dict(enumerate(("None", *ls.INPUTS)))),
        ),
        partial(_control_input, tc, output),
        partial(_set_control_input, tc, output),
    )


def _of_loop(tc: LakeShore336, output: int) -> Iterator[Channel]:
    yield Channel(
        f"setpoint.{output}",
        item_fields(
            f"Set-point of output {output}", units="kelvin", format="%.3f", range=[0, 2000]
        ),
        partial(tc.setpoint_k, output),
        partial(tc.set_setpoint_k, output),
    )
    yield Channel(
        f"pid.{output}",
        item_fields(
            f"P (0.1 to 1000), I (0.1 to 1000) and D (0 to 200) of output {output}",
            "numeric array",
            format="%.1f",
        ),
        lambda: list(tc.pid(output)),
        partial(_set_pid, tc, output),
    )
    for index, (letter, low, high) in enumerate(
        (("p", 0.1, 1000), ("i", 0.1, 1000), ("d", 0, 200))
    ):
        yield Channel(
            f"{letter}.{output}",
            item_fields(f"{letter.upper()} of output {output}", format="%.1f", range=[low, high]),
            partial(_pid_term, tc, output, index),
            partial(_set_pid_term, tc, output, index),
        )


def _of_ramp(tc: LakeShore336, output: int) -> Iterator[Channel]:
    yield Channel(
        f"ramp.{output}.enabled",
        item_fields(
            f"Whether set-point {output} ramps", "boolean", enumerators={"0": "Off", "1": "On"}
        ),
        lambda: tc.ramp(output).enabled,
        partial(_set_ramp_enabled, tc, output),
    )
    yield Channel(
        f"ramp.{output}.rate",
        item_fields(
            f"Ramp rate of set-point {output}, 0.1 to 100; 0: at once",
            units="kelvin/minute",
            format="%.1f",
            range=[0, 100],
        ),
        lambda: tc.ramp(output).rate_k_per_min,
        partial(_set_ramp_rate, tc, output),
    )
    yield Channel(
        f"ramping.{output}",
        item_fields(f"Whether set-point {output} is moving", "boolean"),
        partial(tc.ramping, output),
        poll_s=_FAST_S,
    )


def _set_mode(tc: LakeShore336, output: int, mode: int) -> None:
    with tc.turn():
        tc.set_output_mode(output, replace(tc.output_mode(output), mode=mode))


def _control_input(tc: LakeShore336, output: int) -> int:
    return (None, *ls.INPUTS).index(tc.output_mode(output).control_input)


def _set_control_input(tc: LakeShore336, output: int, number: int) -> None:
    letters = (None, *ls.INPUTS)
    letter = letters[ls.one_of(number, range(len(letters)), "a control input")]
    with tc.turn():
        tc.set_output_mode(output, replace(tc.output_mode(output), control_input=letter))


def _set_pid(tc: LakeShore336, output: int, values: Sequence[float]) -> None:
    terms = tuple(values)
    if len(terms) != 3:
        raise BadValue(f"P, I and D are three numbers, not {len(terms)}")
    tc.set_pid(output, *terms)


def _pid_term(tc: LakeShore336, output: int, index: int) -> float:
    return tc.pid(output)[index]


def _set_pid_term(tc: LakeShore336, output: int, index: int, value: float) -> None:
    with tc.turn():
        terms = list(tc.pid(output))
        terms[index] = value
        tc.set_pid(output, *terms)


def _set_ramp_enabled(tc: LakeShore336, output: int, enabled: bool) -> None:
    with tc.turn():
        rate = tc.ramp(output).rate_k_per_min
        tc.set_ramp(output, enabled=enabled, rate_k_per_min=rate)


def _set_ramp_rate(tc: LakeShore336, output: int, rate_k_per_min: float) -> None:
    with tc.turn():
        enabled = tc.ramp(output).enabled
        tc.set_ramp(output, enabled=enabled, rate_k_per_min=rate_k_per_min)


_OF_OUTPUT = (_of_output, _of_output_setup, _of_loop, _of_ramp)

_ESR = ";*ESR?"
_SETPOINT = "SETP? 1;OUTMODE? 1;INTYPE? A;INTYPE? B;INTYPE? C;INTYPE? D"
# By the first part of a channel's path: what is sent, and about how many characters come back.
_LOADS = {
    "temperature": ("KRDG? A;RDGST? A", 11),
    "sensor": ("SRDG? A;RDGST? A", 11),
    "status": ("RDGST? A", 3),
    "alarm": ("ALARMST? A", 3),
    "limit": ("TLIMIT? A", 6),
    "name": ("INNAME? A", 15),
    "type": ("INTYPE? A", 9),
    "setpoint": (_SETPOINT, 54),
    "range": ("RANGE? 1", 1),
    "heater": ("HTR? 1", 6),
    "analog": ("AOUT? 3", 6),
    "fault": ("HTRST? 1", 1),
    "manual": ("MOUT? 1", 6),
    "mode": ("OUTMODE? 1", 5),
    "input": ("OUTMODE? 1", 5),
    "pid": ("PID? 1", 20),
    "p": ("PID? 1", 20),
    "i": ("PID? 1", 20),
    "d": ("PID? 1", 20),
    "ramp": ("RAMP? 1", 7),
    "ramping": ("RAMPST? 1", 1),
    "operation": ("OPST?", 3),
    "identity": ("*IDN?", 40),
}
