"""The items that a daemon has about each of its controllers, and what follows from its state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .controllers import LINK_STATES, ControllerLike, ControllerStatus, Pausable, Traceable
from .errors import LinkDown
from .item import Item

if TYPE_CHECKING:
    from .daemon import Daemon
    from .requests import ItemRequest

__all__ = ["ControllerItems"]

_log = logging.getLogger(__name__)

MOST_TRAFFIC_WAITING = 1000
"""So many traced exchanges may wait to be published; more are left out, and counted."""

FIGURES_S = 2.0
"""How often the figures of a controller (latency, load, errors) are published, in seconds."""

_DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "link": {
        "description": "State of the connection.",
        "type": "enumerated",
        "enumerators": {str(number): name for number, name in enumerate(LINK_STATES)},
        "settable": False,
    },
    "error": {
        "description": "The last failed exchange or connection.",
        "type": "string",
        "settable": False,
    },
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
    "trace": {
        "description": "Whether each exchange is published on the item for traffic.",
        "type": "boolean",
        "enumerators": {"0": "Off", "1": "On"},
        "initial": False,
    },
    "traffic": {
        "description": "What was sent and came back, one exchange at a time, while traced.",
        "type": "string",
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


class _Link(Item):
    """The state of the connection; setting it to Paused releases the port."""

    def __init__(self, store: Any, key: str, controller: Pausable) -> None:
        super().__init__(store, key)
        self._line = controller

    def validate(self, value: Any) -> Any:
        """Refuse states that nobody can ask for."""
        if LINK_STATES[value] not in ("Paused", "Connecting", "Up"):
            raise ValueError("the link can be set to Paused, or to Connecting to end the pause")
        return value

    def req_set(self, request: ItemRequest) -> None:
        """Pause the link, or end its pause; the state follows from what then happens."""
        if LINK_STATES[request.value] == "Paused":
            self._line.pause()
        else:
            self._line.resume()


class _Trace(Item):
    """Whether the exchanges of a controller are published."""

    def __init__(self, store: Any, key: str, controller: Traceable) -> None:
        super().__init__(store, key)
        self._line = controller
        self._waiting = 0
        self._left_out = 0
        self._counting = threading.Lock()

    def req_set(self, request: ItemRequest) -> None:
        """Begin or end to publish them."""
        self._line.trace(self._take if request.value else None)
        self.publish(request.value)

    def _take(self, text: str) -> None:
        """Hand *text* on, from the thread that made the exchange; leave it out if that lags."""
        with self._counting:
            if self._waiting >= MOST_TRAFFIC_WAITING:
                self._left_out += 1
                return
            self._waiting += 1
            if self._left_out:
                text = f"({self._left_out} exchanges left out)\n{text}"
                self._left_out = 0
        self.store.lanes().submit(("traffic", self.key), partial(self._publish, text))

    def _publish(self, text: str) -> None:
        with self._counting:
            self._waiting -= 1
        traffic = self.key.removesuffix("trace") + "traffic"
        self.store[traffic].publish(text, repeat=True)


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
        classes: dict[str, type[Item]] = {"raw": _Raw}
        if isinstance(controller, Pausable):
            classes["link"] = _Link
        if isinstance(controller, Traceable):
            classes["trace"] = _Trace
        for suffix, description in _DESCRIPTIONS.items():
            if suffix in ("trace", "traffic") and "trace" not in classes:
                continue
            settable = {"settable": True} if suffix in classes else {}
            item_class = classes.get(suffix, Item)
            args = (controller,) if suffix in classes else ()
            self._daemon.add_item(
                item_class, f"{name}_{suffix}", *args, description={**description, **settable}
            )

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
            refreshes = {
                authority.block.run if authority.block else authority.poll_once: authority.lane()
                for authority in using
                if authority.reads_hardware
            }
            for refresh, lane in refreshes.items():
                self._daemon.lanes.submit(lane, refresh)
            return
        why = "by hand, until it is set to Up" if status.state == "Paused" else "not up yet"
        reason = LinkDown(status.error or f"controller {name} is {status.state}: {why}")
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
