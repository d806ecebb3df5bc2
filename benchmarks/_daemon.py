"""A daemon to be measured: ``python -m benchmarks._daemon [ITEMS]``; prints its request port."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import mktl

NUMBER: dict[str, Any] = {"type": "numeric", "initial": 77.35}


class Read(mktl.Item):
    """An item with code of its own: it returns another number each time."""

    count = 0

    def req_refresh(self) -> float:
        """Return what an instrument would have said."""
        self.count += 1
        return self.count + 0.25


class Daemon(mktl.Daemon):
    """``bench.plain`` has no code of its own, ``bench.read`` has."""

    def describe_items(self) -> Mapping[str, Mapping[str, Any]]:
        """Describe both, and as many more plain items as asked for."""
        more = {f"n{number}": NUMBER for number in range(int(self.options))}
        return {"plain": NUMBER, "read": {"type": "numeric", "settable": False}, **more}

    def setup(self) -> None:
        """Make the item that has code."""
        self.add_item(Read, "read")


if __name__ == "__main__":
    daemon = Daemon("bench", "subject", options=sys.argv[1] if len(sys.argv) > 1 else 0)
    print(daemon.ports[0], flush=True)
    daemon.wait()
