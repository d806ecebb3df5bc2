"""A line: one connection with turns, kept up by a thread of its own.

The contract, in short: one turn at a time, the most urgent first; after anything doubtful the line
is put back in step before the next message; while it is down, turns fail at once.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from drivers._outcome import after_telling
from drivers.connection import Connection
from drivers.exchanged import Exchanged
from drivers.framing.base import SaidAbsent
from drivers.hearing import Hearing
from drivers.identity import IdentityCheck, Synchroniser
from drivers.keeper import Keeper
from drivers.ports.base import Port
from drivers.settings import LineSettings
from drivers.turns import Turns
from mktl.controllers import TurnKind
from mktl.errors import DeviceError, DeviceLost, DeviceTimeout, LinkDown, ProtocolMismatch

__all__ = ["Line"]

_log = logging.getLogger(__name__)
_LISTEN_S = 0.05

Known = TypeVar("Known")


class Line(Keeper[Connection]):
    """Exchanges of bytes with one device, from any number of threads."""

    def __init__(
        self,
        port: Port,
        settings: LineSettings | None = None,
        *,
        name: str = "line",
        on_connect: Callable[[], None] | None = None,
        heard: Callable[[str], None] | None = None,
        synchroniser: Synchroniser | None = None,
        start_stream: Callable[[], None] | None = None,
    ) -> None:
        """Note what to connect to; nothing is opened before :meth:`start` or the first turn.

        Args:
            port: Where to; a new one like it is made for each attempt.
            settings: Timing and framing.
            name: What error texts and logs call it.
            on_connect: Called in the line's own thread, in a turn, after the identity was found
                right and before the link counts as up; may exchange. If it raises, the attempt
                has failed.
            heard: Gets each line that looks like one of ``settings.unsolicited``, from the thread
                that has read it; none before the identity was found right.
            synchroniser: Finds out who answers; by default with ``settings.identity``.
            start_stream: With ``settings.stream``, has the device speak by itself; called in the
                line's own thread, in a turn, whenever the line was left.
        """
        super().__init__(name, settings or LineSettings())
        self._port = port
        self._on_connect = on_connect or (lambda: None)
        self._hearing = Hearing(heard or (lambda _: None))
        self._start_stream = start_stream or (lambda: None)
        self._turns = Turns()
        self._connection: Connection | None = None
        self._of_turn: Connection | None = None
        self._identity = synchroniser or IdentityCheck(self.settings)
        self.trace: Callable[[Exchanged], None] | None = None
        """Called after each exchange, from the thread that made it; it must be quick."""

    @property
    def url(self) -> str:
        """Where it leads, in full."""
        return self._port.url

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the wire; 0 where it does not matter."""
        return self._port.char_s

    @property
    def label(self) -> str:
        """Name and URL, as error texts show them."""
        return f"{self.name} at {self._port.url}"

    def prioritised(self, kind: TurnKind) -> contextlib.AbstractContextManager[None]:
        """Return a context in which this thread's turns have the priority of *kind*.

        Without one they have that of a refresh.
        """
        return self._turns.prioritised(kind)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the line for several exchanges; may be nested.

        The wait for the turn is bounded by ``wait_s`` and does not count into the deadline of an
        exchange. A ProtocolMismatch that leaves the context makes the line suspect.

        Raises:
            LinkDown: the link is not up, or goes down while waiting; nothing was sent.
            DeviceTimeout: the turn did not come in time; nothing was sent.
        """
        self._start_if_new()
        try:
            with self._turns.turn(wait_s=self.settings.wait_s, check=self._check) as outermost:
                if outermost:
                    self._of_turn = self._connection
                    if self._of_turn is not None:
                        self._of_turn.leave()
                try:
                    yield
                except ProtocolMismatch as error:
                    self._doubt(str(error))
                    raise
        except DeviceError as error:
            self._note(error)
            raise

    def exchange(
        self,
        message: bytes,
        *,
        timeout_s: float | None = None,
        reply: bool = True,
        lines: int = 1,
        query: bool = False,
    ) -> bytes:
        """Send *message* in a turn and return the reply, without its terminator.

        Args:
            message: Complete with its terminator.
            timeout_s: One deadline for writing and for reading to the end of the reply; pacing
                and the wait for the turn come before it.
            reply: Whether one is due; without, the result is empty.
            lines: How many lines it has, each with a terminator; only that of the last one is
                taken off.
            query: Whether *message* changes nothing. Else, an error of this exchange and of later
                ones in the same turn says that what was told may have been carried out.

        Raises:
            LinkDown: the link is not up; nothing was sent.
            DeviceTimeout: no complete reply in time; the line is put back in step before anything
                else is sent.
            DeviceLost: the connection broke; the message may or may not have arrived.
            ProtocolMismatch: more than one reply came back, or one without an end.
        """
        timeout_s = self.settings.timeout_s if timeout_s is None else timeout_s
        with self.turn():
            with after_telling(self.has_told):
                connection = self.make_ready()
            connection.told, begin = connection.told or not query, time.monotonic()
            try:
                answer = connection.exchange(message, begin + timeout_s, reply=reply, lines=lines)
            except DeviceError as error:
                self._tell(message, None, str(error), begin)
                raise self._failure(connection, error, message, timeout_s) from error
            self._meter.exchanged(begin, time.monotonic(), connection.ready_at)
            self._tell(message, answer if reply else None, "", begin)
            return answer

    def has_told(self) -> bool:
        """Whether anything was sent in this thread's turn that may have changed something."""
        return self._turns.mine and self._of_turn is not None and self._of_turn.told

    def learn(self, settings: LineSettings) -> None:
        """Take over which lines come unasked, and after what to be silent, from *settings*."""
        with self._lock:
            ours = self.settings
            unsolicited = _united(ours.unsolicited, settings.unsolicited)
            settle_after = _united(ours.settle_after, settings.settle_after)
            if (unsolicited, settle_after) == (ours.unsolicited, ours.settle_after):
                return
            self.settings = replace(ours, unsolicited=unsolicited, settle_after=settle_after)
        # A connection knows what it was made with.
        self.reconnect("it is to know of more messages than before")

    def put_in_step(self) -> None:
        """See to it that nothing that was asked can still be answered; raise LinkDown if it can."""
        with self.turn():
            self.make_ready()

    def reconnect(self, reason: str, *, quietly: bool = False) -> None:
        """Give up the present connection and make a new one; *quietly*: log nothing of it."""
        connection = self._connection
        if connection is not None:
            self._lose(connection, reason, quietly=quietly)

    def stream_ended(self) -> None:
        """Note that the device speaks no more, though nothing was sent: it is told to again."""
        connection = self._connection
        if connection is not None:
            connection.speaks = False

    def _tell(self, message: bytes, answer: bytes | None, error: str, begin: float) -> None:
        if self.trace is not None:
            self.trace(Exchanged(message, answer, error, time.monotonic() - begin))

    def _let_go(self, reason: str) -> None:
        with self._lock:  # one that is just being made either is seen here, or sees why not
            connection = self._connection
        if connection is not None:
            self._lose(connection, reason)
        self._turns.wake()

    def _own_thread_connects(self) -> bool:
        return self._connection is not None and threading.current_thread() is self._thread

    def make_ready(self) -> Connection:
        """Return the connection of this thread's turn: rested, empty and in step.

        Raises:
            LinkDown: the link is not up, or went down within the turn.
        """
        self._check()
        connection = self._of_turn
        if connection is None or connection is not self._connection:
            raise LinkDown(
                f"{self.label}: the connection was lost and made anew within this turn; "
                f"nothing more was sent"
            )
        try:
            connection.pause()
            stale = connection.discard()
        except DeviceLost as error:
            self._lose(connection, str(error))
            raise LinkDown(self._link.why_not()) from error
        except ProtocolMismatch as error:
            stale, connection.suspect = b"", str(error)
        if stale and not connection.suspect:
            connection.suspect = f"{stale[-40:]!r} came unasked"
        if connection.suspect:
            self._resynchronise(connection)
            connection.pause()
        self._have_it_listen(connection)
        return connection

    def _have_it_listen(self, connection: Connection) -> None:
        try:
            connection.wake()
        except DeviceError as error:
            self._lose(connection, str(error))
            raise LinkDown(self._link.why_not()) from error

    def _resynchronise(self, connection: Connection) -> None:
        why = connection.suspect
        try:
            told = self._identity.resynchronise(connection)
        except DeviceError as error:
            self._lose(connection, f"{why}; after that, {error}")
            raise LinkDown(self._link.why_not()) from error
        if told:
            _log.warning("%s: %s (%s)", self.label, told, why)
            self._link.note_error(f"{self.label}: {told} ({why})")

    def _failure(
        self, connection: Connection, error: DeviceError, message: bytes, timeout_s: float
    ) -> DeviceError:
        """Say what became of *message*, and see to what must happen next."""
        self._identity.unanswered(message)
        unknown = "it may or may not have been carried out; " if connection.told else ""
        if isinstance(error, DeviceLost):
            self._lose(connection, str(error))
            text = f"{self.label}: {error} while {message!r} was under way; {unknown}"
            return DeviceLost(text + self._after_loss())
        self._wake.set()
        after = "the line is put back in step before anything else is sent"
        if isinstance(error, DeviceTimeout):
            return DeviceTimeout(
                f"{self.label}: no complete answer to {message!r}{_within(error, timeout_s)}: "
                f"{error}; {unknown}{after}"
            )
        return ProtocolMismatch(f"{self.label}: asked {message!r}: {error}; {after}")

    def _doubt(self, reason: str) -> None:
        connection = self._of_turn
        if connection is not None:
            connection.suspect = connection.suspect or reason
            self._wake.set()

    def _connect(self) -> Connection:
        port, hear = self._port.renew(), self._hearing.hear
        connection = Connection(port, self.settings, self._closing, hear)
        self._hearing.deafen()
        with self._lock:
            if self._closing.is_set() or self._paused:
                raise LinkDown(self._link.why_not())
            self._connection = connection
        try:
            connection.open()
            with self.prioritised("set"), self.turn():
                connection.pause()
                connection.drain()
                who = self._identity.ask(connection)
                connection.thrown_away = b""
                self._hearing.keep()
                self._on_connect()
                with self._lock:
                    if self._connection is not connection:
                        raise LinkDown(self._link.why_not())
                    self._link.change("Up", who)
                    kept = self._hearing.open()
                for line in kept:  # still in the turn: nobody hears later ones before
                    self._hearing.hear(line)
        except BaseException:  # nobody else would close it
            with self._lock:
                self._connection = None
            connection.close()
            raise
        return connection

    def _attend(self, connection: Connection) -> None:
        """Stay by *connection* until it is lost: tell of changes, put in step, probe when idle."""
        while True:
            self._wake.clear()
            if self._connection is not connection:
                return
            self._link.deliver()
            left_s = self._before_probe_s(connection)
            if connection.suspect or left_s <= 0:
                self._probe(connection)
            elif self.settings.unsolicited:
                if not self._wake.wait(min(left_s, _LISTEN_S)):
                    self._listen(connection)
            else:
                self._wake.wait(min(left_s, threading.TIMEOUT_MAX))

    def _listen(self, connection: Connection) -> None:
        """Take what the device says unasked, while nobody else has the line."""
        if self._turns.taken:
            return
        with contextlib.suppress(DeviceError), self.prioritised("poll"), self.turn():
            if self._of_turn is connection:
                try:
                    connection.throw_away(connection.listen())
                    if self.settings.stream and not connection.speaks:
                        self._have_it_speak(connection)
                except ProtocolMismatch as error:
                    connection.suspect = str(error)
                except DeviceLost as error:
                    self._lose(connection, str(error))

    def _have_it_speak(self, connection: Connection) -> None:
        try:
            self._start_stream()
        except DeviceError as error:
            connection.suspect = connection.suspect or str(error)
            connection.false_starts += 1
            if connection.false_starts > 1:  # it was put back in step meanwhile, to no avail
                self._lose(connection, f"it does not begin to speak by itself: {error}")
            return
        connection.speaks = True
        connection.false_starts = 0

    def _before_probe_s(self, connection: Connection) -> float:
        if not self._identity.possible:
            return float("inf")
        return connection.used_at + self.settings.idle_probe_s - time.monotonic()

    def _probe(self, connection: Connection) -> None:
        """Make sure that the device still answers, in a turn of the lowest priority."""
        with contextlib.suppress(DeviceError), self.prioritised("poll"), self.turn():
            if self._of_turn is not connection:
                return
            if not connection.suspect and self._before_probe_s(connection) > 0:
                return
            if not connection.suspect:
                connection.suspect = f"nothing was said for {self.settings.idle_probe_s:g} s"
            self._resynchronise(connection)

    def _lose(self, connection: Connection, reason: str, *, quietly: bool = False) -> None:
        """Give up *connection*: everybody who waits fails, and the thread connects again."""
        with self._lock:
            if self._connection is not connection:
                return
            self._connection = None
            self._hearing.deafen()
            if self._link.state == "Up":
                next_try = time.monotonic()
                self._link.change("Down", reason, next_try=next_try, quietly=quietly)
        connection.close()
        self._turns.wake()
        self._wake.set()


def _within(error: DeviceError, timeout_s: float) -> str:
    return "" if isinstance(error, SaidAbsent) else f" within {timeout_s:g} s"


def _united(ours: tuple[Known, ...], theirs: tuple[Known, ...]) -> tuple[Known, ...]:
    return (*ours, *(one for one in theirs if one not in ours))
