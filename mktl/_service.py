"""What the items of a daemon have in common, and who gets which request."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from ._access import Access
from ._alarms import Alarms
from ._audit import AuditLog
from ._authority import Authority
from ._locks import LockItem, Locks
from ._ratelimit import RateLimitedLog
from ._restoring import Restoring
from .errors import BadValue, Busy, NotSaved, UnknownKey
from .lanes import Lanes
from .payload import Payload
from .persistence import PersistentValues
from .protocol.message import GET, encode_json
from .protocol.names import nearest, split
from .scheduler import Scheduler

if TYPE_CHECKING:
    from ._callers import Caller
    from ._first_use import AnyResponder
    from ._protection import Protection
    from .catalog import Block
    from .item import Item
    from .transport.publisher import Publisher
    from .transport.server import Responder

__all__ = ["Service"]

MOST_WAITING = 50_000
"""Requests that may wait for code of items; beyond them a client is told that we are busy."""
MOST_BYTES_WAITING = 512 * 1024 * 1024
"""The same, in bytes that they came in."""
MOST_WAITING_FOR_A_LINE = {"get": 8, "set": 128, "urgent": 4}
"""Threads that may wait for their turns at one controller: refreshes are quick, a SET that moves
something may take a minute (a motion controller has up to 128 axes), and one that stops it must
find a thread nevertheless."""

_log = logging.getLogger(__name__)


class Service:
    """The machinery behind the items of one daemon.

    Args:
        store: Its name.
        name: ``store.alias``, for threads and messages.
        block: Returns what the daemon says about its items.
    """

    def __init__(self, store: str, name: str, block: Callable[[], Block]) -> None:
        self.store = store
        self._prefix = f"{store}."
        self.name = name
        self.authorities: dict[str, Authority] = {}
        self.lanes = Lanes(name)
        self.scheduler = Scheduler(self.lanes, name, self.together)
        self.publisher: Publisher | None = None
        self.persistent: PersistentValues | None = None
        self.access = Access()
        self.protection: Protection | None = None
        self.audit = AuditLog(store, name.removeprefix(f"{store}."))
        self.locks = Locks(store)
        self.alarms = Alarms(self)
        self._restoring = Restoring(self.authorities, name.partition(".")[2], self._go_on)
        self._block = block
        self._waiting = 0
        self._waiting_bytes = 0
        self._pools: dict[int, dict[str, Lanes]] = {}
        self._counting = threading.Lock()
        self._moments = itertools.count(1)
        self.unsaved = RateLimitedLog(_log)
        self._next_suggestion = 0.0
        self._catalog: tuple[Block | None, bytes] = (None, b"")

    # For items.

    def moment(self) -> int:
        """Return a number that is larger than all before: it tells what came after what."""
        return next(self._moments)

    def broadcast(self, topic: bytes, payload: Payload) -> None:
        """Tell everybody who subscribed."""
        if self.publisher is not None:
            self.publisher.publish(topic, *payload.encode())

    def together(self) -> AbstractContextManager[None]:
        """Return a context in which this thread tells many values, at less cost."""
        return nullcontext() if self.publisher is None else self.publisher.together()

    def save(self, key: str, payload: Payload) -> None:
        """Write a persistent value to disk.

        Raises:
            NotSaved: it could not be written.
        """
        if self.persistent is None:
            raise NotSaved(f"{key} cannot be saved: the daemon has not opened its database")
        self.persistent.save(key, payload)

    def submit_get(self, item: Item, responder: AnyResponder, job: Callable[[], None]) -> bool:
        """Have *job* answer *responder*, after all earlier refreshes of *item*."""
        return self._submit_answer("get", item, self.lane("get", item), responder, job)

    @staticmethod
    def lane(kind: str, item: Item) -> Hashable:
        """Return in which order requests of a kind, ``get`` or ``set``, are carried out."""
        if kind == "get" or item.set_order is None:
            return kind, item
        return kind, item.set_order

    def submit_set(self, item: Item, job: Callable[[], None], size: int = 0) -> None:
        """Have *job* done after all earlier SETs of *item*.

        Args:
            item: What is set.
            job: Sets it.
            size: Bytes that wait with it.

        Raises:
            Busy: there is too much to do already.
        """
        self._submit(self._pool(_set_kind(item), item), self.lane("set", item), job, size)

    def _submit_answer(
        self,
        kind: str,
        item: Item,
        lane: Hashable,
        responder: AnyResponder,
        job: Callable[[], None],
    ) -> bool:
        try:
            self._submit(self._pool(kind, item), lane, job, responder.request.size)
        except Busy as error:
            responder.fail(error)
            return False
        return True

    def _pool(self, kind: str, item: Item) -> Lanes:
        """Return the threads for what may wait for the item's controller, and for nobody else's.

        Each refresh or SET that waits for its turn on a slow line holds a thread. With threads
        shared by all, one sick controller would take them from the items of another.
        """
        if item.controller is None:
            return self.lanes
        with self._counting:
            pools = self._pools.setdefault(id(item.controller), {})
            if kind not in pools:
                name = f"{self.name}-{kind}-{len(self._pools)}"
                pools[kind] = Lanes(name, few=1, most=MOST_WAITING_FOR_A_LINE[kind])
            return pools[kind]

    def _all_lanes(self) -> list[Lanes]:
        with self._counting:
            pools = [pool for pools in self._pools.values() for pool in pools.values()]
        return [*pools, self.scheduler.thread, self.lanes]

    def waiting(self) -> int:
        """Return the number of jobs that have not ended."""
        return sum(lanes.waiting() for lanes in self._all_lanes())

    def close_lanes(self, timeout_s: float) -> bool:
        """Take no more work; return whether all of it had ended within *timeout_s* seconds."""
        deadline = time.monotonic() + timeout_s
        ended = [lanes.close(max(0.0, deadline - time.monotonic())) for lanes in self._all_lanes()]
        return all(ended)

    def _submit(self, pool: Lanes, lane: Hashable, job: Callable[[], None], size: int) -> None:
        if self._waiting >= MOST_WAITING:
            raise Busy(f"{self.name} is busy: {self._waiting} requests are waiting")
        # One that is larger than all that may wait is served when it is alone.
        if self._waiting_bytes and self._waiting_bytes + size > MOST_BYTES_WAITING:
            raise Busy(f"{self.name} is busy: {self._waiting_bytes} bytes of requests are waiting")
        self._count(1, size)

        def counted() -> None:
            try:
                job()
            finally:
                self._count(-1, -size)

        if not pool.submit(lane, counted):
            self._count(-1, -size)
            raise Busy(f"{self.name} is stopping")

    def _count(self, change: int, size: int) -> None:
        with self._counting:
            self._waiting += change
            self._waiting_bytes += size

    # Who may do what.

    @property
    def public_key(self) -> str:
        """The key by which clients recognise the daemon; empty where it does not encrypt."""
        return "" if self.protection is None else self.protection.public_key

    def check_get(self, item: Item, caller: Caller) -> None:
        """Let *caller* read *item*.

        Raises:
            NotAllowed: the daemon's rules do not.
        """
        self.access.check_get(item.key, caller)

    def check_set(self, item: Item, caller: Caller) -> None:
        """Let *caller* set *item*.

        Raises:
            NotAllowed: the daemon's rules do not.
        """
        self.access.check_set(item.key, caller)

    # For the request server.

    def handle(self, responder: Responder) -> None:
        """Answer a request, or see to it that it will be."""
        request = responder.request
        target = request.target
        if target.startswith("_") and "." not in target:
            self._answer_bare(responder, target.lower())
            return
        # As everybody writes it, who has it from the catalog: no need to take it apart.
        authority = self.authorities.get(target.removeprefix(self._prefix))
        if authority is None or target == authority.item.key:
            store, key = split(target)
            if store != self.store:
                raise BadValue(
                    f"this request is for {store!r}, but this daemon is in {self.store!r}"
                )
            if key in ("_hash", "_catalog") and request.kind == GET:
                self._answer_builtin(responder, key)
                return
            authority = self.authorities.get(key)
            if authority is None:
                raise UnknownKey(f"this daemon does not contain {key!r}{self._suggestion(key)}")
        if request.kind == GET:
            authority.answers.get(responder)
        else:
            authority.answers.set(responder)

    def _answer_bare(self, responder: Responder, name: str) -> None:
        if responder.request.kind != GET or name not in ("_hash", "_catalog"):
            raise UnknownKey(
                f"{name!r} is not served here: a daemon answers GET _hash, and store._catalog"
            )
        self._answer_builtin(responder, name)

    def _answer_builtin(self, responder: Responder, name: str) -> None:
        block = self._block()
        if name == "_hash":
            value = {block.store: {block.uuid: block.hash}}
            responder.reply(encode_json({"value": value}))
            return
        # Made once: it may have some megabytes, and everybody may ask for it at any time.
        if self._catalog[0] is not block:
            self._catalog = block, encode_json({"value": {block.uuid: block.to_json()}})
        responder.reply(self._catalog[1])

    def _suggestion(self, key: str) -> str:
        began = time.monotonic()
        if began < self._next_suggestion:
            return ""
        close = nearest(key, self.authorities)
        # At most a tenth of the time of the thread that answers everybody.
        self._next_suggestion = time.monotonic() + 9 * (time.monotonic() - began)
        return f"; did you mean {' or '.join(close)}?" if close else ""

    # For the daemon.

    def restore(self) -> None:
        """Give items the values of their descriptions, and then those kept on disk."""
        self._restoring.restore(self.persistent, self.scheduler)
        self._go_on()

    def _go_on(self) -> None:
        """Go on with the locks and alarms that the last run has left in items of its own."""
        for authority in self.authorities.values():
            if isinstance(authority.item, LockItem):
                authority.item.restore()
        self.alarms.start()

    def close(self) -> None:
        """Write what is left of the audit log; close the database and the broadcasts."""
        self.alarms.close()
        self.audit.close()
        if self.persistent is not None:
            self.persistent.close()
        if self.publisher is not None:
            self.publisher.close()
        if self.protection is not None:
            self.protection.end()


def _set_kind(item: Item) -> str:
    return "urgent" if item.urgent else "set"
