"""The first use of items: what a client asks, what is read for it, and that it misses nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

import mktl
from mktl import _first_use
from mktl.errors import NotAllowed, NotSupported, UnknownKey
from tests._support import wait_until
from tests._support.daemons import client_of, raw_client, serving, store_at
from tests._support.wire import FakeDaemon, RawClient, payload_of

NUMBER = {"type": "numeric", "settable": False}
SELDOM_S = 3600.0


class Read(mktl.Item):
    """An item that says how often it was read."""

    failure: Exception | None = None

    def __init__(self, store: Any, key: str, poll_s: float | None = None) -> None:
        super().__init__(store, key)
        self.reads = 0
        self.poll(poll_s)

    def req_refresh(self) -> int:
        self.reads += 1
        if self.failure is not None:
            raise self.failure
        return self.reads


class Asked(mktl.Item):
    """An item that counts how often it is asked for, and changes just before it answers."""

    gets = 0

    def req_get(self, request: Any) -> mktl.Payload:
        self.gets += 1
        old = self._source.payload
        self.publish(self.gets)
        return old


class Instruments(mktl.Daemon):
    """``polled`` has been polled, and is next in an hour; ``seldom`` never is."""

    def setup(self) -> None:
        self.add_item(Read, "polled", SELDOM_S, description=NUMBER)
        self.add_item(Read, "seldom", description=NUMBER)


class Changing(mktl.Daemon):
    """Items that change as they are asked for."""

    def setup(self) -> None:
        for number in range(100):
            self.add_item(Asked, f"n{number}", description={"type": "numeric", "initial": 0})


def read(daemon: mktl.Daemon, key: str) -> Read:
    item = daemon.store[key]
    assert isinstance(item, Read)
    return item


def is_known(daemon: mktl.Daemon, key: str) -> bool:
    """Whether a value was read, and published."""
    return daemon.store[key]._source.payload.time is not None


def primed(client: RawClient, key: str, mark: object = "") -> dict[str, Any]:
    """Return the answer to the first use of an item, as our client asks for it."""
    fields: dict[str, Any] = client.get(f"cryo.{key}", refresh=True, prime=mark)
    return fields


def test_first_use_of_an_item_that_is_polled_reads_no_hardware() -> None:
    with serving(daemon_class=Instruments) as daemon:
        wait_until(lambda: is_known(daemon, "polled"))
        for _client in range(3):
            with client_of(daemon) as store:
                assert store["polled"].value == 1
                assert store["polled"].live
        assert read(daemon, "polled").reads == 1


def test_first_use_of_an_item_that_is_never_polled_reads_the_hardware(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_first_use, "FRESH_S", 0.0)
    with serving(daemon_class=Instruments) as daemon:
        for number in (1, 2):
            with client_of(daemon) as store:
                assert store["seldom"].value == number


def test_clients_that_start_together_share_what_was_read_just_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_first_use, "FRESH_S", 3600.0)
    with serving(daemon_class=Instruments) as daemon:
        for _client in range(3):
            with client_of(daemon) as store:
                assert store["seldom"].value == 1
        assert read(daemon, "seldom").reads == 1


def test_refresh_that_is_asked_for_is_done_however_new_the_value_is() -> None:
    with serving(daemon_class=Instruments) as daemon, client_of(daemon) as store:
        wait_until(lambda: is_known(daemon, "polled"))
        assert store["polled"].value == 1
        assert store["polled"].get(refresh=True) == 2


def test_value_of_an_earlier_run_is_no_answer_to_a_first_use() -> None:
    with serving(daemon_class=Instruments) as daemon:
        wait_until(lambda: is_known(daemon, "polled"))
        read(daemon, "polled")._source.restore(mktl.Payload(77, time.time()), saved=True)
        with client_of(daemon) as store:
            assert store["polled"].value == 2
            assert store["polled"].quality == "valid"


def test_what_cannot_be_read_is_answered_with_what_is_known_and_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_first_use, "FRESH_S", 0.0)
    with serving(daemon_class=Instruments) as daemon, raw_client(daemon) as client:
        assert primed(client, "seldom")["value"] == 1
        read(daemon, "seldom").failure = mktl.errors.DeviceError("the sensor is unplugged")
        answer = primed(client, "seldom")
        assert (answer["value"], answer["quality"]) == (1, "invalid")
        assert "unplugged" in answer["reason"]


def test_value_of_an_item_whose_code_fails_without_doubting_it_is_not_shown_as_good() -> None:
    class Failing(mktl.Item):
        def req_get(self, request: Any) -> None:
            raise ValueError(f"no answer to {request.kind}")

    class Own(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Failing, "number", description={"type": "numeric", "initial": 5})

    with (
        serving(daemon_class=Own) as daemon,
        client_of(daemon) as store,
        pytest.raises(ValueError, match="no answer to GET"),
    ):
        _ = store["number"].value


def test_what_was_never_read_and_cannot_be_is_an_error_after_one_reading() -> None:
    with serving(daemon_class=Instruments) as daemon, client_of(daemon) as store:
        read(daemon, "seldom").failure = mktl.errors.DeviceError("the sensor is unplugged")
        with pytest.raises(mktl.errors.DeviceError, match="unplugged"):
            _ = store["seldom"].value
        assert read(daemon, "seldom").reads == 1


def test_answer_says_once_that_a_mark_was_subscribed_to_before() -> None:
    with serving({"temp": {"initial": 5}}) as daemon, raw_client(daemon) as client:
        assert "subscribed" not in primed(client, "temp", "sync:mark:nobody-1.")
        client.subscribe(b"cryo.temp.")
        client.subscribe(b"sync:mark:me-1.")
        assert primed(client, "temp", "sync:mark:me-1.")["subscribed"] is True
        assert "subscribed" not in primed(client, "temp", "sync:mark:me-1.")


@pytest.mark.parametrize("mark", [None, 5, "", "\x00", "é" * 100, ["sync:mark:me-1."], {}])
def test_mark_that_is_none_is_not_taken_for_one(mark: object) -> None:
    with serving({"temp": {"initial": 5}}) as daemon, raw_client(daemon) as client:
        client.subscribe(b"sync:mark:me-1.")
        answer = primed(client, "temp", mark)
        assert answer["value"] == 5
        assert "subscribed" not in answer


def test_answer_with_an_array_says_it_too() -> None:
    with serving({"image": {"type": "bulk"}}) as daemon, raw_client(daemon) as client:
        daemon.store["image"].set(bytes(8))
        client.subscribe(b"sync:mark:me-1.")
        frames = client.ask("GET", "cryo.image", {"refresh": True, "prime": "sync:mark:me-1."})
        assert payload_of(frames)["subscribed"] is True
        assert frames[6] == bytes(8)


def test_change_between_the_answer_and_its_arrival_is_not_missed() -> None:
    with serving(daemon_class=Changing) as daemon, client_of(daemon) as store:
        for number in range(100):
            assert store[f"n{number}"].value is not None
        for number in range(100):
            key = f"n{number}"
            wait_until(lambda key=key: store[key].value == daemon.store[key].value)
            assert store[key].live


def test_payload_of_a_first_use_says_nothing_of_how_it_was_asked() -> None:
    with serving({key: {"initial": 5} for key in "xy"}) as daemon, client_of(daemon) as store:
        for key in "xy":
            item = store[key]
            item.subscribe()
            assert item._source.payload.extra == {}


# Many at once.


def test_items_subscribed_to_together_have_their_values_and_follow_them() -> None:
    items = {f"n{number}": {"type": "numeric", "initial": number} for number in range(500)}
    with serving(items) as daemon, client_of(daemon) as store:
        found = store.subscribe(items)
        assert list(found) == list(items)
        assert [one.value for one in found.values()] == list(range(500))  # type: ignore[union-attr]
        for key in items:
            daemon.store[key].publish(-1)
        wait_until(lambda: all(store[key].value == -1 for key in items))
        assert all(store[key].live for key in items)


def test_client_of_many_items_has_two_connections_and_few_threads() -> None:
    items = {f"n{number}": {"initial": number} for number in range(500)}
    with serving(items) as daemon, client_of(daemon) as store:
        before = set(threading.enumerate())
        store.subscribe(items)
        begun = [thread.name for thread in threading.enumerate() if thread not in before]
        # The daemon may have begun more of its own, to answer.
        assert len([name for name in begun if not name.startswith(daemon.block.name)]) <= 4
        assert daemon._server is not None
        assert daemon._server.connections == 2


def test_each_item_is_asked_for_once_however_many_threads_begin_with_it() -> None:
    with serving(daemon_class=Changing) as daemon, client_of(daemon) as store:
        keys = [f"n{number}" for number in range(100)]
        threads = [threading.Thread(target=store.subscribe, args=(keys,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(store[key].live for key in keys)
        asked = [daemon.store[key] for key in keys]
        assert [one.gets for one in asked if isinstance(one, Asked)] == [1] * 100
        wait_until(lambda: all(store[key].value == 1 for key in keys))


def test_what_cannot_be_subscribed_to_is_told_and_holds_up_nothing_else() -> None:
    items = {"temp": {"initial": 5}, "go": {"gettable": False}}
    with serving(items) as daemon, client_of(daemon) as store:
        found = store.subscribe(["nothing", "go", "TEMP", "temp"])
        assert list(found) == ["nothing", "go", "temp"]
        assert isinstance(found["nothing"], UnknownKey)
        assert isinstance(found["go"], NotSupported)
        assert isinstance(found["temp"], mktl.Payload)
        assert found["temp"].value == 5


def test_items_that_are_subscribed_already_are_not_asked_for_again() -> None:
    with serving(daemon_class=Changing) as daemon, client_of(daemon) as store:
        store.subscribe(["n1"])
        wait_until(lambda: store["n1"].value == 1)
        found = store.subscribe(["n1", "n2"])
        assert isinstance(found["n1"], mktl.Payload)
        assert found["n1"].value == 1
        asked = daemon.store["n1"]
        assert isinstance(asked, Asked)
        assert asked.gets == 1


def test_daemon_itself_has_its_own_values_at_once() -> None:
    with serving({"temp": {"initial": 5}}) as daemon:
        found = daemon.store.subscribe(["temp"])["temp"]
        assert isinstance(found, mktl.Payload)
        assert found.value == 5


def test_items_of_a_daemon_that_is_gone_have_the_reason_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = {"temp": {"initial": 5}, "flow": {"initial": 1}}
    with serving(items) as daemon, client_of(daemon) as store:
        assert store["temp"].value == 5
        daemon.stop()
        monkeypatch.setenv("MKTL_TIMEOUT", "0.3")
        found = store.subscribe(["flow"])["flow"]
        assert isinstance(found, mktl.MktlError)


def test_daemon_of_others_is_asked_as_its_own_clients_ask_it() -> None:
    items = {f"n{number}": {"type": "numeric"} for number in range(20)}
    values = {key: {"value": 1, "time": 1795469729.1} for key in items}
    fake = FakeDaemon("warm", items, values)
    try:
        with store_at("warm", fake.rep) as store:
            found = store.subscribe(items)
            assert all(isinstance(one, mktl.Payload) for one in found.values())
            gets = [one for one in fake.requests if one[3].startswith(b"warm.n")]
            assert {one[5] for one in gets} == {b'{"refresh":true}'}
            assert len(gets) == 20
            assert all(b"sync:mark" not in one for one in fake.subscriptions)
            fake.publish(b"warm.n7.", b"a", json.dumps({"value": 9, "time": 1795469730.5}).encode())
            wait_until(lambda: store["n7"].value == 9)
    finally:
        fake.close()


class Ruled(mktl.Daemon):
    """A daemon that keeps something from everybody."""

    def describe_items(self) -> Mapping[str, Mapping[str, Any]]:
        return {f"n{number}": {"initial": number} for number in range(50)} | {"secret": {}}

    def describe_access(self) -> Mapping[str, Any]:
        roles = {"guest": {"read": ["*", "!secret"], "set": ["*"]}}
        return {"unknown": "guest", "roles": roles}


def test_first_use_is_quick_where_not_everybody_may_read_everything_too() -> None:
    with serving(daemon_class=Ruled) as daemon, client_of(daemon) as store:
        for number in range(50):
            assert store[f"n{number}"].value == number
        with pytest.raises(NotAllowed):
            _ = store["secret"].value
        assert isinstance(store.subscribe(["secret"])["secret"], NotAllowed)
        for number in range(50):
            daemon.store[f"n{number}"].publish(-1)
        wait_until(lambda: all(store[f"n{number}"].value == -1 for number in range(50)))
