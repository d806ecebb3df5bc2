"""The same request to many peers at once: those that are gone hold nobody up."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterable

from ..errors import ConnectionLost, MktlError, NoAnswer
from ..protocol.message import Response
from .client import Reply, RequestClient

__all__ = ["Address", "ask_all"]

Address = tuple[str, int]

_MOST_AT_ONCE = 256
"""Connections at the same time: anybody may have answered a call, under as many addresses as they
like, and a process has only so many descriptors."""
_LOOK_S = 0.02
"""How long to wait at most before looking again: the signal of a socket may be used up."""


def ask_all(
    addresses: Iterable[Address],
    kind: bytes,
    target: str,
    payload: bytes = b"",
    *,
    patience_s: Callable[[Address], float],
    reply_timeout_s: float,
    stopping: threading.Event | None = None,
    server_key: Callable[[str, int], bytes | None] | None = None,
) -> dict[Address, Response | MktlError]:
    """Send a request to all *addresses*, and return what each answers.

    Args:
        addresses: Request sockets.
        kind: ``GET`` or ``SET``.
        target: What to ask for.
        payload: Encoded already.
        patience_s: How long to wait for the connection to an address; and, once more as long, for
            the acknowledgement.
        reply_timeout_s: How long to wait for a reply, from when the request was sent.
        stopping: Ends it early: who has not answered yet has lost the connection.
        server_key: Returns what whoever is at an address has to prove to have, encrypted; ``None``
            stands for clear text.

    Returns:
        For each address, in the order given, its response, or the error that came instead.
    """
    waiting = list(dict.fromkeys(addresses))
    outcomes: dict[Address, Response | MktlError] = {
        (host, port): ConnectionLost(f"{host}:{port} was not asked any more")
        for host, port in waiting
    }
    open_: dict[Address, _Question] = {}
    waiting.reverse()
    try:
        while waiting or open_:
            while waiting and len(open_) < _MOST_AT_ONCE:
                address = waiting.pop()
                key = None if server_key is None else server_key(*address)
                open_[address] = _Question(address, key, patience_s(address), reply_timeout_s)
            for address, one in list(open_.items()):
                if one.go_on(kind, target, payload):
                    outcomes[address] = one.outcome()
                    open_.pop(address).client.close()
            if stopping is not None and stopping.is_set():
                break
            if open_:
                _wait_for_any(open_.values())
        return {**outcomes, **{address: one.outcome() for address, one in open_.items()}}
    finally:
        for one in open_.values():
            one.client.close()


def _wait_for_any(open_: Iterable[_Question]) -> None:
    poller = select.poll()
    for one in open_:
        for descriptor in one.client.descriptors():
            poller.register(descriptor, select.POLLIN)
    poller.poll(1000 * _LOOK_S)


class _Question:
    """What one peer is asked."""

    def __init__(
        self, address: Address, server_key: bytes | None, patience_s: float, reply_timeout_s: float
    ) -> None:
        self.client = RequestClient(*address, server_key=server_key)
        self._patience_s, self._reply_timeout_s = patience_s, reply_timeout_s
        self._deadline = time.monotonic() + patience_s
        self._reply: Reply | None = None
        self._error: MktlError | None = None

    def go_on(self, kind: bytes, target: str, payload: bytes) -> bool:
        """Send the request, or take in the reply, if possible; return whether it is over."""
        now = time.monotonic()
        if self._reply is None:
            patience_s = self._patience_s
            self._reply = self.client.begin(kind, target, payload, ack_timeout_s=patience_s)
            if self._reply is not None:
                self._deadline = now + self._reply_timeout_s
            elif now >= self._deadline or self.client.turned_away:
                self._error = self.client.not_connected(target, patience_s)
                return True
            return False
        if not self._reply.poll() and now >= self._deadline:
            self._error = NoAnswer(
                f"{target}: no reply from {self.client.peer} within {self._reply_timeout_s:g} s"
            )
        return self._reply.done or self._error is not None

    def outcome(self) -> Response | MktlError:
        """Return what became of it."""
        reply = self._reply
        if reply is not None and reply.response is not None:
            return reply.response
        if reply is not None and reply.error is not None:
            return reply.error
        return self._error or ConnectionLost(f"{self.client.peer} was not waited for any longer")
