"""A daemon whose items are read from hardware, as it were: ``python -m benchmarks._watched ITEMS``.

They are polled once, at the start. It prints its request port when all have a value, and then a
line of JSON for each line of its standard input: how often an item was asked for by who used it for
the first time, at most; how often all were asked for, and read; and how many connections there are.
It counts from the line before on.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import mktl
from benchmarks._support import wait_until
from mktl._answers import Answers

_SELDOM_S = 86_400.0


class Read(mktl.Item):
    """An item with code of its own, which counts how often it is called."""

    reads = 0

    def __init__(self, store: Any, key: str, value: float) -> None:
        """Have *value*, for whoever reads it."""
        super().__init__(store, key)
        self._value = value
        self.poll(_SELDOM_S)

    def req_refresh(self) -> float:
        """Return what an instrument would have said."""
        Read.reads += 1
        return self._value


class Daemon(mktl.Daemon):
    """Items ``n0`` and so on, each with its number as value."""

    def setup(self) -> None:
        """Make them."""
        number = {"type": "numeric", "units": "kelvin", "settable": False}
        for one in range(self.options):
            self.add_item(Read, f"n{one}", float(one), description=number)

    @property
    def connections(self) -> int:
        """Connections that it has for requests and for broadcasts."""
        assert self._server is not None
        return self._server.connections


# Of each item, by whether it was for a first use.
_asked: dict[bool, Counter[int]] = {False: Counter(), True: Counter()}


def _count_requests() -> None:
    answer = Answers.get

    def counted(self: Answers, responder: Any) -> None:
        _asked["prime" in responder.request.payload][id(self)] += 1
        answer(self, responder)

    Answers.get = counted  # type: ignore[assignment, method-assign]


def main() -> None:
    """Run until the end of the input, or of the process."""
    count = int(sys.argv[1])
    _count_requests()
    daemon = Daemon("bench", "watched", options=count)
    wait_until(lambda: Read.reads >= count, lambda: f"only {Read.reads} items were polled")
    print(daemon.ports[0], flush=True)
    for _line in sys.stdin:
        found = {
            "most_primed": max(_asked[True].values(), default=0),
            "asked": _asked[False].total() + _asked[True].total(),
            "reads": Read.reads - count,
            "connections": daemon.connections,
        }
        _asked[False].clear()
        _asked[True].clear()
        Read.reads = count
        print(json.dumps(found), flush=True)
    daemon.stop()


if __name__ == "__main__":
    main()
