"""A client's side of an item: what it was told last, and how to ask."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import config
from ._local import says_nothing_new
from ._peer import Peer
from .callbacks import Callback, Callbacks
from .errors import ConnectionLost, MktlError, NotConnected, NotSupported
from .payload import Payload
from .protocol import bulk as bulk_codec
from .protocol.message import NO_ACK, NO_REP, SET
from .replies import read_reply
from .requests import origin_fields
from .transport.client import Reply

if TYPE_CHECKING:
    from .description import Description

__all__ = ["Remote"]


OVERTAKEN_S = 2.0
"""For how long after the answer to a GET broadcasts may come in that are older than it."""


class Remote:
    """What a client knows of an item that another process holds.

    Args:
        full_key: ``store.key``.
        describe: Returns the description that is true now.
        peer: Returns the daemon that holds the item.
        callbacks: What to call for each new value.
    """

    authoritative = False

    def __init__(
        self,
        full_key: str,
        describe: Callable[[], Description],
        peer: Callable[[], Peer],
        callbacks: Callbacks,
    ) -> None:
        self.full_key = full_key
        self.payload = Payload()
        self._subscribed_at: Peer | None = None
        self._describe = describe
        self._peer = peer
        self._callbacks = callbacks
        self._lock = threading.Lock()
        self._subscribing = threading.Lock()
        self.received = 0
        self._overtaken_until = 0.0
        self._asks_again = False
        self._outdated = False

    @property
    def description(self) -> Description:
        """The description of the item."""
        return self._describe()

    @property
    def live(self) -> bool:
        """Whether broadcasts keep the value true at this moment."""
        peer = self._peer()
        return self._subscribed_at is peer and peer.live

    def current(self) -> Payload:
        """Return the payload that is true now, from broadcasts if they are coming in."""
        return self.get(refresh=False, timeout=None)

    def get(self, *, refresh: bool, timeout: float | None) -> Payload:
        """Return a payload: from the daemon if asked to, or if broadcasts cannot be relied on."""
        peer = self._peer()
        if not refresh:
            if self._subscribed_at is not peer:
                self._subscribe(peer)
                if self._subscribed_at is peer:
                    return self.payload
            elif peer.live and not self._outdated:
                return self.payload
        received = self.received
        payload = peer.get(self.full_key, refresh=refresh, timeout_s=timeout)
        self._take(payload, received)
        return payload

    def subscribe(self) -> None:
        """Have new values delivered from now on, and find out the present one."""
        peer = self._peer()
        if self._subscribed_at is not peer:
            self._subscribe(peer)

    def _subscribe(self, peer: Peer) -> None:
        with self._subscribing:
            if self._subscribed_at is peer:  # somebody else was faster
                return
            peer.subscribe([self])
            received = self.received
            patience_s = config.answer_timeout_s()
            try:
                payload = peer.get(self.full_key, refresh=True, timeout_s=patience_s)
            except NotSupported:
                return  # it can be set but not read: broadcasts, if any, are all there is
            except (NotConnected, ConnectionLost):
                raise
            except MktlError:
                # The hardware does not answer, or not soon: then what was last known, and how bad
                # it is. What comes later comes as a broadcast.
                payload = peer.get(self.full_key, refresh=False, timeout_s=patience_s)
            self._take(payload, received)
            # Not before: what was only asked for, or of another daemon, nobody keeps true.
            self._subscribed_at = peer

    def _take(self, payload: Payload, received: int) -> None:
        """Take the answer to a GET, unless a broadcast came in since *received*.

        Which of the two is older is not known then: an outdated value stays outdated.
        """
        with self._lock:
            if self.received == received:
                self.payload = payload
                self._outdated = False
                self._overtaken_until = time.monotonic() + OVERTAKEN_S

    def receive(self, payload: Payload) -> bool:
        """Take a broadcast. They come in the order in which they were sent.

        Returns:
            Whether it was left out as an older one, and :meth:`ask_again` is to be called.
        """
        with self._lock:
            self.received += 1
            if not _is_older(payload, self.payload):
                self.payload = payload
                self._callbacks.deliver(payload)
                return False
            # Either the answer to a GET has overtaken it, or the daemon's clock was set back.
            self._outdated = True
            if time.monotonic() >= self._overtaken_until:
                self.payload = payload
                self._callbacks.deliver(payload)
                return False
            first, self._asks_again = not self._asks_again, True
            return first

    def ask_again(self, peer: Peer) -> None:
        """See to it that a broadcast that was left out was indeed an older one."""
        self._asks_again = False
        received = self.received
        with contextlib.suppress(MktlError):  # who wants to know the value has to ask
            payload = peer.get(self.full_key, refresh=False, timeout_s=None)
            self.receive_present(payload, received)

    def receive_present(self, payload: Payload, received: int) -> None:
        """Take what was asked for when *received* was true; callbacks hear of it if it is news."""
        with self._lock:
            old = self.payload
            if self.received != received and _is_older(payload, old):
                return  # overtaken by a broadcast
            self._outdated = self._outdated and self.received != received
            self._overtaken_until = time.monotonic() + OVERTAKEN_S
            # A device with coarse time stamps may give one to two values; frames are not compared.
            frame = bulk_codec.is_array(payload.value)
            if payload.time == old.time and (frame or says_nothing_new(payload, old)):
                return
            self.payload = payload
            self._callbacks.deliver(payload)

    def note_peer_lost(self) -> None:
        """Rely on what is known here no longer: whoever wants the value has to ask."""
        with self._lock:
            self._outdated = True

    def prime(self, callback: Callback) -> None:
        """Have *callback* called with the present value, in order with all others."""
        self.current()
        with self._lock:
            self._callbacks.deliver(self.payload, only=callback)

    def set(self, value: Any, *, reply: bool) -> _RemoteSet | None:
        """Ask the daemon to set *value*."""
        if isinstance(value, (bytes, bytearray, memoryview)) or self.description.type == "bulk":
            import numpy as np

            is_bytes = isinstance(value, (bytes, bytearray, memoryview))
            value = np.frombuffer(value, np.uint8) if is_bytes else np.asarray(value)
        elif bulk_codec.is_array(value):
            value = value.tolist()
        extra = origin_fields() if reply else {}
        fields, data = Payload(value, time.time(), **extra).encode()
        flags = 0 if reply else NO_ACK | NO_REP
        sent = self._peer().request(SET, self.full_key, fields, bulk=data, flags=flags)
        # Once it is done the value known here is an old one, and so are broadcasts on their way.
        return _RemoteSet(sent, self.note_peer_lost) if reply else None

    def poll(self, period: float | None) -> None:  # noqa: ARG002
        """Refused: only its daemon polls an item."""
        raise NotSupported(f"{self.full_key} is polled by its daemon alone")

    def publish(self, payload: Payload, *, repeat: bool, must_save: bool = False) -> None:  # noqa: ARG002
        """Refused: only its daemon publishes an item."""
        raise NotSupported(f"{self.full_key} is published by its daemon alone: use set()")

    def hear(self, value: object) -> None:  # noqa: ARG002
        """Refused: only its daemon hears the hardware of an item."""
        raise NotSupported(f"{self.full_key} is published by its daemon alone: use set()")

    def doubt(self, error: BaseException) -> None:
        """Refused: only its daemon knows how good an item's value is."""
        raise NotSupported(f"{self.full_key} is doubted by its daemon alone") from error

    def refresh_and_publish(self, *, repeat: bool) -> None:  # noqa: ARG002
        """Refused: only its daemon reads the hardware of an item."""
        raise NotSupported(f"{self.full_key} is read by its daemon alone: use get(refresh=True)")


class _RemoteSet:
    """A SET that was sent."""

    def __init__(self, reply: Reply, note_done: Callable[[], None]) -> None:
        self._reply = reply
        self._note_done = note_done

    def poll(self) -> bool:
        done = self._reply.poll()
        if done:
            self._note_done()
        return done

    def wait_acknowledged(self) -> None:
        self._reply.wait_acknowledged()

    def wait(self, timeout: float | None = None) -> None:
        try:
            read_reply(self._reply, timeout)
        finally:  # what has failed may have done something all the same
            self._note_done()


def _is_older(payload: Payload, known: Payload) -> bool:
    """Return whether a broadcast may have been sent before what is *known* was true."""
    if known.time is None or payload.time is None:
        return False
    same = payload.time == known.time and payload.quality != known.quality
    return same or payload.time < known.time
