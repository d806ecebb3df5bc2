"""How a daemon answers what clients ask of one item."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from ._doubts import reason_of
from ._ratelimit import RateLimitedLog
from .errors import BadValue, DeviceError, MktlError, NotSupported
from .payload import Payload
from .requests import ItemRequest, wants_refresh

if TYPE_CHECKING:
    from ._authority import Authority
    from ._service import Service
    from .transport.server import Responder

__all__ = ["Answers"]

_log = logging.getLogger(__name__)

_DONE = b'{"value":true}'


class Answers:
    """Answers GETs and SETs of one item.

    Args:
        authority: What the daemon knows of the item.
        service: What the daemon's items have in common.
    """

    def __init__(self, authority: Authority, service: Service) -> None:
        self._authority = authority
        self._service = service
        self._flight: list[Responder] | None = None
        self._flights = threading.Lock()
        self._trouble = RateLimitedLog(_log)

    def get(self, responder: Responder) -> None:
        """Answer a GET: at once where no code of the item has to run."""
        from .item import Item

        authority = self._authority
        item = authority.item
        if not authority.description.gettable:
            raise NotSupported(f"{item.key} is not a gettable item")
        plain = type(item).req_get is Item.req_get
        refresh = wants_refresh(responder.request.payload) and authority.reads_hardware
        never = authority.payload.time is None and authority.reads_hardware
        if plain and not (refresh or never):
            responder.reply(*authority.payload.encode())
            return
        responder.acknowledge()
        flight = [responder]
        if plain:
            with self._flights:
                if self._flight is not None:
                    self._flight.append(responder)
                    return
                self._flight = flight
        if not self._service.submit_get(
            item, responder, lambda: self._carry_out_get(responder, flight)
        ):
            self._end_flight(flight)

    def _carry_out_get(self, responder: Responder, flight: list[Responder]) -> None:
        """Run the item's code once, for all that wait for it."""
        failure: Exception | None = None
        item = self._authority.item
        try:
            payload = Payload.from_wire(responder.request.payload, responder.request.bulk)
            with self._authority.prioritised("refresh"):
                answer = item.req_get(ItemRequest("GET", item.full_key, payload))
            if not isinstance(answer, Payload):
                answer = self._authority.payload
            encoded = answer.encode()
        except Exception as error:  # whatever the author's code raises is the client's answer
            failure = error
        self._end_flight(flight)
        for waiting in flight:
            if failure is not None:
                waiting.fail(failure)
            else:
                waiting.reply(*encoded)

    def _end_flight(self, flight: list[Responder]) -> None:
        """Let nobody else share what *flight* has found out."""
        with self._flights:
            if self._flight is flight:
                self._flight = None

    def set(self, responder: Responder) -> None:
        """Answer a SET, after all earlier ones of the item."""
        arrived = time.monotonic()
        request = responder.request
        key = self._authority.item.key
        if not self._authority.description.settable:
            raise NotSupported(f"{key} is not a settable item")
        if request.bulk is None and not request.payload.keys() & {"value", "shape"}:
            raise BadValue(f"{key} is not set: the request has no value")
        payload = Payload.from_wire(request.payload, request.bulk)
        responder.acknowledge()

        def carry_out() -> None:
            try:
                answer = self.carry_out_set(payload, arrived)
                reply = answer.encode() if isinstance(answer, Payload) else (_DONE, None)
            except Exception as error:  # whatever the author's code raises is the client's answer
                self._note_failure(error)
                responder.fail(error)
            else:
                responder.reply(*reply)

        self._service.submit_set(self._authority.item, responder, carry_out)

    def _note_failure(self, error: Exception) -> None:
        if not isinstance(error, (MktlError, ValueError, TypeError, KeyError)):
            self._trouble.warning(
                "a SET of %s failed: %s", self._authority.item.full_key, error, exc_info=error
            )

    def carry_out_set(self, payload: Payload, arrived: float) -> Any:
        """Do the chain of a SET, asked for at *arrived*: type check, ``validate``, ``req_set``."""
        authority = self._authority
        item = authority.item
        if not authority.description.settable:
            raise NotSupported(f"{item.key} is not a settable item")
        request = ItemRequest("SET", item.full_key, payload, arrived=arrived)
        request.value = authority.description.validate(item.from_payload(payload))
        request.value = item.validate(request.value)
        if item.log_on_set:
            _log.info("SET %s = %r from %s", item.full_key, request.value, request.origin)
        try:
            with authority.setting(), authority.prioritised("set"):
                return self._set(request)
        finally:
            with self._flights:
                self._flight = None  # a reading that began before this must not answer later GETs

    def _set(self, request: ItemRequest) -> Any:
        """Have the item carry out *request*, and find out what became of it if that failed."""
        authority = self._authority
        try:
            return authority.item.req_set(request)
        except DeviceError as error:
            # The hardware may have done it all the same, or in part, or something else. The error
            # may also be that it was done, and could not be read then: that is known already.
            if authority.reads_hardware and authority.payload.reason != reason_of(error):
                authority.find_out()
            raise
