"""Broadcasts that did not arrive: no old value is taken for the present one."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
from mktl import _peer
from mktl._process import Process
from mktl.catalog import Block
from mktl.errors import ConnectionLost
from mktl.lanes import Lanes
from mktl.transport import publisher
from tests._support import running, wait_until
from tests._support.daemons import client_of, serving, store_at
from tests._support.wire import FakeDaemon, RawClient

WATCHER = """
import sys, time
from mktl.store import Store
store = Store("cryo", at=("127.0.0.1", int(sys.argv[1])))
heard = []
def hear(item, value, time):
    heard.append(value)
store["last"].register(hear, prime=True)
print("primed", store["pad"].value is None, store["last"].value, flush=True)
while True:
    print("now", store["last"].value, store["last"].live, flush=True)
    print("heard", heard[-1:], heard == sorted(set(heard)), flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    made = FakeDaemon("warm", {"number": {}}, {"number": {"value": 5, "time": 1795469729.1}})
    yield made
    made.close()


def test_subscriber_that_did_not_read_for_a_while_ends_on_the_last_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "_HIGH_WATER", 100)
    script = tmp_path / "watcher.py"
    script.write_text(WATCHER)
    items = {"pad": {"type": "string"}, "last": {"type": "numeric", "initial": 0}}
    with serving(items) as daemon, client_of(daemon) as other:
        assert other["last"].value == 0
        with running([script, str(daemon.ports[0])], ready=r"^now 0 True$") as child:
            child.send_signal(signal.SIGSTOP)
            for number in range(4000):
                daemon.store["pad"].publish(f"{number}" + 10_000 * "x")
                time.sleep(0)
                daemon.store["last"].publish((number + 1) / 100)
            daemon.store["last"].publish(42)
            child.send_signal(signal.SIGCONT)
            child.wait_for(r"^now 42 True$")
            child.wait_for(r"^heard \[42\] True$")
        wait_until(lambda: other["last"].live and other["last"].value == 42)


def test_who_reads_gets_every_broadcast_although_another_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher, "_HIGH_WATER", 100)
    with serving({"pad": {"type": "string"}}) as daemon:
        idle, reader = RawClient(*daemon.ports), RawClient(*daemon.ports)
        try:
            assert idle.subscriber is not None
            idle.subscriber.rcvhwm = 10
            idle.subscribe(b"cryo.pad.")
            reader.subscribe(b"cryo.pad.")
            for number in range(3000):
                daemon.store["pad"].publish(f"{number:05}" + 10_000 * "x")
                frames = reader.next_broadcast()
                assert json.loads(frames[2])["value"].startswith(f"{number:05}x")
        finally:
            idle.close()
            reader.close()


def test_subscription_that_fails_is_made_again_by_the_next_who_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = {key: {"type": "numeric", "initial": 1} for key in "xy"}
    with serving(items) as daemon, client_of(daemon) as store:
        assert store["y"].value == 1
        listener = store._peer("x")._listener
        assert listener is not None

        def refuse(_change: object) -> None:
            raise ConnectionLost("this connection was closed")

        with monkeypatch.context() as patch:
            patch.setattr(listener, "_configure", refuse)
            with pytest.raises(ConnectionError):
                _ = store["x"].value
        assert store["x"].value == 1
        wait_until(lambda: store["x"].live)
        daemon.store["x"].publish(42)
        wait_until(lambda: store["x"].value == 42)


def test_items_subscribed_while_their_daemon_moves_are_all_subscribed_at_the_new_address() -> None:
    items = {f"item{number}": {"type": "numeric", "initial": 0} for number in range(200)}
    with serving(items) as daemon, client_of(daemon) as store:
        assert store["item0"].value == 0
        peer = store._peer("item0")
        ending = threading.Event()

        def move() -> None:
            while not ending.is_set():
                peer.move(peer.block)
                ending.wait(0.005)

        mover = threading.Thread(target=move)
        mover.start()
        try:
            for key in items:
                while True:
                    try:
                        store[key].subscribe()
                    except mktl.MktlError:
                        continue
                    break
        finally:
            ending.set()
            mover.join()
        wait_until(lambda: peer.live)
        for number, key in enumerate(items):
            daemon.store[key].publish(number + 1)
        for number, key in enumerate(items):
            wait_until(lambda key=key, number=number: store[key].value == number + 1)
        assert peer.live


def test_clock_of_a_daemon_that_confirms_nothing_has_values_asked_for_again(
    fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_peer, "SETTLE_S", 0.05)
    with store_at("warm", fake.rep) as store:
        item = store["number"]
        assert item.value == 5
        assert item.live
        # It has changed while the subscription was not in force yet.
        fake.values["number"] = {"value": 7, "time": 1795469730.1}
        wait_until(lambda: b"\1warm._fakeclk." in fake.subscriptions)
        assert fake.subscriptions.index(b"\1warm._fakeclk.") > fake.subscriptions.index(
            b"\1warm.number."
        )
        for tick in range(2):
            fake.publish(b"warm._fakeclk.", b"a", b'{"value":%d,"time":1795469731.1}' % tick)
        wait_until(lambda: item.value == 7)
        wait_until(lambda: item.live)
        asked = len(fake.targets(b"GET"))
        for tick in range(2, 9):
            fake.publish(b"warm._fakeclk.", b"a", b'{"value":%d,"time":1795469731.1}' % tick)
        fake.publish(b"warm.number.", b"a", b'{"value":9,"time":1795469740.1}')
        wait_until(lambda: item.value == 9)
        assert len(fake.targets(b"GET")) == asked


def test_break_that_comes_while_the_search_ends_starts_another_search(
    fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store_at("warm", fake.rep) as store:
        assert store["number"].value == 5
        peer = store._peer("number")
        searches = threading.Semaphore(0)
        monkeypatch.setattr(_peer.Peer, "_find_again", lambda _self: searches.release())

        class Ending:
            """The search finds the connection up, and just then it breaks again."""

            def __init__(self, event: threading.Event) -> None:
                self._event = event
                self._first = True

            def is_set(self) -> bool:
                was_set = self._event.is_set()
                # The reader's thread looks at it as well.
                searching = threading.current_thread() is threading.main_thread()
                if was_set and self._first and searching:
                    self._first = False
                    breaking.start()
                    breaking.join(0.2)
                return was_set

            def __getattr__(self, name: str) -> object:
                return getattr(self._event, name)

        breaking = threading.Thread(target=peer._note_connection, args=[False])
        monkeypatch.setattr(peer, "_connected", Ending(peer._connected))
        peer._searching = True
        peer._search_while_gone()
        breaking.join()
        assert searches.acquire(timeout=30)
        peer._note_connection(True)


def test_daemons_that_are_gone_leave_threads_for_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_peer.Peer, "_find_again", lambda _self: False)
    process = Process()
    process._lanes = Lanes("few", few=2, most=3)
    block = Block("cryo", "hw", "one", 1.0, 1, {})
    peers = [_peer.Peer(block, process, lambda _block: None) for _one in range(6)]
    called = threading.Event()
    try:
        for peer in peers:
            peer._note_connection(False)
        process.lanes().submit("callback", called.set)
        assert called.wait(20)
    finally:
        for peer in peers:
            peer.close()
        process.end()
