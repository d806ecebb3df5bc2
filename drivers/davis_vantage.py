"""Davis Vantage Pro2 (and Pro, and Vue) weather consoles, on a serial line or WeatherLinkIP.

The console sends a packet of 99 bytes about every 2 s, once it was told to, and stops when it is
sent anything at all. So whatever is asked ends the stream, and when the line is left it is begun
anew. The console sleeps most of the time, and is woken before it is spoken to. All of that is of
the line: see ``wake`` and ``stream`` of :class:`drivers.settings.LineSettings`.

A packet is believed if its check sum is right, all is in place that is the same in each packet, and
no value is implausible that was plausible in the packet before.

Source: the sheet of the instrument, made from the PyPI packages ``weewx`` and ``PyVantagePro``.
General knowledge, of the serial communication reference of Davis, are ``SETTIME``, the bits of the
setup byte that say what a click of the rain bucket means, and that the altitude is in feet.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from drivers import _davis_console as da
from drivers._davis_talk import DavisTalk
from drivers.channel import Channel
from drivers.framing.davis import with_crc
from mktl.errors import InvalidReading

__all__ = ["DavisVantage"]


class DavisVantage(DavisTalk):
    """One console.

    Setting ``silence_s``: without a packet for so long, nothing that packets say is valid; 10.

    What packets say is read with :meth:`value`, or the methods of that name, from the newest packet
    of the stream: they send nothing. Arguments are checked before anything is sent (BadValue). The
    methods raise:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the console does not know a command, or did not take it;
    - InvalidReading: the console shows dashes, or what it says cannot be true;
    - ProtocolMismatch: the reply is damaged, or not one to what was asked.
    """

    driver_name: ClassVar[str] = "davis_vantage"
    url_examples: ClassVar[tuple[str, ...]] = ("serial:///dev/ttyUSB0", "tcp://192.168.1.10")

    # --- what packets say -------------------------------------------------------------------------

    def outside_temperature_c(self) -> float:
        """Return the temperature outside. Source: sheet, "LOOP packet"."""
        return float(self.value("temperature.outside"))

    def inside_temperature_c(self) -> float:
        """Return the temperature at the console. Source: sheet, "LOOP packet"."""
        return float(self.value("temperature.inside"))

    def outside_humidity_percent(self) -> float:
        """Return the relative humidity outside. Source: sheet, "LOOP packet"."""
        return float(self.value("humidity.outside"))

    def inside_humidity_percent(self) -> float:
        """Return the relative humidity at the console. Source: sheet, "LOOP packet"."""
        return float(self.value("humidity.inside"))

    def pressure_hpa(self) -> float:
        """Return the pressure, reduced to sea level. Source: sheet, "LOOP packet"."""
        return float(self.value("pressure"))

    def wind_speed_m_s(self) -> float:
        """Return the speed of the wind now. Source: sheet, "LOOP packet"."""
        return float(self.value("wind.speed"))

    def wind_average_m_s(self) -> float:
        """Return the average speed of the wind in 10 minutes. Source: sheet, "LOOP packet"."""
        return float(self.value("wind.average"))

    def wind_direction_deg(self) -> float:
        """Return where the wind comes from, 1 to 360. Source: sheet, "LOOP packet"."""
        return float(self.value("wind.direction"))

    def rain_rate_mm_h(self) -> float:
        """Return the rate of rain. Source: sheet, "LOOP packet"."""
        return float(self.value("rain.rate"))

    def rain_today_mm(self) -> float:
        """Return the rain since midnight. Source: sheet, "LOOP packet"."""
        return float(self.value("rain.today"))

    def solar_w_m2(self) -> float:
        """Return the solar radiation. Source: sheet, "LOOP packet"."""
        return float(self.value("solar"))

    def uv_index(self) -> float:
        """Return the index of UV radiation. Source: sheet, "LOOP packet"."""
        return float(self.value("uv"))

    def console_battery_v(self) -> float:
        """Return the voltage of the console's battery. Source: sheet, "LOOP packet"."""
        return float(self.value("battery.console"))

    # --- what the console is asked: each of these interrupts the stream ---------------------------

    def station(self) -> str:
        """Return what kind of station it is. Source: sheet, ``WRD`` 0x12 0x4D."""
        return self.ask_twice_for(da.ASK_STATION, da.to_station)

    def firmware(self) -> str:
        """Return the version of the firmware, which old ones do not know. Source: ``NVER``."""
        return self.ask_twice_for(b"NVER\n", da.to_ok_text)

    def firmware_date(self) -> str:
        """Return the date of the firmware, as the console words it. Source: sheet, ``VER``."""
        return self.ask_twice_for(b"VER\n", da.to_ok_text)

    def console_time(self) -> datetime:
        """Return the clock of the console, which knows no time zone. Source: sheet, ``GETTIME``."""
        return self.ask_for(b"GETTIME\n", da.to_time)

    def set_console_time(self, when: datetime) -> None:
        """Set the clock of the console, to the second. Source: ``SETTIME``, general knowledge.

        Args:
            when: Its local time, without a time zone.

        Raises:
            DeviceRefused: it was not taken.
        """
        data = with_crc(da.time_bytes(when))
        with self.turn():
            self.ask(b"SETTIME\n", query=False)
            self.ask(data, query=False)

    def clock_offset_s(self) -> float:
        """Return by how much the clock of the console is ahead of that of this machine."""
        with self.turn():
            console = self.console_time()
            return round((console - datetime.now()).total_seconds(), 1)

    def set_clock_offset_s(self, ahead_s: float) -> None:
        """Set the clock of the console to that of this machine, *ahead_s* ahead."""
        self.set_console_time(da.now_and(ahead_s))

    def eeprom(self, address: int, count: int) -> bytes:
        """Return *count* bytes of the memory of settings. Source: sheet, ``EEBRD``."""
        return self.ask_for(da.eeprom_query(address, count), bytes)

    def rain_click_mm(self) -> float:
        """Return how much rain a click of the bucket means. Source: sheet, EEPROM 0x2B.

        Raises:
            InvalidReading: the setup does not say it.
        """
        click_um = self.rain_click_um()
        if click_um is None:
            raise InvalidReading(f"{self.label}: its setup says a rain bucket that is not known")
        return click_um / 1000

    def rain_year_month(self) -> int:
        """Return the month in which the year of rain begins. Source: sheet, EEPROM 0x2C."""
        return self.setting(da.RAIN_YEAR)

    def archive_period_min(self) -> int:
        """Return how often the console archives, in minutes. Source: sheet, EEPROM 0x2D."""
        return self.setting(da.ARCHIVE_PERIOD)

    def altitude_m(self) -> float:
        """Return the altitude that the console was told. Source: sheet, EEPROM 0x0F, in feet."""
        return round(self.setting(da.ALTITUDE) * 0.3048, 1)

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/davis_vantage.md`` for the list."""
        from drivers._davis_channels import channels_of

        return channels_of(self)
