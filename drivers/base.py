"""What all drivers have in common: one connection, many users."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Self, cast

from drivers._places import Places, place_of
from drivers._suggest import suggestion
from drivers.channel import BlockRead, Channel, find_channel, single_read
from drivers.exchanged import Exchanged
from drivers.identity import DrainOnly, IdentityCheck, Synchroniser
from drivers.line import Line
from drivers.ports import Port, PortDefaults, port_for_url, split_unit
from drivers.settings import USER_SETTINGS, LineSettings
from drivers.unit import Unit
from mktl.controllers import ControllerStatus, TurnKind
from mktl.errors import ConfigurationError, DeviceError

__all__ = ["BadItem", "ControllerBase"]

_LINE_FIELDS = frozenset(field.name for field in fields(LineSettings))


class BadItem(ConfigurationError):
    """An item of an instrument file, with protocol keys of its own, that cannot be made."""

    def __init__(self, field: str, text: str, *, spoils: Iterable[str] = ()) -> None:
        """Name the key of the item's table, and say what is wrong with it.

        Args:
            field: The key; with dots, that of a table within it.
            text: What is wrong.
            spoils: Keys that cannot be judged before this one is right.
        """
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text
        self.spoils = tuple(spoils)


class ControllerBase:
    """One device behind one connection, shared by all who open the same URL.

    Nothing is connected before :meth:`start`, :meth:`wait_until_up` or the first turn. It satisfies
    :class:`mktl.controllers.ControllerLike`, and is a context manager that closes. Drivers derive
    from :class:`drivers.controller.Controller` (lines of text) or from
    :class:`drivers.modbus.ModbusController` (registers).
    """

    driver_name: ClassVar[str] = "controller"
    """What the driver is called in an instrument file."""
    line_defaults: ClassVar[LineSettings] = LineSettings()
    """Timing and framing of the device."""
    port_defaults: ClassVar[PortDefaults] = PortDefaults()
    """TCP port and serial settings of the device."""
    multi_drop: ClassVar[bool] = False
    """Whether every message has an address in it, so that several units may share one line. Else
    they do so only where the URL names a unit."""
    usual_unit: ClassVar[int] = 1
    """The unit of a URL that names none, if it is :attr:`multi_drop`."""
    driver_settings: ClassVar[tuple[str, ...]] = ()
    """Settings of the driver's own, which :meth:`line_settings` checks."""
    setting_examples: ClassVar[Mapping[str, str]] = {}
    """With what ``markd new`` shows those of the model: TOML values, and a comment if need be."""
    url_examples: ClassVar[tuple[str, ...]] = ()
    """Where such a device usually is, for ``markd new``, the most usual first; none: what follows
    from :attr:`port_defaults`."""
    item_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of an item's table that :meth:`channel_for` understands; none: it has channels only."""

    def __init__(
        self, url: str, *, name: str | None = None, restore: Sequence[Any] = (), **settings: Any
    ) -> None:
        """Prepare a controller of one's own; :meth:`open` gives one that is shared.

        Args:
            url: See :func:`drivers.ports.port_for_url`; with ``unit=N``, one of several on a line.
            name: What error texts and logs call it; the driver's name if not given.
            restore: Settings that are sent again on each connect, before anything else.
            settings: Fields of :class:`drivers.settings.LineSettings`, such as ``timeout_s``, and
                those in :attr:`driver_settings`.

        Raises:
            ConfigurationError: the URL or a setting is not valid.
        """
        port, unit = self._port(url)
        self.unit = unit
        self._url = url
        self._place = place_of(port, unit)
        self._given = dict(settings)
        self._refuse_unknown(settings)
        self._settings = self.line_settings(dict(settings))
        self._restore = self.check_restore(restore)
        self._users = 1
        self._line = self._make_line(port, name or self.driver_name)

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
        port, unit = cls._port(url)

        def made() -> ControllerBase:
            one = cls(url, name=name, **settings)
            one._users = 0
            return one

        def why_not(found: ControllerBase) -> str:
            if type(found) is not cls:
                as_other = f"as {found.driver_name}, not as {cls.driver_name}"
                return f"{port.url} is open already {as_other}"
            return found._why_not_shared(port, settings)

        def joined(found: ControllerBase) -> None:
            found._users += 1

        return cast(Self, OPEN.share(place_of(port, unit), made, why_not, joined))

    # --- what a daemon needs (mktl.controllers.ControllerLike) ------------------------------------

    def start(self) -> None:
        """Begin connecting, in the background. Returns at once, with the hardware off too."""
        self._line.start()

    def close(self) -> None:
        """Take back one :meth:`open`; the last one stops it for good, within a second."""
        with OPEN.lock:
            self._users -= 1
            if self._users > 0:
                return
            OPEN.give_up(self.place, self)
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

        Raises:
            BadValue: *text* cannot be sent.
            DeviceError: as for any turn.
        """
        raise NotImplementedError

    def pause(self) -> None:
        """Release the port, for another program say, until :meth:`resume`; turns fail meanwhile."""
        self._line.pause()

    def resume(self) -> None:
        """Connect again after :meth:`pause`."""
        self._line.resume()

    def trace(self, callback: Callable[[str], None] | None) -> None:
        """Have *callback* called with a line for each exchange; ``None``: no more.

        It is called from the thread that made the exchange, and must be quick.
        """
        self._line.trace = (
            None if callback is None else lambda one: callback(self.describe_exchange(one))
        )

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
        return self._place

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the wire; 0 where it does not matter."""
        return self._line.char_s

    @property
    def settings(self) -> LineSettings:
        """Timing and framing of its line."""
        return self._settings

    def wait_until_up(self, *, timeout_s: float = 10.0) -> None:
        """Wait for the connection, starting it if need be.

        Raises:
            LinkDown: it is not up after *timeout_s*; the text says why.
        """
        self._line.wait_until_up(timeout_s=timeout_s)

    def turn(self) -> contextlib.AbstractContextManager[None]:
        """Return a context that keeps the line for several exchanges; see :meth:`Line.turn`."""
        return self._line.turn()

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

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check the *settings* that were given, the driver's own too, and return the line's.

        Called first of all, before there is a line.

        Raises:
            ConfigurationError: one is not valid; the text begins with its name.
        """
        return self.line_defaults.updated(settings)

    def channels(self) -> tuple[Channel, ...]:
        """Return all that it offers, without asking the hardware."""
        return ()

    def channel_for(self, key: str, table: Mapping[str, Any]) -> Channel:
        """Return the channel of an item that has protocol keys of its own.

        Args:
            key: Key of the item, and path of the channel.
            table: The item's table: those of :attr:`item_keys`, and its description.

        Raises:
            BadItem: it cannot be made.
        """
        raise BadItem(next(iter(table), key), f"driver {self.driver_name} has channels only")

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Return the fewest exchanges that read *channels*, which can all be read."""
        return [single_read(channel) for channel in channels]

    def synchroniser(self) -> Synchroniser:
        """Return what finds out who answers, and puts the line back in step."""
        if self.unit is not None and self._settings.identity is None:
            # To open the line anew, as one does without an identification query, would disturb
            # the other units.
            return DrainOnly(quiet_s=self._settings.timeout_s)
        return IdentityCheck(self._settings)

    def on_connect(self) -> None:
        """Prepare the device, in a turn, after its identity was found right; may raise."""

    def heard(self, line: str) -> None:
        """Take a line that the device sent unasked; called from the thread that read it."""

    def start_stream(self) -> None:
        """Have the device speak by itself, in a turn; only with the line setting ``stream``.

        Called, from the line's own thread, when the link is up and whenever something was sent or
        the stream has ended (:meth:`Line.stream_ended`); may raise.
        """

    def check_restore(self, restore: object) -> tuple[Any, ...]:
        """Return the settings to be restored, as :meth:`restore_setting` takes them.

        Raises:
            ConfigurationError: they cannot be.
        """
        if restore:
            raise ConfigurationError(f"restore: driver {self.driver_name} cannot restore anything")
        return ()

    def restore_setting(self, setting: Any) -> None:
        """Send one of the ``restore`` settings, and see to it that it was taken."""
        raise NotImplementedError

    def describe_exchange(self, exchange: Exchanged) -> str:
        """Return a line for people that says what was sent, and what came back."""
        back = _shown(exchange.received) if exchange.received is not None else ""
        text = f"{_shown(exchange.sent)} -> {exchange.error or back}".rstrip()
        return f"{text}  ({exchange.took_s * 1000:.1f} ms)"

    # --- inside -----------------------------------------------------------------------------------

    @classmethod
    def _port(cls, url: str) -> tuple[Port, int | None]:
        plain, unit = split_unit(url)
        if unit is None and cls.multi_drop:
            unit = cls.usual_unit
        return port_for_url(plain, cls.port_defaults), unit

    def _make_line(self, port: Port, name: str) -> Line | Unit:
        if self.unit is None:
            return Line(
                port,
                self._settings,
                name=name,
                on_connect=self._connected,
                heard=self.heard,
                synchroniser=self.synchroniser(),
                start_stream=self.start_stream,
            )
        return Unit(
            port,
            self._settings,
            self.unit,
            name=name,
            on_connect=self._connected,
            heard=self.heard,
            synchroniser=self.synchroniser(),
        )

    def _connected(self) -> None:
        self.on_connect()
        for setting in self._restore:
            try:
                self.restore_setting(setting)
            except DeviceError as error:
                raise DeviceError(
                    f"the setting {setting!r} could not be restored: {error}"
                ) from error

    def _refuse_unknown(self, settings: Mapping[str, Any]) -> None:
        known = (*USER_SETTINGS, "restore", *self.driver_settings)
        for name in settings:
            if name not in known:
                raise ConfigurationError(f"unknown setting {name!r}: {suggestion(name, known)}")

    def _why_not_shared(self, port: Port, settings: dict[str, Any]) -> str:
        """Say how what *settings* name is otherwise here; empty: it is not.

        Raises:
            ConfigurationError: they are not valid.
        """
        wanted = dict(settings)
        conflicts = []
        ours, theirs = self._line.url, port.url
        if place_of(port, self.unit) != self.place or _query(ours) != _query(theirs):
            conflicts.append(f"{ours}, not {theirs}")
        if "restore" in wanted and self.check_restore(wanted.pop("restore")) != self._restore:
            conflicts.append("other restore commands")
        self._refuse_unknown(wanted)
        of_line = {name: value for name, value in wanted.items() if name in _LINE_FIELDS}
        self.line_defaults.updated(of_line)
        for field, value in wanted.items():
            have = getattr(self._settings, field) if field in of_line else self._given.get(field)
            if have != value:
                conflicts.append(f"{field} = {have!r}, not {value!r}")
        return f"{self.label} is open already, with {'; '.join(conflicts)}" if conflicts else ""


OPEN: Places[ControllerBase] = Places()
"""All controllers that are open in this process."""


def _shown(data: bytes) -> str:
    """Return *data* with escapes for what is not printable."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def _query(url: str) -> str:
    return url.partition("?")[2]
