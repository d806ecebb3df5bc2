"""Our client against a daemon that behaves as the reference daemon does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

import mktl
from mktl.store import Store
from tests._support import wait_until
from tests._support.daemons import store_at
from tests._support.wire import FakeDaemon, from_recording, load

RECORDED = load("reference-client.json")
RECORDED_REQUESTS = [from_recording(one["request"]) for one in RECORDED if "request" in one]
RECORDED_SUBSCRIPTIONS = [
    bytes.fromhex(one["subscription"][0]["hex"]) for one in RECORDED if "subscription" in one
]
ITEMS = {
    "number": {"type": "numeric", "units": "kelvin"},
    "image": {"type": "bulk"},
}


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    made = FakeDaemon("warm", ITEMS, {"number": {"value": 5, "time": 1795469729.1}, "image": {}})
    made.values["image"] = {"time": 1795469729.1, "shape": [2], "dtype": "uint8"}
    made.bulk["image"] = b"\1\2"
    yield made
    made.close()


@pytest.fixture
def store(fake: FakeDaemon) -> Iterator[Store]:
    with store_at("warm", fake.rep) as made:
        yield made


def recorded_request(kind: bytes, target: bytes, flags: bytes = b"") -> list[bytes]:
    return next(one for one in RECORDED_REQUESTS if one[2:5] == [kind, target, flags])


def sent(fake: FakeDaemon, kind: bytes, target: bytes) -> list[list[bytes]]:
    return [one for one in fake.requests if one[2:4] == [kind, target]]


def subscribed(fake: FakeDaemon) -> None:
    """Wait until the client is, which no daemon of this kind can tell it."""
    wait_until(lambda: RECORDED_SUBSCRIPTIONS[0] in fake.subscriptions)


def test_client_asks_for_the_hash_of_a_store_as_recorded(fake: FakeDaemon, store: Store) -> None:
    assert store["number"].value == 5
    (ours,) = sent(fake, b"GET", b"warm._hash")
    theirs = recorded_request(b"GET", b"warm._hash")
    assert [ours[0], *ours[2:]] == [theirs[0], *theirs[2:]]
    assert len(ours[1]) == len(theirs[1])


def test_client_subscribes_and_then_primes_with_a_refresh(fake: FakeDaemon, store: Store) -> None:
    assert store["number"].value == 5
    subscribed(fake)
    (ours,) = sent(fake, b"GET", b"warm.number")
    assert ours[2:] == recorded_request(b"GET", b"warm.number")[2:]


def test_client_says_with_a_set_where_it_comes_from(fake: FakeDaemon, store: Store) -> None:
    store["number"].set(6)
    (ours,) = sent(fake, b"SET", b"warm.number")
    theirs = recorded_request(b"SET", b"warm.number")
    assert ours[2:5] == theirs[2:5]
    assert len(ours) == len(theirs)
    ours_payload, theirs_payload = json.loads(ours[5]), json.loads(theirs[5])
    assert set(theirs_payload) <= set(ours_payload) <= {*theirs_payload, "_user"}
    for name, recorded in theirs_payload.items():
        assert type(ours_payload[name]) is type(recorded)
    assert ours_payload["value"] == 6


def test_client_sends_a_set_without_any_answer_as_recorded(fake: FakeDaemon, store: Store) -> None:
    assert store["number"].set(7, wait=False, reply=False) is None
    (ours,) = wait_until(lambda: sent(fake, b"SET", b"warm.number"))
    theirs = recorded_request(b"SET", b"warm.number", b"\x03")
    assert ours[2:5] == theirs[2:5]
    assert set(json.loads(ours[5])) == set(json.loads(theirs[5]))
    wait_until(lambda: store["number"].value == 7)


def test_client_does_not_wait_for_the_reply_unless_told_to(fake: FakeDaemon, store: Store) -> None:
    pending = store["number"].set(8, wait=False)
    assert pending is not None
    pending.wait(10)
    assert pending.poll()
    (ours,) = sent(fake, b"SET", b"warm.number")
    assert ours[4] == b""


def test_client_sends_an_array_as_bulk_data(fake: FakeDaemon, store: Store) -> None:
    store["image"].set(np.zeros((2, 3), dtype="float32"))
    (ours,) = sent(fake, b"SET", b"warm.image")
    theirs = recorded_request(b"SET", b"warm.image")
    assert len(ours) == len(theirs)
    assert ours[6] == theirs[6]
    ours_payload, theirs_payload = json.loads(ours[5]), json.loads(theirs[5])
    assert set(theirs_payload) <= set(ours_payload) <= {*theirs_payload, "_user"}
    assert ours_payload["shape"] == theirs_payload["shape"]
    assert ours_payload["dtype"] == theirs_payload["dtype"]


def test_client_reads_an_array_from_bulk_data(fake: FakeDaemon, store: Store) -> None:
    value = store["image"].value
    assert value.dtype == np.uint8
    assert value.tolist() == [1, 2]


def test_values_follow_the_broadcasts_of_a_daemon_that_confirms_nothing(
    fake: FakeDaemon, store: Store
) -> None:
    item = store["number"]
    assert item.value == 5
    subscribed(fake)
    fake.publish(b"warm.number.", b"a", b'{"value":9,"time":1795469730.5}')
    wait_until(lambda: item.value == 9)
    assert len(sent(fake, b"GET", b"warm.number")) == 1


def test_callbacks_hear_each_broadcast_of_a_daemon_that_confirms_nothing(
    fake: FakeDaemon, store: Store
) -> None:
    heard: list[object] = []

    def note(_item: mktl.Item, value: object, _time: float) -> None:
        heard.append(value)

    store["number"].register(note, prime=True)
    subscribed(fake)
    for value in range(100):
        fields = json.dumps({"value": value, "time": 1795469730.5 + value})
        fake.publish(b"warm.number.", b"a", fields.encode())
    wait_until(lambda: heard == [5, *range(100)])


def test_value_that_was_set_is_read_back_although_an_older_broadcast_comes_late(
    fake: FakeDaemon, store: Store
) -> None:
    item = store["number"]
    assert item.value == 5
    item.set(6)
    fake.publish(b"warm.number.", b"a", b'{"value":5,"time":1795469729.1}')
    fake.publish(b"warm.number.", b"a", b'{"value":5,"time":1795469729.1}')
    for _attempt in range(50):
        assert item.value in (6,)


def test_ids_of_requests_are_eight_lower_case_hexadecimal_digits_and_count_up(
    fake: FakeDaemon, store: Store
) -> None:
    for _attempt in range(20):
        store["number"].get(refresh=True)
    ids = [one[1] for one in sent(fake, b"GET", b"warm.number")]
    numbers = [int(id_, 16) for id_ in ids]
    assert numbers == sorted(set(numbers))
    assert all(len(id_) == 8 and id_ == id_.lower() for id_ in ids)


def test_key_that_the_daemon_rejects_is_a_key_error(fake: FakeDaemon, store: Store) -> None:
    del fake.items["image"]
    with pytest.raises(KeyError) as caught:
        store["image"].get(refresh=True)
    assert isinstance(caught.value, mktl.MktlError)


def test_watch_shows_a_value_once_whose_broadcast_comes_after_it_was_asked_for(
    fake: FakeDaemon, store: Store
) -> None:
    seen = []
    for payload in store["number"].watch(timeout=10):
        seen.append(payload.value)
        if len(seen) == 1:
            subscribed(fake)
            present = fake.values["number"]
            fake.publish(b"warm.number.", b"a", json.dumps(present).encode())
            fake.publish(b"warm.number.", b"a", b'{"value":6,"time":1795469800.5}')
        if seen[-1] == 6:
            break
    assert seen == [5, 6]
