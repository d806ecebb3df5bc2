"""A reading that arrives after its link was lost is not shown as a valid value."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

import mktl
from mktl.controllers import ControllerStatus, LinkState, TurnKind
from tests._support import wait_until
from tests._support.daemons import serving


class Box:
    """A controller whose link and whose answers the test decides on."""

    def __init__(self) -> None:
        self.state: LinkState = "Up"
        self.asked = threading.Event()
        self.answer = threading.Event()
        self._callbacks: list[Callable[[ControllerStatus], None]] = []

    def start(self) -> None:
        self.change("Up")

    def close(self) -> None:
        self.answer.set()

    def status(self) -> ControllerStatus:
        return ControllerStatus(self.state, "", 0, None, 0.0)

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        self._callbacks.append(callback)

    def change(self, state: LinkState) -> None:
        self.state = state
        for callback in self._callbacks:
            callback(self.status())

    @contextlib.contextmanager
    def prioritised(self, kind: TurnKind) -> Iterator[None]:
        yield

    def raw(self, text: str) -> str:
        return text

    def read(self) -> float:
        self.asked.set()
        assert self.answer.wait(20)
        return 77.0


def test_a_reading_whose_link_was_lost_meanwhile_stays_invalid() -> None:
    box = Box()

    class Temperature(mktl.Item):
        controller = box

        def req_refresh(self) -> float:
            return box.read()

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_controller("tc", box)
            self.add_item(Temperature, "temp")

    with serving(daemon_class=Daemon) as daemon:
        item = daemon.store["temp"]
        assert box.asked.wait(20)  # the refresh that follows "Up"
        box.change("Down")
        wait_until(lambda: item.quality == "invalid", what="the item to be marked as invalid")
        box.answer.set()
        wait_until(lambda: daemon.lanes.waiting() == 0, what="the reading to be over")
        assert item.quality == "invalid"
        box.change("Up")
        wait_until(lambda: item.quality == "valid", what="the refresh that follows")
        assert item.value == pytest.approx(77.0)
