"""Callbacks on the thread that reads broadcasts: what they may do there, and that none suffers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import mktl
from mktl.store import Store
from tests._support import wait_until
from tests._support.daemons import client_of, serving

ITEMS = {key: {"type": "numeric", "initial": 0} for key in ("one", "other", "third")}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS) as made:
        yield made


@pytest.fixture
def store(daemon: mktl.Daemon) -> Iterator[Store]:
    with client_of(daemon) as made:
        yield made


class Heard:
    """A callback that is quick, unless it is told to wait."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.threads: list[str] = []
        self.block_at: Any = None
        self.blocks, self.release = threading.Event(), threading.Event()

    def hear(self, _item: mktl.Item, value: Any, _time: float | None) -> None:
        if value == self.block_at:
            self.blocks.set()
            assert self.release.wait(30)
        self.values.append(value)
        self.threads.append(threading.current_thread().name)


def test_quick_callback_is_called_by_the_thread_that_reads(
    store: Store, daemon: mktl.Daemon
) -> None:
    heard = Heard()
    store["one"].register(heard.hear)
    values = iter(range(1, 100_000))

    def called_by_the_reader() -> bool:
        daemon.store["one"].publish(next(values))
        return any(name.startswith("mktl-broadcasts") for name in heard.threads)

    wait_until(called_by_the_reader)


def test_callback_that_blocks_though_it_was_quick_holds_up_no_other_item(
    store: Store, daemon: mktl.Daemon
) -> None:
    blocking, others = Heard(), [Heard(), Heard()]
    blocking.block_at = 10
    store["one"].register(blocking.hear)
    for key, other in zip(("other", "third"), others, strict=True):
        store[key].register(other.hear)
    for value in range(1, 31):
        daemon.store["one"].publish(value)
    assert blocking.blocks.wait(30)
    for value in range(1, 31):
        daemon.store["other"].publish(value)
        daemon.store["third"].publish(value)
    for other in others:
        wait_until(lambda other=other: other.values == list(range(1, 31)))
    assert blocking.values == list(range(1, 10))
    blocking.release.set()
    wait_until(lambda: blocking.values == list(range(1, 31)))


def test_items_go_on_though_callbacks_of_several_block_one_after_the_other(
    store: Store, daemon: mktl.Daemon
) -> None:
    first, second, third = Heard(), Heard(), Heard()
    first.block_at = second.block_at = 1
    for key, heard in (("one", first), ("other", second), ("third", third)):
        store[key].register(heard.hear)
        daemon.store[key].publish(1)
    assert first.blocks.wait(30)
    assert second.blocks.wait(30)
    wait_until(lambda: third.values == [1])
    second.release.set()
    first.release.set()
    for key in ("one", "other", "third"):
        daemon.store[key].publish(2)
    for heard in (first, second, third):
        wait_until(lambda heard=heard: heard.values == [1, 2])


def test_callback_may_read_an_item_that_has_to_be_subscribed_first(
    store: Store, daemon: mktl.Daemon
) -> None:
    daemon.store["other"].publish(7)
    found: list[Any] = []

    def look(_item: mktl.Item, _value: Any, _time: float | None) -> None:
        found.append((store["other"].value, store["other"].live))

    store["one"].register(look)
    daemon.store["one"].publish(1)
    wait_until(lambda: found)
    assert found == [(7, True)]


def test_callback_may_set_another_item_whose_callback_sets_a_third(
    store: Store, daemon: mktl.Daemon
) -> None:
    def set_other(_item: mktl.Item, value: Any, _time: float | None) -> None:
        store["other"].set(value)

    def set_third(_item: mktl.Item, value: Any, _time: float | None) -> None:
        store["third"].set(value)

    last = Heard()
    store["one"].register(set_other)
    store["other"].register(set_third)
    store["third"].register(last.hear)
    for value in range(1, 21):
        daemon.store["one"].publish(value)
    wait_until(lambda: last.values == list(range(1, 21)))


def test_callback_that_tries_to_end_the_program_ends_neither_the_reader_nor_others(
    store: Store, daemon: mktl.Daemon
) -> None:
    def leave(_item: mktl.Item, _value: Any, _time: float | None) -> None:
        sys.exit(3)

    heard = Heard()
    store["one"].register(leave)
    store["one"].register(heard.hear)
    for value in (1, 2, 3):
        daemon.store["one"].publish(value)
    wait_until(lambda: heard.values == [1, 2, 3])


@pytest.mark.parametrize("what", ["the store it is of", "everything"])
def test_callback_may_close(what: str, daemon: mktl.Daemon) -> None:
    closed = threading.Event()
    with client_of(daemon) as store:

        def close(_item: mktl.Item, _value: Any, _time: float | None) -> None:
            if what == "everything":
                mktl.close()
            else:
                store.close()
            closed.set()

        store["one"].register(close)
        daemon.store["one"].publish(1)
        assert closed.wait(30)


def test_many_values_at_once_come_all_and_in_order(store: Store, daemon: mktl.Daemon) -> None:
    found = {key: Heard() for key in ITEMS}
    for key, heard in found.items():
        store[key].register(heard.hear)
    for value in range(1, 901):
        for key in ITEMS:
            daemon.store[key].publish(value)
    for key, heard in found.items():
        wait_until(lambda heard=heard: len(heard.values) == 900)
        assert heard.values == list(range(1, 901))
        assert store[key].dropped == 0
