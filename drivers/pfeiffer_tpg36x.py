"""Pfeiffer TPG 361, 362 and 366 vacuum gauge controllers, over TCP or RS-232.

Each message is acknowledged, and what it asks for is then fetched with ENQ: the handshake of the
``text`` driver, which this one stands on. Values come with a status, in the unit that somebody has
chosen at the panel. So the unit is asked before and after each reading, in the same turn, and
pressures are given in hectopascal (which are millibar) whatever the panel shows.

After it was switched on, and in continuous mode, the controller sends lines unasked until it is
spoken to. So before the line is drained it is sent ETX.

Source: the sheet of the instrument, made from the PyPI package ``labmcp-pfeiffer-tpg`` (BG 5510,
BG 5511, BG 5500, BG 5501).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

from drivers import _pfeiffer_tpg36x as tpg
from drivers._block_plan import plan
from drivers._pfeiffer_tpg36x import Measurement
from drivers._text_identity import TextIdentity
from drivers._text_settings import Speech, line_settings_of
from drivers._text_talk import TextTalk
from drivers.channel import BlockRead, Channel
from drivers.connection import Connection
from drivers.identity import Synchroniser
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import LineSettings
from mktl.errors import DeviceLost, DeviceRefused, InvalidReading, ProtocolMismatch, WrongDevice

__all__ = ["Measurement", "PfeifferTPG36x"]

_ENQ, _ETX = b"\x05", b"\x03"
_TRIES = 3

Result = TypeVar("Result")


class PfeifferTPG36x(TextTalk):
    """One gauge controller, with 1, 2 or 6 channels.

    Setting: ``model``, one of :data:`drivers._pfeiffer_tpg36x.MODELS`, ``tpg366`` if none is given.

    Arguments are checked before anything is sent (BadValue). Every method that speaks to the unit
    raises:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the unit said NAK; its error word in words;
    - InvalidReading: the unit has no pressure for that channel, and says why;
    - ProtocolMismatch: the reply is not one to what was asked.
    """

    driver_name: ClassVar[str] = "pfeiffer_tpg36x"
    driver_settings: ClassVar[tuple[str, ...]] = ("model",)
    setting_examples: ClassVar[Mapping[str, str]] = {"model": '"tpg366"   # or "tpg361", "tpg362"'}
    url_examples: ClassVar[tuple[str, ...]] = ("tcp://192.168.1.10:8000", "serial:///dev/ttyUSB0")
    port_defaults = PortDefaults(tcp_port=8000, serial=SerialSettings(baud=9600))
    # The sheet: send ETX, wait 0.2 s, drain.
    line_defaults = LineSettings(longest_reply=512, hush=_ETX, quiet_s=0.2)

    model: str
    """Which one it is."""
    count: int
    """How many channels it has."""

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check all of them, and note which model it is to be.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        self.model = tpg.checked_model(settings.pop("model", "tpg366"))
        self.count = tpg.MODELS[self.model]
        self._speech = Speech(tpg.SPEECH, self.unit)
        return line_settings_of(self.line_defaults, self._speech, settings)

    # --- pressures --------------------------------------------------------------------------------

    def measurements(self) -> tuple[Measurement, ...]:
        """Return status and value of all channels. Source: sheet, ``PRX`` and ``UNI``."""
        return self._measured("PRX", self.count)

    def measurement(self, channel: int) -> Measurement:
        """Return status and value of one channel. Source: sheet, ``PR1`` to ``PR6``, ``UNI``."""
        number = tpg.channel_number(channel, self.count)
        return self._measured(f"PR{number}", 1)[0]

    def pressure_hpa(self, channel: int) -> float:
        """Return the pressure at one channel, in hectopascal.

        Raises:
            InvalidReading: its status is not 0, or the unit shows volts.
        """
        found = self.pressure_of(channel, self.measurement(channel))
        if isinstance(found, InvalidReading):
            raise found
        return found

    def pressure_of(self, channel: int, measurement: Measurement) -> float | InvalidReading:
        """Return the pressure that *measurement* of *channel* says, or why it says none."""
        pressure_hpa = measurement.pressure_hpa
        if pressure_hpa is not None:
            return pressure_hpa
        return InvalidReading(
            f"{self.label}: channel {channel} has no pressure: {measurement.reason}"
        )

    def gauge_status(self, channel: int) -> int:
        """Return the status of one channel, one of :data:`drivers._pfeiffer_tpg36x.STATUSES`."""
        number = tpg.channel_number(channel, self.count)
        return self._read(f"PR{number}", lambda text: tpg.to_measurements(text, 1, 0))[0].status

    # --- gauges -----------------------------------------------------------------------------------

    def gauges(self) -> tuple[int, ...]:
        """Return for each channel 0: not switchable, 1: off, 2: on. Source: sheet, ``SEN``."""
        return self._read("SEN", lambda text: tpg.to_gauges(text, self.count))

    def gauge(self, channel: int) -> int:
        """Return 0: not switchable, 1: off, 2: on. Source: sheet, ``SEN``."""
        return self.gauges()[tpg.channel_number(channel, self.count) - 1]

    def set_gauge(self, channel: int, state: int) -> None:
        """Turn the gauge of one channel off (1) or on (2); the others stay as they are.

        Raises:
            DeviceRefused: it cannot be switched, and nothing was sent; or it reads back otherwise.

        Source: sheet, ``SEN,0,2,0,...``, with 0 for no change.
        """
        index = tpg.channel_number(channel, self.count) - 1
        digit = tpg.gauge_digit(state)
        wanted = ",".join(str(digit if n == index else 0) for n in range(self.count))
        with self.turn():
            if self.gauges()[index] == 0:
                raise DeviceRefused(
                    f"{self.label}: the gauge of channel {channel} cannot be switched; no change "
                    f"was asked for"
                )
            self.tell(f"SEN,{wanted}")
            now = self.gauges()[index]
        if now != digit:
            raise DeviceRefused(
                f"{self.label}: after 'SEN,{wanted}' the gauge of channel {channel} is "
                f"{tpg.GAUGES[now].lower()}: it was not switched"
            )

    def gauge_types(self) -> tuple[str, ...]:
        """Return what gauges are plugged in, such as ``PKR`` or ``noSENSOR``. Source: ``TID``."""
        return self._read("TID", lambda text: tpg.to_types(text, self.count))

    def gauge_type(self, channel: int) -> str:
        """Return what gauge is plugged into one channel. Source: sheet, ``TID``."""
        return self.gauge_types()[tpg.channel_number(channel, self.count) - 1]

    # --- the whole unit ---------------------------------------------------------------------------

    def display_unit(self) -> int:
        """Return the unit that it shows, one of :data:`drivers._pfeiffer_tpg36x.UNITS`."""
        return self._read("UNI", tpg.to_unit)

    def set_display_unit(self, unit: int) -> None:
        """Have it show another unit; pressures are in hectopascal all the same. Source: ``UNI``.

        Raises:
            DeviceRefused: it reads back otherwise.
        """
        number = tpg.unit_number(unit)
        with self.turn():
            self.tell(f"UNI,{number}")
            now = self.display_unit()
        if now != number:
            raise DeviceRefused(
                f"{self.label}: after 'UNI,{number}' its unit is {tpg.UNITS[now]}: it did not take "
                f"that"
            )

    def error_word(self) -> int:
        """Return the error word, and have the unit forget it. Source: sheet, ``ERR``.

        The bits are those of :data:`drivers._pfeiffer_tpg36x.ERRORS`.
        """
        return self._read("ERR", tpg.to_error_word)

    def identity(self) -> str:
        """Return model, part number, serial number, firmware, hardware. Source: ``AYT``."""
        return self._read("AYT", tpg.to_identity)

    def firmware(self) -> str:
        """Return the version of the firmware. Source: sheet, ``PNR``."""
        return self._read("PNR", tpg.to_firmware)

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/pfeiffer_tpg36x.md`` for the list."""
        from drivers._pfeiffer_tpg36x_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read the pressures and statuses of all channels with one message, and so on."""
        from drivers._pfeiffer_tpg36x_channels import blocks_of

        return plan(channels, blocks_of(self))

    def synchroniser(self) -> Synchroniser:
        """Return what finds out who answers, and knows that a stream means a restart."""
        return _Identity(self._settings, self._speech)

    def on_connect(self) -> None:
        """Make sure that it has as many channels as ``model`` says.

        Raises:
            WrongDevice: it has not.
        """
        super().on_connect()
        model = self.identity().partition(",")[0]
        if model.lower() != self.model:
            raise WrongDevice(
                f"the unit says that it is a {model}, and not a {self.model.upper()}: write "
                f'model = "{model.lower()}", or look at the URL'
            )

    def replies_to(self, text: str) -> bool:
        """Whether there are data to be fetched after *text*: not after ``UNI,4``."""
        return bool(text) and "," not in text

    # --- inside -----------------------------------------------------------------------------------

    def _measured(self, query: str, count: int) -> tuple[Measurement, ...]:
        with self.turn():
            unit = self.display_unit()
            for _attempt in range(_TRIES):
                before = unit
                found = self._read(query, partial(tpg.to_measurements, count=count, unit=unit))
                unit = self.display_unit()
                if unit == before:
                    return found
        raise InvalidReading(
            f"{self.label}: its unit was changed again and again while it was read, from "
            f"{tpg.UNITS[before]} to {tpg.UNITS[unit]} in the end"
        )

    def _read(self, query: str, parse: Callable[[str], Result]) -> Result:
        """Return what *parse* makes of the reply; a ValueError of it is a ProtocolMismatch."""
        with self.turn():
            reply = self.ask(query)
            try:
                return parse(reply)
            except ValueError as error:
                raise ProtocolMismatch(
                    f"{self.label}: asked {query!r}, and {reply!r} came back: {error}; the line is "
                    f"put back in step before anything else is sent"
                ) from error

    def _check_ack(self, text: str, line: bytes) -> None:
        if tpg.is_measurement(line.decode("ascii", "replace")):
            self._line.reconnect(_streams(line))
            raise DeviceLost(
                f"{self.label}: sent {text!r}, and {_streams(line)}; connecting again, with all "
                f"settings"
            )
        super()._check_ack(text, line)

    def _refusal(self, text: str, words: str, line: bytes) -> DeviceRefused:
        try:
            meaning = f"its error word is {words}: {tpg.words_of(tpg.to_error_word(words))}"
        except ValueError:
            return super()._refusal(text, words, line)
        return DeviceRefused(f"{self.label}: {text!r} was refused (NAK); {meaning}")


class _Identity(TextIdentity):
    """Knows a stream of measurements, which means a restart, from one that comes late."""

    _is_due = False

    def unanswered(self, message: bytes) -> None:
        """Note that data were asked for, which may still come."""
        super().unanswered(message)
        self._is_due = self._is_due or message == _ENQ

    def _check(self, connection: Connection, answer: str) -> str:
        lost = connection.thrown_away.split(b"\r\n")
        is_due, self._is_due = self._is_due, False
        for line in lost:
            if not is_due and tpg.is_measurement(line.decode("ascii", "replace")):
                raise DeviceLost(_streams(line))
        return super()._check(connection, answer)


def _streams(line: bytes) -> str:
    return f"it was switched off and on, or told to send by itself, as {line!r} came"
