"""Whatever a daemon sends to a client: an error for who waits, and broadcasts go on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mktl
from mktl.store import Store
from mktl.transport.client import RequestClient
from tests._support import wait_until
from tests._support.daemons import store_at
from tests._support.wire import FakeDaemon

ITEMS = {"number": {"type": "numeric"}, "image": {"type": "bulk"}}
NUMBER = {"value": 5, "time": 1795469729.1}


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    made = FakeDaemon("warm", ITEMS, {"number": NUMBER, "image": {"value": None}})
    yield made
    made.close()


@pytest.fixture
def store(fake: FakeDaemon) -> Iterator[Store]:
    with store_at("warm", fake.rep) as made:
        yield made


@pytest.mark.parametrize(
    "rest",
    [
        [b"REP", b"", b"", b"{"],
        [b"REP", b"", b"", b"[]"],
        [b"REP", b"", b"", b'"\xff"'],
        [b"REP", b"", b"", b"[" * 100_000],
        [b"REP", b"", b""],
        [b"REP"],
        [],
        [b"PER", b"", b"", b"{}"],
        [b"REP", b"", b"", b"{}", b"", b"", b""],
        [b"REP", b"", b"", b'{"shape":[2],"dtype":"uint8"}', b"\1"],
        [b"REP", b"", b"", b'{"shape":[1],"dtype":"object"}', b"\1" * 8],
        [b"REP", b"", b"", b'{"error":"just text"}'],
        [b"REP", b"", b"", b'{"error":[]}'],
        [b"REP", b"", b"", b'{"error":{"type":3,"text":{}}}'],
        [b"REP", b"", b"", b'{"error":{"type":"ExceptionGroup","text":"x"}}'],
        [b"REP", b"", b"", b'{"error":{"type":"SystemExit","text":"x"}}'],
        [b"REP", b"", b"", b'{"error":{"class":"__builtins__","type":"object","text":"x"}}'],
        [b"REP", b"", b"", b'{"error":{"class":"MktlError"}}'],
    ],
    ids=lambda rest: repr(b"|".join(rest))[:60],
)
def test_broken_reply_is_an_error_for_who_waits_and_for_nobody_else(
    fake: FakeDaemon, store: Store, rest: list[bytes]
) -> None:
    item = store["number"]
    assert item.value == 5
    fake.respond = lambda request: [[b"a", request[1], *rest]]
    with pytest.raises(mktl.MktlError):
        item.get(refresh=True)
    fake.respond = lambda _request: None
    assert item.get(refresh=True) == 5


def test_replies_that_nobody_asked_for_are_dropped(fake: FakeDaemon, store: Store) -> None:
    def with_strangers(request: list[bytes]) -> list[list[bytes]]:
        good = fake._responses.__func__  # type: ignore[attr-defined]
        fake.respond = lambda _request: None
        responses = good(fake, request)
        fake.respond = with_strangers
        stranger = [b"a", b"deadbeef", b"REP", b"", b"", b'{"value":666}']
        return [[b""], [b"a"], stranger, [b"z", *stranger[1:]], *responses, stranger, responses[-1]]

    fake.respond = with_strangers
    for _attempt in range(20):
        assert store["number"].get(refresh=True) == 5


def test_reply_of_another_version_does_not_leave_anybody_waiting(
    fake: FakeDaemon, store: Store
) -> None:
    assert store["number"].value == 5
    fake.respond = lambda request: [[b"b", request[1], b"REP", b"", b"", b'{"value":666}']]
    with pytest.raises(mktl.MktlError, match="version"):
        store["number"].get(refresh=True)


def test_daemon_that_answers_nothing_is_a_timeout_error(
    fake: FakeDaemon, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store["number"].value == 5
    monkeypatch.setenv("MKTL_TIMEOUT", "0.1")
    fake.respond = lambda _request: []
    with pytest.raises(TimeoutError) as caught:
        store["number"].get(refresh=True)
    assert isinstance(caught.value, mktl.MktlError)
    assert isinstance(caught.value, RuntimeError)


def test_daemon_that_acknowledges_and_never_replies_is_a_timeout_error_when_one_was_given(
    fake: FakeDaemon, store: Store
) -> None:
    assert store["number"].value == 5
    fake.respond = lambda request: [[b"a", request[1], b"ACK", b"", b"", b""]]
    with pytest.raises(TimeoutError, match="acknowledged"):
        store["number"].set(6, timeout=0.1)
    pending = store["number"].set(6, wait=False)
    assert pending is not None
    with pytest.raises(TimeoutError):
        pending.wait(0.05)
    assert not pending.poll()


def test_reply_that_comes_after_its_time_is_not_taken_for_the_next_one(
    fake: FakeDaemon, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store["number"].value == 5
    monkeypatch.setenv("MKTL_TIMEOUT", "0.1")
    kept: list[bytes] = []

    def late(request: list[bytes]) -> list[list[bytes]]:
        kept.append(request[1])
        return []

    def both(request: list[bytes]) -> list[list[bytes]]:
        return [
            [b"a", kept[0], b"REP", b"", b"", b'{"value":666}'],
            [b"a", request[1], b"REP", b"", b"", b'{"value":7}'],
        ]

    fake.respond = late
    with pytest.raises(TimeoutError):
        store["number"].get(refresh=True)
    fake.respond = both
    monkeypatch.setenv("MKTL_TIMEOUT", "5")
    assert store["number"].get(refresh=True) == 7


BAD_BROADCASTS = [
    [b""],
    [b"warm.number."],
    [b"warm.number.", b"a"],
    [b"warm.number.", b"z", b'{"value":666}'],
    [b"warm.number.", b"a", b"{"],
    [b"warm.number.", b"a", b"[]"],
    [b"warm.number.", b"a", b"[" * 100_000],
    [b"warm.number.", b"a", b'{"value":"\xff"}'],
    [b"warm.number.", b"a", b'{"shape":[5],"dtype":"uint8"}', b"\1"],
    [
        b"warm.number.",
        b"a",
        b'{"shape":[0,4611686018427387904,4611686018427387904],"dtype":"int8"}',
        b"",
    ],
    [b"warm.number.", b"a", b'{"shape":[1],"dtype":"object"}', b"\1" * 8],
    [b"warm.number.", b"a", b'{"value":1}', b"", b""],
    [b"warm.number.\xff", b"a", b'{"value":666}'],
    [b"warm.number.x", b"a", b'{"value":666}'],
]


def test_bad_broadcasts_end_neither_the_thread_that_reads_them_nor_the_good_ones(
    fake: FakeDaemon, store: Store
) -> None:
    item = store["number"]
    heard: list[object] = []

    def note(_item: mktl.Item, value: object, _time: float) -> None:
        heard.append(value)

    item.register(note, prime=True)
    for number, bad in enumerate(BAD_BROADCASTS):
        fake.publish(*bad)
        fields = json.dumps({"value": number, "time": 1795469730.5 + number, "self": 1})
        fake.publish(b"warm.number.", b"a", fields.encode())
        wait_until(lambda last=number: heard[-1] == last)
    assert heard == [5, *range(len(BAD_BROADCASTS))]
    assert item.value == len(BAD_BROADCASTS) - 1


def test_no_broadcast_of_any_kind_ends_the_thread_that_reads_them(
    fake: FakeDaemon, store: Store
) -> None:
    item = store["number"]
    assert item.value == 5
    fields = st.dictionaries(
        st.sampled_from(["value", "time", "quality", "checked", "shape", "dtype", "self"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.integers()),
    )

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.binary(max_size=20) | fields.map(lambda f: json.dumps(f).encode()), max_size=4)
    )
    def send(rest: list[bytes]) -> None:
        fake.publish(b"warm.number.", *rest)
        fake.publish(b"warm.number.", b"a", *rest)

    send()
    # Later than any time that was sent, or it would be taken for an older value.
    latest = json.dumps({"value": 123456, "time": sys.float_info.max}).encode()
    fake.publish(b"warm.number.", b"a", latest)
    wait_until(lambda: str(item._source.payload.value) == "123456")


@pytest.mark.parametrize(
    "catalog",
    [
        3,
        [],
        {"x": 3},
        {"x": {"store": "warm"}},
        {"x": {"store": "warm", "alias": "../../x", "uuid": "u", "hash": 1, "items": {}}},
        {"x": {"store": "warm", "alias": "a", "uuid": "../u", "hash": 1, "items": {}}},
        {"x": {"store": "warm", "alias": "a", "uuid": "u", "hash": 1, "items": {"../x": {}}}},
        {"x": {"store": "warm", "alias": "a", "uuid": "u", "hash": 1, "items": {"x": 3}}},
        {"x": {"store": "warm", "alias": "a", "uuid": "u", "hash": "1", "items": {}}},
        {"x": {"store": "w/rm", "alias": "a", "uuid": "u", "hash": 1, "items": {}}},
        {
            "x": {
                "store": "warm",
                "alias": "a",
                "uuid": "u",
                "hash": 1,
                "items": {"number": {}},
                "provenance": [{"stratum": 0, "hostname": "x\ny", "rep": 1, "pub": 2}],
            }
        },
    ],
    ids=lambda catalog: json.dumps(catalog)[:60],
)
def test_bad_catalog_is_refused_with_an_error_and_not_cached(
    fake: FakeDaemon, store: Store, catalog: object, mktl_home: object
) -> None:
    value = json.dumps({"value": catalog}).encode()
    fake.respond = lambda request: [[b"a", request[1], b"REP", b"", b"", value]]
    with pytest.raises(mktl.MktlError):
        store["number"]
    from pathlib import Path

    assert not list(Path(str(mktl_home)).rglob("*.json"))


@pytest.mark.parametrize(
    "description",
    [
        {"type": "nonsense"},
        {"type": 3},
        {"units": []},
        {"range": "x", "type": "numeric"},
        {"enumerators": 3, "type": "enumerated"},
    ],
)
def test_item_with_a_description_that_makes_no_sense_can_still_be_read(
    fake: FakeDaemon, store: Store, description: dict[str, object]
) -> None:
    fake.items["number"] = description
    assert store["number"].value == 5
    assert store["number"].formatted == "5"


def test_client_whose_daemon_closes_the_connection_gets_an_error(fake: FakeDaemon) -> None:
    client = RequestClient("127.0.0.1", fake.rep)
    try:
        fake.respond = lambda request: [[b"a", request[1], b"ACK", b"", b"", b""]]
        reply = client.request(b"GET", "warm.number")
        reply.wait_acknowledged()
        fake.close()
        with pytest.raises(ConnectionError):
            reply.wait(20)
    finally:
        client.close()
