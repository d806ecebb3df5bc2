"""Subscribed items whose daemon was replaced by another one: they are subscribed there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ._remote import Remote
from .errors import ConnectionLost, MktlError

if TYPE_CHECKING:
    from ._peer import Peer
    from .item import Item
    from .lanes import Lanes

__all__ = ["Astray"]


class Astray:
    """Those of one store.

    Args:
        peer: Returns the daemon that holds a key, after looking for it if need be.
        lanes: Returns where that is done.
    """

    def __init__(self, peer: Callable[[str], Peer], lanes: Callable[[], Lanes]) -> None:
        self._peer = peer
        self._lanes = lanes
        self._lock = threading.Lock()
        self._remotes: set[Remote] = set()

    def add(self, remotes: Iterable[Remote]) -> None:
        """Take note of *remotes*, which nobody keeps true any more."""
        with self._lock:
            self._remotes.update(remotes)

    def add_if_moved(self, item: Item, uuid: str) -> None:
        """Take note of *item* if it is subscribed, but not at *uuid*, which holds it."""
        source = item._source
        if isinstance(source, Remote) and source.is_subscribed_elsewhere(uuid):
            self.add([source])

    def follow(self) -> None:
        """Subscribe all that were taken note of where they are held now; return at once."""
        with self._lock:
            found = bool(self._remotes)
        if found:
            self._lanes().submit(self, self._follow)

    def _follow(self) -> None:
        with self._lock:
            remotes, self._remotes = self._remotes, set()
        there: dict[Peer, list[Remote]] = {}
        for remote in remotes:
            try:
                peer = self._peer(remote.full_key.partition(".")[2])
                there.setdefault(peer, []).append(remote)
            except MktlError as error:
                remote.note_gone(str(error))
        for peer, followed in there.items():
            try:
                peer.adopt(followed)
            except ConnectionLost:  # replaced once more meanwhile, when it knew nothing of these
                self.add(followed)
                self.follow()
            except MktlError as error:
                for remote in followed:
                    remote.note_gone(str(error))
