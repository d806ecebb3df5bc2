"""Items that one exchange reads, links that are paused, and exchanges that are traced."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import mktl
from drivers.controller import Controller
from mktl.errors import InvalidReading, LinkDown
from tests._support import wait_until
from tests.unit.drivers.fakes import answer_with_name, device


class Reading(mktl.Item):
    """One of several values that are read at once."""

    def __init__(self, store: mktl.Store, key: str, box: Box) -> None:
        super().__init__(store, key)
        self.box = box

    def req_refresh(self) -> Any:
        self.box.single += 1
        return self.box.values[self.key]

    def req_set(self, request: Any) -> None:
        self.box.values[self.key] = request.value
        self.req_poll()


class Box:
    """Hardware that gives three values at once."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"a": 1.0, "b": 2.0, "c": 3.0}
        self.blocks = 0
        self.single = 0
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def read(self) -> Sequence[Any]:
        found = list(self.values.values())
        self.blocks += 1
        if not self.go_on.is_set():
            self.reached.set()
            assert self.go_on.wait(30)
        return found


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def daemon(box: Box) -> Iterator[mktl.Daemon]:
    class Three(mktl.Daemon):
        def setup(self) -> None:
            items = [
                self.add_item(Reading, key, box, description={"type": "numeric"})
                for key in box.values
            ]
            self.poll_together(items, 0.02, box.read)

    made = Three("blocks", "hw")
    yield made
    made.stop()


def test_one_exchange_feeds_all_items_of_a_block(daemon, box):
    wait_until(lambda: [daemon.store[key].value for key in "abc"] == [1.0, 2.0, 3.0])
    box.values["b"] = 5.0
    wait_until(lambda: daemon.store["b"].value == 5.0)
    assert box.blocks > 1
    assert box.single <= 3  # the first use of an item asks for it


def test_an_error_in_a_block_is_that_of_its_item_alone(daemon, box):
    box.values["b"] = InvalidReading("----")
    wait_until(lambda: daemon.store["b"].quality == "invalid")
    assert "----" in daemon.store["b"].reason
    assert daemon.store["a"].quality == "valid"
    box.values["b"] = 2.5
    wait_until(lambda: daemon.store["b"].quality == "valid")
    assert daemon.store["b"].value == 2.5


def test_a_block_that_was_read_before_a_set_does_not_undo_it(daemon, box):
    wait_until(lambda: daemon.store["a"].value == 1.0)
    seen: list[float] = []

    def see(_item: mktl.Item, value: float, _time: float) -> None:
        seen.append(value)

    daemon.store["a"].register(see)
    box.go_on.clear()
    assert box.reached.wait(10)  # the old value is read now, and published later
    daemon.store["a"].set(9.0)
    box.go_on.set()
    blocks = box.blocks
    wait_until(lambda: box.blocks >= blocks + 2)
    wait_until(lambda: 9.0 in seen)
    assert 1.0 not in seen[seen.index(9.0) :]
    assert daemon.store["a"].value == 9.0


def test_an_item_that_is_polled_by_itself_leaves_its_block(daemon, box):
    # One that has no value yet would be asked for it, below.
    wait_until(lambda: daemon.store["c"].value == 3.0)
    daemon.store["c"].poll(None)
    box.values["c"] = 30.0
    blocks = box.blocks
    wait_until(lambda: box.blocks >= blocks + 2)
    assert daemon.store["c"].value != 30.0


class Named(mktl.Item):
    """Something that a controller says."""

    def __init__(self, store: mktl.Store, key: str, controller: Controller) -> None:
        super().__init__(store, key)
        self.controller = controller

    def req_refresh(self) -> str:
        return self.controller.ask("x")


def test_a_paused_link_frees_the_port_and_says_so():
    with device(answer_with_name) as fake:

        class Paused(mktl.Daemon):
            def setup(self) -> None:
                self.add_controller("tc", Controller(fake.url, retry_first_s=0.05))
                self.add_item(Named, "x", self._controllers._controllers["tc"])

        daemon = Paused("pause", "hw")
        try:
            link = daemon.store["tc_link"]
            wait_until(lambda: link.formatted == "Up")
            assert daemon.store["x"].get(refresh=True) == "re x"
            link.set("Paused", formatted=True)
            wait_until(lambda: link.formatted == "Paused")
            wait_until(lambda: daemon.store["x"].quality == "invalid")
            assert fake.connections == 1
            with pytest.raises(LinkDown, match="paused"):
                daemon.store["x"].get(refresh=True)
            with pytest.raises(ValueError, match="Paused"):
                link.set("Down", formatted=True)
            link.set("Up", formatted=True)
            wait_until(lambda: link.formatted == "Up")
            wait_until(lambda: daemon.store["x"].quality == "valid")
            assert fake.connections == 2
        finally:
            daemon.stop()


def test_a_trace_shows_what_is_sent_and_what_comes_back():
    with device(answer_with_name) as fake:

        class Traced(mktl.Daemon):
            def setup(self) -> None:
                self.add_controller("tc", Controller(fake.url))
                self.add_item(Named, "x", self._controllers._controllers["tc"])

        daemon = Traced("trace", "hw")
        try:
            wait_until(lambda: daemon.store["tc_link"].formatted == "Up")
            traffic = daemon.store["tc_traffic"]
            daemon.store["tc_trace"].set(True)
            daemon.store["x"].get(refresh=True)
            wait_until(lambda: traffic.value and traffic.value.startswith(r"x\n -> re x"))
            daemon.store["tc_trace"].set(False)
            # Also what was read as the link came up may have been traced, and be on its way yet.
            wait_until(lambda: daemon._service.waiting() == 0)
            before = traffic.timestamp
            daemon.store["x"].get(refresh=True)
            wait_until(lambda: daemon._service.waiting() == 0)
            assert traffic.timestamp == before
        finally:
            daemon.stop()
