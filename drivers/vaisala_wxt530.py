"""Vaisala WXT530 and WXT520 weather transmitters: ASCII, on a serial line, RS-485 or TCP.

A transmitter is polled, or says its messages by itself (automatic). With check sums (``crc``, which
is the default) messages are asked for so that they come with one. The unit of each value comes
with it, as a letter: whatever the transmitter is set to, values are given in the units of the
channel, and ``#`` in the place of the unit is no value.

Source: the sheet of the instrument, made from the manuals of WXT510, WXT520 and WXT532, and from
``weewx-wxt5x0`` and ``vaisalad``. General knowledge are that settings are asked for with ``0XU``,
``0WU`` and so on, that M takes effect after a restart, and the words that confirm a reset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from drivers import _vaisala_wxt530 as wxt
from drivers._block_plan import plan
from drivers._vaisala_talk import VaisalaTalk
from drivers.channel import BlockRead, Channel
from mktl.errors import BadValue, InvalidReading

__all__ = ["VaisalaWXT530"]


class VaisalaWXT530(VaisalaTalk):
    """One transmitter; ``unit=N`` in the URL is its address, where several share a line.

    Settings: ``mode``, "polled" or "automatic"; ``crc``, whether lines have a check sum;
    ``silence_s``, after which what comes by itself is no longer valid, a number or a table.

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the
    transmitter raises:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`; with its error
      messages turned off (``SU,S=N``) it is silent where it would refuse;
    - DeviceRefused: it does not know a command, or did not take a setting;
    - InvalidReading: it marks the value as not valid, does not send it, or cannot measure;
    - ProtocolMismatch: the reply is damaged, or not one to what was asked.
    """

    driver_name: ClassVar[str] = "vaisala_wxt530"
    setting_examples: ClassVar[Mapping[str, str]] = {
        "mode": '"polled"   # or "automatic": the transmitter speaks by itself',
        "crc": "true",
    }
    url_examples: ClassVar[tuple[str, ...]] = (
        "serial:///dev/ttyUSB0",
        "serial:///dev/ttyUSB0?unit=1",
        "tcp://192.168.1.10:4001",
    )

    # --- measured values --------------------------------------------------------------------------

    def wind_direction_deg(self) -> float:
        """Return where the wind comes from, average. Source: sheet, ``R1``, Dm."""
        return float(self.value("wind.direction"))

    def wind_speed_m_s(self) -> float:
        """Return the speed of the wind, average. Source: sheet, ``R1``, Sm."""
        return float(self.value("wind.speed"))

    def wind_gust_m_s(self) -> float:
        """Return the greatest speed of the wind. Source: sheet, ``R1``, Sx."""
        return float(self.value("wind.gust"))

    def temperature_c(self) -> float:
        """Return the temperature of the air. Source: sheet, ``R2``, Ta."""
        return float(self.value("temperature"))

    def humidity_percent(self) -> float:
        """Return the relative humidity. Source: sheet, ``R2``, Ua."""
        return float(self.value("humidity"))

    def pressure_hpa(self) -> float:
        """Return the pressure of the air. Source: sheet, ``R2``, Pa."""
        return float(self.value("pressure"))

    def rain_total_mm(self) -> float:
        """Return the rain since the counter was reset. Source: sheet, ``R3``, Rc."""
        return float(self.value("rain.total"))

    def rain_rate_mm_h(self) -> float:
        """Return the rate of rain. Source: sheet, ``R3``, Ri."""
        return float(self.value("rain.rate"))

    def heater_state(self) -> int:
        """Return 0: off, 1: half, 2: full, 3: fault. Source: sheet, ``R5``, letter of Vh."""
        return int(self.value(wxt.HEATER))

    def supply_v(self) -> float:
        """Return the voltage of the supply. Source: sheet, ``R5``, Vs."""
        return float(self.value("supply.voltage"))

    # --- resets -----------------------------------------------------------------------------------

    def reset_rain(self) -> None:
        """Set the counters of rain and hail to zero. Source: sheet, ``XZRU``."""
        self.reset("XZRU")

    def reset_rain_rate(self) -> None:
        """Set the rates of rain and hail to zero. Source: sheet, ``XZRI``."""
        self.reset("XZRI")

    def reset_measurement(self) -> None:
        """Begin all measurements anew. Source: sheet, ``XZM``."""
        self.reset("XZM")

    # --- settings, which stay when the power is off -----------------------------------------------

    def identity(self) -> str:
        """Return model and version of the firmware. Source: ``XU``, N and V, general knowledge."""
        settings = self.ask_settings("X")
        words = [settings[letter] for letter in "NV" if settings.get(letter)]
        if not words:
            raise InvalidReading(f"{self.label}: its settings do not say what it is: {settings}")
        return " ".join(words)

    def mode(self) -> str:
        """Return the letter of what it speaks, of :data:`wxt.MODES`. Source: sheet, ``XU``, M."""
        letter = self.ask_settings("X").get("M", "")
        if letter not in wxt.MODES:
            raise InvalidReading(f"{self.label}: mode: its setting M is {letter!r}")
        return letter

    def set_mode(self, letter: str) -> None:
        """Have it be polled (P, p) or automatic (A, a), and restart it if that is new.

        Raises:
            DeviceRefused: it was not taken.
            LinkDown: it is not there again 30 s after the restart.

        Source: sheet, ``XU,M=``; NMEA, which it could speak too, cannot be set.
        """
        if letter not in tuple(wxt.SETTABLE_MODES):
            raise BadValue(f"a mode is one of {', '.join(wxt.SETTABLE_MODES)}, not {letter!r}")
        with self.turn():
            if self.mode() == letter:
                return
            self.change_setting("X", "M", letter)
        self.restart()

    def interval_s(self, kind: str) -> int:
        """Return how often "wind", "ptu", "rain" or "supervisor" is measured.

        In automatic mode it is said as often. Source: sheet, ``WU``, ``TU``, ``RU``, ``SU``, I.
        """
        text = self.ask_settings(self._sensor(kind)).get("I", "")
        if not text.isdecimal():
            raise InvalidReading(f"{self.label}: interval.{kind}: its setting I is {text!r}")
        return int(text)

    def set_interval_s(self, kind: str, interval_s: float) -> None:
        """Set how often a sensor measures, 1 to 3600 s. Source: sheet, ``WU,I=`` and so on."""
        seconds = wxt.checked_interval(interval_s)
        self.change_setting(self._sensor(kind), "I", str(seconds))

    def _sensor(self, kind: str) -> str:
        if kind not in wxt.SENSORS:
            raise BadValue(f"{self.label}: a sensor is {', '.join(wxt.SENSORS)}, not {kind!r}")
        return wxt.SENSORS[kind]

    # --- the whole transmitter --------------------------------------------------------------------

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/vaisala_wxt530.md`` for the list."""
        from drivers._vaisala_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read all that one message has with one exchange."""
        from drivers._vaisala_channels import blocks_of

        return plan(channels, blocks_of(self))
