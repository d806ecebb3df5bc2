"""What a crash, a restart and a second copy of a daemon do to values and to clients."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

import mktl
from tests._support import wait_until
from tests._support.daemons import daemon_process, ports_of, store_at
from tests._support.wire import RawClient

ITEMS = {
    "setpoint": {"type": "numeric", "persist": True, "initial": 1.0},
    "label": {"type": "string", "persist": True},
    "image": {"type": "bulk", "persist": True},
    "fleeting": {"type": "numeric", "initial": 0},
}


def test_acknowledged_values_survive_kill_9_and_ports_are_kept(tmp_path: Path) -> None:
    image = np.arange(6, dtype=">u2").reshape(2, 3)
    with daemon_process(tmp_path, ITEMS) as first:
        ports = ports_of(first)
        with store_at("cryo", ports[0]) as store:
            store["setpoint"].set(81.5)
            store["label"].set("grün\n\u2028")
            store["image"].set(image)
            store["fleeting"].set(3)
        first.kill()
    with daemon_process(tmp_path, ITEMS) as second:
        assert ports_of(second) == ports
        with store_at("cryo", ports[0]) as store:
            assert store["setpoint"].value == 81.5
            assert store["label"].value == "grün\n\u2028"
            restored = store["image"].value
            assert restored.dtype == image.dtype
            assert restored.dtype.byteorder == ">"
            assert restored.tolist() == image.tolist()
            assert store["fleeting"].value == 0


def test_no_acknowledged_value_is_lost_by_kill_9_in_the_middle_of_many_sets(tmp_path: Path) -> None:
    acknowledged = 0
    with daemon_process(tmp_path, ITEMS) as first:
        client = RawClient(*ports_of(first))
        sent = [client.send_request("SET", "cryo.setpoint", {"value": n}) for n in range(2, 400)]
        client.reply_to(sent[100])
        first.kill()
        acknowledged = 102
        while (frames := client.receive(0.2)) is not None:
            if frames[2] == b"REP":
                assert json.loads(frames[5]) == {"value": True}
                acknowledged = 2 + sent.index(frames[1])
        client.close()
    with daemon_process(tmp_path, ITEMS) as second:
        client = RawClient(*ports_of(second))
        # One more may have been written whose reply never came.
        assert client.get("cryo.setpoint")["value"] >= acknowledged
        client.close()


def test_value_that_equals_the_initial_one_is_kept_when_the_description_changes(
    tmp_path: Path,
) -> None:
    with daemon_process(tmp_path, ITEMS) as first, store_at("cryo", ports_of(first)[0]) as store:
        store["setpoint"].set(1.0)
    changed = {**ITEMS, "setpoint": {**ITEMS["setpoint"], "initial": 5.0}}
    with (
        daemon_process(tmp_path, changed) as second,
        store_at("cryo", ports_of(second)[0]) as store,
    ):
        assert store["setpoint"].value == 1.0


def test_clients_carry_on_after_a_restart_and_hear_of_new_values(tmp_path: Path) -> None:
    heard: list[object] = []

    def note(_item: mktl.Item, payload: mktl.Payload) -> None:
        # While the daemon is away for long, it is told that nobody vouches for the value.
        if payload.quality == "valid" and payload.value not in heard[-1:]:
            heard.append(payload.value)

    with daemon_process(tmp_path, ITEMS) as first:
        store_context = store_at("cryo", ports_of(first)[0])
        store = store_context.__enter__()
        item = store["setpoint"]
        item.register(note, prime=True, payloads=True)
        item.set(2.0)
        wait_until(lambda: heard == [1.0, 2.0])
        first.kill()
        wait_until(lambda: not item.live)
    try:
        with daemon_process(tmp_path, ITEMS) as second:
            # Somebody else sets it before our client is back.
            client = RawClient(*ports_of(second))
            client.set("cryo.setpoint", 7.0)
            wait_until(lambda: heard[-1] == 7.0)
            wait_until(lambda: item.live)
            assert item.value == 7.0
            client.set("cryo.setpoint", 8.0)
            wait_until(lambda: heard[-1] == 8.0)
            item.set(9.0)
            assert item.value == 9.0
            wait_until(lambda: heard == [1.0, 2.0, 7.0, 8.0, 9.0])
            client.close()
    finally:
        store_context.__exit__(None, None, None)


def test_client_learns_after_a_restart_that_units_and_names_have_changed(tmp_path: Path) -> None:
    before = {"mode": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}, "initial": 1}}
    after = {"mode": {"type": "enumerated", "enumerators": {"0": "Idle", "1": "Run"}, "initial": 1}}
    with daemon_process(tmp_path, before) as first:
        store_context = store_at("cryo", ports_of(first)[0])
        store = store_context.__enter__()
        assert store["mode"].formatted == "On"
        first.kill()
        wait_until(lambda: not store["mode"].live)
    try:
        with daemon_process(tmp_path, after):
            wait_until(lambda: store["mode"].live)
            assert store["mode"].formatted == "Run"
    finally:
        store_context.__exit__(None, None, None)


def test_request_that_is_open_when_the_daemon_dies_fails_instead_of_hanging(tmp_path: Path) -> None:
    code = """
import threading, mktl
class Slow(mktl.Item):
    def req_set(self, request):
        threading.Event().wait(600)
class Daemon(mktl.Daemon):
    def setup(self):
        self.add_item(Slow, "slow")
"""
    with (
        daemon_process(tmp_path, code=code) as child,
        store_at("cryo", ports_of(child)[0]) as store,
    ):
        pending = store["slow"].set(1, wait=False)
        assert pending is not None
        pending.wait_acknowledged()
        child.kill()
        with pytest.raises(ConnectionError) as caught:
            pending.wait(20)
        assert isinstance(caught.value, mktl.MktlError)
        with pytest.raises(TimeoutError, match="Nothing was sent"):
            store["slow"].set(2)


def test_set_that_was_reported_as_failed_is_not_carried_out_by_the_next_daemon(
    tmp_path: Path,
) -> None:
    with daemon_process(tmp_path, ITEMS) as first:
        store_context = store_at("cryo", ports_of(first)[0])
        store = store_context.__enter__()
        store["setpoint"].set(2.0)
        first.kill()
        with pytest.raises((TimeoutError, ConnectionError)):
            store["setpoint"].set(666.0)
    try:
        with daemon_process(tmp_path, ITEMS):
            assert wait_until(lambda: _value_or_none(store)) == 2.0
    finally:
        store_context.__exit__(None, None, None)


def _value_or_none(store: mktl.Store) -> object:
    try:
        return store["setpoint"].get(refresh=True)
    except mktl.MktlError:
        return None


def test_first_set_after_a_restart_is_carried_out_and_succeeds(tmp_path: Path) -> None:
    with daemon_process(tmp_path, ITEMS) as first:
        store_context = store_at("cryo", ports_of(first)[0])
        store = store_context.__enter__()
        store["setpoint"].set(2.0)
        first.kill()
    try:
        with daemon_process(tmp_path, ITEMS):
            store["setpoint"].set(3.0)
            assert store["setpoint"].get(refresh=True) == 3.0
    finally:
        store_context.__exit__(None, None, None)


def test_second_copy_of_a_daemon_is_refused_and_told_who_holds_the_place(tmp_path: Path) -> None:
    with daemon_process(tmp_path, ITEMS) as first:
        port, _publish_port = ports_of(first)
        with daemon_process(tmp_path, ITEMS, ready="^refused: ") as second:
            match = second.wait_for(r"^refused: AlreadyRunning: (.*)$")
            assert "cryo.hw is already running" in match[1]
            assert f"process {first.pid}" in match[1]
            assert f":{port}" in match[1]
            assert second.wait() == 3
        client = RawClient(port)
        assert client.get("cryo.setpoint")["value"] == 1.0
        client.close()


def test_place_of_a_killed_daemon_is_free_at_once(tmp_path: Path) -> None:
    for _attempt in range(2):
        with daemon_process(tmp_path, ITEMS) as child:
            child.kill()
    with daemon_process(tmp_path, ITEMS) as child:
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 0


def test_reply_to_a_set_that_was_begun_is_sent_before_the_daemon_stops(tmp_path: Path) -> None:
    code = """
import time, mktl
class Slow(mktl.Item):
    def req_set(self, request):
        time.sleep(0.3)
        self.publish(request.value)
class Daemon(mktl.Daemon):
    def setup(self):
        self.add_item(Slow, "slow")
"""
    with daemon_process(tmp_path, code=code) as child:
        client = RawClient(*ports_of(child))
        id_ = client.send_request("SET", "cryo.slow", {"value": 1})
        acknowledgement = client.receive()
        assert acknowledgement is not None
        assert acknowledgement[2] == b"ACK"
        child.send_signal(signal.SIGTERM)
        assert json.loads(client.reply_to(id_)[5]) == {"value": True}
        assert child.wait() == 0
        client.close()


def test_full_disk_makes_a_set_fail_clearly_and_the_old_value_stays(tmp_path: Path) -> None:
    code = """
import resource, mktl
class Limit(mktl.Item):
    def req_set(self, request):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(request.value) or hard, hard))
        self.publish(request.value)
class Daemon(mktl.Daemon):
    def setup(self):
        self.add_item(Limit, "limit")
"""
    with daemon_process(tmp_path, ITEMS, code=code) as child:
        with store_at("cryo", ports_of(child)[0]) as store:
            store["label"].set("before")
            store["limit"].set(4096)
            with pytest.raises(OSError, match="could not be saved") as caught:
                store["label"].set("x" * 100_000)
            assert isinstance(caught.value, mktl.MktlError)
            assert store["label"].get(refresh=True) == "before"
            store["limit"].set(0)
            store["label"].set("after")
        child.kill()
    with daemon_process(tmp_path, ITEMS) as child, store_at("cryo", ports_of(child)[0]) as store:
        assert store["label"].value == "after"
