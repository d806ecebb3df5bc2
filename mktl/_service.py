"""What the items of a daemon have in common, and who gets which request."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from ._authority import Authority
from ._ratelimit import RateLimitedLog
from .errors import BadValue, Busy, MktlError, NotSaved, UnknownKey
from .lanes import Lanes
from .payload import Payload
from .persistence import PersistentValues
from .protocol.message import GET, encode_json
from .protocol.names import nearest, split
from .scheduler import Scheduler

if TYPE_CHECKING:
    from .catalog import Block
    from .item import Item
    from .transport.publisher import Publisher
    from .transport.server import Responder

__all__ = ["Service"]

MOST_WAITING = 50_000
"""Requests that may wait for code of items; beyond them a client is told that we are busy."""
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
        self.name = name
        self.authorities: dict[str, Authority] = {}
        self.lanes = Lanes(name)
        self.scheduler = Scheduler(self.lanes, name)
        self.publisher: Publisher | None = None
        self.persistent: PersistentValues | None = None
        self._block = block
        self._waiting = 0
        self._pools: dict[int, dict[str, Lanes]] = {}
        self._counting = threading.Lock()
        self._moments = itertools.count(1)
        self.unsaved = RateLimitedLog(_log)

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

    def submit_get(self, item: Item, responder: Responder, job: Callable[[], None]) -> bool:
        """Have *job* answer *responder*, after all earlier refreshes of *item*."""
        return self._submit_answer("get", item, ("get", item), responder, job)

    def submit_set(self, item: Item, responder: Responder, job: Callable[[], None]) -> bool:
        """Have *job* answer *responder*, after all earlier SETs of *item*."""
        return self._submit_answer(_set_kind(item), item, _set_lane(item), responder, job)

    def submit_own_set(self, item: Item, job: Callable[[], None]) -> None:
        """Have *job* done after all earlier SETs of *item*.

        Raises:
            Busy: there is too much to do already.
        """
        self._submit(self._pool(_set_kind(item), item), _set_lane(item), job)

    def _submit_answer(
        self,
        kind: str,
        item: Item,
        lane: Hashable,
        responder: Responder,
        job: Callable[[], None],
    ) -> bool:
        try:
            self._submit(self._pool(kind, item), lane, job)
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
        return [*pools, self.lanes]

    def waiting(self) -> int:
        """Return the number of jobs that have not ended."""
        return sum(lanes.waiting() for lanes in self._all_lanes())

    def close_lanes(self, timeout_s: float) -> bool:
        """Take no more work; return whether all of it had ended within *timeout_s* seconds."""
        deadline = time.monotonic() + timeout_s
        ended = [lanes.close(max(0.0, deadline - time.monotonic())) for lanes in self._all_lanes()]
        return all(ended)

    def _submit(self, pool: Lanes, lane: Hashable, job: Callable[[], None]) -> None:
        if self._waiting >= MOST_WAITING:
            raise Busy(f"{self.name} is busy: {self._waiting} requests are waiting")
        self._count(1)

        def counted() -> None:
            try:
                job()
            finally:
                self._count(-1)

        if not pool.submit(lane, counted):
            self._count(-1)
            raise Busy(f"{self.name} is stopping")

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change

    # For the request server.

    def handle(self, responder: Responder) -> None:
        """Answer a request, or see to it that it will be."""
        request = responder.request
        target = request.target
        if target.startswith("_") and "." not in target:
            self._answer_bare(responder, target.lower())
            return
        store, key = split(target)
        if store != self.store:
            raise BadValue(f"this request is for {store!r}, but this daemon is in {self.store!r}")
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
        value: Any = {block.uuid: block.to_json()}
        if name == "_hash":
            value = {block.store: {block.uuid: block.hash}}
        responder.reply(encode_json({"value": value}))

    def _suggestion(self, key: str) -> str:
        close = nearest(key, self.authorities)
        return f"; did you mean {' or '.join(close)}?" if close else ""

    # For the daemon.

    def restore(self) -> None:
        """Give items the values of their descriptions, and then those kept on disk."""
        for authority in self.authorities.values():
            description = authority.description
            if description.initial is not None:
                authority.restore(Payload(description.coerce(description.initial)), saved=False)
        if self.persistent is None:
            return
        for key, payload in self.persistent.load():
            holder = self.authorities.get(key)
            if holder is None or not holder.description.persist:
                continue
            try:
                coerced = payload.having(value=holder.description.coerce(payload.value))
            except MktlError as error:
                _log.error("the persistent value of %s is not used: %s", key, error)
                continue
            holder.restore(coerced, saved=True)
        if self.persistent.lost:
            for authority in self.authorities.values():
                if authority.description.persist:
                    doubtful = authority.payload.having(
                        quality="warning", reason=self.persistent.lost
                    )
                    authority.restore(doubtful, saved=False)

    def close(self) -> None:
        """Close the database and the broadcasts."""
        if self.persistent is not None:
            self.persistent.close()
        if self.publisher is not None:
            self.publisher.close()


def _set_kind(item: Item) -> str:
    return "urgent" if item.urgent else "set"


def _set_lane(item: Item) -> Hashable:
    return "set", item if item.set_order is None else item.set_order
