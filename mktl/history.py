"""What was set, by whom, and what became of it: the audit log of a daemon, asked over the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import UnknownKey
from .protocol.message import GET, encode_json
from .protocol.names import join
from .replies import read_reply

if TYPE_CHECKING:
    from .store import Store

__all__ = ["History", "read_history"]


@dataclass(frozen=True, slots=True)
class History:
    """What a daemon tells of its SETs."""

    records: list[dict[str, Any]]
    """The oldest first. Each has ``utc``, ``time``, ``item``, ``outcome``, ``took_ms``, and
    where they are known ``old``, ``new``, ``error``, ``user``, ``host`` and so on; one with
    ``lost`` says how many are missing there."""
    more: bool
    """Whether there are others before them."""
    oldest: float | None
    """UNIX seconds of the oldest record of any item that is still kept."""


def read_history(
    store: Store,
    alias: str,
    key: str | None = None,
    *,
    since: float | None = None,
    last: int | None = None,
    timeout: float | None = None,
) -> History:
    """Ask the daemon *alias* of *store* what was set.

    Args:
        store: From :func:`mktl.get`.
        alias: Name of the daemon in the store.
        key: A key, or a pattern as in a shell; ``None`` for all items.
        since: UNIX seconds before which nothing is wanted.
        last: How many at most, 1000 at most; 20 if left out.
        timeout: Longest wait in seconds, once the daemon has acknowledged.

    Raises:
        UnknownKey: there is no such item, or the daemon keeps no history.
        MktlError: whatever else the daemon reports.
    """
    own_key = f"_{alias}history"
    if not any(own_key in block.items for block in store.blocks if block.alias == alias):
        raise UnknownKey(f"the daemon {join(store.name, alias)} keeps no history of SETs")
    asked = {"key": key, "since": since, "last": last}
    fields = encode_json({name: value for name, value in asked.items() if value is not None})
    target = join(store.name, own_key)
    payload = read_reply(store._peer(own_key).request(GET, target, fields), timeout)
    records = payload.value if isinstance(payload.value, list) else []
    oldest = payload.extra.get("oldest")
    return History(
        [record for record in records if isinstance(record, dict)],
        payload.extra.get("more") is True,
        float(oldest) if isinstance(oldest, (int, float)) else None,
    )
