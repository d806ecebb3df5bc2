"""Daemons and peers that mean harm: what they say is shown, and does nothing."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from markd._registry_room import Room
from markd.registry import Registry
from mktl import announcing
from mktl.catalog import Block, Origin
from tests._support import run_cli, running, wait_until
from tests._support.wire import FakeDaemon, RawClient, payload_of

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\n2026-01-01 00:00:00.000 INFO    forged: line\x7f"
ITEMS: dict[str, dict[str, Any]] = {
    "bits": {"type": "mask", "enumerators": {"0": f"A{EVIL}", "None": EVIL}},
    "odd": {"type": EVIL, "units": EVIL, "description": EVIL},
    "state": {"type": "enumerated", "enumerators": {"0": f"Off{EVIL}"}},
    "temp": {"type": "numeric", "units": f"K{EVIL}"},
    "text": {"type": "string"},
}
VALUES = {
    "bits": {"value": 1},
    "odd": {"value": {EVIL: EVIL}, "time": 1.0},
    "state": {"value": 0, "time": 1.0},
    "temp": {"value": 1.5, "time": 1.0, "quality": "alarm", "reason": EVIL},
    "text": {"value": EVIL, "time": 1e300, "quality": EVIL},
}
KEYS = [f"cryo.{key}" for key in ITEMS]


@pytest.fixture
def evil() -> Iterator[FakeDaemon]:
    daemon = FakeDaemon("cryo", ITEMS, VALUES)
    yield daemon
    daemon.close()


def error_reply(request: list[bytes], **error: str) -> list[list[bytes]]:
    return [[b"a", request[1], b"REP", b"", b"", json.dumps({"error": error}).encode()]]


def check_harmless(output: str) -> None:
    for line in output.split("\n"):
        assert line.isprintable(), ascii(line)
        assert not line.startswith("2026-01-01")


@pytest.mark.parametrize(
    "words",
    [
        ("get", *KEYS),
        ("get", "--json", *KEYS),
        ("list", "cryo"),
        ("list", "--json", "cryo"),
        ("describe", "cryo"),
        ("watch", "--for", "0.3", *KEYS),
        ("watch", "--json", "--for", "0.3", *KEYS),
        ("set", "cryo.state=bogus"),
    ],
    ids=" ".join,
)
def test_a_terminal_obeys_nothing_that_a_daemon_says(
    evil: FakeDaemon, words: tuple[str, ...]
) -> None:
    done = run_cli("mark", *words, "--at", f"127.0.0.1:{evil.rep}")
    check_harmless(done.stdout + done.stderr)
    assert "owned" in done.stdout + done.stderr
    if "--json" in words:
        for line in done.stdout.splitlines():
            json.loads(line)


def test_a_bare_value_is_as_it_is_for_a_program_and_harmless_on_a_terminal(
    evil: FakeDaemon,
) -> None:
    words = ["mark", "get", "--terse", "cryo.text", "--at", f"127.0.0.1:{evil.rep}"]
    assert EVIL.encode() in subprocess.run(words, capture_output=True, check=False).stdout
    ours, theirs = pty.openpty()
    try:
        subprocess.run(words, stdout=theirs, stderr=subprocess.DEVNULL, check=False)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    check_harmless(shown.replace("\r\n", "\n"))
    assert r"\x1b[2J" in shown


@pytest.mark.parametrize("verb", ["get", "set", "list", "describe", "watch"])
def test_an_error_of_a_daemon_is_shown_as_one_line_and_a_failure(
    evil: FakeDaemon, verb: str
) -> None:
    evil.respond = lambda request: error_reply(request, type="BrokenPipeError", text=f"no{EVIL}")
    words = {"set": ["cryo.temp=1"], "list": ["cryo"]}.get(verb, ["cryo.temp"])
    done = run_cli("mark", verb, *words, "--at", f"127.0.0.1:{evil.rep}")
    assert done.returncode == 1
    check_harmless(done.stdout + done.stderr)
    assert len(done.stderr.splitlines()) == 1


def test_no_line_of_a_log_is_made_up_by_a_registry(tmp_path: Path) -> None:
    evil = FakeDaemon("cryo", {}, {})
    evil.respond = lambda request: error_reply(request, type="RuntimeError", text=f"no{EVIL}")
    registries = tmp_path / "mktl-home" / "client" / "registries"
    registries.parent.mkdir(parents=True)
    registries.write_text(f"127.0.0.1:{evil.rep}\n")
    try:
        with running(["markd", "cryo", "hw"]) as daemon:
            wait_until(lambda: "owned" in daemon.stderr_text, 20, "the refusal to be logged")
            wait_until(lambda: daemon.returncode is not None, 20, "it to end")
            check_harmless(daemon.stderr_text)
            assert "\n    2026-01-01" in daemon.stderr_text
    finally:
        evil.close()


def test_a_registry_keeps_no_more_than_it_has_room_for() -> None:
    registry = Registry()
    client = RawClient(registry.port)

    def announce(number: int, size: int) -> str:
        block = {
            "store": f"s{number}", "alias": "hw", "uuid": f"u{number}", "hash": 1,
            "items": {"temp": {"description": "x" * size}},
            "provenance": [{"stratum": 0, "hostname": "127.0.0.1", "rep": 9, "pub": 9}],
        }  # fmt: skip
        reply = payload_of(client.ask("SET", "_catalog", {"value": block}))
        return str(reply.get("error", {}).get("text", ""))

    try:
        megabytes = [announce(number, 10_000_000) for number in range(8)]
        assert megabytes[:6] == [""] * 6
        assert "keeps 67108864 bytes about daemons at most" in megabytes[-1]
        assert announce(0, 10) == ""  # one that is known may change
        assert announce(99, 1_000_000) == ""
        assert "value" in payload_of(client.ask("GET", "s99._catalog"))
    finally:
        client.close()
        registry.stop()


def test_a_registry_without_room_keeps_no_daemon_from_going_on_the_air(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MKTL_TIMEOUT", "10")
    registry = Registry()
    registry._room = Room(most_blocks=0)
    try:
        address = ("127.0.0.1", registry.port)
        where = (Origin(0, "127.0.0.1", 9, 9),)
        block = Block("cryo", "hw", "one", 1.0, 1, {"temp": {}}, where)
        assert announcing.Announcer(block, override=False)._tell([address], {address}) == []
        assert "takes no more" in caplog.text
    finally:
        registry.stop()


def test_a_block_at_a_host_that_cannot_be_is_in_nobodys_way_for_long() -> None:
    registry = Registry()
    client = RawClient(registry.port)

    def announce(uuid: str, host: str) -> dict[str, Any]:
        where = [{"stratum": 0, "hostname": host, "rep": 9, "pub": 9}]
        block = {"store": "cryo", "alias": "hw", "uuid": uuid, "hash": 1, "items": {}}
        value = {**block, "provenance": where, "override": True}
        return payload_of(client.ask("SET", "_catalog", {"value": value}))

    try:
        assert announce("one", "x" * 64) == {"value": True}  # too long for a part of a name
        assert announce("two", "127.0.0.1") == {"value": True}
    finally:
        client.close()
        registry.stop()


def test_nonsense_of_any_depth_is_answered_and_logs_no_traceback() -> None:
    with running(["markregistryd"], ready="on the air at") as child:
        port = child.wait_for(r"on the air at \S+:(\d+)")[1]
        client = RawClient(int(port))
        try:
            for depth in (1, 60, 190, 210, 500, 980, 1100, 100_000):
                nested = b'{"a":' * depth + b"1" + b"}" * depth
                block = (
                    b'{"store":"s","alias":"a","uuid":"u","hash":1,"items":{"x":%s},"provenance":'
                    b'[{"stratum":0,"hostname":"127.0.0.1","rep":1,"pub":2}]}' % nested
                )
                id_ = b"deep%d" % depth
                client.send(b"a", id_, b"SET", b"_catalog", b"", b'{"value":' + block + b"}")
                assert payload_of(client.reply_to(id_)).keys() & {"value", "error"}
        finally:
            client.close()
        assert "Traceback" not in child.stderr_text
