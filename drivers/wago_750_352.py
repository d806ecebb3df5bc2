"""WAGO 750-352 Ethernet coupler: digital and analog inputs and outputs over Modbus TCP.

The coupler does not tell what its inputs are wired to, so an instrument file says what is plugged
in, in the order of the modules; on each connect that is compared with what the coupler counts::

    [controllers.io]
    driver = "wago_750_352"
    url = "modbus+tcp://192.168.10.30"
    digital_inputs = 8
    digital_outputs = 8
    analog_inputs = ["4-20mA", "4-20mA", "+-10V", "+-10V", "pt100-461", "pt100-461"]

Source: ``wago_750_352.md``, made from published drivers (pyhoff, python-750-plc) and the WAGO
manuals 750-880 (p. 242: register table, with the 750-352 variant) and 750-8202 (constants,
identity). A docstring says so where it relies on more than that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from drivers import _wago_modules as wago
from drivers._modbus_plan import Limits
from drivers._modbus_settings import ModbusSettings, Restored
from drivers._modbus_sync import Expected
from drivers.channel import Channel
from drivers.modbus import ModbusController, Place, Register
from drivers.ports import PortDefaults
from drivers.settings import LineSettings
from mktl.errors import BadValue, DeviceError, DeviceRefused, InvalidReading, WrongDevice

__all__ = ["Wago750352"]

_OUTPUTS_AT = 0x200
_WATCHDOG_MASKS, _WATCHDOG_TRIGGER = 0x1001, 0x1003
_WATCHDOG_STOP, _WATCHDOG_RESTART = 0x1005, 0x1007
_STOP_SEQUENCE = (0xAAAA, 0x5555)
_IMAGE_SIZES, _MAC, _CONSTANTS, _IDENTITY, _FIRMWARE = 0x1022, 0x1031, 0x2000, 0x2011, 0x2013
_CONSTANT_VALUES = [0, 0xFFFF, 0x1234, 0xAAAA, 0x5555, 0x7FFF, 0x8000, 0x3FFF, 0x4000]


class Wago750352(ModbusController):
    """One coupler with its modules. Inputs and outputs are counted from 1, as on the terminals.

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the
    coupler raises what :meth:`ModbusController.read_value` and :meth:`write_value` do. After its
    watchdog has expired the coupler refuses all writes (exception 4) until
    :meth:`restart_watchdog`.
    """

    driver_name: ClassVar[str] = "wago_750_352"
    line_defaults: ClassVar[LineSettings] = LineSettings(timeout_s=1.0)
    port_defaults: ClassVar[PortDefaults] = PortDefaults(tcp_port=502)
    driver_settings: ClassVar[tuple[str, ...]] = (
        *ModbusController.driver_settings,
        "digital_inputs",
        "digital_outputs",
        "analog_inputs",
        "analog_outputs",
    )
    setting_examples: ClassVar[Mapping[str, str]] = {
        "digital_inputs": "8",
        "digital_outputs": "8",
        "analog_inputs": '["4-20mA", "+-10V", "pt100"]   # or "0-20mA", "0-10V", "raw", "signed"',
        "analog_outputs": '["0-10V"]',
    }
    url_examples: ClassVar[tuple[str, ...]] = ("modbus+tcp://192.168.1.10",)
    modbus_defaults: ClassVar[ModbusSettings] = ModbusSettings(
        # The sheet has nothing between the sizes of the image and the idle timeout.
        limits=Limits(holes={"holding": ((0x1026, 0x102F),)}),
        expected=Expected(Register(table="holding", address=_IDENTITY, count=2), ([750, 352],)),
    )

    # --- digital ----------------------------------------------------------------------------------

    def digital_input(self, number: int) -> bool:
        """Return digital input *number*. Source: sheet, row "digital inputs"."""
        return bool(self.read_value(self.digital_input_place(number).register))

    def digital_inputs(self) -> list[bool]:
        """Return all digital inputs, in one exchange."""
        count = self.modules.digital_inputs
        return [bool(bit) for bit in self.read_discrete_inputs(0, count)] if count else []

    def digital_output(self, number: int) -> bool:
        """Return what digital output *number* is. Source: sheet, read back at 512 + n."""
        return bool(self.read_value(self.digital_output_place(number).register))

    def set_digital_output(self, number: int, on: bool) -> None:
        """Switch digital output *number*, and read it back. Source: sheet, coils at 512 + n.

        Raises:
            DeviceRefused: as always; it says so if the watchdog has expired.
        """
        if not isinstance(on, bool):
            raise BadValue(f"a digital output is true or false, not {on!r}")
        self._write(self.digital_output_place(number), on)

    # --- analog -----------------------------------------------------------------------------------

    def analog_input(self, number: int) -> float:
        """Return analog input *number*, scaled by its kind.

        Raises:
            InvalidReading: it is outside of what the input can measure, as with a broken wire.

        Source: sheet, "Scaling examples".
        """
        return float(self.read_value(self.analog_input_place(number).register))

    def analog_output(self, number: int) -> float:
        """Return what analog output *number* is set to, scaled by its kind."""
        return float(self.read_value(self.analog_output_place(number).register))

    def set_analog_output(self, number: int, value: float) -> None:
        """Set analog output *number*, in the units of its kind, and read it back.

        Raises:
            DeviceRefused: as always; it says so if the watchdog has expired.

        Source: sheet, row "analog outputs": written at n, read back at 0x200 + n.
        """
        place = self.analog_output_place(number)
        kind = wago.KINDS[self.modules.analog_outputs[place.write_address]]
        assert kind.range is not None  # of every kind that can be an output
        low, high = kind.range
        if not _is_number(value) or not low <= value <= high:
            raise BadValue(f"analog output {number} goes from {low} to {high}, not to {value!r}")
        # The nearest step: the scale of a word has none at most round values.
        steps = round((value - kind.offset) / kind.scale)
        self._write(place, steps * kind.scale + kind.offset)

    # --- the watchdog -----------------------------------------------------------------------------

    def watchdog_time_s(self) -> float:
        """Return after how long without a request all outputs fall to 0; 0: never.

        Requests are those of :meth:`watchdog_functions`. Source: sheet, 0x1000 and "Fail-safe".
        """
        return float(self.read_value(wago.watchdog_time().register))

    def set_watchdog_time_s(self, seconds: float) -> None:
        """Set the watchdog, 0.1 s steps up to 6553.5 s; 0 switches it off. Source: sheet, 0x1000.

        Polling re-triggers it, too, unless :meth:`set_watchdog_functions` says otherwise.
        """
        steps = 10 * seconds if _is_number(seconds) else math.nan
        if not 0 <= steps <= 0xFFFF or abs(steps - round(steps)) > 1e-6:
            raise BadValue(f"the watchdog takes 0 to 6553.5 s in steps of 0.1 s, not {seconds!r}")
        self._write(wago.watchdog_time(), round(steps) / 10)

    def watchdog_functions(self) -> int:
        """Return the requests that re-trigger the watchdog: bit n - 1 is function code n.

        Source: sheet, 0x1001, 0x1002 (a bit for each function code); that they are in the order of
        the codes is general knowledge.
        """
        low, high = self.read_holding_registers(_WATCHDOG_MASKS, 2)
        return (low | high << 16) & wago.WATCHDOG_MASK

    def set_watchdog_functions(self, mask: int) -> None:
        """Choose the requests that re-trigger the watchdog, as :meth:`watchdog_functions`.

        Without any of them only :meth:`trigger_watchdog` does.
        """
        if not _is_mask(mask):
            raise BadValue(
                f"function codes are bits of {wago.WATCHDOG_MASK:#x} (bit n - 1 is code n), "
                f"not {mask!r}"
            )
        write = partial(self.write_registers, _WATCHDOG_MASKS, [mask & 0xFFFF, mask >> 16])
        self._explained(write)

    def trigger_watchdog(self) -> None:
        """Trigger the watchdog by hand. Source: sheet, 0x1003.

        Which value does so is not in the sheet; another one than is in it is written.
        """
        with self.turn():
            before = self.read_holding_registers(_WATCHDOG_TRIGGER, 1)[0]
            self._explained(partial(self.write_register, _WATCHDOG_TRIGGER, before ^ 1))

    def watchdog_status(self) -> int:
        """Return 0 off, 1 runs, 2 expired. Source: 0x1006; values: other couplers of WAGO.

        Raises:
            InvalidReading: it is something else.
        """
        return int(self.read_value(wago.watchdog_status().register))

    def restart_watchdog(self) -> None:
        """Begin anew after the watchdog has expired: outputs can be written again.

        They stay at 0 until they are. Source: sheet, 0x1007 <- 1.
        """
        self.write_register(_WATCHDOG_RESTART, 1)

    def stop_watchdog(self) -> None:
        """Stop the watchdog. Source: sheet, 0x1005 <- 0xAAAA, then 0x5555."""
        with self.turn():
            for value in _STOP_SEQUENCE:
                self.write_register(_WATCHDOG_STOP, value)

    # --- the coupler itself -----------------------------------------------------------------------

    def led_error(self) -> tuple[int, int]:
        """Return code and argument of the error that the LED blinks. Source: 0x1020, 0x1021."""
        code, argument = self.read_holding_registers(wago.LED_ERROR, 2)
        return code, argument

    def mac_address(self) -> str:
        """Return the MAC address, like ``00:30:de:42:03:52``. Source: sheet, 0x1031."""
        words = self.read_holding_registers(_MAC, 3)
        return ":".join(f"{byte:02x}" for word in words for byte in divmod(word, 256))

    def firmware(self) -> str:
        """Return the version of the firmware. Source: sheet, 0x2013, 0x2014."""
        major, minor = self.read_holding_registers(_FIRMWARE, 2)
        return f"{major}.{minor}"

    def text(self, name: str) -> str:
        """Return a text of the coupler: ``description``, or ``time``, ``date`` or ``loader``.

        The latter three are about its firmware. Source: sheet, 0x2020 to 0x2023, low byte first;
        which is what, and how long, is general knowledge.

        Raises:
            InvalidReading: it is no text.
        """
        if name not in wago.TEXTS:
            raise BadValue(f"a text is one of {', '.join(wago.TEXTS)}, not {name!r}")
        return str(self.read_value(wago.TEXTS[name]))

    def module_list(self) -> tuple[str, ...]:
        """Return what the coupler finds plugged in, like ``750-454`` or ``8 digital inputs``.

        A digital module has no number there, and the coupler itself may come first. Source: sheet,
        0x2030 (65 words) and on; how long the lists after the first are is general knowledge.
        """
        words: list[int] = []
        with self.turn():
            for address, length in wago.MODULE_LISTS:
                words += self.read_holding_registers(address, length)
                if 0 in words:
                    break
        known = words[: words.index(0)] if 0 in words else words
        return tuple(map(wago.module_text, known))

    # --- what the base asks for -------------------------------------------------------------------

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check which modules are plugged in, and the rest."""
        own = {name: settings.pop(name) for name in self.driver_settings[-4:] if name in settings}
        self.modules = wago.check_modules(own)
        return super().line_settings(settings)

    def on_connect(self) -> None:
        """Make sure that words arrive in the right order, and that the modules are those named.

        Raises:
            WrongDevice: they are others.
        """
        super().on_connect()
        constants = self.read_holding_registers(_CONSTANTS, len(_CONSTANT_VALUES))
        if constants != _CONSTANT_VALUES:
            raise WrongDevice(f"its constants at 0x2000 are {constants}, not {_CONSTANT_VALUES}")
        sizes = tuple(self.read_holding_registers(_IMAGE_SIZES, 4))
        names = ("analog outputs", "analog inputs", "digital outputs", "digital inputs")
        for name, found, wanted in zip(names, sizes, self.modules.image_bits, strict=True):
            if found != wanted:
                per = 16 if name.startswith("analog") else 1
                raise WrongDevice(
                    f"it has {found // per} {name}, and the settings name {wanted // per}: "
                    f"set {name.replace(' ', '_')} as the modules are plugged in"
                    f"{self._which_modules()}"
                )

    def restore_setting(self, setting: Restored) -> None:
        """Write one of the ``restore`` values; refused, the error says what the watchdog does."""
        self._explained(partial(super().restore_setting, setting))

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for each input and output, and for the coupler itself."""
        from drivers._wago_channels import channels_of

        return channels_of(self)

    # --- places of inputs and outputs -------------------------------------------------------------

    def digital_input_place(self, number: int) -> Place:
        """Return where digital input *number* is."""
        index = _index(number, self.modules.digital_inputs, "digital input")
        return wago.bit_place("discrete", index)

    def digital_output_place(self, number: int) -> Place:
        """Return where digital output *number* is."""
        index = _index(number, self.modules.digital_outputs, "digital output")
        return wago.bit_place("coil", _OUTPUTS_AT + index)

    def analog_input_place(self, number: int) -> Place:
        """Return where analog input *number* is."""
        kinds = self.modules.analog_inputs
        index = _index(number, len(kinds), "analog input")
        return wago.word_place("input", index, kinds[index], written_at=index)

    def analog_output_place(self, number: int) -> Place:
        """Return where analog output *number* is."""
        kinds = self.modules.analog_outputs
        index = _index(number, len(kinds), "analog output")
        return wago.word_place("holding", _OUTPUTS_AT + index, kinds[index], written_at=index)

    # --- inside -----------------------------------------------------------------------------------

    def _write(self, place: Place, value: Any) -> None:
        self._explained(partial(self.write_value, place, value))

    def _explained(self, write: Callable[[], None]) -> None:
        """Carry out *write*; if the coupler fails to, say what its watchdog does."""
        with self.turn():
            try:
                write()
            except DeviceRefused as error:
                if "(exception 4)" not in str(error):
                    raise
                raise DeviceRefused(f"{error}; {self._about_watchdog()}") from error

    def _about_watchdog(self) -> str:
        try:
            status = self.watchdog_status()
        except DeviceError as error:
            return f"its watchdog may have expired, but that could not be asked: {error}"
        if wago.WATCHDOG_STATES[status] == "Expired":
            return (
                "its watchdog has expired: all outputs are 0, and cannot be written before it is "
                "restarted (holding 0x1007 <- 1)"
            )
        return f"its watchdog is not the reason ({wago.WATCHDOG_STATES[status]})"

    def _which_modules(self) -> str:
        try:
            return f"; it finds {', '.join(self.module_list())}"
        except (DeviceRefused, InvalidReading):
            return ""


def _index(number: int, count: int, what: str) -> int:
    if number not in range(1, count + 1):
        raise BadValue(f"there are {what}s 1 to {count}, no {number!r}: see the settings")
    return int(number) - 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_mask(value: object) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and value & ~wago.WATCHDOG_MASK == 0  # type: ignore[operator]
