"""The daemon's side of an item: what it is now, who is told, and in which order things happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

from ._answers import Answers
from ._callers import ITSELF
from ._capabilities import confirmed, makes_payloads, prioritised, reads_hardware, settled
from ._doubts import Doubts, reason_of
from ._first_use import OF_AN_EARLIER_RUN
from ._limits import RAISED
from ._local import LocalSet, completed, is_same, says_nothing_new
from .description import Description
from .errors import LinkDown, NotSaved
from .payload import Payload
from .protocol.message import topic

if TYPE_CHECKING:
    from ._alarm_watch import Verdict, Watch
    from ._blocks import BlockPoll
    from ._service import Service
    from .callbacks import Callback
    from .item import Item
    from .scheduler import Poll

__all__ = ["Authority"]


class Authority:
    """What a daemon knows of one of its items.

    Args:
        item: The item.
        description: Its description.
        service: What the daemon's items have in common.
    """

    authoritative: Literal[True] = True

    def __init__(self, item: Item, description: Description, service: Service) -> None:
        self.item = item
        self.description = description
        self._present: tuple[Payload, float | None] = (Payload(), None)
        self.answers = Answers(self, service)
        self._service = service
        self._topic = topic(item.full_key)
        self._publishing = threading.RLock()
        self._poll: Poll | None = None
        self.block: BlockPoll | None = None
        """What polls the item together with others."""
        self._setting: set[int] = set()
        # Moments of the service, by which it is known what came before what.
        self._changed = 0
        self._link_lost = 0
        self._reading_published = 0
        self._is_saved = False
        self._doubts = Doubts(item.full_key)
        self.watch: Watch | None = None
        """What is watched of the item; most have nothing."""

    @property
    def payload(self) -> Payload:
        """What the item is now. Never waits for what is being published, or saved."""
        payload, confirmed_at = self._present
        if confirmed_at is None:
            return payload
        payload = payload.having(checked=confirmed_at)
        if self._publishing.acquire(blocking=False):
            try:
                if self._present[1] == confirmed_at:
                    self._present = (payload, None)
            finally:
                self._publishing.release()
        return payload

    @payload.setter
    def payload(self, payload: Payload) -> None:
        self._present = (payload, None)

    @property
    def is_polled(self) -> bool:
        """Whether it is read again and again."""
        return self._poll is not None or self.block is not None

    @property
    def reads_hardware(self) -> bool:
        """Whether the item has code that finds out its value."""
        return reads_hardware(self.item)

    def settle_description(self) -> Description:
        """Return the description, after correcting one that promises what the class cannot do."""
        self.description = settled(self.description, self.item)
        return self.description

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
        payload, arrived = Payload(value), time.monotonic()

        def carry_out() -> None:
            done.run(lambda: self.answers.carry_out_set(payload, arrived, ITSELF))

        if self.sets_here:
            carry_out()
        else:
            self._service.submit_set(self.item, carry_out)
        return done if reply else None

    def subscribe(self) -> None:
        """Nothing to do: whoever publishes here calls the callbacks."""

    def prime(self, callback: Callback) -> None:
        """Have *callback* called with the present value, in order with all others."""
        with self._publishing:
            self.item._callbacks.deliver(self.payload, only=callback)

    def poll(self, period: float | None) -> None:
        """Begin, change or end the polling of the item."""
        with self._publishing:
            if self._poll is not None:
                self._poll.cancel()
                self._poll = None
            self.join_block(None)
            if period:
                alone = self.lane() is self.item and not self.item.polled_apart
                self._poll = self._service.scheduler.add(
                    period, self.poll_once, self.lane, alone=alone
                )

    def join_block(self, block: BlockPoll | None) -> None:
        """Be polled with *block* from now on, and no other way."""
        with self._publishing:
            if block is not None:
                self.poll(None)
            if self.block is not None:
                self.block.leave(self)
            self.block = block

    def lane(self) -> Any:
        """Return the lane of the item's polls: its controller, if it has one to share."""
        controller = self.item.controller
        return self.item if controller is None or self.item.polled_apart else controller

    # How a value becomes known.

    def publish(self, payload: Payload, *, repeat: bool, must_save: bool = False) -> None:
        """Make *payload* the present one and broadcast it, if it says anything new."""
        payload = completed(payload, self.description)
        with self._publishing:
            payload.encode()  # what cannot be sent is found out before anything has changed
            if self._setting and self.sets_here:
                self._changed = self._service.moment()
            old = self._present[0]
            verdict = None if self.watch is None else self.watch.judge(payload)
            told = payload if verdict is None else verdict.told
            if not repeat and says_nothing_new(told, old):
                self._note_confirmed(payload, must_save)
                if verdict is not None and self.watch is not None:
                    self.watch.accept(verdict)
                return
            not_saved = self._save(payload, must_save)
            if verdict is not None or payload.quality in RAISED:
                self._tell_watched(payload, verdict, always=repeat or self.sets_here)
            else:
                self._tell(payload)
        self._doubts.log_end(old, payload)
        if not_saved is not None:
            raise not_saved

    def _tell(self, payload: Payload) -> None:
        self._present = (payload, None)
        self._service.broadcast(self._topic, payload)
        self.item._callbacks.deliver(payload)

    def _tell_watched(self, own: Payload, verdict: Verdict | None, *, always: bool) -> None:
        """Tell what follows from what the item's own code says, unless it is in the dead band."""
        if self.watch is None:
            self.watch = self._service.alarms.adopt(self)
        self.payload, is_news = self.watch.take(own, verdict, always=always)
        if is_news:
            self._tell(self.payload)

    def _tell_own(self, own: Payload) -> None:
        if self.watch is None:
            self._tell(own)
        else:
            self._tell_watched(own, None, always=True)

    def reconsider(self, change: Callable[[], object] | None = None) -> None:
        """Tell what follows from the present value, if that is something else now.

        Args:
            change: What may make it something else; done first.
        """
        with self._publishing:
            if change is not None:
                change()
            told = None if self.watch is None else self.watch.reconsider(self.payload)
            if told is not None and told.time is None:
                self.payload = told  # there is no value to tell yet
            elif told is not None:
                self._tell(told)

    def _note_confirmed(self, payload: Payload, must_save: bool) -> None:
        """Take note of the present value once more; it may be on no disk yet."""
        old = self.payload
        in_set = self.sets_here and self._service.persistent is not None
        if (must_save or in_set) and not self._is_saved:
            self._save(payload, must_save=True)
        self.payload = old.having(checked=payload.checked, time=old.time or payload.time)

    def publish_after_set(self, value: Any) -> None:
        """Publish what is true after a SET: what the hardware says, or else *value*."""
        if self.reads_hardware:
            before = self._reading_published
            self.item.req_poll()
            if self._reading_published != before:
                return
        self.publish(Payload(value, time.time()), repeat=False, must_save=True)

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

        Readings do not overtake each other, though nothing is locked while they go on: what began
        earlier than a reading that was published already is dropped.
        """
        for last in (False, False, True):
            reading = self._service.moment()
            try:
                value = self.item.req_refresh()
                if value is None or self.end_reading(reading, value, repeat=repeat, last=last):
                    return
            except NotSaved:
                raise  # the value itself is true, and known
            except BaseException as error:  # whatever the author's code raises: it is in doubt
                self.doubt_reading(reading, error)
                raise

    def end_reading(
        self, reading: int, value: Any, *, repeat: bool = False, last: bool = False
    ) -> bool:
        """Publish *value*, which the hardware gave, unless something newer is known.

        Args:
            reading: The moment before the hardware was asked.
            value: What it said.
            repeat: Tell it even though it is nothing new.
            last: It is not read again.

        Returns:
            False if a SET took effect meanwhile, so that it has to be read again; with *last*, it
            is published all the same.

        Raises:
            LinkDown: the link was lost meanwhile.
        """
        with self._publishing:
            if self._link_lost > reading:
                raise LinkDown(f"{self.item.full_key}: the link was lost as it was read")
            if reading < self._reading_published:
                return True
            if not last and self._changed > reading:
                return False
            self._reading_published = reading
            if repeat or not self._confirms(value):
                self.publish(confirmed(value, self.item), repeat=repeat)
            return True

    def hear(self, value: Any) -> None:
        """Publish *value*, which the hardware gave unasked; what began to be read before is old."""
        self.end_reading(self._service.moment(), value, last=True)

    def _confirms(self, value: Any) -> bool:
        """Return whether *value* is the present one, and note that it was confirmed.

        It is a short cut of :meth:`publish` for what most readings of most items are.
        """
        old = self._present[0]
        if not is_same(value, old) or self.sets_here or makes_payloads(self.item):
            return False
        self._present = (old, time.time())
        return True

    def doubt_reading(self, reading: int, error: BaseException) -> None:
        """Doubt the value as it could not be read, unless more is known since."""
        if reading >= max(self._reading_published, self._link_lost):
            self.doubt(error)

    @property
    def sets_here(self) -> bool:
        """Whether this thread carries out a SET of the item."""
        return threading.get_ident() in self._setting

    def within_set(self, work: Callable[[], Any]) -> Any:
        """Do *work*, which carries out a SET of the item, on this thread."""
        thread, within = threading.get_ident(), self.sets_here
        self._setting.add(thread)
        try:
            with prioritised(self.item, "set"):
                return work()
        finally:
            if not within:
                self._setting.discard(thread)
            with self._publishing:
                self._changed = self._service.moment()

    def held(self) -> AbstractContextManager[object]:
        """Return a context in which nothing else changes the item."""
        return self._publishing

    def note_link_lost(self, error: LinkDown) -> None:
        """Doubt the value, if there is one, and what is being read at this moment, too."""
        with self._publishing:
            self._link_lost = self._service.moment()
            if self.reads_hardware or self.payload.time is not None:
                self.doubt(error, news=True)

    def doubt(self, error: BaseException, *, news: bool = False) -> None:
        """Keep the value, but mark it as invalid because of *error*.

        Args:
            error: Why.
            news: Tell it even though the last one was told just now, and was much the same.
        """
        with self._publishing:
            old = self.payload
            if not self._doubts.is_news(old, error, always=news):
                return
            doubtful = old.having(quality="invalid", reason=reason_of(error))
            doubtful.extra = {**old.extra, "error_class": type(error).__name__}
            self._tell_own(doubtful)
        self._doubts.log(error)

    def restore(self, payload: Payload, *, saved: bool) -> None:
        """Begin with *payload*, from the description or from disk, without telling anybody."""
        self._is_saved = saved
        if payload.time is None:
            payload = payload.having(time=time.time())
        if self.reads_hardware:
            payload = payload.having(quality="invalid", reason=OF_AN_EARLIER_RUN)
        self.payload = payload

    def replace(self, doubted: Payload, payload: Payload, *, saved: bool) -> None:
        """Tell *payload*, which was found on disk late, unless the item is no more *doubted*."""
        with self._publishing:
            if self.payload.time == doubted.time:  # else it was set since
                self._is_saved = saved
                self._tell_own(payload)

    def poll_once(self) -> None:
        """Do what is due when the item is polled."""
        with prioritised(self.item, "poll"):
            self.find_out()

    def find_out(self) -> None:
        """Publish what the hardware says, or that it says nothing; raise nothing."""
        try:
            self.item.req_poll()
        except NotSaved as error:
            self._service.unsaved.warning("%s", error)
        except BaseException as error:  # even SystemExit; an overridden req_poll tells nobody
            self.doubt(error)
