"""A client's side of one daemon: its broadcasts, and the items that are subscribed there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from . import config
from ._asking import Asking, is_ours
from ._heartbeat import Finding, Heartbeat
from ._log import Log
from ._ratelimit import RateLimitedLog
from ._reading import present_values
from .errors import Busy, ConnectionLost, MktlError, NoAnswer
from .payload import Payload
from .protocol.message import Broadcast, topic
from .protocol.names import join
from .trust import key_for

if TYPE_CHECKING:
    from ._process import Process
    from ._remote import Remote
    from .catalog import Block
    from .transport.subscriber import Listener

__all__ = ["Peer"]

_log = Log(__name__)
_trouble = RateLimitedLog(_log)

SETTLE_S = 0.25
"""How long a new connection may take until the daemon confirms the subscriptions. Daemons of
others never do: after this, their subscriptions are taken to be in force until their clock tells
that they are. Where either comes later than that, all values are asked for once more."""
SETTLE_OF_OTHERS_S = 0.02
"""The same for more subscriptions on a connection to a daemon that does not confirm."""
CATCH_UP_AGAIN_S = (0.1, 5.0)
"""How soon to ask again for what was missed, where the daemon does not answer: first, at most."""


class Peer(Asking):
    """One daemon.

    Args:
        block: What it said about itself.
        process: What this process has once.
        renewed: Called when the daemon turned out to have another block now.
    """

    def __init__(self, block: Block, process: Process, renewed: Callable[[Block], None]) -> None:
        super().__init__(block, renewed)
        self._process = process
        self._listener: Listener | None = None
        self._subscribed: dict[str, Remote] = {}
        self._subscribing = threading.RLock()
        self._connected = threading.Event()
        self._broken = False
        self.confirms: bool | None = is_ours(block) or None
        """Whether it confirms subscriptions, as ours do; ``None`` until that is known."""
        self._confirmed_late = False
        # What is set when all that is subscribed on this connection is in force; None if that has
        # not been asked for yet.
        self._proof: threading.Event | None = None
        # Each time that broadcasts may have been missed, a new object; the last one that was
        # caught up with.
        self._gap = self._caught_up_with = object()
        self._catch_up_waits = False
        self._searching = False
        self._heartbeat = Heartbeat(config.silence_s())
        self._clock_key = ""
        # Held while it is told of all items that they are good, or that they are not.
        self._judging = threading.Lock()
        self._lost: str | None = None

    def move(self, block: Block) -> None:
        """Go on at the address that *block* gives."""
        _log.info("%s has moved to %s", block.name, block.daemon)
        # Nobody may subscribe in between, on the connection that is being closed.
        with self._subscribing:
            self._disconnect(block)
            if self._subscribed:
                listener = self._broadcasts()
                listener.subscribe_all(map(topic, self._subscribed))
                self._watch_clock(listener)

    # Broadcasts.

    @property
    def live(self) -> bool:
        """Whether subscribed items are kept true by broadcasts at this moment."""
        return self._connected.is_set() and self._gap is self._caught_up_with

    @property
    def lost(self) -> str | None:
        """Why nothing of its items is known any more; ``None`` if it is, or will soon be."""
        return self._lost

    @property
    def trouble(self) -> str | None:
        """Why nothing is heard at this moment, even if that may be over soon."""
        if self._lost is not None or not self._broken:
            return self._lost
        return self._heartbeat.reason(Finding.BROKEN, self.block.name)

    def subscribe(self, remotes: Iterable[Remote]) -> None:
        """Subscribe to *remotes*, and return when that is in force, or :attr:`live` is false."""
        if self.begin(remotes):
            self.confirm()

    def begin(self, remotes: Iterable[Remote]) -> bool:
        """Subscribe to *remotes*; return whether that has to be followed by :meth:`confirm`."""
        with self._subscribing:
            new = [remote for remote in remotes if remote.full_key not in self._subscribed]
            if not new:
                return False
            listener = self._broadcasts()
            listener.subscribe_all(topic(remote.full_key) for remote in new)
            self._subscribed.update({remote.full_key: remote for remote in new})
            self._watch_clock(listener)
            self._proof = None
            return True

    def confirm(self) -> None:
        """Return when all that was subscribed is in force, or when there is no telling."""
        with self._lock:
            listener = self._listener
        if listener is None or not self._confirm(listener):
            self._gap = object()
            if self._connected.is_set():
                self._start_to_catch_up()

    def subscribe_marked(self, remote: Remote) -> bytes | None:
        """Subscribe to *remote*; return a mark by which the daemon can tell that, if it can."""
        if not (self.confirms and self._connected.is_set()):
            return None
        with self._subscribing:
            if remote.full_key in self._subscribed:
                return None
            mark = self._broadcasts().subscribe_marked(topic(remote.full_key))
            self._subscribed[remote.full_key] = remote
            self._proof = None
            return mark

    def adopt(self, remotes: Iterable[Remote]) -> None:
        """Go on with *remotes*, which were subscribed at another daemon; return at once.

        Their callbacks hear of them when this daemon has answered.
        """
        self.begin(remotes)
        for remote in remotes:
            remote.attach(self)
        self._note_lost()

    def release(self, remote: Remote) -> None:
        """Deliver nothing to *remote* any more, as another daemon keeps it true."""
        with self._subscribing:
            if self._subscribed.get(remote.full_key) is remote:
                del self._subscribed[remote.full_key]

    def subscribed(self) -> list[Remote]:
        """Return what is subscribed here."""
        # In one step: others may subscribe to more meanwhile.
        return list(self._subscribed.values())

    def _watch_clock(self, listener: Listener) -> None:
        """After the items, so that what is heard of the clock tells of their subscriptions, too."""
        self._clock_key = join(self.block.store, f"_{self.block.alias}clk")
        listener.watch_clock(topic(self._clock_key))

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
            if not proof.wait(self._settle_s()):
                self._confirmed_late = True
                if not proof.is_set():
                    if self.confirms:
                        return False  # it will, some time
                    self.confirms = False
        except ConnectionLost:  # closed meanwhile: the next connection begins from the start
            return False
        return self._connected.is_set()

    def _settle_s(self) -> float:
        if self.confirms is None:
            return SETTLE_S
        # One that does will do so, even if it has much to do.
        return 4 * SETTLE_S if self.confirms else SETTLE_OF_OTHERS_S

    def _note_confirmed(self, by_itself: bool) -> None:
        """On the reader's thread: subscriptions are in force, perhaps later than was thought."""
        self._heartbeat.heard = True
        if by_itself:
            self.confirms = True
        if self._confirmed_late:
            self._confirmed_late = False
            self._note_lost()

    def _note_lost(self) -> None:
        """Broadcasts were lost, although the connection is up."""
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
                    listened=self._note_listened,
                    server_key=key_for(self.block),
                )
                self._process.reader().add(self._listener)
            return self._listener

    def _deliver(self, broadcast: Broadcast) -> None:
        self._heartbeat.heard = True
        if broadcast.target == self._clock_key:
            self._heartbeat.beats = True
        remote = self._subscribed.get(broadcast.target)
        if remote is None:
            return
        if remote.receive(Payload.from_wire(broadcast.payload, broadcast.bulk)):
            self.later(lambda: remote.ask_again(self))

    def _note_connection(self, up: bool) -> None:
        """On the reader's thread: after a break, have somebody else find out what was missed."""
        self._proof = None
        if not up:
            self._gap = object()
            self._broken = True
            with self._lock:
                self._connected.clear()
                search, self._searching = not self._searching, True
            if search:
                self._process.lanes().submit(("search", self), self._search_while_gone)
            return
        self._heartbeat.begin()
        self._heartbeat.heard = True
        self._broken = False
        self._connected.set()
        if self._gap is not self._caught_up_with:
            self._start_to_catch_up()

    # Whether it is there.

    def _note_listened(self, listened_s: float, held_up: bool) -> None:
        """On the reader's thread: take note of how long nothing was heard, if nothing was."""
        if held_up:
            self._note_lost()
            return
        heard, connected = self._heartbeat.heard, self._connected.is_set()
        finding = self._heartbeat.look(listened_s, connected=connected, caught_up=self.live)
        if finding is Finding.UNSURE:
            self._process.lanes().submit(("ask", self), self._ask_whether_it_is_there)
        elif finding is not Finding.FINE and self._lost is None:
            self._lose(self._heartbeat.reason(finding, self.block.name))
        elif heard and connected and self._lost is not None:
            self._start_to_catch_up()

    def _ask_whether_it_is_there(self) -> None:
        """Ask a daemon that is silent, and does not broadcast its clock."""
        try:
            self.check_presence()
        except MktlError as error:
            _log.debug("%s is silent: %s", self.block.name, error)
            self._heartbeat.unanswered = True
        else:
            self._heartbeat.heard = True

    def _lose(self, reason: str) -> None:
        """Tell all who subscribed that the items are not known any more."""
        _log.info("%s: %s", self.block.name, reason)
        with self._judging:
            self._gap = object()
            self._lost = reason
            for remote in self.subscribed():
                remote.note_gone(reason)

    def _search_while_gone(self) -> None:
        """Look for a daemon that does not return to where it was, as nobody may ask it anything."""
        self._closed.wait(1.0)
        with self._lock:  # a break that is noted now finds that nobody searches any more
            if self._closed.is_set() or self._connected.is_set():
                self._searching = False
                return
            listener = self._listener
        self._look_elsewhere(listener)
        # No loop: where many are gone, these would hold all threads, and callbacks need some, too.
        self._process.lanes().submit(("search", self), self._search_while_gone)

    def _look_elsewhere(self, listener: Listener | None) -> None:
        try:
            if listener is not None and listener.try_again() and self.take_other_key():
                return
            self._find_again()
        except MktlError as error:  # whoever asks for a value is told
            _log.debug("%s was looked for: %s", self.block.name, error)
        except Exception as error:  # no descriptor is free, say: there is a next time
            _trouble.warning("%s could not be looked for: %s", self.block.name, error)

    # What was missed.

    def _start_to_catch_up(self) -> None:
        if not self._catch_up_waits:
            self._catch_up_waits = True
            self.later(self._catch_up)

    def later(self, job: Callable[[], object]) -> None:
        """Do what may take long on another thread, after all that was given earlier."""
        self._process.lanes().submit(self, job)

    def _catch_up(self) -> None:
        """Ask for the present values after a break; until that is done, nothing is live."""
        self._catch_up_waits = False
        pause_s, longest_s = CATCH_UP_AGAIN_S
        while not self.live and not self._closed.is_set():
            gap = self._gap
            with self._lock:
                listener = self._listener
            try:
                if listener is None or not self._confirm(listener):
                    return  # the next connection, or the confirmation, brings us back here
                self._read_block()
                if self._read_all(gap):
                    continue
            except MktlError as error:
                _log.debug("values of %s are not caught up with: %s", self.block.name, error)
            self._closed.wait(pause_s)
            pause_s = min(2 * pause_s, longest_s)

    def _read_block(self) -> None:
        """A daemon that was restarted may hold other items, in other units, than before."""
        renewed = self.identify(config.answer_timeout_s())
        if renewed is None:
            if not self.find_successor_here():
                self._find_again()
            raise NoAnswer(f"another daemon answers where {self.block.name} was")
        if renewed is not self.block:
            self._renewed(renewed)

    def _read_all(self, gap: object) -> bool:
        """Ask for all values; return whether what was missed in *gap* is known then."""
        answers = present_values(self, self.subscribed())
        busy = False
        with self._judging:
            known = self._connected.is_set() and gap is self._gap
            for remote, received, answer in answers:
                if isinstance(answer, Payload):
                    remote.receive_present(answer, received, known=known)
                elif isinstance(answer, Busy):
                    busy = True
                else:
                    remote.note_unknown(answer, known=known)
            if known and not busy:
                self._caught_up_with = gap
                self._lost = None
        return known and not busy

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
            self._heartbeat.begin()
            client, self._client = self._client, None
            listener, self._listener = self._listener, None
        if listener is not None:
            self._process.reader().remove(listener)
            listener.close()
        if client is not None:
            client.close()
