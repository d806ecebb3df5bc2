"""Frames, ids, names, datagrams: bytes in, messages out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mktl.errors import BadMessage, BadName
from mktl.payload import Payload
from mktl.protocol import bulk, discovery
from mktl.protocol.exchange import Exchange, Slot
from mktl.protocol.message import (
    ACK,
    GET,
    NO_ACK,
    NO_REP,
    REP,
    SET,
    Broadcast,
    Request,
    Response,
    decode_json,
    encode_json,
    encode_request,
    encode_response,
    topic,
)
from mktl.protocol.names import fold, nearest, split

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.binary(min_size=1),
    st.sampled_from([GET, SET]),
    st.text(),
    st.dictionaries(st.text(), JSON, max_size=6),
    st.none() | st.binary(),
    st.integers(0, 3),
)
def test_request_is_read_as_it_was_written(id_, kind, target, payload, data, flags) -> None:  # type: ignore[no-untyped-def]
    frames = encode_request(id_, kind, target, encode_json(payload), bulk=data, flags=flags)
    assert len(frames) == (6 if data is None else 7)
    assert Request.decode(frames) == Request(id_, kind, target, flags, payload, data)


@given(st.binary(), st.dictionaries(st.text(), JSON, max_size=6), st.none() | st.binary())
def test_reply_is_read_as_it_was_written(id_, payload, data) -> None:  # type: ignore[no-untyped-def]
    frames = encode_response(id_, REP, b"cryo.temp", encode_json(payload), data)
    assert Response.decode(frames) == Response(id_, REP, payload, data)


def test_frames_of_requests_and_responses_are_those_of_the_recording() -> None:
    assert encode_request(b"00000004", GET, "cryo.temp", bulk=None, flags=NO_ACK) == [
        b"a", b"00000004", b"GET", b"cryo.temp", b"\x01", b"",
    ]  # fmt: skip
    assert encode_request(b"0", SET, "c.l", b"{}", bulk=None, flags=NO_ACK | NO_REP)[4] == b"\x03"
    assert encode_response(b"00000001", ACK) == [b"a", b"00000001", b"ACK", b"", b"", b""]


@pytest.mark.parametrize(
    ("flags", "wants_ack", "wants_rep"),
    [
        (b"", 1, 1),
        (b"\x00", 1, 1),
        (b"\x01", 0, 1),
        (b"\x02", 1, 0),
        (b"\x00\x03", 0, 0),
        (b"\xf0", 1, 1),
    ],
)
def test_flags_are_a_big_endian_number(flags: bytes, wants_ack: bool, wants_rep: bool) -> None:
    request = Request.decode([b"a", b"1", b"GET", b"x.y", flags, b""])
    assert (request.wants_ack, request.wants_rep) == (bool(wants_ack), bool(wants_rep))


def test_topic_ends_in_a_dot() -> None:
    assert topic("cryo.temp") == b"cryo.temp."
    assert Broadcast.decode([b"cryo.temp.", b"a", b'{"value":1}']).target == "cryo.temp"


@pytest.mark.parametrize(
    "data",
    [b"[]", b"1", b"{", b'{"a":1}x', b'"\xff"', b"[" * 100_000, b'{"a":1' + b"0" * 5000 + b"}"],
)
def test_what_is_no_json_object_is_a_bad_message(data: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_json(data)


def test_json_of_other_writers_is_read() -> None:
    assert decode_json(b"") == {}
    assert decode_json(b'{"a":NaN,"b":[Infinity,-Infinity]}') == {"a": None, "b": [None, None]}
    assert decode_json(b'{"hash":212336995245757825388917058820320412336}') == {
        "hash": 212336995245757825388917058820320412336
    }
    assert decode_json(memoryview(b'{"a":1}')) == {"a": 1}


def test_numbers_of_numpy_and_what_json_does_not_have_are_written_as_json() -> None:
    written = encode_json({"a": np.float64(1.5), "b": np.int32(2), "c": np.arange(2), "d": {2, 1}})
    assert json.loads(written) == {"a": 1.5, "b": 2, "c": [0, 1], "d": [1, 2]}
    assert encode_json({"a": float("nan")}) == b'{"a":null}'
    with pytest.raises(TypeError):
        encode_json({"a": object()})


def test_ids_count_up_wrap_and_skip_those_that_are_open() -> None:
    exchange: Exchange[Slot] = Exchange()
    first = exchange.begin(Slot())
    assert first == b"00000000"
    exchange._next = 0xFFFFFFFE
    assert exchange.begin(Slot()) == b"fffffffe"
    assert exchange.begin(Slot()) == b"00000001"


def test_response_goes_to_the_slot_that_asked_and_once_only() -> None:
    exchange: Exchange[Slot] = Exchange()
    one, two = Slot(), Slot()
    id_one, id_two = exchange.begin(one), exchange.begin(two)
    assert exchange.receive(Response(b"strange", REP)) is None
    assert exchange.receive(Response(id_two, ACK)) is two
    assert (one.acknowledged, two.acknowledged) == (False, True)
    assert exchange.receive(Response(id_one, REP, {"value": 1})) is one
    assert one.acknowledged
    assert exchange.receive(Response(id_one, REP, {"value": 2})) is None
    assert one.response is not None
    assert one.response.payload == {"value": 1}
    assert exchange.forget(id_two) is two
    assert exchange.forget(id_two) is None
    assert len(exchange) == 0


@pytest.mark.parametrize(
    "bad",
    ["", ".", "..", "a/b", "a b", "a\n", "a\0", "ä", "\u212a", "x" * 201, "a.b", None, 3, b"a"],
)
def test_what_cannot_be_a_name_is_refused(bad: object) -> None:
    with pytest.raises(BadName):
        fold(bad)


def test_names_are_folded_and_full_keys_split() -> None:
    assert fold("Te-M_p:1+") == "te-m_p:1+"
    assert split("Cryo.TEMP") == ("cryo", "temp")
    for bad in ("cryo", "cryo.", ".temp", "a.b.c", "a." + "x" * 10_000, 3):
        with pytest.raises(BadName) as caught:
            split(bad)
        assert len(str(caught.value)) < 300


def test_nearest_names_are_what_a_person_meant() -> None:
    assert nearest("tmep", ["temp", "setpoint", "power"]) == ["temp"]
    assert nearest("", ["temp"]) == []


def test_datagrams_of_discovery() -> None:
    assert discovery.answer(10079) == b"E komo mai:10079"
    assert discovery.parse_answer(b"E komo mai:10079") == 10079
    assert discovery.is_call(b"Aloha mKTL")
    for bad in (
        b"",
        b"E komo mai:",
        b"E komo mai:0",
        b"E komo mai:99999",
        b"E komo mai:1e3",
        b"Aloha mKTL",
        b"E komo mai:" + b"9" * 99,
    ):
        assert discovery.parse_answer(bad) is None


@given(
    arrays.arrays(
        st.sampled_from([*bulk.DTYPES]).flatmap(
            lambda name: st.sampled_from([np.dtype(name), np.dtype(name).newbyteorder(">")])
        ),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    )
)
def test_array_that_went_over_the_wire_is_the_same(array: np.ndarray) -> None:  # type: ignore[type-arg]
    array = np.asarray(array)
    fields, data = bulk.encode(array)
    again = bulk.decode(json.loads(json.dumps(fields)), bytes(data))
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()


@given(
    st.dictionaries(st.sampled_from(["shape", "dtype", "order"]), JSON),
    st.none() | st.binary(max_size=20),
)
def test_bulk_data_that_is_none_is_a_bad_message_and_nothing_else(fields, data) -> None:  # type: ignore[no-untyped-def]
    try:
        bulk.decode(fields, data)
    except BadMessage as error:
        assert str(error)


@given(
    st.dictionaries(
        st.sampled_from(["value", "time", "quality", "reason", "checked", "self", "x", "error"]),
        JSON,
    )
)
def test_payload_of_a_stranger_can_be_read_and_written_again(fields) -> None:  # type: ignore[no-untyped-def]
    payload = Payload.from_wire(fields)
    again = Payload.from_wire(decode_json(payload.encode()[0]))
    assert again.value == fields.get("value")
    assert again.time is None or isinstance(again.time, float)
    assert payload.having(quality="alarm").extra == payload.extra
