"""One device of several on a shared line: a bus with addresses, or a gateway.

Each unit has a link state, a back-off and an identity of its own. One that is silent is left alone
(quarantined): its turns fail at once, and now and then it is asked, at the lowest priority, whether
it is there again. So it does not delay the others.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from drivers._bus import ALL_SILENT, join
from drivers._outcome import after_telling
from drivers.exchanged import Exchanged
from drivers.hearing import Hearing
from drivers.identity import Synchroniser
from drivers.keeper import Keeper
from drivers.ports.base import Port
from drivers.settings import LineSettings
from mktl.controllers import ControllerStatus, TurnKind
from mktl.errors import (
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    LinkDown,
    ProtocolMismatch,
)

__all__ = ["Unit"]

_log = logging.getLogger(__name__)

SILENT_AFTER = 2
"""So many exchanges without an answer, one after the other, and a unit counts as silent. So it does
after so many answers that make no sense, if it cannot be asked who it is."""


class Unit(Keeper[object]):
    """Exchanges with one unit; the same to its users as a :class:`Line` of its own."""

    def __init__(
        self,
        port: Port,
        settings: LineSettings,
        unit: int,
        *,
        name: str,
        synchroniser: Synchroniser,
        on_connect: Callable[[], None],
        heard: Callable[[str], None],
    ) -> None:
        """Join the line at *port*, which is opened by the first of its units that starts.

        Args:
            port: Where the line is.
            settings: Timing and framing; the same for all units, but for deadlines.
            unit: Address of the unit, for error texts.
            name: What error texts and logs call it.
            synchroniser: Finds out who answers, and puts the unit back in step.
            on_connect: As for :class:`Line`.
            heard: As for :class:`Line`.

        Raises:
            ConfigurationError: the line is open already with other settings.
        """
        super().__init__(name, settings)
        self.unit = unit
        self._hearing = Hearing(heard)
        self.silent = False
        """Whether it is left alone because it does not answer."""
        self._silence = ""
        self._awaits_line = False
        self.trace: Callable[[Exchanged], None] | None = None
        """Called after each exchange, from the thread that made it; it must be quick."""
        self._url = port.url
        self._on_connect = on_connect
        self._identity = synchroniser
        self._suspect = ""
        self._unanswered = 0
        self._answered = False
        self._depth = 0
        self._heard_in_turn = False
        self._used_at = time.monotonic()
        self._session: object | None = None
        self._bus = join(port, settings, self)
        self._line = self._bus.line

    @property
    def url(self) -> str:
        """Where the line leads, in full."""
        return self._url

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the wire; 0 where it does not matter."""
        return self._line.char_s

    @property
    def label(self) -> str:
        """Name, URL and unit, as error texts show them."""
        return f"{self.name} at {self._url}, unit {self.unit}"

    def close(self) -> None:
        """Stop for good; the last unit closes the line."""
        super().close()
        self._bus.leave(self)

    def status(self) -> ControllerStatus:
        """Return the state of the unit now; the load is that of the line."""
        return replace(super().status(), load_percent=self._line.status().load_percent)

    def prioritised(self, kind: TurnKind) -> contextlib.AbstractContextManager[None]:
        """Return a context in which this thread's turns have the priority of *kind*."""
        return self._line.prioritised(kind)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the line for several exchanges; as :meth:`Line.turn`."""
        self._start_if_new()
        try:
            with after_telling(self._line.has_told):
                self._check()
            with self._line.turn(), self._judged():
                self._check()
                yield
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
        """Send *message* in a turn and return the reply; as :meth:`Line.exchange`."""
        timeout_s = self.settings.timeout_s if timeout_s is None else timeout_s
        with self.turn():
            self._put_in_step()
            begin = time.monotonic()
            try:
                answer = self._line.exchange(
                    message, timeout_s=timeout_s, reply=reply, lines=lines, query=query
                )
            except (DeviceTimeout, DeviceLost, ProtocolMismatch) as error:
                self._tell(message, None, str(error), begin)
                self._failed(error, message)
                raise type(error)(f"{self.name}, unit {self.unit}: {error}") from error
            end = time.monotonic()
            self._heard_in_turn = self._heard_in_turn or reply
            self._used_at = end
            self._meter.exchanged(begin, end, end)
            self._tell(message, answer if reply else None, "", begin)
            return answer

    def learn(self, settings: LineSettings) -> None:
        """Have the line take over what all of its units share; as :meth:`Line.learn`."""
        self._line.learn(settings)

    def hear(self, line: str) -> None:
        """Take a line that came unasked on the bus."""
        self._hearing.hear(line)

    def put_in_step(self) -> None:
        """See to it that nothing can be answered any more; as :meth:`Line.put_in_step`."""
        with self.turn():
            self._put_in_step()

    def reconnect(self, reason: str) -> None:
        """Take the unit as lost, and find it again, with all that belongs to it."""
        self._lose(reason)

    def stream_ended(self) -> None:
        """Note that nothing more comes by itself; as :meth:`Line.stream_ended`."""
        self._line.stream_ended()

    @contextlib.contextmanager
    def _judged(self) -> Iterator[None]:
        """Find out, by how a turn ends, whether what was answered in it made sense."""
        self._depth += 1
        try:
            yield
        except ProtocolMismatch as error:
            if not self._suspect:  # else the exchange itself has failed, and that was counted
                self._suspect = str(error)
                self._count_failure(error, f"its answers make no sense: {error}")
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                if self._heard_in_turn and not self._suspect:
                    self._answered = True
                    self._unanswered = 0
                self._heard_in_turn = False

    def _tell(self, message: bytes, answer: bytes | None, error: str, begin: float) -> None:
        if self.trace is not None:
            self.trace(Exchanged(message, answer, error, time.monotonic() - begin))

    def _put_in_step(self) -> None:
        """Make sure that nothing that was asked before can still be answered."""
        if not self._suspect:
            return
        why = self._suspect
        connection = self._line.make_ready()
        try:
            told = self._identity.resynchronise(connection)
        except DeviceError as error:
            self._lose(f"{why}; after that, {error}", silent=isinstance(error, DeviceTimeout))
            raise LinkDown(self._link.why_not()) from error
        self._suspect = ""
        if self._identity.possible:
            self._unanswered = 0  # it has answered just now; else the line was quiet, no more
        if told:
            _log.warning("%s: %s (%s)", self.label, told, why)
            self._link.note_error(f"{self.label}: {told} ({why})")

    def _failed(self, error: DeviceError, message: bytes) -> None:
        self._identity.unanswered(message)
        self._suspect = str(error)
        self._count_failure(error, f"it does not answer: {error}")

    def _count_failure(self, error: DeviceError, reason: str) -> None:
        # Of a unit that cannot be asked who it is, nothing else shows that it makes no sense.
        if isinstance(error, DeviceTimeout) or not self._identity.possible:
            self._unanswered += 1
            if self._unanswered >= SILENT_AFTER and not self._own_thread_connects():
                self._lose(reason, silent=True)

    def bus_changed(self, status: ControllerStatus) -> None:
        """Take a change of state of the line, from the thread of the line."""
        reason = self._line.reason
        if status.state != "Up":
            self._lose(f"the line is down: {reason}")
        # Where nobody answers, a try before the port is open again would find out nothing.
        if self._awaits_line or status.state == "Up" or reason != ALL_SILENT:
            self._poke.set()

    def _connect(self) -> object:
        self._await_line()
        session = object()
        self._answered = False
        with self.prioritised("poll" if self.silent else "refresh"), self._line.turn():
            try:
                connection = self._line.make_ready()
                self._suspect = ""
                self._hearing.deafen()
                who = self._identity.ask(connection)
                self._hearing.keep()
                self._on_connect()
            except DeviceTimeout as error:
                self._silence = f"unit {self.unit} does not answer: {error}"
                self._found_silent()
                raise DeviceTimeout(self._silence) from error
            self._come_up(session, who)
        return session

    def _come_up(self, session: object, who: str) -> None:
        self.silent = False
        self._unanswered = 0
        with self._lock:
            if self._closing.is_set() or self._paused:
                raise LinkDown(self._link.why_not())
            self._session = session
            self._link.change("Up", who)
            kept = self._hearing.open()
        for line in kept:  # still in the turn: nobody hears later ones before
            self._hearing.hear(line)

    def _await_line(self) -> None:
        """Start the line, and wait for the first attempt to open it.

        Raises:
            LinkDown: it is not open; the text is the same from try to try.
        """
        self._awaits_line = True
        self._line.start()
        while (state := self._line.status().state) == "Connecting" and not self._closing.is_set():
            self._poke.wait(self.settings.connect_timeout_s)
            self._poke.clear()
        self._awaits_line = False
        if state != "Up":
            reason = self._line.reason
            if reason == ALL_SILENT and self._silence:
                raise LinkDown(self._silence)  # why that was found out is what people want to know
            raise LinkDown(f"the line is down: {reason}")

    def _found_silent(self) -> None:
        self.silent = True
        self._bus.give_up_if_all_are_silent()

    def _attend(self, session: object) -> None:
        """Stay until the unit is lost: tell of changes, and put it in step when it is idle."""
        while self._session is session:
            self._wake.clear()
            self._link.deliver()
            if self._session is not session:
                break
            left_s = self._before_probe_s()
            if left_s <= 0:
                self._probe(session)
            else:
                self._wake.wait(min(left_s, threading.TIMEOUT_MAX))
        self._link.deliver()

    def _before_probe_s(self) -> float:
        if not self._identity.possible:
            return float("inf")
        return self._used_at + self.settings.idle_probe_s - time.monotonic()

    def _probe(self, session: object) -> None:
        """Make sure that the unit still answers, in a turn of the lowest priority."""
        self._used_at = time.monotonic()
        with contextlib.suppress(DeviceError), self.prioritised("poll"), self.turn():
            if self._session is session:
                idle = f"nothing was said for {self.settings.idle_probe_s:g} s"
                self._suspect = self._suspect or idle
                self._put_in_step()

    def _was_of_use(self) -> bool:
        return self._answered or self._identity.possible

    def _let_go(self, reason: str) -> None:
        self._lose(reason)

    def _lose(self, reason: str, *, silent: bool = False) -> None:
        with self._lock:
            if self._session is None:
                return
            self._session = None
            self._hearing.deafen()
            self.silent = silent
            self._silence = reason if silent else ""
            if self._link.state == "Up":
                self._link.change("Down", reason, next_try=time.monotonic())
        self._wake.set()
        if silent:
            self._bus.give_up_if_all_are_silent()

    def _own_thread_connects(self) -> bool:
        return threading.current_thread() is self._thread
