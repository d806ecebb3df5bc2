"""The channels of a Zaber device: what each method of the driver looks like as an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from drivers import _zaber as za
from drivers._block_plan import Block, plan
from drivers._motion_channels import (
    SLOW_S,
    axis_channels,
    axis_order,
    command,
    item,
    looked_at,
    stop_channel,
)
from drivers._zaber import ZaberState
from drivers.channel import BlockRead, Channel
from drivers.motion import AxisState, Motion
from drivers.zaber import Zaber

__all__ = ["channels_of", "planned"]

_QUERY: dict[str, Any] = {"sent_bytes": 22, "received_bytes": 31}


def channels_of(device: Zaber) -> tuple[Channel, ...]:
    """Return all channels, bound to *device*; nothing is sent."""
    return (
        *(
            channel
            for number, motion in device.motions.items()
            for of in (_moves, _setup)
            for channel in of(device, number, motion)
        ),
        stop_channel("stop", "stop all axes", device.stop_all),
        *(
            Channel(path, item(what, "string"), partial(device.get, setting), poll_s=None, **_QUERY)
            for path, what, setting in (
                ("device.id", "Number of the kind of device", "device.id"),
                ("version", "Version of the firmware", "version"),
                ("serial", "Serial number", "system.serial"),
            )
        ),
    )


def _moves(device: Zaber, number: int, motion: Motion) -> Iterator[Channel]:
    yield from axis_channels(number, motion, **_QUERY)
    yield stop_channel(
        f"estop.{number}",
        f"stop axis {number} without a ramp",
        partial(device.emergency_stop, number),
    )
    yield command(
        f"home.{number}",
        f"find the reference of axis {number}",
        lambda _value, asked_at: device.home(number, asked_at),
        set_order=axis_order(number),
    )
    yield looked_at(
        motion,
        f"warnings.{number}",
        item(f"Warning flags of axis {number}", "mask", enumerators=_flag_texts()),
        partial(_flags, motion),
        **_QUERY,
    )
    yield command(
        f"warnings.clear.{number}",
        f"clear the warning flags of axis {number}",
        lambda _value, _asked_at: device.clear_flags(number),
    )


def _flag_texts() -> dict[str, str]:
    words = {str(bit): f"{flag}: {text}" for bit, (flag, text) in enumerate(za.FLAGS.items())}
    return {"None": "None", **words, str(za.OTHER_FLAG): "Another one"}


def _flags(motion: Motion, state: AxisState) -> Any:
    assert isinstance(state, ZaberState)
    return motion.told(state.bits, state)


def _setup(device: Zaber, number: int, motion: Motion) -> Iterator[Channel]:
    shown = {"units": motion.settings.shown_units, "format": motion.settings.format}
    yield Channel(
        f"velocity.{number}",
        item(
            f"Speed of moves of axis {number}",
            units=f"{motion.settings.shown_units}/s",
            format="%.6g",
        ),
        partial(device.velocity, number),
        partial(device.set_velocity, number),
        SLOW_S,
        **_QUERY,
    )
    for which, what in (("min", "Least"), ("max", "Greatest")):
        yield Channel(
            f"limit.{which}.{number}",
            item(f"{what} position that the device lets axis {number} go to", **shown),
            partial(device.limit, number, which),
            poll_s=SLOW_S,
            sent_bytes=52,
            received_bytes=62,
        )


# --- what one message reads ---------------------------------------------------------------------


def planned(device: Zaber, channels: Sequence[Channel]) -> list[BlockRead]:
    """Return the fewest exchanges that read *channels*: what follows from a look is one."""
    return plan(channels, (_block(device, number) for number in device.motions))


def _block(device: Zaber, number: int) -> Block:
    def read() -> tuple[Any, ...]:
        motion = device.motion(number)
        state = device.state(number)
        return motion.position(state), state.moving, _flags(motion, state)

    return Block(
        (f"position.{number}", f"moving.{number}", f"warnings.{number}"),
        read,
        f"{number} get pos",
        22,
        31,
    )
