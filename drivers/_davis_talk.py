"""How one speaks with a Davis console, and how one listens to it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from drivers import _davis_console as da
from drivers._davis_packet import NoValue, to_loop
from drivers._davis_quantities import decoded
from drivers.base import ControllerBase
from drivers.connection import Connection
from drivers.framing.davis import ACK, CRLF, NAKS, Damage, DavisReplies
from drivers.identity import IdentityCheck, Synchroniser
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import Identity, LineSettings, Wake
from drivers.unasked import Listeners, SilenceWatch
from mktl.errors import BadValue, DeviceRefused, DeviceTimeout, InvalidReading, ProtocolMismatch

__all__ = ["DavisTalk"]

_FRESH_S = 3.0
_FIRST_S = 5.0


class DavisTalk(ControllerBase):
    """A console that sends packets, and answers commands in between."""

    driver_settings: ClassVar[tuple[str, ...]] = ("silence_s",)
    port_defaults: ClassVar[PortDefaults] = PortDefaults(
        tcp_port=22222, serial=SerialSettings(baud=19200)
    )
    line_defaults: ClassVar[LineSettings] = LineSettings(
        reply_end=CRLF,
        unsolicited=(re.compile(r"LOO.{96}", re.DOTALL),),
        identity=Identity(b"WRD\x12\x4d\n", re.compile(r"\x06[\x10\x11]")),
        wake=Wake(b"\n", CRLF, within_s=1.2, tries=3),
        stream=True,
        timeout_s=2.0,
        # Three packets that do not come, and the console is woken and told to send.
        idle_probe_s=6.0,
    )

    packets_at_once: ClassVar[int] = 200
    """How many packets the console is told to send; then it is told again."""

    def __init__(self, url: str, **settings: Any) -> None:
        """Prepare a controller of one's own; :meth:`open` gives one that is shared.

        Args:
            url: Where it is: ``serial:///dev/ttyUSB0``, or ``tcp://host`` for port 22222.
            settings: As for all controllers, and ``silence_s``.

        Raises:
            ConfigurationError: the URL or a setting is not valid.
        """
        self.damage = Damage()
        """What came of the stream and was dropped, since the controller was made."""
        self._silence_s = 0.0
        self._listeners = Listeners()
        self._arrived = threading.Condition()
        self._newest: dict[str, Any] | None = None
        self._newest_at = self._begun_at = self._due_at = 0.0
        self._odd: frozenset[str] = frozenset()
        self._left = 0
        self._click_um: int | None = None
        super().__init__(url, **settings)
        self._watch = SilenceWatch(self.name)

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check the settings, and have damaged packets counted.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        self._silence_s = da.checked_silence(settings.pop("silence_s", 10.0))
        framing = _Framing(self.damage)
        return replace(self.line_defaults.updated(settings), framing=framing)

    def synchroniser(self) -> Synchroniser:
        """Return what finds out who answers, and puts the line back in step."""
        return _StationCheck(self._settings)

    # --- what packets say -------------------------------------------------------------------------

    def value(self, path: str) -> Any:
        """Return a value of the newest packet; *path* is that of a channel.

        Raises:
            DeviceTimeout: none has come for 3 s, nor within 5 s of a question, or of being told to
                send.
        """
        values = self._wait_for_packet()
        if path not in values:
            raise BadValue(f"{self.label}: a packet has no {path!r}")
        found = self._reading(path, values[path])
        if isinstance(found, InvalidReading):
            raise found
        return found

    def packet(self) -> dict[str, Any]:
        """Return all values of the newest packet, by path; an InvalidReading where there is none.

        Raises:
            DeviceTimeout: none has come for 3 s, nor within 5 s of a question, or of being told to
                send.
        """
        values = self._wait_for_packet()
        return {path: self._reading(path, value) for path, value in values.items()}

    # --- what is asked ----------------------------------------------------------------------------

    def rain_click_um(self) -> int | None:
        """Return what a click of the rain bucket means, in micrometres; ``None``: not known."""
        try:
            return self.setting(da.SETUP)
        except DeviceRefused:
            return None

    def setting(self, setting: da.Setting[da.Value]) -> da.Value:
        """Ask for something that stands in the EEPROM."""
        return self.ask_for(da.eeprom_query(setting.address, setting.length), setting.read)

    def ask_for(self, message: bytes, read: Callable[[bytes], da.Value]) -> da.Value:
        """Send *message* and return what *read* finds in the answer, which it gets without its ACK.

        Raises:
            DeviceRefused: the answer is a sign that says so.
            ProtocolMismatch: *read* raises a ValueError.
        """
        with self.turn():
            reply = self.ask(message)
            try:
                return read(reply.removeprefix(ACK))
            except ValueError as error:
                raise ProtocolMismatch(
                    f"{self.label}: asked {message!r}, and {reply!r} came back: {error}; the line "
                    f"is put back in step before anything else is sent"
                ) from error

    def ask_twice_for(self, message: bytes, read: Callable[[bytes], da.Value]) -> da.Value:
        """Ask as :meth:`ask_for` does, for what has no check sum: two equal answers are one.

        Raises:
            DeviceRefused: the answer is a sign that says so.
            ProtocolMismatch: *read* raises a ValueError, or the answers differ.
        """
        with self.turn():
            first, second = (self.ask_for(message, read) for _ in range(2))
            if first != second:
                raise ProtocolMismatch(
                    f"{self.label}: asked {message!r} twice, and {first!r} and {second!r} came back"
                )
        return first

    def ask(self, message: bytes, *, query: bool = True) -> bytes:
        """Send *message* and return the answer; that ends the stream until the line is left.

        Args:
            message: What is sent.
            query: Whether it changes nothing.

        Raises:
            DeviceRefused: the answer is a sign that says so.
        """
        with self.turn():
            reply = self._line.exchange(message, query=query)
            self._await_packet()
        if reply in NAKS:
            raise DeviceRefused(
                f"{self.label}: {message!r} was refused: {reply!r} came back: {NAKS[reply]}"
            )
        return reply

    def raw(self, text: str) -> str:
        """Send a command whose answer is known: TEST, VER, NVER, GETTIME, WRD, EEBRD 2B 01.

        Returns:
            Lines of text with blanks between them, or data as hexadecimal digits.
        """
        message = da.raw_message(text)
        reply = self.ask(message)
        if reply.startswith(ACK):
            return reply[len(ACK) :].hex(" ")
        return reply.decode("ascii", "backslashreplace").replace("\n", " ")

    # --- what comes by itself ---------------------------------------------------------------------

    def listen(self, path: str, callback: Callable[[Any], None]) -> None:
        """Have *callback* called with each value of *path*, or with the error that says why not."""
        first = not self._listeners.paths
        self._listeners.add(path, callback)
        if first:
            self._watch.expect("packet", self._silence_s, self._silent)

    def heard(self, line: str) -> None:
        """Take a packet, whose check sum was right."""
        self._left -= 1
        if self._left <= 0:
            self._line.stream_ended()
        values = decoded(to_loop(line.encode("latin-1")), self._click_um)
        odd = frozenset(
            path for path, value in values.items() if isinstance(value, NoValue) and value.odd
        )
        # A sensor that is broken stays so; a packet that was damaged, and whose check sum was right
        # by chance, as one in 65536 is, comes alone.
        strange, self._odd = not odd <= self._odd, odd
        if strange:
            self.damage.count += 1
            return
        with self._arrived:
            self._newest, self._newest_at = values, time.monotonic()
            self._arrived.notify_all()
        self._watch.heard("packet")
        for path in self._listeners.paths:
            self._listeners.tell(path, self._reading(path, values[path]))

    def on_connect(self) -> None:
        """Forget the last packet: what it says was true before the link was lost."""
        with self._arrived:
            self._newest = None
            self._due_at = time.monotonic() + _FIRST_S

    def start_stream(self) -> None:
        """Find out what a click of the rain bucket means, and have the console send packets."""
        with self.turn():
            self._click_um = self.rain_click_um()
            self._left = self.packets_at_once
            self._await_packet()
            self._begun_at = time.monotonic()
            self.ask(f"LOOP {self.packets_at_once}\n".encode("ascii"))

    def close(self) -> None:
        """Take back one :meth:`open`; the last one stops it for good."""
        super().close()
        if self._users <= 0:
            self._watch.close()

    # --- inside -----------------------------------------------------------------------------------

    def _await_packet(self) -> None:
        """Note that the stream was ended, by ourselves: for a while it is no wonder that it rests.

        A question may take longer than a packet is fresh: the console has to be woken first.
        """
        if self._newest_at >= self._begun_at:  # else the stream before has brought nothing
            self._due_at = time.monotonic() + _FIRST_S

    def _wait_for_packet(self) -> dict[str, Any]:
        with self.turn():
            pass  # raises, if the link is down
        with self._arrived:
            self._arrived.wait_for(self._is_fresh, max(0.0, self._due_at - time.monotonic()))
            if self._newest is None or not self._is_fresh():
                since = ""
                if self._newest is not None:
                    since = f" for {time.monotonic() - self._newest_at:.1f} s"
                raise DeviceTimeout(f"{self.label}: no whole packet came{since}{self._damaged()}")
            return self._newest

    def _is_fresh(self) -> bool:
        return self._newest is not None and time.monotonic() - self._newest_at <= _FRESH_S

    def _reading(self, path: str, value: Any) -> Any:
        if not isinstance(value, NoValue):
            return value
        return InvalidReading(f"{self.label}: {path}: {value.reason}")

    def _silent(self) -> None:
        error = InvalidReading(
            f"{self.label}: no whole packet came for {self._silence_s:g} s{self._damaged()}; every "
            f"{self._settings.idle_probe_s:g} s the console is woken and told to send"
        )
        for path in self._listeners.paths:
            self._listeners.tell(path, error)

    def _damaged(self) -> str:
        if not self.damage.count:
            return ""
        return f" ({self.damage.count} came damaged until now, the last one {self.damage.last!r})"


class _Framing:
    """Makes what finds replies and packets, and counts damage for one controller."""

    def __init__(self, damage: Damage) -> None:
        self._damage = damage

    def __call__(self) -> DavisReplies:
        return DavisReplies(self._damage)


class _StationCheck(IdentityCheck):
    """Says who answers in words: the code of a station is no text."""

    def ask(self, connection: Connection) -> str:
        return da.to_station(super().ask(connection).encode("latin-1").removeprefix(ACK))
