"""Nonsense over real sockets: each message is answered, and nobody stumbles over one."""

from __future__ import annotations

import json
import logging
import random
import socket
from collections.abc import Iterator

import pytest

from markd.registry import Registry
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator
from tests._support.daemons import serving
from tests._support.wire import RawClient
from tests.fuzz._engine import mutated
from tests.fuzz._seeds import BLOCK

SEPARATOR = b"\x1e"
MESSAGES = 600
HOST = b'"hostname": "127.0.0.1"'
NO_REP = 2
ITEMS = {
    "temp": {"type": "numeric", "range": [0, 9], "units": "K"},
    "state": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}},
    "image": {"type": "bulk"},
    "note": {"persist": True},
}
OURS = ("ack", "shelve", "limits", "lock", "history", "cat", "clk", "dev")
PAYLOADS = (
    {"value": 1, "refresh": True, "_user": "x", "_hostname": "h", "_pid": 3},
    {"value": {"key": "temp", "keys": "*", "until": 2e9, "why": "x", "limits": {"alarm": [1, 2]}}},
    {"shape": [2], "dtype": "uint8", "time": 1.5},
)


def requests() -> list[bytes]:
    """Return requests that make sense, as inputs: without version and id."""
    keys = [*ITEMS, *(f"_hw{name}" for name in OURS), "_hash", "_catalog"]
    found = [
        SEPARATOR.join((kind, f"cryo.{key}".encode(), b"", json.dumps(payload).encode()))
        for kind in (b"GET", b"SET")
        for key in keys
        for payload in PAYLOADS
    ]
    announced = SEPARATOR.join((b"SET", b"_catalog", b"", json.dumps({"value": BLOCK}).encode()))
    return [*found, *([announced] * 20)]


def nonsense(seeds: list[bytes], chance: random.Random) -> Iterator[bytes]:
    for _ in range(MESSAGES):
        yield mutated(chance.choice(seeds), chance.choice(seeds), chance, 1500)


def wants_no_reply(frames: list[bytes]) -> bool:
    return len(frames) in (4, 5) and bool(int.from_bytes(frames[2], "big") & NO_REP)


def check_each_is_answered(port: int, seed: int) -> None:
    client = RawClient(port)
    try:
        for number, message in enumerate(nonsense(requests(), random.Random(seed))):
            if b'"hostname"' in message and HOST not in message:
                continue  # the name of another host would be looked up, who knows where
            frames = message.split(SEPARATOR)
            id_ = b"nonsense%d" % number
            client.send(b"a", id_, *frames)
            if not wants_no_reply(frames):
                client.reply_to(id_)
    finally:
        client.close()


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


def test_a_daemon_answers_every_request_whatever_is_in_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), serving(ITEMS) as daemon:
        check_each_is_answered(daemon.ports[0], seed=1)
    assert tracebacks(caplog) == []


def test_a_registry_answers_every_request_whatever_is_in_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "0.2")  # nobody is where the blocks say
    with caplog.at_level(logging.WARNING):
        registry = Registry()
        try:
            check_each_is_answered(registry.port, seed=2)
        finally:
            registry.stop()
    assert tracebacks(caplog) == []


COMMANDS = (
    {"cmd": "status"}, {"cmd": "names"}, {"cmd": "get", "names": ["mount_k"]},
    {"cmd": "set", "values": {"mount_k": 90}}, {"cmd": "time", "factor": 2}, {"cmd": "log"},
    {"cmd": "time", "step_s": 6}, {"cmd": "fault", "name": "late", "delay_s": 0.1},
    {"cmd": "fault", "name": "unsolicited", "text": "x"}, {"cmd": "fault", "name": "none"},
    {"cmd": "cut"}, {"cmd": "restore"}, {"cmd": "faults"},
)  # fmt: skip


def test_a_control_port_answers_every_line_whatever_is_in_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seeds = [json.dumps(command).encode() for command in COMMANDS]
    with (
        caplog.at_level(logging.WARNING),
        Simulator(
            LakeShore336(seed=1), tcp=("127.0.0.1", 0), control=("127.0.0.1", 0)
        ) as simulator,
        socket.create_connection(simulator.control_address, timeout=30) as connection,
        connection.makefile("rb") as replies,
    ):
        for message in nonsense(seeds, random.Random(3)):
            connection.sendall(message.replace(b"\n", b" ") + b"\n")
            answer = json.loads(replies.readline())
            assert answer["ok"] or answer["error"].isprintable()
    assert tracebacks(caplog) == []
