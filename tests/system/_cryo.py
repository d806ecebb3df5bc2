"""A daemon for the tests of ``mark``: the store ``cryo`` without hardware. Run as a process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import mktl
from tests._support import Child, running

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {"type": "numeric", "units": "kelvin", "format": "%.3f", "settable": False},
    "broken_temp": {"type": "numeric", "units": "kelvin", "format": "%.2f", "initial": 80.5},
    "setpoint": {"type": "numeric", "units": "kelvin", "format": "%.1f", "range": [0, 325]},
    "mode": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}, "initial": 0},
    "note": {"type": "string", "initial": "quiet"},
    "never": {"type": "numeric", "units": "mm"},
    "key_code": {"type": "string", "gettable": False},
    "stage": {"type": "numeric", "units": "mm", "initial": 0},
    "stale": {"type": "numeric", "settable": False},
}
OWN = [key for key, fields in ITEMS.items() if fields.get("gettable") is not False]


class Temperature(mktl.Item):
    """Rises by a hundredth of a kelvin with each reading."""

    def __init__(self, store: mktl.Store, key: str) -> None:
        super().__init__(store, key)
        self._readings = 0
        self.poll(0.1)

    def req_refresh(self) -> float:
        self._readings += 1
        return 77 + self._readings / 100


class BrokenTemperature(mktl.Item):
    """Cannot be read."""

    def req_refresh(self) -> float:
        raise RuntimeError("the sensor is open")


class Stage(mktl.Item):
    """Takes a while to be set."""

    def req_set(self, request: Any) -> None:
        time.sleep(1.0)
        self.publish(request.value)


class Daemon(mktl.Daemon):
    def describe_items(self) -> dict[str, dict[str, Any]]:
        return ITEMS

    def setup(self) -> None:
        self.add_item(Temperature, "temp")
        self.add_item(BrokenTemperature, "broken_temp")
        self.add_item(Stage, "stage")
        self.add_item(mktl.Item, "stale")
        now = time.time()
        self.store["stale"].publish(mktl.Payload(4.5, now - 7200, checked=now - 3600))


@contextlib.contextmanager
def cryo() -> Iterator[Child]:
    """Run the daemon for the length of the ``with`` block."""
    with running(["-m", "tests.system._cryo"], ready="on the air") as child:
        yield child


def main() -> None:
    daemon = Daemon("cryo", "tc1")
    print("on the air", *daemon.ports, flush=True)
    daemon.wait()


if __name__ == "__main__":
    main()
