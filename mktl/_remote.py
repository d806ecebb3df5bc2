"""A client's side of an item: what it was told last, and how to ask."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from . import config
from ._asking import GONE_S, is_from_another
from ._local import says_nothing_new
from ._peer import Peer
from ._priming import first_value
from ._remote_set import RemoteSet
from .callbacks import Callback, Callbacks
from .errors import ConnectionLost, MktlError, NotSupported
from .payload import Payload
from .protocol import bulk as bulk_codec
from .protocol.message import NO_ACK, NO_REP, SET
from .requests import origin_fields
from .transport.client import Reply

if TYPE_CHECKING:
    from .description import Description

__all__ = ["Remote"]


class Remote:
    """What a client knows of an item that another process holds.

    Args:
        full_key: ``store.key``.
        describe: Returns the description that is true now.
        peer: Returns the daemon that holds the item.
        callbacks: What to call for each new value.
    """

    authoritative: Literal[False] = False

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
        # Of those, the one that was taken last.
        self._accepted = 0
        # What a GET was answered last, unless a broadcast has come since that is not older: all
        # that follow on that connection are newer. Broadcasts come in their order; it is only the
        # answers that may overtake them, and that their times are compared with.
        self._answer: Payload | None = None
        self._asks_again = False
        self._outdated = False
        # Why nothing is known of it any more, as callbacks were told.
        self._unknown: str | None = None
        self._told: Payload | None = None

    @property
    def description(self) -> Description:
        """The description of the item."""
        return self._describe()

    @property
    def live(self) -> bool:
        """Whether broadcasts keep the value true at this moment. Never waits."""
        peer = self._subscribed_at
        return peer is not None and peer.live and self._unknown is None

    def current(self) -> Payload:
        """Return what is known of the item; nobody is asked where it is known not to be known."""
        peer = self._subscribed_at
        if peer is not None:
            reason = self._unknown or peer.trouble
            if reason is not None:
                return _unknown(self.payload, reason)
        return self.get(refresh=False, timeout=None)

    def get(self, *, refresh: bool, timeout: float | None) -> Payload:
        """Return a payload: from the daemon if asked to, or if broadcasts cannot be relied on."""
        peer = self._peer()
        patience: dict[str, float] = {}
        if not refresh:
            if self._subscribed_at is not peer:
                self._subscribe(peer)
                if self._subscribed_at is peer:
                    return self.payload
            elif peer.live and not self._outdated and self._unknown is None:
                return self.payload
            elif peer.lost is not None:
                # It is known to be gone: a word to see whether it is back has to do.
                patience["ack_timeout_s"] = min(GONE_S, config.answer_timeout_s())
        received = self.received
        payload = self._ask(peer, refresh, timeout, patience)
        self._take(payload, received)
        return payload

    def ask(self, *, refresh: bool, timeout: float | None) -> Payload:
        """Ask the daemon, without subscribing."""
        return self._ask(self._peer(), refresh, timeout, {})

    def _ask(
        self, peer: Peer, refresh: bool, timeout: float | None, patience: dict[str, float]
    ) -> Payload:
        """Ask the daemon; and once more whoever turns out to hold the item in its place."""
        try:
            return peer.get(self.full_key, refresh=refresh, timeout_s=timeout, **patience)
        except MktlError as error:
            other = self.elsewhere(peer, error)
            if other is None:
                raise
        return other.get(self.full_key, refresh=refresh, timeout_s=timeout, **patience)

    def elsewhere(self, peer: Peer, error: MktlError) -> Peer | None:
        """Return whom to ask once more, after an *error* that came from *peer*.

        ``None`` where it is the right one, and has the last word.
        """
        if is_from_another(error) and peer.reconsider():
            return self._peer()
        if isinstance(error, ConnectionLost):
            with contextlib.suppress(MktlError):
                other = self._peer()
                return other if other is not peer else None
        return None

    def subscribe(self) -> None:
        """Have new values delivered from now on, and find out the present one."""
        peer = self._peer()
        if self._subscribed_at is not peer:
            self._subscribe(peer)

    def _subscribe(self, peer: Peer) -> None:
        with self._subscribing:
            if self._subscribed_at is peer:  # somebody else was faster
                return
            received = self.received
            try:
                payload = first_value(peer, self)
            except NotSupported:
                return  # it can be set but not read: broadcasts, if any, are all there is
            self.take_first(payload, received, peer)
        self._note_lost(peer)

    def begin_subscribing(self, peer: Peer) -> bool:
        """Return whether the caller is to subscribe; :meth:`end_subscribing` has to follow then."""
        if self._subscribed_at is peer or not self._subscribing.acquire(blocking=False):
            return False
        if self._subscribed_at is not peer:
            return True
        self._subscribing.release()
        return False

    def end_subscribing(self, peer: Peer) -> None:
        """Let others subscribe, after :meth:`begin_subscribing`."""
        self._subscribing.release()
        if self._subscribed_at is peer:
            self._note_lost(peer)

    def take_first(self, payload: Payload, received: int, peer: Peer) -> None:
        """Take the value that *peer* gave when it was subscribed to, and rely on it from now on."""
        if self._subscribed_at is None and self._unknown is None:
            self._take(payload, received, told=True)
        else:
            self.receive_present(payload, received, known=peer.lost is None)
        # Not before: what was only asked for, or of another daemon, nobody keeps true.
        self._move_to(peer)

    def _note_lost(self, peer: Peer) -> None:
        if peer.lost is not None:
            self.note_gone(peer.lost)

    def attach(self, peer: Peer) -> None:
        """Be kept true by *peer* from now on, which is about to ask for the present value."""
        with self._lock:
            self._outdated = True
            self._answer = None
        self._move_to(peer)

    def _move_to(self, peer: Peer) -> None:
        before, self._subscribed_at = self._subscribed_at, peer
        if before is not None and before is not peer:
            before.release(self)

    def is_subscribed_elsewhere(self, uuid: str) -> bool:
        """Return whether another daemon than *uuid* is to keep it true."""
        peer = self._subscribed_at
        return peer is not None and peer.block.uuid != uuid

    # What comes in. Each of these may be called by any thread.

    def _take(self, payload: Payload, received: int, *, told: bool = False) -> None:
        """Take the answer to a GET, unless a broadcast came in since *received*.

        Which of the two is older is not known then: an outdated value stays outdated.
        """
        with self._lock:
            if self.received == received:
                self._note_answer(payload)
                self._outdated = False
                if told:
                    self._told = payload

    def _note_answer(self, payload: Payload) -> None:
        old, self.payload = self.payload, payload
        if self._answer is not None or not _is_same(payload, old):
            self._answer = payload

    def _tell(self, payload: Payload) -> None:
        self._told = payload
        self._callbacks.deliver(payload)

    def receive(self, payload: Payload) -> bool:
        """Take a broadcast. They come in the order in which they were sent.

        Returns:
            Whether it was left out as an older one, and :meth:`ask_again` is to be called.
        """
        with self._lock:
            self.received += 1
            answer, self._answer = self._answer, None
            if answer is not None and _is_older(payload, answer):
                # Either the answer to a GET has overtaken it, or the daemon's clock was set back.
                self._answer = answer
                self._outdated = True
                first, self._asks_again = not self._asks_again, True
                return first
            self.payload, self._accepted = payload, self.received
            # What is heard of a daemon that counts as gone may have been on its way for long:
            # callbacks are told of the present value when that is known.
            if self._unknown is None and not (answer is not None and self._is_told(payload)):
                self._tell(payload)
            return False

    def _is_told(self, payload: Payload) -> bool:
        """Return whether callbacks have heard of just this, as the answer to a GET."""
        told = self._told
        return told is not None and not bulk_codec.is_array(told.value) and _is_same(payload, told)

    def ask_again(self, peer: Peer) -> None:
        """See to it that a broadcast that was left out was indeed an older one."""
        self._asks_again = False
        received = self.received
        try:
            patience_s = config.answer_timeout_s()
            payload = peer.get(self.full_key, refresh=False, timeout_s=patience_s)
        except MktlError:  # who wants to know the value has to ask; broadcasts are all there is
            with self._lock:
                self._answer = None
        else:
            self.receive_present(payload, received, known=self._unknown is None)

    def receive_present(self, payload: Payload, received: int, *, known: bool = True) -> None:
        """Take what was asked for when *received* was true; callbacks hear of it if it is news.

        Args:
            payload: The answer.
            received: How many broadcasts had come when it was asked for.
            known: Whether broadcasts keep it true from now on; if not, and it counts as unknown,
                it goes on doing so.
        """
        with self._lock:
            overtaken = self._accepted > received and _is_older(payload, self.payload)
            if not overtaken:
                self._outdated = self._outdated and self.received != received
                self._note_answer(payload)
            was_unknown = self._unknown is not None
            if known:
                self._unknown = None
            if self._unknown is not None:
                return
            # Frames are not compared.
            told, present = self._told, self.payload
            if was_unknown or told is None or not _is_same(present, told):
                self._tell(present)

    def note_gone(self, reason: str) -> None:
        """Tell callbacks, once, that the value is not known any more, as its daemon is gone."""
        with self._lock:
            if self._unknown is None:
                self._unknown = reason
                self._tell(_unknown(self.payload, reason))

    def note_unknown(self, error: MktlError | None, *, known: bool) -> None:
        """Take note that the daemon is there, but does not say what this one is.

        Args:
            error: Why; ``None`` if it is one that cannot be read.
            known: Whether broadcasts come in from now on.
        """
        with self._lock:
            self._outdated = True
            if known:
                self._unknown = None
                if error is not None:
                    self._tell(_unknown(self.payload, str(error), type(error).__name__))

    def note_peer_lost(self) -> None:
        """Rely on what is known here no longer: whoever wants the value has to ask."""
        with self._lock:
            self._outdated = True

    def prime(self, callback: Callback) -> None:
        """Have *callback* called with the present value, in order with all others."""
        self.current()
        with self._lock:
            payload = self.payload
            if self._unknown is not None:
                payload = _unknown(payload, self._unknown)
            self._callbacks.deliver(payload, only=callback)

    def set(self, value: Any, *, reply: bool) -> RemoteSet | None:
        """Ask the daemon to set *value*."""
        if isinstance(value, (bytes, bytearray, memoryview)) or self.description.type == "bulk":
            import numpy as np

            is_bytes = isinstance(value, (bytes, bytearray, memoryview))
            value = np.frombuffer(value, np.uint8) if is_bytes else np.asarray(value)
        elif bulk_codec.is_array(value):
            value = value.tolist()
        origin = origin_fields() if reply else {}
        fields, data = Payload.of_set(value, origin)
        flags = 0 if reply else NO_ACK | NO_REP

        def send(peer: Peer) -> Reply:
            return peer.request(SET, self.full_key, fields, bulk=data, flags=flags)

        peer = self._peer()
        try:
            sent = send(peer)
        except ConnectionLost:  # it was found to have another identity just now
            other = self._peer()
            if other is peer:
                raise
            peer, sent = other, send(other)
        return RemoteSet(self, peer, sent, send) if reply else None

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


def _unknown(payload: Payload, reason: str, error_class: str = "NoAnswer") -> Payload:
    """Return *payload* as one that nobody vouches for any more."""
    return payload.having(quality="invalid", reason=reason, error_class=error_class)


def _is_older(payload: Payload, answer: Payload) -> bool:
    """Return whether a broadcast may have been sent before what was answered was true."""
    if answer.time is None or payload.time is None:
        return False
    same = payload.time == answer.time and payload.quality != answer.quality
    return same or payload.time < answer.time


def _is_same(payload: Payload, old: Payload) -> bool:
    """Return whether both say the same; of frames, whether they were taken at the same time."""
    if payload.time != old.time:
        return False
    if bulk_codec.is_array(payload.value):
        return (payload.quality, payload.reason) == (old.quality, old.reason)
    return says_nothing_new(payload, old)
