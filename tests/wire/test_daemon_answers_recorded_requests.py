"""The requests that the reference daemon was recorded with, answered by ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mktl
from tests._support.daemons import raw_client, serving
from tests._support.wire import RawClient, from_recording, load, payload_of

RECORDING = load("reference-daemon.json")
CATALOG = next(one for one in RECORDING if one["note"] == "GET catalog")
BLOCK = next(iter(json.loads(CATALOG["responses"][1][5])["value"].values()))
ITEMS = {key: fields for key, fields in BLOCK["items"].items() if not key.startswith("_")}
BETTER = {
    "GET, upper-case key",
    "SET bulk",
    "unknown type",
    "wrong version",
    "bad json",
    "five parts",
}
"""Where the notes of the protocol ask for more than the reference daemon does."""
STATE_BEFORE = {"SET numeric, same value again": ("cryo.setpoint", 81.5)}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS, store="cryo", alias="tc1") as running:
        running.store["image"].publish(np.arange(12, dtype="uint16").reshape(3, 4))
        yield running


@pytest.fixture
def client(daemon: mktl.Daemon) -> Iterator[RawClient]:
    with raw_client(daemon) as made:
        yield made


def of_note(note: str) -> dict[str, Any]:
    return next(one for one in RECORDING if one["note"] == note)


def responses_to(client: RawClient, request: list[bytes]) -> list[list[bytes]]:
    """Return all responses to *request*: those that come before the one to a later request."""
    client.send(*request)
    end = client.send_request("GET", "_hash")
    responses = []
    # SETs are carried out on other threads: their replies may come after the end.
    expects_reply = request[4:5] != [b"\x03"]
    ended = False
    while not ended or (expects_reply and not any(one[2] == b"REP" for one in responses)):
        frames = client.receive()
        assert frames is not None, "neither a reply nor the end"
        if frames[1] != end:
            responses.append(frames)
        ended |= frames[1] == end and frames[2] == b"REP"
    return responses


def comparable(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what has to be equal: times are not, nor are texts and tracebacks of errors."""
    compared = {name: value for name, value in payload.items() if name not in ("time", "checked")}
    if "error" in compared:
        compared["error"] = compared["error"]["type"]
    compared["has time"] = isinstance(payload.get("time"), float)
    return compared


OUR_NAMES = "ack alarm alarms alarmlist audit history limits lock shelve"
OURS = {f"_tc1{name}" for name in OUR_NAMES.split()}
"""Items that a daemon of ours has about itself beside those that every daemon has."""


def without_identity(value: Any) -> Any:
    """Return a block or its hashes without what differs from daemon to daemon, and what is ours."""
    if isinstance(value, dict) and "items" in value:
        items = {
            key: {name: part for name, part in fields.items() if name != "initial"}
            for key, fields in value["items"].items()
            if key not in OURS
        }
        return {
            "store": value["store"],
            "alias": value["alias"],
            "items": items,
            "fields": sorted(value),
            "provenance": [sorted(origin) for origin in value["provenance"]],
        }
    if isinstance(value, dict):
        return [without_identity(one) for one in value.values()]
    return type(value)


@pytest.mark.parametrize(
    "exchange", [one for one in RECORDING if one["note"] not in BETTER], ids=lambda one: one["note"]
)
def test_daemon_answers_as_recorded(
    daemon: mktl.Daemon, client: RawClient, exchange: dict[str, Any]
) -> None:
    if exchange["note"] in STATE_BEFORE:
        client.set(*STATE_BEFORE[exchange["note"]])
    client.subscribe(b"cryo.")
    responses = responses_to(client, from_recording(exchange["request"]))
    expected = [from_recording(one) for one in exchange["responses"]]
    kinds, expected_kinds = [one[2] for one in responses], [one[2] for one in expected]
    # What can be answered at once needs no acknowledgement.
    assert kinds in (expected_kinds, [kind for kind in expected_kinds if kind != b"ACK"])
    if expected and expected[0][2] == b"ACK" and b"ACK" in kinds:
        assert responses[0] == expected[0]
    for reply, recorded in zip(responses[-1:], expected[-1:], strict=True):
        assert reply[:5] == recorded[:5]
        assert len(reply) == len(recorded)
        assert reply[6:] == recorded[6:]
        ours, theirs = payload_of(reply), payload_of(recorded)
        if exchange["note"] in ("GET catalog", "GET all hashes", "GET store hash"):
            assert without_identity(ours["value"]) == without_identity(theirs["value"])
            assert set(ours) == set(theirs)
        elif exchange["note"] == "GET builtin pid":
            assert comparable(ours).keys() == comparable(theirs).keys()
            assert isinstance(ours["value"], int)
        else:
            assert comparable(ours) == comparable(theirs)
    expect_broadcasts(client, daemon, exchange)


def expect_broadcasts(client: RawClient, daemon: mktl.Daemon, exchange: dict[str, Any]) -> None:
    expected = [from_recording(one) for one in exchange["broadcasts"]]
    if expected and not exchange["responses"]:  # nothing told us that it is done
        found = [next(one for one in iter(client.next_broadcast, None) if one[0] == expected[0][0])]
    else:
        daemon.store["_tc1clk"].publish(-1.0)
        found = [
            frames
            for frames in client.broadcasts_until(b"cryo._tc1clk.", value=-1.0)
            if not frames[0].startswith(b"cryo._")
        ]
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    for ours, theirs in zip(found, expected, strict=True):
        ours_payload, theirs_payload = json.loads(ours[2]), json.loads(theirs[2])
        assert comparable(ours_payload) == comparable(theirs_payload)
        assert type(ours_payload["value"]) is type(theirs_payload["value"])


def test_daemon_answers_an_upper_case_key(client: RawClient) -> None:
    (reply,) = responses_to(client, from_recording(of_note("GET, upper-case key")["request"]))
    assert payload_of(reply)["value"] == 77.35


def test_daemon_takes_a_bulk_value_and_publishes_it(client: RawClient) -> None:
    client.subscribe(b"cryo.image.")
    request = from_recording(of_note("SET bulk")["request"])
    *acknowledgement, reply = responses_to(client, request)
    # It may leave that out where it answers at once.
    assert [frames[2] for frames in acknowledgement] in ([], [b"ACK"])
    assert payload_of(reply) == {"value": True}
    broadcast = client.next_broadcast()
    assert broadcast[0] == b"cryo.image."
    fields = json.loads(broadcast[2])
    assert (fields["shape"], fields["dtype"]) == ([2, 2], "uint8")
    assert "value" not in fields
    assert broadcast[3] == request[6]


@pytest.mark.parametrize("note", ["unknown type", "wrong version", "bad json", "five parts"])
def test_daemon_answers_what_it_cannot_understand_with_an_error(
    client: RawClient, note: str
) -> None:
    request = from_recording(of_note(note)["request"])
    (reply,) = responses_to(client, request)
    assert reply[:3] == [b"a", request[1], b"REP"]
    error = payload_of(reply)["error"]
    assert error["type"] == "ValueError"
    assert error["text"]
    assert "\n" not in error["text"]


def test_block_of_the_daemon_has_the_built_in_items_of_the_recording(daemon: mktl.Daemon) -> None:
    assert [key for key in daemon.block.items if key not in OURS] == list(BLOCK["items"])


def test_value_of_the_catalog_item_is_the_block(daemon: mktl.Daemon, client: RawClient) -> None:
    assert client.get("cryo._tc1cat")["value"] == daemon.block.to_json()


def test_whole_recording_can_be_replayed_without_a_pause(client: RawClient) -> None:
    for exchange in RECORDING:
        client.send(*from_recording(exchange["request"]))
    answered = set()
    wanted = {one["request"][1] for one in RECORDING if one["request"][4:5] != [{"hex": "03"}]}
    while answered != wanted:
        frames = client.receive()
        assert frames is not None, f"no reply to {wanted - answered}"
        if frames[2] == b"REP":
            answered.add(frames[1].decode())
