"""Where stores are: registries that are gone, daemons that do not answer, answers that are bad."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
from mktl import announcing, directory
from mktl._record import replace
from mktl.catalog import Block, Origin
from mktl.store import Store
from tests._support import free_tcp_port, wait_until
from tests._support.daemons import client_of, daemon_process, ports_of, serving
from tests._support.wire import FakeDaemon, RawClient


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    made = FakeDaemon("warm", {"number": {}}, {"number": {"value": 5, "time": 1795469729.1}})
    yield made
    made.close()


@pytest.fixture
def silent() -> Iterator[list[tuple[str, int]]]:
    """Addresses where nobody is, and one where connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        dead = [("127.0.0.1", free_tcp_port()) for _ in range(4)]
        yield [*dead, ("127.0.0.1", mute.getsockname()[1])]


def found_registries(home: Path) -> list[str]:
    return (home / "client" / "registries.cache").read_text().split()


def test_peers_that_are_gone_are_waited_for_together(
    fake: FakeDaemon, silent: list[tuple[str, int]]
) -> None:
    began = time.monotonic()
    answers = directory.ask([*silent, ("127.0.0.1", fake.rep)], "_hash", timeout_s=3.0)
    assert time.monotonic() - began < 12.0  # one after the other, it would be 15 s
    assert list(answers.values) == [("127.0.0.1", fake.rep)]
    assert set(answers.failures) == set(silent)
    assert all(isinstance(one, TimeoutError) for one in answers.failures.values())


def test_registries_that_were_found_and_are_silent_are_forgotten_and_those_by_hand_are_not(
    fake: FakeDaemon, silent: list[tuple[str, int]], mktl_home: Path
) -> None:
    mktl.config.set_answer_timeout_s(2.0)
    try:
        directory.remember_registries([*silent, ("127.0.0.1", fake.rep)])
        by_hand = mktl_home / "client" / "registries"
        by_hand.write_text(f"127.0.0.1:{silent[0][1]}\n")
        assert mktl.get("warm", "number").value == 5
        assert found_registries(mktl_home) == [f"127.0.0.1:{fake.rep}"]
        assert by_hand.read_text() == f"127.0.0.1:{silent[0][1]}\n"
    finally:
        mktl.config.set_answer_timeout_s(None)


def test_registries_are_not_forgotten_where_nobody_answers_at_all(
    silent: list[tuple[str, int]], mktl_home: Path
) -> None:
    directory.remember_registries(silent)
    with pytest.raises(mktl.MktlError):
        directory.find("nowhere", at=None, timeout_s=0.2)
    assert len(found_registries(mktl_home)) == len(silent)


def test_daemon_answers_soon_although_it_remembers_registries_that_are_gone(
    silent: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.remember_registries([*silent, *(("127.0.0.1", free_tcp_port()) for _ in range(8))])
    monkeypatch.setattr(announcing, "CALL_WAIT_S", 1.5)

    class Described(mktl.Daemon):
        def describe_items(self) -> dict[str, dict[str, object]]:
            return {"x": {"type": "numeric", "initial": 1}}

    began = time.monotonic()
    daemon = Described("cryo", "hw")
    client = RawClient(*daemon.ports)
    try:
        assert client.get("cryo.x")["value"] == 1
        assert time.monotonic() - began < 15.0  # one after the other, it would be 19 s
    finally:
        client.close()
        daemon.stop()


def test_announcer_that_waits_for_a_registry_is_closed_at_once(
    fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.respond = lambda request: [[b"a", request[1], b"ACK", b"", b"", b""]]
    address = ("127.0.0.1", fake.rep)
    monkeypatch.setattr(directory, "call_registries", lambda **_options: [address])
    monkeypatch.setattr(announcing, "AGAIN_S", 0.01)
    monkeypatch.setenv("MKTL_TIMEOUT", "10")
    announcer = announcing.Announcer(Block.from_json(fake.block), override=False)
    announcer.start()
    wait_until(lambda: fake.requests)
    began = time.monotonic()
    announcer.close()
    assert time.monotonic() - began < 20.0  # the registry would be waited for for 30 s


def test_bad_block_does_not_hide_the_others(fake: FakeDaemon) -> None:
    good = fake.block
    rogues = [
        {**good, "uuid": "a", "items": {"a/b": {}}},
        {**good, "uuid": "b", "time": 10**400},
        {**good, "uuid": "../c"},
        {**good, "uuid": "d", "hash": None},
    ]
    value = {str(number): block for number, block in enumerate([*rogues, good])}
    blocks = directory._read_blocks("warm", ("127.0.0.1", 1), value)
    assert [block.uuid for block in blocks] == [good["uuid"]]


def test_store_with_a_bad_name_does_not_hide_the_others(fake: FakeDaemon) -> None:
    def respond(request: list[bytes]) -> list[list[bytes]] | None:
        if request[3] != b"_hash":
            return None
        value = b'{"value":{"../evil":{},"warm":{}}}'
        return [[b"a", request[1], b"REP", b"", b"", value]]

    fake.respond = respond
    assert mktl.discover(f"127.0.0.1:{fake.rep}") == ["warm"]


def test_own_answer_of_a_daemon_counts_more_than_what_a_registry_passes_on(
    fake: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Block.from_json(fake.block)
    stale = replace(own, hash=1, time=own.time + 1000).passed_on_by("registry", 10)
    staler = replace(own, hash=2, time=own.time + 2000).passed_on_by("one", 10)
    staler = staler.passed_on_by("other", 10)
    nowhere = replace(own, hash=3, time=own.time + 3000, provenance=(Origin(1, "x", 10),))
    blocks = {("a", 1): staler, ("b", 1): stale, ("c", 1): own, ("d", 1): nowhere}

    def taken(*addresses: tuple[str, int]) -> int:
        answers = directory.Answers({one: {own.uuid: blocks[one].to_json()} for one in addresses})
        monkeypatch.setattr(directory, "ask", lambda *_args, **_options: answers)
        (block,), _failures = directory.ask_catalog("warm", addresses, timeout_s=1)
        return block.hash

    assert taken(*blocks) == taken(*reversed(blocks)) == own.hash
    assert taken(("a", 1), ("b", 1), ("d", 1)) == stale.hash
    newer = replace(stale, hash=4, time=stale.time + 1)
    blocks["e", 1] = newer
    assert taken(("b", 1), ("e", 1)) == taken(("e", 1), ("b", 1)) == newer.hash


def test_daemon_that_is_stopped_does_not_hold_up_the_items_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "10")
    x, y, z = ({key: {"type": "numeric", "initial": 1}} for key in "xyz")
    with (
        serving({**x, **z}, alias="a") as healthy,
        daemon_process(tmp_path, y, alias="b") as other,
        client_of(healthy) as store,
    ):
        port = ports_of(other)[0]
        blocks, _failures = directory.ask_catalog("cryo", [("127.0.0.1", port)], timeout_s=2)
        store._take(blocks)
        assert store["x"].value == 1
        os.kill(other.pid, signal.SIGSTOP)
        try:
            waiting = threading.Thread(target=lambda: store.read(["y"]))
            waiting.start()
            wait_until(lambda: any(lock.locked() for lock in [*store._connecting.values()]))
            assert store["x"].value == 1
            assert store["z"].value == 1
            assert store["z"].description.type == "numeric"
            assert waiting.is_alive()
        finally:
            os.kill(other.pid, signal.SIGCONT)
        waiting.join()
        assert store["y"].value == 1


def test_threads_that_ask_for_the_same_store_share_items_and_connections() -> None:
    items = {key: {"type": "numeric", "initial": 1} for key in "xyz"}
    with serving(items) as daemon, client_of(daemon) as store:
        start = threading.Barrier(8)
        seen: list[tuple[int, int]] = []

        def use(store: Store = store) -> None:
            start.wait()
            for key in "xyz":
                assert store[key].value == 1
            seen.append((id(store["x"]), id(store._peer("x"))))

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8
        assert len(set(seen)) == 1


def test_daemon_that_is_gone_is_forgotten_when_another_holds_its_keys(
    tmp_path: Path, mktl_home: Path
) -> None:
    with daemon_process(tmp_path, {"temp": {"initial": 1}}, alias="old"):
        assert mktl.get("cryo.temp").value == 1
    mktl.close()
    with daemon_process(tmp_path, {"temp": {"initial": 2}}, alias="new"):
        store = mktl.get("cryo")
        assert store["temp"].value == 2
        assert [block.alias for block in store.blocks] == ["new"]
    cached = list((mktl_home / "client" / "cache" / "cryo").iterdir())
    assert len(cached) == 1


def test_daemons_that_are_gone_are_waited_for_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aliases = ["a", "b", "c", "d"]
    with contextlib.ExitStack() as stack:
        for alias in aliases:
            stack.enter_context(daemon_process(tmp_path, {f"key-{alias}": {}}, alias=alias))
        store = mktl.get("cryo")
        store.refresh()
        assert set(store.read([f"key-{alias}" for alias in aliases])) == {
            f"key-{alias}" for alias in aliases
        }
    mktl.close()
    monkeypatch.setenv("MKTL_TIMEOUT", "0.5")
    connecting: list[str] = []
    together = threading.Barrier(len(aliases))
    connect = Store._connect

    def counted(self: Store, uuid: str) -> object:
        connecting.append(uuid)
        if len(connecting) <= len(aliases):
            together.wait(30)
        return connect(self, uuid)

    monkeypatch.setattr(Store, "_connect", counted)
    answers = mktl.get("cryo").read([f"key-{alias}" for alias in aliases])
    assert all(isinstance(answer, mktl.NoAnswer) for answer in answers.values())
    assert len(set(connecting[:4])) == 4
