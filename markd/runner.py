"""From an instrument file to a daemon: its controllers, and an item for each of its channels."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import mktl
from drivers.channel import Channel
from drivers.controller import Controller
from drivers.wiring import InstrumentFile
from mktl.errors import ConfigurationError
from mktl.requests import ItemRequest

if TYPE_CHECKING:
    from simulators.serve import Simulator

__all__ = ["ChannelItem", "InstrumentDaemon", "check_urls", "describe", "start_twins"]

_log = logging.getLogger(__name__)


class CommandItem(mktl.Item):
    """An item that sets a channel which cannot be read."""

    def __init__(
        self, store: mktl.Store, key: str, controller: Controller, channel: Channel
    ) -> None:
        super().__init__(store, key)
        self.controller = controller
        self.channel = channel

    def req_set(self, request: ItemRequest) -> None:
        """Set the channel."""
        assert self.channel.write is not None  # or it would not be described as settable
        self.channel.write(request.value)


class ChannelItem(CommandItem):
    """An item that is what a channel of a controller says."""

    def req_refresh(self) -> Any:
        """Read the channel."""
        assert self.channel.read is not None
        return self.channel.read()

    def req_set(self, request: ItemRequest) -> None:
        """Set the channel, and publish what it is then."""
        super().req_set(request)
        self.req_poll()


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

    def setup(self) -> None:
        """Open the controllers, and bind each item to its channel."""
        controllers = self._wiring.open_controllers(self._urls)
        for name, controller in controllers.items():
            self.add_controller(name, controller)
        for key, wired in self._wiring.items.items():
            if wired.controller is None or wired.channel is None:
                continue  # a plain item, which keeps what it is set to
            controller = controllers[wired.controller]
            channel = controller.channel(wired.channel)
            item_class = CommandItem if channel.read is None else ChannelItem
            item = self.add_item(item_class, key, controller, channel)
            if wired.poll_s:
                item.poll(wired.poll_s)


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


def start_twins(
    wiring: InstrumentFile, stack: ExitStack, besides: Container[str] = ()
) -> dict[str, str]:
    """Start a simulator for each controller that has one; return their URLs by controller.

    Args:
        wiring: The checked file.
        stack: Closes them in the end.
        besides: Controllers that need none.
    """
    import simulators

    urls = {}
    for name, controller in wiring.controllers.items():
        if name in besides:
            continue
        model = simulators.MODELS.get(controller.driver)
        if model is None:
            _log.warning(
                "controller %s is not simulated: driver %s has no simulator, only %s have",
                name,
                controller.driver,
                ", ".join(simulators.MODELS),
            )
            continue
        scheme = controller.url.partition(":")[0]
        transport = scheme if scheme in model.transports else model.transports[0]
        twin: Simulator = simulators.start_twin(controller.driver, transport)
        stack.callback(twin.close)
        urls[name] = twin.url
        host, port = twin.control_address or ("", 0)
        _log.info(
            "controller %s is simulated at %s; to meddle with it: marksim ctl %s:%d status",
            name,
            twin.url,
            host,
            port,
        )
    return urls
