"""Many values of a store at once, without subscribing to them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import config
from ._asking import REFRESH, is_from_another
from .errors import MktlError, NotConnected
from .protocol.message import GET
from .protocol.names import fold, join
from .replies import read_or_error, read_reply

if TYPE_CHECKING:
    from ._peer import Peer
    from ._remote import Remote
    from .payload import Payload
    from .store import Store
    from .transport.client import Reply

__all__ = ["Results", "ask", "connect_all", "present_values", "read"]

Results = dict[str, "Payload | MktlError"]


def read(store: Store, keys: Iterable[str], *, refresh: bool, timeout: float | None) -> Results:
    """Do what :meth:`mktl.Store.read` promises."""
    wanted = list(dict.fromkeys(fold(given, "key") for given in keys))
    if len(wanted) == 1:
        return {wanted[0]: _read_one(store, wanted[0], refresh, timeout)}
    connect_all(store, wanted)
    found, asked = _read(store, wanted, refresh, timeout)
    # Another daemon may have answered: then it is found out who holds what, and asked once more.
    lost = [key for key, result in found.items() if _may_be_from_another(result) and key in asked]
    changed = {peer for peer in {asked[key] for key in lost} if peer.reconsider()}
    again = [key for key in lost if asked[key] in changed]
    if again:
        found.update(_read(store, again, refresh, timeout)[0])
    return {key: found[key] for key in wanted}


def _read_one(store: Store, key: str, refresh: bool, timeout: float | None) -> Payload | MktlError:
    try:
        source = store[key]._source
        if source.authoritative:
            return source.get(refresh=refresh, timeout=timeout)
        return source.ask(refresh=refresh, timeout=timeout)
    except MktlError as error:
        return error


def _may_be_from_another(result: Payload | MktlError) -> bool:
    return isinstance(result, MktlError) and is_from_another(result)


def _read(
    store: Store, keys: list[str], refresh: bool, timeout: float | None
) -> tuple[Results, dict[str, Peer]]:
    """Return what came of *keys*, and who was asked for which."""
    results: Results = {}
    replies: dict[str, Reply] = {}
    asked: dict[str, Peer] = {}
    absent: set[Peer] = set()
    for key in keys:
        try:
            source = store[key]._source
            if source.authoritative:
                results[key] = source.get(refresh=refresh, timeout=timeout)
                continue
            peer = store._peer(key)
            fields = REFRESH if refresh else b""
            replies[key] = ask(peer, join(store.name, key), fields, absent)
            asked[key] = peer
        except MktlError as error:
            results[key] = error
    for key, reply in replies.items():
        try:
            results[key] = read_reply(reply, timeout)
        except MktlError as error:
            results[key] = error
    return results, asked


def ask(peer: Peer, full_key: str, fields: bytes, absent: set[Peer]) -> Reply:
    """Send a GET with *fields*; *absent* are daemons that need not be waited for once more."""
    if peer in absent:
        raise NotConnected(f"{full_key}: no connection to {peer.block.name} either")
    try:
        return peer.request(GET, full_key, fields)
    except NotConnected:
        absent.add(peer)
        raise


def present_values(
    peer: Peer, remotes: list[Remote]
) -> list[tuple[Remote, int, Payload | MktlError | None]]:
    """Ask for the values of *remotes*, all at once.

    Returns:
        For each how many broadcasts had come when it was asked for, and what was answered; ``None``
        if it cannot be read.

    Raises:
        NoAnswer, ConnectionLost: nothing is answered about any of them.
    """
    asked = [(remote, remote.received, peer.request(GET, remote.full_key)) for remote in remotes]
    patience_s = config.answer_timeout_s()
    return [
        (remote, received, read_or_error(reply, patience_s)) for remote, received, reply in asked
    ]


def connect_all(store: Store, keys: list[str]) -> None:
    """Get to know the daemons of *keys* at the same time: one that is gone takes a while."""
    if store.daemon is not None and all(map(store.daemon.holds, keys)):
        return
    with contextlib.suppress(MktlError):  # told for each key, later
        store._load()
    uuids = {store._holders.get(key) for key in keys} - store._peers.keys() - {None}
    if len(uuids) < 2:
        return

    def connect(uuid: str) -> None:
        with contextlib.suppress(MktlError):
            store._connect(uuid)

    threads = [
        threading.Thread(target=connect, args=(uuid,), name=f"{store.name}-connect", daemon=True)
        for uuid in uuids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
