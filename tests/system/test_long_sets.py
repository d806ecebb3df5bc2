"""SETs that take long: when they were asked for, what stops them, what is told meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import mktl
from drivers.channel import Channel, Reading
from markd.runner import ChannelItem, CommandItem
from mktl._service import MOST_WAITING_FOR_A_LINE
from mktl.errors import MoveFailed
from tests._support import wait_until
from tests._support.daemons import client_of, serving

NUMBER = {"type": "numeric"}


class Hardware:
    """What the items of a test speak to: each SET waits until the test lets it go on."""

    def __init__(self) -> None:
        self.value: Any = 0
        self.carried_out: list[tuple[Any, float]] = []
        self.under_way = 0
        self.go_on = threading.Event()
        self.counting = threading.Lock()
        self.failure: Exception | None = None

    def prioritised(self, _kind: str) -> Any:
        return contextlib.nullcontext()

    def move(self, value: Any, asked_at: float) -> None:
        with self.counting:
            self.carried_out.append((value, asked_at))
            self.under_way += 1
        assert self.go_on.wait(50)
        self.value = value
        if self.failure is not None:
            raise self.failure

    def stop(self, _value: Any, _asked_at: float) -> None:
        self.go_on.set()


@pytest.fixture
def hardware() -> Hardware:
    return Hardware()


def channel(path: str, hardware: Hardware, **more: Any) -> Channel:
    return Channel(path, NUMBER, lambda: hardware.value, timed_write=hardware.move, **more)


@pytest.fixture
def daemon(hardware) -> Iterator[mktl.Daemon]:
    many = MOST_WAITING_FOR_A_LINE["set"] + 1

    class Moving(mktl.Daemon):
        def setup(self) -> None:
            for number in range(many):
                key = f"axis{number}"
                made = channel(key, hardware)
                self.add_item(ChannelItem, key, hardware, made, description=dict(made.item))
            for key in ("near", "far"):
                made = channel(key, hardware, set_order="axis 1")
                self.add_item(ChannelItem, key, hardware, made, description=dict(made.item))
            stop = Channel("stop", NUMBER, timed_write=hardware.stop, urgent=True)
            self.add_item(CommandItem, "stop", hardware, stop, description=dict(stop.item))

    with serving(daemon_class=Moving, store="moving") as made:
        yield made
        hardware.go_on.set()


@pytest.fixture
def store(daemon) -> Iterator[mktl.Store]:
    with client_of(daemon) as found:
        yield found


def test_a_set_knows_when_it_was_asked_for_however_long_it_waited(store, hardware):
    first = store["axis0"].set(1, wait=False)
    wait_until(lambda: len(hardware.carried_out) == 1)
    waits = store["axis0"].set(2, wait=False)
    waits.wait_acknowledged()
    between = time.monotonic()
    later = store["axis1"].set(3, wait=False)
    wait_until(lambda: len(hardware.carried_out) == 2)
    hardware.go_on.set()
    for pending in (first, waits, later):
        pending.wait(10)
    asked_at = dict(hardware.carried_out)
    assert [value for value, _asked_at in hardware.carried_out] == [1, 3, 2]
    assert asked_at[1] < asked_at[2] <= between <= asked_at[3]


def test_a_set_that_the_daemon_asks_of_itself_knows_it_too(daemon, hardware):
    before = time.monotonic()
    pending = daemon.store["axis0"].set(1, wait=False)
    after = time.monotonic()
    hardware.go_on.set()
    pending.wait(10)
    assert before <= hardware.carried_out[0][1] <= after


def test_what_stops_something_finds_a_thread_though_all_others_are_waiting(store, hardware):
    most = MOST_WAITING_FOR_A_LINE["set"]
    pending = [store[f"axis{number}"].set(1, wait=False) for number in range(most + 1)]
    wait_until(lambda: hardware.under_way == most, 30)
    store["stop"].set(1, timeout=10)
    for one in pending:
        one.wait(10)


def test_sets_of_items_that_share_an_order_are_carried_out_as_they_came(store, hardware):
    first = store["near"].set(1, wait=False)
    wait_until(lambda: hardware.under_way == 1)
    others = [store[key].set(value, wait=False) for value, key in ((2, "near"), (3, "far"))]
    others[-1].wait_acknowledged()
    others.append(store["near"].set(4, wait=False))
    hardware.go_on.set()
    for pending in (first, *others):
        pending.wait(10)
    assert [value for value, _asked_at in hardware.carried_out] == [1, 2, 3, 4]


def test_a_set_that_failed_on_its_way_tells_what_is_true_afterwards(store, hardware):
    hardware.failure = MoveFailed("it stands at 5")
    hardware.go_on.set()
    with pytest.raises(MoveFailed, match="it stands at 5"):
        store["axis0"].set(5)
    assert store["axis0"].get() == 5


def test_a_reading_is_published_with_its_quality(store, hardware):
    hardware.value = Reading(7, "changing", "moving to 12")
    payload = store.read(["axis0"], refresh=True)["axis0"]
    assert (payload.value, payload.quality, payload.reason) == (7, "changing", "moving to 12")
    hardware.value = 12
    payload = store.read(["axis0"], refresh=True)["axis0"]
    assert (payload.value, payload.quality, payload.reason) == (12, "valid", None)
    assert payload.checked is not None


class SlowlyRead(mktl.Item):
    """What it reads is old by the time that it has read it."""

    def __init__(self, store: mktl.Store, key: str) -> None:
        super().__init__(store, key)
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def req_refresh(self) -> int:
        self.reading.set()
        assert self.go_on.wait(10)
        return 1


def test_what_the_hardware_says_by_itself_is_newer_than_what_is_being_read():
    class Telling(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(SlowlyRead, "level", description=NUMBER)

    with serving(daemon_class=Telling, store="telling") as daemon, client_of(daemon) as store:
        level = daemon.store["level"]
        reader = threading.Thread(target=level.req_poll, name="reader", daemon=True)
        reader.start()
        assert level.reading.wait(10)
        level.hear(2)
        level.go_on.set()
        reader.join(10)
        assert level.get() == 2
        level.hear(mktl.Payload(3, quality="changing", reason="filling"))
        assert (level.get(), level.quality) == (3, "changing")
        with pytest.raises(mktl.NotSupported, match="by its daemon alone"):
            store["level"].hear(4)
