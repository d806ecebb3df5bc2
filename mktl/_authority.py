"""The daemon's side of an item: what it is now, who is told, and in which order things happen."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ._local import LocalSet, says_nothing_new, snapshot
from ._reference_names import ReferenceNames
from .controllers import TurnKind
from .description import Description
from .errors import BadValue, Busy, LinkDown, MktlError, NotSaved, NotSupported
from .payload import Payload
from .protocol import bulk
from .protocol.message import topic
from .requests import ItemRequest, wants_refresh

if TYPE_CHECKING:
    from ._service import Service
    from .callbacks import Callback
    from .item import Item
    from .scheduler import Poll
    from .transport.server import Responder

__all__ = ["Authority"]

_log = logging.getLogger(__name__)

DONE = b'{"value":true}'


class Authority:
    """What a daemon knows of one of its items.

    Args:
        item: The item.
        description: Its description.
        service: What the daemon's items have in common.
    """

    authoritative = True

    def __init__(self, item: Item, description: Description, service: Service) -> None:
        self.item = item
        self.description = description
        self.payload = Payload()
        self._service = service
        self._topic = topic(item.full_key)
        self._publishing = threading.RLock()
        self._refreshing = threading.RLock()
        self._flight: list[Responder] | None = None
        self._flights = threading.Lock()
        self._poll: Poll | None = None
        self._in_set = threading.local()
        self._published_by_sets = 0
        self._is_saved = False
        self._links_lost = 0

    @property
    def reads_hardware(self) -> bool:
        """Whether the item has code that finds out its value."""
        from .item import Item

        kind = type(self.item)
        return (
            kind.req_refresh is not Item.req_refresh
            or kind.perform_get is not ReferenceNames.perform_get
            or self.item._get_performer is not None
        )

    @property
    def writes_hardware(self) -> bool:
        """Whether the item has code that carries out a SET."""
        from .item import Item

        kind = type(self.item)
        return (
            kind.req_set is not Item.req_set
            or kind.perform_set is not ReferenceNames.perform_set
            or bool(self.item._set_performers)
        )

    # What the item calls.

    @property
    def live(self) -> bool:
        """Always: the value here is the true one."""
        return True

    def current(self) -> Payload:
        """Return the present payload."""
        return self.payload

    def get(self, *, refresh: bool, timeout: float | None) -> Payload:  # noqa: ARG002
        """Return the present payload, after a refresh if asked for."""
        if refresh:
            self.item.req_poll()
        return self.payload

    def set(self, value: Any, *, reply: bool) -> LocalSet | None:
        """Carry out a SET as if a client had asked for it, in its turn."""
        done = LocalSet(self.item.full_key)
        payload = Payload(value)
        if self._sets_here():
            done.run(lambda: self.carry_out_set(payload))
        elif not self._service.submit_set(
            self, lambda: done.run(lambda: self.carry_out_set(payload))
        ):
            raise Busy(f"{self.item.full_key}: the daemon takes no more requests")
        return done if reply else None

    def subscribe(self) -> None:
        """Nothing to do: whoever publishes here calls the callbacks."""

    def prime(self, callback: Callback) -> None:
        """Have *callback* called with the present value, in order with all others."""
        with self._publishing:
            self.item._callbacks.deliver(self.payload, only=callback)

    def poll(self, period: float | None) -> None:
        """Begin, change or end the polling of the item."""
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        if period:
            self._poll = self._service.scheduler.add(period, self.poll_once, self.lane)

    def lane(self) -> Any:
        """Return the lane of the item's polls: its controller, if it has one."""
        controller = self.item.controller
        return self.item if controller is None else controller

    # How a value becomes known.

    def publish(self, payload: Payload, *, repeat: bool, must_save: bool = False) -> None:
        """Make *payload* the present one and broadcast it, if it says anything new."""
        payload = self._complete(payload)
        with self._publishing:
            payload.encode()  # what cannot be sent is found out before anything has changed
            self._published_by_sets += self._sets_here()
            if not repeat and says_nothing_new(payload, self.payload):
                self._note_confirmed(payload, must_save)
                return
            not_saved = self._save(payload, must_save)
            doubted, self.payload = self.payload, payload
            self._service.broadcast(self._topic, payload)
            self.item._callbacks.deliver(payload)
        self._log_change_of_quality(doubted, payload)
        if not_saved is not None:
            raise not_saved

    def _note_confirmed(self, payload: Payload, must_save: bool) -> None:
        """Take note of the present value once more; it may be on no disk yet."""
        old = self.payload
        if must_save and not self._is_saved:
            self._save(payload, must_save)
        self.payload = old.having(checked=payload.checked, time=old.time or payload.time)

    def _complete(self, payload: Payload) -> Payload:
        """Return *payload* with its value in the item's type, a time, and honest quality."""
        value = payload.value
        changes: dict[str, Any] = {}
        if isinstance(value, float) and not math.isfinite(value):
            changes.update(quality="invalid", reason=f"{value} is not a number")
            value = None
        if bulk.is_array(value):
            value = snapshot(value)
        changes["value"] = self.description.coerce(value)
        now = time.time()
        if payload.time is None:
            changes["time"] = now
        if self.reads_hardware and payload.checked is None:
            changes["checked"] = now
        return payload.having(**changes)

    def _save(self, payload: Payload, must_save: bool) -> NotSaved | None:
        if not self.description.persist or payload.quality == "invalid":
            return None
        if self._service.persistent is None and not must_save:
            return None  # still in setup(): what was saved in an earlier run counts more
        try:
            self._service.save(self.item.key, payload)
        except NotSaved as error:
            if must_save:
                raise
            self._is_saved = False
            return error
        self._is_saved = True
        return None

    def refresh_and_publish(self, *, repeat: bool) -> None:
        """Read the hardware and publish what it says; if it cannot be read, say that.

        Readings do not overtake each other: one that began earlier is published earlier.
        """
        with self._refreshing:
            try:
                self._publish_reading(repeat)
            except NotSaved:
                raise  # the value itself is true, and known
            except Exception as error:
                self.doubt(error)
                raise

    def _publish_reading(self, repeat: bool) -> None:
        for last in (False, False, True):
            sets, lost = self._published_by_sets, self._links_lost
            value = self.item.req_refresh()
            if value is None:
                return
            payload = value if isinstance(value, Payload) else Payload(value)
            with self._publishing:
                if lost != self._links_lost:
                    raise LinkDown(f"{self.item.full_key}: the link went down as it was read")
                # What was read while a SET took effect may be from before it: read once more.
                if last or sets == self._published_by_sets:
                    self.publish(payload, repeat=repeat)
                    return

    def _sets_here(self) -> bool:
        """Return whether this thread carries out a SET of the item."""
        return bool(getattr(self._in_set, "active", False))

    def note_link_lost(self, error: LinkDown) -> None:
        """Doubt the value, and what is being read at this moment, too."""
        with self._publishing:
            self._links_lost += 1
            self.doubt(error)

    def doubt(self, error: BaseException) -> None:
        """Keep the value, but mark it as invalid because of *error*."""
        reason = str(error) or type(error).__name__
        with self._publishing:
            old = self.payload
            if old.quality == "invalid" and _kind(old) == type(error).__name__:
                return  # the same trouble: its text may count seconds
            doubtful = old.having(quality="invalid", reason=reason)
            doubtful.extra = {**old.extra, "error_class": type(error).__name__}
            self.payload = doubtful
            self._service.broadcast(self._topic, doubtful)
            self.item._callbacks.deliver(doubtful)
        if not isinstance(error, LinkDown):  # which the controller itself has logged
            _log.warning("%s cannot be read: %s", self.item.full_key, reason)
            if not isinstance(error, MktlError):
                _log.warning("where that came from", exc_info=error)

    def _log_change_of_quality(self, old: Payload, new: Payload) -> None:
        trouble = old.quality == "invalid" and new.quality != "invalid"
        if trouble and _kind(old) not in ("", "LinkDown"):
            _log.info("%s is read again", self.item.full_key)

    def restore(self, payload: Payload, *, saved: bool) -> None:
        """Begin with *payload*, from the description or from disk, without telling anybody."""
        self._is_saved = saved
        if payload.time is None:
            payload = payload.having(time=time.time())
        if self.reads_hardware:
            payload = payload.having(
                quality="invalid", reason="of an earlier run: the hardware was not read yet"
            )
        self.payload = payload

    def poll_once(self) -> None:
        """Do what is due when the item is polled."""
        with self._prioritised("poll"):
            try:
                self.item.req_poll()
            except NotSaved as error:
                self._service.unsaved.warning("%s", error)
            except Exception as error:
                self.doubt(error)  # again, for an overridden req_poll, which tells nobody

    def _prioritised(self, kind: TurnKind) -> AbstractContextManager[None]:
        controller = self.item.controller
        prioritised = getattr(controller, "prioritised", None)
        return nullcontext() if prioritised is None else prioritised(kind)

    # What clients ask for.

    def answer_get(self, responder: Responder) -> None:
        """Answer a GET: at once where no code of the item has to run."""
        from .item import Item

        if not self.description.gettable:
            raise NotSupported(f"{self.item.key} is not a gettable item")
        plain = type(self.item).req_get is Item.req_get
        refresh = wants_refresh(responder.request.payload) and self.reads_hardware
        never = self.payload.time is None and self.reads_hardware
        if plain and not (refresh or never):
            responder.reply(*self.payload.encode())
            return
        responder.acknowledge()
        if not plain:
            self._service.submit(
                ("get", self.item), responder, lambda: self._answer_get(responder, [responder])
            )
            return
        with self._flights:
            if self._flight is not None:
                self._flight.append(responder)
                return
            flight = self._flight = [responder]
        if not self._service.submit(
            ("get", self.item), responder, lambda: self._answer_get(responder, flight)
        ):
            self._end_flight(flight)

    def _answer_get(self, responder: Responder, flight: list[Responder]) -> None:
        failure: Exception | None = None
        try:
            payload = Payload.from_wire(responder.request.payload, responder.request.bulk)
            with self._prioritised("refresh"):
                answer = self.item.req_get(ItemRequest("GET", self.item.full_key, payload))
            if not isinstance(answer, Payload):
                answer = self.payload
            encoded = answer.encode()
        except Exception as error:
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

    def answer_set(self, responder: Responder) -> None:
        """Answer a SET, after all earlier ones of the item."""
        request = responder.request
        if not self.description.settable:
            raise NotSupported(f"{self.item.key} is not a settable item")
        if request.bulk is None and not request.payload.keys() & {"value", "shape"}:
            raise BadValue(f"{self.item.key} is not set: the request has no value")
        payload = Payload.from_wire(request.payload, request.bulk)
        responder.acknowledge()

        def carry_out() -> None:
            try:
                answer = self.carry_out_set(payload)
                reply = answer.encode() if isinstance(answer, Payload) else (DONE, None)
            except Exception as error:
                self._note_failure(error)
                responder.fail(error)
            else:
                responder.reply(*reply)

        self._service.submit(self, responder, carry_out)

    def _note_failure(self, error: Exception) -> None:
        if not isinstance(error, (MktlError, ValueError, TypeError, KeyError)):
            _log.warning("SET of %s failed", self.item.full_key, exc_info=error)

    def carry_out_set(self, payload: Payload) -> Any:
        """Do the chain of a SET: type check, ``validate``, ``req_set``."""
        if not self.description.settable:
            raise NotSupported(f"{self.item.key} is not a settable item")
        request = ItemRequest("SET", self.item.full_key, payload)
        request.value = self.description.validate(self.item.from_payload(payload))
        request.value = self.item.validate(request.value)
        if self.item.log_on_set:
            _log.info("SET %s = %r from %s", self.item.full_key, request.value, request.origin)
        within, self._in_set.active = self._sets_here(), True
        try:
            with self._prioritised("set"):
                return self.item.req_set(request)
        finally:
            self._in_set.active = within
            with self._flights:
                self._flight = None  # a reading that began before this must not answer later GETs


def _kind(payload: Payload) -> str:
    return str(payload.extra.get("error_class", ""))
