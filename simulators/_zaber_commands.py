"""The command table of a Zaber device.

Each command gets an `Order` and gives the data of the reply, or raises `RejectedError` with nothing
changed. Beside what the sheet names there are
``driver``, ``tools``, ``system reset`` and ``help``, without which its reject words had no use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from simulators._zaber_axis import FLAGS, SPEED_UNITS, Reference, ZaberAxis
from simulators._zaber_lines import HIGHEST_DEVICE
from simulators._zaber_settings import (
    AXIS_SETTINGS,
    DEVICE_SETTINGS,
    FASTEST,
    MOST_STEPS,
    AxisSetting,
    DeviceSetting,
)

if TYPE_CHECKING:
    from simulators.zaber import Zaber

__all__ = ["COMMANDS", "DONE", "HELP", "Order", "Reject", "RejectedError", "flags_of"]

_WHOLE = re.compile(r"[+-]?\d{1,12}")


class Reject(Enum):
    """Why a command is not obeyed."""

    BAD_COMMAND = "BADCOMMAND"
    BAD_DATA = "BADDATA"
    BAD_AXIS = "BADAXIS"
    BAD_MESSAGE_ID = "BADMESSAGEID"
    NO_ACCESS = "NOACCESS"
    DEVICE_ONLY = "DEVICEONLY"
    BUSY = "STATUSBUSY"
    PARKED = "PARKED"
    DRIVER_DISABLED = "DRIVERDISABLED"
    INACTIVE = "INACTIVE"
    AGAIN = "AGAIN"


class RejectedError(Exception):
    """A command that is not obeyed; nothing has changed."""

    def __init__(self, why: Reject) -> None:
        """Remember what the reply has to say."""
        super().__init__(why.value)
        self.why = why


Words = Sequence[str]
Axes = Sequence[ZaberAxis]


@dataclass(frozen=True, slots=True)
class Order:
    """One command."""

    device: Zaber
    """Who is told."""
    axes: Axes
    """The axis that it is for, or all that the device has."""
    to_axis: bool
    """True: it names an axis."""
    to_chain: bool
    """True: it is for every device on the chain."""
    words: Words
    """What follows the first word."""

    def only_for_device(self) -> None:
        """Check that no axis is named.

        Raises:
            RejectedError: one is.
        """
        if self.to_axis:
            raise RejectedError(Reject.DEVICE_ONLY)

    def only_these(self, *allowed: Words) -> None:
        """Check that the words are one of *allowed*.

        Raises:
            RejectedError: they are not.
        """
        if list(self.words) not in [list(words) for words in allowed]:
            raise RejectedError(Reject.BAD_COMMAND)

    def active(self) -> Axes:
        """Give those axes that have something attached.

        Raises:
            RejectedError: none has.
        """
        found = [axis for axis in self.axes if axis.active]
        if not found:
            raise RejectedError(Reject.INACTIVE)
        return found

    def able(self) -> Axes:
        """Give those that can move, if all that are active can.

        Raises:
            RejectedError: one cannot.
        """
        found = self.active()
        if any(axis.parked for axis in found):
            raise RejectedError(Reject.PARKED)
        if not all(axis.driver_on for axis in found):
            raise RejectedError(Reject.DRIVER_DISABLED)
        return found


DONE = "0"
"""The data of a reply that has none."""

HELP = (
    "Commands: get, set, home, move, stop, estop, warnings, renumber, driver, tools, system",
    "An empty command asks for the status. Data are whole numbers, positions in microsteps.",
)
"""What ``help`` says, in info lines."""


def flags_of(axes: Axes) -> list[str]:
    """Give the flags of all *axes*, the gravest first."""
    there = {flag for axis in axes for flag in axis.flags}
    return [flag for flag in FLAGS if flag in there]


def _whole(words: Words, low: float, high: float) -> int:
    if len(words) != 1:
        raise RejectedError(Reject.BAD_COMMAND)
    if not _WHOLE.fullmatch(words[0]) or not low <= int(words[0]) <= high:
        raise RejectedError(Reject.BAD_DATA)
    return int(words[0])


def _at_rest(axes: Axes) -> None:
    if any(axis.busy for axis in axes):
        raise RejectedError(Reject.BUSY)


# -- settings ------------------------------------------------------------------------------------


def _get(order: Order) -> str:
    if len(order.words) != 1:
        raise RejectedError(Reject.BAD_COMMAND)
    name = order.words[0]
    if name in DEVICE_SETTINGS:
        order.only_for_device()
        return DEVICE_SETTINGS[name].read(order.device)
    if name not in AXIS_SETTINGS:
        raise RejectedError(Reject.BAD_COMMAND)
    order.active()
    read = AXIS_SETTINGS[name].read
    return " ".join(read(axis) if axis.active else "NA" for axis in order.axes)


def _set(order: Order) -> str:
    name, *data = order.words or [""]
    if name in DEVICE_SETTINGS:
        _set_of_device(order, DEVICE_SETTINGS[name], data)
    elif name in AXIS_SETTINGS:
        _set_of_axes(order.active(), AXIS_SETTINGS[name], data)
    else:
        raise RejectedError(Reject.BAD_COMMAND)
    return DONE


def _set_of_device(order: Order, setting: DeviceSetting, data: Words) -> None:
    order.only_for_device()
    if setting.write is None:
        raise RejectedError(Reject.NO_ACCESS)
    setting.write(order.device, _whole(data, setting.low, setting.high))


def _set_of_axes(axes: Axes, setting: AxisSetting, data: Words) -> None:
    if setting.write is None:
        raise RejectedError(Reject.NO_ACCESS)
    value = _whole(data, setting.low, setting.high)
    if setting.at_rest:
        _at_rest(axes)
    for axis in axes:
        setting.write(axis, value)


# -- motion --------------------------------------------------------------------------------------


def _home(order: Order) -> str:
    order.only_these([])
    for axis in order.able():
        axis.home()
    return DONE


def _move(order: Order) -> str:
    kind, *data = order.words or [""]
    if kind not in _MOVES:
        raise RejectedError(Reject.BAD_COMMAND)
    _MOVES[kind](order, data)
    return DONE


def _move_absolute(order: Order, data: Words) -> None:
    found = order.able()
    target = _whole(data, -MOST_STEPS, MOST_STEPS)
    for axis in found:
        if axis.reference is Reference.NONE and order.device.wants_reference:
            raise RejectedError(Reject.BAD_DATA)
        _check_target(axis, target)
    for axis in found:
        axis.move_to(target)


def _move_relative(order: Order, data: Words) -> None:
    found = order.able()
    steps = _whole(data, -MOST_STEPS, MOST_STEPS)
    for axis in found:
        if axis.reference is not Reference.NONE:
            _check_target(axis, axis.position + steps)
    for axis in found:
        axis.move_to(axis.position + steps)


def _check_target(axis: ZaberAxis, target: int) -> None:
    if not axis.limit_min <= target <= axis.limit_max:
        raise RejectedError(Reject.BAD_DATA)


def _move_at(order: Order, data: Words) -> None:
    found = order.able()
    velocity = _whole(data, -FASTEST, FASTEST) / SPEED_UNITS
    for axis in found:
        axis.move_at(velocity)


def _move_to_end(direction: int) -> Callable[[Order, Words], None]:
    def move(order: Order, data: Words) -> None:
        if data:
            raise RejectedError(Reject.BAD_COMMAND)
        for axis in order.able():
            axis.move_to_end(direction)

    return move


_MOVES: Mapping[str, Callable[[Order, Words], None]] = {
    "abs": _move_absolute,
    "rel": _move_relative,
    "vel": _move_at,
    "min": _move_to_end(-1),
    "max": _move_to_end(1),
}


def _stop(order: Order) -> str:
    order.only_these([])
    for axis in order.active():
        axis.stop()
    return DONE


def _emergency_stop(order: Order) -> str:
    order.only_these([])
    for axis in order.active():
        axis.halt()
    return DONE


# -- the rest ------------------------------------------------------------------------------------


def _warnings(order: Order) -> str:
    order.only_these([], ["clear"])
    flags = flags_of(order.axes)
    if order.words:
        for axis in order.axes:
            axis.clear_flags()
    return " ".join([f"{len(flags):02d}", *flags])


def _renumber(order: Order) -> str:
    order.only_for_device()
    first = _whole(order.words, 1, HIGHEST_DEVICE) if order.words else 1
    place = order.device.place - 1 if order.to_chain else 0
    order.device.number = min(HIGHEST_DEVICE, first + place)
    return DONE


def _driver(order: Order) -> str:
    order.only_these(["enable"], ["disable"])
    on = order.words[0] == "enable"
    found = order.active()
    for axis in found:
        axis.set_driver(on)
    if on and not all(axis.driver_on for axis in found):
        raise RejectedError(Reject.DRIVER_DISABLED)
    return DONE


def _tools(order: Order) -> str:
    if order.words and order.words[0] == "echo":
        return " ".join(order.words[1:]) or DONE
    order.only_these(["parking", "park"], ["parking", "unpark"])
    found = order.active()
    _at_rest(found)
    for axis in found:
        axis.parked = order.words[1] == "park"
    return DONE


def _system(order: Order) -> str:
    order.only_these(["reset"])
    order.only_for_device()
    order.device.power_off()
    order.device.power_on()
    return DONE


def _help(order: Order) -> str:
    order.only_these([])
    return DONE


COMMANDS: Mapping[str, Callable[[Order], str]] = {
    "get": _get,
    "set": _set,
    "home": _home,
    "move": _move,
    "stop": _stop,
    "estop": _emergency_stop,
    "warnings": _warnings,
    "renumber": _renumber,
    "driver": _driver,
    "tools": _tools,
    "system": _system,
    "help": _help,
}
"""By the first word."""
