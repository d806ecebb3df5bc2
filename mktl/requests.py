"""Requests as a daemon's author sees them, and as a client's author waits for them."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from ._callers import ITSELF, Caller
from .errors import WrongType
from .payload import Payload

__all__ = ["ItemRequest", "PendingSet", "origin_fields", "wants_refresh"]

ORIGIN = ("_user", "_hostname", "_pid", "_ppid", "_executable", "_argv")
"""Payload fields of a SET that tell where it came from."""


class ItemRequest:
    """A GET or SET of one item, handed to ``req_get`` or ``req_set``.

    Attributes:
        kind: ``"GET"`` or ``"SET"``.
        target: Full key.
        payload: What came with the request.
        value: Of a SET, the value as :meth:`mktl.Item.validate` returned it.
        refresh: Of a GET, whether the hardware is to be asked.
        arrived: When the daemon got it, by :func:`time.monotonic`: it may have waited since, and
            something else have been asked for meanwhile.
        caller: Who asks, as far as the connection itself tells.
    """

    __slots__ = ("arrived", "caller", "kind", "payload", "refresh", "target", "value")

    def __init__(
        self,
        kind: str,
        target: str,
        payload: Payload,
        *,
        arrived: float | None = None,
        caller: Caller = ITSELF,
    ) -> None:
        self.arrived = time.monotonic() if arrived is None else arrived
        self.caller = caller
        self.kind = kind
        self.target = target
        self.payload = payload
        self.value = payload.value
        self.refresh = kind == "GET" and wants_refresh(payload.extra)

    @property
    def origin(self) -> dict[str, Any]:
        """Where the request came from, as far as it said: user, host, process, command line."""
        extra = self.payload.extra
        return {name.removeprefix("_"): extra[name] for name in ORIGIN if name in extra}


def wants_refresh(fields: Mapping[str, Any]) -> bool:
    """Return whether a GET asks for the hardware to be read.

    Raises:
        WrongType: it does not say so clearly. An old value would be taken for a new one.
    """
    refresh = fields.get("refresh")
    if refresh is None or isinstance(refresh, bool):
        return bool(refresh)
    raise WrongType(f"refresh must be true or false, not {refresh!s:.40}")


class PendingSet(Protocol):
    """A SET that was sent and is not waited for yet."""

    def poll(self) -> bool:
        """Return whether the answer is there; never waits."""

    def wait_acknowledged(self) -> None:
        """Wait until the daemon has acknowledged that it works on it, or has answered.

        Raises:
            NoAnswer: neither came in time.
            ConnectionLost: the connection broke.
        """

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the SET is done.

        Args:
            timeout: Seconds; ``None`` waits as long as the daemon works on it.

        Raises:
            MktlError: the SET was refused or failed, or there was no answer in time.
        """


def origin_fields() -> dict[str, Any]:
    """Return the fields that say where a SET of this process comes from. Not to be changed."""
    # A process that was forked is another one; and its parent may have ended.
    return _origin_of(os.getpid(), os.getppid())


@functools.lru_cache(maxsize=1)
def _origin_of(pid: int, parent: int) -> dict[str, Any]:
    from .transport.hosts import own_name

    fields: dict[str, Any] = {}
    user = os.environ.get("USER") or os.environ.get("LOGNAME")
    if user:
        fields["_user"] = user
    fields.update(
        _hostname=own_name(),
        _pid=pid,
        _ppid=parent,
        _executable=sys.executable.rpartition("/")[2] or "python",
        _argv=list(sys.argv),
    )
    return fields
