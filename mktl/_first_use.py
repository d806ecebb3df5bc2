"""How a daemon answers the first use of an item by a client, which is about to rely on broadcasts.

Others ask for a refresh then, and get it. Our client says in addition that it is a first use, with
``prime``: what is known will do, where the item is polled, or has just been read. A thousand
clients that start cost a slow bus nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ._authority import Authority
    from ._callers import Caller
    from .protocol.message import Buffer, Request
    from .transport.publisher import Publisher
    from .transport.server import Responder

    AnyResponder: TypeAlias = "Responder | FirstUse"

__all__ = ["OF_AN_EARLIER_RUN", "FirstUse", "answering"]

OF_AN_EARLIER_RUN = "of an earlier run: the hardware was not read yet"
FRESH_S = 1.0
"""How old a reading may be that answers the first use of an item that is not polled."""


def answering(
    responder: Responder, authority: Authority, publisher: Publisher | None
) -> AnyResponder:
    """Return what answers a GET, which may be a first use."""
    if "prime" in responder.request.payload:
        return FirstUse(responder, authority, publisher)
    return responder


class FirstUse:
    """Answers one such request.

    Its reply says ``subscribed`` if the client has subscribed to a mark, named by ``prime``, as
    then all changes after the value in the reply are broadcast to it, and nothing is missed.

    Args:
        responder: Answers the request as any other.
        authority: What the daemon knows of the item.
        publisher: Where the client has subscribed, if anywhere.
    """

    def __init__(
        self, responder: Responder, authority: Authority, publisher: Publisher | None
    ) -> None:
        self._responder = responder
        self._authority = authority
        self.request: Request = responder.request
        mark = self.request.payload["prime"]
        # Before it is known what the answer is: what changes after that is heard.
        self._subscribed = (
            publisher is not None
            and isinstance(mark, str)
            and publisher.has_seen(mark.encode(errors="replace"))
        )
        if is_kept_true(authority):
            self.request.payload["refresh"] = False

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return self._responder.caller

    def work(self, work: Callable[[], object], held_up: Callable[[], object]) -> bool:
        """Do *work* on the thread that has read the request."""
        return self._responder.work(work, held_up)

    def acknowledge(self) -> None:
        """Say that the request was understood and will be replied to."""
        self._responder.acknowledge()

    def reply(self, payload: bytes, bulk: Buffer | None = None) -> None:
        """Send the reply, and whether changes after it will be heard."""
        if self._subscribed:
            payload = payload[:-1] + b',"subscribed":true}'
        self._responder.reply(payload, bulk)

    def fail(self, error: BaseException) -> None:
        """Reply with what was last known, if it is known how bad that is; else with *error*.

        Code of the item that fails without a word about the value leaves one that looks good.
        """
        known = self._authority.payload
        if known.time is None or known.quality != "invalid":
            self._responder.fail(error)
        else:
            self.reply(*known.encode())


def is_kept_true(authority: Authority) -> bool:
    """Return whether what is known of an item will do, so that no hardware has to be read."""
    known = authority.payload
    if known.time is None or known.reason == OF_AN_EARLIER_RUN:
        return False
    if authority.is_polled:
        return True
    read_at = known.time if known.checked is None else known.checked
    return known.quality != "invalid" and 0.0 <= time.time() - read_at < FRESH_S
