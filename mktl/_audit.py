"""The audit log of a daemon: lines about SETs, and when they are with the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ._audit_file import LinesFile, LinesLost
from ._audit_line import shown
from ._ratelimit import RateLimitedLog
from .config import audit_bytes, audit_files, home
from .protocol.message import encode_json

__all__ = ["AuditLog", "Then"]

_log = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Lines that may wait for the disk; more are lost, and counted."""
PATIENCE_S = 1.0
"""For how long a reply waits for its line; a disk that hangs must not hang the daemon."""

Then = Callable[[], object]


class _Waiting:
    """A line, and what is to be done once it is written."""

    __slots__ = ("line", "then")

    def __init__(self, line: bytes, then: Then | None) -> None:
        self.line = line
        self.then = then


class AuditLog:
    """Writes lines: on the thread that reads requests, or on its own, begun when there is need.

    Args:
        store: Name of the store.
        alias: Name of the daemon in it.
    """

    def __init__(self, store: str, alias: str) -> None:
        self.path = Path(home() / "daemon" / "audit" / store / f"{alias}.jsonl")
        self.most_files = audit_files()
        self._file = LinesFile(self.path, audit_bytes(), self.most_files)
        self._name = f"{store}.{alias}"
        # Held by itself where nobody waits: a condition is entered by code in Python.
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        # Apart, as to wake the thread of the log costs more than to write a line.
        self._written = threading.Condition(self._lock)
        self._queue: list[_Waiting] = []
        self._writing: list[_Waiting] = []
        self._began = 0.0
        self._closing = self._ended = False
        self._thread: threading.Thread | None = None
        self._trouble = RateLimitedLog(_log)
        self._lost = 0
        self._lost_since = 0.0
        self._why = ""

    def write(self, line: bytes, then: Then | None, *, here: bool = False) -> None:
        """Have *line* written, and *then* done; now, where the disk hangs or nothing has room.

        Args:
            line: With its end.
            then: What to do when it is written.
            here: Others may follow, and then :meth:`do_here` or :meth:`hand_over`.
        """
        waiting = _Waiting(line, then)
        with self._lock:
            if self._closing and (self._ended or self._thread is None):
                # Of work that did not end with the daemon: there is nobody else to wait.
                self._write_batch([waiting])
                self._file.close()
                room = False
            elif room := self._has_room(here):
                self._queue.append(waiting)
                if not here:
                    self._condition.notify_all()
            hangs = not room or self._hangs()
            if hangs:
                waiting.then = None
        if hangs and then is not None:
            then()

    @property
    def waits(self) -> bool:
        """Whether there are lines that nobody writes yet."""
        return bool(self._queue)

    def do_here(self) -> None:
        """Write what waits on this thread: to wake that of the log costs more than many lines.

        Where somebody writes already, this thread is not kept.
        """
        with self._lock:
            if self._writing or not self._queue:
                return  # whoever writes sees to the rest
            self._begin_to_write()
        self._write()

    def hand_over(self) -> None:
        """Have the log's own thread write what waits."""
        with self._lock:
            if self._queue and self._has_thread():
                self._condition.notify_all()

    def _has_room(self, here: bool) -> bool:
        """Return whether a line can wait for whoever writes it; it is lost if not."""
        if len(self._queue) >= MOST_WAITING:
            self._note_lost(1, "too many lines wait for the disk")
            return False
        return here or self._has_thread()

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=f"{self._name}-audit", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system gives no more of them: there is a next time
                self._note_lost(1, str(error))
                return False
            self._thread = thread
        return True

    def _hangs(self) -> bool:
        return bool(self._writing) and time.monotonic() - self._began > PATIENCE_S

    def _run(self) -> None:
        while True:
            with self._lock:
                while self._writing or not self._queue:
                    if self._closing and not self._writing:
                        self._ended = True
                        self._file.close()
                        return
                    self._condition.wait()
                self._begin_to_write()
            self._write()

    def _begin_to_write(self) -> None:
        self._writing, self._queue = self._queue, []
        self._began = time.monotonic()

    def _write(self) -> None:
        self._write_batch(self._writing)
        self._release(self._writing)  # before others write: replies come in the order of the lines
        with self._lock:
            self._writing = []
            self._written.notify_all()
            if self._closing or (self._queue and self._has_thread()):
                self._condition.notify_all()

    def _write_batch(self, batch: list[_Waiting]) -> None:
        lines = [waiting.line for waiting in batch]
        told = self._lost
        if told:
            lines.insert(0, self._gap(told))
        try:
            self._file.append(lines)
        except LinesLost as error:
            with self._lock:
                self._note_lost(min(error.count, len(batch)), str(error.strerror))
        else:
            self._note_written(told)

    def _gap(self, lost: int) -> bytes:
        """Return the line that says that *lost* others are missing before it."""
        now = round(time.time(), 3)
        fields = {"lost": lost, "utc": shown(now), "time": now}
        return encode_json({**fields, "since": shown(self._lost_since), "why": self._why}) + b"\n"

    def _note_lost(self, count: int, why: str) -> None:
        if not self._lost:
            self._lost_since = time.time()
        self._lost += count
        self._why = why
        self._trouble.warning(
            "%s: SETs are carried out but not recorded: %s: %s (%d lines lost)",
            self._name,
            self.path,
            why,
            self._lost,
        )

    def _note_written(self, told: int) -> None:
        if told:
            with self._lock:
                self._lost -= told
            _log.warning("%s: SETs are recorded again; %d lines were lost", self._name, told)

    def _release(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            with self._lock:
                then, waiting.then = waiting.then, None
            if then is None:
                continue
            try:
                then()
            except Exception:  # one reply that cannot be sent must not keep the others
                _log.exception("%s: a reply failed", self._name)

    def look_after(self) -> str:
        """Let go what has waited too long for the disk; return how it stands: ``ok``, or why not.

        To be called once a second.
        """
        with self._lock:
            overdue = [*self._writing, *self._queue] if self._hangs() else []
            since, lost, why = self._lost_since, self._lost, self._why
            began = self._began
        self._release(overdue)
        if overdue:
            seconds = time.monotonic() - began
            why = f"{self.path.parent} has not taken a line for {seconds:.0f} s"
            self._trouble.warning("%s: SETs are not recorded: %s", self._name, why)
            return f"not written: {why}"
        if not lost:
            return "ok"
        return f"since {shown(since)} {lost} lines were lost: {why}"

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written; return whether it was within *timeout_s* seconds."""
        with self._lock:
            return self._written.wait_for(lambda: not (self._queue or self._writing), timeout_s)

    def close(self) -> None:
        """Write what is left and end the thread; what cannot be written is given up."""
        with self._lock:
            if self._writing or self._queue:  # by somebody whom the disk holds up, perhaps
                self._has_thread()
            elif self._thread is None:
                self._file.close()
            self._closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            if self._thread.is_alive():
                with self._lock:
                    left = [*self._writing, *self._queue]
                self._release(left)
                _log.error("%s: %d lines about SETs could not be written", self._name, len(left))
