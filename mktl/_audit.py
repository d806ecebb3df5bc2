"""A line for every SET of a daemon: when, who, what, from what to what, and what became of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._audit_file import LinesFile, LinesLost
from ._callers import ITSELF, Caller
from ._ratelimit import RateLimitedLog
from .config import audit_bytes, audit_files, home
from .errors import Busy, Locked, NotAllowed
from .protocol import bulk
from .protocol.message import encode_json

if TYPE_CHECKING:
    from .description import Description
    from .payload import Payload

__all__ = ["AuditLog", "SetRecord"]

_log = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Lines that may wait for the disk; more are lost, and counted."""
PATIENCE_S = 1.0
"""For how long a reply waits for its line; a disk that hangs must not hang the daemon."""

MOST_BYTES = 1000
"""Of a value, as JSON. Of a larger one, the beginning is kept."""
MOST_TEXT = 300
"""Characters of what a request says about where it comes from."""
MOST_ERROR = 1000

Then = Callable[[], object]


class SetRecord:
    """What becomes of one SET, to be noted at its end.

    Args:
        log: Where.
        item: Full key.
        description: Of the item; where it has ``"secret": true``, no value is noted.
        origin: Fields of the request, which say where it comes from.
        caller: Who asks.
        arrived: When, by :func:`time.monotonic`.

    Attributes:
        old: The payload before; ``None`` if nothing was begun.
        new: The value that was asked for.
        secret: Whether no value is noted.
        outcome: What it is if an error comes now: ``refused`` or ``failed``.
    """

    __slots__ = (
        "_arrived",
        "_caller",
        "_item",
        "_log",
        "_origin",
        "new",
        "old",
        "outcome",
        "secret",
    )

    def __init__(
        self,
        log: AuditLog,
        item: str,
        description: Description,
        origin: Mapping[str, Any],
        caller: Caller,
        arrived: float,
    ) -> None:
        self._log = log
        self._item = item
        self.secret = description.extra.get("secret") is True
        self._origin = origin
        self._caller = caller
        self._arrived = arrived
        self.old: Payload | None = None
        self.new: Any = origin.get("value")
        self.outcome = "refused"

    def note(self, error: BaseException | None = None, then: Then | None = None) -> None:
        """Note that it is done, or why it is not.

        Args:
            error: Why not.
            then: What to do once that is written: to reply. It is done in any case.
        """
        self._log.write(self._line(error), then)

    def _line(self, error: BaseException | None) -> bytes:
        now = round(time.time(), 3)
        fields: dict[str, Any] = {
            "utc": _utc(now),
            "time": now,
            "item": self._item,
            "outcome": self._outcome_with(error),
        }
        if self.secret:
            fields["secret"] = True
        else:
            if self.old is not None:
                fields["old"] = _brief(self.old.value)
            fields["new"] = _brief(self.new)
        if error is not None:
            fields["error"] = type(error).__name__
            if not self.secret:  # it may quote the value
                # Text may hold half of a character of a file name, say: that is no UTF-8.
                text = " ".join(str(error).split()).encode(errors="replace").decode()
                fields["error"] += f": {text[:MOST_ERROR]}"
        fields["took_ms"] = round(1000 * (time.monotonic() - self._arrived), 1)
        fields.update(_who(self._caller, self._origin))
        return encode_json(fields) + b"\n"

    def _outcome_with(self, error: BaseException | None) -> str:
        if error is None:
            return "done"
        return "refused" if isinstance(error, (NotAllowed, Locked, Busy)) else self.outcome


def _utc(moment: float) -> str:
    seconds, milliseconds = divmod(round(1000 * moment), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"


def _who(caller: Caller, origin: Mapping[str, Any]) -> dict[str, Any]:
    if caller is ITSELF:
        return {"itself": True}
    # Not the command line, which may have a secret in it.
    said = {
        name: _clean(origin.get(f"_{field}"))
        for name, field in (
            ("user", "user"),
            ("host", "hostname"),
            ("pid", "pid"),
            ("executable", "executable"),
        )
        if origin.get(f"_{field}") is not None
    }
    known = {"key": caller.name, "address": caller.address}
    return {**said, **{name: text for name, text in known.items() if text}}


def _clean(value: Any) -> Any:
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    return str(value)[:MOST_TEXT].encode(errors="replace").decode()


def _brief(value: Any) -> Any:
    """Return *value* or, where that is long, what it begins with."""
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return _text(value) if len(value) <= MOST_BYTES else {"begins": _text(value)}
    if bulk.is_array(value):
        first = value.reshape(-1)[:8]
        numbers = first.astype(str) if first.dtype.kind == "c" else first
        return {"shape": list(value.shape), "dtype": value.dtype.name, "begins": numbers.tolist()}
    if isinstance(value, (list, tuple)) and len(value) > MOST_BYTES:
        return {"length": len(value), "begins": _text(value[:8])}
    try:
        text = encode_json(value)
    except Exception:  # what the author's code makes of a value can be anything
        return _text(value)
    return (
        value if len(text) <= MOST_BYTES else {"begins": text[:MOST_BYTES].decode(errors="replace")}
    )


def _text(value: Any) -> str:
    return str(value)[:MOST_BYTES].encode(errors="replace").decode()


class _Waiting:
    """A line, and what is to be done once it is written."""

    __slots__ = ("line", "then")

    def __init__(self, line: bytes, then: Then | None) -> None:
        self.line = line
        self.then = then


class AuditLog:
    """Writes lines on a thread of its own, which begins with the first of them.

    Args:
        store: Name of the store.
        alias: Name of the daemon in it.
    """

    def __init__(self, store: str, alias: str) -> None:
        self.path = Path(home() / "daemon" / "audit" / store / f"{alias}.jsonl")
        self.most_files = audit_files()
        self._file = LinesFile(self.path, audit_bytes(), self.most_files)
        self._name = f"{store}.{alias}"
        self._condition = threading.Condition()
        self._queue: list[_Waiting] = []
        self._writing: list[_Waiting] = []
        self._began = 0.0
        self._closing = self._ended = False
        self._thread: threading.Thread | None = None
        self._trouble = RateLimitedLog(_log)
        self._lost = 0
        self._lost_since = 0.0
        self._why = ""

    def write(self, line: bytes, then: Then | None) -> None:
        """Have *line* written, and *then* done; now, where the disk hangs or nothing has room."""
        waiting = _Waiting(line, then)
        with self._condition:
            if self._closing and (self._ended or self._thread is None):
                # Of work that did not end with the daemon: there is nobody else to wait.
                self._write_batch([waiting])
                self._file.close()
                room = False
            elif room := self._has_room():
                self._queue.append(waiting)
                self._condition.notify_all()
            hangs = not room or self._hangs()
            if hangs:
                waiting.then = None
        if hangs and then is not None:
            then()

    def _has_room(self) -> bool:
        """Return whether a line can wait for the thread; it is lost if not."""
        if len(self._queue) >= MOST_WAITING:
            self._note_lost(1, "too many lines wait for the disk")
            return False
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
            with self._condition:
                while not self._queue:
                    if self._closing:
                        self._ended = True
                        self._file.close()
                        return
                    self._condition.wait()
                self._writing, self._queue = self._queue, []
                self._began = time.monotonic()
            self._write_batch(self._writing)
            with self._condition:
                batch, self._writing = self._writing, []
                self._condition.notify_all()
            self._release(batch)

    def _write_batch(self, batch: list[_Waiting]) -> None:
        lines = [waiting.line for waiting in batch]
        told = self._lost
        if told:
            lines.insert(0, self._gap(told))
        try:
            self._file.append(lines)
        except LinesLost as error:
            with self._condition:
                self._note_lost(min(error.count, len(batch)), str(error.strerror))
        else:
            self._note_written(told)

    def _gap(self, lost: int) -> bytes:
        """Return the line that says that *lost* others are missing before it."""
        now = round(time.time(), 3)
        fields = {"lost": lost, "utc": _utc(now), "time": now}
        return encode_json({**fields, "since": _utc(self._lost_since), "why": self._why}) + b"\n"

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
            with self._condition:
                self._lost -= told
            _log.warning("%s: SETs are recorded again; %d lines were lost", self._name, told)

    def _release(self, batch: list[_Waiting]) -> None:
        for waiting in batch:
            with self._condition:
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
        with self._condition:
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
        return f"since {_utc(since)} {lost} lines were lost: {why}"

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written; return whether it was within *timeout_s* seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: not (self._queue or self._writing), timeout_s)

    def close(self) -> None:
        """Write what is left and end the thread; what cannot be written is given up."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            if self._thread.is_alive():
                with self._condition:
                    left = [*self._writing, *self._queue]
                self._release(left)
                _log.error("%s: %d lines about SETs could not be written", self._name, len(left))
