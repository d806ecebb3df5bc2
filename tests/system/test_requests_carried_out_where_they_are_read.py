"""Code of items runs on the thread that reads requests: what if it is not quick after all?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import mktl
from mktl.store import Store
from tests._support import wait_until
from tests._support.daemons import client_of, raw_client, serving
from tests._support.wire import RawClient, payload_of

NUMBER = {"type": "numeric", "initial": 0}


class Gate:
    """Lets code of items through, or holds it up."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.held_up = 0

    def pass_through(self) -> None:
        if not self.open.is_set():
            self.held_up += 1
            assert self.open.wait(30)


class Held(mktl.Item):
    """Reads and writes hardware that answers at once, until the gate is shut."""

    def __init__(self, store: Any, key: str, gate: Gate) -> None:
        super().__init__(store, key)
        self.gate = gate
        self.hardware: list[Any] = [0]

    def req_refresh(self) -> Any:
        self.gate.pass_through()
        return self.hardware[-1]

    def req_set(self, request: Any) -> None:
        self.gate.pass_through()
        self.hardware.append(request.value)
        self.publish(request.value)


class Daemon(mktl.Daemon):
    def setup(self) -> None:
        self.gate = Gate()
        for key in ("first", "second", "third"):
            self.add_item(Held, key, self.gate, description={"type": "numeric"})


class Leaves(mktl.Item):
    def req_refresh(self) -> Any:
        raise SystemExit("it is over")

    def req_set(self, request: Any) -> None:
        raise SystemExit(f"no {request.value}")


class Leaving(mktl.Daemon):
    def setup(self) -> None:
        item = self.add_item(Leaves, "leaves", description={"type": "numeric", "initial": 1})
        item.poll(100.0)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with serving({"plain": NUMBER}, daemon_class=Daemon) as running:
        assert isinstance(running, Daemon)
        yield running
        running.gate.open.set()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[RawClient]:
    with raw_client(daemon) as made:
        yield made


@pytest.fixture
def store(daemon: Daemon) -> Iterator[Store]:
    with client_of(daemon) as made:
        yield made


def test_code_that_is_held_up_keeps_nobody_from_being_answered(
    daemon: Daemon, client: RawClient, store: Store
) -> None:
    keys = ("first", "second", "third")
    for key in keys:  # each has been quick
        store[key].set(1)
        assert store[key].get(refresh=True) == 1
    daemon.gate.open.clear()
    # The first holds up the thread that reads, the others whoever has taken over.
    pending = [store[key].set(2, wait=False) for key in keys]
    wait_until(lambda: daemon.gate.held_up == 3)
    assert client.get("cryo.plain")["value"] == 0
    assert client.set("cryo.plain", 5) == {"value": True}
    assert client.get("cryo.plain", refresh=True)["value"] == 5
    daemon.gate.open.set()
    for one in pending:
        assert one is not None
        one.wait(20)
    assert [store[key].get() for key in keys] == [2, 2, 2]


@pytest.mark.parametrize(("kind", "payload"), [("SET", {"value": 2}), ("GET", {"refresh": True})])
def test_request_whose_code_is_held_up_is_acknowledged_and_then_answered(
    daemon: Daemon, client: RawClient, kind: str, payload: dict[str, Any]
) -> None:
    client.set("cryo.first", 1)
    daemon.gate.open.clear()
    id_ = client.send_request(kind, "cryo.first", payload)
    acknowledgement = client.receive()
    assert acknowledgement is not None
    assert acknowledgement[1:3] == [id_, b"ACK"]
    daemon.gate.open.set()
    reply = client.receive()
    assert reply is not None
    assert reply[1:3] == [id_, b"REP"]
    assert "error" not in payload_of(reply)


def test_who_shares_a_reading_that_is_held_up_is_acknowledged_too(
    daemon: Daemon, client: RawClient
) -> None:
    client.get("cryo.first", refresh=True)
    daemon.gate.open.clear()
    for _number in range(2):
        id_ = client.send_request("GET", "cryo.first", {"refresh": True})
        acknowledgement = client.receive()
        assert acknowledgement is not None
        assert acknowledgement[1:3] == [id_, b"ACK"]
    daemon.gate.open.set()
    replies = [client.receive(), client.receive()]
    assert [reply and reply[2] for reply in replies] == [b"REP", b"REP"]


@pytest.mark.parametrize(("kind", "payload"), [("SET", {"value": 2}), ("GET", {"refresh": True})])
def test_code_of_an_item_that_wants_to_exit_is_answered_with_an_error_each_time(
    kind: str, payload: dict[str, Any]
) -> None:
    with serving(daemon_class=Leaving) as running, raw_client(running) as client:
        for _number in range(3):
            answer = payload_of(client.ask(kind, "cryo.leaves", payload))
            assert answer["error"]["type"] == "SystemExit"


def test_poll_and_own_set_of_an_item_that_wants_to_exit_are_not_taken_for_good() -> None:
    with serving(daemon_class=Leaving) as running:
        item = running.store["leaves"]
        wait_until(lambda: item.quality == "invalid")
        with pytest.raises(SystemExit):
            item.set(2)


def test_set_that_was_quick_is_answered_although_the_next_one_is_held_up(
    daemon: Daemon, client: RawClient
) -> None:
    client.set("cryo.first", 1)
    daemon.gate.open.clear()
    quick = client.send_request("SET", "cryo.plain", {"value": 5})
    slow = client.send_request("SET", "cryo.first", {"value": 2})
    assert payload_of(client.reply_to(quick)) == {"value": True}
    daemon.gate.open.set()
    assert payload_of(client.reply_to(slow)) == {"value": True}


def test_sets_of_an_item_stay_in_order_when_one_of_them_is_held_up(
    daemon: Daemon, store: Store
) -> None:
    item = store["first"]
    item.set(1)
    daemon.gate.open.clear()
    pending = [item.set(value, wait=False) for value in range(2, 60)]
    wait_until(lambda: daemon.gate.held_up == 1)
    daemon.gate.open.set()
    pending += [item.set(value, wait=False) for value in range(60, 100)]
    for one in pending:
        assert one is not None
        one.wait(20)
    served = daemon.store["first"]
    assert isinstance(served, Held)
    assert served.hardware == list(range(100))


def test_daemon_stops_although_code_of_an_item_is_held_up(
    daemon: Daemon, client: RawClient
) -> None:
    client.set("cryo.first", 1)
    daemon.gate.open.clear()
    client.send_request("SET", "cryo.first", {"value": 2})
    wait_until(lambda: daemon.gate.held_up == 1)
    daemon.stop()
    assert daemon.wait(0)


def test_code_of_an_item_can_stop_the_daemon() -> None:
    class Stopping(mktl.Item):
        def req_set(self, request: Any) -> None:
            assert request.value == 1
            self.store.daemon.stop()

    class Own(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Stopping, "end", description={"type": "numeric"})

    with serving(daemon_class=Own) as running, raw_client(running) as client:
        client.send_request("SET", "cryo.end", {"value": 1})
        assert running.wait(20)
