"""The channels that every axis has, whatever moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from drivers.channel import Channel
from drivers.motion import AxisState, Motion

__all__ = [
    "FAST_S",
    "SLOW_S",
    "axis_channels",
    "axis_order",
    "command",
    "item",
    "looked_at",
    "stop_channel",
    "texts",
]

FAST_S, SLOW_S = 1.0, 60.0
"""How often to read what changes as an axis moves, and what hardly ever does."""


def axis_channels(number: int, motion: Motion, **sizes: int) -> Iterator[Channel]:
    """Yield what every axis has: ``position.1``, ``move.1``, ``moving.1``, ``stop.1``.

    Args:
        number: The axis.
        motion: Its moves.
        sizes: ``sent_bytes`` and ``received_bytes`` of one look at it.
    """
    settings = motion.settings
    shown: dict[str, Any] = {"units": settings.shown_units, "format": settings.format}
    bounds: dict[str, Any] = {} if settings.limits is None else {"range": list(settings.limits)}
    yield looked_at(
        motion,
        f"position.{number}",
        item(f"Position of axis {number}; a SET answers when it has settled", **shown, **bounds),
        motion.position,
        timed_write=motion.move_to,
        set_order=axis_order(number),
        **sizes,
    )
    yield Channel(
        f"move.{number}",
        item(f"Moves axis {number} by so much from where it stands", **shown),
        timed_write=motion.move_by,
        set_order=axis_order(number),
        poll_s=None,
    )
    yield looked_at(
        motion,
        f"moving.{number}",
        item(f"Whether axis {number} moves or settles", "boolean"),
        lambda state: state.moving,
        **sizes,
    )
    yield stop_channel(f"stop.{number}", f"stop axis {number}", motion.stop)


def stop_channel(path: str, what: str, stop: Callable[[float], None]) -> Channel:
    """Return the channel that stops something by *stop*, which gets when that was asked for."""
    return command(path, what, lambda _value, asked_at: stop(asked_at), urgent=True)


def command(path: str, what: str, run: Callable[[Any, float], None], **more: Any) -> Channel:
    """Return a channel that does something when it is set to 1."""
    described = item(f"Set it to 1 to {what}", format="%d", range=[1, 1])
    return Channel(path, described, timed_write=run, poll_s=None, **more)


def axis_order(number: int) -> str:
    """Return the :attr:`Channel.set_order` of all that moves an axis."""
    return f"axis {number}"


def looked_at(
    motion: Motion,
    path: str,
    described: dict[str, Any],
    value_of: Callable[[AxisState], Any],
    **more: Any,
) -> Channel:
    """Return a channel of what one look at the axis shows; it is told during a move as well."""

    def read() -> Any:
        return value_of(motion.axis.state())

    def listen(callback: Callable[[Any], None]) -> None:
        motion.listen(lambda state: callback(value_of(state)))

    return Channel(path, described, read, listen=listen, **{"poll_s": FAST_S, **more})


def item(description: str, kind: str = "numeric", **fields: Any) -> dict[str, Any]:
    """Return the description of an item."""
    return {"description": description, "type": kind, **fields}


def texts(names: dict[int, str]) -> dict[str, str]:
    """Return enumerators as a description has them."""
    return {str(number): text for number, text in names.items()}
