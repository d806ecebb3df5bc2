"""A client's side of one daemon: its connections, and the items that are subscribed there."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import config, directory
from .errors import (
    ConnectionLost,
    MktlError,
    NoAnswer,
    NotConnected,
    NotSupported,
)
from .payload import Payload
from .protocol.message import GET, Broadcast, encode_json, topic
from .protocol.names import join
from .replies import read_reply, read_response
from .transport.client import Reply, RequestClient

if TYPE_CHECKING:
    from ._process import Process
    from ._remote import Remote
    from .catalog import Block
    from .transport.subscriber import Listener

__all__ = ["Peer"]

_log = logging.getLogger(__name__)

REFRESH = encode_json({"refresh": True})

SETTLE_S = 0.25
"""How long a new connection may take until the daemon confirms the subscriptions. Daemons of
others never do: after this, their subscriptions are taken to be in force until their clock tells
that they are. Where either comes later than that, all values are asked for once more."""
SETTLE_OF_OTHERS_S = 0.02
"""The same for more subscriptions on a connection to a daemon that does not confirm."""
GONE_S = 0.25
"""How long to wait for a daemon that has just been waited for in vain."""
SEARCH_EVERY_S = 10.0
"""How often at most to look for a daemon that does not answer where it was."""
CATCH_UP_AGAIN_S = (0.1, 5.0)
"""How soon to ask again for what was missed, where the daemon does not answer: first, at most."""


class Peer:
    """One daemon.

    Args:
        block: What it said about itself.
        process: What this process has once.
        renewed: Called when the daemon turned out to have another block now.
    """

    def __init__(self, block: Block, process: Process, renewed: Callable[[Block], None]) -> None:
        self.block = block
        self._process = process
        self._renewed = renewed
        self._lock = threading.Lock()
        self._client: RequestClient | None = None
        self._listener: Listener | None = None
        self._subscribed: dict[str, Remote] = {}
        self._subscribing = threading.RLock()
        self._connected = threading.Event()
        self._closed = threading.Event()
        self._confirms: bool | None = None
        self._confirmed_late = False
        # What is set when all that is subscribed on this connection is in force; None if that has
        # not been asked for yet.
        self._proof: threading.Event | None = None
        # Each time that broadcasts may have been missed, a new object; the last one that was
        # caught up with.
        self._gap = self._caught_up_with = object()
        self._next_search = 0.0
        self._searching = False
        self._gone = False

    # Requests.

    def _requests(self) -> RequestClient:
        with self._lock:
            self._check_open()
            if self._client is None:
                origin = self.block.daemon
                if origin is None:
                    raise NoAnswer(f"it is not known where the daemon {self.block.name} is")
                self._client = RequestClient(origin.hostname, origin.rep, name=self.block.name)
            return self._client

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise ConnectionLost(f"the connection to {self.block.name} was closed")

    def request(self, kind: bytes, target: str, payload: bytes = b"", **options: Any) -> Reply:
        """Send a request; see :meth:`mktl.transport.client.RequestClient.request`.

        Where there is no connection, registries are asked whether the daemon has moved.
        """
        if self._gone:
            # It was waited for a moment ago, in vain: a word to see whether it is back has to do.
            self._gone = False
            options.setdefault("ack_timeout_s", min(GONE_S, config.answer_timeout_s()))
        try:
            return self._requests().request(kind, target, payload, **options)
        except NotConnected:
            if not self._find_again():
                raise
            return self._requests().request(kind, target, payload, **options)

    def note_gone(self) -> None:
        """Take note that the daemon was waited for, and looked for elsewhere, in vain."""
        self._gone = True
        self.note_search()

    def verify(self, timeout_s: float) -> Block | None:
        """Ask the daemon whether its block is still true: :func:`mktl.directory.verify_with`."""
        if self.block.daemon is None:
            return None
        return directory.verify_with(self._requests(), self.block, timeout_s=timeout_s)

    def _find_again(self) -> bool:
        """Return whether the daemon turned out to be elsewhere. Done seldom: it takes long."""
        if time.monotonic() < self._next_search:
            return False
        self.note_search()
        try:
            found = directory.find(self.block.store, at=None, timeout_s=config.answer_timeout_s())
        except MktlError:
            return False
        for block in found:
            if block.uuid == self.block.uuid and block.daemon not in (None, self.block.daemon):
                self.move(block)
                directory.remember(block.store, [block])
                return True
        return False

    def note_search(self) -> None:
        """Take note that somebody has just looked for the daemon."""
        self._next_search = time.monotonic() + SEARCH_EVERY_S

    def move(self, block: Block) -> None:
        """Go on at the address that *block* gives."""
        _log.info("%s has moved to %s", block.name, block.daemon)
        # Nobody may subscribe in between, on the connection that is being closed.
        with self._subscribing:
            self._disconnect(block)
            if self._subscribed:
                listener = self._broadcasts()
                for full_key in self._subscribed:
                    listener.subscribe(topic(full_key))

    def ask(self, full_key: str, *, refresh: bool) -> Reply:
        """Send a GET."""
        return self.request(GET, full_key, REFRESH if refresh else b"")

    def get(self, full_key: str, *, refresh: bool, timeout_s: float | None) -> Payload:
        """Return what the daemon answers to a GET; asked a second time if the connection breaks."""
        try:
            return read_reply(self.ask(full_key, refresh=refresh), timeout_s)
        except ConnectionLost:
            return read_reply(self.ask(full_key, refresh=refresh), timeout_s)

    # Broadcasts.

    @property
    def live(self) -> bool:
        """Whether subscribed items are kept true by broadcasts at this moment."""
        return self._connected.is_set() and self._gap is self._caught_up_with

    def subscribe(self, remotes: Iterable[Remote]) -> None:
        """Have broadcasts of *remotes* delivered; return when their subscriptions are in force.

        It also returns when there is no connection for broadcasts; then :attr:`live` is false.
        """
        with self._subscribing:
            new = [remote for remote in remotes if remote.full_key not in self._subscribed]
            if not new:
                return
            listener = self._broadcasts()
            for remote in new:
                listener.subscribe(topic(remote.full_key))
                # A new table each time: others go through the one that they have found.
                self._subscribed = {**self._subscribed, remote.full_key: remote}
            self._proof = None
        if not self._confirm(listener):
            self._gap = object()
            if self._connected.is_set():
                self._start_to_catch_up()

    def _confirm(self, listener: Listener) -> bool:
        """Return whether the subscriptions are in force, as far as can be known."""
        # Not before there is a connection: on a new one, ZeroMQ makes all subscriptions again, in
        # an order of its own.
        if not self._connected.wait(SETTLE_S):
            return False
        try:
            with self._subscribing:
                proof = self._proof
                if proof is None:
                    proof = self._proof = listener.confirm()
            if not proof.wait(SETTLE_OF_OTHERS_S if self._confirms is False else SETTLE_S):
                self._confirmed_late = True
                if not proof.is_set():
                    if self._confirms:
                        return False  # it will, some time
                    self._confirms = False
                    listener.watch_clock(topic(self._clock))
        except ConnectionLost:  # closed meanwhile: the next connection begins from the start
            return False
        return self._connected.is_set()

    @property
    def _clock(self) -> str:
        """What the daemon broadcasts each second."""
        return join(self.block.store, f"_{self.block.alias}clk")

    def _note_confirmed(self, by_itself: bool) -> None:
        """On the reader's thread: subscriptions are in force, perhaps later than was thought."""
        if by_itself:
            self._confirms = True
        if self._confirmed_late:
            self._confirmed_late = False
            self._note_lost()

    def _note_lost(self) -> None:
        """On the reader's thread: broadcasts were lost, although the connection is up."""
        self._gap = object()
        self._start_to_catch_up()

    def _broadcasts(self) -> Listener:
        from .transport.subscriber import Listener

        with self._lock:
            self._check_open()
            if self._listener is None:
                origin = self.block.daemon
                if origin is None or origin.pub is None:
                    raise NoAnswer(f"it is not known where the daemon {self.block.name} is")
                self._listener = Listener(
                    origin.hostname,
                    origin.pub,
                    deliver=self._deliver,
                    in_force=self._note_confirmed,
                    lost=self._note_lost,
                    connection=self._note_connection,
                )
                self._process.reader().add(self._listener)
            return self._listener

    def _deliver(self, broadcast: Broadcast) -> None:
        remote = self._subscribed.get(broadcast.target)
        if remote is None:
            return
        if remote.receive(Payload.from_wire(broadcast.payload, broadcast.bulk)):
            self.later(lambda: remote.ask_again(self))

    def _note_connection(self, up: bool) -> None:
        """On the reader's thread: after a break, have somebody else find out what was missed."""
        if not up:
            self._proof = None
            self._gap = object()
            with self._lock:
                self._connected.clear()
                search, self._searching = not self._searching, True
            if search:
                self._process.lanes().submit(("search", self), self._search_while_gone)
            return
        self._proof = None
        self._connected.set()
        if self._gap is not self._caught_up_with:
            self._start_to_catch_up()

    def _search_while_gone(self) -> None:
        """Look for a daemon that does not return to where it was, as nobody may ask it anything."""
        try:
            while True:
                self._closed.wait(1.0)
                with self._lock:  # a break that is noted now finds that nobody searches any more
                    if self._closed.is_set() or self._connected.is_set():
                        self._searching = False
                        return
                self._find_again()
        except BaseException:
            self._searching = False
            raise

    def _start_to_catch_up(self) -> None:
        self.later(self._catch_up)

    def later(self, job: Callable[[], object]) -> None:
        """Do what may take long on another thread, after all that was given here earlier."""
        self._process.lanes().submit(self, job)

    def _catch_up(self) -> None:
        """Ask for the present values after a break; until that is done, nothing is live."""
        pause_s, longest_s = CATCH_UP_AGAIN_S
        while not self.live and not self._closed.is_set():
            gap = self._gap
            with self._lock:
                listener = self._listener
            try:
                if listener is None or not self._confirm(listener):
                    return  # the next connection, or the confirmation, brings us back here
                self._read_block()
                self._read_all()
            except MktlError as error:
                _log.debug("values of %s are not caught up with: %s", self.block.name, error)
            else:
                self._caught_up_with = gap
                continue
            self._closed.wait(pause_s)
            pause_s = min(2 * pause_s, longest_s)

    def _read_block(self) -> None:
        """A daemon that was restarted may hold other items, in other units, than before."""
        renewed = self.verify(config.answer_timeout_s())
        if renewed is None:
            # Another daemon may answer where this one was.
            self._find_again()
            raise NoAnswer(f"{self.block.name} does not say what its items are")
        if renewed is not self.block:
            self._renewed(renewed)

    def _read_all(self) -> None:
        remotes = list(self._subscribed.values())
        asked = [
            (remote, remote.received, self.request(GET, remote.full_key)) for remote in remotes
        ]
        for remote, received, reply in asked:
            response = reply.wait()
            try:
                remote.receive_present(read_response(response), received)
            except NotSupported:
                pass  # it can be set, but not read
            except MktlError:  # of this item alone: who wants to know its value has to ask
                remote.note_peer_lost()

    def close(self) -> None:
        """Close both connections for good."""
        with self._lock:
            self._closed.set()
        self._disconnect()

    def _disconnect(self, moved_to: Block | None = None) -> None:
        with self._lock:
            if moved_to is not None:
                self.block = moved_to
            self._proof = None
            self._gap = object()
            self._connected.clear()
            client, self._client = self._client, None
            listener, self._listener = self._listener, None
        if listener is not None:
            self._process.reader().remove(listener)
            listener.close()
        if client is not None:
            client.close()
