"""How a daemon answers what clients ask of one item."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ._at_once import AtOnce
from ._audit_line import SetRecord
from ._capabilities import answers_plainly, prioritised
from ._doubts import reason_of
from ._first_use import answering
from ._ratelimit import RateLimitedLog
from .errors import BadValue, Busy, DeviceError, MktlError, NotSupported
from .payload import Payload
from .requests import ItemRequest, wants_refresh

if TYPE_CHECKING:
    from ._authority import Authority
    from ._callers import Caller
    from ._first_use import AnyResponder
    from ._service import Service
    from .transport.server import Responder

__all__ = ["Answers"]

_log = logging.getLogger(__name__)

MOST_SHARING = 20_000
"""Requests that may wait for one reading of an item."""

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
        self._plain = answers_plainly(authority.item)
        self._flight: list[AnyResponder] | None = None
        self._flights = threading.Lock()
        self._here: dict[str, AtOnce] = {}
        self._trouble = RateLimitedLog(_log)

    def get(self, asked: Responder) -> None:
        """Answer a GET: at once where no code of the item has to run."""
        authority = self._authority
        item = authority.item
        if not authority.description.gettable:
            raise NotSupported(f"{item.key} is not a gettable item")
        if self._service.access.checks_reading:
            self._service.check_get(item, asked.caller)
        responder = answering(asked, authority, self._service.publisher)
        plain = self._plain
        refresh = wants_refresh(responder.request.payload) and authority.reads_hardware
        never = authority.payload.time is None and authority.reads_hardware
        if plain and not (refresh or never):
            responder.reply(*authority.payload.encode())
            return
        flight = [responder]
        if plain:
            with self._flights:
                if self._flight is not None:
                    if len(self._flight) >= MOST_SHARING:
                        raise Busy(f"{item.key} is busy: too many wait for the same reading")
                    responder.acknowledge()
                    self._flight.append(responder)
                    return
                self._flight = flight

        def carry_out() -> None:
            self._carry_out_get(responder, flight)

        here = self._at_once("get")
        if here is None or not here.do(responder, carry_out):
            responder.acknowledge()
            timed = carry_out if here is None else here.timed(carry_out)
            if not self._service.submit_get(item, responder, timed):
                self._end_flight(flight)

    def _at_once(self, kind: str) -> AtOnce | None:
        """Return what does such requests where they were read; ``None`` if they may take long."""
        item = self._authority.item
        # A controller has turns, and a disk its own pace; and SETs that wait share a commit.
        if item.controller is not None or (kind == "set" and self._authority.description.persist):
            return None
        here = self._here.get(kind)
        if here is None:
            here = self._here[kind] = AtOnce(self._service.lanes, self._service.lane(kind, item))
        return here

    def _carry_out_get(self, responder: AnyResponder, flight: list[AnyResponder]) -> None:
        """Run the item's code once, for all that wait for it."""
        failure: BaseException | None = None
        item = self._authority.item
        try:
            payload = Payload.from_wire(responder.request.payload, responder.request.bulk)
            with prioritised(item, "refresh"):
                request = ItemRequest("GET", item.full_key, payload, caller=responder.caller)
                answer = item.req_get(request)
            if not isinstance(answer, Payload):
                answer = self._authority.payload
            encoded = answer.encode()
        except BaseException as error:  # whatever the author's code raises, even SystemExit
            failure = error
        self._end_flight(flight)
        for waiting in flight:
            if failure is not None:
                waiting.fail(failure)
            else:
                waiting.reply(*encoded)

    def _end_flight(self, flight: list[AnyResponder]) -> None:
        """Let nobody else share what *flight* has found out."""
        with self._flights:
            if self._flight is flight:
                self._flight = None

    def set(self, responder: Responder) -> None:
        """Answer a SET, after all earlier ones of the item."""
        arrived = time.monotonic()
        caller = responder.caller
        record = self._record(responder.request.payload, caller, arrived)
        try:
            payload = self._admit(responder, caller)
            record.new = payload.value
        except MktlError as error:
            record.note(error, partial(responder.fail, error))
            return

        def carry_out(*, here: bool = False) -> None:
            try:
                answer = self._carry_out_set(payload, arrived, caller, record)
                reply = answer.encode() if isinstance(answer, Payload) else (_DONE, None)
            except BaseException as error:  # whatever the author's code raises, even SystemExit
                self._note_failure(error)
                record.note(error, partial(responder.fail, error), here=here)
            else:
                record.note(None, partial(responder.reply, *reply), here=here)

        at_once = self._at_once("set")
        if at_once and at_once.do(responder, partial(carry_out, here=True), responder.end_batch):
            return
        responder.acknowledge()
        try:
            size = responder.request.size
            timed = carry_out if at_once is None else at_once.timed(carry_out)
            self._service.submit_set(self._authority.item, timed, size)
        except Busy as error:
            record.note(error, partial(responder.fail, error))

    def _record(self, origin: Mapping[str, Any], caller: Caller, arrived: float) -> SetRecord:
        authority = self._authority
        log, full_key = self._service.audit, authority.item.full_key
        return SetRecord(log, full_key, authority.description, origin, caller, arrived)

    def _admit(self, responder: Responder, caller: Caller) -> Payload:
        """Return what the item is to be set to, or refuse it before anything is acknowledged."""
        request = responder.request
        item = self._authority.item
        if not self._authority.description.settable:
            raise NotSupported(f"{item.key} is not a settable item")
        if request.bulk is None and not ("value" in request.payload or "shape" in request.payload):
            raise BadValue(f"{item.key} is not set: the request has no value")
        self._service.check_set(item, caller)
        self._service.locks.check(item, caller, request.payload)
        return Payload.from_wire(request.payload, request.bulk)

    def _note_failure(self, error: BaseException) -> None:
        if not isinstance(error, (MktlError, ValueError, TypeError, KeyError)):
            self._trouble.warning(
                "a SET of %s failed: %s", self._authority.item.full_key, error, exc_info=error
            )

    def carry_out_set(self, payload: Payload, arrived: float, caller: Caller) -> Any:
        """Do the chain of a SET, asked for at *arrived*: type check, ``validate``, ``req_set``."""
        record = self._record(payload.extra, caller, arrived)
        record.new = payload.value
        try:
            answer = self._carry_out_set(payload, arrived, caller, record)
        except BaseException as error:  # whatever it is, it is recorded, and the client's answer
            record.note(error)
            raise
        record.note()
        return answer

    def _carry_out_set(
        self, payload: Payload, arrived: float, caller: Caller, record: SetRecord
    ) -> Any:
        authority = self._authority
        item = authority.item
        record.old = authority.payload
        if not authority.description.settable:
            raise NotSupported(f"{item.key} is not a settable item")
        # Once more: somebody may have locked the item while this waited for its turn.
        self._service.locks.check(item, caller, payload.extra)
        request = ItemRequest("SET", item.full_key, payload, arrived=arrived, caller=caller)
        request.value = authority.description.validate(item.from_payload(payload))
        request.value = record.new = item.validate(request.value)
        if item.log_on_set:
            shown = "(secret)" if record.secret else request.value
            _log.info("SET %s = %r from %s", item.full_key, shown, request.origin)
        record.outcome = "failed"
        try:
            return authority.within_set(lambda: self._set(request))
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
            known = [reason_of(one) for one in (error, error.__cause__) if one is not None]
            if authority.reads_hardware and authority.payload.reason not in known:
                authority.find_out()
            raise
