"""The channels of an IcePAP: what each method of the driver looks like as an item."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from drivers import _icepap as ice
from drivers._block_plan import Block, plan
from drivers._icepap import IcepapState
from drivers._motion_channels import (
    FAST_S,
    SLOW_S,
    axis_channels,
    axis_order,
    item,
    looked_at,
    stop_channel,
    texts,
)
from drivers.channel import BlockRead, Channel
from drivers.icepap import IcePAP
from drivers.motion import AxisState, Motion
from mktl.errors import DeviceError, DeviceRefused, InvalidReading

__all__ = ["channels_of", "planned"]

_LOOK = {"sent_bytes": 20, "received_bytes": 40}
_QUERY: dict[str, Any] = {"sent_bytes": 14, "received_bytes": 24}


def channels_of(icepap: IcePAP) -> tuple[Channel, ...]:
    """Return all channels, bound to *icepap*; nothing is sent."""
    return (
        *(
            channel
            for number, motion in icepap.motions.items()
            for of in (_moves, _status, _setup, _texts)
            for channel in of(icepap, number, motion)
        ),
        stop_channel("stop", "stop all axes", icepap.stop_all),
        Channel("mode", item("Mode: OPER, CONFIG, PROG or TEST", "string"), icepap.mode, **_QUERY),
        Channel(
            "version",
            item("Version of the firmware", "string"),
            icepap.version,
            poll_s=None,
            **_QUERY,
        ),
    )


def _moves(icepap: IcePAP, number: int, motion: Motion) -> Iterator[Channel]:
    yield from axis_channels(number, motion, **_LOOK)
    yield stop_channel(
        f"abort.{number}", f"stop axis {number} without a ramp", partial(icepap.abort, number)
    )
    yield Channel(
        f"home.{number}",
        item(
            f"Search for the home position of axis {number} in this direction",
            "enumerated",
            enumerators=texts(ice.DIRECTIONS),
        ),
        timed_write=partial(icepap.home, number),
        set_order=axis_order(number),
        poll_s=None,
    )
    shown = {"units": motion.settings.shown_units, "format": motion.settings.format}
    yield Channel(
        f"encoder.{number}",
        item(f"Position of axis {number} by its encoder", **shown),
        partial(_encoder, icepap, number),
        poll_s=FAST_S,
        sent_bytes=28,
        received_bytes=60,
    )
    yield Channel(
        f"redefine.{number}",
        item(f"Declares where axis {number} stands; nothing moves", **shown),
        write=partial(icepap.redefine_position, number),
        poll_s=None,
    )


def _encoder(icepap: IcePAP, number: int) -> Any:
    with icepap.turn():
        state = icepap.motion(number).axis.state()
        return _encoder_value(icepap, number, state)


def _encoder_value(icepap: IcePAP, number: int, state: AxisState) -> Any:
    motion = icepap.motion(number)
    return motion.told(motion.settings.value(icepap.encoder_steps(number)), state)


def _status(_icepap: IcePAP, number: int, motion: Motion) -> Iterator[Channel]:
    for name, what, kind, names, value_of in _STATUS:
        yield looked_at(
            motion,
            f"{name}.{number}",
            item(what.format(number), kind, enumerators=names),
            partial(_of_state, motion, value_of),
            **_LOOK,
        )


def _of_state(
    motion: Motion, value_of: Callable[[IcepapState], tuple[int, bool]], state: AxisState
) -> Any:
    assert isinstance(state, IcepapState)
    value, follows = value_of(state)
    return motion.told(value, state) if follows else value


_STATUS: tuple[
    tuple[str, str, str, dict[str, str], Callable[[IcepapState], tuple[int, bool]]], ...
] = (
    (
        "status",
        "Status of axis {}",
        "mask",
        {"None": "None", **texts(ice.STATUS_BITS)},
        lambda state: (state.flags, True),
    ),
    (
        "limits",
        "Limit switches of axis {}",
        "mask",
        {"None": "None", **texts(ice.LIMITS)},
        lambda state: (state.limits, False),
    ),
    (
        "stop_code",
        "Why the last move of axis {} ended",
        "enumerated",
        texts(ice.STOP_CODES),
        lambda state: (state.stop_code, True),
    ),
    (
        "disabled",
        "Why the motor of axis {} has no power",
        "enumerated",
        texts(ice.DISABLED),
        lambda state: (state.disabled, False),
    ),
    (
        "mode",
        "Mode of the board of axis {}",
        "enumerated",
        texts(ice.BOARD_MODES),
        lambda state: (state.mode, False),
    ),
)


def _setup(icepap: IcePAP, number: int, motion: Motion) -> Iterator[Channel]:
    units = motion.settings.shown_units
    yield Channel(
        f"velocity.{number}",
        item(f"Speed of moves of axis {number}", units=f"{units}/s", format="%.6g"),
        partial(icepap.velocity, number),
        partial(icepap.set_velocity, number),
        SLOW_S,
        **_QUERY,
    )
    yield Channel(
        f"acceleration_time.{number}",
        item(f"Time of axis {number} to full speed", units="second", format="%.4g"),
        partial(icepap.acceleration_time_s, number),
        partial(icepap.set_acceleration_time_s, number),
        SLOW_S,
        **_QUERY,
    )
    yield Channel(
        f"power.{number}",
        item(
            f"Power of the motor of axis {number}",
            "boolean",
            enumerators={"0": "Off", "1": "On"},
        ),
        partial(icepap.power, number),
        partial(icepap.set_power, number),
        **_QUERY,
    )


def _texts(icepap: IcePAP, number: int, _motion: Motion) -> Iterator[Channel]:
    for name, what, poll_s in (
        ("warning", "Warnings", 10.0),
        ("alarm", "Alarm", 10.0),
        ("name", "Name", None),
    ):
        yield Channel(
            f"{name}.{number}",
            item(f"{what} of axis {number}, as the controller says it", "string"),
            partial(icepap.text, number, name.upper()),
            poll_s=poll_s,
            **_QUERY,
        )


# --- what one message reads ---------------------------------------------------------------------


def planned(icepap: IcePAP, channels: Sequence[Channel]) -> list[BlockRead]:
    """Return the fewest exchanges that read *channels*: what follows from a look is one."""
    inside = [channel.path for channel in channels if channel.path in _looks(icepap)]
    axes = sorted({_axis_of(path) for path in inside})
    if not axes:
        return plan(channels, ())
    encoders = sum(path.startswith("encoder.") for path in inside)
    addresses = " ".join(map(str, axes))
    block = Block(
        tuple(dict.fromkeys(inside)),
        partial(_read_together, icepap, tuple(dict.fromkeys(inside))),
        f"?STATUS {addresses}",
        14 + 2 * len(addresses) + 8 * encoders,
        20 + 25 * len(axes) + 16 * encoders,
    )
    return plan(channels, (block,))


def _looks(icepap: IcePAP) -> frozenset[str]:
    names = ("position", "encoder", "moving", *(name for name, *_ in _STATUS))
    return frozenset(f"{name}.{number}" for name in names for number in icepap.motions)


def _axis_of(path: str) -> int:
    return int(path.rpartition(".")[2])


def _read_together(icepap: IcePAP, paths: Sequence[str]) -> list[Any]:
    axes = sorted({_axis_of(path) for path in paths})
    with icepap.turn():
        states = _states(icepap, axes)
        return [_value(icepap, path, states[_axis_of(path)]) for path in paths]


def _states(icepap: IcePAP, axes: Sequence[int]) -> dict[int, IcepapState | DeviceError]:
    """Return the state of each axis; one that does not exist spoils it for itself alone."""
    if len(axes) == 1:
        try:
            return {axes[0]: icepap.state(axes[0])}
        except (DeviceRefused, InvalidReading) as error:
            return {axes[0]: error}
    with contextlib.suppress(DeviceRefused):
        states = icepap.states(axes)
        if all(state.present for state in states):
            return dict(zip(axes, states, strict=True))
    found: dict[int, IcepapState | DeviceError] = {}
    for number in axes:
        found.update(_states(icepap, [number]))
    return found


def _value(icepap: IcePAP, path: str, state: IcepapState | DeviceError) -> Any:
    if isinstance(state, DeviceError):
        return state
    name, _, number = path.partition(".")
    motion = icepap.motion(int(number))
    if name == "position":
        return motion.position(state)
    if name == "moving":
        return state.moving
    if name == "encoder":
        try:
            return _encoder_value(icepap, int(number), state)
        except DeviceRefused as error:
            return error
    value_of = next(value_of for known, *_, value_of in _STATUS if known == name)
    return _of_state(motion, value_of, state)
