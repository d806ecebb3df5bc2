"""How one speaks with a Vaisala WXT transmitter, and how one listens to it."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from drivers import _vaisala_wxt530 as wxt
from drivers._vaisala_wxt530 import Message, NoValue
from drivers.base import ControllerBase
from drivers.framing.vaisala import ADDRESSES, END, UNASKED, WxtReplies, message
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import Identity, LineSettings
from drivers.unasked import Listeners, SilenceWatch
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)

__all__ = ["VaisalaTalk"]

_log = logging.getLogger(__name__)

_RESTART_S = 30.0
_STARTED = "start-up"
_UNABLE = "unable to measure"
_DAMAGED = ("use chksum", "sync/address")


class VaisalaTalk(ControllerBase):
    """A transmitter that answers, and says its messages by itself if it is set so."""

    driver_settings: ClassVar[tuple[str, ...]] = ("mode", "crc", "silence_s")
    port_defaults: ClassVar[PortDefaults] = PortDefaults(serial=SerialSettings(baud=19200))
    line_defaults: ClassVar[LineSettings] = LineSettings(
        reply_end=END,
        framing=WxtReplies,
        longest_reply=512,
        unsolicited=(re.compile(f"{UNASKED}.*", re.DOTALL),),
    )

    def __init__(self, url: str, **settings: Any) -> None:
        """Prepare a controller of one's own; :meth:`open` gives one that is shared.

        Args:
            url: Where it is; ``unit=N`` is its address, 0 if none is given, 10 for A, 36 for a.
            settings: As for all controllers, and ``mode``, ``crc``, ``silence_s``.

        Raises:
            ConfigurationError: the URL or a setting is not valid.
        """
        self.damaged = 0
        """How many lines came unasked that were no message."""
        self.unchecked = 0
        """How many came without a check sum, where one is due."""
        self.automatic = False
        """Whether it is to say its messages by itself."""
        self._crc = True
        self._silence_s: dict[str, float] = {}
        self._listeners = Listeners()
        super().__init__(url, **settings)
        self._watch = SilenceWatch(self.name)

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check the settings, and ask the transmitter at our address whether it is there.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        if self.unit is not None and self.unit >= len(ADDRESSES):
            raise ConfigurationError(
                f"unit must be 0 to {len(ADDRESSES) - 1} (0 to 9, then A to Z, then a to z), not "
                f"{self.unit}"
            )
        self.automatic = wxt.checked_mode(settings.pop("mode", "polled")) == "automatic"
        self._crc = wxt.checked_crc(settings.pop("crc", True))
        if "silence_s" in settings and not self.automatic:
            raise ConfigurationError('silence_s: is only for mode = "automatic"')
        self._silence_s = wxt.checked_silence(settings.pop("silence_s", None))
        asked, address = message(self.address), re.compile(self.address)
        identity = Identity(asked, address, tells_model=False)
        return replace(self.line_defaults.updated(settings), identity=identity)

    @property
    def address(self) -> str:
        """Its address, a character."""
        return ADDRESSES[self.unit or 0]

    # --- measured values --------------------------------------------------------------------------

    def message(self, kind: str) -> Message:
        """Ask for one of the messages "wind", "ptu", "rain", "supervisor", or "all" of them.

        Raises:
            InvalidReading: the transmitter cannot measure.
        """
        if kind not in (*wxt.KINDS, "all"):
            raise BadValue(f"{self.label}: a message is all, {', '.join(wxt.KINDS)}, not {kind!r}")
        digit = wxt.KINDS.get(kind, "0")
        text = f"{self.address}{'r' if self._crc else 'R'}{digit}"
        with self.turn():
            line = self._exchange(text, checked=self._crc, query=True)
            try:
                found = wxt.to_message(line)
                if found.digit != digit or found.checked is not self._crc:
                    raise ValueError("that is another message")
            except ValueError as error:
                raise self._mismatch(text, line, error) from error
        return found

    def readings(self, kind: str) -> dict[str, Any]:
        """Return the values of a message, by path; an InvalidReading where there is none."""
        found = self.message(kind)
        return {
            path: self._reading(found, path)
            for path, one in wxt.PATHS.items()
            if found.may_have(one)
        }

    def value(self, path: str) -> Any:
        """Ask for one value; *path* is that of a channel.

        Raises:
            InvalidReading: the transmitter has none, or it cannot be true.
        """
        if path not in wxt.PATHS:
            raise BadValue(f"{self.label}: there is no value {path!r}")
        found = self._reading(self.message(wxt.PATHS[path].kind), path)
        if isinstance(found, InvalidReading):
            raise found
        return found

    # --- settings ---------------------------------------------------------------------------------

    def ask_settings(self, of: str) -> dict[str, str]:
        """Return settings by letter: of ``X`` the line, of W, T, R or S a sensor."""
        return self._settings_line(f"{self.address}{of}U", of)

    def change_setting(self, of: str, letter: str, value: str) -> None:
        """Change a setting, and see to it that it was taken.

        Raises:
            DeviceRefused: the transmitter says so, or has another value then.
        """
        with self.turn():
            self._settings_line(f"{self.address}{of}U,{letter}={value}", of)
            now = self.ask_settings(of).get(letter)
        if now != value:
            raise DeviceRefused(
                f"{self.label}: after '{of}U,{letter}={value}' its setting {letter} is {now!r}: it "
                f"was not taken"
            )

    def reset(self, command: str) -> str:
        """Send one of the commands that reset something; return what the transmitter says.

        Raises:
            DeviceRefused: it does not know that.
        """
        text = f"{self.address}{command}"
        with self.turn():
            line = self._exchange(text)
            if line[1:3] not in (b"TX", b"tX"):
                raise self._mismatch(text, line, ValueError("that confirms nothing"))
            return line[4:].decode("ascii", "replace")

    def restart(self) -> None:
        """Restart the transmitter, and return when it is there again; not within a turn.

        Raises:
            DeviceRefused: it does not know that.
            LinkDown: it is not there again after 30 s.
        """
        with self.turn():
            # Not every one confirms it, and the line has to be begun anew in any case.
            with contextlib.suppress(DeviceTimeout):
                self._exchange(f"{self.address}XZ")
            self._line.reconnect("it was told to restart")
        self.wait_until_up(timeout_s=_RESTART_S)

    def raw(self, text: str) -> str:
        """Send *text*, which begins with the address, and return the line that answers it."""
        if not (text.isascii() and text.isprintable() and text[:1] in (self.address, "?")):
            raise BadValue(
                f"{self.label}: {text!r} cannot be sent: only printable ASCII that begins with the "
                f"address {self.address!r}, such as {self.address}R0, or ?"
            )
        return self._line.exchange(message(text)).decode("ascii", "backslashreplace")

    def check_restore(self, restore: object) -> tuple[Any, ...]:
        """Return the settings to be sent on each connect: texts without the address, ``WU,I=5``.

        Raises:
            ConfigurationError: one is no setting.
        """
        if not isinstance(restore, list | tuple):
            raise ConfigurationError(f"restore must be a list of settings, not {restore!r}")
        found = []
        for text in restore:
            match = re.fullmatch(r"([XWTRS])U,([A-Z])=([!-+\--~]+)", str(text))
            if match is None:
                raise ConfigurationError(
                    f"restore: {text!r} is no setting such as 'WU,I=5' or 'TU,R=11010000&11010000'"
                )
            found.append(match.groups())
        return tuple(found)

    def restore_setting(self, setting: tuple[str, str, str]) -> None:
        """Change one of the ``restore`` settings, if it is another one now."""
        of, letter, value = setting
        with self.turn():
            if self.ask_settings(of).get(letter) != value:
                self.change_setting(of, letter, value)

    # --- what comes by itself ---------------------------------------------------------------------

    def listen(self, path: str, callback: Callable[[Any], None]) -> None:
        """Have *callback* called with each value of *path*, or with the error that says why not."""
        self._listeners.add(path, callback)
        silence_s = self._silence_s[wxt.PATHS[path].kind]
        self._watch.expect(path, silence_s, partial(self._silent, path, silence_s))

    def heard(self, line: str) -> None:
        """Take a line that came unasked."""
        data = line.removeprefix(UNASKED).encode("latin-1")
        if self.unit is not None and data[:1] != self.address.encode("ascii"):
            return  # that of a neighbour
        if data[:1] == self.address.encode("ascii") and data[1:3] in (b"TX", b"tX"):
            self._heard_words(data[4:].decode("latin-1"))
            return
        try:
            found = wxt.to_message(data)
        except ValueError as error:
            self.damaged += 1
            _log.debug("%s: %s", self.label, error)
            return
        if found.address == self.address and self.automatic:
            self._tell(found)

    def close(self) -> None:
        """Take back one :meth:`open`; the last one stops it for good."""
        super().close()
        if self._users <= 0:
            self._watch.close()

    # --- inside -----------------------------------------------------------------------------------

    def _tell(self, found: Message) -> None:
        if self._crc and not found.checked:
            self.unchecked += 1
            return
        for path in self._listeners.paths:
            if wxt.PATHS[path].name in found.values:
                self._watch.heard(path)
                self._listeners.tell(path, self._reading(found, path))

    def _heard_words(self, words: str) -> None:
        _log.info("%s says: %s", self.label, words)
        if words.lower().startswith(_STARTED):
            self._line.reconnect(f"it was switched off and on, as {words!r} came")

    def _silent(self, path: str, silence_s: float) -> None:
        reason = f"{wxt.PATHS[path].name} did not come for {silence_s:g} s"
        if self.unchecked:
            reason += (
                f"; {self.unchecked} lines came without a check sum: set its mode to "
                f"{wxt.MODES['a']!r}, or say crc = false"
            )
        elif self.damaged:
            reason += f"; {self.damaged} lines came damaged until now"
        else:
            reason += "; its mode may not be automatic, or its interval longer"
        self._listeners.tell(path, InvalidReading(f"{self.label}: {path}: {reason}"))

    def _reading(self, found: Message, path: str) -> Any:
        value = (
            wxt.heater_state(found) if path == wxt.HEATER else wxt.reading(found, wxt.PATHS[path])
        )
        if isinstance(value, NoValue):
            return InvalidReading(f"{self.label}: {path}: {value.reason}")
        return value

    def _settings_line(self, text: str, of: str) -> dict[str, str]:
        with self.turn():
            line = self._exchange(text, query="=" not in text)
            try:
                found = wxt.to_settings(line)
                if found.of != of:
                    raise ValueError("these are the settings of something else")
            except ValueError as error:
                raise self._mismatch(text, line, error) from error
        return dict(found.values)

    def _exchange(self, text: str, *, checked: bool = False, query: bool = False) -> bytes:
        """Return the line that answers *text*, unless it is an error.

        Raises:
            InvalidReading: the transmitter cannot measure.
            DeviceRefused: it does not know that.
            ProtocolMismatch: it says that *text* was damaged on its way.
        """
        with self.turn():
            line = self._line.exchange(message(text, checked=checked), query=query)
            if line[1:3] not in (b"TX", b"tX"):
                return line
            try:
                words = wxt.without_check_sum(line)[0][4:]
            except ValueError as error:
                raise self._mismatch(text, line, error) from error
            if _UNABLE in words.lower():
                raise InvalidReading(f"{self.label}: asked {text!r}, and {words!r} came back")
            if any(sign in words.lower() for sign in _DAMAGED):
                raise self._mismatch(text, line, ValueError("it was damaged on its way there"))
            if "error" in words.lower():
                raise DeviceRefused(f"{self.label}: {text!r} was refused: {words!r} came back")
            return line

    def _mismatch(self, text: str, line: bytes, error: Exception) -> ProtocolMismatch:
        return ProtocolMismatch(
            f"{self.label}: asked {text!r}, and {line!r} came back: {error}; the line is put back "
            f"in step before anything else is sent"
        )
