"""Callbacks that are slower than their item: what waits is bounded, and the newest counts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mktl
from mktl.callbacks import Callbacks
from mktl.lanes import Lanes
from mktl.payload import Payload
from mktl.waiting import MOST_BYTES, MOST_WAITING, Waiting
from tests._support import wait_until
from tests._support.daemons import client_of, serving


class Named:
    full_key = "cryo.temp"


class Slow:
    """A callback that waits until it may go on."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.entered, self.release = threading.Event(), threading.Event()

    def hear(self, _item: object, payload: Payload) -> None:
        self.entered.set()
        self.release.wait(30)
        self.values.append(payload.value)


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes("test")
    yield made
    made.close(timeout_s=1.0)


def test_oldest_values_are_dropped_and_counted_where_callbacks_are_slow(
    lanes: Lanes, caplog: pytest.LogCaptureFixture
) -> None:
    item, slow = Named(), Slow()
    callbacks = Callbacks(item, lambda: lanes)
    callbacks.add(slow.hear, payloads=True)
    callbacks.deliver(Payload(-1))
    assert slow.entered.wait(10)
    sent = 3 * MOST_WAITING
    with caplog.at_level(logging.WARNING):
        for value in range(sent):
            callbacks.deliver(Payload(value))
    assert lanes.waiting() == 1
    slow.release.set()
    wait_until(lambda: slow.values[-1:] == [sent - 1])
    assert slow.values == [-1, *range(sent - MOST_WAITING, sent)]
    assert callbacks.dropped == sent - MOST_WAITING
    assert len(caplog.records) == 1
    assert "cryo.temp" in caplog.text


def test_callbacks_that_keep_up_lose_nothing(lanes: Lanes) -> None:
    item, quick = Named(), Slow()
    quick.release.set()
    callbacks = Callbacks(item, lambda: lanes)
    callbacks.add(quick.hear, payloads=True)
    for value in range(10 * MOST_WAITING):
        callbacks.deliver(Payload(value))
        if value % 500 == 499:
            wait_until(lambda value=value: quick.values[-1:] == [value])
    assert quick.values == list(range(10 * MOST_WAITING))
    assert callbacks.dropped == 0


def test_what_waits_is_told_before_the_threads_end() -> None:
    lanes, item, slow = Lanes("test"), Named(), Slow()
    callbacks = Callbacks(item, lambda: lanes)
    callbacks.add(slow.hear, payloads=True)
    for value in range(500):
        callbacks.deliver(Payload(value))
    assert slow.entered.wait(10)
    closing = threading.Thread(target=lanes.close, args=[10.0])
    closing.start()
    wait_until(lambda: lanes._closing)
    slow.release.set()
    closing.join()
    assert slow.values == list(range(500))


def test_frames_that_wait_are_bounded_by_their_bytes() -> None:
    waiting: Waiting[int] = Waiting()
    frame = np.zeros(MOST_BYTES // 4, dtype="uint8")
    dropped = [waiting.put(number, Payload(frame)) for number in range(10)]
    assert dropped == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    huge = np.zeros(MOST_BYTES + 1, dtype="uint8")
    assert waiting.put(10, Payload(huge)) == 4
    assert waiting.get() == 10
    assert waiting.get(0.0) is None


@pytest.mark.parametrize(
    "value", ["x" * 1_000_000, [1.0] * 31_250, {str(n): n for n in range(31_250)}]
)
def test_long_texts_and_lists_count_as_well(value: object) -> None:
    waiting: Waiting[int] = Waiting()
    for number in range(200):
        waiting.put(number, Payload(value))
    assert len(waiting) < 100


def test_watch_that_is_not_read_ends_on_the_newest_value() -> None:
    with serving({"count": {"initial": 0}}) as daemon, client_of(daemon) as store:
        item = store["count"]
        watching = item.watch(timeout=10)
        assert next(watching).value == 0
        last = 2 * MOST_WAITING
        hearer = Slow()
        hearer.release.set()
        item.register(hearer.hear, payloads=True)
        for value in range(1, last + 1):
            daemon.store["count"].publish(value)
            if value % 500 == 0:
                wait_until(lambda value=value: hearer.values[-1:] == [value])
        found: list[Any] = []
        while found[-1:] != [last]:
            found.append(next(watching).value)
        watching.close()  # type: ignore[attr-defined]
        assert len(found) <= MOST_WAITING
        assert found == sorted(found)
        assert item.dropped == last - len(found)


def test_item_tells_of_what_callbacks_in_its_daemon_have_missed() -> None:
    with serving({"count": {"initial": 0}}) as daemon:
        slow = Slow()
        item: mktl.Item = daemon.store["count"]
        item.register(slow.hear, payloads=True)
        item.publish(-1)
        assert slow.entered.wait(10)
        for value in range(1, MOST_WAITING + 11):
            item.publish(value)
        assert item.dropped == 10
        slow.release.set()
        wait_until(lambda: slow.values[-1:] == [MOST_WAITING + 10])
