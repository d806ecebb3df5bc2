"""Who may speak to a daemon, and who may read and set what: CURVE, keys, roles and rules."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mktl
from mktl import config, keyring, known_keys
from mktl.authorised import AuthorisedKey, authorised_keys
from mktl.errors import (
    ConfigurationError,
    ConnectionLost,
    HandshakeFailed,
    NoAnswer,
    NotAllowed,
    UntrustedDaemon,
)
from mktl.security import key_text, parse_key
from mktl.store import Store
from tests._support import Child, run_cli, running, wait_until
from tests._support.daemons import client_of, raw_client, serving, store_at
from tests.system._curve import (
    ITEMS,
    allow,
    curve_client,
    new_pair,
    protected,
    revoke,
    server_key,
)

# Some start many processes, one after the other; a busy machine makes all of it longer.
pytestmark = pytest.mark.timeout(180)

CURVE = {"curve": True}
ANA = new_pair()
BOB = new_pair()
SECRETIVE = {
    "curve": True,
    "unknown": "guest",
    "roles": {
        "guest": {"read": ["temp"]},
        "operator": {"read": ["temp", "setp*"], "set": ["setpoint"]},
    },
}


def error_of(payload: dict[str, Any]) -> dict[str, Any]:
    error = payload["error"]
    assert isinstance(error, dict)
    return error


# Without keys.


def test_unknown_callers_read_but_do_not_set_and_are_told_who_may() -> None:
    with protected(CURVE) as daemon, curve_client(daemon, ANA) as client:
        assert client.get("cryo.temp")["value"] == 77.0
        error = error_of(client.set("cryo.setpoint", 81))
        assert error["type"] == "PermissionError"
        assert "operator or engineer may" in error["text"]
        assert client.get("cryo.setpoint")["value"] == 80.0


def test_a_client_of_the_same_home_needs_to_know_nothing() -> None:
    with protected(CURVE) as daemon, client_of(daemon) as store:
        item = store["temp"]
        item.subscribe()
        daemon.store["temp"].publish(78.0)
        wait_until(lambda: item.value == 78.0)
        with pytest.raises(NotAllowed, match="no authorised key"):
            store["setpoint"].set(81)
        with pytest.raises(PermissionError):
            store["setpoint"].set(81)


def test_the_own_code_of_a_daemon_may_set_what_nobody_else_may() -> None:
    with protected({"unknown": "read"}) as daemon:
        daemon.store["setpoint"].set(79)
        assert daemon.store["setpoint"].value == 79.0


def test_without_curve_rules_apply_to_stock_peers_and_broadcasts_go_on() -> None:
    with protected({"unknown": "read"}) as daemon, raw_client(daemon) as client:
        client.subscribe(b"cryo.temp.")
        assert "rules of its daemon" in error_of(client.set("cryo.setpoint", 1))["text"]
        assert error_of(client.set("cryo._hwdev", "x"))["class"] == "NotAllowed"
        daemon.store["temp"].publish(78.0)
        assert json.loads(client.next_broadcast()[2])["value"] == 78.0


def test_without_rules_a_block_says_nothing_of_keys() -> None:
    with serving(ITEMS) as daemon:
        (origin,) = daemon.block.to_json()["provenance"]
        assert origin.keys() == {"stratum", "hostname", "rep", "pub"}
        assert not (config.home() / "daemon" / "keys").exists()


# Keys.


def test_a_key_is_allowed_and_revoked_while_the_daemon_runs() -> None:
    with protected(CURVE) as daemon, curve_client(daemon, ANA) as client:
        assert error_of(client.set("cryo.setpoint", 81))["class"] == "NotAllowed"
        allow("ana", ANA, "operator")
        assert client.set("cryo.setpoint", 81)["value"] is True
        text = error_of(client.set("cryo._hwdev", "mine"))["text"]
        assert "'ana'" in text
        assert "engineer may" in text
        allow("ana", ANA, "engineer")
        assert client.set("cryo._hwdev", "mine")["value"] is True
        revoke("ana")
        assert error_of(client.set("cryo.setpoint", 82))["class"] == "NotAllowed"
        assert client.get("cryo.setpoint")["value"] == 81.0


def test_who_is_revoked_reads_no_more_over_a_connection_that_was_there() -> None:
    allow("ana", ANA, "read")
    with (
        protected({"curve": True, "unknown": "none"}) as daemon,
        curve_client(daemon, ANA) as client,
    ):
        assert client.get("cryo.temp")["value"] == 77.0
        revoke("ana")
        assert error_of(client.get("cryo.temp"))["class"] == "NotAllowed"
        assert error_of(client.get("cryo._hwclk"))["class"] == "NotAllowed"
        allow("ana", ANA, "none")
        assert error_of(client.get("cryo.temp"))["class"] == "NotAllowed"
        allow("ana", ANA, "read")
        assert client.get("cryo.temp")["value"] == 77.0


def test_a_role_that_the_daemon_does_not_have_counts_as_none() -> None:
    allow("ana", ANA, "astronomer")
    with protected(CURVE) as daemon, curve_client(daemon, ANA) as client:
        assert "role 'read'" in error_of(client.set("cryo.setpoint", 81))["text"]


def test_requests_tell_the_author_who_asks() -> None:
    callers = []

    class Curious(mktl.Item):
        def req_set(self, request: Any) -> None:
            callers.append(request.caller)
            super().req_set(request)

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Curious, "setpoint")

    allow("ana", ANA, "operator")
    with (
        protected(CURVE, daemon_class=Daemon) as daemon,
        curve_client(daemon, ANA) as client,
    ):
        client.set("cryo.setpoint", 81)
        daemon.store["setpoint"].set(82)
    assert [(one.name, one.role, one.address) for one in callers] == [
        ("ana", "operator", "127.0.0.1"),
        ("", "daemon", ""),
    ]


def test_who_has_the_role_none_cannot_even_connect_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    allow("ana", ANA, "read")
    with protected({"curve": True, "unknown": "none"}) as daemon:
        with curve_client(daemon, BOB) as refused:
            refused.send_request("GET", "cryo.temp")
            wait_until(lambda: "is not authorised" in caplog.text)
            assert refused.receive(0.05) is None
        for _again in range(3):
            with curve_client(daemon, BOB) as refused:
                refused.send_request("GET", "cryo.temp")
                with curve_client(daemon, ANA) as client:
                    assert client.get("cryo.temp")["value"] == 77.0
    refusals = [record for record in caplog.records if "127.0.0.1 was refused" in record.message]
    assert len(refusals) == 1
    assert all(key.decode() not in caplog.text for key in (ANA[1], BOB[1]))


def test_a_refused_client_is_told_what_to_have_allowed_and_goes_on_when_it_was() -> None:
    public = keyring.make_pair(keyring.own_key_file(), "for a test").public
    with protected({"curve": True, "unknown": "none"}) as daemon:
        config.set_answer_timeout_s(5.0)
        try:
            with store_at("cryo", daemon.ports[0]) as store:
                with pytest.raises(
                    HandshakeFailed, match=f"mark keys allow NAME {key_text(public)}"
                ):
                    store["temp"].get()
                keys = authorised_keys()
                keys.allow(AuthorisedKey("me", "read", public))
                assert wait_until(lambda: value_of(store), 30) == 77.0
        finally:
            config.set_answer_timeout_s(None)


def value_of(store: Store) -> Any:
    try:
        return store["temp"].value
    except (NoAnswer, ConnectionLost):
        return None


# Broadcasts.


def topics_until(client: Any, last: bytes) -> set[bytes]:
    found = set()
    while (topic := client.next_broadcast()[0]) != last:
        found.add(topic)
    return found


def publish_all(daemon: mktl.Daemon, value: float) -> None:
    for key in ("secret", "setpoint", "temp"):
        daemon.store[key].publish(value if key != "secret" else str(value))


def test_subscriptions_are_narrowed_to_what_may_be_read() -> None:
    allow("bob", BOB, "operator")
    with (
        protected(SECRETIVE) as daemon,
        curve_client(daemon, ANA) as guest,
        curve_client(daemon, BOB) as operator,
    ):
        for client in (guest, operator):
            for prefix in (b"cryo.setpoint.", b"cryo.temp.", b"cryo.s", b"crypt", b"cryo.secret."):
                client.subscribe(prefix)
        publish_all(daemon, 1.0)
        assert topics_until(guest, b"cryo.temp.") == set()
        assert topics_until(operator, b"cryo.temp.") == {b"cryo.setpoint."}


def test_one_subscription_to_everything_tells_of_what_may_be_read_alone() -> None:
    with protected(SECRETIVE) as daemon, curve_client(daemon, ANA) as guest:
        guest.subscribe(b"")
        publish_all(daemon, 1.0)
        publish_all(daemon, 2.0)
        heard = topics_until(guest, b"cryo.temp.") | topics_until(guest, b"cryo.temp.")
        assert all(topic.startswith((b"cryo._hw", b"sync:")) for topic in heard)


def test_what_may_not_be_read_is_described_but_not_told() -> None:
    with protected(SECRETIVE) as daemon, curve_client(daemon, ANA) as guest:
        (block,) = guest.get("cryo._catalog")["value"].values()
        assert "secret" in block["items"]
        text = error_of(guest.get("cryo.secret"))["text"]
        assert "xyzzy" not in text
        assert "engineer" in text
        refreshed = error_of(guest.get("cryo.secret", refresh=True))
        assert refreshed["class"] == "NotAllowed"
        assert guest.get("cryo._hwclk")["value"] >= 0


def test_without_curve_broadcasts_to_stock_peers_are_narrowed_too() -> None:
    access = {"unknown": "guest", "roles": {"guest": {"read": ["temp"], "set": ["secret"]}}}
    with protected(access) as daemon, raw_client(daemon) as client:
        client.subscribe(b"cryo.")
        assert client.set("cryo.secret", "plugh")["value"] is True
        daemon.store["temp"].publish(78.0)
        assert b"cryo.secret." not in topics_until(client, b"cryo.temp.")
        assert error_of(client.get("cryo.secret"))["class"] == "NotAllowed"


def test_who_is_revoked_hears_no_more_broadcasts_and_others_go_on() -> None:
    allow("ana", ANA, "operator")
    allow("bob", BOB, "operator")
    with (
        protected(SECRETIVE) as daemon,
        curve_client(daemon, ANA) as revoked,
        curve_client(daemon, BOB) as other,
    ):
        for client in (revoked, other):
            client.subscribe(b"cryo.setpoint.")
            client.subscribe(b"cryo.temp.")
        revoke("ana")
        numbers = iter(range(1000, 100_000))

        def publish() -> None:
            publish_all(daemon, float(next(numbers)))

        def stops_hearing() -> bool:
            publish()
            heard = drained(revoked)
            return b"cryo.temp." in heard and b"cryo.setpoint." not in heard

        wait_until(stops_hearing)
        drained(other)

        def still_hears() -> bool:
            publish()
            return b"cryo.setpoint." in drained(other)

        wait_until(still_hears)
        assert b"cryo.setpoint." not in drained(revoked)


def drained(client: Any) -> set[bytes]:
    heard = set()
    while client.subscriber.poll(20):
        heard.add(client.subscriber.recv_multipart()[0])
    return heard


def test_what_a_client_could_not_read_it_hears_once_it_is_allowed() -> None:
    public = keyring.make_pair(keyring.own_key_file(), "for a test").public
    keys = authorised_keys()
    keys.allow(AuthorisedKey("me", "guest", public))
    with protected(SECRETIVE) as daemon, client_of(daemon) as store:
        with pytest.raises(NotAllowed):
            store["setpoint"].get()
        assert store["temp"].value == 77.0
        keys.allow(AuthorisedKey("me", "operator", public))
        item = store["setpoint"]
        wait_until(lambda: readable(item))
        heard: list[Any] = []

        def note(_item: mktl.Item, value: Any, _time: float) -> None:
            heard.append(value)

        item.register(note)
        item.set(90)
        wait_until(lambda: 90.0 in heard)


def readable(item: mktl.Item) -> bool:
    try:
        item.get()
    except NotAllowed:
        return False
    return True


def test_a_flood_of_subscriptions_holds_up_no_request() -> None:
    items = {f"i{number}": {"type": "numeric", "initial": 0} for number in range(500)}
    access = {"unknown": "guest", "roles": {"guest": {"read": ["i*"]}}}
    with (
        protected(access, {**ITEMS, **items}) as daemon,
        raw_client(daemon) as flood,
        raw_client(daemon) as client,
    ):
        for _again in range(50):
            flood.subscriber.subscribe(b"")
            flood.subscriber.subscribe(b"cryo.i")
            flood.subscriber.unsubscribe(b"")
        assert client.get("cryo.i7")["value"] == 0
        client.subscribe(b"cryo.i7.")
        daemon.store["i7"].publish(1)
        assert client.next_broadcast()[0] == b"cryo.i7."


# Who the daemon is.


def shell(home: Path, *words: str) -> Any:
    """Run mark as somebody with another home: it knows nothing of the daemon."""
    return run_cli("mark", *words, env={"MKTL_HOME": str(home), "MKTL_TIMEOUT": "3"})


def shell_says(text: str, home: Path, *words: str) -> Any:
    """Run mark until it says *text*: on a busy machine it may not wait long enough for another."""

    def done() -> Any:
        done = shell(home, *words)
        assert text in done.stdout + done.stderr
        return done

    return wait_until(done, 30)


@contextlib.contextmanager
def at_home(home: Path) -> Iterator[None]:
    config.set_home(home)
    try:
        yield
    finally:
        config.set_home(None)


def trust_in(home: Path, key: str, *hosts: str) -> None:
    with at_home(home):
        for host in hosts:
            known_keys.trust(host, parse_key(key))


def forget_in(home: Path, name: str) -> None:
    with at_home(home):
        known_keys.forget(name)


def address(daemon: mktl.Daemon) -> str:
    return f"127.0.0.1:{daemon.ports[0]}"


def test_who_speaks_clear_text_is_told_what_to_do(tmp_path: Path) -> None:
    with protected(CURVE) as daemon:
        done = shell(tmp_path / "other", "get", "cryo.temp", "--at", address(daemon))
        assert done.returncode == 3
        assert "wants CURVE" in done.stderr
        assert "mark keys trust 127.0.0.1" in done.stderr
        with raw_client(daemon) as plain:
            plain.send_request("GET", "cryo.temp")
            with curve_client(daemon, ANA) as client:
                assert client.get("cryo.temp")["value"] == 77.0
            assert plain.receive(0.05) is None


def test_a_trusted_key_lets_a_stranger_in(tmp_path: Path) -> None:
    other = tmp_path / "other"
    with protected(CURVE) as daemon:
        # The block names the host in another way than the command line has.
        trust_in(other, server_key(), "127.0.0.1", "localhost")
        done = shell(other, "get", "cryo.temp", "--at", address(daemon))
        assert done.stdout == "cryo.temp: 77.0 kelvin\n"
        refused = shell(other, "set", "cryo.setpoint=3", "--at", address(daemon))
        assert refused.returncode == 1
        assert "no authorised key" in refused.stderr


def test_the_wrong_key_is_found_out(tmp_path: Path) -> None:
    other = tmp_path / "other"
    wrong = keyring.make_pair(tmp_path / "wrong.key", "for a test").public
    with protected(CURVE) as daemon:
        trust_in(other, key_text(wrong), "127.0.0.1")
        done = shell(other, "get", "cryo.temp", "--at", address(daemon))
        assert done.returncode == 3
        assert "does not have the key" in done.stderr


@pytest.fixture
def registry() -> Iterator[Child]:
    with running(["markregistryd"], ready="on the air") as child:
        yield child


@contextlib.contextmanager
def announced(registry: Child, access: dict[str, Any]) -> Iterator[mktl.Daemon]:
    """Run a daemon of which the registry knows, however busy the machine is."""
    address = ("127.0.0.1", int(registry.wait_for(r"on the air at \S+:(\d+)")[1]))
    with protected(access) as daemon:
        announcer = daemon._announcer
        assert announcer is not None

        def is_known() -> bool:
            assert announcer._tell([address], {address}) == []
            return address in announcer._accepted

        wait_until(is_known)
        yield daemon


def test_the_first_key_is_kept_and_another_one_refused(registry: Child, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with announced(registry, CURVE):
        shell_says("cryo.temp: 77.0 kelvin\n", other, "get", "cryo.temp")
        with at_home(other):
            (entry,) = known_keys.known().values()
        assert entry.name == "cryo.hw@localhost"
        assert key_text(entry.key or b"") == server_key()
    keyring.server_key_file().unlink()
    with announced(registry, CURVE):
        done = shell_says("another key than before", other, "get", "cryo.temp")
        assert done.returncode == 1
        assert server_key() in done.stderr
        forget_in(other, "cryo.hw")
        shell_says("cryo.temp: 77.0 kelvin\n", other, "get", "cryo.temp")


def test_a_daemon_whose_key_is_known_is_not_spoken_to_in_clear_text(
    registry: Child, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    with announced(registry, CURVE):
        shell_says("cryo.temp: 77.0 kelvin\n", other, "get", "cryo.temp")
    with announced(registry, {}):
        done = shell_says("speaks in clear text only", other, "get", "cryo.temp")
        assert done.returncode == 3
        forget_in(other, "cryo.hw")
        shell_says("cryo.temp: 77.0 kelvin\n", other, "get", "cryo.temp")


def test_a_registry_keeps_the_place_of_a_daemon_that_does_not_let_it_in(
    registry: Child, tmp_path: Path
) -> None:
    access = tmp_path / "closed.toml"
    access.write_text(
        'store = "cryo"\nalias = "hw"\n[access]\ncurve = true\nunknown = "none"\n'
        '[items.temp]\ntype = "numeric"\n'
    )
    other = {"MKTL_HOME": str(tmp_path / "other")}
    with contextlib.ExitStack() as stack:
        # Neither it nor the intruder waits long for the answer of a registry.
        def is_known() -> bool:
            stack.close()
            place = running(["markd", str(access)], ready="on the air", env=other)
            return "is known to the registry" in stack.enter_context(place).stderr_text

        def is_refused() -> bool:
            intruder = run_cli("markd", "cryo", "hw", "-o", timeout_s=10)
            assert intruder.returncode != 0
            return "that one answers" in intruder.stderr

        wait_until(is_known, 30)
        wait_until(is_refused, 30)


def test_a_changed_key_of_a_running_process_is_told_as_what_it_is(registry: Child) -> None:
    with protected(CURVE) as daemon:
        known_keys.trust("localhost", keyring.server_pair().public)
        wrong = keyring.make_pair(config.home() / "wrong.key", "for a test").public
        (config.home() / "daemon" / "keys" / "serving" / daemon.uuid).unlink()
        known_keys.trust("localhost", wrong)
        with pytest.raises(UntrustedDaemon, match="another key"):
            known_keys.key_for(daemon.block)


# What is on the wire, and on disk.


class Tap:
    """Passes on what two ends say, and keeps a copy."""

    def __init__(self, port: int) -> None:
        self.heard = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._port = port
        self._threads = [threading.Thread(target=self._accept, name="tap")]
        self._sockets = [self._listener]
        self._threads[0].start()

    def _accept(self) -> None:
        near, _address = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._port))
        self._sockets += [near, far]
        for source, target in ((near, far), (far, near)):
            thread = threading.Thread(target=self._pass_on, args=(source, target), name="tap")
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # an end that broke off has no more to say either
            while data := source.recv(65536):
                self.heard += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._threads[0].join()
        for thread in self._threads[1:]:
            thread.join()
        for one in self._sockets:
            one.close()


@pytest.mark.parametrize("curve", [False, True])
def test_encrypted_traffic_cannot_be_read(curve: bool) -> None:
    pair = new_pair()
    allow("ana", pair, "engineer")
    with protected(CURVE if curve else {}) as daemon:
        tap = Tap(daemon.ports[0])
        with raw_client(daemon) if not curve else curve_client(daemon, pair) as client:
            client.dealer.disconnect(f"tcp://127.0.0.1:{daemon.ports[0]}")
            client.dealer.connect(f"tcp://127.0.0.1:{tap.port}")
            wait_until(lambda: tap.heard)
            assert client.set("cryo.secret", "the word is plugh")["value"] is True
        tap.close()
        assert (b"the word is plugh" in tap.heard) is not curve
        assert pair[0] not in tap.heard


def test_secrets_stay_out_of_logs_and_blocks(tmp_path: Path) -> None:
    file = tmp_path / "cryo.toml"
    file.write_text(
        'store = "cryo"\nalias = "hw"\n[access]\ncurve = true\n[items.temp]\ntype = "numeric"\n'
    )
    own = keyring.make_pair(keyring.own_key_file(), "for a test")
    allow("ana", ANA, "operator")
    with running(["markd", str(file), "--log-level", "debug"], ready="on the air") as child:
        done = run_cli("mark", "get", "cryo._hwcat", "--json")
        assert done.returncode == 0
    secrets = [key_text(pair.secret) for pair in (own, keyring.server_pair())]
    said = child.stdout_text + child.stderr_text + done.stdout
    assert not any(secret in said for secret in secrets)
    kept = [path for path in config.home().rglob("*") if path.is_file()]
    holding = [path for path in kept if any(s.encode() in path.read_bytes() for s in secrets)]
    assert sorted(path.name for path in holding) == ["default.key", "server.key"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in holding)
    assert all(path.parent.stat().st_mode & 0o077 == 0 for path in holding)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keyring.server_pair()
    keyring.server_key_file().chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"), protected(CURVE):
        pass
    file = tmp_path / "cryo.toml"
    file.write_text('store = "cryo"\nalias = "hw"\n[access]\ncurve = true\n[items.temp]\n')
    done = run_cli("markd", str(file))
    assert done.returncode == 2
    assert "mode is 644" in done.stderr


# Several at once, and again.


def test_daemons_of_one_process_share_the_gate_and_leave_it_one_by_one() -> None:
    allow("ana", ANA, "operator")
    other = {"a": {"type": "numeric", "initial": 1}}
    with protected(CURVE) as first, curve_client(first, ANA) as client:
        with protected({"curve": True, "unknown": "none"}, other, alias="two") as second:
            with curve_client(second, ANA) as of_second:
                assert of_second.get("cryo.a")["value"] == 1
            assert client.get("cryo.temp")["value"] == 77.0
        with curve_client(first, BOB) as late:
            assert late.get("cryo.temp")["value"] == 77.0
    assert not [one for one in threading.enumerate() if one.name == "mktl-gate"]


def test_a_client_goes_on_when_its_daemon_turns_curve_on_and_off(registry: Child) -> None:
    config.set_answer_timeout_s(5.0)
    store = Store("cryo")
    try:
        for access in ({}, CURVE, {}, SECRETIVE):
            with announced(registry, access) as daemon:
                item = store["temp"]
                wait_until(lambda: value_of(store) == 77.0, 60)
                item.subscribe()
                daemon.store["temp"].publish(78.0)
                wait_until(lambda: value_of(store) == 78.0, 60)
    finally:
        store.close()
        config.set_answer_timeout_s(None)
