"""Items whose readings take long without keeping their controller from the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import mktl
from tests._support import wait_until


class Meter:
    """Something that items share."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.reached = threading.Event()
        self.quick = 0


class Slow(mktl.Item):
    """Waits for the test."""

    polled_apart = True

    def __init__(self, store: mktl.Store, key: str, meter: Meter) -> None:
        super().__init__(store, key)
        self.controller = meter
        self.meter = meter

    def req_refresh(self) -> Any:
        self.meter.reached.set()
        assert self.meter.go_on.wait(30)
        return 1.0


class Quick(Slow):
    """Counts."""

    polled_apart = False

    def req_refresh(self) -> Any:
        self.meter.quick += 1
        return float(self.meter.quick)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def daemon(meter: Meter) -> Iterator[mktl.Daemon]:
    class Both(mktl.Daemon):
        def setup(self) -> None:
            for kind, key in ((Slow, "slow"), (Quick, "quick")):
                item = self.add_item(kind, key, meter, description={"type": "numeric"})
                item.poll(0.02)

    made = Both("slow", "hw")
    yield made
    meter.go_on.set()
    made.stop()


def test_an_item_that_is_polled_apart_does_not_hold_up_those_of_its_controller(daemon, meter):
    assert meter.reached.wait(30)
    before = meter.quick
    wait_until(lambda: meter.quick > before + 5)
    assert daemon.store["slow"].timestamp is None
    meter.go_on.set()
    wait_until(lambda: daemon.store["slow"].value == 1.0)
