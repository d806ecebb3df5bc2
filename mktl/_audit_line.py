"""What the audit log says of a SET: when, who, what, from what to what, and what became of it."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._callers import ITSELF, Caller
from .errors import Busy, Locked, NotAllowed
from .protocol import bulk
from .protocol.message import encode_json

if TYPE_CHECKING:
    from ._audit import AuditLog, Then
    from .description import Description
    from .payload import Payload

__all__ = ["SetRecord", "shown"]

MOST_BYTES = 1000
"""Of a value, as JSON. Of a larger one, the beginning is kept."""
MOST_TEXT = 300
"""Characters of what a request says about where it comes from."""
MOST_ERROR = 1000


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

    def note(
        self,
        error: BaseException | None = None,
        then: Then | None = None,
        *,
        here: bool = False,
    ) -> None:
        """Note that it is done, or why it is not.

        Args:
            error: Why not.
            then: What to do once that is written: to reply. It is done in any case.
            here: :meth:`AuditLog.do_here` or :meth:`AuditLog.hand_over` is going to be called.
        """
        self._log.write(self._line(error), then, here=here)

    def _line(self, error: BaseException | None) -> bytes:
        # Put together from pieces, most of which are known: each SET waits for it.
        seconds, milliseconds = divmod(round(1000 * time.time()), 1000)
        return (
            b'{"utc":"%b.%03dZ","time":%d.%03d,"item":"%b","outcome":"%b"%b%b,"took_ms":%.1f%b}\n'
            % (
                _utc(seconds),
                milliseconds,
                seconds,
                milliseconds,
                self._item.encode(),
                self._outcome_with(error),
                b',"secret":true' if self.secret else self._change(),
                b"" if error is None else self._failure(error),
                1000 * (time.monotonic() - self._arrived),
                _who(self._caller, self._origin),
            )
        )

    def _change(self) -> bytes:
        new = encode_json(_brief(self.new))
        if self.old is None:
            return b',"new":' + new
        return b',"old":%b,"new":%b' % (encode_json(_brief(self.old.value)), new)

    def _failure(self, error: BaseException) -> bytes:
        text = type(error).__name__
        if not self.secret:  # it may quote the value
            # Text may hold half of a character of a file name, say: that is no UTF-8.
            said = " ".join(str(error).split()).encode(errors="replace").decode()
            text += f": {said[:MOST_ERROR]}"
        return b',"error":' + encode_json(text)

    def _outcome_with(self, error: BaseException | None) -> bytes:
        if error is None:
            return b"done"
        if isinstance(error, (NotAllowed, Locked, Busy)):
            return b"refused"
        return self.outcome.encode()


@functools.lru_cache(maxsize=2)
def _utc(moment: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)).encode()


def shown(moment: float) -> str:
    """Return UNIX seconds as a log shows them."""
    seconds, milliseconds = divmod(round(1000 * moment), 1000)
    return f"{_utc(seconds).decode()}.{milliseconds:03d}Z"


def _who(caller: Caller, origin: Mapping[str, Any]) -> bytes:
    """Return the fields that say who it was, with a comma in front."""
    if caller is ITSELF:
        return b',"itself":true'
    # Not the command line, which may have a secret in it.
    said = [origin.get(field) for field in ("_user", "_hostname", "_pid", "_executable")]
    if all(
        one is None or type(one) is int or (type(one) is str and len(one) <= MOST_TEXT)
        for one in said
    ):
        return _who_known(caller, *said)
    return _who_known.__wrapped__(caller, *said)


# A client says the same again and again.
@functools.lru_cache(maxsize=64, typed=True)
def _who_known(caller: Caller, *said: Any) -> bytes:
    fields = {
        name: _clean(one)
        for name, one in zip(("user", "host", "pid", "executable"), said, strict=True)
        if one is not None
    }
    known = {"key": caller.name, "address": caller.address}
    fields.update((name, text) for name, text in known.items() if text)
    return b"," + encode_json(fields)[1:-1] if fields else b""


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
