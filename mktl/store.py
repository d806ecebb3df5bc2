"""A named set of items."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import _process, config, directory
from ._astray import Astray
from .catalog import Block
from .errors import (
    ConnectionLost,
    MktlError,
    NoAnswer,
    NotSupported,
    UnknownKey,
    UnknownStore,
)
from .protocol.names import fold, join, nearest

if TYPE_CHECKING:
    from ._authority import Authority
    from ._peer import Peer
    from ._remote import Remote
    from .description import Description
    from .item import Item
    from .lanes import Lanes
    from .payload import Payload

__all__ = ["Store"]

LOOK_AGAIN_S = 10.0
"""How often at most to find out who holds what, for keys that nobody holds any more."""


class Store(Mapping[str, "Item"]):
    """A named set of items: a read-only mapping of keys to :class:`mktl.Item`.

    Get one by :func:`mktl.get`. Keys may be given in any case.

    Args:
        name: Folded already.
        daemon: The daemon that holds part of the store in this process, if there is one.
        at: Where to ask about the store, rather than wherever registries are.
    """

    def __init__(
        self, name: str, daemon: Any = None, *, at: directory.Address | None = None
    ) -> None:
        self.name = name
        self.daemon = daemon
        self._at = at
        # Its end is that of this store as well: what comes late must not begin another one.
        self._process = _process.current()
        # Guards the tables below, for moments only. Nothing is asked of anybody while it is held:
        # a daemon that does not answer must not hold up what is known of the others. What is
        # there already is looked up without it. Who needs several takes them in this order:
        # that of a daemon in _connecting, _searching, _lock.
        self._lock = threading.RLock()
        self._searching = threading.RLock()
        self._connecting: dict[str, threading.Lock] = {}
        self._items: dict[str, Item] = {}
        self._blocks: dict[str, Block] = {}
        self._holders: dict[str, str] = {}
        self._peers: dict[str, Peer] = {}
        self._descriptions: dict[str, Description] = {}
        self._astray = Astray(self._peer, self._process.lanes)
        self._next_look = 0.0
        self._loaded = False
        self._closed = False

    def __repr__(self) -> str:
        return f"<Store {self.name}>"

    def __getitem__(self, key: str) -> Item:
        key = fold(key, "key")
        item = self._items.get(key)
        if item is not None:
            return item
        if self.daemon is None or not self.daemon.holds(key):
            self._load()
            if key not in self._holders:
                self.refresh()
            if key not in self._holders:
                raise UnknownKey(self._unknown(key))
        from .item import Item

        with self._lock:
            item = self._items.get(key)  # somebody else may have been faster
            return Item(self, key) if item is None else item

    def __setitem__(self, key: str, value: object) -> None:
        # ``store[key] += 1`` has set the item by the time it comes here.
        if value is not self._items.get(fold(key, "key")):
            raise NotSupported(
                f"a store is read-only; to set an item, write store[{key!r}].value = ..."
            )

    def __iter__(self) -> Iterator[str]:
        self._load()
        with self._lock:
            return iter(sorted(self._holders.keys() | self._items.keys()))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in set(iter(self))

    def _unknown(self, key: str) -> str:
        with self._lock:
            known = self._holders.keys() | self._items.keys()
        close = nearest(key, known)
        hint = f"did you mean {', '.join(join(self.name, one) for one in close)}?"
        return f"{self.name} has no item {key!r}" + (f"; {hint}" if close else "")

    def describe(self, key: str) -> dict[str, Any]:
        """Return the description of *key* as its daemon gives it.

        Raises:
            UnknownKey: there is no such item.
        """
        return self[key].description.to_json()

    @property
    def blocks(self) -> list[Block]:
        """What the daemons of this store say about themselves, ordered by alias."""
        self._load()
        with self._lock:
            return sorted(self._blocks.values(), key=lambda block: block.alias)

    def read(
        self, keys: Iterable[str], *, refresh: bool = False, timeout: float | None = None
    ) -> dict[str, Payload | MktlError]:
        """Ask for the values of *keys*, all at once and without subscribing.

        Args:
            keys: Keys of this store.
            refresh: Have the hardware asked.
            timeout: Longest wait in seconds for each daemon, once it has acknowledged.

        Returns:
            For each key, in the given order, its payload, or the error that came instead.
        """
        from ._reading import read

        return read(self, keys, refresh=refresh, timeout=timeout)

    def subscribe(self, keys: Iterable[str]) -> dict[str, Payload | MktlError]:
        """Subscribe to *keys*, and find out their present values, all at once.

        It does what the first use of each item does, of thousands of them in a moment.

        Returns:
            For each key, in the given order, its payload, or the error that came instead.
        """
        from ._priming import subscribe

        return subscribe(self, keys)

    def refresh(self) -> bool:
        """Ask again who holds what in this store.

        Returns:
            Whether anybody answered; if not, what was known before stays.

        Raises:
            UnknownStore: nobody knows the store any more.
            NoAnswer: nobody answered, and nothing is cached.
        """
        with self._searching:
            self._take_cached()
            try:
                found = directory.find(self.name, at=self._at, timeout_s=config.answer_timeout_s())
            except (NoAnswer, UnknownStore):
                if not self._blocks and self.daemon is None:
                    raise
                return False
            self._take(found)
            directory.remember(self.name, found)
            self._loaded = True
            return True

    def _load(self) -> None:
        """Find out, the first time that it is needed, who holds what."""
        if self._loaded:
            return
        with self._searching:
            if self._loaded:
                return
            self._take_cached()
            if not self._blocks:
                self.refresh()
            self._loaded = True

    def _take_cached(self) -> None:
        if self._at is None and not self._blocks:
            self._take(directory.cached_blocks(self.name))

    def _take(self, blocks: list[Block]) -> None:
        with self._lock:
            # The newest last: an alias may have been given to another identity since.
            for block in sorted(blocks, key=lambda block: block.time):
                self._take_one(block)
            if not self._closed:
                self._astray.follow()

    def _take_one(self, block: Block) -> None:
        old = self._blocks.get(block.uuid)
        self._supersede(block)
        self._blocks[block.uuid] = block
        for key in block.items:
            self._holders[key] = block.uuid
            self._descriptions.pop(key, None)
            if key in self._items:
                self._astray.add_if_moved(self._items[key], block.uuid)
        for key in old.items.keys() - block.items.keys() if old else ():
            self._holders.pop(key, None)
            if key in self._items:
                self._astray.add_if_moved(self._items[key], "")
        peer = self._peers.get(block.uuid)
        if peer is not None and old is not None and old.daemon != block.daemon:
            peer.move(block)

    def _supersede(self, block: Block) -> None:
        """Forget what was known under the alias of *block* before it got a new identity."""
        for old in [one for one in self._blocks.values() if one.alias == block.alias]:
            if old.uuid != block.uuid:
                self._forget(old)

    def _forget(self, block: Block) -> None:
        """Know nothing of the daemon of *block* any more, here and in the cache."""
        self._blocks.pop(block.uuid, None)
        directory.forget(self.name, block.uuid)
        for key in [key for key, uuid in self._holders.items() if uuid == block.uuid]:
            del self._holders[key]
        peer = self._peers.pop(block.uuid, None)
        if peer is not None:
            self._astray.add(peer.subscribed())
            peer.close()

    def _is_replaced(self, block: Block) -> bool:
        """Return whether others hold what *block* claims, its daemon being gone."""
        public = [key for key in block.items if not key.startswith("_")]
        return any(self._holders.get(key, block.uuid) != block.uuid for key in public)

    # For items.

    def lanes(self) -> Lanes:
        """Return the threads that call callbacks."""
        if self.daemon is not None:
            lanes: Lanes = self.daemon.lanes
            return lanes
        return self._process.lanes()

    def adopt(self, item: Item) -> Authority | Remote:
        """Take in a new item and return what it gets, sets and publishes by."""
        with self._lock:
            if item.key in self._items:
                raise NotSupported(f"{item.full_key} exists already: one item a key")
            if self.daemon is not None and self.daemon.holds(item.key):
                source: Authority | Remote = self.daemon.authority(item)
            else:
                source = self._remote(item)
            self._items[item.key] = item
            return source

    def _remote(self, item: Item) -> Remote:
        from ._remote import Remote

        key = item.key
        return Remote(
            item.full_key,
            lambda: self._description(key),
            lambda: self._peer(key),
            item._callbacks,
        )

    def _description(self, key: str) -> Description:
        description = self._descriptions.get(key)
        while description is None:
            from .description import Description

            self._peer(key)  # sees to it that the block is true
            with self._lock:
                block = self._blocks.get(self._holders.get(key, ""))
                if block is not None:
                    fields = block.items.get(key, {})
                    description = Description.from_json(key, fields, lenient=True)
                    self._descriptions[key] = description
        return description

    def _peer(self, key: str) -> Peer:
        """Return the daemon that holds *key*, its block verified when it is first spoken to."""
        self._load()
        while (uuid := self._holders.get(key)) is not None or self._look_again():
            if uuid is None:
                continue
            peer = self._peers.get(uuid) or self._connect(uuid)
            # To connect is to find out what is true now: another daemon may hold the key.
            if peer is not None and self._holders.get(key) == uuid:
                return peer
        raise UnknownKey(self._unknown(key))

    def _look_again(self) -> bool:
        """For a key that was held, find out who does now; return whether that was asked at all."""
        if self._closed or time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + LOOK_AGAIN_S
        try:
            return self.refresh()
        except MktlError:
            return False

    def _connect(self, uuid: str) -> Peer | None:
        """Return a new connection to a daemon, or the one that another thread has just made.

        ``None`` if the daemon has turned out to be another one.
        """
        with self._lock:
            connecting = self._connecting.setdefault(uuid, threading.Lock())
        with connecting:
            with self._lock:
                self._check_open()
                peer, block = self._peers.get(uuid), self._blocks.get(uuid)
            if peer is not None or block is None:
                return peer
            peer = self._verified(block)
            with self._lock:
                found = self._blocks.get(uuid)
                if self._closed or found is None:
                    peer.close()
                    self._check_open()
                    return None
                if found.daemon != peer.block.daemon:  # it has moved meanwhile
                    peer.move(found)
                self._peers[uuid] = peer
            return peer

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLost(f"the store {self.name} was closed: mktl.get() gives a new one")

    def _verified(self, block: Block) -> Peer:
        """Return a connection to the daemon of *block*, wherever it is now."""
        from ._peer import Peer

        peer = Peer(block, self._process, self._renew)
        renewed = peer.verify(config.answer_timeout_s())
        if renewed is None:
            peer.close()
            self._check_open()
            self.refresh()  # it may have moved; if nobody knows, what is cached has to do
            found = self._blocks.get(block.uuid, block)
            peer = Peer(found, self._process, self._renew)
            if found.daemon == block.daemon:
                peer.note_gone()
                with self._lock:
                    if self._is_replaced(found):
                        self._forget(found)
        elif renewed is not block:
            peer.block = renewed
            self._renew(renewed)
        return peer

    def _renew(self, block: Block) -> None:
        """Take note of what a daemon now says about itself."""
        with self._lock:
            self._take([block])
            peer = self._peers.get(block.uuid)
            if peer is not None:
                peer.block = block
        directory.remember(self.name, [block])

    def close(self) -> None:
        """Close all connections to daemons of this store."""
        with self._lock:
            self._closed = True
            peers, self._peers = list(self._peers.values()), {}
        for peer in peers:
            peer.close()
