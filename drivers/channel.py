"""What a controller offers, one channel each: a path, a description, and how to read and set it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers._suggest import suggestion
from mktl.errors import UnknownKey

__all__ = ["BlockRead", "Channel", "Reading", "find_channel"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A value that is true, and yet not all that one would take it for."""

    value: Any
    """The value."""
    quality: str
    """How good it is: ``changing``, ``warning`` or ``alarm``."""
    reason: str
    """Why, in one line."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One thing of a controller that can be an item."""

    path: str
    """Its name within the controller, e.g. ``temperature.A``."""
    item: Mapping[str, Any]
    """The fields of an item's description as on the wire (``description``, ``type``, ``units``,
    ``format``, ``enumerators``, ``settable``) and our ``range: [low, high]``."""
    read: Callable[[], Any] | None = None
    """Asks the controller. Raises a DeviceError rather than returning what may be wrong; returns a
    :class:`Reading` where there is more to say than the value. ``None``: it can only be set, or
    only listened to."""
    write: Callable[[Any], None] | None = None
    """Sets it, and returns when the controller has taken it; ``None``: it cannot be set."""
    poll_s: float | None = 5.0
    """How often to read it, where nobody says otherwise; ``None``: only when asked for."""
    listen: Callable[[Callable[[Any], None]], None] | None = None
    """Takes a callback for what the device says unasked: it gets each value, or an exception that
    says why there is none. ``None``: the device speaks only when asked."""
    timed_write: Callable[[Any, float], None] | None = None
    """Sets it as :attr:`write` does, which need not be given then, and gets the moment
    (:func:`time.monotonic`) when it was asked for: for what may take long, so that it matters what
    was asked for meanwhile. It is read anew after it has failed, too."""
    set_order: str | None = None
    """What is set in the channels of a controller that have the same one is carried out in the
    order in which it was asked for; ``None``: in no order but its own."""
    urgent: bool = False
    """Whether setting it must not wait for anything else that is being set: it stops something."""
    slow: bool = False
    """Whether reading it takes long without keeping the line: it is then polled beside the others
    of its controller, which would wait for it otherwise."""
    sent_bytes: int | None = None
    """About how many bytes are sent to read it, terminator included; ``None``: not known."""
    received_bytes: int | None = None
    """About how many come back."""

    def __post_init__(self) -> None:
        """Say in the description what can be done: settable and gettable follow from the rest."""
        timed_write = self.timed_write
        if timed_write is not None and self.write is None:
            object.__setattr__(self, "write", lambda value: timed_write(value, time.monotonic()))
        readable = self.read is not None or self.listen is not None
        fields = {"gettable": readable, "settable": self.write is not None}
        object.__setattr__(self, "item", {**self.item, **fields})


@dataclass(frozen=True, slots=True)
class BlockRead:
    """One exchange that reads several channels."""

    channels: tuple[Channel, ...]
    """What it reads."""
    read: Callable[[], Sequence[Any]]
    """Asks the controller once; gives a value for each channel, or the DeviceError that says why
    there is none for that one. Raises a DeviceError if there is nothing for any of them."""
    what: str
    """What is asked, for people: ``KRDG? 0``, or ``holding 0-124``."""
    sent_bytes: int | None = None
    """About how many bytes are sent; ``None``: not known."""
    received_bytes: int | None = None
    """About how many come back."""


def single_read(channel: Channel) -> BlockRead:
    """Return the exchange that reads *channel*, which can be read, and nothing else."""
    read = channel.read
    assert read is not None
    return BlockRead(
        (channel,), lambda: (read(),), channel.path, channel.sent_bytes, channel.received_bytes
    )


def find_channel(channels: Iterable[Channel], path: str, *, where: str) -> Channel:
    """Return the channel with *path*; *where* names the controller in the error.

    Raises:
        UnknownKey: there is none; the text has the nearest ones.
    """
    by_path = {channel.path: channel for channel in channels}
    if path in by_path:
        return by_path[path]
    raise UnknownKey(f"{where} has no channel {path!r}: {suggestion(path, by_path)}")
