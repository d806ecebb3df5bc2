"""Maintenance locks: who may still set what, for how long, and what others are told."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

import mktl
from mktl.errors import Locked
from tests._support import run_cli, wait_until
from tests._support.daemons import client_of, daemon_process, ports_of, raw_client, serving
from tests._support.wire import RawClient, payload_of
from tests.system._curve import allow, curve_client, new_pair, protected

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {"type": "numeric", "initial": 1.0},
    "temp2": {"type": "numeric", "initial": 1.0},
    "mode": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}, "initial": 0},
}
ANNA = {"_user": "anna", "_hostname": "summit"}
BOB = {"_user": "bob", "_hostname": "summit"}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS) as running:
        yield running


@pytest.fixture
def client(daemon: mktl.Daemon) -> Iterator[RawClient]:
    with raw_client(daemon) as made:
        yield made


def set_as(client: RawClient, who: dict[str, str], key: str, value: Any) -> Any:
    """Return the error of a SET, ``None`` if it was done."""
    reply = payload_of(client.ask("SET", f"cryo.{key}", {"value": value, **who}))
    return reply.get("error")


def lock(client: RawClient, who: dict[str, str], keys: str = "temp*", **fields: Any) -> Any:
    value = {"keys": keys, "for_s": 600, "why": "new sensor", **fields}
    return set_as(client, who, "_hwlock", value)


def locks(client: RawClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("cryo._hwlock")["value"]
    return found


def test_lock_refuses_others_and_says_who_why_until_when_and_what_to_do(client: RawClient) -> None:
    assert lock(client, ANNA) is None
    error = set_as(client, BOB, "temp", 5)
    assert (error["type"], error["class"]) == ("PermissionError", "Locked")
    for said in ("temp is locked", "anna@summit", "new sensor", "UTC", "mark unlock 'cryo.temp*'"):
        assert said in error["text"]
    assert client.get("cryo.temp")["value"] == 1.0


def test_owner_and_the_daemons_own_code_set_what_is_locked(
    daemon: mktl.Daemon, client: RawClient
) -> None:
    lock(client, ANNA)
    assert set_as(client, ANNA, "temp", 5) is None
    daemon.store["temp2"].set(6)
    assert client.get("cryo.temp2")["value"] == 6


def test_lock_leaves_other_items_alone(client: RawClient) -> None:
    lock(client, ANNA)
    assert set_as(client, BOB, "mode", "On") is None
    assert set_as(client, BOB, "_hwdev", "a cryostat") is None


def test_same_user_on_another_host_is_somebody_else(client: RawClient) -> None:
    lock(client, ANNA)
    assert set_as(client, {**ANNA, "_hostname": "base"}, "temp", 5)["class"] == "Locked"


def test_request_that_does_not_say_where_it_comes_from_owns_no_lock(client: RawClient) -> None:
    assert "whose lock" in lock(client, {})["text"]
    lock(client, ANNA)
    assert set_as(client, {}, "temp", 5)["class"] == "Locked"


def test_lock_ends_by_itself_and_everybody_is_told(client: RawClient) -> None:
    client.subscribe(b"cryo._hwlock.")
    assert lock(client, ANNA, for_s=0.3) is None
    assert payload_of([b"", b"", b"", b"", b"", client.next_broadcast()[2]])["value"]
    wait_until(lambda: set_as(client, BOB, "temp", 5) is None)
    assert payload_of([b"", b"", b"", b"", b"", client.next_broadcast()[2]])["value"] == []


def test_lock_in_force_is_not_looked_at_all_the_time(
    daemon: mktl.Daemon, client: RawClient
) -> None:
    assert lock(client, ANNA) is None
    item = daemon.store["_hwlock"]
    poll = item._source._poll
    item.req_poll()
    assert item._source._poll is poll  # another one would be due at once, and so on


def test_lock_may_end_at_a_time_of_day(client: RawClient) -> None:
    until = time.time() + 100
    assert lock(client, ANNA, for_s=None, until=until) is None
    assert locks(client)[0]["until"] == until


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"for_s": 8 * 86400}, "within 7 days"),
    ({"for_s": 10**300}, "within 7 days"),
    ({"for_s": None}, "has to end"),
    ({"for_s": "2h"}, "number of seconds"),
    ({"why": ""}, "why"),
    ({"why": None}, "why"),
    ({"why": "x" * 1000}, "at most 500"),
    ({"keys": ""}, "keys must be"),
    ({"keys": 3}, "keys must be"),
    ({"keys": "a/../b"}, "keys must be"),
    ({"keys": "tepm"}, "did you mean temp"),
    ({"reason": "x"}, "'reason' is unknown"),
]


def test_lock_that_cannot_be_is_refused_with_the_reason(client: RawClient) -> None:
    for fields, said in IMPOSSIBLE:
        assert said in lock(client, ANNA, **fields)["text"], fields
    assert locks(client) == []


def test_new_lock_of_its_owner_takes_the_place_of_the_old_one(client: RawClient) -> None:
    lock(client, ANNA, why="first")
    lock(client, ANNA, why="second")
    assert [one["why"] for one in locks(client)] == ["second"]


def test_nobody_locks_what_another_has_locked(client: RawClient) -> None:
    lock(client, ANNA)
    error = lock(client, BOB, "*")
    assert error["class"] == "Locked"
    assert "anna@summit" in error["text"]
    assert lock(client, BOB, "mode") is None


def test_number_of_locks_is_bounded(client: RawClient) -> None:
    for number in range(100):
        assert lock(client, ANNA, f"temp*{'*' * number}") is None
    assert "100 locks" in lock(client, ANNA, "mode")["text"]


def test_lock_of_another_is_broken_only_on_purpose(client: RawClient) -> None:
    lock(client, ANNA)
    assert "--break" in set_as(client, BOB, "_hwlock", {"keys": "temp*", "until": 0})["text"]
    assert set_as(client, BOB, "_hwlock", {"keys": "temp*", "until": 0, "break": True}) is None
    assert set_as(client, BOB, "temp", 5) is None
    history = client.get("cryo._hwhistory", key="_hwlock")["value"]
    assert [one["outcome"] for one in history] == ["done", "refused", "done"]
    assert history[-1]["user"] == "bob"


def test_pattern_ends_all_locks_that_it_matches(client: RawClient) -> None:
    lock(client, ANNA, "temp")
    lock(client, ANNA, "mode")
    assert set_as(client, ANNA, "_hwlock", {"keys": "*", "until": 0}) is None
    assert locks(client) == []
    assert "no lock" in set_as(client, ANNA, "_hwlock", {"keys": "*", "until": 0})["text"]


def test_set_that_waited_while_the_item_was_locked_is_not_carried_out() -> None:
    import threading

    entered, go_on = threading.Event(), threading.Event()

    class Slow(mktl.Item):
        def req_set(self, request: Any) -> None:
            if request.value == 1:
                entered.set()
                go_on.wait(10)
            self.publish(request.value)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Slow, "temp")

    with serving(ITEMS, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        first = client.send_request("SET", "cryo.temp", {"value": 1, **BOB})
        second = client.send_request("SET", "cryo.temp", {"value": 2, **BOB})
        assert entered.wait(10)
        with raw_client(daemon) as other:
            assert lock(other, ANNA) is None
        go_on.set()
        assert payload_of(client.reply_to(first)) == {"value": True}
        assert payload_of(client.reply_to(second))["error"]["class"] == "Locked"
        assert client.get("cryo.temp")["value"] == 1


def test_what_stops_something_is_never_locked() -> None:
    class Stop(mktl.Item):
        urgent = True

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Stop, "stop", description={"type": "boolean", "initial": False})

    with serving(ITEMS, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        lock(client, ANNA, "*")
        assert set_as(client, BOB, "stop", True) is None
        assert set_as(client, BOB, "mode", 1)["class"] == "Locked"


def test_lock_outlives_a_daemon_that_is_killed(tmp_path: Any) -> None:
    with daemon_process(tmp_path, ITEMS) as child:
        client = RawClient(*ports_of(child))
        assert lock(client, ANNA) is None
        child.kill()
        client.close()
    with daemon_process(tmp_path, ITEMS) as child:
        client = RawClient(*ports_of(child))
        try:
            assert set_as(client, BOB, "temp", 5)["class"] == "Locked"
            assert set_as(client, ANNA, "temp", 5) is None
        finally:
            client.close()


def test_python_client_is_told_by_an_error_of_its_own_class(
    daemon: mktl.Daemon, client: RawClient
) -> None:
    lock(client, ANNA)
    with client_of(daemon) as store, pytest.raises(Locked, match="new sensor") as refused:
        store["temp"].set(5)
    assert isinstance(refused.value, PermissionError)


def test_lock_made_with_a_key_is_that_of_the_key_whatever_a_request_says() -> None:
    pairs = {"anna": new_pair(), "bob": new_pair()}
    for name, pair in pairs.items():
        allow(name, pair, "engineer")
    with (
        protected({"curve": True}, ITEMS) as daemon,
        curve_client(daemon, pairs["anna"]) as anna,
        curve_client(daemon, pairs["bob"]) as bob,
    ):
        assert lock(anna, {}) is None
        assert "locked by anna until" in set_as(bob, ANNA, "temp", 5)["text"]
        assert set_as(anna, BOB, "temp", 5) is None


def at(daemon: mktl.Daemon) -> tuple[str, str]:
    """Return the option that makes it needless to look for the daemon."""
    return "--at", f"127.0.0.1:{daemon.ports[0]}"


def test_mark_locks_lists_and_unlocks(daemon: mktl.Daemon) -> None:
    anna, bob = {"USER": "anna"}, {"USER": "bob"}

    def mark(*argv: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return run_cli("mark", *argv, *at(daemon), env=env)

    done = mark("lock", "cryo.temp*", "--for", "2h", "--why", "new sensor", env=anna)
    assert done.stdout == "Locked cryo.temp* for 2 h (2 items of cryo.hw)\n"
    listed = mark("lock", "--list", "cryo")
    assert listed.stdout.startswith("cryo.temp* (cryo.hw): locked by anna@")
    assert re.search(r"for another (2 h|1 h 59 min): new sensor\n$", listed.stdout)
    refused = mark("set", "cryo.temp=5", env=bob)
    assert (refused.returncode, "locked by anna@" in refused.stderr) == (1, True)
    assert mark("set", "cryo.temp=5", env=anna).returncode == 0
    assert "Only --break" in mark("unlock", "cryo.temp*", env=bob).stderr
    broken = mark("unlock", "cryo.*", "--break", env=bob)
    assert (broken.returncode, broken.stdout) == (0, "Unlocked cryo.temp* (cryo.hw)\n")
    assert daemon.store["_hwlock"].value == []


def test_mark_unlock_of_a_store_says_only_what_it_has_unlocked(daemon: mktl.Daemon) -> None:
    for key in ("cryo.temp", "cryo._hwdev"):
        run_cli("mark", "lock", key, "--for", "2h", "--why", "new sensor", *at(daemon))
    done = run_cli("mark", "unlock", "cryo", *at(daemon))
    assert (done.returncode, done.stdout) == (0, "Unlocked cryo.temp (cryo.hw)\n")
    assert [one["keys"] for one in daemon.store["_hwlock"].value] == ["_hwdev"]


def test_mark_lock_reaches_all_daemons_of_a_store() -> None:
    with serving(ITEMS), serving({"valve": {"type": "boolean"}}, alias="gas"):
        words = ("lock", "cryo", "--for", "90s", "--why", "power", "--json")
        wait_until(lambda: run_cli("mark", *words).stdout.count('"for_s":90.0') == 2, 30)
        listed = run_cli("mark", "lock", "--list")
        assert "(cryo.gas)" in listed.stdout
        assert "(cryo.hw)" in listed.stdout


WRONG = [
    ("lock cryo.temp", 2, "for how long, and why?"),
    ("lock cryo.temp --for soon --why x", 2, "90s, 10m, 2h or 1d"),
    ("lock cryo.nothing* --for 2h --why x", 1, "no item that matches"),
    ("lock cryo.temp --for 8d --why x", 1, "7 days"),
    ("unlock cryo.temp", 1, "there is no such lock"),
    ("get cryo.temp --why x", 2, "--why is for lock"),
]


def test_mark_lock_says_what_is_wrong(daemon: mktl.Daemon) -> None:
    for words, status, said in WRONG:
        done = run_cli("mark", *words.split(), *at(daemon))
        assert (done.returncode, done.stdout) == (status, ""), words
        assert said in done.stderr
