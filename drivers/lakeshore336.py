"""Lake Shore Model 336 cryogenic temperature controller, on TCP or its USB serial port.

Every message carries ``;*ESR?`` at its end, as the maker's own library does it: set commands never
answer, and a query that the instrument does not understand gets no answer either; the status
register tells of both at once.

Source: ``shared/instruments/lakeshore_336.md``, made from the maker's Python library
(``lakeshore/model_336.py``) and manual rev. 2.3, section 6.3.5 (50 ms between messages). What the
sheet marks as general knowledge was not checked against the manual.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence

from drivers import _lakeshore336 as ls
from drivers._block_plan import plan
from drivers._lakeshore336 import Alarm, OutputMode, Ramp, SensorInput
from drivers.channel import BlockRead, Channel
from drivers.controller import Controller
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import Identity, LineSettings
from mktl.errors import DeviceRefused, InvalidReading, ProtocolMismatch

__all__ = ["Alarm", "LakeShore336", "OutputMode", "Ramp", "SensorInput"]

_ZERO_CELSIUS_K = 273.15
_HIGHEST_K = 2000.0


class LakeShore336(Controller):
    """One Model 336: inputs "A" to "D", outputs 1 and 2 (heaters), 3 and 4 (analog).

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the
    instrument raises:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the instrument reported an error; it names what was sent and the bits;
    - ProtocolMismatch: the reply is not one to what was asked.
    """

    driver_name = "lakeshore336"
    port_defaults = PortDefaults(
        tcp_port=7777, serial=SerialSettings(baud=57600, bits=7, parity="odd", stop=1)
    )
    line_defaults = LineSettings(
        reply_end=b"\r\n",
        longest_reply=1024,
        min_gap_s=0.05,
        identity=Identity(
            ask=b"*IDN?;*ESR?\n",
            reply=re.compile(r"LSCI,MODEL336,[^;]*;\d{1,3}"),
            check=ls.check_lost_reply,
        ),
    )

    # --- inputs -----------------------------------------------------------------------------------

    def temperature_k(self, sensor_input: str) -> float:
        """Return the temperature in kelvin.

        Raises:
            InvalidReading: the instrument marks the reading as not valid; names the bits.

        Source: sheet, ``KRDG?`` with ``RDGST?`` in the same message.
        """
        return self._reading("KRDG?", sensor_input)

    def all_temperatures_k(self) -> dict[str, tuple[float | InvalidReading, int]]:
        """Return temperature and reading status of each input, asked for in one message.

        Where a reading is not valid, the error of :meth:`temperature_k` is in its place. Source:
        sheet, ``KRDG? 0`` (all inputs, joined with commas).
        """
        with self._asked("KRDG? 0", *(f"RDGST? {a}" for a in ls.INPUTS)) as (text, *status):
            read = ls.to_temperatures(text, status)
        return {
            a: (self._not_valid(a, why) if (why := ls.why_not_valid(bad, k)) else k, bad)
            for a, (k, bad) in read.items()
        }

    def temperature_c(self, sensor_input: str) -> float:
        """Return the temperature in degrees Celsius; otherwise as :meth:`temperature_k`."""
        return self._reading("CRDG?", sensor_input)

    def sensor_units(self, sensor_input: str) -> float:
        """Return the reading in volts or ohms, by sensor; otherwise as :meth:`temperature_k`."""
        return self._reading("SRDG?", sensor_input)

    def reading_status(self, sensor_input: str) -> int:
        """Return the status of the reading as a mask, 0 if good. Source: sheet, ``RDGST?``."""
        with self._asked(f"RDGST? {ls.input_letter(sensor_input)}") as (text,):
            return ls.to_int(text, range(256))

    def sensor_name(self, sensor_input: str) -> str:
        """Return the name of the input, without the blanks at its end."""
        with self._asked(f"INNAME? {ls.input_letter(sensor_input)}") as (text,):
            return text.rstrip()

    def set_sensor_name(self, sensor_input: str, name: str) -> None:
        """Name the input; up to 15 printable ASCII characters, no quotes. Source: ``INNAME``."""
        self._set(f'INNAME {ls.input_letter(sensor_input)},"{ls.sensor_name(name)}"')

    def input_type(self, sensor_input: str) -> SensorInput:
        """Return how the input is set up. Source: sheet, ``INTYPE?``."""
        with self._asked(f"INTYPE? {ls.input_letter(sensor_input)}") as (text,):
            return ls.to_sensor_input(text)

    def alarm(self, sensor_input: str) -> Alarm:
        """Return the alarm settings of the input. Source: sheet, ``ALARM?``."""
        with self._asked(f"ALARM? {ls.input_letter(sensor_input)}") as (text,):
            return ls.to_alarm(text)

    def set_alarm(self, sensor_input: str, alarm: Alarm) -> None:
        """Set the alarm of the input. Source: sheet, ``ALARM``."""
        numbers = ",".join(
            ls.number(value, -math.inf, math.inf, "an alarm limit")
            for value in (alarm.high, alarm.low, alarm.deadband)
        )
        self._set(
            f"ALARM {ls.input_letter(sensor_input)},{alarm.enabled:d},{numbers},"
            f"{alarm.latching:d},{alarm.audible:d},{alarm.visible:d}"
        )

    def alarm_state(self, sensor_input: str) -> int:
        """Return which alarms are on, as a mask: 1 high, 2 low. Source: sheet, ``ALARMST?``."""
        with self._asked(f"ALARMST? {ls.input_letter(sensor_input)}") as (text,):
            high, low = text.split(",")
            return ls.to_flag(high) | ls.to_flag(low) << 1

    def reset_alarms(self) -> None:
        """Reset latched alarms. Source: sheet, ``ALMRST``."""
        self._set("ALMRST")

    def temperature_limit_k(self, sensor_input: str) -> float:
        """Return the temperature above which all heaters shut off; 0 if none."""
        with self._asked(f"TLIMIT? {ls.input_letter(sensor_input)}") as (text,):
            return ls.to_float(text)

    def set_temperature_limit_k(self, sensor_input: str, limit_k: float) -> None:
        """Set the temperature above which all heaters shut off; 0 disables it. Source: TLIMIT."""
        limit = ls.number(limit_k, 0, _HIGHEST_K, "the temperature limit in kelvin")
        self._set(f"TLIMIT {ls.input_letter(sensor_input)},{limit}")

    # --- outputs ----------------------------------------------------------------------------------

    def setpoint_k(self, output: int) -> float:
        """Return the set-point in kelvin; while a ramp runs, where the ramp is.

        Raises:
            InvalidReading: it is not a temperature: the output has no control input, or one whose
                preferred units are sensor units.
        """
        with self.turn():
            value, units = self.setpoint(output)
        if units == "kelvin":
            return value
        if units == "celsius":
            return value + _ZERO_CELSIUS_K
        raise InvalidReading(f"{self.label}: set-point {output} is not a temperature: {units}")

    def set_setpoint_k(self, output: int, setpoint_k: float) -> None:
        """Set the set-point, converted to the preferred units of the control input.

        Args:
            output: 1 to 4.
            setpoint_k: 0 to 2000 kelvin; the instrument may refuse less, by sensor.

        Raises:
            DeviceRefused: the set-point of this output is not a temperature, or as always.

        Source: sheet, ``SETP`` (in the preferred units of the control input).
        """
        text = ls.number(setpoint_k, 0, _HIGHEST_K, "a set-point in kelvin")
        with self.turn():
            _value, units = self.setpoint(output)
            if units == "celsius":
                text = ls.plain(float(setpoint_k) - _ZERO_CELSIUS_K)
            elif units != "kelvin":
                raise DeviceRefused(
                    f"{self.label}: set-point {output} is not a temperature: {units}; "
                    f"nothing was changed"
                )
            self._set(f"SETP {output},{text}")

    def setpoint(self, output: int) -> tuple[float, str]:
        """Return the set-point as the instrument has it, and its units.

        The units are "kelvin", "celsius", "sensor units", or "no control input".

        Source: sheet, ``SETP?``, ``OUTMODE?`` and the last field of ``INTYPE?``, in one message.
        """
        queries = [f"SETP? {ls.output_number(output)}", f"OUTMODE? {output}"]
        queries += [f"INTYPE? {sensor_input}" for sensor_input in ls.INPUTS]
        with self._asked(*queries) as (value, mode, *inputs):
            control_input = ls.to_output_mode(mode).control_input
            setups = dict(zip(ls.INPUTS, map(ls.to_sensor_input, inputs), strict=True))
            number = ls.to_float(value)
        if control_input is None:
            return number, "no control input"
        return number, ls.UNITS[setups[control_input].units]

    def heater_range(self, output: int) -> int:
        """Return 0 off, 1 low, 2 medium, 3 high (outputs 1, 2), or 0 off, 1 on (3, 4)."""
        with self._asked(f"RANGE? {ls.output_number(output)}") as (text,):
            return ls.to_int(text, ls.ranges_of(output))

    def set_heater_range(self, output: int, heater_range: int) -> None:
        """Set the heater range; numbers as for :meth:`heater_range`. Source: sheet, ``RANGE``."""
        allowed = ls.ranges_of(ls.output_number(output))
        self._set(f"RANGE {output},{ls.one_of(heater_range, allowed, 'a range')}")

    def heater_percent(self, output: int) -> float:
        """Return the output in percent: ``HTR?`` for 1 and 2, ``AOUT?`` for 3 and 4."""
        query = "HTR?" if ls.output_number(output) in (1, 2) else "AOUT?"
        with self._asked(f"{query} {output}") as (text,):
            return ls.to_reading(text)

    def heater_fault(self, output: int) -> int:
        """Return the heater fault of output 1 or 2: 0 none, 1 open load, 2 short.

        Reading **clears** it in the instrument, which turned the heater off: two readers must not
        share it otherwise than through one published item.

        Source: sheet, ``HTRST?``.
        """
        with self._asked(f"HTRST? {ls.one_of(output, (1, 2), 'a heater output')}") as (text,):
            return ls.to_int(text, ls.HEATER_FAULTS)

    def pid(self, output: int) -> tuple[float, float, float]:
        """Return P, I and D of the control loop. Source: sheet, ``PID?``."""
        with self._asked(f"PID? {ls.output_number(output)}") as (text,):
            p, i, d = map(ls.to_float, text.split(","))
            return p, i, d

    def set_pid(self, output: int, p: float, i: float, d: float) -> None:
        """Set P (0.1 to 1000), I (0.1 to 1000) and D (0 to 200). Source: sheet, ``PID``."""
        terms = f"{ls.number(p, 0.1, 1000, 'P')},{ls.number(i, 0.1, 1000, 'I')}"
        self._set(f"PID {ls.output_number(output)},{terms},{ls.number(d, 0, 200, 'D')}")

    def ramp(self, output: int) -> Ramp:
        """Return the ramp settings. Source: sheet, ``RAMP?``."""
        with self._asked(f"RAMP? {ls.output_number(output)}") as (text,):
            enabled, rate = text.split(",")
            return Ramp(ls.to_flag(enabled), ls.to_float(rate))

    def set_ramp(self, output: int, *, enabled: bool, rate_k_per_min: float) -> None:
        """Set the ramp, which the next new set-point will follow.

        Args:
            output: 1 to 4.
            enabled: Whether to ramp.
            rate_k_per_min: 0.1 to 100 kelvin per minute; 0 is at once.

        Source: sheet, ``RAMP``.
        """
        low = 0 if rate_k_per_min == 0 else 0.1
        rate = ls.number(rate_k_per_min, low, 100, "a ramp rate in kelvin per minute (or 0)")
        self._set(f"RAMP {ls.output_number(output)},{bool(enabled):d},{rate}")

    def ramping(self, output: int) -> bool:
        """Return whether the set-point is moving. Source: sheet, ``RAMPST?``."""
        with self._asked(f"RAMPST? {ls.output_number(output)}") as (text,):
            return ls.to_flag(text)

    def output_mode(self, output: int) -> OutputMode:
        """Return mode, control input and power-up behaviour. Source: sheet, ``OUTMODE?``."""
        with self._asked(f"OUTMODE? {ls.output_number(output)}") as (text,):
            return ls.to_output_mode(text)

    def set_output_mode(self, output: int, mode: OutputMode) -> None:
        """Set mode, control input and power-up behaviour. Source: sheet, ``OUTMODE``."""
        number = 0
        if mode.control_input is not None:
            number = ls.INPUTS.index(ls.input_letter(mode.control_input)) + 1
        kind = ls.one_of(mode.mode, ls.MODES, "an output mode")
        self._set(f"OUTMODE {ls.output_number(output)},{kind},{number},{bool(mode.power_up):d}")

    def manual_output_percent(self, output: int) -> float:
        """Return the manual output. Source: sheet, ``MOUT?``."""
        with self._asked(f"MOUT? {ls.output_number(output)}") as (text,):
            return ls.to_float(text)

    def set_manual_output_percent(self, output: int, percent: float) -> None:
        """Set the manual output, 0 to 100 percent. Source: sheet, ``MOUT``."""
        text = ls.number(percent, 0, 100, "a manual output in percent")
        self._set(f"MOUT {ls.output_number(output)},{text}")

    # --- the whole instrument ---------------------------------------------------------------------

    def identity(self) -> str:
        """Return maker, model, serial number and firmware. Source: sheet, ``*IDN?``."""
        with self._asked("*IDN?") as (text,):
            if not text.startswith("LSCI,MODEL336,"):
                raise ValueError(f"{text!r} is not a Model 336")
            return text

    def operation_status(self) -> int:
        """Return the operational status as a mask. Source: sheet, ``OPST?``."""
        with self._asked("OPST?") as (text,):
            return ls.to_int(text, range(256))

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/drivers.md`` for the list."""
        from drivers._lakeshore336_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read all temperatures with their status in one message, where two are wanted or more."""
        from drivers._lakeshore336_channels import blocks_of

        return plan(channels, blocks_of(self))

    def replies_to(self, text: str) -> bool:
        """Whether *text* is, or ends with, a query."""
        return "?" in text

    def raw(self, text: str) -> str:
        """Send *text* as it is and return the reply; empty for a command.

        Raises:
            DeviceRefused: it was a command, and the instrument refused it.
        """
        with self.turn():
            reply = super().raw(text)
            if not self.replies_to(text):
                self._check_esr(text, self.ask("*ESR?"))
            return reply

    def restore_setting(self, setting: str) -> None:
        """Send one of the ``restore`` commands; refused, it raises DeviceRefused."""
        self._set(setting)

    # --- inside -----------------------------------------------------------------------------------

    def _reading(self, query: str, sensor_input: str) -> float:
        letter = ls.input_letter(sensor_input)
        with self._asked(f"{query} {letter}", f"RDGST? {letter}") as (text, status_text):
            value = ls.to_reading(text)
            status = ls.to_int(status_text, range(256))
        if why := ls.why_not_valid(status, value if query == "KRDG?" else None):
            raise self._not_valid(letter, why)
        return value

    def _not_valid(self, letter: str, why: str) -> InvalidReading:
        return InvalidReading(f"{self.label}: the reading of input {letter} is not valid: {why}")

    @contextlib.contextmanager
    def _asked(self, *queries: str) -> Iterator[list[str]]:
        """Ask *queries* in one message, and give their replies.

        A ValueError in the context is a reply that cannot be: a ProtocolMismatch.
        """
        text = ";".join((*queries, "*ESR?"))
        with self.turn():
            reply = self.ask(text)
            # From the right, because a single reply may have a semicolon in it (a sensor's name).
            fields, separator, esr = reply.rpartition(";")
            self._check_esr(text, esr)
            replies = [fields] if len(queries) == 1 else fields.split(";")
            with self._understanding(text, reply):
                if len(replies) != len(queries) or not separator:
                    raise ValueError(f"{len(queries)} replies and the status register are due")
                yield replies

    def _set(self, command: str) -> None:
        text = f"{command};*ESR?"
        with self.turn():
            self._check_esr(text, self.ask(text))

    def _check_esr(self, sent: str, esr: str) -> None:
        try:
            bits = ls.to_int(esr, range(256))
        except ValueError as error:
            raise ProtocolMismatch(
                f"{self.label}: asked {sent!r}, and {esr!r} came back for the status register; "
                f"the line is put back in step before anything else is sent"
            ) from error
        if bits & ls.POWER_ON:
            # What it was set to is lost: connecting again sends what is to be restored.
            self._line.reconnect(ls.SWITCHED_OFF)
        if bits & ls.ESR_ERRORS:
            raise DeviceRefused(
                f"{self.label}: after {sent!r} the instrument reports {ls.errors_in_words(bits)}: "
                f"most likely it refused that and changed nothing, but the register tells of all "
                f"that went wrong since it was last read, for another host too"
            )
