"""What a controller offers, one channel each: a path, a description, and how to read and set it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers._suggest import suggestion
from mktl.errors import UnknownKey

__all__ = ["Channel", "find_channel"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One thing of a controller that can be an item."""

    path: str
    """Its name within the controller, e.g. ``temperature.A``."""
    item: Mapping[str, Any]
    """The fields of an item's description as on the wire (``description``, ``type``, ``units``,
    ``format``, ``enumerators``, ``settable``) and our ``range: [low, high]``."""
    read: Callable[[], Any] | None = None
    """Asks the controller. Raises a DeviceError rather than returning what may be wrong. ``None``:
    it can only be set."""
    write: Callable[[Any], None] | None = None
    """Sets it, and returns when the controller has taken it; ``None``: it cannot be set."""
    poll_s: float | None = 5.0
    """How often to read it, where nobody says otherwise; ``None``: only when asked for."""

    def __post_init__(self) -> None:
        """Say in the description what can be done: settable and gettable follow from the two."""
        fields = {"gettable": self.read is not None, "settable": self.write is not None}
        object.__setattr__(self, "item", {**self.item, **fields})


def find_channel(channels: Iterable[Channel], path: str, *, where: str) -> Channel:
    """Return the channel with *path*; *where* names the controller in the error.

    Raises:
        UnknownKey: there is none; the text has the nearest ones.
    """
    by_path = {channel.path: channel for channel in channels}
    if path in by_path:
        return by_path[path]
    raise UnknownKey(f"{where} has no channel {path!r}: {suggestion(path, by_path)}")
