"""A request that was sent, and those who wait for what becomes of it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..errors import MktlError, NoAnswer
from ..protocol.exchange import Slot
from ..protocol.message import Response

if TYPE_CHECKING:
    from .client import RequestClient

__all__ = ["Reply", "Waiter"]


class Reply(Slot):
    """A request that was sent, and what became of it."""

    __slots__ = ("_client", "ack_deadline", "error", "id", "target")

    def __init__(self, client: RequestClient, target: str, ack_timeout_s: float) -> None:
        super().__init__()
        self._client = client
        self.ack_deadline = time.monotonic() + ack_timeout_s
        self.error: MktlError | None = None
        self.id = b""
        self.target = target

    @property
    def done(self) -> bool:
        """Whether there is a reply or an error, as far as messages were taken in."""
        return self.response is not None or self.error is not None

    @property
    def overdue(self) -> bool:
        """Whether it should have been acknowledged by now, and was not."""
        waits = not (self.done or self.acknowledged)
        return waits and time.monotonic() >= self.ack_deadline

    def poll(self) -> bool:
        """Take in what has arrived; return whether there is a reply or an error."""
        if not self.done:
            self._client.take_in()
            self._client.expire(self)
        return self.done

    def wait_acknowledged(self) -> None:
        """Wait until the request was acknowledged or answered.

        Raises:
            NoAnswer: neither came in time.
            ConnectionLost: the connection broke.
        """
        self._client.wait(self, None, acknowledged=True)
        if self.error is not None:
            raise self.error

    def wait(self, timeout_s: float | None = None) -> Response:
        """Wait for the reply and return it.

        Args:
            timeout_s: Longest wait in seconds; ``None`` waits as long as the daemon works.

        Raises:
            NoAnswer: nothing acknowledged the request, or no reply came within *timeout_s*.
            ConnectionLost: the connection broke after the request was sent.
        """
        self._client.wait(self, timeout_s)
        if self.error is not None:
            raise self.error
        if self.response is None:
            raise NoAnswer(
                f"{self.target}: no reply from {self._client.peer} within {timeout_s:g} s"
                + (" (it was acknowledged)" if self.acknowledged else "")
            )
        return self.response


class Waiter:
    """One call of :meth:`Reply.wait`; several may wait for the same reply."""

    __slots__ = ("_acknowledged", "reply", "turn")

    def __init__(self, reply: Reply, acknowledged: bool) -> None:
        self.reply = reply
        self._acknowledged = acknowledged
        self.turn: threading.Event | None = None
        """Made when it is the first time needed: who leads needs none."""

    def over(self) -> bool:
        """Return whether there is what was waited for."""
        return self.reply.done or (self._acknowledged and self.reply.acknowledged)
