"""Short words for what the channels of a driver say at length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.channel import Channel

__all__ = ["command_channel", "item_fields", "texts_of"]


def item_fields(
    description: str, kind: str = "numeric", *, units: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Return the description of an item of the type *kind*; without *units* it has none."""
    item = {"description": description, "type": kind, **fields}
    return item if units is None else {**item, "units": units}


def texts_of(names: Mapping[int, str], *, none: bool = False) -> dict[str, str]:
    """Return the enumerators that *names* are; with *none*, also a mask's for no bit."""
    texts = {str(number): text for number, text in names.items()}
    return {"None": "None", **texts} if none else texts


def command_channel(path: str, what: str, run: Callable[[], None]) -> Channel:
    """Return a channel that does *what* when it is set to 1."""
    return Channel(
        path,
        item_fields(f"Set it to 1 to {what}", range=[1, 1], format="%d"),
        write=lambda _value: run(),
        poll_s=None,
    )
