"""Maintenance locks: for a while, nobody but their owner sets some items of a daemon."""

from __future__ import annotations

import fnmatch
import logging
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._callers import ITSELF, Caller
from .errors import BadValue, Locked, UnknownKey, WrongType
from .item import Item
from .protocol.names import nearest

if TYPE_CHECKING:
    from .daemon import Daemon
    from .requests import ItemRequest

__all__ = ["LONGEST_S", "LockItem", "Locks", "matches", "text_of"]

_log = logging.getLogger(__name__)

LONGEST_S = 7 * 86400.0
"""For how long a lock may be made, in seconds: one that is forgotten has to end."""

MOST_LOCKS = 100
MOST_TEXT = 500
"""Characters that a reason may have; a pattern is as long as a name at most."""

_PATTERN = re.compile(r"[a-z0-9_:+\-*?\[\]!]{1,200}")
_FIELDS = ("keys", "until", "for_s", "why", "who", "break")


def matches(pattern: str, key: str) -> bool:
    """Return whether *key* matches *pattern*, as in a shell.

    What begins with ``_``, the daemon's own items, is meant only if the pattern begins so.
    """
    if key.startswith("_") and not pattern.startswith("_"):
        return False
    return fnmatch.fnmatchcase(key, pattern)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who asks, as far as it can be known again."""

    key: str = ""
    """Name of the authorised key; where there is one, nothing else counts."""
    user: str = ""
    host: str = ""

    @classmethod
    def of(cls, caller: Caller, origin: Mapping[str, Any]) -> Owner:
        """Return who makes a request.

        Args:
            caller: What the connection tells.
            origin: Fields of the request, which say where it comes from.
        """
        if caller.name:
            return cls(caller.name)
        user, host = (_cut(origin.get(name), 100) for name in ("_user", "_hostname"))
        return cls("", user, host)

    @property
    def known(self) -> bool:
        """Whether anything at all is known."""
        return bool(self.key or self.host)

    def __str__(self) -> str:
        if self.key:
            return self.key
        return f"{self.user}@{self.host}" if self.user else self.host


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock. ``until`` and ``since`` are UNIX seconds."""

    keys: str
    until: float
    why: str
    who: str
    since: float
    owner: Owner = field(default_factory=Owner)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Lock:
        """Return the lock that :meth:`to_json` has described."""
        owner = Owner(*(str(fields.get(name) or "") for name in ("key", "user", "host")))
        return cls(
            str(fields["keys"]),
            float(fields["until"]),
            str(fields.get("why") or ""),
            str(fields.get("who") or owner),
            float(fields.get("since") or 0.0),
            owner,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the lock as it is published and saved."""
        owner = {"key": self.owner.key, "user": self.owner.user, "host": self.owner.host}
        return {
            "keys": self.keys,
            "until": self.until,
            "why": self.why,
            "who": self.who,
            "since": self.since,
            **{name: text for name, text in owner.items() if text},
        }

    def __str__(self) -> str:
        until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.until))
        return f"locked by {self.who} until {until}: {self.why}"


class Locks:
    """The locks of one daemon, looked at by every SET.

    Args:
        store: Its name, for messages.
    """

    def __init__(self, store: str) -> None:
        self._store = store
        self._locks: tuple[Lock, ...] = ()
        # Found out once for each item that is set, as each SET asks.
        self._of_item: dict[str, tuple[Lock, ...]] = {}

    @property
    def present(self) -> tuple[Lock, ...]:
        """Those that have not ended."""
        now = time.time()
        return tuple(lock for lock in self._locks if lock.until > now)

    def replace(self, locks: Iterable[Lock]) -> bool:
        """Have *locks*, and no others; return whether there are any."""
        self._locks = tuple(locks)
        self._of_item = {}
        return bool(self._locks)

    def check(self, item: Item, caller: Caller, origin: Mapping[str, Any]) -> None:
        """Let a SET of *item* pass, or not.

        What stops something is never locked, nor the locks themselves, nor the daemon's own code.

        Raises:
            Locked: somebody else has locked it; says who, why, until when, and what to do.
        """
        if not self._locks or caller is ITSELF or item.urgent or isinstance(item, LockItem):
            return
        locks, now = self._locks_of(item.key), time.time()
        asking: Owner | None = None
        for lock in locks:
            if lock.until > now:
                asking = asking or Owner.of(caller, origin)
                if lock.owner != asking or not asking.known:
                    raise Locked(self._refusal(item.key, lock))

    def _locks_of(self, key: str) -> tuple[Lock, ...]:
        # Both taken first: what is found out of old locks must not be noted with new ones.
        found_of, locks = self._of_item, self._locks
        known = found_of.get(key)
        if known is None:
            known = found_of[key] = tuple(lock for lock in locks if matches(lock.keys, key))
        return known

    def _refusal(self, key: str, lock: Lock) -> str:
        return (
            f"{key} is {lock}. Wait, or ask {lock.who}: mark lock --list {self._store} shows all "
            f"locks, and mark unlock '{self._store}.{lock.keys}' --break breaks this one"
        )


class LockItem(Item):
    """The locks of the daemon. Set it to lock items, or to end a lock."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key)
        self._daemon = daemon
        self._locks = daemon._service.locks
        self._changing = threading.Lock()
        self._is_polled = False

    def restore(self) -> None:
        """Take the locks of an earlier run, which were read from disk as the value."""
        found = []
        value = self._source.current().value
        for fields in value if isinstance(value, list) else ():
            try:
                found.append(Lock.from_json(fields))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                _log.error("%s: a lock of an earlier run cannot be read: %s", self.full_key, error)
        self._have(found)

    def validate(self, value: Any) -> Any:
        """Refuse what asks for no lock, and for none to end."""
        if not isinstance(value, dict):
            raise WrongType(
                'must be an object such as {"keys": "temp*", "for_s": 600, "why": "new sensor"}'
            )
        unknown = [name for name in value if name not in _FIELDS]
        if unknown:
            raise BadValue(f"{unknown[0]!r} is unknown: there are {', '.join(_FIELDS)}")
        pattern, until = self._pattern(value), _until(value)
        if until > time.time():
            self._check_new(value, pattern, until)
        return value

    def req_set(self, request: ItemRequest) -> None:
        """Make a lock, or end locks; on disk before anybody is told that it is done."""
        fields = request.value
        own_code = request.caller is ITSELF
        asking = Owner.of(request.caller, request.payload.extra)
        if own_code:
            asking = Owner("", "daemon", self._daemon.name)
        with self._changing:
            pattern, until = self._pattern(fields), _until(fields)
            if until <= time.time():
                may_all = own_code or fields.get("break") is True
                locks = self._without(pattern, asking, may_all)
            else:
                locks = self._with(self._new(fields, pattern, until, asking))
            request.value = [lock.to_json() for lock in locks]
            super().req_set(request)
            self._have(locks)

    def req_poll(self, repeat: bool = False) -> None:  # noqa: ARG002
        """Tell everybody when a lock has ended by itself."""
        with self._changing:
            locks = self._locks.present
            try:
                self.publish([lock.to_json() for lock in locks])
            finally:
                self._have(locks)

    def _have(self, locks: Iterable[Lock]) -> None:
        any_left = self._locks.replace(locks)
        if any_left != self._is_polled:  # one that is begun anew is due at once, each time
            self._is_polled = any_left
            self.poll(1.0 if any_left else None)

    def _pattern(self, fields: Mapping[str, Any]) -> str:
        given = fields.get("keys")
        text = given.lower().removeprefix(f"{self.store.name}.") if isinstance(given, str) else ""
        if not _PATTERN.fullmatch(text):
            shown = ascii(given)[:60]
            raise BadValue(f"keys must be a key, or a pattern such as temp*, not {shown}")
        return text

    def _check_new(self, fields: Mapping[str, Any], pattern: str, until: float) -> None:
        if until > time.time() + LONGEST_S + 1.0:
            raise BadValue(f"a lock has to end within {LONGEST_S / 86400:g} days")
        text_of(fields, "who")
        if not text_of(fields, "why"):
            raise BadValue("a lock has to say why: others will want to know")
        if not any(matches(pattern, key) for key in self._keys()):
            close = nearest(pattern, self._keys())
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise UnknownKey(f"no item of {self._daemon.name} matches {pattern!r}{hint}")

    def _new(self, fields: Mapping[str, Any], keys: str, until: float, asking: Owner) -> Lock:
        if not asking.known:
            raise BadValue(
                "whose lock would this be? The request must say _user and _hostname, or be made "
                "with an authorised key"
            )
        who = text_of(fields, "who") or str(asking)
        if who != str(asking):  # whoever wants to ask needs the name that is given, too
            who = f"{who} ({asking})"
        return Lock(keys, until, text_of(fields, "why"), who, time.time(), asking)

    def _with(self, lock: Lock) -> list[Lock]:
        covered = [key for key in self._keys() if matches(lock.keys, key)]
        kept = []
        for other in self._locks.present:
            if other.owner == lock.owner and other.keys == lock.keys:
                continue  # the new one is instead of it
            theirs = next((key for key in covered if matches(other.keys, key)), None)
            if theirs is not None and other.owner != lock.owner:
                raise Locked(f"{theirs} is {other}")
            kept.append(other)
        if len(kept) >= MOST_LOCKS:
            raise BadValue(f"there are {MOST_LOCKS} locks already, which is all there can be")
        return [*kept, lock]

    def _keys(self) -> list[str]:
        return [item.key for item in self._daemon.items]

    def _without(self, pattern: str, asking: Owner, may_all: bool) -> list[Lock]:
        present = self._locks.present
        ended = [lock for lock in present if lock.keys == pattern or matches(pattern, lock.keys)]
        if not ended:
            there = ", ".join(repr(lock.keys) for lock in present) or "nothing"
            raise UnknownKey(f"there is no lock on {pattern!r}: locked is {there}")
        for lock in ended:
            if lock.owner != asking and not may_all:
                raise Locked(f"{lock.keys} is {lock}. Only --break ends the lock of another")
        return [lock for lock in present if lock not in ended]


def _until(fields: Mapping[str, Any]) -> float:
    for name in ("until", "for_s"):
        given = fields.get(name)
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise WrongType(f"{name} must be a number of seconds, not {ascii(given)[:40]}")
        # Compared before it is added: a whole number may be larger than any float.
        if given > 1e12:
            raise BadValue(f"a lock has to end within {LONGEST_S / 86400:g} days")
        return max(0.0, given) + (time.time() if name == "for_s" else 0.0)
    raise BadValue("a lock has to end: say until (UNIX seconds) or for_s (seconds)")


def _cut(given: object, most: int) -> str:
    return "" if given is None else str(given)[:most]


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return the text *name* of a request, on one line; empty if it has none.

    Raises:
        BadValue: it is none, or too long.
    """
    given = fields.get(name)
    if given is None:
        return ""
    if not isinstance(given, str) or len(given) > MOST_TEXT:
        raise BadValue(f"{name} must be a text of at most {MOST_TEXT} characters")
    return " ".join(given.split())
