"""``markregistryd``: who is where, who may be there, and what remains when somebody dies."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
from mktl.catalog import Block, Origin, find_conflicts
from mktl.errors import UnknownStore
from tests._support import Child, free_tcp_port, run_cli, running, wait_until

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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry():
        with keeper(tmp_path, "cryo", "cold", ["temp"]):
            assert run_cli("mark", "get", "cryo.temp").returncode == 0
        with keeper(tmp_path, "cryo", "cold", ["temp"], "-o", home=tmp_path / "reinstalled"):
            monkeypatch.setenv("MKTL_TIMEOUT", "0.5")
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
    monkeypatch.setattr("mktl._peer.SEARCH_EVERY_S", 0.5)
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
