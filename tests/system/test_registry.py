"""``markregistryd``: who is where, who may be there, and what remains when somebody dies."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mktl
from markd import registry as registry_module
from markd.registry import Registry
from mktl.catalog import Block, Origin, find_conflicts
from mktl.errors import UnknownStore
from mktl.payload import Payload
from mktl.persistence import PersistentValues
from tests._support import Child, free_tcp_port, run_cli, running, wait_until
from tests._support.wire import FakeDaemon, RawClient

ON_THE_AIR = r"on the air"


def registry() -> contextlib.AbstractContextManager[Child]:
    return running(["markregistryd"], ready=ON_THE_AIR)


@contextlib.contextmanager
def keeper(
    directory: Path,
    store: str,
    alias: str,
    keys: list[str],
    *options: str,
    home: Path | None = None,
    ready: str = ON_THE_AIR,
) -> Iterator[Child]:
    """Run a daemon that keeps persistent values."""
    catalog = directory / f"{alias}.json"
    items = {key: {"type": "numeric", "persist": True, "initial": 0} for key in keys}
    catalog.write_text(json.dumps(items))
    env = None if home is None else {"MKTL_HOME": str(home)}
    with running(
        ["markd", store, alias, "-c", str(catalog), *options], ready=ready, env=env
    ) as child:
        yield child


def ports_in(log: str) -> tuple[str, ...]:
    found = re.search(r"requests on port (\d+), broadcasts on port (\d+)", log)
    assert found, log
    return found.groups()


def test_two_daemons_of_a_store_are_found_through_the_registry(tmp_path: Path) -> None:
    with (
        registry(),
        keeper(tmp_path, "cryo", "cold", ["temp"]),
        keeper(tmp_path, "cryo", "vac", ["pressure"]),
    ):
        assert mktl.discover() == ["cryo"]
        store = mktl.get("cryo")
        assert {block.alias for block in store.blocks} == {"cold", "vac"}
        store["temp"].value = 4.2
        store["pressure"].value = 1e-6
        assert (store["temp"].value, store["pressure"].value) == (4.2, 1e-6)


def test_a_killed_daemon_returns_on_its_ports_with_all_that_it_had_acknowledged(
    tmp_path: Path,
) -> None:
    heard: list[object] = []

    def hear(_item: mktl.Item, value: object, _time: float) -> None:
        heard.append(value)

    with registry(), keeper(tmp_path, "cryo", "vac", ["pressure"]):
        with keeper(tmp_path, "cryo", "cold", ["temp", "count"]) as first:
            store = mktl.get("cryo")
            store["temp"].register(hear)
            for number in range(1, 21):
                store["count"].set(number)
            store["temp"].set(77.0)
            ports = ports_in(first.stderr_text)
            first.kill()
        with pytest.raises(TimeoutError):
            mktl.get("cryo.temp").set(5.0)
        store["pressure"].set(3.0)  # the other daemon of the store is none the worse
        with keeper(tmp_path, "cryo", "cold", ["temp", "count"]) as second:
            assert ports_in(second.stderr_text) == ports
            assert store["count"].get(refresh=True) == 20
            assert store["temp"].get(refresh=True) == 77.0
            store["temp"].set(78.0)
            wait_until(lambda: 78.0 in heard, what="the callback to hear of the new value")
            assert store["temp"].value == 78.0


def test_a_daemon_that_asks_for_a_key_of_another_does_not_start(tmp_path: Path) -> None:
    with registry(), keeper(tmp_path, "cryo", "cold", ["temp"]):
        intruder = tmp_path / "other-home"
        with keeper(
            tmp_path, "cryo", "other", ["temp"], home=intruder, ready="does not start"
        ) as second:
            assert second.wait() == 3
            assert "temp of store cryo is held by cryo.cold" in second.stderr_text


def test_an_alias_is_held_by_one_daemon_alone(tmp_path: Path) -> None:
    with registry(), keeper(tmp_path, "cryo", "cold", ["temp"]):
        elsewhere = tmp_path / "other-home"
        with keeper(
            tmp_path, "cryo", "cold", ["level"], home=elsewhere, ready="does not start"
        ) as second:
            assert second.wait() == 3
            assert "the alias cryo.cold is held by another daemon" in second.stderr_text


def test_a_dead_daemon_is_forgotten_only_when_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "0.5")
    elsewhere = tmp_path / "other-home"
    with registry():
        with keeper(tmp_path, "cryo", "cold", ["temp"]) as first:
            first.kill()
        with keeper(
            tmp_path, "cryo", "cold", ["temp"], home=elsewhere, ready="does not start"
        ) as refused:
            assert refused.wait() == 3
            assert "start this one with -o" in refused.stderr_text
        with keeper(tmp_path, "cryo", "cold", ["temp"], "-o", home=elsewhere):
            monkeypatch.delenv("MKTL_TIMEOUT")
            mktl.get("cryo.temp").set(4.0)
            assert len(mktl.get("cryo").blocks) == 1


def test_override_does_not_push_out_a_daemon_that_lives(tmp_path: Path) -> None:
    elsewhere = tmp_path / "other-home"
    with (
        registry(),
        keeper(tmp_path, "cryo", "cold", ["temp"]),
        keeper(
            tmp_path, "cryo", "cold", ["temp"], "-o", home=elsewhere, ready="does not start"
        ) as second,
    ):
        assert second.wait() == 3
        assert "stop it first" in second.stderr_text


def test_a_registry_that_starts_later_finds_the_daemons_that_are_there(tmp_path: Path) -> None:
    with keeper(tmp_path, "cryo", "cold", ["temp"]), registry() as late:
        late.wait_for("cryo.cold is known now")
        assert mktl.discover() == ["cryo"]


def test_a_restarted_registry_remembers_a_daemon_that_is_down(tmp_path: Path) -> None:
    with registry(), keeper(tmp_path, "cryo", "cold", ["temp"]):
        pass
    with registry() as second:
        assert "1 blocks known" in second.stderr_text


def test_a_second_registry_on_a_host_refuses_to_start() -> None:
    with registry(), running(["markregistryd"], ready="does not start") as second:
        assert second.wait() == 3
        assert re.search(r"UDP port \d+ is taken", second.stderr_text)


def test_a_store_that_nobody_has_is_unknown_when_a_registry_says_so(tmp_path: Path) -> None:
    with (
        registry(),
        keeper(tmp_path, "cryo", "cold", ["temp"]),
        pytest.raises(UnknownStore, match="no store 'warm' is known"),
    ):
        mktl.get("warm.temp")


def test_without_a_registry_a_client_uses_what_it_has_cached(tmp_path: Path) -> None:
    with keeper(tmp_path, "cryo", "cold", ["temp"]):
        with registry() as known:
            known.wait_for("cryo.cold is known now")
            assert run_cli("mark", "set", "cryo.temp=4").returncode == 0
        done = run_cli("mark", "get", "cryo.temp")
        assert (done.returncode, done.stdout.strip()) == (0, "cryo.temp: 4")


def test_without_a_registry_an_address_by_hand_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeper(tmp_path, "cryo", "cold", ["temp"]) as daemon:
        port = ports_in(daemon.stderr_text)[0]
        monkeypatch.setenv("MKTL_HOME", str(tmp_path / "laptop"))
        monkeypatch.setenv("MKTL_DISCOVERY_PORT", "1")  # nobody answers a call
        assert run_cli("mark", "--timeout", "0.5", "get", "cryo.temp").returncode == 3
        done = run_cli("mark", "--at", f"127.0.0.1:{port}", "get", "cryo.temp")
        assert (done.returncode, done.stdout.strip()) == (0, "cryo.temp: 0")
        done = run_cli("mark", "discover", f"127.0.0.1:{port}")
        assert done.stdout.strip() == "1 stores discovered: cryo"
        assert run_cli("mark", "get", "cryo.temp").returncode == 0


def test_a_new_identity_under_an_old_alias_replaces_what_a_client_has_cached(
    tmp_path: Path,
) -> None:
    with registry():
        with keeper(tmp_path, "cryo", "cold", ["temp"]):
            assert run_cli("mark", "get", "cryo.temp").returncode == 0
        with keeper(tmp_path, "cryo", "cold", ["temp"], "-o", home=tmp_path / "reinstalled"):
            done = run_cli("mark", "get", "cryo.temp")
            assert (done.returncode, done.stdout.strip()) == (0, "cryo.temp: 0")
            assert len(list((tmp_path / "mktl-home/client/cache/cryo").iterdir())) == 1


def block(alias: str, uuid: str, keys: list[str], port: int = 10079) -> Block:
    return Block("cryo", alias, uuid, 0.0, 1, {key: {} for key in keys}, (Origin(0, "h", port, 2),))


def test_the_same_daemon_at_another_address_is_a_conflict_of_its_own_kind() -> None:
    known = block("cold", "u1", ["temp"])
    assert find_conflicts(known, [known]) == []
    (conflict,) = find_conflicts(block("cold", "u1", ["temp"], port=10080), [known])
    assert conflict.same_daemon
    assert "with the same uuid" in conflict.reason


def test_a_client_that_only_listens_follows_a_daemon_to_other_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mktl._asking.SEARCH_EVERY_S", 0.5)
    heard: list[object] = []

    def hear(_item: mktl.Item, value: object, _time: float) -> None:
        heard.append(value)

    with registry():
        with keeper(tmp_path, "cryo", "cold", ["temp"]) as first:
            mktl.get("cryo.temp").register(hear)
            before = ports_in(first.stderr_text)
        for remembered in (tmp_path / "mktl-home/daemon/port/cryo").iterdir():
            remembered.write_text(f"{free_tcp_port()}\n")
        with keeper(tmp_path, "cryo", "cold", ["temp"]) as second:
            assert ports_in(second.stderr_text) != before
            assert run_cli("mark", "set", "cryo.temp=78").returncode == 0
            wait_until(lambda: 78 in heard, 30, "the value from the other ports")


def test_without_a_registry_a_daemon_finds_out_that_its_keys_are_held(tmp_path: Path) -> None:
    with (
        keeper(tmp_path, "cryo", "cold", ["temp"]),
        keeper(tmp_path, "cryo", "other", ["temp"], ready="does not start") as second,
    ):
        assert second.wait() == 3
        assert "temp of store cryo is held by cryo.cold" in second.stderr_text
        assert "stop it first" in second.stderr_text


@contextlib.contextmanager
def in_process() -> Iterator[Registry]:
    """Run a registry in this process."""
    made = Registry()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def here() -> Iterator[Registry]:
    with in_process() as made:
        yield made


@pytest.fixture
def announcer(here: Registry) -> Iterator[RawClient]:
    """Somebody with a socket, and none of our code."""
    with contextlib.closing(RawClient(here.port)) as client:
        yield client


def fields(alias: str, uuid: str, keys: list[str], port: int, **more: Any) -> dict[str, Any]:
    known = block(alias, uuid, keys, port).to_json()
    known["provenance"][0]["hostname"] = "127.0.0.1"
    return {**known, **more}


def names(registry: Registry) -> set[str]:
    return {one.name for one in registry._known()}


def test_an_announcement_and_a_call_side_by_side_never_both_get_one_key(
    here: Registry, announcer: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2)
    find = registry_module.find_conflicts

    def find_slowly(*args: Any) -> Any:
        found = find(*args)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.5)  # only two that are not one after the other meet here
        return found

    monkeypatch.setattr(registry_module, "find_conflicts", find_slowly)
    monkeypatch.setattr(registry_module, "_is_there", lambda _block: True)
    with contextlib.closing(FakeDaemon("cryo", {"temp": {}}, {})) as called:
        asking = threading.Thread(target=here._ask_about, args=("cryo", ("127.0.0.1", called.rep)))
        asking.start()
        announcer.set("_catalog", fields("cold", "u1", ["temp"], free_tcp_port()))
        asking.join()
        wait_until(lambda: here._lanes.waiting() == 0)
    assert len(names(here)) == 1


def test_an_announcement_gets_a_reply_whatever_goes_wrong(
    here: Registry, announcer: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> Any:
        raise OSError("a mistake of ours")

    monkeypatch.setattr(registry_module, "find_conflicts", fail)
    reply = announcer.set("_catalog", fields("cold", "u1", ["temp"], free_tcp_port()))
    assert "a mistake of ours" in reply["error"]["text"]
    assert names(here) == set()


def test_a_description_that_has_no_json_is_not_taken_in(
    here: Registry, announcer: RawClient
) -> None:
    half_a_character = fields("cold", "u1", ["temp"], 10079, note="\ud800")
    assert "error" in announcer.set("_catalog", half_a_character)
    assert names(here) == set()


def test_a_daemon_is_forgotten_although_its_file_stays(
    here: Registry, announcer: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "0.2")
    old = fields("cold", "u1", ["temp"], free_tcp_port())
    assert announcer.set("_catalog", old) == {"value": True}
    file = mktl.home() / "registry" / "cache" / "cryo" / "u1.json"
    file.unlink()
    file.mkdir()
    new = fields("other", "u2", ["temp"], free_tcp_port(), override=True)
    assert announcer.set("_catalog", new) == {"value": True}
    assert names(here) == {"cryo.other"}


def test_all_that_are_in_the_way_are_asked_at_the_same_time(
    here: Registry, announcer: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(8)

    def is_there(_block: Block) -> bool:
        together.wait(10)
        return False

    monkeypatch.setattr(registry_module, "_is_there", is_there)
    keys = [f"key{number}" for number in range(8)]
    for key in keys:
        announcer.set("_catalog", fields(f"of_{key}", f"u-{key}", [key], free_tcp_port()))
    heir = fields("heir", "u", keys, free_tcp_port(), override=True)
    assert announcer.set("_catalog", heir) == {"value": True}
    assert names(here) == {"cryo.heir"}


def error_reply(kind: str, text: str, **more: str) -> list[bytes]:
    error = {"type": kind, "text": text, **more}
    return [b"REP", b"", b"", json.dumps({"error": error}).encode()]


@pytest.mark.parametrize(
    ("answer", "lives"),
    [
        (error_reply("RuntimeError", "too many requests wait", **{"class": "Busy"}), True),
        (error_reply("TimeoutError", "the hardware did not answer"), True),
        ([b"ACK", b"", b"", b""], True),
        (error_reply("KeyError", "this daemon does not contain that"), False),
        (error_reply("ValueError", "this request is for 'cryo', but this daemon ..."), False),
        (None, False),
    ],
    ids=["busy", "other error", "only acknowledged", "unknown key", "other store", "silent"],
)
def test_a_daemon_that_says_anything_but_that_it_is_another_one_is_not_overridden(
    here: Registry,
    announcer: RawClient,
    monkeypatch: pytest.MonkeyPatch,
    answer: list[bytes] | None,
    lives: bool,
) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "0.5")
    with contextlib.closing(FakeDaemon("cryo", {}, {})) as there:
        there.respond = lambda request: [[b"a", request[1], *answer]] if answer else []
        announcer.set("_catalog", fields("cold", "u1", ["temp"], there.rep))
        rival = fields("other", "u2", ["temp"], free_tcp_port(), override=True)
        reply = announcer.set("_catalog", rival)
        assert there.targets() == ["cryo._coldclk"]
    assert ("stop it first" in str(reply)) is lives
    assert names(here) == ({"cryo.cold"} if lives else {"cryo.other"})


def test_the_name_of_the_host_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []

    def look_up() -> str:
        looked_up.append("here")
        return "here"

    monkeypatch.setattr(registry_module, "hostname", look_up)
    with in_process() as made, contextlib.closing(RawClient(made.port)) as client:
        client.set("_catalog", fields("cold", "u1", ["temp"], 10079))
        for _ in range(3):
            value = client.get("cryo._catalog")["value"]
            assert value["u1"]["provenance"][-1]["hostname"] == "here"
    assert len(looked_up) == 1


def test_one_bad_block_among_those_called_for_does_not_end_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = fields("cold", "u1", ["temp"], 10079)
    bad = [
        {**good, "uuid": ".."},
        {**good, "alias": "a/b"},
        {**good, "time": 10**400},
        {**good, "hash": "x"},
        {**good, "items": {"../x": {}}},
        3,
    ]
    answers = {
        b"_hash": {"../x": {}, "": {}, "c\0": {}, "cryo": {}},
        b"cryo._catalog": {str(n): one for n, one in enumerate([*bad, good])},
    }
    with contextlib.closing(FakeDaemon("cryo", {}, {})) as there:
        there.respond = lambda request: [
            [
                b"a",
                request[1],
                b"REP",
                b"",
                b"",
                json.dumps({"value": answers[request[3]]}).encode(),
            ]
        ]
        monkeypatch.setattr("mktl.directory.call_daemons", lambda **_: [("127.0.0.1", there.rep)])
        with in_process() as made:
            wait_until(lambda: names(made) == {"cryo.cold"})


@pytest.mark.parametrize("field", ["store", "alias", "uuid", "key"])
@pytest.mark.parametrize(
    "name",
    ["../x", "..", ".", "", "/etc/x", "a/b", "a\\b", "x\n", "\0", "\x1b[2J", "x" * 300, None],
)
def test_an_announcement_never_leads_to_a_file_elsewhere(
    here: Registry, announcer: RawClient, tmp_path: Path, field: str, name: str | None
) -> None:
    before = set(tmp_path.rglob("*"))
    bad = fields("cold", "u1", ["temp"], 10079)
    if field == "key":
        bad["items"] = {str(name): {}} if name is not None else {"a b": {}}
    else:
        bad[field] = name
    assert "error" in announcer.set("_catalog", bad)
    assert names(here) == set()
    assert set(tmp_path.rglob("*")) == before


# Values that another implementation has left.

KILLED_WHILE_TAKING_OVER = """
import os, signal, sys
from pathlib import Path
from mktl import _persistence_database, persistence

checksum, seen = _persistence_database.checksum, []

def checksum_of_one(row):
    if seen:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(row)
    return checksum(row)

_persistence_database.checksum = checksum_of_one
persistence.PersistentValues(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    directory = tmp_path / "persist" / "uuid"
    directory.mkdir(parents=True)
    for key in ("a", "b", "c"):
        (directory / key).write_text('{"value": 1.5, "time": 1000.0}')
    return directory


def values_in(path: Path, left_behind: Path) -> dict[str, Any]:
    with contextlib.closing(PersistentValues(path, left_behind)) as opened:
        return {key: payload.value for key, payload in opened.load()}


def test_a_kill_while_values_are_taken_over_loses_none(tmp_path: Path, left_behind: Path) -> None:
    path = tmp_path / "persist" / "uuid.sqlite"
    command = [sys.executable, "-c", KILLED_WHILE_TAKING_OVER, str(path), str(left_behind)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.exists()
    assert values_in(path, left_behind) == {"a": 1.5, "b": 1.5, "c": 1.5}


def test_values_are_taken_over_once_and_never_over_what_was_set_since(
    tmp_path: Path, left_behind: Path
) -> None:
    path = tmp_path / "persist" / "uuid.sqlite"
    values_in(path, left_behind)
    with contextlib.closing(PersistentValues(path, left_behind)) as opened:
        opened.save("a", Payload(2.5, 2000.0))
    (left_behind / "late").write_text('{"value": 3.5, "time": 1000.0}')
    assert values_in(path, left_behind) == {"a": 2.5, "b": 1.5, "c": 1.5}


def test_old_values_do_not_take_the_place_of_a_database_that_is_broken(
    tmp_path: Path, left_behind: Path
) -> None:
    path = tmp_path / "persist" / "uuid.sqlite"
    path.write_bytes(b"no database at all" * 1000)
    assert values_in(path, left_behind) == {}
    assert values_in(path, left_behind) == {}
