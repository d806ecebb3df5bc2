"""From an instrument file to a daemon: its controllers, and an item for each of its channels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import mktl
from drivers._outcome import reason_only
from drivers.base import ControllerBase
from drivers.channel import BlockRead, Channel, Reading
from drivers.plan import group_polls
from drivers.wiring import InstrumentFile
from mktl.errors import ConfigurationError, DeviceError, InvalidReading, LinkDown
from mktl.requests import ItemRequest

__all__ = [
    "ChannelItem",
    "CommandItem",
    "HeardItem",
    "InstrumentDaemon",
    "check_urls",
    "describe",
]


class CommandItem(mktl.Item):
    """An item that sets a channel which cannot be read."""

    def __init__(
        self, store: mktl.Store, key: str, controller: ControllerBase, channel: Channel
    ) -> None:
        super().__init__(store, key)
        self.controller = controller
        self.channel = channel
        self.polled_apart = channel.slow
        self.urgent = channel.urgent
        if channel.set_order is not None:
            self.set_order = controller, channel.set_order

    def req_set(self, request: ItemRequest) -> None:
        """Set the channel."""
        if self.channel.timed_write is not None:
            self.channel.timed_write(request.value, request.arrived)
            return
        assert self.channel.write is not None  # or it would not be described as settable
        self.channel.write(request.value)


class ChannelItem(CommandItem):
    """An item that is what a channel of a controller says."""

    def req_refresh(self) -> Any:
        """Read the channel."""
        assert self.channel.read is not None
        return _told(self.channel.read())

    def req_set(self, request: ItemRequest) -> None:
        """Set the channel, and publish what it is then."""
        super().req_set(request)
        try:
            self.req_poll()
        except DeviceError as error:
            # That it was set must not be taken for not set.
            raise type(error)(
                f"it was set, but could not be read back: {reason_only(error)}"
            ) from error


class HeardItem(CommandItem):
    """An item that a controller tells unasked, and that it cannot be asked for."""

    def req_get(self, request: ItemRequest) -> None:  # noqa: ARG002 - a refresh finds nothing out
        """Answer with what was heard last, and how good that is."""
        if self.timestamp is None:
            self.doubt(InvalidReading("nothing was heard of it yet, and it cannot be asked for"))

    def req_refresh(self) -> None:
        """Find out nothing: what was heard last stays as it is."""


class InstrumentDaemon(mktl.Daemon):
    """The daemon that an instrument file describes.

    Args:
        wiring: The checked file.
        urls: Other URLs than the file's, by name of the controller.
        override: Ask registries to forget a conflicting daemon that no longer answers.
    """

    def __init__(
        self,
        wiring: InstrumentFile,
        urls: Mapping[str, str] | None = None,
        *,
        override: bool = False,
    ) -> None:
        self._wiring = wiring
        self._urls = urls
        super().__init__(wiring.store, wiring.alias, override)

    def describe_items(self) -> dict[str, Mapping[str, Any]]:
        """Return what the file and the channels say about the items."""
        return {key: item.description for key, item in self._wiring.items.items()}

    def describe_access(self) -> Mapping[str, Any]:
        """Return what the file says about who may do what."""
        return self._wiring.access

    def setup(self) -> None:
        """Open the controllers, and bind each item to its channel."""
        controllers = self._wiring.open_controllers(self._urls)
        for name, controller in controllers.items():
            self.add_controller(name, controller)
        for name, controller in controllers.items():
            self._bind_items(name, controller)

    def _bind_items(self, name: str, controller: ControllerBase) -> None:
        """Make the items of one controller; those that one exchange can read are polled so."""
        items: dict[str, mktl.Item] = {}
        polled: list[tuple[str, Channel, float]] = []
        for key, wired in self._wiring.items.items():
            if wired.controller != name:
                continue  # plain items are made without us, and keep what they are set to
            channel = wired.bind(controller)
            item = items[key] = self.add_item(_item_class(channel), key, controller, channel)
            if channel.listen is not None:
                channel.listen(partial(_take, item))
            if wired.poll_s and channel.read is not None:
                polled.append((key, channel, wired.poll_s))
        for poll in group_polls(controller, polled):
            if len(poll.keys) == 1:
                items[poll.keys[0]].poll(poll.period_s)
            else:
                together = [items[key] for key in poll.keys]
                self.poll_together(together, poll.period_s, partial(_read_block, poll.block))


def _item_class(channel: Channel) -> type[CommandItem]:
    if channel.read is not None:
        return ChannelItem
    return CommandItem if channel.listen is None else HeardItem


def _take(item: mktl.Item, said: Any) -> None:
    """Publish what the device has said unasked; an exception says why there is no value."""
    if isinstance(said, Exception):
        item.doubt(said)
    else:
        with contextlib.suppress(LinkDown):  # the item says so already
            item.hear(_told(said))


def _read_block(block: BlockRead) -> list[Any]:
    return [_told(value) for value in block.read()]


def _told(value: Any) -> Any:
    """Return what a channel says as an item takes it."""
    if isinstance(value, Reading):
        return mktl.Payload(value.value, quality=value.quality, reason=value.reason)
    return value


def describe(wiring: InstrumentFile) -> dict[str, Any]:
    """Return what the daemon of *wiring* would say about its items, without starting it."""
    from mktl.description import Description

    return {
        key: Description.from_json(key, item.description).to_json()
        for key, item in wiring.items.items()
    }


def check_urls(wiring: InstrumentFile, given: Iterable[str]) -> dict[str, str]:
    """Return the URLs in *given*, each ``NAME=URL``, by controller.

    Raises:
        ConfigurationError: one is of another form, or for a controller that does not exist.
    """
    urls = {}
    for text in given:
        name, equals, url = text.partition("=")
        if not equals:
            raise ConfigurationError(f"--url {text!r} is not of the form NAME=URL")
        if name.lower() not in wiring.controllers:
            known = ", ".join(wiring.controllers) or "none"
            raise ConfigurationError(f"--url names {name!r}; the controllers are: {known}")
        urls[name.lower()] = url
    return urls
