"""What protects a daemon: its rules, its key pair, and who may hear its broadcasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import known_keys
from ._access import Access
from .authorised import AuthorisedKeys, authorised_keys
from .keyring import server_pair
from .protocol.message import SYNC_TOPIC, topic
from .protocol.names import join
from .security import Rules, key_text
from .transport.curve import Gate, Guard

__all__ = ["Listeners", "Protection"]


class Protection:
    """The protection of one daemon. Without rules it is none, and costs nothing.

    Args:
        store: Of the daemon.
        fields: What its author, or its instrument file, says about access.
        keys: Returns the keys of its items.

    Raises:
        ConfigurationError: the rules cannot be understood, or there is no key pair to be had.
    """

    def __init__(
        self, store: str, fields: Mapping[str, Any], keys: Callable[[], Iterable[str]]
    ) -> None:
        rules = Rules.from_mapping(fields)
        self._authorised = authorised_keys()
        self.access = Access(rules, self._authorised.find if rules.curve else lambda _key: None)
        self.audience: Listeners | None = None
        if self.access.restricts_reading or (rules.curve and rules.unknown == "none"):
            self.audience = Listeners(store, self.access, self._authorised, keys)
        self.guard: Guard | None = None
        self.public_key = ""
        self._uuid = ""

    def begin(self, name: str, uuid: str) -> None:
        """Decide from now on who may connect to the daemon *name*; before it binds its sockets.

        Raises:
            ConfigurationError: there is no key pair, or no CURVE.
        """
        self._uuid = uuid
        if not self.access.rules.curve:
            known_keys.note_serving(uuid, None)
            return
        pair = server_pair()
        guard = Guard((pair.public, pair.secret), name, uuid, self.access.may_connect)
        Gate.open(guard)
        self.guard, self.public_key = guard, key_text(pair.public)

    def note_serving(self, ports: tuple[int, int]) -> None:
        """Tell clients of this home that the daemon at *ports* wants CURVE, if it does."""
        if self.guard is not None:
            known_keys.note_serving(self._uuid, ports)

    def end(self) -> None:
        """Decide nothing any more; after the sockets were closed."""
        if self.guard is not None:
            Gate.close(self.guard)


class Listeners:
    """Who may hear which broadcasts of a daemon.

    Args:
        store: Of the daemon.
        access: Its rules.
        authorised: The keys that it recognises.
        keys: Returns the keys of its items.
    """

    def __init__(
        self,
        store: str,
        access: Access,
        authorised: AuthorisedKeys,
        keys: Callable[[], Iterable[str]],
    ) -> None:
        self._store = store
        self._access = access
        self._authorised = authorised
        self._keys = keys
        self._roles = self._roles_now()
        self.narrows = access.restricts_reading

    def topics(self, prefix: bytes, key: str, address: str) -> list[bytes]:
        """Return what a subscription to *prefix*, of a key at an address, is narrowed to."""
        caller = self._access.caller(key, address)
        if self._access.reads_everything(caller):
            return [prefix]
        allowed = [
            name
            for one in self._candidates(prefix)
            if (name := topic(join(self._store, one))).startswith(prefix)
            and self._access.may_read(one, caller)
        ]
        return [*allowed, SYNC_TOPIC] if SYNC_TOPIC.startswith(prefix) else allowed

    def _candidates(self, prefix: bytes) -> Iterable[str]:
        """Return the keys whose topics may begin with *prefix*: mostly it is the whole of one."""
        store, dot, rest = prefix.decode("utf-8", "replace").partition(".")
        if dot and rest.endswith("."):
            return (rest[:-1],) if store == self._store else ()
        return list(self._keys())

    def has_changed(self) -> bool:
        """Return whether anybody may hear more or less than when this was asked last."""
        if not self._access.rules.curve:
            return False
        roles = self._roles_now()
        if roles is self._roles or roles == self._roles:
            return False
        self._roles = roles
        return True

    def _roles_now(self) -> dict[bytes, str]:
        return self._authorised.roles()
