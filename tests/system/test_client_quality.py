"""What a client knows of the items of a daemon that is gone, cut off, replaced or back."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import mktl
from mktl import _asking, _heartbeat, config, directory
from mktl.store import Store
from mktl.transport import reader
from tests._support import free_tcp_port, running, wait_until
from tests._support.daemons import daemon_process, ports_of, serving, store_at
from tests._support.proxy import Proxy
from tests._support.wire import FakeDaemon, RawClient

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {"type": "numeric", "units": "kelvin", "initial": 77.35},
    "label": {"type": "string", "initial": "x"},
}
GONE = r"its daemon (cryo\.hw|warm\.fake) has not been heard since [-0-9]{10} [:0-9]{8} UTC"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKTL_SILENCE", "3")
    monkeypatch.setenv("MKTL_TIMEOUT", "2")
    monkeypatch.setattr(_asking, "SEARCH_EVERY_S", 0.5)
    monkeypatch.setattr(_heartbeat, "BREAK_S", 0.5)
    monkeypatch.setattr(directory, "CALL_WAIT_S", 0.1)


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    made = FakeDaemon("warm", {"number": {}}, {"number": {"value": 5, "time": 1795469729.1}})
    yield made
    made.close()


class Hearer:
    """Keeps the payloads that it hears of."""

    def __init__(self, item: mktl.Item) -> None:
        self.payloads: list[mktl.Payload] = []
        item.register(self.hear, prime=True, payloads=True)

    def hear(self, _item: mktl.Item, payload: mktl.Payload) -> None:
        self.payloads.append(payload)

    @property
    def last(self) -> mktl.Payload:
        return self.payloads[-1]

    @property
    def story(self) -> list[tuple[object, str]]:
        """Values and qualities, in order."""
        return [(payload.value, payload.quality) for payload in self.payloads]

    def assert_each_told_once(self) -> None:
        """Nothing is told twice; though a busy machine may lose a daemon more than once."""
        assert all(one != other for one, other in pairwise(self.story))


def assert_gone(item: mktl.Item, hearer: Hearer) -> None:
    """Wait until *item* counts as unknown, and look whether everybody is told so at once."""
    wait_until(lambda: hearer.last.quality == "invalid", 20)
    assert re.match(GONE, hearer.last.reason or "")
    asked: list[str] = []
    peer = item._source._subscribed_at  # type: ignore[union-attr]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(peer), "request", lambda *_args, **_options: asked.append("asked"))
        assert item.quality == "invalid"
        assert item.reason == hearer.last.reason
        assert item.timestamp == hearer.last.time
        assert item.checked == hearer.last.checked
    assert asked == []
    assert not item.live


def assert_back(item: mktl.Item, hearer: Hearer, value: object) -> None:
    wait_until(lambda: hearer.last.quality == "valid" and hearer.last.value == value, 30)
    wait_until(lambda: item.live)
    assert (item.value, item.quality, item.reason) == (value, "valid", None)


def test_items_of_a_daemon_that_was_killed_become_invalid_once_and_are_primed_when_it_is_back(
    tmp_path: Path,
) -> None:
    items = {**ITEMS, "temp": {**ITEMS["temp"], "persist": True}}
    with daemon_process(tmp_path, items) as first:
        port = ports_of(first)[0]
        with store_at("cryo", port) as store:
            temp = Hearer(store["temp"])
            label = Hearer(store["label"])
            store["temp"].set(80.0)
            wait_until(lambda: temp.last.value == 80.0)
            taken = temp.last.time
            first.kill()
            assert_gone(store["temp"], temp)
            assert_gone(store["label"], label)
            assert temp.last.value == 80.0
            with pytest.raises(mktl.MktlError):
                store["temp"].value  # noqa: B018
            with daemon_process(tmp_path, items):
                assert_back(store["temp"], temp, 80.0)
                assert_back(store["label"], label, "x")
                assert temp.last.time == taken
            temp.assert_each_told_once()
            label.assert_each_told_once()
            assert set(label.story) == {("x", "valid"), ("x", "invalid")}


def test_daemon_that_is_stopped_and_goes_on_is_noticed_both_times(tmp_path: Path) -> None:
    with daemon_process(tmp_path, ITEMS) as child, store_at("cryo", ports_of(child)[0]) as store:
        hearer = Hearer(store["temp"])
        wait_until(lambda: store["temp"].live)
        watching: list[mktl.Payload] = []

        def watch() -> None:
            for payload in store["temp"].watch():
                watching.append(payload)
                if len(watching) == 3:
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        wait_until(lambda: watching)
        os.kill(child.pid, signal.SIGSTOP)
        try:
            assert_gone(store["temp"], hearer)
            with pytest.raises(mktl.MktlError):
                store["temp"].value  # noqa: B018
        finally:
            os.kill(child.pid, signal.SIGCONT)
        assert_back(store["temp"], hearer, 77.35)
        watcher.join(20)
        assert [payload.quality for payload in watching] == ["valid", "invalid", "valid"]
        hearer.assert_each_told_once()


@pytest.fixture
def proxies() -> Iterator[tuple[mktl.Daemon, Proxy, Proxy]]:
    with serving(ITEMS) as daemon:
        made = Proxy(daemon.ports[0]), Proxy(daemon.ports[1])
        try:
            yield daemon, *made
        finally:
            for proxy in made:
                proxy.close()


def cache_through(daemon: mktl.Daemon, requests: Proxy, broadcasts: Proxy) -> None:
    """Have clients find the daemon behind the proxies: what is cached sends them there."""
    block = daemon.block.to_json()
    block["provenance"][0].update(hostname="127.0.0.1", rep=requests.port, pub=broadcasts.port)
    cache = config.home() / "client" / "cache" / "cryo"
    cache.mkdir(parents=True)
    (cache / f"{daemon.uuid}.json").write_text(json.dumps(block))


def cut(proxy: Proxy, how: str, on: bool) -> None:
    if how == "holds":
        proxy.hold(on)
        return
    proxy.swallows = on
    if not on:  # what was lost on the way can only be told on a new connection
        proxy.break_all()


@pytest.mark.parametrize("how", ["swallows", "holds"])
def test_network_that_is_cut_without_a_word_is_noticed_and_so_is_its_end(
    proxies: tuple[mktl.Daemon, Proxy, Proxy], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, *both = proxies
    cache_through(daemon, *both)
    # Elsewhere it cannot be reached either.
    monkeypatch.setattr(_asking.Asking, "_find_again", lambda _self: False)
    with contextlib.closing(Store("cryo")) as store:
        hearer = Hearer(store["temp"])
        wait_until(lambda: store["temp"].live)
        for proxy in both:
            cut(proxy, how, True)
        daemon.store["temp"].publish(5.0)
        assert_gone(store["temp"], hearer)
        daemon.store["temp"].publish(6.0)
        for proxy in both:
            cut(proxy, how, False)
        assert_back(store["temp"], hearer, 6.0)
        # What was on its way for so long is not told as if it were the present value.
        assert (5.0, "valid") not in hearer.story
        hearer.assert_each_told_once()


def test_daemon_that_is_back_at_other_ports_is_found_by_itself(
    tmp_path: Path, mktl_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon_process(tmp_path, ITEMS) as first:
        ports = ports_of(first)
        with store_at("cryo", ports[0]) as store:
            hearer = Hearer(store["temp"])
            wait_until(lambda: store["temp"].live)
            first.kill()
            assert_gone(store["temp"], hearer)
            shutil.rmtree(mktl_home / "daemon" / "port")
            monkeypatch.setenv("MKTL_FIRST_PORT", str(free_tcp_port()))
            with daemon_process(tmp_path, ITEMS) as second:
                assert not set(ports) & set(ports_of(second))
                assert_back(store["temp"], hearer, 77.35)


def forget_identity(home: Path) -> None:
    for path in (home / "daemon" / "store" / "cryo").glob("hw.uuid"):
        path.unlink()


def test_callbacks_are_subscribed_again_at_a_daemon_that_has_another_identity(
    tmp_path: Path, mktl_home: Path
) -> None:
    """Nothing is read meanwhile: it happens by itself."""
    with daemon_process(tmp_path, ITEMS) as first, store_at("cryo", ports_of(first)[0]) as store:
        hearer = Hearer(store["temp"])
        label = Hearer(store["label"])
        wait_until(lambda: store["temp"].live and store["label"].live)
        first.kill()
        wait_until(lambda: hearer.last.quality == "invalid", 20)
        forget_identity(mktl_home)
        changed = {"temp": {**ITEMS["temp"], "initial": 60.0}}
        with daemon_process(tmp_path, changed) as second:
            wait_until(lambda: hearer.last.quality == "valid", 30)
            assert hearer.last.value == 60.0
            client = RawClient(*ports_of(second))
            client.set("cryo.temp", 61.0)
            wait_until(lambda: hearer.last.value == 61.0)
            client.close()
            assert_back(store["temp"], hearer, 61.0)
            # What it does not have any more is not known, and it is said why.
            assert label.last.quality == "invalid"
            assert store["label"].quality == "invalid"
            with pytest.raises(KeyError):
                store["label"].value  # noqa: B018


CLIENT = """
import sys, threading
from mktl.store import Store
store = Store("cryo", at=("127.0.0.1", int(sys.argv[1])))
def hear(item, payload):
    print(payload.quality, payload.value, flush=True)
store["temp"].register(hear, prime=True, payloads=True)
threading.Event().wait()
"""


def test_client_that_is_held_up_itself_raises_no_false_alarm(tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(CLIENT)
    with serving(ITEMS) as daemon, running([script, str(daemon.ports[0])], ready="valid") as child:
        clock = daemon.store["_hwclk"]
        began = clock.value
        child.send_signal(signal.SIGSTOP)
        # Longer than a daemon may be silent; it is the client that does not listen.
        wait_until(lambda: clock.value > began + 4.5, 20)
        child.send_signal(signal.SIGCONT)
        daemon.store["temp"].publish(1.5)
        child.wait_for(r"^valid 1\.5$")
        after = clock.value
        wait_until(lambda: clock.value > after + 0.5)
        assert "invalid" not in child.stdout_text


def test_client_that_was_held_up_for_long_asks_for_what_it_may_have_missed(
    fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store_at("warm", fake.rep) as store:
        hearer = Hearer(store["number"])
        wait_until(lambda: store["number"].live)
        fake.values["number"] = {"value": 6, "time": 1795469730.1}
        monkeypatch.setattr(reader, "_HELD_UP_S", 0.1)  # as each look is late by then
        wait_until(lambda: hearer.last.value == 6)


def test_daemon_without_a_clock_is_asked_and_believed(
    fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "silence_s", lambda: 0.6)
    monkeypatch.setenv("MKTL_TIMEOUT", "4")
    with store_at("warm", fake.rep) as store:
        hearer = Hearer(store["number"])
        wait_until(lambda: store["number"].live)
        before = fake.targets().count("warm._hash")
        wait_until(lambda: fake.targets().count("warm._hash") >= before + 2, 20)
        assert [quality for _value, quality in hearer.story] == ["valid"]
        fake.respond = lambda _request: []
        assert_gone(store["number"], hearer)
        fake.respond = lambda _request: None
        assert_back(store["number"], hearer, 5)


def test_broadcast_with_a_time_far_in_the_future_does_not_hide_what_comes_after_it(
    fake: FakeDaemon,
) -> None:
    with store_at("warm", fake.rep) as store:
        hearer = Hearer(store["number"])
        wait_until(lambda: store["number"].live)
        sent = [(6, 4e9), (7, 1795469730.0), (8, 1795469731.0), (9, 1.0), (10, 2.0)]
        for value, time in sent:
            fake.values["number"] = {"value": value, "time": time}
            fake.publish(b"warm.number.", b"a", json.dumps(fake.values["number"]).encode())
        wait_until(lambda: hearer.last.value == 10)
        values = [payload.value for payload in hearer.payloads]
        assert values == sorted(values)
        assert store["number"].value == 10


def test_answer_with_a_time_far_in_the_future_does_not_hide_what_comes_after_it(
    fake: FakeDaemon,
) -> None:
    fake.values["number"] = {"value": 5, "time": 4e9}
    with store_at("warm", fake.rep) as store:
        hearer = Hearer(store["number"])
        wait_until(lambda: store["number"].live)
        for value in range(6, 60):
            fake.values["number"] = {"value": value, "time": 1795469730.0 + value}
            fake.publish(b"warm.number.", b"a", json.dumps(fake.values["number"]).encode())
        wait_until(lambda: hearer.last.value == 59)
        values = [payload.value for payload in hearer.payloads]
        assert values == sorted(values)
        assert store["number"].value == 59


def test_value_that_callbacks_have_not_heard_of_is_told_after_a_break_though_it_was_read(
    proxies: tuple[mktl.Daemon, Proxy, Proxy],
) -> None:
    daemon, requests, broadcasts = proxies
    cache_through(daemon, requests, broadcasts)
    with contextlib.closing(Store("cryo")) as store:
        item = store["temp"]
        hearer = Hearer(item)
        wait_until(lambda: item.live)
        broadcasts.holds = True
        broadcasts.break_all()
        wait_until(lambda: not item.live)
        daemon.store["temp"].publish(5.0)
        assert item.value == 5.0
        broadcasts.holds = False
        wait_until(lambda: hearer.last.value == 5.0)


def take_over(requests: Proxy, stranger: FakeDaemon) -> None:
    """Have *stranger* answer from now on, and clients be connected to it."""
    before = requests.accepted
    requests.target = stranger.rep
    requests.break_all()
    wait_until(lambda: requests.accepted > before)


def test_set_is_not_sent_to_another_daemon_that_has_taken_the_address(
    proxies: tuple[mktl.Daemon, Proxy, Proxy],
) -> None:
    daemon, requests, broadcasts = proxies
    cache_through(daemon, requests, broadcasts)
    items = {"temp": {"type": "numeric"}}
    stranger = FakeDaemon("cryo", items, {"temp": {"value": 1, "time": 1.0}})
    try:
        with contextlib.closing(Store("cryo")) as store:
            assert store["temp"].get(refresh=True) == 77.35
            take_over(requests, stranger)
            # It is looked for, and found where it really is.
            store["temp"].set(90.0)
            assert daemon.store["temp"].value == 90.0
            assert stranger.targets(b"SET") == []
            assert store.read(["temp"])["temp"].value == 90.0  # type: ignore[union-attr]
    finally:
        stranger.close()


def test_set_of_a_daemon_that_is_nowhere_else_says_that_another_one_answers(
    proxies: tuple[mktl.Daemon, Proxy, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, requests, broadcasts = proxies
    cache_through(daemon, requests, broadcasts)
    monkeypatch.setattr(_asking.Asking, "_find_again", lambda _self: False)
    stranger = FakeDaemon("other", {"temp": {}}, {"temp": {"value": 1, "time": 1.0}})
    try:
        with contextlib.closing(Store("cryo")) as store:
            assert store["temp"].get(refresh=True) == 77.35
            take_over(requests, stranger)
            with pytest.raises(mktl.NoAnswer, match="another daemon answers there now"):
                store["temp"].set(90.0)
            assert stranger.targets(b"SET") == []
    finally:
        stranger.close()


def test_who_is_not_subscribed_learns_after_a_restart_that_names_have_changed(
    tmp_path: Path,
) -> None:
    before = {"mode": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}, "initial": 1}}
    after = {"mode": {"type": "enumerated", "enumerators": {"0": "Idle", "1": "Run"}, "initial": 1}}
    with daemon_process(tmp_path, before) as first, store_at("cryo", ports_of(first)[0]) as store:
        assert store["mode"].get(refresh=True, formatted=True) == "On"
        first.kill()
        with daemon_process(tmp_path, after):
            payload = store.read(["mode"])["mode"]
            assert isinstance(payload, mktl.Payload)
            assert store["mode"].description.to_text(payload.value) == "Run"


def test_callbacks_are_subscribed_again_at_the_daemon_that_holds_the_key_now(
    tmp_path: Path,
) -> None:
    moving = {"moving": {"initial": 1}}
    with daemon_process(tmp_path, {**moving, **ITEMS}, alias="a") as first:
        hearer = Hearer(mktl.get("cryo.moving"))
        wait_until(lambda: mktl.get("cryo.moving").live)
        first.kill()
        moving["moving"]["initial"] = 2
        with (
            daemon_process(tmp_path, moving, alias="b"),
            daemon_process(tmp_path, ITEMS, alias="a"),
        ):
            wait_until(lambda: hearer.last.quality == "valid" and hearer.last.value == 2, 20)
            assert mktl.get("cryo.moving").value == 2
