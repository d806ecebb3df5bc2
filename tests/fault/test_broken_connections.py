"""Connections that break, subscriptions in a storm of broadcasts: no old value stays."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
from mktl import _peer
from mktl.protocol.message import SYNC_TOPIC
from mktl.store import Store
from tests._support import wait_until
from tests._support.daemons import client_of, serving
from tests._support.proxy import Proxy

KEYS = [f"item{number}" for number in range(30)]
ITEMS = {key: {"type": "numeric", "initial": 0} for key in KEYS}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS) as running:
        yield running


@pytest.fixture
def proxies(daemon: mktl.Daemon) -> Iterator[tuple[Proxy, Proxy]]:
    made = Proxy(daemon.ports[0]), Proxy(daemon.ports[1])
    yield made
    for proxy in made:
        proxy.close()


@pytest.fixture
def store(daemon: mktl.Daemon, proxies: tuple[Proxy, Proxy], mktl_home: Path) -> Iterator[Store]:
    """A client whose connections go through the proxies: what is cached sends it there."""
    block = daemon.block.to_json()
    block["provenance"][0].update(hostname="127.0.0.1", rep=proxies[0].port, pub=proxies[1].port)
    cache = mktl_home / "client" / "cache" / "cryo"
    cache.mkdir(parents=True)
    (cache / f"{daemon.uuid}.json").write_text(json.dumps(block))
    made = Store("cryo")
    yield made
    made.close()


class Hearer:
    """Keeps the values that it hears of."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def hear(self, _item: mktl.Item, value: float, _time: float) -> None:
        self.values.append(value)


def assert_heard_in_order(hearer: Hearer, last: float) -> None:
    wait_until(lambda: hearer.values[-1:] == [last])
    assert hearer.values == sorted(hearer.values)


def test_clients_whose_connections_break_again_and_again_end_with_the_present_values(
    daemon: mktl.Daemon, store: Store, proxies: tuple[Proxy, Proxy]
) -> None:
    hearers = {key: Hearer() for key in KEYS[:10]}
    for key, hearer in hearers.items():
        store[key].register(hearer.hear, prime=True)
    value = 0
    for attempt in range(6):
        for _step in range(20):
            value += 1
            for key in hearers:
                daemon.store[key].publish(value)
        proxies[attempt % 2].break_all()
        with contextlib.suppress(mktl.MktlError):
            assert store["item0"].value <= value
        value += 1
        for key in hearers:
            daemon.store[key].publish(value)
        if attempt % 2:
            wait_until(lambda: store["item0"].live)
    for key, hearer in hearers.items():
        wait_until(lambda hearer=hearer: hearer.values[-1:] == [value])
        wait_until(lambda key=key: store[key].value == value)
        assert hearer.values == sorted(hearer.values)
    wait_until(lambda: store["item0"].live)
    daemon.store["item0"].publish(value + 1)
    wait_until(lambda: store["item0"].value == value + 1)


def test_values_that_bear_one_time_stamp_are_told_apart_after_a_break(
    daemon: mktl.Daemon, store: Store, proxies: tuple[Proxy, Proxy]
) -> None:
    hearer = Hearer()
    store["item0"].register(hearer.hear)
    for value in range(1, 9):
        proxies[1].break_all()
        daemon.store["item0"].publish(value, timestamp=1e9)
        wait_until(lambda value=value: hearer.values[-1:] == [value])
        wait_until(lambda: store["item0"].live)


def test_value_is_asked_for_while_broadcasts_do_not_come_in(
    daemon: mktl.Daemon, store: Store, proxies: tuple[Proxy, Proxy]
) -> None:
    assert store["item0"].value == 0
    wait_until(lambda: store["item0"].live)
    proxies[1].close()
    wait_until(lambda: not store["item0"].live)
    for value in range(1, 20):
        daemon.store["item0"].publish(value)
        assert store["item0"].value == value


def test_items_subscribed_in_a_storm_of_broadcasts_miss_nothing_that_matters(
    daemon: mktl.Daemon,
) -> None:
    stop = threading.Event()
    last = 0

    def storm() -> None:
        nonlocal last
        while not stop.is_set():
            last += 1
            for key in KEYS:
                daemon.store[key].publish(last)

    for side in ("client", "daemon"):
        hearers = {key: Hearer() for key in KEYS}
        stop.clear()
        publisher = threading.Thread(target=storm)
        publisher.start()
        with client_of(daemon) as store:
            where = store if side == "client" else daemon.store

            def subscribe(keys: list[str], where: Store = where) -> None:
                for key in keys:
                    where[key].register(hearers[key].hear, prime=True)  # noqa: B023

            threads = [
                threading.Thread(target=subscribe, args=[KEYS[first::4]]) for first in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            stop.set()
            publisher.join()
            for key in KEYS:
                assert_heard_in_order(hearers[key], last)
                assert where[key].value == last


def test_confirmation_of_subscriptions_that_comes_late_has_values_asked_for_again(
    daemon: mktl.Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that is so busy that the daemon takes its time."""
    monkeypatch.setattr(_peer, "SETTLE_S", 0.05)
    monkeypatch.setattr(_peer, "SETTLE_OF_OTHERS_S", 0.0)
    publisher = daemon._service.publisher
    assert publisher is not None
    held: list[bytes] = []
    answer = publisher._answer
    monkeypatch.setattr(publisher, "_answer", lambda: None)
    with client_of(daemon) as store:
        item = store["item0"]
        assert item.value == 0
        # A broadcast that was missed, as the subscription was not in force yet.
        monkeypatch.setattr(daemon._service, "broadcast", lambda *_call: held.append(b""))
        daemon.store["item0"].publish(7)
        monkeypatch.undo()
        assert publisher._asked
        assert all(topic.startswith(SYNC_TOPIC) for topic in publisher._asked)
        answer()
        wait_until(lambda: item.value == 7)
        assert held
