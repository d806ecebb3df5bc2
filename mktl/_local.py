"""What a daemon's items need beside their machinery: what is news, and SETs of their own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import NoAnswer
from .payload import Payload
from .protocol import bulk
from .protocol.message import encode_json

if TYPE_CHECKING:
    from .description import Description

__all__ = ["LocalSet", "completed", "is_same", "says_nothing_new", "snapshot"]

_COMPARABLE = (int, float, str)


def says_nothing_new(payload: Payload, old: Payload) -> bool:
    """Return whether *payload* says of value and quality what *old* has said already."""
    value = payload.value
    if (payload.quality, payload.reason) != (old.quality, old.reason):
        return False
    shelving = payload.extra.get("shelved") != old.extra.get("shelved")
    if shelving or type(value) is not type(old.value):
        return False
    if isinstance(value, (int, float, str)):
        return bool(value == old.value)
    if bulk.is_array(value):
        return False  # comparing whole frames costs more than sending them
    if isinstance(value, (dict, list)):  # in which 1, 1.0 and true are equal to Python
        return encode_json(value) == encode_json(old.value)
    return bool(value == old.value)


def snapshot(array: Any) -> Any:
    """Return *array*, or a copy if its owner could still change it."""
    if not array.flags.writeable and array.base is None:
        return array
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def is_same(value: Any, old: Payload) -> bool:
    """Return whether a reading is what is known already, and well; a mere "no" may be wrong."""
    return (
        type(value) is type(old.value)
        and isinstance(value, _COMPARABLE)
        and bool(value == old.value)
        and old.quality == "valid"
        and old.time is not None
    )


def completed(payload: Payload, description: Description) -> Payload:
    """Return *payload* with its value in the item's type, a time, and honest quality."""
    value = payload.value
    changes: dict[str, Any] = {}
    if isinstance(value, float):
        if not math.isfinite(value):
            changes.update(quality="invalid", reason=f"{value} is not a number")
            value = None
    elif bulk.is_array(value):
        value = snapshot(value)
    coerced = description.coerce(value)
    if coerced is not payload.value:
        changes["value"] = coerced
    if payload.time is None:
        changes["time"] = time.time()
    return payload.having(**changes) if changes else payload


class LocalSet:
    """A SET that the daemon asked of itself."""

    def __init__(self, full_key: str) -> None:
        self._full_key = full_key
        self._done = threading.Event()
        self._error: BaseException | None = None

    def run(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:  # raised again where it is waited for
            self._error = error
        finally:
            self._done.set()

    def poll(self) -> bool:
        return self._done.is_set()

    def wait_acknowledged(self) -> None:
        """Nothing to wait for: it was taken in when it was asked."""

    def wait(self, timeout: float | None = None) -> None:
        if not self._done.wait(timeout):
            raise NoAnswer(f"{self._full_key}: not done within {timeout:g} s")
        if self._error is not None:
            raise self._error
