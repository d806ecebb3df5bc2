"""The first use of items by a client: it subscribes, and finds out their present values.

A value may change between the answer to a GET and the moment when the subscription is in force.
So either that is waited for first, of many items together; or the daemon tells with the answer that
it was in force, by a mark that was subscribed to behind the item: that takes one round trip.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import config
from ._asking import REFRESH
from ._reading import ask, connect_all
from .errors import Busy, ConnectionLost, MktlError, NoAnswer, NotConnected, NotSupported
from .protocol.message import GET
from .protocol.names import fold
from .replies import read_reply

if TYPE_CHECKING:
    from ._peer import Peer
    from ._reading import Results
    from ._remote import Remote
    from .payload import Payload
    from .store import Store
    from .transport.client import Reply

__all__ = ["first_value", "subscribe"]

_PRIME = b'{"refresh":true,"prime":"%s"}'


def first_value(peer: Peer, remote: Remote) -> Payload:
    """Have broadcasts of *remote* delivered, and return its present value.

    Raises:
        NotSupported: it can be set, but not read; broadcasts are delivered all the same.
        MktlError: nothing is known of it.
    """
    mark = peer.subscribe_marked(remote)
    if mark is None:
        peer.subscribe([remote])
        return _asked(peer, remote.full_key, _first_use(peer))
    in_force = False
    try:
        payload = _asked(peer, remote.full_key, _first_use(peer, mark))
        in_force = payload.extra.pop("subscribed", None) is True
    finally:
        if not in_force:
            peer.confirm()
    if in_force:
        return payload
    return peer.get(remote.full_key, refresh=False, timeout_s=config.answer_timeout_s())


def _asked(peer: Peer, full_key: str, fields: bytes) -> Payload:
    patience_s = config.answer_timeout_s()
    try:
        try:
            return read_reply(peer.request(GET, full_key, fields), patience_s)
        except ConnectionLost:
            return read_reply(peer.request(GET, full_key, fields), patience_s)
    except MktlError as error:
        if not _may_be_known(peer, error):
            raise
    return peer.get(full_key, refresh=False, timeout_s=patience_s)


def _first_use(peer: Peer, mark: bytes = b"") -> bytes:
    """Return the payload of a GET that is the first use of an item."""
    if not peer.confirms:
        return REFRESH  # as the clients of others ask theirs
    return _PRIME % mark


def _may_be_known(peer: Peer, error: MktlError) -> bool:
    """Return whether the daemon may know a value all the same, if an old one.

    The hardware does not answer, or not soon: what comes later comes as a broadcast. Our daemons
    answer with what is known, if anything is.
    """
    if isinstance(error, (NotConnected, ConnectionLost, NotSupported)):
        return False
    return not peer.confirms or isinstance(error, (NoAnswer, Busy))


def subscribe(store: Store, keys: Iterable[str]) -> Results:
    """Do what :meth:`mktl.Store.subscribe` promises."""
    wanted = list(dict.fromkeys(fold(given, "key") for given in keys))
    connect_all(store, wanted)
    first = _FirstUses(store, wanted)
    try:
        first.subscribe()
        first.ask()
    finally:
        first.end()
    return {
        key: first.results[key] if key in first.results else _current(store, key) for key in wanted
    }


def _current(store: Store, key: str) -> Payload | MktlError:
    """Return what is known of an item that was subscribed to before, or is so by another thread."""
    try:
        source = store[key]._source
        source.subscribe()
        return source.current()
    except MktlError as error:
        return error


class _FirstUses:
    """Those of many items, at the same time.

    Args:
        store: Theirs.
        keys: Items that are subscribed to already are left out, and those of this process.

    Attributes:
        results: What came of each.
    """

    def __init__(self, store: Store, keys: list[str]) -> None:
        from ._remote import Remote

        self.results: Results = {}
        self._remotes: dict[str, tuple[Remote, Peer]] = {}
        for key in keys:
            try:
                source = store[key]._source
                if not isinstance(source, Remote):
                    continue
                peer = store._peer(key)
                if source.begin_subscribing(peer):
                    self._remotes[key] = source, peer
            except MktlError as error:
                self.results[key] = error

    def subscribe(self) -> None:
        """Subscribe to all, and return when that is in force."""
        by_peer: dict[Peer, dict[str, Remote]] = {}
        for key, (remote, peer) in self._remotes.items():
            by_peer.setdefault(peer, {})[key] = remote
        begun = []
        for peer, remotes in by_peer.items():
            try:
                if peer.begin(remotes.values()):
                    begun.append(peer)
            except MktlError as error:
                self.results.update(dict.fromkeys(remotes, error))
        for peer in begun:
            peer.confirm()

    def ask(self) -> None:
        """Ask for the present values, and take what comes."""
        left = self._ask([key for key in self._remotes if key not in self.results], first=True)
        self._ask(left, first=False)

    def _ask(self, keys: list[str], *, first: bool) -> list[str]:
        """Return which of *keys* have to be asked for once more."""
        asked: dict[str, tuple[int, Reply]] = {}
        absent: set[Peer] = set()
        for key in keys:
            remote, peer = self._remotes[key]
            fields = _first_use(peer) if first else b""
            try:
                asked[key] = remote.received, ask(peer, remote.full_key, fields, absent)
            except MktlError as error:
                self.results[key] = error
        again = []
        patience_s = config.answer_timeout_s()
        deadline = time.monotonic() + patience_s
        for key, (received, reply) in asked.items():
            remote, peer = self._remotes[key]
            try:
                payload = read_reply(reply, max(0.0, deadline - time.monotonic()))
            except MktlError as error:
                self.results[key] = error
                if _may_be_known(peer, error):
                    again.append(key)
                continue
            # As long as answers come, the others may just have to wait for their turns.
            deadline = time.monotonic() + patience_s
            remote.take_first(payload, received, peer)
            self.results[key] = payload
        return again

    def end(self) -> None:
        """Let others subscribe to what could not be subscribed to here."""
        for remote, peer in self._remotes.values():
            remote.end_subscribing(peer)
