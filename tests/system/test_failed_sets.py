"""A SET that failed in the hardware: what the item is then. And why it is in doubt, as of now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import mktl
from drivers.channel import Channel
from markd.runner import ChannelItem
from mktl.errors import (
    BadValue,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    LinkDown,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests._support.daemons import client_of, serving
from tests.system._instrument import Seen

NUMBER = {"type": "numeric"}


class Hardware:
    """What the items of a test speak to: how a SET and a reading end is what the test says."""

    def __init__(self) -> None:
        self.value = 1.0
        self.takes: float | None = None
        self.failure: Exception | None = None
        self.unreadable: Exception | None = None
        self.reads = 0

    def prioritised(self, _kind: str) -> Any:
        return contextlib.nullcontext()

    def read(self) -> float:
        self.reads += 1
        if self.unreadable is not None:
            raise self.unreadable
        return self.value

    def write(self, value: float) -> None:
        self.value = value if self.takes is None else self.takes
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def hardware() -> Hardware:
    return Hardware()


@pytest.fixture
def store(hardware) -> Iterator[mktl.Store]:
    class Plain(mktl.Item):
        def req_refresh(self) -> float:
            return hardware.read()

        def req_set(self, request: Any) -> None:
            hardware.write(request.value)
            self.req_poll()

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            made = Channel("level", NUMBER, hardware.read, hardware.write)
            described = dict(made.item)
            self.add_item(ChannelItem, "level", hardware, made, description=described)
            self.add_item(Plain, "plain", description=NUMBER)

    with serving(daemon_class=Daemon, store="tank") as daemon, client_of(daemon) as found:
        yield found


@pytest.mark.parametrize("key", ["level", "plain"])
@pytest.mark.parametrize(
    ("failure", "value"),
    [
        (DeviceTimeout("no answer, it may or may not have been carried out"), 5.0),
        (ProtocolMismatch("half an answer"), 5.0),
        (DeviceRefused("5 was sent, and 4 is what it has then"), 4.0),
    ],
)
def test_what_the_hardware_has_after_a_set_that_failed_is_known(
    store, hardware, key, failure, value
):
    item = store[key]
    assert item.get(refresh=True) == 1.0
    seen = Seen(item)
    hardware.failure, hardware.takes = failure, value
    with pytest.raises(type(failure), match=str(failure)):
        item.value = 5.0
    wait_until(lambda: seen.values[-1:] == [value])
    assert item.value == value


@pytest.mark.parametrize("key", ["level", "plain"])
def test_a_value_is_in_doubt_if_it_cannot_be_read_after_a_set_that_failed(store, hardware, key):
    item = store[key]
    assert item.get(refresh=True) == 1.0
    hardware.failure, hardware.unreadable = DeviceTimeout("no answer"), LinkDown("it is down")
    with pytest.raises(DeviceTimeout, match="no answer"):
        item.value = 5.0
    wait_until(lambda: (item.quality, item.reason) == ("invalid", "it is down"))


def test_what_was_refused_before_anything_was_sent_is_not_read(store, hardware):
    store["level"].get(refresh=True)
    reads = hardware.reads
    hardware.failure = BadValue("5 is too much")
    with pytest.raises(BadValue, match="too much"):
        store["level"].value = 5.0
    assert hardware.reads == reads


def test_what_was_set_and_cannot_be_read_then_is_read_once(store, hardware):
    store["level"].get(refresh=True)
    reads = hardware.reads
    hardware.unreadable = DeviceTimeout("no answer")
    with pytest.raises(DeviceTimeout, match="no answer"):
        store["level"].value = 5.0
    assert hardware.reads == reads + 1


def test_the_reason_for_doubt_is_the_present_one(store, hardware):
    item = store["level"]
    seen = Seen(item)

    def fails(error: DeviceError) -> None:
        hardware.unreadable = error
        with pytest.raises(type(error)):
            item.get(refresh=True)

    for words in ("'----' is no number", "'%' is not the unit", "'----' is no number"):
        fails(InvalidReading(words))
        wait_until(lambda words=words: seen.doubts[-1:] == [words])

    # What counts is not told each time, and yet never much later than it is true.
    told = len(seen.doubts)
    for seconds in range(200):
        fails(InvalidReading(f"no reading for {seconds} s"))
    assert len(seen.doubts) < told + 100
    last = "no reading for 999 s"
    wait_until(lambda: fails(InvalidReading(last)) or item.reason == last)
