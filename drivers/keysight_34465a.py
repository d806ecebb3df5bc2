"""Keysight 34465A multimeter, over VISA (socket, VXI-11, HiSLIP, USB-TMC) or raw TCP.

A reading takes as long as it integrates, 4 s at 100 periods of the mains. The meter is told to
begin (INIT), and the readings are fetched when its memory has them: meanwhile the line is free for
all else. A setting that is changed meanwhile ends the measurement, which is begun anew with what
holds then: no reading is of two settings.

A command that the meter refuses is not answered, and changes nothing; the error goes to its queue,
which is read after each command, in the same turn.

Source: the sheet of the instrument, made from qcodes
(``Keysight/private/Keysight_344xxA_submodules.py``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from drivers import _keysight_34465a as dmm
from drivers._block_plan import plan
from drivers._keysight_34465a import Setup
from drivers._keysight_34465a_measuring import Measured, Measuring
from drivers.channel import BlockRead, Channel
from drivers.ports import PortDefaults
from drivers.scpi import ScpiController, check_lost_reply, to_flag, to_float
from drivers.settings import Identity, LineSettings
from mktl.errors import ConfigurationError

__all__ = ["Keysight34465A", "Measured"]

_MEASURES = re.compile(r"(READ|MEAS|CONF|INIT)", re.IGNORECASE)
_WAITS = re.compile(r"(READ|MEAS|FETC|R\?|\*OPC\?|\*WAI|\*TST\?)", re.IGNORECASE)

Result = TypeVar("Result")


class Keysight34465A(ScpiController):
    """One multimeter.

    Setting: ``trigger_wait_s``, how long to wait for an external trigger; 10 s if it is not given.

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the meter
    raises:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the meter put an error into its queue; it names what was sent and the entries;
    - InvalidReading: there is no value: overload (9.9E37), or another function than asked for;
    - ProtocolMismatch: the reply is not one to what was asked.
    """

    driver_name: ClassVar[str] = "keysight_34465a"
    driver_settings: ClassVar[tuple[str, ...]] = ("trigger_wait_s",)
    setting_examples: ClassVar[Mapping[str, str]] = {"trigger_wait_s": "10"}
    url_examples: ClassVar[tuple[str, ...]] = (
        "visa://TCPIP::192.168.1.10::5025::SOCKET",
        "visa://TCPIP::192.168.1.10::hislip0::INSTR",
        "visa://TCPIP::192.168.1.10::INSTR",
        "tcp://192.168.1.10:5025",
    )
    error_query = "SYST:ERR?"
    port_defaults = PortDefaults(tcp_port=5025)
    line_defaults = LineSettings(
        reply_end=b"\n",
        longest_reply=20 * dmm.MOST_SAMPLES,
        identity=Identity(
            ask=b"*IDN?\n",
            reply=re.compile(r"Keysight Technologies,34465A,[^,]*,[^,]*"),
            check=check_lost_reply,
        ),
    )

    _trigger_wait_s = 10.0

    def __init__(
        self, url: str, *, name: str | None = None, restore: Sequence[Any] = (), **settings: Any
    ) -> None:
        """As :class:`drivers.base.ControllerBase`."""
        super().__init__(url, name=name, restore=restore, **settings)
        self._measuring = Measuring(self, self._trigger_wait_s)
        self.on_change(self._measuring.link_changed)

    def close(self) -> None:
        """Take back one :meth:`open`; the last one stops it for good, measurements too."""
        super().close()
        if self._users <= 0:
            self._measuring.begin_anew()

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check all of them.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        wait_s = settings.pop("trigger_wait_s", 10.0)
        number = isinstance(wait_s, int | float) and not isinstance(wait_s, bool)
        if not (number and math.isfinite(wait_s) and wait_s > 0):
            raise ConfigurationError(
                f"trigger_wait_s must be a positive number of seconds, not {wait_s!r}"
            )
        self._trigger_wait_s = float(wait_s)
        return super().line_settings(settings)

    # --- readings ---------------------------------------------------------------------------------

    def measure(self) -> Measured:
        """Measure, and return all readings, in the unit of the function that is set.

        It takes as long as integration, samples and trigger say, and leaves the line to others.
        Source: sheet, ``INIT``, ``DATA:POIN?``, ``FETC?``.
        """
        return self._measuring.measure()

    def voltage_v(self) -> float:
        """Measure, and return the DC voltage in volts; the mean of the samples."""
        return self._measuring.measure(dmm.VOLTAGE).mean

    def resistance_ohm(self) -> float:
        """Measure, and return the resistance in ohms; the mean of the samples."""
        return self._measuring.measure(dmm.RESISTANCE).mean

    def reading(self) -> float:
        """Measure, and return the mean of the samples, in the unit of the function that is set."""
        return self.measure().mean

    def setup(self) -> Setup:
        """Return what decides how long a measurement takes."""
        return self._measuring.setup()

    # --- settings ---------------------------------------------------------------------------------

    def function(self) -> int:
        """Return what it measures, one of :data:`drivers._keysight_34465a.FUNCTIONS`."""
        return self._read("SENS:FUNC?", dmm.to_function)

    def set_function(self, function: int) -> None:
        """Choose what it measures: 0 DC voltage, 1 resistance, 2 temperature. Source: sheet."""
        self._configure(f"SENS:FUNC {dmm.function_text(function)}")

    def range_v(self) -> float:
        """Return the range for DC voltage in volts. Source: sheet, ``SENS:VOLT:DC:RANG?``."""
        return self._read("SENS:VOLT:DC:RANG?", to_float)

    def set_range_v(self, range_v: float) -> None:
        """Set the range for DC voltage: 0.1, 1, 10, 100 or 1000 V."""
        text = dmm.one_of(range_v, dmm.RANGES_V, "the range in volts")
        self._configure(f"SENS:VOLT:DC:RANG {text}")

    def autorange(self) -> bool:
        """Return whether it finds the range for DC voltage by itself."""
        return self._read("SENS:VOLT:DC:RANG:AUTO?", to_flag)

    def set_autorange(self, on: bool) -> None:
        """Have it find the range for DC voltage by itself, or not."""
        self._configure(f"SENS:VOLT:DC:RANG:AUTO {dmm.on_or_off(on)}")

    def autorange_once(self) -> None:
        """Have it find the range for DC voltage once. Source: sheet, ``RANG:AUTO ONCE``."""
        self._configure("SENS:VOLT:DC:RANG:AUTO ONCE")

    def nplc(self) -> float:
        """Return how long it integrates DC voltage, in periods of the mains."""
        return self._read("SENS:VOLT:DC:NPLC?", to_float)

    def set_nplc(self, nplc: float) -> None:
        """Set how long it integrates DC voltage: 0.02 to 100 periods of the mains.

        0.001 needs an option. Source: sheet, ``SENS:VOLT:DC:NPLC``.
        """
        text = dmm.one_of(nplc, dmm.NPLCS, "the integration time in periods of the mains")
        self._configure(f"SENS:VOLT:DC:NPLC {text}")

    def samples(self) -> int:
        """Return how many readings a measurement has. Source: sheet, ``SAMP:COUN?``."""
        return self._read("SAMP:COUN?", dmm.to_samples)

    def set_samples(self, count: int) -> None:
        """Set how many readings a measurement has, 1 to 10000. Source: sheet, ``SAMP:COUN``."""
        self._configure(f"SAMP:COUN {dmm.sample_count(count)}")

    def trigger_source(self) -> int:
        """Return what triggers a measurement, one of :data:`drivers._keysight_34465a.SOURCES`."""
        return self._read("TRIG:SOUR?", dmm.to_source)

    def set_trigger_source(self, source: int) -> None:
        """Choose what triggers: 0 nothing, 1 the bus (the driver does it), 2 the socket for it."""
        self._configure(f"TRIG:SOUR {dmm.source_text(source)}")

    def line_hz(self) -> int:
        """Return the frequency of the mains, as the meter has found it. Source: ``SYST:LFR?``."""
        return self._read("SYST:LFR?", dmm.to_line_hz)

    def set_display(self, text: str) -> None:
        """Show *text* on the display; the empty text shows the readings again.

        Source: sheet, ``DISP:TEXT``, ``DISP:TEXT:CLE``.
        """
        shown = dmm.display_text(text)
        self.command(f"DISP:TEXT {shown}" if text else "DISP:TEXT:CLE")

    # --- the whole instrument ---------------------------------------------------------------------

    def status_byte(self) -> int:
        """Return the status byte. Source: sheet, ``*STB?``."""
        return self._read("*STB?", dmm.to_byte)

    def events(self) -> int:
        """Return the register of events, and have the meter clear it. Source: ``*ESR?``."""
        return self._read("*ESR?", dmm.to_byte)

    def reset(self) -> None:
        """Set everything to what it is after a reset. Source: sheet, ``*RST``."""
        self._configure("*RST")

    def identity(self) -> str:
        """Return maker, model, serial number and firmware. Source: sheet, ``*IDN?``."""
        with self.answered("*IDN?") as text:
            if not text.startswith("Keysight Technologies,34465A"):
                raise ValueError(f"{text!r} is not a 34465A")
            return text

    def options(self) -> str:
        """Return the options that are installed; "0" if none. Source: sheet, ``*OPT?``."""
        return self.query("*OPT?")

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/keysight_34465a.md`` for the list."""
        from drivers._keysight_34465a_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Measure once for all channels that are readings."""
        from drivers._keysight_34465a_channels import blocks_of

        return plan(channels, blocks_of(self))

    def raw(self, text: str) -> str:
        """Send *text* as it is and return the reply; empty for a command.

        What waits for a measurement, such as ``READ?``, keeps the line for as long; the deadline is
        computed from the settings.

        Raises:
            DeviceRefused: the error queue has entries after it.
        """
        with self.turn():
            if not self.replies_to(text):
                self._configure(text)
                return ""
            if _MEASURES.search(text):
                self._measuring.interrupt()
            timeout_s = self._measuring.longest_s(self.setup()) if _WAITS.search(text) else None
            return self.query(text, timeout_s=timeout_s)

    # --- inside -----------------------------------------------------------------------------------

    def _configure(self, text: str) -> None:
        """Send a command that a measurement depends on."""
        with self.turn():
            self._measuring.interrupt()
            self.command(text)

    def _read(self, query: str, parse: Callable[[str], Result]) -> Result:
        with self.answered(query) as text:
            return parse(text)
