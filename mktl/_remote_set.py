"""A client's SET, from when it was sent on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ._asking import is_from_another
from .errors import MktlError
from .replies import read_reply

if TYPE_CHECKING:
    from ._peer import Peer
    from ._remote import Remote
    from .transport.client import Reply

__all__ = ["RemoteSet"]


class RemoteSet:
    """A SET that was sent.

    Args:
        remote: The item.
        peer: Whom it was sent to.
        reply: What its reply will arrive in.
        send: Sends it again, to another one.
    """

    def __init__(
        self, remote: Remote, peer: Peer, reply: Reply, send: Callable[[Peer], Reply]
    ) -> None:
        self._remote, self._peer = remote, peer
        self._reply = reply
        self._send = send

    def poll(self) -> bool:
        """Return whether the answer is there; never waits."""
        done = self._reply.poll()
        if done:
            self._note_done()
        return done

    def _note_done(self) -> None:
        # The value known here is an old one now, and so are broadcasts on their way.
        self._remote.note_peer_lost()

    def wait_acknowledged(self) -> None:
        """Wait until the daemon has acknowledged it, or answered."""
        self._reply.wait_acknowledged()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is done, or raise why it is not."""
        try:
            try:
                read_reply(self._reply, timeout)
            except MktlError as error:
                # Where the connection broke it may have been done, and is not asked for again.
                wrong = is_from_another(error)
                other = self._remote.elsewhere(self._peer, error) if wrong else None
                if other is None:
                    raise
                self._peer, self._reply = other, self._send(other)
                read_reply(self._reply, timeout)
        finally:  # what has failed may have done something all the same
            self._note_done()
