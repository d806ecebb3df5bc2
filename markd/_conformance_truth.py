"""What is true of the items of a line while the device is held still, and what they said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mktl
from mktl.errors import MktlError

__all__ = ["Seen", "Truth", "Watch", "is_shown"]

_LONGEST_LIST = 20_000


def is_shown(payload: mktl.Payload) -> bool:
    """Whether *payload* says that its value can be relied on."""
    return payload.quality != "invalid"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an item said, once."""

    at: float
    """When it came (``time.monotonic()``)."""
    key: str
    """Which item."""
    payload: mktl.Payload
    """What it said."""


@dataclass(slots=True)
class Truth:
    """The values that items may have: those of one or more states of the device."""

    states: list[dict[str, Any]]
    """The values of all items in each state."""
    moving: frozenset[str] = frozenset()
    """Items that change though the device is held, such as its clock: any value will do."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The items that are known."""
        return tuple(self.states[0])

    def is_true(self, key: str, value: Any) -> bool:
        """Whether *value* is one of the item *key*."""
        return key in self.moving or any(
            key in state and state[key] == value for state in self.states
        )

    def is_of_another(self, key: str, value: Any) -> bool:
        """Whether *value* is one of another item than *key*."""
        return value is not None and any(
            state[other] == value for state in self.states for other in state if other != key
        )


@dataclass(slots=True)
class Watch:
    """A client that subscribes to items, reads them as well, and remembers all that they say."""

    store: mktl.Store
    """Where they are."""
    keys: tuple[str, ...]
    """Which."""
    links: tuple[str, ...]
    """The items that tell of the links of controllers."""
    _subscribed: set[str] = field(default_factory=set)
    _seen: list[Seen] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> str:
        """Subscribe to all of them; return why that cannot be done yet, empty if it was.

        May be called again.
        """
        for key in (*self.links, *self.keys):
            if key in self._subscribed:
                continue
            try:
                self.store[key].register(self._take, prime=True, payloads=True)
            except MktlError as error:
                self.store[key].unregister(self._take)
                return f"{key}: {error}"
            self._subscribed.add(key)
        return ""

    def stop(self) -> None:
        """Be told no more."""
        for key in self._subscribed:
            self.store[key].unregister(self._take)
        self._subscribed.clear()

    def _take(self, item: mktl.Item, payload: mktl.Payload) -> None:
        self._note(item.key, payload)

    def _note(self, key: str, payload: mktl.Payload) -> None:
        with self._lock:
            if len(self._seen) < _LONGEST_LIST:
                self._seen.append(Seen(time.monotonic(), key, payload))

    def read(self, keys: Iterable[str] | None = None) -> dict[str, mktl.Payload]:
        """Ask for the present values, without having the hardware asked; note them as well."""
        found: dict[str, mktl.Payload] = {}
        for key, answer in self.store.read(self.keys if keys is None else keys).items():
            if isinstance(answer, mktl.Payload):
                found[key] = answer
            else:  # whoever asks is told that there is no value
                found[key] = mktl.Payload(quality="invalid", reason=str(answer))
            self._note(key, found[key])
        return found

    def take(self) -> list[Seen]:
        """Return what was seen since the last time."""
        with self._lock:
            seen, self._seen = self._seen, []
        return seen

    def are_up(self) -> bool:
        """Whether all links are up."""
        links: Mapping[str, Any] = self.store.read(self.links)
        return all(
            isinstance(one, mktl.Payload) and self.store[key].description.to_text(one.value) == "Up"
            for key, one in links.items()
        )
