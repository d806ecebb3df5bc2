"""With quality, alarms, rules, locks and records on, a peer of other make sees what it knows."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import mktl
from tests._support.daemons import raw_client, serving
from tests._support.wire import RawClient

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {
        "type": "numeric",
        "units": "kelvin",
        "initial": 80.0,
        "persist": True,
        "limits": {"warning": [70, 90], "alarm": [60, 100], "latch": True},
    },
    "level": {"type": "numeric", "initial": 1.0, "deadband": 0.5},
    "readback": {
        "type": "numeric",
        "initial": 80.0,
        "tracks": {"item": "temp", "tolerance": 1, "within_s": 0.1},
    },
    "frame": {"type": "bulk"},
    "guarded": {"type": "numeric", "initial": 0},
}
# What protocol.md has. Other fields are additions, which those who do not know them ignore.
KINDS: Mapping[str, type | tuple[type, ...]] = {
    "time": (int, float),
    "error": dict,
    "shape": list,
    "dtype": str,
}
TOPIC = re.compile(rb"[a-z0-9_+:-]+\.[a-z0-9_+:-]+\.")
RESERVED = re.compile(rb"[a-z]+:.*")


class Ruled(mktl.Daemon):
    """A daemon with rules for everybody, as nobody has a key."""

    def describe_access(self) -> Mapping[str, Any]:
        roles = {"guest": {"read": ["*"], "set": ["*", "!guarded"]}}
        return {"unknown": "guest", "roles": roles}


@pytest.fixture
def client() -> Iterator[RawClient]:
    with serving(ITEMS, daemon_class=Ruled) as daemon, raw_client(daemon) as made:
        yield made


def check_payload(encoded: bytes, bulk: list[bytes]) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(encoded)
    assert isinstance(fields, dict)
    for name in KINDS.keys() & fields.keys():
        assert isinstance(fields[name], KINDS[name])
    if bulk:
        assert "value" not in fields
        size = np.dtype(fields["dtype"]).itemsize * int(np.prod(fields["shape"]))
        assert len(bulk[0]) == size
    else:
        assert "value" in fields or fields.keys() <= {"error"}
    return fields


def check_response(frames: list[bytes]) -> None:
    version, _id, kind, _target, flags, payload, *bulk = frames
    assert (version, flags) == (b"a", b"")
    assert len(bulk) <= 1
    if kind == b"ACK":
        assert (payload, bulk) == (b"", [])
        return
    assert kind == b"REP"
    error = check_payload(payload, bulk).get("error")
    if error is not None:
        assert isinstance(error["type"], str)
        assert "\n" not in error["text"]


def check_broadcast(frames: list[bytes]) -> str:
    topic, version, payload, *bulk = frames
    assert version == b"a"
    assert len(bulk) <= 1
    if RESERVED.fullmatch(topic):
        return ""
    assert TOPIC.fullmatch(topic)
    fields = check_payload(payload, bulk)
    assert "error" not in fields
    assert isinstance(fields["time"], (int, float))
    return topic.decode().removesuffix(".")


def asked(client: RawClient, *request: Any) -> dict[str, Any]:
    """Return the payload of the reply; every frame that comes with it is one of the protocol's."""
    id_ = client.send_request(*request)
    while True:
        frames = client.receive()
        assert frames is not None
        check_response(frames)
        if frames[1] == id_ and frames[2] == b"REP":
            fields: dict[str, Any] = json.loads(frames[5])
            return fields


def refusal(client: RawClient, key: str, value: Any) -> str:
    """Return the class that a stranger would raise for the error of a SET."""
    kind: str = asked(client, "SET", f"cryo.{key}", {"value": value})["error"]["type"]
    return kind


def test_every_frame_is_one_of_the_protocol(client: RawClient) -> None:
    client.subscribe(b"")
    for value in (85, 95, 120, 80):  # good, a warning, an alarm, and one that is latched
        assert "error" not in asked(client, "SET", "cryo.temp", {"value": value})
    assert asked(client, "GET", "cryo.temp")["value"] == 80
    assert asked(client, "SET", "cryo._hwack", {"value": "temp"}).get("error") is None
    asked(client, "SET", "cryo.level", {"value": 1.2})
    frame = np.arange(6, dtype="<u2").reshape(2, 3)
    shape = {"shape": [2, 3], "dtype": "uint16"}
    assert "error" not in asked(client, "SET", "cryo.frame", shape, frame.tobytes())
    asked(client, "GET", "cryo.frame")
    shelf = {"key": "readback", "until": time.time() + 60, "why": "sensor swap"}
    asked(client, "SET", "cryo._hwshelve", {"value": shelf})
    asked(client, "SET", "cryo._hwlimits", {"value": {"key": "level", "deadband": 2}})
    assert asked(client, "GET", "cryo._hwhistory")["value"]
    assert refusal(client, "guarded", 1) == "PermissionError"
    lock = {"keys": "temp", "for_s": 60, "why": "new sensor"}
    anna = {"_user": "anna", "_hostname": "summit"}
    assert "error" not in asked(client, "SET", "cryo._hwlock", {"value": lock, **anna})
    assert refusal(client, "temp", 70) == "PermissionError"
    for key in (*ITEMS, "_hwalarm", "_hwalarms", "_hwalarmlist", "_hwlock", "_hwaudit", "_hwclk"):
        asked(client, "GET", f"cryo.{key}")
    told = set()
    while not {"cryo.temp", "cryo.frame", "cryo._hwalarm", "cryo._hwlock", "cryo._hwclk"} <= told:
        told.add(check_broadcast(client.next_broadcast()))


def test_the_catalog_describes_the_items_in_fields_of_the_protocol_and_others_beside(
    client: RawClient,
) -> None:
    ((block, *others),) = (asked(client, "GET", "cryo._catalog")["value"].values(),)
    assert not others
    known = {"store", "alias", "uuid", "time", "hash", "items", "provenance"}
    assert known <= block.keys()
    for key, description in block["items"].items():
        assert re.fullmatch(r"[a-z0-9_+:-]+", key)
        assert description.get("type") in {
            *("boolean", "bulk", "enumerated", "mask", "numeric", "numeric array", "string"),
            None,
        }
    (origin,) = block["provenance"]
    assert {"stratum", "hostname", "rep", "pub"} <= origin.keys()
