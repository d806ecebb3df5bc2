"""The items that a daemon has about each of its controllers, and what follows from its state."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .controllers import LINK_STATES, ControllerLike, ControllerStatus
from .errors import LinkDown
from .item import Item

if TYPE_CHECKING:
    from .daemon import Daemon
    from .requests import ItemRequest

__all__ = ["ControllerItems"]

_log = logging.getLogger(__name__)

FIGURES_S = 2.0
"""How often the figures of a controller (latency, load, errors) are published, in seconds."""

_DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "link": {
        "description": "State of the connection.",
        "type": "enumerated",
        "enumerators": {str(number): name for number, name in enumerate(LINK_STATES)},
        "settable": False,
    },
    "error": {"description": "The last error.", "type": "string", "settable": False},
    "errors": {
        "description": "Number of failed exchanges and connections since the start.",
        "type": "numeric",
        "format": "%d",
        "settable": False,
    },
    "latency": {
        "description": "Median duration of recent exchanges.",
        "type": "numeric",
        "units": "milliseconds",
        "format": "%.1f",
        "settable": False,
    },
    "load": {
        "description": "Share of the time in which the connection is in use.",
        "type": "numeric",
        "units": "percent",
        "format": "%.1f",
        "settable": False,
    },
    "raw": {
        "description": "Set it to a command: it is sent as it is, and the reply is the new value.",
        "type": "string",
        "initial": "",
    },
}


class _Raw(Item):
    """What is set is sent to the controller; the reply is the new value."""

    def __init__(self, store: Any, key: str, controller: ControllerLike) -> None:
        super().__init__(store, key)
        self._line = controller

    def req_set(self, request: ItemRequest) -> None:
        """Send the text, and publish the reply."""
        with self._line.prioritised("set"):
            reply = self._line.raw(request.value)
        self.publish(reply, repeat=True)


class ControllerItems:
    """The controllers of one daemon.

    Args:
        daemon: The daemon.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._controllers: dict[str, ControllerLike] = {}

    def add(self, name: str, controller: ControllerLike) -> None:
        """Add the items about *controller*; it is not started before the daemon is."""
        self._controllers[name] = controller
        for suffix, description in _DESCRIPTIONS.items():
            args = (controller,) if suffix == "raw" else ()
            item_class = _Raw if suffix == "raw" else Item
            self._daemon.add_item(item_class, f"{name}_{suffix}", *args, description=description)

    def start(self) -> None:
        """Begin to connect, and to publish what becomes of it."""
        for name, controller in self._controllers.items():
            self._publish(name, controller.status())
            controller.on_change(self._reaction(name, controller))
            controller.start()
            figures = partial(self._publish_figures, name, controller)
            self._daemon.scheduler.add(FIGURES_S, figures, partial(_state_lane, name))

    def close(self) -> None:
        """Close all of them, whatever fails on the way."""
        for name, controller in self._controllers.items():
            try:
                controller.close()
            except Exception:  # the others have to be closed as well
                _log.exception("controller %s could not be closed", name)

    def _publish_figures(self, name: str, controller: ControllerLike) -> None:
        self._publish(name, controller.status())

    def _reaction(
        self, name: str, controller: ControllerLike
    ) -> Callable[[ControllerStatus], None]:
        def react(status: ControllerStatus) -> None:
            # In a lane, as changes have to be told in their order, and not on the line's thread.
            self._daemon.lanes.submit(
                _state_lane(name), lambda: self._react(name, controller, status)
            )

        return react

    def _react(self, name: str, controller: ControllerLike, status: ControllerStatus) -> None:
        self._publish(name, status)
        using = [
            authority
            for authority in self._daemon.authorities
            if authority.item.controller is controller
        ]
        if status.state == "Up":
            # What can only be set stays in doubt until it is set again: the hardware may have
            # lost it with its power.
            for authority in using:
                if authority.reads_hardware:
                    self._daemon.lanes.submit(authority.lane(), authority.poll_once)
            return
        reason = LinkDown(status.error or f"controller {name} is {status.state}: not up yet")
        for authority in using:
            authority.note_link_lost(reason)

    def _publish(self, name: str, status: ControllerStatus) -> None:
        values = {
            "link": LINK_STATES.index(status.state),
            "error": status.error,
            "errors": status.errors,
            "latency": None if status.latency_ms is None else round(status.latency_ms, 1),
            "load": round(status.load_percent, 1),
        }
        for suffix, value in values.items():
            self._daemon.store[f"{name}_{suffix}"].publish(value)


def _state_lane(name: str) -> tuple[str, str]:
    """One lane for all that is told of a controller, lest an older state should come last."""
    return ("state", name)
