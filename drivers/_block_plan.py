"""Which channels of a driver one message can read, and how that is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from drivers.channel import BlockRead, Channel, single_read

__all__ = ["Block", "plan"]


@dataclass(frozen=True, slots=True)
class Block:
    """Channels that one exchange can read together."""

    paths: tuple[str, ...]
    """Paths of the channels."""
    read: Callable[[], Sequence[Any]]
    """Asks once; gives a value, or a DeviceError, for each of *paths*, in their order."""
    what: str
    """What is asked, for people."""
    sent_bytes: int
    """About how many bytes are sent."""
    received_bytes: int
    """About how many come back."""


def plan(channels: Sequence[Channel], blocks: Iterable[Block]) -> list[BlockRead]:
    """Return the exchanges that read *channels*, as few as *blocks* allow.

    A block is used where it saves an exchange, which is with two different channels of it or more.
    """
    left = list(channels)
    planned = []
    for block in blocks:
        inside = [channel for channel in left if channel.path in block.paths]
        if len({channel.path for channel in inside}) < 2:
            continue
        left = [channel for channel in left if channel.path not in block.paths]
        planned.append(
            BlockRead(
                tuple(inside),
                partial(_read_of, block, tuple(inside)),
                block.what,
                block.sent_bytes,
                block.received_bytes,
            )
        )
    return [*planned, *map(single_read, left)]


def _read_of(block: Block, channels: tuple[Channel, ...]) -> list[Any]:
    by_path = dict(zip(block.paths, block.read(), strict=True))
    return [by_path[channel.path] for channel in channels]
