"""The audit log: a line for every SET, whatever becomes of it, and what one gets to read of it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mktl
from mktl._audit import AuditLog
from mktl.errors import LinkDown, UnknownKey
from mktl.history import read_history
from tests._support import run_cli, wait_until
from tests._support.daemons import client_of, daemon_process, ports_of, raw_client, serving
from tests._support.wire import RawClient, payload_of
from tests.system._curve import allow, curve_client, new_pair, protected

ITEMS: dict[str, dict[str, Any]] = {
    "temp": {"type": "numeric", "initial": 1.0, "units": "K", "format": "%.1f"},
    "mode": {"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}, "initial": 0},
    "label": {"type": "string", "initial": ""},
    "any": {"initial": None},
    "image": {"type": "bulk"},
    "password": {"type": "string", "initial": "", "secret": True},
}
ANNA = {"_user": "anna", "_hostname": "summit", "_pid": 4711, "_executable": "mk", "_argv": ["x"]}


class Broken(mktl.Item):
    def req_set(self, request: Any) -> None:
        raise LinkDown("tc: no reply")


class Daemon(mktl.Daemon):
    def setup(self) -> None:
        self.add_item(Broken, "broken", description={"type": "numeric"})


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS, daemon_class=Daemon) as running:
        yield running


@pytest.fixture
def client(daemon: mktl.Daemon) -> Iterator[RawClient]:
    with raw_client(daemon) as made:
        yield made


@pytest.fixture
def path(mktl_home: Path) -> Path:
    return mktl_home / "daemon" / "audit" / "cryo" / "hw.jsonl"


def records(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the log. Each is there before the reply to its SET is."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_line_of_a_set_says_when_who_what_and_how_it_ended(client: RawClient, path: Path) -> None:
    before = time.time()
    client.ask("SET", "cryo.temp", {"value": 5, **ANNA})
    (record,) = records(path)
    assert before - 0.001 <= record["time"] <= time.time() + 0.001
    assert record["utc"].startswith(time.strftime("%Y-", time.gmtime(before)))
    assert record["utc"].endswith("Z")
    assert record["took_ms"] >= 0
    assert {name: record[name] for name in record if name not in ("utc", "time", "took_ms")} == {
        "item": "cryo.temp",
        "outcome": "done",
        "old": 1.0,
        "new": 5,
        "user": "anna",
        "host": "summit",
        "pid": 4711,
        "executable": "mk",
        "address": "127.0.0.1",
    }


def test_refused_and_failed_sets_have_their_line_with_the_reason(
    client: RawClient, path: Path
) -> None:
    client.set("cryo.temp", "warm")
    client.ask("SET", "cryo.temp", {})
    client.set("cryo._hwpid", 3)
    client.set("cryo.broken", 3)
    found = [(one["outcome"], one["error"].partition(":")[0]) for one in records(path)]
    assert found == [
        ("refused", "BadValue"),
        ("refused", "BadValue"),
        ("refused", "NotSupported"),
        ("failed", "LinkDown"),
    ]
    assert "'warm'" in records(path)[0]["error"]


def test_sets_of_the_daemons_own_code_have_their_line(daemon: mktl.Daemon, path: Path) -> None:
    daemon.store["temp"].set(7)
    (record,) = wait_until(lambda: path.exists() and records(path))
    assert (record["itself"], record["new"]) == (True, 7)


def test_value_that_is_secret_is_in_no_line_and_no_log(
    client: RawClient, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.ask("SET", "cryo.password", {"value": "hunter2", **ANNA, "_argv": ["password=hunter2"]})
    client.set("cryo.password", ["hunter2"])
    assert "hunter2" not in path.read_text()
    assert "hunter2" not in caplog.text
    assert [(one["secret"], one["outcome"]) for one in records(path)] == [
        (True, "done"),
        (True, "refused"),
    ]


def test_large_values_are_cut(client: RawClient, path: Path) -> None:
    array = np.arange(100_000, dtype=np.uint16)
    shape = {"shape": [100, 1000], "dtype": "uint16"}
    client.ask("SET", "cryo.image", shape, array.tobytes())
    client.ask("SET", "cryo.image", {"shape": [1], "dtype": "complex64"}, bytes(8))
    client.set("cryo.label", "x" * 100_000)
    client.set("cryo.any", list(range(10_000)))
    client.set("cryo.any", {"deep": {"text": "y" * 10_000}})
    client.ask("SET", "cryo.temp", {"value": 3, "_user": "z" * 10_000, "_pid": 10**30})
    assert path.stat().st_size < 12_000
    found = records(path)
    assert found[0]["new"] == {**shape, "begins": [0, 1, 2, 3, 4, 5, 6, 7]}
    assert found[2]["new"] == {"begins": "x" * 1000}
    assert found[3]["new"]["length"] == 10_000
    assert found[4]["new"]["begins"].startswith('{"deep"')


class Name(str):
    """A text that JSON does not take for one."""


class Odd(mktl.Item):
    def validate(self, value: Any) -> Any:
        return Name(value)

    def req_set(self, request: Any) -> None:
        self.publish(str(request.value))


def test_value_of_a_strange_kind_keeps_no_reply() -> None:
    class OddDaemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Odd, "odd", description={"type": "string"})

    with serving(daemon_class=OddDaemon) as daemon, raw_client(daemon) as client:
        assert client.set("cryo.odd", "x") == {"value": True}
        assert client.get("cryo._hwhistory", key="odd")["value"][0]["new"] == "x"


def test_file_is_not_for_everybody_to_read(client: RawClient, path: Path) -> None:
    client.set("cryo.temp", 5)
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


def test_files_are_rotated_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("MKTL_AUDIT_BYTES", "2000")
    monkeypatch.setenv("MKTL_AUDIT_FILES", "3")
    with serving(ITEMS) as daemon, raw_client(daemon) as client:
        for number in range(100):
            client.set("cryo.temp", number)
        names = sorted(one.name for one in path.parent.iterdir())
        assert names == ["hw.jsonl", "hw.jsonl.1", "hw.jsonl.2"]
        assert all(one.stat().st_size <= 2000 for one in path.parent.iterdir())
        answer = client.get("cryo._hwhistory", key="temp", last=1000)
        kept = [one["new"] for one in answer["value"]]
        assert kept == list(range(100 - len(kept), 100))
        assert answer["oldest"] == answer["value"][0]["time"]


def test_file_that_was_moved_away_is_begun_anew(client: RawClient, path: Path) -> None:
    client.set("cryo.temp", 5)
    path.rename(path.with_name("moved"))
    client.set("cryo.temp", 6)
    assert [one["new"] for one in records(path)] == [6]


def test_line_that_a_crash_has_torn_harms_neither_writer_nor_reader(path: Path) -> None:
    path.parent.mkdir(parents=True)
    whole = '{"time":1.0,"utc":"x","item":"cryo.temp","outcome":"done","new":1}\n'
    path.write_text(whole + '{"time":2.0,"utc":"x","item":"cryo.te')
    with serving(ITEMS) as daemon, raw_client(daemon) as client:
        assert [one["new"] for one in client.get("cryo._hwhistory", key="temp")["value"]] == [1]
        client.set("cryo.temp", 3)
        found = client.get("cryo._hwhistory", key="temp")["value"]
        assert [one["new"] for one in found] == [1, 3]


def test_line_is_there_before_the_reply_though_the_daemon_is_killed(
    tmp_path: Path, path: Path
) -> None:
    with daemon_process(tmp_path, ITEMS) as child:
        client = RawClient(*ports_of(child))
        for number in range(200):
            client.set("cryo.temp", number)
        child.kill()
        client.close()
    assert [one["new"] for one in records(path)] == list(range(200))


def test_log_that_cannot_be_written_stops_no_set_and_is_told(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("in the way")
    with serving(ITEMS) as daemon, raw_client(daemon) as client:
        for number in range(10):
            assert client.set("cryo.temp", number) == {"value": True}
        state = client.get("cryo._hwaudit", refresh=True)
        assert "10 lines were lost" in state["value"]
        assert state["quality"] == "warning"
        assert caplog.text.count("not recorded") == 1
        path.parent.unlink()
        client.set("cryo.temp", 42)
        assert client.get("cryo._hwaudit", refresh=True)["value"] == "ok"
        gap, record = records(path)
        assert (gap["lost"], record["new"]) == (10, 42)
        assert client.get("cryo._hwhistory", key="temp")["value"][0]["lost"] == 10


def test_full_disk_stops_no_set_and_tears_no_line_of_those_that_follow(
    tmp_path: Path, path: Path
) -> None:
    code = """
import resource
import mktl

class Item(mktl.Item):
    def req_set(self, request):
        limit = 600 if request.value < 50 else -1
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
        self.publish(request.value)

class Daemon(mktl.Daemon):
    def setup(self):
        self.add_item(Item, "temp", description={"type": "numeric"})
"""
    with daemon_process(tmp_path, code=code) as child:
        client = RawClient(*ports_of(child))
        try:
            for number in [*range(5), 50, 51]:
                assert client.set("cryo.temp", number) == {"value": True}
        finally:
            client.close()
    lines = path.read_text().splitlines()
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    assert [one["new"] for one in whole if "new" in one][-2:] == [50, 51]
    assert any("lost" in one for one in whole)


def test_disk_that_hangs_holds_up_replies_for_a_moment_only(
    daemon: mktl.Daemon, client: RawClient, path: Path
) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        # Nobody reads: sooner or later, whoever writes to it waits.
        while True:
            try:
                os.write(end, bytes(4096))
            except BlockingIOError:
                break
        for number in range(5):
            assert client.set("cryo.temp", number) == {"value": True}
        wait_until(lambda: "not written" in client.get("cryo._hwaudit")["value"])
        assert client.get("cryo.temp")["value"] == 4
        with pytest.raises(BlockingIOError):
            while True:
                os.read(end, 65536)
        wait_until(lambda: client.get("cryo._hwaudit", refresh=True)["value"] == "ok")
    finally:
        os.close(end)


def test_set_whose_line_the_disk_holds_up_is_answered_though_the_daemon_stops(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(end, bytes(4096))
        with serving(ITEMS) as running, raw_client(running) as client:
            id_ = client.send_request("SET", "cryo.temp", {"value": 2})
            wait_until(lambda: running.store["temp"].value == 2)
            running.stop()
            assert payload_of(client.reply_to(id_)) == {"value": True}
    finally:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.read(end, 65536)
        os.close(end)


def test_replies_come_in_the_order_of_their_lines_whoever_writes_them(path: Path) -> None:
    log = AuditLog("cryo", "hw")
    begun, goes_on = threading.Event(), threading.Event()
    replied: list[int] = []

    def reply_first() -> None:
        begun.set()
        goes_on.wait(10)
        replied.append(1)

    log.write(b"1\n", reply_first, here=True)
    reader = threading.Thread(target=log.do_here)
    reader.start()
    assert begun.wait(10)
    log.write(b"2\n", lambda: replied.append(2))
    log.flush(0.1)
    goes_on.set()
    reader.join()
    log.close()
    assert replied == [1, 2]
    assert path.read_text() == "1\n2\n"


def test_file_is_closed_with_the_daemon(path: Path) -> None:
    with serving(ITEMS) as running, raw_client(running) as client:
        client.set("cryo.temp", 2)
    opened = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            opened.append(descriptor.readlink())
    assert path.resolve() not in opened


def test_stock_get_of_the_history_has_the_last_few_of_all(client: RawClient) -> None:
    for number in range(30):
        client.set("cryo.temp", number)
    client.set("cryo.mode", 1)
    answer = client.get("cryo._hwhistory")
    assert len(answer["value"]) == 20
    assert answer["more"] is True
    assert [one["item"] for one in answer["value"][-2:]] == ["cryo.temp", "cryo.mode"]


def test_history_is_of_one_key_or_a_pattern_since_when_and_the_last_few(client: RawClient) -> None:
    for number in range(5):
        client.set("cryo.temp", number)
    client.set("cryo.mode", 1)
    asked = client.get("cryo._hwhistory", key="CRYO.Temp", last=2)
    assert [one["new"] for one in asked["value"]] == [3, 4]
    assert asked["more"] is True
    times = [one["time"] for one in client.get("cryo._hwhistory", key="temp")["value"]]
    since = client.get("cryo._hwhistory", key="temp", since=times[3])
    assert [one["time"] for one in since["value"]] == [one for one in times if one >= times[3]]
    assert since["more"] is False
    matched = client.get("cryo._hwhistory", key="[mt]*")["value"]
    assert {one["item"] for one in matched} == {"cryo.temp", "cryo.mode"}


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"key": "tepm"}, "did you mean temp"),
    ({"key": 3}, "key must be"),
    ({"key": ""}, "key must be"),
    ({"key": "x" * 1000}, "key must be"),
    ({"last": 0}, "last must be"),
    ({"last": 1.5}, "last must be"),
    ({"last": True}, "last must be"),
    ({"since": "yesterday"}, "since must be"),
    ({"since": 10**30}, "since must be"),
]


def test_history_that_cannot_be_is_refused(client: RawClient) -> None:
    for fields, said in IMPOSSIBLE:
        assert said in client.get("cryo._hwhistory", **fields)["error"]["text"], fields


def test_history_is_bounded_in_bytes(client: RawClient) -> None:
    for _number in range(900):
        client.set("cryo.label", "x" * 1000)
    answer = client.ask("GET", "cryo._hwhistory", {"last": 10**9})
    assert len(answer[5]) < 1_100_000
    assert payload_of(answer)["more"] is True


def test_history_of_a_log_of_somebody_else_is_what_can_be_read_of_it(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(700_000) + b"\n[]\n3\n{}\n\xff\n" + b"{" * 300_000)
    with serving(ITEMS) as daemon, raw_client(daemon) as client:
        assert client.get("cryo._hwhistory")["value"] == []
        client.set("cryo.temp", 5)
        assert [one["new"] for one in client.get("cryo._hwhistory")["value"]] == [5]


def test_history_of_an_item_that_was_never_set_is_empty(client: RawClient) -> None:
    answer = client.get("cryo._hwhistory", key="temp")
    assert (answer["value"], answer["more"], answer["oldest"]) == ([], False, None)


def test_python_client_reads_the_history(daemon: mktl.Daemon, client: RawClient) -> None:
    client.set("cryo.temp", 5)
    with client_of(daemon) as store:
        history = read_history(store, "hw", "temp", last=5)
        assert [one["new"] for one in history.records] == [5]
        with pytest.raises(UnknownKey, match="keeps no history"):
            read_history(store, "other", "temp")


def test_mark_history_prints_lines_for_people(daemon: mktl.Daemon, client: RawClient) -> None:
    assert "no record of any SET" in run_cli("mark", "history", "cryo.mode").stderr
    client.ask("SET", "cryo.mode", {"value": "On", **ANNA})
    client.ask("SET", "cryo.temp", {"value": "warm", **ANNA})
    client.set("cryo.password", "hunter2")
    daemon.store["temp"].set(2)
    done = run_cli("mark", "history", "cryo", "--at", f"127.0.0.1:{daemon.ports[0]}")
    assert done.returncode == 0
    lines = [line.split(" ", 2)[2] for line in done.stdout.splitlines()]
    assert lines[0] == "cryo.mode: Off => On (anna@summit at 127.0.0.1)"
    assert lines[1].startswith("cryo.temp: 1.0 => warm refused: BadValue: temp must be a number")
    assert lines[2:] == [
        "cryo.password: (secret) (somebody unknown at 127.0.0.1)",
        "cryo.temp: 1.0 => 2.0 (the daemon itself)",
    ]


def test_mark_history_says_what_it_leaves_out(daemon: mktl.Daemon, client: RawClient) -> None:
    for number in range(3):
        client.set("cryo.temp", number)
    done = run_cli("mark", "history", "cryo.temp", "--last", "2", "--json")
    assert [json.loads(line)["new"] for line in done.stdout.splitlines()] == [1, 2]
    assert "--last N shows more" in done.stderr
    none = run_cli("mark", "history", "cryo.mode", "--since", "2h")
    assert (none.returncode, none.stdout) == (0, "")
    assert "what is kept goes back to" in none.stderr


def test_history_tells_nobody_of_what_they_may_not_read() -> None:
    guest = {"read": ["temp", "_hwhistory"], "set": ["*"]}
    access = {"unknown": "guest", "roles": {"guest": guest}}
    with protected(access, ITEMS) as daemon, raw_client(daemon) as client:
        client.set("cryo.temp", 5)
        client.set("cryo.label", "x")
        assert client.get("cryo._hwhistory", key="label")["error"]["class"] == "NotAllowed"
        for pattern in ({}, {"key": "*"}, {"key": "[lt]*"}):
            found = client.get("cryo._hwhistory", **pattern)["value"]
            assert {one["item"] for one in found} == {"cryo.temp"}


def test_line_names_the_authorised_key(path: Path) -> None:
    pair = new_pair()
    allow("anna", pair, "engineer")
    with protected({"curve": True}, ITEMS) as daemon, curve_client(daemon, pair) as client:
        client.set("cryo.temp", 5)
        assert records(path)[-1]["key"] == "anna"
