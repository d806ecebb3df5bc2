"""``mark describe``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mktl.errors import MktlError

from . import _keys
from ._json import json_line, without_controls

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Print descriptions as the daemons give them."""
    described: dict[str, dict[str, Any]] = {}
    for name, (store, keys) in _keys.find(arguments, outcome, all_of_store=True).items():
        for key in keys:
            try:
                described[f"{name}.{key}"] = store.describe(key)
            except MktlError as error:
                outcome.failed(f"{name}.{key}", error)
    if arguments.json:
        for full_key, description in described.items():
            print(json_line({"key": full_key, **description}))
    elif described:
        import json

        shown = described
        if _is_one_key(arguments):
            (shown,) = described.values()
        print(without_controls(json.dumps(shown, indent=2, ensure_ascii=False)))


def _is_one_key(arguments: Arguments) -> bool:
    """Return whether exactly one item was asked for, by its name."""
    if len(arguments.requests) != 1:
        return False
    _store, key = _keys.split(arguments.requests[0], arguments.store)
    return bool(key) and not _keys.is_pattern(key)
