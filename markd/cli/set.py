"""``mark set``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mktl
from mktl.errors import MktlError

from . import _keys
from ._json import json_line
from ._lines import shown_units
from ._outcome import UsageError, one_line

if TYPE_CHECKING:
    from mktl.requests import PendingSet

    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Set items: all at once, or one after the other; one that fails holds up no other."""
    changes = [_Change(typed, arguments) for typed in arguments.requests]
    if not changes:
        raise UsageError("set what? For example: mark set cryo.setpoint=80")
    if arguments.serial:
        for change in changes:
            _finish(change, change.send(outcome), outcome)
        return
    for change, pending in [(change, change.send(outcome)) for change in changes]:
        _finish(change, pending, outcome)


class _Change:
    """One value that is to be set.

    Args:
        typed: ``key=value``.
        arguments: What was asked for.

    Raises:
        UsageError: it is not of this form. Nothing has been sent then.
    """

    def __init__(self, typed: str, arguments: Arguments) -> None:
        name, equals, self._text = typed.partition("=")
        store, self._key = _keys.split(name.strip(), arguments.store)
        if not equals:
            raise UsageError(f"{typed!r} sets nothing: write KEY=VALUE")
        if not store or not self._key:
            raise UsageError(f"{name!r} is not the key of an item: write store.key=VALUE")
        if _keys.is_pattern(self._key):
            raise UsageError(f"{name!r} is a pattern: set takes the keys one by one")
        if not typed.isascii():
            _check_text(typed)
        self._store = store
        self._arguments = arguments
        self._units = ""
        self.full_key = f"{store}.{self._key}"

    def send(self, outcome: Outcome) -> PendingSet | None:
        """Send the request; ``None`` if it failed already, which *outcome* was told."""
        try:
            item = mktl.get(self._store, self._key, at=self._arguments.at)
            return item.set(self._value(item), wait=False)  # type: ignore[no-any-return]
        except MktlError as error:
            outcome.failed(self.full_key, error)
            return None

    def _value(self, item: mktl.Item) -> Any:
        description = item.description
        if not self._arguments.unformatted:
            self._units = shown_units(description, self._arguments.units)
            return description.from_text(self._text, self._arguments.units)
        self._units = description.stored_units
        return self._text if description.type == "string" else _from_json(self._text)

    def wait(self, pending: PendingSet) -> bool:
        """Wait until the daemon has done it, or for ``--no-wait`` until it was acknowledged.

        Raises:
            MktlError: it was refused, or there was no answer.
        """
        if self._arguments.no_wait:
            pending.wait_acknowledged()
            if not pending.poll():
                return False
        pending.wait(self._arguments.timeout_s)
        return True

    def show(self, *, done: bool) -> None:
        """Print what was set, in the text and the units in which it was asked for."""
        if self._arguments.json:
            fields = {"key": self.full_key, "value": self._text, "units": self._units, "done": done}
            print(json_line(fields), flush=True)
            return
        value = one_line(f"{self.full_key} to {self._text} {self._units}".rstrip(" "))
        print(f"Set {value}" if done else f"Setting {value} (acknowledged)", flush=True)


def _finish(change: _Change, pending: PendingSet | None, outcome: Outcome) -> None:
    if pending is None:
        return
    try:
        done = change.wait(pending)
    except MktlError as error:
        outcome.failed(change.full_key, error)
        return
    change.show(done=done)


def _from_json(text: str) -> Any:
    """Return what *text* is as JSON, and the text itself if it is none."""
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _check_text(typed: str) -> None:
    try:
        typed.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{typed!r} is not UTF-8") from None
