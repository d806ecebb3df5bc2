"""The set-point that an item follows: found, and watched, wherever it is."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ._limits import Follows, Rule, value_text
from .errors import MktlError
from .protocol.names import fold, join

if TYPE_CHECKING:
    from ._alarm_clock import AlarmClock
    from ._alarm_watch import Watch
    from .description import Description
    from .item import Item
    from .lanes import Lanes
    from .payload import Payload

__all__ = ["Follower"]

RETRY_S = 5.0
"""After so long a set-point that was not found is looked for again."""


class Follower:
    """Tells a watch what its item should be.

    Args:
        watch: Of the item.
        description: Of the item, as it is in force; it has ``tracks``.
        lanes: The daemon's threads.
        clock: Wakes it to try again.
    """

    def __init__(
        self, watch: Watch, description: Description, lanes: Lanes, clock: AlarmClock
    ) -> None:
        assert description.tracks is not None
        self._watch = watch
        self._description = description
        self._lanes = lanes
        self._clock = clock
        self._store = watch.authority.item.store
        self._key = fold(str(description.tracks["item"]), "key")
        self._full_key = join(self._store.name, self._key)
        self._item: Item | None = None
        self._ended = False
        self._target: Any = None
        self._told: str | None = None

    @property
    def unwatched(self) -> str:
        """What is said before the set-point is known."""
        return f"not watched: the value of {self._full_key} is not known yet"

    def wake(self) -> None:
        """Look for the set-point, and be told of it from then on."""
        # Not where clocks tick: another daemon may take its time to answer.
        self._lanes.submit(("tracks", self._watch.key), self._attach)

    def end(self) -> None:
        """Let it be."""
        self._ended = True
        self._clock.wake(self, None)
        if self._item is not None:
            self._item.unregister(self._take)

    def _attach(self) -> None:
        if self._ended:
            return
        try:
            item = self._store[self._key]
            mismatch = self._mismatch(item)
            if mismatch:
                self._aim(None, mismatch, changed=False)
                return
            item.register(self._take, prime=True, payloads=True)
            self._item = item
        except MktlError as error:
            self._aim(None, f"not watched: {error}", changed=False)
            self._clock.wake(self, time.monotonic() + RETRY_S)
        if self._ended and self._item is not None:  # meanwhile
            self._item.unregister(self._take)

    def _mismatch(self, item: Item) -> str:
        if item.description.type == "bulk":
            return f"not watched: {self._full_key} is an array, which nothing can follow"
        own, other = self._description.stored_units, item.description.stored_units
        if not own or not other or own == other:
            return ""
        return f"not watched: {self._full_key} is in {other}, and this in {own}"

    def _take(self, _item: Item, payload: Payload) -> None:
        if self._ended:
            return
        if payload.quality == "invalid":
            because = f" ({payload.reason})" if payload.reason else ""
            self._aim(None, f"not watched: {self._full_key} is invalid{because}", changed=False)
            return
        if payload.value is None:
            self._aim(None, f"not watched: {self._full_key} has no value", changed=False)
            return
        changed = self._target is None or payload.value != self._target
        if not changed and self._told == "":
            return
        self._target = payload.value
        tracks = self._description.tracks or {}
        check = Follows(
            payload.value,
            self._full_key,
            tracks.get("tolerance", 0.0),
            tracks.get("within_s", 0.0),
            value_text(self._description),
        )
        self._aim(check, "", changed=changed)

    def _aim(self, check: Follows | None, unwatched: str, *, changed: bool) -> None:
        if unwatched and unwatched == self._told:
            return
        self._told = unwatched
        now = time.monotonic() if changed else None
        self._watch.authority.reconsider(partial(self._aim_watch, check, unwatched, now))

    def _aim_watch(self, check: Follows | None, unwatched: str, now: float | None) -> None:
        rule: Rule | None = self._watch.tracks
        if rule is not None and self._watch.follower is self:
            self._watch.aim(rule.aimed(check, now), unwatched)
