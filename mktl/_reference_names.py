"""Names by which the reference package calls the hooks of an item; accepted beside our own.

Daemons that were written for it run here unchanged: ``perform_get`` is our ``req_refresh``,
``perform_poll`` our ``req_poll``, and ``perform_set(value)`` is what the default ``req_set`` calls.
Performers are functions that take the place of these methods; handlers are callbacks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .callbacks import Callback
from .payload import Payload

if TYPE_CHECKING:
    from .item import Item

__all__ = ["ReferenceNames"]


class ReferenceNames:
    """The reference package's part of :class:`mktl.Item`."""

    publish_on_set: bool = True
    """Whether the default ``req_set`` publishes the value that was set."""

    log_on_set: bool = False
    """Whether each SET is logged."""

    _get_performer: Callable[[], Any] | None = None
    _set_performers: tuple[Callable[[Any], Any], ...] = ()

    def perform_get(self: Item) -> Any:  # type: ignore[misc]
        """Return the value that is true now, or ``None`` if there is nothing new."""
        if self._get_performer is not None:
            return self._get_performer()
        return None

    def perform_poll(self: Item) -> None:  # type: ignore[misc]
        """Refresh the value and publish it if it changed; the default ``req_poll`` calls it."""
        self._source.refresh_and_publish(repeat=False)

    def perform_set(self: Item, value: Any) -> None:  # type: ignore[misc]
        """Write *value* to the hardware. The default calls what was added as performer."""
        for performer in self._set_performers:
            performer(value)

    def add_get_performer(self, performer: Callable[[], Any]) -> None:
        """Have *performer* called, without arguments, for the value that is true now."""
        self._get_performer = performer

    def add_set_performer(self, performer: Callable[[Any], Any]) -> None:
        """Have *performer* called with each value that is set, after those added before."""
        self._set_performers = (*self._set_performers, performer)

    def add_performer(self, performer: Callable[[Any], Any]) -> None:
        """Add a performer for SETs: see :meth:`add_set_performer`."""
        self.add_set_performer(performer)

    def add_performers(self, *performers: Callable[[Any], Any]) -> None:
        """Add several performers for SETs."""
        for performer in performers:
            self.add_set_performer(performer)

    def add_handler(self: Item, handler: Callback) -> None:  # type: ignore[misc]
        """Have *handler* called with each new value: our ``register``."""
        self.register(handler)

    def add_handlers(self: Item, *handlers: Callback) -> None:  # type: ignore[misc]
        """Add several handlers."""
        for handler in handlers:
            self.register(handler)

    def from_payload(self, payload: Payload) -> Any:
        """Return the value in *payload*."""
        return payload.value

    def to_payload(self: Item, value: Any = None, timestamp: float | None = None) -> Payload:  # type: ignore[misc]
        """Return the payload for *value*; without one, the item's present payload."""
        if value is None:
            return self._source.payload
        return Payload(value, timestamp)

    def payload_of(self: Item, value: Any, timestamp: float | None = None) -> Payload:  # type: ignore[misc]
        """Return the payload for *value*, made by an overridden ``to_payload`` if there is one."""
        if type(self).to_payload is ReferenceNames.to_payload:
            return Payload(value, time.time() if timestamp is None else timestamp)
        return self.to_payload(value, timestamp)
