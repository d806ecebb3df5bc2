"""Whatever arrives at a daemon: an error where an id can be read, and it goes on answering."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mktl
from tests._support import wait_until
from tests._support.daemons import raw_client, serving
from tests._support.wire import RawClient, payload_of

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {"type": "numeric", "initial": 77.35},
    "flag": {"type": "boolean", "initial": False},
    "mode": {"type": "enumerated", "enumerators": {"0": "Idle", "1": "Run"}, "initial": 0},
    "list": {"type": "numeric array", "initial": [1, 2]},
    "label": {"type": "string", "initial": "x"},
    "image": {"type": "bulk"},
    "any": {"initial": 1},
    "kept": {"type": "string", "persist": True, "initial": ""},
}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS) as running:
        yield running


@pytest.fixture
def client(daemon: mktl.Daemon) -> Iterator[RawClient]:
    with raw_client(daemon) as made:
        yield made


def still_answers(client: RawClient) -> None:
    assert client.get("cryo.temp")["value"] == 77.35


def error_of(frames: list[bytes]) -> dict[str, str]:
    assert frames[2] == b"REP"
    error: dict[str, str] = payload_of(frames)["error"]
    assert isinstance(error["type"], str)
    assert error["text"]
    assert "\n" not in error["text"]
    assert len(error["text"]) < 2000
    return error


GOOD = [b"a", b"id", b"GET", b"cryo.temp", b"", b""]


def replaced(**frames: bytes) -> list[bytes]:
    names = ["version", "id", "kind", "target", "flags", "payload", "bulk"]
    made = list(GOOD)
    for name, content in frames.items():
        made[names.index(name) : names.index(name) + 1] = [content]
    return made


@pytest.mark.parametrize(
    "message",
    [
        replaced(version=b"z"),
        replaced(version=b""),
        replaced(version=b"aa"),
        replaced(kind=b"PUT"),
        replaced(kind=b""),
        replaced(kind=b"get"),
        replaced(kind=b"REP"),
        replaced(kind=b"GET" * 10_000),
        replaced(target=b""),
        replaced(target=b"."),
        replaced(target=b"cryo"),
        replaced(target=b"cryo."),
        replaced(target=b".temp"),
        replaced(target=b"cryo.temp.more"),
        replaced(target=b"cryo./etc/passwd"),
        replaced(target=b"cryo.../../x"),
        replaced(target=b"../../x.temp"),
        replaced(target=b"cryo.te\x00mp"),
        replaced(target=b"cryo.temp\n"),
        replaced(target=b"cryo.\x1b[2J"),
        replaced(target=b"cryo.\xff\xfe"),
        replaced(target="cryo.tém".encode()),
        replaced(target="\u212aryo.temp".encode()),
        replaced(target=b"cryo." + b"x" * 100_000),
        replaced(target=b"x" * 100_000),
        replaced(target=b"_nothing"),
        replaced(target=b"_hash", kind=b"SET"),
        replaced(target=b"cryo._hash", kind=b"SET"),
        replaced(target=b"_catalog", kind=b"SET", payload=b'{"value":{}}'),
        replaced(flags=b"\x00" * 9),
        replaced(payload=b"{"),
        replaced(payload=b"[]"),
        replaced(payload=b"3"),
        replaced(payload=b'"text"'),
        replaced(payload=b"null"),
        replaced(payload=b'{"value":"\xff"}'),
        replaced(payload=b'{"value":"\\ud800"}'),
        replaced(payload=b"\xff\xfe{\x00"),
        replaced(payload=b'{"value":' * 5000 + b"1" + b"}" * 5000),
        replaced(payload=b"[" * 100_000),
        replaced(payload=b'{"x":NaN' + b"[" * 100_000),
        replaced(payload=b'{"refresh":"yes"}'),
        replaced(payload=b'{"refresh":1.5}'),
        replaced(payload=b'{"refresh":[]}'),
        GOOD[:2],
        GOOD[:3],
        GOOD[:5],
        [*GOOD, b"", b""],
        [*GOOD, *[b"x"] * 500],
        [b"", b"id"],
    ],
    ids=lambda message: repr(b"|".join(message))[:70],
)
def test_malformed_request_with_an_id_gets_an_error(
    client: RawClient, message: list[bytes]
) -> None:
    client.send(*message)
    reply = client.reply_to(b"id")
    error_of(reply)
    still_answers(client)


@pytest.mark.parametrize(
    "message", [[b""], [b"a"], [b"a", b""], [b"", b"", b""], [b"a", b"", *GOOD[2:5]], [b"x" * 99]]
)
def test_message_without_an_id_is_counted_and_logged_at_a_limited_rate(
    daemon: mktl.Daemon,
    client: RawClient,
    message: list[bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    for _attempt in range(50):
        client.send(*message)
    still_answers(client)
    assert daemon._server is not None
    assert daemon._server.bad_messages == 50
    lines = [one for one in caplog.records if "no request" in one.getMessage()]
    assert len(lines) == 1


def test_empty_id_of_a_good_request_is_as_good_as_any(client: RawClient) -> None:
    client.send(*replaced(id=b""))
    assert payload_of(client.reply_to(b""))["value"] == 77.35


@pytest.mark.parametrize(
    ("key", "payload", "kind"),
    [
        ("temp", {}, "ValueError"),
        ("any", {}, "ValueError"),
        ("any", {"time": 3}, "ValueError"),
        ("temp", {"value": None}, "TypeError"),
        ("temp", {"value": "warm"}, "ValueError"),
        ("temp", {"value": [1]}, "TypeError"),
        ("temp", {"value": {"a": 1}}, "TypeError"),
        ("temp", {"value": True}, "TypeError"),
        ("flag", {"value": 2}, "KeyError"),
        ("flag", {"value": "perhaps"}, "KeyError"),
        ("mode", {"value": 7}, "KeyError"),
        ("mode", {"value": []}, "TypeError"),
        ("list", {"value": 3}, "TypeError"),
        ("list", {"value": [1, "x"]}, "TypeError"),
        ("list", {"value": [1, None]}, "TypeError"),
        ("label", {"value": 3}, "TypeError"),
        ("label", {"value": ["x"]}, "TypeError"),
        ("image", {"value": 3}, "TypeError"),
        ("image", {"shape": [2, 2], "dtype": "uint8"}, "ValueError"),
        ("_hwpid", {"value": 3}, "TypeError"),
        ("_hwcat", {"value": {}}, "TypeError"),
    ],
)
def test_set_of_a_wrong_value_is_refused_and_changes_nothing(
    client: RawClient, key: str, payload: dict[str, Any], kind: str
) -> None:
    before = client.ask("GET", f"cryo.{key}")[5:]
    assert error_of(client.ask("SET", f"cryo.{key}", payload))["type"] == kind
    assert client.ask("GET", f"cryo.{key}")[5:] == before


@pytest.mark.parametrize(
    ("fields", "bulk"),
    [
        ({"shape": [2, 2], "dtype": "uint8"}, b"\1\2\3"),
        ({"shape": [2, 2], "dtype": "uint16"}, b"\1\2\3\4"),
        ({"shape": [2**40, 2**40], "dtype": "float64"}, b"\1"),
        ({"shape": [0, 2**62, 2**62], "dtype": "float64"}, b""),
        ({"shape": [2**63 - 1], "dtype": "uint8"}, b""),
        ({"shape": [-1], "dtype": "uint8"}, b"\1"),
        ({"shape": [-1, -1], "dtype": "uint8"}, b"\1"),
        ({"shape": [1.0], "dtype": "uint8"}, b"\1"),
        ({"shape": [True], "dtype": "uint8"}, b"\1"),
        ({"shape": ["1"], "dtype": "uint8"}, b"\1"),
        ({"shape": 1, "dtype": "uint8"}, b"\1"),
        ({"shape": {"0": 1}, "dtype": "uint8"}, b"\1"),
        ({"shape": [1] * 100, "dtype": "uint8"}, b"\1"),
        ({"shape": [1], "dtype": "object"}, b"\1" * 8),
        ({"shape": [1], "dtype": "O"}, b"\1" * 8),
        ({"shape": [1], "dtype": "S1"}, b"\1"),
        ({"shape": [1], "dtype": "datetime64[s]"}, b"\1" * 8),
        ({"shape": [1], "dtype": "i4,f8"}, b"\1" * 12),
        ({"shape": [1], "dtype": ["uint8"]}, b"\1"),
        ({"shape": [1], "dtype": None}, b"\1"),
        ({"shape": [1]}, b"\1"),
        ({"dtype": "uint8"}, b"\1"),
        ({"shape": None, "dtype": "uint8"}, b"\1"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_bulk_data_that_does_not_fit_its_description_is_refused(
    client: RawClient, fields: dict[str, Any], bulk: bytes
) -> None:
    assert error_of(client.ask("SET", "cryo.image", fields, bulk))["type"] == "ValueError"
    still_answers(client)


@pytest.mark.parametrize(
    "extra",
    [
        {"self": 1},
        {"cls": 1, "value2": 2, "": 3},
        {"time": 10**400},
        {"time": "now"},
        {"time": True},
        {"time": []},
        {"quality": {"a": 1}, "reason": [], "checked": {}},
        {"order": 3, "dtype": []},
        {"_argv": {"deep": [[[[]]]]}, "_pid": "x"},
        {"error": {"type": "KeyError"}},
        {"refresh": "yes"},
    ],
    ids=str,
)
def test_fields_that_a_set_does_not_need_are_ignored(
    client: RawClient, extra: dict[str, Any]
) -> None:
    reply = client.ask("SET", "cryo.any", {"value": 5, **extra})
    # An integer of 400 digits is none that JSON readers have to know.
    if payload_of(reply) != {"value": True}:
        assert extra == {"time": 10**400}
        error_of(reply)
        return
    assert client.get("cryo.any")["value"] == 5
    assert isinstance(client.get("cryo.any")["time"], float)


def test_nan_of_a_python_peer_is_taken_as_null_and_not_as_a_number(client: RawClient) -> None:
    client.send(b"a", b"id", b"SET", b"cryo.temp", b"", b'{"value":NaN}')
    assert error_of(client.reply_to(b"id"))["type"] == "TypeError"
    still_answers(client)


def test_frame_above_the_limit_costs_its_sender_the_connection_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MKTL_MAX_MESSAGE", "10000")
    with serving(ITEMS) as daemon, raw_client(daemon) as client, raw_client(daemon) as other:
        still_answers(other)
        client.send(*replaced(payload=b"x" * 1_000_000))
        still_answers(other)
        assert daemon._server is not None
        assert daemon._server.bad_messages == 0


def test_bytes_that_are_not_zeromq_at_all_disturb_nobody(
    daemon: mktl.Daemon, client: RawClient
) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"", os.urandom(1000)):
        for port in daemon.ports:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(garbage)
    still_answers(client)


def test_subscriber_that_sends_messages_instead_of_subscriptions_disturbs_nobody(
    daemon: mktl.Daemon, client: RawClient
) -> None:
    import zmq

    strange = (b"", b"\x01", b"\x01sync:", b"hello", b"\x01sync:" + b"x" * 100_000, b"\x00")
    with client.context.socket(zmq.XSUB) as stranger:
        stranger.linger = 0
        stranger.connect(f"tcp://127.0.0.1:{daemon.ports[1]}")
        for message in strange:
            stranger.send(message)
            stranger.send_multipart([message, message])
        client.subscribe(b"cryo.temp.")
        daemon.store["temp"].publish(78.0)
        assert client.next_broadcast()[0] == b"cryo.temp."


def test_flood_of_bad_messages_does_not_keep_good_ones_from_being_answered(
    daemon: mktl.Daemon, client: RawClient
) -> None:
    with raw_client(daemon) as other:
        for number in range(5000):
            other.send(b"a", b"%d" % number, b"NO", b"", b"")
        still_answers(client)
        last = other.reply_to(b"4999")
        error_of(last)


def test_error_of_a_daemon_author_is_answered_with_its_class_and_traceback() -> None:
    class Broken(mktl.Item):
        def req_set(self, request: Any) -> None:
            raise ZeroDivisionError("two\nlines")

        def validate(self, value: Any) -> Any:
            if value == 0:
                raise AttributeError
            if value == 2:
                raise ValueError("half a character: \ud800")
            return value

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Broken, "broken")

    with serving(ITEMS, daemon_class=Daemon) as daemon, raw_client(daemon) as client:
        error = error_of(client.ask("SET", "cryo.broken", {"value": 1}))
        assert error["type"] == "ZeroDivisionError"
        assert "Traceback" in error["debug"]
        error = error_of(client.ask("SET", "cryo.broken", {"value": 0}))
        assert error["type"] == "AttributeError"
        error = error_of(client.ask("SET", "cryo.broken", {"value": 2}))
        assert error == {
            "type": "ValueError",
            "text": "half a character: ?",
            "debug": error["debug"],
        }
        still_answers(client)


FRAME = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([*GOOD, b"SET", b"_hash", b"cryo.any", b"cryo._catalog", b"\x03", b"{}"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["value", "time", "shape", "dtype", "refresh", "self", "order", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)


def test_no_message_of_any_kind_ends_the_thread_that_reads_requests(
    daemon: mktl.Daemon, client: RawClient
) -> None:
    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(FRAME, min_size=1, max_size=8))
    def send(message: list[bytes]) -> None:
        client.send(*message)

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from([b"GET", b"SET"]),
        st.sampled_from([b"cryo.any", b"cryo.image", b"cryo.list", b"cryo.kept", b"cryo._hwcat"]),
        FRAME,
        st.lists(st.binary(max_size=16), max_size=1),
    )
    def send_nearly_good(kind: bytes, target: bytes, payload: bytes, bulk: list[bytes]) -> None:
        client.send(b"a", b"h", kind, target, b"", payload, *bulk)
        reply = payload_of(client.reply_to(b"h"))
        assert "error" in reply or "value" in reply or "shape" in reply

    send()
    send_nearly_good()
    wait_until(lambda: client.get("cryo.temp")["value"] is not None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=9))
def test_decoding_frames_raises_nothing_but_bad_message(frames: list[bytes]) -> None:
    from mktl.errors import BadMessage
    from mktl.protocol.message import Broadcast, Request, Response

    for kind in (Request, Response, Broadcast):
        for message in (frames, [b"a", *frames[1:]], [b"x.", b"a", *frames[2:]]):
            try:
                kind.decode(message)
            except BadMessage as error:
                assert str(error)
