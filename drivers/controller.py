"""The base of every driver: one connection, many users."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

from drivers.channel import Channel, find_channel
from drivers.line import Line
from drivers.ports import Port, PortDefaults, port_for_url
from drivers.settings import LineSettings
from mktl.controllers import ControllerStatus, TurnKind
from mktl.errors import BadValue, ConfigurationError, DeviceError, ProtocolMismatch

__all__ = ["Controller"]

_open_controllers: dict[str, Controller] = {}
_open_lock = threading.Lock()


class Controller:
    """One device behind one line of text, shared by all who open the same URL.

    A driver is a subclass: it sets the class attributes, and adds typed methods and
    :meth:`channels`. Nothing is connected before :meth:`start`, :meth:`wait_until_up` or the first
    turn. It satisfies :class:`mktl.controllers.ControllerLike`, and is a context manager that
    closes::

        with LakeShore336.open("tcp://192.168.10.21") as tc:
            print(tc.temperature_k("A"))
    """

    driver_name: ClassVar[str] = "controller"
    """What the driver is called in an instrument file."""
    line_defaults: ClassVar[LineSettings] = LineSettings()
    """Timing and framing of the device."""
    port_defaults: ClassVar[PortDefaults] = PortDefaults()
    """TCP port and serial settings of the device."""
    message_end: ClassVar[str] = "\n"
    """What ends each message that is sent."""

    def __init__(
        self, url: str, *, name: str | None = None, restore: Sequence[str] = (), **settings: Any
    ) -> None:
        """Prepare a controller of one's own; :meth:`open` gives one that is shared.

        Args:
            url: See :func:`drivers.ports.port_for_url`.
            name: What error texts and logs call it; the driver's name if not given.
            restore: Commands that are sent again on each connect, before anything else.
            settings: Fields of :class:`drivers.settings.LineSettings`, such as ``timeout_s``.

        Raises:
            ConfigurationError: the URL or a setting is not valid.
        """
        port = port_for_url(url, self.port_defaults)
        self._settings = self.line_defaults.updated(settings)
        self._restore = _commands(restore)
        self._users = 1
        self._line = Line(
            port, self._settings, name=name or self.driver_name, on_connect=self._connected
        )

    @classmethod
    def open(cls, url: str, *, name: str | None = None, **settings: Any) -> Self:
        """Return the controller at *url*: the same one for all who ask.

        Each :meth:`open` wants one :meth:`close`; the last one closes.

        Args:
            url: Where; ``tcp://host`` and ``tcp://host:7777`` are the same if 7777 is its default.
            name: What error texts and logs call it; the first one who opens decides.
            settings: As for the class itself.

        Raises:
            ConfigurationError: the URL or a setting is not valid, or it is open already with other
                settings, or under another driver.
        """
        port = port_for_url(url, cls.port_defaults)
        with _open_lock:
            found = _open_controllers.get(port.url.partition("?")[0])
            if found is None:
                made = cls(url, name=name, **settings)
                _open_controllers[made.place] = made
                return made
            if type(found) is not cls:
                raise ConfigurationError(
                    f"{port.url} is open already as {found.driver_name}, not as {cls.driver_name}"
                )
            found._refuse_other(port, settings)
            found._users += 1
            return found

    # --- what a daemon needs (mktl.controllers.ControllerLike) ------------------------------------

    def start(self) -> None:
        """Begin connecting, in the background. Returns at once, with the hardware off too."""
        self._line.start()

    def close(self) -> None:
        """Take back one :meth:`open`; the last one stops it for good, within a second."""
        with _open_lock:
            self._users -= 1
            if self._users > 0:
                return
            if _open_controllers.get(self.place) is self:
                del _open_controllers[self.place]
        self._line.close()

    def status(self) -> ControllerStatus:
        """Return the state of the connection now. Never blocks on the hardware."""
        return self._line.status()

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        """Have *callback* called, from the line's thread, after each change of state."""
        self._line.on_change(callback)

    def prioritised(self, kind: TurnKind) -> contextlib.AbstractContextManager[None]:
        """Return a context in which this thread's turns have the priority of *kind*."""
        return self._line.prioritised(kind)

    def raw(self, text: str) -> str:
        """Send *text* as it is, in a turn of its own, and return the reply.

        Returns:
            The reply; empty if :meth:`replies_to` says that none is due.

        Raises:
            DeviceError: as for any turn.
        """
        if self.replies_to(text):
            return self.ask(text)
        self.tell(text)
        return ""

    # --- what drivers and scripts use -------------------------------------------------------------

    @property
    def name(self) -> str:
        """What error texts and logs call it."""
        return self._line.name

    @property
    def label(self) -> str:
        """Name and URL, as error texts show them."""
        return self._line.label

    @property
    def place(self) -> str:
        """Where it leads, without line settings: what can be open only once."""
        return self._line.url.partition("?")[0]

    def wait_until_up(self, *, timeout_s: float = 10.0) -> None:
        """Wait for the connection, starting it if need be.

        Raises:
            LinkDown: it is not up after *timeout_s*; the text says why.
        """
        self._line.wait_until_up(timeout_s=timeout_s)

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Return a context that keeps the line for several exchanges; see :meth:`Line.turn`."""
        return self._line.turn()

    def ask(self, text: str, *, timeout_s: float | None = None) -> str:
        """Send *text* and return the reply, both without terminators.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: as for :meth:`Line.exchange`.
        """
        message = self._message(text)
        # One turn to the end: a line that is out of step must not be anybody else's meanwhile.
        with self.turn():
            reply = self._line.exchange(message, timeout_s=timeout_s)
            try:
                answer = reply.decode("ascii")
            except UnicodeDecodeError:
                answer = ""
            if not answer.isprintable() or (reply and not answer):
                raise ProtocolMismatch(f"{self.label}: asked {text!r}, and {reply!r} came back")
            return answer

    def tell(self, text: str) -> None:
        """Send *text*, to which no reply is due.

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: as for :meth:`Line.exchange`.
        """
        self._line.exchange(self._message(text), reply=False)

    def channel(self, path: str) -> Channel:
        """Return the channel called *path*.

        Raises:
            UnknownKey: there is none; the text has the nearest ones.
        """
        return find_channel(self.channels(), path, where=self.name)

    def __enter__(self) -> Self:
        """Return the controller itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()

    # --- what drivers override --------------------------------------------------------------------

    def channels(self) -> tuple[Channel, ...]:
        """Return all that it offers, without asking the hardware."""
        return ()

    def replies_to(self, text: str) -> bool:
        """Whether the device answers *text*; needed for :meth:`raw` only."""
        return bool(text)

    def restore_setting(self, command: str) -> None:
        """Send one of the ``restore`` commands, and see to it that it was taken."""
        self.tell(command)

    # --- inside -----------------------------------------------------------------------------------

    def _connected(self) -> None:
        for command in self._restore:
            try:
                self.restore_setting(command)
            except DeviceError as error:
                raise DeviceError(
                    f"the setting {command!r} could not be restored: {error}"
                ) from error

    def _message(self, text: str) -> bytes:
        if not (text.isascii() and text.isprintable()):
            raise BadValue(f"{self.label}: {text!r} cannot be sent: only printable ASCII can")
        return (text + self.message_end).encode("ascii")

    def _refuse_other(self, port: Port, settings: dict[str, Any]) -> None:
        """Raise a ConfigurationError if what *settings* name is not as it is here."""
        wanted = dict(settings)
        conflicts = []
        if port.url != self._line.url:
            conflicts.append(f"{self._line.url}, not {port.url}")
        if "restore" in wanted and _commands(wanted.pop("restore")) != self._restore:
            conflicts.append("other restore commands")
        self.line_defaults.updated(wanted)
        for field, value in wanted.items():
            if getattr(self._settings, field) != value:
                conflicts.append(f"{field} = {getattr(self._settings, field)!r}, not {value!r}")
        if conflicts:
            raise ConfigurationError(f"{self.label} is open already, with {'; '.join(conflicts)}")


def _commands(restore: object) -> tuple[str, ...]:
    if not isinstance(restore, list | tuple):
        raise ConfigurationError(f"restore must be a list of commands, not {restore!r}")
    for text in restore:
        if not (isinstance(text, str) and text.isascii() and text.isprintable() and text):
            raise ConfigurationError(f"restore: {text!r} cannot be sent: only printable ASCII can")
    return tuple(restore)
