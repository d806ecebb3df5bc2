"""The same request to many peers at once: those that are gone hold nobody up."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterable

from ..errors import ConnectionLost, MktlError, NoAnswer, NotConnected
from ..protocol.message import Response
from .client import Reply, RequestClient

__all__ = ["Address", "ask_all"]

Address = tuple[str, int]

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

    Returns:
        For each address, in the order given, its response, or the error that came instead.
    """
    questions: dict[Address, _Question] = {}
    try:
        for address in dict.fromkeys(addresses):
            questions[address] = _Question(address, patience_s(address), reply_timeout_s)
        open_ = list(questions.values())
        while open_ := [one for one in open_ if not one.go_on(kind, target, payload)]:
            if stopping is not None and stopping.is_set():
                break
            _wait_for_any(open_)
        return {address: one.outcome() for address, one in questions.items()}
    finally:
        for one in questions.values():
            one.client.close()


def _wait_for_any(open_: list[_Question]) -> None:
    poller = select.poll()
    for one in open_:
        for descriptor in one.client.descriptors():
            poller.register(descriptor, select.POLLIN)
    poller.poll(1000 * _LOOK_S)


class _Question:
    """What one peer is asked."""

    def __init__(self, address: Address, patience_s: float, reply_timeout_s: float) -> None:
        self.client = RequestClient(*address)
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
            elif now >= self._deadline:
                self._error = NotConnected(
                    f"{target}: no connection to {self.client.peer} within {patience_s:g} s"
                )
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
