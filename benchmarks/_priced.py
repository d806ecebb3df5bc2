"""A daemon that keeps a promise, or not: ``python -m benchmarks._priced NAME``; prints its port.

*NAME* is its alias in the store ``bench``, what its keys begin with, and what is special about it:
``everything`` and ``locked`` are as any other, ``unrecorded`` keeps no record of SETs, ``alone``
commits each persistent value by itself, ``curve`` encrypts, ``rules`` looks up who may do what.
Without the record, and without common commits, no setting makes a daemon do: they are taken away
here by force, to learn what they cost and bring.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import mktl
from benchmarks._daemon import NUMBER
from mktl import _persistence_batches
from mktl._audit_line import SetRecord

MANY = 64
PUBLISHED = 500

_LIMITS = {"warning": [-1e6, 1e6], "alarm": [-1e7, 1e7], "hysteresis": 10, "delay_s": 1}
_ACCESS: dict[str, dict[str, Any]] = {
    "curve": {"curve": True, "unknown": "set"},
    "rules": {
        "unknown": "bench",
        "roles": {"bench": {"read": ["*plain", "*n*"], "set": ["*plain", "*n*", "!*_raw"]}},
    },
}


def key_of(name: str, key: str) -> str:
    """Return the key that an item of the daemon *name* has."""
    return f"{name}-{key}"


class Publishing(mktl.Item):
    """How many values a second another item can publish; found out when it is read."""

    def __init__(self, store: mktl.Store, key: str, subject: str) -> None:
        """Have *subject* publish."""
        super().__init__(store, key)
        self.subject = subject
        self.count = 0

    def req_refresh(self) -> float:
        """Publish some."""
        publish = self.store[self.subject].publish
        began = time.perf_counter()
        for _ in range(PUBLISHED):
            self.count += 1
            publish(self.count % 1000)
        return PUBLISHED / (time.perf_counter() - began)


class Daemon(mktl.Daemon):
    """Items of all kinds."""

    def describe_items(self) -> Mapping[str, Mapping[str, Any]]:
        """Describe ``plain``, and 64 of those that are kept and of those that are not."""
        read = {"type": "numeric", "settable": False}
        described = {
            "plain": NUMBER,
            **{f"n{number}": NUMBER for number in range(MANY)},
            **{f"kept{number}": {**NUMBER, "persist": True} for number in range(MANY)},
            "unwatched": NUMBER,
            "watched": {**NUMBER, "limits": _LIMITS},
            "publish_unwatched": read,
            "publish_watched": read,
        }
        return {key_of(self.alias, key): fields for key, fields in described.items()}

    def describe_access(self) -> Mapping[str, Any]:
        """Tell who may do what."""
        return _ACCESS.get(self.alias, {})

    def setup(self) -> None:
        """Make the items that publish others."""
        for subject in ("unwatched", "watched"):
            key = key_of(self.alias, f"publish_{subject}")
            self.add_item(Publishing, key, key_of(self.alias, subject))


def _keep_no_record() -> None:
    assert callable(SetRecord.note)

    def note(_record: Any, _error: Any = None, then: Any = None, **_where: Any) -> None:
        if then is not None:
            then()

    SetRecord.note = note  # type: ignore[assignment,method-assign]


def _commit_alone() -> None:
    assert _persistence_batches._MOST > 1
    _persistence_batches._MOST = 1


if __name__ == "__main__":
    name = sys.argv[1]
    if name == "unrecorded":
        _keep_no_record()
    elif name == "alone":
        _commit_alone()
    daemon = Daemon("bench", name)
    print(daemon.ports[0], flush=True)
    daemon.wait()
