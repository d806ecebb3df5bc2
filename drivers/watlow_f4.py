"""Watlow Series F4 temperature and chamber controller over Modbus RTU.

How a number is meant (decimals, degrees Celsius or Fahrenheit, which quantity) can be changed at
its front at any time, so it is read together with every number: no value is ever ten times too
large. Temperatures are in degrees Celsius, whatever the front shows.

Source: ``watlow_f4.md``, made from published drivers (watlow-f4, chamberconnectlibrary) and an
excerpt of the Watlow F4 communications guide (exceptions 1 to 3; registers 24, 311, 331, 332). What
the bits of the status words mean is in neither; they are given as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from drivers import _watlow_f4 as f4
from drivers._modbus_settings import ModbusSettings
from drivers._modbus_sync import Expected
from drivers.channel import BlockRead, Channel
from drivers.modbus import ModbusController, Register
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import LineSettings
from mktl.errors import BadValue, DeviceError, DeviceRefused, InvalidReading

__all__ = ["WatlowF4"]


class WatlowF4(ModbusController):
    """One Series F4; inputs 1 to 3, set-points 1 and 2, outputs "1A", "1B", "2A", "2B".

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the
    controller raises what :meth:`ModbusController.read_value` and :meth:`write_value` do. A value
    that it refuses (exception 3) leaves the old one in place.
    """

    driver_name: ClassVar[str] = "watlow_f4"
    line_defaults: ClassVar[LineSettings] = LineSettings(timeout_s=1.0)
    port_defaults: ClassVar[PortDefaults] = PortDefaults(
        tcp_port=502, serial=SerialSettings(baud=19200, parity="none")
    )
    driver_settings: ClassVar[tuple[str, ...]] = (*ModbusController.driver_settings, "inputs")
    setting_examples: ClassVar[Mapping[str, str]] = {
        "inputs": '["temperature", "humidity"]   # or "pressure", "process", "off"',
    }
    url_examples: ClassVar[tuple[str, ...]] = (
        "modbus+rtu:///dev/ttyUSB0?baud=19200&unit=1",
        "modbus+rtu+tcp://192.168.1.10:4001?unit=1",
        "modbus+tcp://192.168.1.10:502?unit=1",
    )
    modbus_defaults: ClassVar[ModbusSettings] = ModbusSettings(
        expected=Expected(Register(table="holding", address=f4.MODEL), (f4.MODEL_CODE,))
    )

    # --- inputs and outputs -----------------------------------------------------------------------

    def input_value(self, number: int) -> float:
        """Return input *number*: degrees Celsius, percent, psi, or a number, as it is set up.

        Raises:
            InvalidReading: the input is off, set up for another quantity than the settings name,
                or its number is not one.

        Source: sheet, registers 100, 104, 108 with 600, 606, 608 and 901.
        """
        return self._scaled(number, f4.value_register(self._input(number)))

    def output_percent(self, output: str) -> float:
        """Return the power of output "1A", "1B", "2A" or "2B". Source: 103, 107, 111, 115."""
        if output not in f4.OUTPUTS:
            raise BadValue(f"an output is one of {', '.join(f4.OUTPUTS)}, not {output!r}")
        return self._one(f4.OUTPUTS[output], signed=True) / 100

    def status_word(self, number: int) -> int:
        """Return alarm and output status word 1 to 4, unexplained. Source: 102, 106, 110, 114."""
        return self._one(f4.STATUS_WORDS[_within(number, range(1, 5), "a status word") - 1])

    def digital_input(self, number: int) -> bool:
        """Return digital input 1 to 4. Source: sheet, 201 + 12 (n - 1)."""
        _within(number, f4.DIGITAL_INPUTS, "a digital input")
        return bool(self._one(f4.digital_register(number)))

    def event(self, number: int) -> bool:
        """Return event output 1 to 8. Source: sheet, 2000 + 10 (n - 1)."""
        return bool(self._one(f4.event_register(_within(number, f4.EVENTS, "an event output"))))

    def set_event(self, number: int, on: bool) -> None:
        """Switch event output 1 to 8."""
        if not isinstance(on, bool):
            raise BadValue(f"an event output is true or false, not {on!r}")
        _within(number, f4.EVENTS, "an event output")
        self._set(f4.event_register(number), int(on))

    # --- control ----------------------------------------------------------------------------------

    def set_point(self, number: int) -> float:
        """Return set-point 1 or 2, in the units of its input. Source: sheet, 300, 319."""
        return self._scaled(number, f4.SET_POINTS[_within(number, f4.SET_POINTS, "a set-point")])

    def set_point_limits(self, number: int) -> tuple[float, float]:
        """Return the lowest and highest set-point. Source: sheet, 602, 603 (612, 613)."""
        setup, lowest, highest = self._limits(_within(number, f4.SET_POINTS, "a set-point"))
        return setup.value(lowest), setup.value(highest)

    def set_point_limit(self, number: int, which: str) -> float:
        """Return one of :meth:`set_point_limits`: *which* is "low" or "high"."""
        if which not in ("low", "high"):
            raise BadValue(f"a limit is low or high, not {which!r}")
        return self.set_point_limits(number)[which == "high"]

    def set_set_point(self, number: int, value: float) -> None:
        """Set set-point 1 or 2, in the units of its input, rounded to its last digit.

        Raises:
            BadValue: it is outside of the limits that are set at the controller; nothing was
                written.
            DeviceRefused: as always; the set-points cannot be written while a profile has them.

        Source: sheet, 300, 319; the limits in 602, 603 (612, 613).
        """
        address = f4.SET_POINTS[_within(number, f4.SET_POINTS, "a set-point")]
        wanted = f4.number_of(value, f"{self.label}: set-point {number}")
        with self.turn():
            setup, lowest, highest = self._limits(number)
            raw = setup.raw(wanted)
            if not lowest <= raw <= highest:
                raise BadValue(
                    f"{self.label}: set-point {number} goes from {setup.value(lowest):g} to "
                    f"{setup.value(highest):g}, as its limits are set, not to {value:g}"
                )
            self._set(address, raw, signed=True)

    def operation(self) -> int:
        """Return 0 static, 2 a profile runs, 3 a profile is held. Source: sheet, 200.

        Raises:
            InvalidReading: it is something else.
        """
        state = self._one(f4.OPERATION)
        if state != 1 and state not in f4.OPERATIONS:
            raise InvalidReading(f"{self.label}: its operation (register 200) is unknown: {state}")
        return 0 if state == 1 else state

    def start_profile(self, profile: int, step: int = 1) -> None:
        """Start *profile* at *step*. Source: sheet, 4000 to 4002 (5: start)."""
        _within(profile, range(1, 257), "a profile")
        _within(step, range(1, 257), "a step")
        with self.turn():  # nobody else is to choose another one meanwhile
            self._set(f4.PROFILE, profile)
            self._set(f4.STEP, step)
            self._command(f4.ACTION, f4.ACTION_START)

    def hold_profile(self) -> None:
        """Hold the profile that runs. Source: sheet, 1210."""
        self._command(f4.HOLD)

    def resume_profile(self) -> None:
        """Go on with the profile that is held. Source: sheet, 1209."""
        self._command(f4.RESUME)

    def terminate_profile(self) -> None:
        """End the profile. Source: sheet, 1217."""
        self._command(f4.TERMINATE)

    def profile_now(self) -> tuple[int, int]:
        """Return profile and step that run. Source: sheet, 4100, 4101."""
        profile, step = f4.whole(found := self._found((f4.NOW_PROFILE, f4.NOW_STEP)), tuple(found))
        return profile, step

    def time_left_s(self) -> int:
        """Return the time left. Source: sheet, 4119 to 4121, which does not say of what."""
        hours, minutes, seconds = f4.whole(self._found(f4.TIME_LEFT), f4.TIME_LEFT)
        return 3600 * hours + 60 * minutes + seconds

    def clear_input_errors(self) -> None:
        """Clear latched input errors. Source: sheet, 311."""
        self._command(f4.CLEAR_INPUT_ERRORS)

    def clear_alarms(self) -> None:
        """Clear latched alarms. Source: sheet, 331."""
        self._command(f4.CLEAR_ALARMS)

    def silence_alarms(self) -> None:
        """Silence alarms. Source: sheet, 332."""
        self._command(f4.SILENCE_ALARMS)

    # --- the controller itself --------------------------------------------------------------------

    def is_volatile(self) -> bool:
        """Return whether writes are not saved in its EEPROM, which wears. Source: sheet, 24."""
        return self._one(f4.VOLATILE) == 1

    def set_volatile(self, volatile: bool) -> None:
        """Have writes saved in its EEPROM, or not. Source: sheet, 24."""
        if not isinstance(volatile, bool):
            raise BadValue(f"whether it is volatile is true or false, not {volatile!r}")
        self._set(f4.VOLATILE, int(volatile))

    def save_to_eeprom(self) -> None:
        """Save what was written meanwhile. Not to be done in a loop. Source: sheet, 25 <- 0."""
        self._command(f4.SAVE, 0)

    def serial_number(self) -> str:
        """Return the two halves of its serial number, as they are. Source: sheet, 1, 2."""
        first, second = f4.whole(self._found(f4.SERIAL), f4.SERIAL)
        return f"{first}-{second}"

    def clock(self) -> str:
        """Return its date and time, like ``2026-03-01 12:30:00``. Source: sheet, 1916 to 1921.

        Raises:
            InvalidReading: it is none.
        """
        numbers = f4.whole(self._found(f4.CLOCK), f4.CLOCK)
        hour, minute, second, month, day, year = numbers
        try:
            return str(datetime(year, month, day, hour, minute, second))
        except ValueError as error:
            raise InvalidReading(f"{self.label}: its clock says {numbers}: {error}") from error

    # --- what the base asks for -------------------------------------------------------------------

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check what the inputs measure, and the rest."""
        self.inputs = f4.check_inputs(settings.pop("inputs", ["temperature"]))
        return super().line_settings(settings)

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/watlow_f4.md`` for the list."""
        from drivers._watlow_f4_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Return the fewest exchanges: what needs the set-up of inputs is read with it, at once."""
        from drivers._watlow_f4_channels import plan_scaled

        scaled, others = plan_scaled(self, channels)
        return [*scaled, *super().plan_reads(others)]

    # --- inside -----------------------------------------------------------------------------------

    def scaled_values(self, wanted: Sequence[tuple[int, int]]) -> list[float | DeviceError]:
        """Return the values in registers that are meant as an input is set up, read in one turn.

        Args:
            wanted: Number of the input, and address, of each.
        """
        setups = {address for number, _ in wanted for address in f4.setup_registers(number)}
        values = {address for _, address in wanted}
        found = self._found((*setups, *values), signed=values)
        return [self._meant(number, address, found) for number, address in wanted]

    def _meant(
        self, number: int, address: int, found: dict[int, int | DeviceError]
    ) -> float | DeviceError:
        try:
            setup = f4.setup_of(number, self.inputs[number - 1], found, label=self.label)
            return setup.value(f4.whole(found, (address,))[0])
        except DeviceError as error:
            return error

    def _limits(self, number: int) -> tuple[f4.Setup, int, int]:
        """Return how set-point *number* is meant, and its limits as they are in the registers."""
        limits = f4.limit_registers(number)
        found = self._found((*f4.setup_registers(number), *limits), signed=limits)
        setup = f4.setup_of(number, self.inputs[number - 1], found, label=self.label)
        lowest, highest = f4.whole(found, limits)
        return setup, lowest, highest

    def _scaled(self, number: int, address: int) -> float:
        value = self.scaled_values([(number, address)])[0]
        if isinstance(value, DeviceError):
            raise value
        return value

    def _found(
        self, addresses: Iterable[int], *, signed: Iterable[int] = ()
    ) -> dict[int, int | DeviceError]:
        """Return what is in holding registers, read in one turn and as few exchanges as can be."""
        signed = frozenset(signed)
        channels = [
            self.register_channel(str(address), f4.place_of(address, signed=address in signed), {})
            for address in sorted(set(addresses))
        ]
        found: dict[int, int | DeviceError] = {}
        with self.turn():
            for block in super().plan_reads(channels):
                for channel, value in zip(block.channels, block.read(), strict=True):
                    found[int(channel.path)] = value
        return found

    def _one(self, address: int, *, signed: bool = False) -> int:
        return int(self.read_value(f4.place_of(address, signed=signed).register))

    def _set(self, address: int, raw: int, *, signed: bool = False, repeat: bool = True) -> None:
        try:
            self.write_value(f4.place_of(address, signed=signed, repeat=repeat), raw)
        except DeviceRefused as error:
            for code, words in f4.REFUSALS.items():
                if f"(exception {code})" in str(error):
                    raise DeviceRefused(f"{error}: {words}") from error
            raise

    def _command(self, address: int, value: int = 1) -> None:
        """Write what starts something: never twice, as the first one may have been heard."""
        self._set(address, value, repeat=False)

    def _input(self, number: int) -> int:
        return _within(number, f4.INPUTS, "an input")


def _within(number: int, known: Iterable[int], what: str) -> int:
    numbers = tuple(known)
    if number not in numbers:
        raise BadValue(f"{what} is {numbers[0]} to {numbers[-1]}, not {number!r}")
    return number
