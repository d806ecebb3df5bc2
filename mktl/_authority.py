"""The daemon's side of an item: what it is now, who is told, and in which order things happen."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ._reference_names import ReferenceNames
from .controllers import TurnKind
from .description import Description
from .errors import Busy, LinkDown, MktlError, NoAnswer, NotSaved, NotSupported
from .payload import Payload
from .protocol import bulk
from .protocol.message import topic
from .requests import ItemRequest

if TYPE_CHECKING:
    from ._service import Service
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

    def set(self, value: Any, *, reply: bool) -> _LocalSet | None:
        """Carry out a SET as if a client had asked for it, in its turn."""
        done = _LocalSet(self.item.full_key)
        payload = Payload(value)
        if getattr(self._in_set, "active", False):
            done.run(lambda: self.carry_out_set(payload))
        elif not self._service.submit_set(
            self, lambda: done.run(lambda: self.carry_out_set(payload))
        ):
            raise Busy(f"{self.item.full_key}: the daemon takes no more requests")
        return done if reply else None

    def subscribe(self) -> None:
        """Nothing to do: whoever publishes here calls the callbacks."""

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
            if not repeat and self._says_nothing_new(payload):
                self.payload = self.payload.having(checked=payload.checked)
                return
            payload.encode()  # what cannot be sent is found out before anything has changed
            not_saved = self._save(payload, must_save)
            doubted, self.payload = self.payload, payload
            self._service.broadcast(self._topic, payload)
            self.item._callbacks.deliver(payload)
        self._log_change_of_quality(doubted, payload)
        if not_saved is not None:
            raise not_saved

    def _complete(self, payload: Payload) -> Payload:
        """Return *payload* with its value in the item's type, a time, and honest quality."""
        value = payload.value
        if bulk.is_array(value):
            value = _snapshot(value)
        value = self.description.coerce(value)
        changes: dict[str, Any] = {"value": value}
        now = time.time()
        if payload.time is None:
            changes["time"] = now
        if isinstance(value, float) and not math.isfinite(value):
            changes.update(value=None, quality="invalid", reason=f"{value} is not a number")
        if self.reads_hardware and payload.checked is None:
            changes["checked"] = now
        return payload.having(**changes)

    def _says_nothing_new(self, payload: Payload) -> bool:
        old = self.payload
        if old.time is None or (payload.quality, payload.reason) != (old.quality, old.reason):
            return False
        if bulk.is_array(payload.value) or bulk.is_array(old.value):
            return False  # comparing whole frames costs more than sending them
        return type(payload.value) is type(old.value) and bool(payload.value == old.value)

    def _save(self, payload: Payload, must_save: bool) -> NotSaved | None:
        if not self.description.persist or payload.quality == "invalid":
            return None
        try:
            self._service.save(self.item.key, payload)
        except NotSaved as error:
            if must_save:
                raise
            return error
        return None

    def refresh_and_publish(self, *, repeat: bool) -> None:
        """Read the hardware and publish what it says; if it cannot be read, say that.

        Readings do not overtake each other: one that began earlier is published earlier.
        """
        with self._refreshing:
            try:
                value = self.item.req_refresh()
                if value is not None:
                    payload = value if isinstance(value, Payload) else Payload(value)
                    self.publish(payload, repeat=repeat)
            except NotSaved:
                raise  # the value itself is true, and known
            except Exception as error:
                self.doubt(error)
                raise

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

    def restore(self, payload: Payload) -> None:
        """Begin with *payload*, from the description or from disk, without telling anybody."""
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
        refresh = responder.request.payload.get("refresh") is True and self.reads_hardware
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

        self._service.submit(self.item, responder, carry_out)

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
        self._in_set.active = True
        try:
            with self._prioritised("set"):
                return self.item.req_set(request)
        finally:
            self._in_set.active = False
            with self._flights:
                self._flight = None  # a reading that began before this must not answer later GETs


def _kind(payload: Payload) -> str:
    return str(payload.extra.get("error_class", ""))


def _snapshot(array: Any) -> Any:
    """Return *array*, or a copy if its owner could still change it."""
    if not array.flags.writeable and array.base is None:
        return array
    copy = array.copy()
    copy.flags.writeable = False
    return copy


class _LocalSet:
    """A SET that the daemon asked of itself."""

    def __init__(self, full_key: str) -> None:
        self._full_key = full_key
        self._done = threading.Event()
        self._error: Exception | None = None

    def run(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # raised again where it is waited for
            self._error = error
        finally:
            self._done.set()

    def poll(self) -> bool:
        return self._done.is_set()

    def wait_acknowledged(self) -> None:
        """Nothing to wait for: it was taken in when it was asked."""

    def wait(self, timeout: float | None = None) -> None:
        if not self._done.wait(timeout):
            raise NoAnswer(f"{self._full_key}: not done within {timeout:g} s")
        if self._error is not None:
            raise self._error
