"""IcePAP stepper motor controllers (ESRF, ALBA), over TCP or a serial line.

Everything that is sent is answered: queries always are, and commands are sent with ``#``, which
asks for an acknowledgement. A reply repeats what it answers, which is checked. One command is on
its way at a time: two that the network joins upset the controller.

Source: the sheet of the instrument, made from the PyPI package ``icepap``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, TypeVar

from drivers import _icepap as ice
from drivers._icepap import IcepapState
from drivers._motion_driver import MotionController
from drivers.channel import BlockRead, Channel
from drivers.framing.enclosed import EnclosedReplies
from drivers.motion import AxisSettings, Bounds
from drivers.ports import PortDefaults
from drivers.settings import Identity, LineSettings
from mktl.controllers import TurnKind
from mktl.errors import BadValue, DeviceRefused, InvalidReading, ProtocolMismatch

__all__ = ["IcePAP", "IcepapState"]

Read = TypeVar("Read")


class IcePAP(MotionController):
    """One system: all racks behind one connection.

    Setting ``axes``: addresses of the axes, or a table for each; see ``docs/motion.md``.

    What moves an axis is in :attr:`motions`: ``icepap.motion(11).move_to(2000)``; see
    :class:`drivers.motion.Motion` for what that raises. Arguments of the other methods are checked
    before anything is sent (BadValue). They raise:

    - LinkDown, DeviceTimeout, DeviceLost: see :meth:`drivers.line.Line.exchange`;
    - DeviceRefused: the controller answered with an error, in words;
    - InvalidReading: there is no board at that address;
    - ProtocolMismatch: the reply is not one to what was asked.
    """

    driver_name: ClassVar[str] = "icepap"
    message_end: ClassVar[str] = "\r"
    port_defaults: ClassVar[PortDefaults] = PortDefaults(tcp_port=5000)
    line_defaults: ClassVar[LineSettings] = LineSettings(
        reply_end=b"\n",
        framing=EnclosedReplies,
        longest_reply=16384,
        timeout_s=2.0,
        # A broadcast is not answered, and must not be joined with what comes next.
        settle_after=((b":", 0.05),),
        # A version is a number (general knowledge); what says something else is no IcePAP.
        identity=Identity(b"?VER\r", re.compile(r"\?VER\s+\d\S*")),
    )
    axes_exist: ClassVar[tuple[int, ...]] = ice.AXES
    axis_defaults: ClassVar[AxisSettings] = AxisSettings(steps_units="steps")
    setting_examples: ClassVar[Mapping[str, str]] = {
        "axes": "[1, 2, 11]   # addresses: rack * 10 + driver",
    }
    url_examples: ClassVar[tuple[str, ...]] = ("tcp://192.168.1.10:5000",)

    # --- the axes ---------------------------------------------------------------------------------

    def axis(self, number: int) -> _Axis:
        """Return the axis, as the common part of motion takes it."""
        return _Axis(self, number)

    def state(self, number: int) -> IcepapState:
        """Return status and position of an axis. Source: sheet, ``?STATUS``, ``?POS``."""
        (found,) = self.states([number])
        if not found.present:
            raise InvalidReading(f"{self.label}, axis {number}: its status says: no board")
        return found

    def states(self, numbers: Sequence[int]) -> list[IcepapState]:
        """Return status and position of several axes, with two messages.

        Raises:
            DeviceRefused: there is no board at one of the addresses.
        """
        addresses = " ".join(map(str, numbers))
        with self.turn():
            # In this order: a position that is asked for after the status said that the axis
            # stands still is where it stands.
            words = self._several(f"?STATUS {addresses}", ice.to_word, len(numbers))
            steps = self._several(f"?POS {addresses}", ice.to_int, len(numbers))
        return [
            IcepapState.of(word, at, self.connection) for word, at in zip(words, steps, strict=True)
        ]

    def encoder_steps(self, number: int) -> int:
        """Return what the encoder says, in steps of the axis. Source: sheet, ``n:?ENC``."""
        return self._one(f"{number}:?ENC", ice.to_int)

    def redefine_position(self, number: int, position: float) -> None:
        """Declare that the axis stands at *position*, in units. Source: sheet, ``#n:POS v``.

        Raises:
            DeviceRefused: it moves.
        """
        steps = self.motion(number).settings.steps(position)
        with self.turn():
            if self.state(number).moving:
                raise DeviceRefused(
                    f"{self.label}, axis {number} moves: nothing is declared of its position"
                )
            self.command(f"{number}:POS {steps}")

    def velocity(self, number: int) -> float:
        """Return the speed of moves, in units per second. Source: sheet, ``n:?VELOCITY``."""
        return self.motion(number).settings.speed(self.steps_per_s(number))

    def steps_per_s(self, number: int) -> float:
        """Return the speed of moves, in steps."""
        return self._one(f"{number}:?VELOCITY", ice.to_float)

    def set_velocity(self, number: int, speed: float) -> None:
        """Set the speed of moves, in units per second. Source: sheet, ``#n:VELOCITY v``."""
        steps_per_s = self.motion(number).settings.steps_per_s(speed)
        self.command(f"{number}:VELOCITY {steps_per_s:.10g}")

    def acceleration_time_s(self, number: int) -> float:
        """Return how long it takes to full speed. Source: sheet, ``n:?ACCTIME``."""
        return self._one(f"{number}:?ACCTIME", ice.to_float)

    def set_acceleration_time_s(self, number: int, seconds: float) -> None:
        """Set how long it takes to full speed; more than 0. Source: sheet, ``#n:ACCTIME s``."""
        if not 0 < seconds < 1e6:
            raise BadValue(f"an acceleration time is a positive number of seconds, not {seconds!r}")
        self.command(f"{number}:ACCTIME {seconds:.10g}")

    def power(self, number: int) -> bool:
        """Return whether the motor has power. Source: sheet, ``n:?POWER``."""
        return self._one(f"{number}:?POWER", _on_or_off)

    def set_power(self, number: int, on: bool) -> None:
        """Switch the power of the motor. Source: sheet, ``#n:POWER ON|OFF``."""
        if not isinstance(on, bool):
            raise BadValue(f"power is true or false, not {on!r}")
        self.command(f"{number}:POWER {'ON' if on else 'OFF'}")

    def home(self, number: int, direction: int, asked_at: float | None = None) -> None:
        """Search for the home position, and return when it was found.

        Args:
            number: The axis.
            direction: 1, -1 or 0, as the controller takes it.
            asked_at: When it was asked for.

        Source: sheet, ``HOME``, ``?HOMESTAT``.
        """
        if direction not in ice.DIRECTIONS:
            raise BadValue(f"a direction is 1, -1 or 0, not {direction!r}")

        def begin() -> None:
            self.command(f"{number}:HOME {direction}")

        def finish(_state: object) -> str | None:
            return self._one(f"{number}:?HOMESTAT", ice.home_result)

        self.motion(number).home(begin, finish, asked_at)

    def abort(self, number: int, asked_at: float | None = None) -> None:
        """Stop an axis without a ramp. Source: sheet, ``ABORT``."""
        self.motion(number).stop(asked_at, halt=lambda: self.command(f"{number}:ABORT"))

    def text(self, number: int, word: str) -> str:
        """Return what ``n:?word`` says: ``NAME``, ``WARNING``, ``ALARM``."""
        return self._one(f"{number}:?{word}", str)

    # --- the whole system -------------------------------------------------------------------------

    def mode(self) -> str:
        """Return the mode of the controller: OPER, CONFIG, PROG or TEST. Source: ``?MODE``."""
        return self._one("?MODE", str)

    def version(self) -> str:
        """Return the version of the firmware. Source: sheet, ``?VER``."""
        return self._one("?VER", str)

    def stop_all(self, asked_at: float | None = None) -> None:
        """Stop all axes of the setting ``axes``, with one message. Source: sheet, ``#STOP 1 2``."""
        self.stop_together(asked_at, self._halt_all)

    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for all of it; see ``docs/icepap.md`` for the list."""
        from drivers._icepap_channels import channels_of

        return channels_of(self)

    def plan_reads(self, channels: Sequence[Channel]) -> list[BlockRead]:
        """Read status and position of all axes with one message each."""
        from drivers._icepap_channels import planned

        return planned(self, channels)

    # --- what is said -----------------------------------------------------------------------------

    def command(self, text: str) -> None:
        """Send *text*, an action, with ``#``, and see to it that it was taken.

        Raises:
            DeviceRefused: the controller answered with an error.
        """
        message = "#" + text.removeprefix("#")
        with self._answered(message) as reply:
            ice.acknowledged(message, reply)

    def query(self, text: str) -> str:
        """Ask *text*, and return what is said; several lines have LF between them.

        Raises:
            DeviceRefused: the controller answered with an error.
        """
        with self._answered(text) as reply:
            return ice.values_of(text, reply)

    def raw(self, text: str) -> str:
        """Send *text*: an action with ``#``, which a refusal needs to be told; else as it is.

        Returns:
            What stands behind the repeated word; empty for what was broadcast.
        """
        message = text.strip()
        if not message.strip("#:?"):
            raise BadValue(f"{self.label}: there is nothing to send")
        if "?" in message:
            return self.query(message)
        if message.startswith(":"):
            self.tell(message)
            return ""
        self.command(message)
        return "OK"

    def replies_to(self, text: str) -> bool:
        """Whether *text* is answered: all but a broadcast is."""
        return bool(text) and not text.startswith(":")

    def restore_setting(self, setting: str) -> None:
        """Send one of the ``restore`` commands; refused, it raises DeviceRefused."""
        self.raw(setting)

    # --- inside -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _answered(self, message: str) -> Iterator[str]:
        """Send *message*, and give its reply.

        A ValueError in the context, or a reply to something else, is a ProtocolMismatch.
        """
        with self.turn():
            reply = self._line.exchange(self._message(message), query="?" in message)
            try:
                yield reply.decode("ascii")
            except DeviceRefused as error:
                raise DeviceRefused(f"{self.label}: {error}") from error
            except (ProtocolMismatch, ValueError) as error:
                raise ProtocolMismatch(
                    f"{self.label}: asked {message!r}, and {reply[:80]!r} came back: {error}; the "
                    f"line is put back in step before anything else is sent"
                ) from error

    def _halt_all(self) -> None:
        try:
            self.command("STOP " + " ".join(map(str, self.motions)))
        except DeviceRefused:
            # One address that does not exist spoils it for all; the others are to stop.
            refused = []
            for number in self.motions:
                try:
                    self.command(f"{number}:STOP")
                except DeviceRefused as error:
                    refused.append(str(error))
            raise DeviceRefused("; ".join(refused)) from None

    def _one(self, message: str, read: Callable[[str], Read]) -> Read:
        with self._answered(message) as reply:
            return read(ice.values_of(message, reply))

    def _several(self, message: str, read: Callable[[str], Read], count: int) -> list[Read]:
        with self._answered(message) as reply:
            found = ice.values_of(message, reply).split()
            if len(found) != count:
                raise ValueError(f"{count} values are due, and {len(found)} came")
            return [read(text) for text in found]


class _Axis:
    """One axis, as the common part of motion takes it."""

    period_s = 0.1

    def __init__(self, controller: IcePAP, number: int) -> None:
        self._controller = controller
        self._number = number

    @property
    def label(self) -> str:
        return f"{self._controller.label}, axis {self._number}"

    def turn(self) -> contextlib.AbstractContextManager[None]:
        return self._controller.turn()

    def prioritised(self, kind: TurnKind) -> contextlib.AbstractContextManager[None]:
        return self._controller.prioritised(kind)

    def state(self) -> IcepapState:
        return self._controller.state(self._number)

    def bounds(self) -> Iterable[Bounds]:
        return ()

    def move_time_s(self, distance: int) -> float | None:
        speed = self._controller.steps_per_s(self._number)
        if speed <= 0:
            return None
        return distance / speed + self._controller.acceleration_time_s(self._number)

    def start(self, steps: int) -> None:
        self._controller.command(f"{self._number}:MOVE {steps}")

    def halt(self) -> None:
        self._controller.command(f"{self._number}:STOP")


def _on_or_off(text: str) -> bool:
    if text.upper() not in ("ON", "OFF"):
        raise ValueError(f"{text!r} is neither ON nor OFF")
    return text.upper() == "ON"
