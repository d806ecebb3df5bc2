"""Zaber X-series stages and controllers: ASCII protocol, firmware 7, on a serial line or TCP.

Several devices may share a line, each with an address and one axis or more; a controller here is
one of them. Messages are numbered and have a check sum, and so have replies, where the device can:
a reply to something else is never taken for one. Alerts tell when a move has ended, so that it
need not be asked all the time.

Source: the sheet of the instrument, made from the PyPI package ``zaber-motion`` and from replies
seen on the wire; ``comm.checksum`` and the unit of ``maxspeed`` are general knowledge.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from drivers import _zaber as za
from drivers._motion_driver import MotionController
from drivers._zaber import ZaberState
from drivers._zaber_axis import ZaberAxis
from drivers.channel import BlockRead, Channel
from drivers.framing import zaber as lines
from drivers.framing.zaber import Reply, ZaberReplies
from drivers.motion import AxisSettings, AxisState, Bounds
from drivers.ports import PortDefaults
from drivers.ports.serial import SerialSettings
from drivers.settings import Identity, LineSettings
from mktl.errors import BadValue, DeviceRefused, ProtocolMismatch, WrongDevice

__all__ = ["Zaber", "ZaberState"]

_log = logging.getLogger(__name__)

Read = TypeVar("Read")

_IDENTITY_NUMBER = 0
"""Number of the message that asks who it is; no other one has it."""
_CONFIRMED_S = 10.0
"""So long, a device with our serial number is taken to be at its address still."""
_RAW = re.compile(r"(?:(\d) )?(.*)")


class Zaber(MotionController):
    """One device on a line; ``unit=N`` in the URL is its address, 1 if none is given.

    Settings: ``axes``, numbers of its axes, or a table for each; see ``docs/motion.md``.
    ``serial``, its serial number: no other device is spoken to, though it have its address.

    What moves an axis is in :attr:`motions`: ``stage.motion(1).move_to(2000)``; see
    :class:`drivers.motion.Motion` for what that raises. Arguments of the other methods are checked
    before anything is sent (BadValue). They raise:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the device rejected it; with its word, explained;
    - ProtocolMismatch: the reply is not one to what was asked, or its check sum is wrong;
    - WrongDevice: a device with another serial number has the address.
    """

    driver_name: ClassVar[str] = "zaber"
    multi_drop: ClassVar[bool] = True
    port_defaults: ClassVar[PortDefaults] = PortDefaults(
        tcp_port=55550, serial=SerialSettings(baud=115200)
    )
    line_defaults: ClassVar[LineSettings] = LineSettings(
        reply_end=b"\r\n",
        framing=ZaberReplies,
        longest_reply=1024,
        unsolicited=(re.compile(r"[!#].*", re.DOTALL),),
        timeout_s=0.5,
    )
    driver_settings: ClassVar[tuple[str, ...]] = (*MotionController.driver_settings, "serial")
    axes_exist: ClassVar[range] = range(1, 10)
    # Where an encoder gives the position, it is never still to the microstep.
    axis_defaults: ClassVar[AxisSettings] = AxisSettings(
        steps_units="microsteps", tolerance_steps=10
    )
    setting_examples: ClassVar[Mapping[str, str]] = {"axes": "[1]"}
    url_examples: ClassVar[tuple[str, ...]] = (
        "serial:///dev/ttyUSB0?unit=1",
        "tcp://192.168.1.10:55550?unit=1",
        "tcp://192.168.1.10:55551?unit=1",
    )

    period_s: ClassVar[float] = 0.1
    """How often an axis that moves is looked at, where the device sends no alerts."""
    period_with_alerts_s: ClassVar[float] = 1.0
    """The same, where it does."""

    def __init__(self, url: str, **settings: Any) -> None:
        """Prepare a controller of one's own; :meth:`open` gives one that is shared.

        Args:
            url: Where it is, and its address: ``serial:///dev/ttyUSB0?unit=2``.
            settings: As for all controllers, ``axes``, and ``serial``.

        Raises:
            ConfigurationError: the URL or a setting is not valid.
        """
        self.alerts = False
        """Whether the device says by itself that a move has ended."""
        self._numbers = itertools.cycle(range(_IDENTITY_NUMBER + 1, 100))
        self._with_check_sum = False
        self._device_limits: dict[int, Bounds] = {}
        self._referenced: dict[int, bool] = {}
        self._serial: int | None = None
        self._confirmed_at = 0.0
        super().__init__(url, **settings)

    def line_settings(self, settings: dict[str, Any]) -> LineSettings:
        """Check the settings, and ask the device at our address whether it is there, or the one.

        Raises:
            ConfigurationError: a setting is not valid.
        """
        serial = self._serial = za.checked_serial(settings.pop("serial", None))
        query, number = ("device.id", r"\d+") if serial is None else ("system.serial", serial)
        ask = lines.message(self.address, 0, _IDENTITY_NUMBER, f"get {query}")
        pattern = rf"@{self.address:02d} 0 0?0 OK (IDLE|BUSY) \S\S {number}(:[0-9A-Fa-f]{{2}})?"
        checked = super().line_settings(settings)
        return replace(checked, identity=Identity(ask, re.compile(pattern)))

    @property
    def address(self) -> int:
        """Its address on the line."""
        return 1 if self.unit is None else self.unit

    # --- the axes ---------------------------------------------------------------------------------

    def axis(self, number: int) -> ZaberAxis:
        """Return the axis, as the common part of motion takes it."""
        return ZaberAxis(self, number)

    def state(self, number: int) -> ZaberState:
        """Return position and flags of an axis. Source: sheet, ``get pos``, ``warnings``."""
        with self.turn():
            self.confirm(within_s=_CONFIRMED_S)
            reply = self._ask(number, "get pos")
            steps = self._read(reply, za.to_int)
            flags = self.flags(number) if reply.flag else ()
            state = ZaberState.of(steps, flags, busy=reply.busy, connection=self.connection)
        self._note_reference(number, state)
        return state

    def flags(self, number: int) -> tuple[str, ...]:
        """Return the warning flags of an axis. Source: sheet, ``warnings``."""
        return self._read(self._ask(number, "warnings"), za.to_flags)

    def clear_flags(self, number: int) -> None:
        """Clear the warning flags that can be. Source: sheet, ``warnings clear``."""
        self._ask(number, "warnings clear")

    def limit(self, number: int, which: str) -> float:
        """Return a limit of the device, in units; *which* is "min" or "max".

        Source: sheet, ``get limit.min``, ``limit.max``.
        """
        if which not in ("min", "max"):
            raise BadValue(f"a limit is min or max, not {which!r}")
        settings = self.motion(number).settings
        bounds = self.read_limits(number)
        assert bounds.low is not None and bounds.high is not None
        # Where the axis counts the other way, its least position is at the greatest step.
        choose = min if which == "min" else max
        return choose(settings.value(bounds.low), settings.value(bounds.high))

    def read_limits(self, number: int) -> Bounds:
        """Ask an axis for its limits; no target outside of them is sent from then on."""
        with self.turn():
            low, high = (self._number(number, f"get limit.{end}") for end in ("min", "max"))
        found = self._device_limits[number] = Bounds(low, high, "the limits of the device")
        return found

    def known_limits(self, number: int) -> tuple[Bounds, ...]:
        """Return the limits of an axis, as far as they were read; asks nothing."""
        return (self._device_limits[number],) if number in self._device_limits else ()

    def velocity(self, number: int) -> float:
        """Return the speed of moves, in units per second. Source: ``maxspeed``."""
        return self.motion(number).settings.speed(self.steps_per_s(number))

    def steps_per_s(self, number: int) -> float:
        """Return the speed of moves, in microsteps."""
        return self._number(number, "get maxspeed") / za.SPEED_SCALE

    def set_velocity(self, number: int, speed: float) -> None:
        """Set the speed of moves, in units per second. Source: sheet, ``set maxspeed v``."""
        steps_per_s = self.motion(number).settings.steps_per_s(speed)
        self._ask(number, f"set maxspeed {max(1, round(steps_per_s * za.SPEED_SCALE))}")

    def home(self, number: int, asked_at: float | None = None) -> None:
        """Find the reference, and return when it was found. Source: sheet, ``home``."""

        def finish(state: AxisState) -> str:
            assert isinstance(state, ZaberState)
            return ", ".join(
                f"{flag}, {za.FLAGS[flag]}" for flag in za.UNHOMED if flag in state.flags
            )

        self.motion(number).home(partial(self.begin, number, "home"), finish, asked_at)

    def emergency_stop(self, number: int, asked_at: float | None = None) -> None:
        """Stop an axis without a ramp. Source: sheet, ``estop``."""
        self.motion(number).stop(asked_at, halt=partial(self.command, number, "estop"))

    # --- the whole device -------------------------------------------------------------------------

    def stop_all(self, asked_at: float | None = None) -> None:
        """Stop all axes, with one message. Source: sheet, ``stop``."""
        self.stop_together(asked_at, partial(self.command, 0, "stop"))

    def get(self, setting: str, axis: int = 0) -> str:
        """Return a setting, as the device gives it. Source: sheet, ``get``."""
        return self._ask(axis, f"get {setting}").data

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/zaber.md`` for the list."""
        from drivers._zaber_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read position, motion and flags of an axis with one message."""
        from drivers._zaber_channels import planned

        return planned(self, channels)

    # --- what is said -----------------------------------------------------------------------------

    def command(self, axis: int, text: str) -> str:
        """Send *text* to an axis (0: the device), and return what it says.

        Raises:
            DeviceRefused: it was rejected.
        """
        return self._ask(axis, text).data

    def begin(self, axis: int, text: str) -> None:
        """Send *text*, which moves an axis of the device that is meant, and of no other."""
        with self.turn():
            self.confirm()
            self.command(axis, text)

    def confirm(self, *, within_s: float = 0.0) -> None:
        """Make sure, if we know a serial number, that the device at our address has it.

        Devices of a chain get other addresses while the link is up when somebody sends
        ``renumber``. Source: sheet, ``get system.serial``.

        Args:
            within_s: What was found so long ago still holds.

        Raises:
            WrongDevice: another one is there; the link is taken down.
        """
        if self._serial is None or time.monotonic() < self._confirmed_at + within_s:
            return
        with self.turn():
            found = self._number(0, "get system.serial")
            if found != self._serial:
                text = f"serial number {found} answers, not {self._serial}"
                self._line.reconnect(text)
                raise WrongDevice(f"{self.label}: {text}; nothing else was sent")
            self._confirmed_at = time.monotonic()

    def raw(self, text: str) -> str:
        """Send ``AXIS COMMAND``, or ``COMMAND`` to the device; address and check sum are added.

        Returns:
            What the device says, behind IDLE or BUSY and the flag.
        """
        found = _RAW.fullmatch(text.strip())
        if found is None or text.lstrip().startswith(("/", "@")):
            raise BadValue(
                f"{self.label}: {text!r} is not like 'get device.id' or '1 get pos': address, "
                f"number and check sum are added"
            )
        reply = self._ask(int(found[1] or 0), found[2])
        state = "BUSY" if reply.busy else "IDLE"
        return f"{state} {reply.flag or '--'} {reply.data}".rstrip()

    def restore_setting(self, setting: str) -> None:
        """Send one of the ``restore`` commands; rejected, it raises DeviceRefused."""
        self.raw(setting)

    def on_connect(self) -> None:
        """Have the device send alerts and check sums, and read its limits."""
        super().on_connect()
        self._with_check_sum = False
        self._confirmed_at = time.monotonic()
        self._referenced.clear()
        self.alerts = self._can("set comm.alert 1")
        self._can("set comm.checksum 1")
        for number in self.motions:
            self._device_limits.pop(number, None)
            with contextlib.suppress(DeviceRefused):  # what an axis cannot do, its items say
                self.read_limits(number)

    def heard(self, line: str) -> None:
        """Look at the axis that an alert is about; log what the device says for people."""
        said = lines.to_unasked(line)
        if isinstance(said, lines.Alert) and said.address == self.address:
            for number, motion in self.motions.items():
                if said.axis in (0, number):
                    motion.wake()
        elif isinstance(said, lines.Info) and said.address == self.address:
            _log.info("%s says: %s", self.label, said.text)

    # --- inside -----------------------------------------------------------------------------------

    def _can(self, command: str) -> bool:
        try:
            self.command(0, command)
        except DeviceRefused:
            return False
        return True

    def _note_reference(self, number: int, state: ZaberState) -> None:
        """Connect anew after the device was without power: it has lost settings as well."""
        before = self._referenced.get(number)
        self._referenced[number] = state.referenced
        homing = self.motions[number].homing
        if before and not state.referenced and not homing:
            self._line.reconnect(
                f"axis {number} has lost its reference: the device was switched off and on"
            )

    def _ask(self, axis: int, text: str) -> Reply:
        number = next(self._numbers)
        message = lines.message(self.address, axis, number, self._checked(text))
        with self.turn():
            line = self._line.exchange(message, query=text.startswith("get ")).decode("latin-1")
            try:
                reply = lines.to_reply(line, self.address, number)
                if self._with_check_sum and not reply.checked:
                    raise ProtocolMismatch("its check sum is missing")
            except ProtocolMismatch as error:
                raise self._mismatch(text, line, error) from error
            self._with_check_sum = reply.checked
            if not reply.ok:
                to = f", axis {axis}" if axis else ""
                raise DeviceRefused(
                    f"{self.label}{to}: it rejected {text!r}: {za.why_refused(reply.data)}"
                )
            return reply

    def _checked(self, text: str) -> str:
        if not (text.isascii() and text.isprintable() and ":" not in text):
            raise BadValue(
                f"{self.label}: {text!r} cannot be sent: only printable ASCII without ':' can"
            )
        return text

    def _read(self, reply: Reply, read: Callable[[str], Read]) -> Read:
        with self.turn():
            try:
                return read(reply.data)
            except ValueError as error:
                raise self._mismatch("", reply.data, error) from error

    def _number(self, axis: int, text: str) -> int:
        with self.turn():
            return self._read(self._ask(axis, text), za.to_int)

    def _mismatch(self, text: str, came: str, error: Exception) -> ProtocolMismatch:
        asked = f"asked {text!r}, and " if text else ""
        return ProtocolMismatch(
            f"{self.label}: {asked}{came!r} came back: {error}; the line is put back in step "
            f"before anything else is sent"
        )
