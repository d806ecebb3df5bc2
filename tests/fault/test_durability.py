"""What is on disk when a SET is answered: after kills, on full, broken and foreign disks."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mktl
from benchmarks import durability
from tests._support import Child, run_cli, wait_until
from tests._support.daemons import daemon_process, ports_of, serving
from tests._support.wire import RawClient

ITEMS = {
    "setpoint": {"type": "numeric", "persist": True, "initial": 1.0},
    "label": {"type": "string", "persist": True},
    "fleeting": {"type": "numeric", "initial": 0},
}


@contextlib.contextmanager
def daemon(tmp_path: Path, **others: Any) -> Iterator[tuple[Child, RawClient]]:
    """Run a daemon with a client of it."""
    with daemon_process(tmp_path, ITEMS, **others) as child:
        client = RawClient(*ports_of(child))
        try:
            yield child, client
        finally:
            client.close()


def database_of(home: Path) -> Path:
    (path,) = (home / "daemon" / "persist").glob("*.sqlite")
    return path


def used(tmp_path: Path, mktl_home: Path) -> Path:
    """Have a daemon save some values and end by a kill; return its database."""
    with daemon(tmp_path) as (child, client):
        for number in range(5):
            client.set("cryo.setpoint", number)
            assert client.set("cryo.label", f"label {number}") == {"value": True}
        child.kill()
    return database_of(mktl_home)


def is_latest(client: RawClient) -> bool:
    setpoint, label = client.get("cryo.setpoint"), client.get("cryo.label")
    assert "quality" not in setpoint
    assert "quality" not in label
    return (setpoint["value"], label["value"]) == (4, "label 4")


def log_lines(child: Child, *words: str) -> list[str]:
    return [line for line in child.stderr_text.splitlines() if all(map(line.__contains__, words))]


# Damage.


def test_a_missing_log_is_told_in_the_items_until_they_are_set(
    tmp_path: Path, mktl_home: Path
) -> None:
    path = used(tmp_path, mktl_home)
    Path(f"{path}-wal").unlink()
    with daemon(tmp_path) as (child, client):
        assert len(log_lines(child, "ends at change")) == 1
        for key in ("setpoint", "label"):
            answer = client.get(f"cryo.{key}")
            assert answer["quality"] == "warning"
            assert path.name in answer["reason"]
        assert "quality" not in client.get("cryo.fleeting")
        assert client.set("cryo.setpoint", 9) == {"value": True}
        child.kill()
    with daemon(tmp_path) as (child, client):
        assert not log_lines(child, "ends at change")
        setpoint = client.get("cryo.setpoint")
        assert (setpoint["value"], "quality" in setpoint) == (9, False)
        assert client.get("cryo.label")["quality"] == "warning"


def test_a_damaged_database_is_moved_aside_and_its_values_are_found_in_it(
    tmp_path: Path, mktl_home: Path
) -> None:
    path = used(tmp_path, mktl_home)
    log = Path(f"{path}-wal").read_bytes()
    damaged = bytes(4096) + path.read_bytes()[4096:]
    path.write_bytes(damaged)
    with daemon(tmp_path) as (child, client):
        (line,) = log_lines(child, "moved aside")
        (aside,) = path.parent.glob("*.unreadable-*[0-9]")
        assert aside.name in line
        assert aside.read_bytes() == damaged
        assert Path(f"{aside}-wal").read_bytes() == log
        label = client.get("cryo.label")
        assert (label["value"], label["quality"]) == ("label 4", "warning")
        assert aside.name in label["reason"]
        assert client.set("cryo.label", "new") == {"value": True}
    with daemon(tmp_path) as (child, client):
        assert not log_lines(child, "moved aside")
        label = client.get("cryo.label")
        assert (label["value"], "quality" in label) == ("new", False)
        assert client.get("cryo.setpoint")["quality"] == "warning"


def test_a_damaged_value_is_told_in_its_item_and_kept_aside(
    tmp_path: Path, mktl_home: Path
) -> None:
    path = used(tmp_path, mktl_home)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(
            'UPDATE saved_values SET payload = cast(\'{"value":"5"}\' AS BLOB) '
            "WHERE key = 'setpoint'"
        )
        database.commit()
    for restart in range(2):
        with daemon(tmp_path) as (child, client):
            assert len(log_lines(child, "'setpoint'", "damaged")) == 1 - restart
            setpoint = client.get("cryo.setpoint")
            assert setpoint["value"] == 1.0  # its initial one
            assert setpoint["quality"] == "warning"
            assert "damaged" in setpoint["reason"]
            label = client.get("cryo.label")
            assert (label["value"], "quality" in label) == ("label 4", False)


def test_a_saved_value_that_the_description_refuses_is_told_in_its_item(
    tmp_path: Path, mktl_home: Path
) -> None:
    used(tmp_path, mktl_home)
    changed = {**ITEMS, "label": {"type": "numeric", "persist": True}}
    with daemon_process(tmp_path, changed) as child:
        client = RawClient(*ports_of(child))
        label = client.get("cryo.label")
        client.close()
        assert label["quality"] == "warning"
        assert "its saved value is not used" in label["reason"]
    with daemon(tmp_path) as (child, client):  # as it was: nothing is lost
        assert is_latest(client)


def test_values_of_the_reference_package_are_taken_over_and_told_where_they_cannot(
    tmp_path: Path, mktl_home: Path
) -> None:
    with daemon(tmp_path):
        pass
    path = database_of(mktl_home)
    path.unlink()
    left = path.with_suffix("")
    left.mkdir()
    (left / "setpoint").write_text('{"value": 42.5, "time": 1795469673.5}')
    (left / "label").write_text('{"value": "hal')
    with daemon(tmp_path) as (child, client):
        setpoint = client.get("cryo.setpoint")
        assert (setpoint["value"], setpoint["time"]) == (42.5, 1795469673.5)
        assert "quality" not in setpoint
        assert client.get("cryo.label")["quality"] == "warning"
        assert len(log_lines(child, str(left / "label"), "was not taken over")) == 1
        client.set("cryo.setpoint", 43.0)
        child.kill()
    with daemon(tmp_path) as (child, client):
        assert client.get("cryo.setpoint")["value"] == 43.0
        assert client.get("cryo.label")["quality"] == "warning"


# Disks.


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Give a file system of 1 MiB, where mounting is allowed; else a limit on files has to do."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems can be mounted only by root, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Use up all room that the file system of *folder* has."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    return ballast


def test_a_disk_that_fills_up_makes_sets_fail_and_room_makes_them_work_again(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "small") as home:
        environment = {"MKTL_HOME": str(home)}
        with daemon(tmp_path, env=environment) as (child, client):
            assert client.set("cryo.label", "before") == {"value": True}
            ballast = fill(home)
            answer = client.set("cryo.label", "x" * 50_000)
            assert answer["error"]["class"] == "NotSaved"
            assert "could not be saved" in answer["error"]["text"]
            assert client.get("cryo.label")["value"] == "before"
            assert client.set("cryo.fleeting", 3) == {"value": True}
            ballast.unlink()
            assert client.set("cryo.label", "after") == {"value": True}
            child.kill()
        with daemon(tmp_path, env=environment) as (child, client):
            label = client.get("cryo.label")
            assert (label["value"], "quality" in label) == ("after", False)


def test_a_daemon_starts_on_a_full_disk_with_the_values_that_are_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as home:
        environment = {"MKTL_HOME": str(home)}
        with daemon(tmp_path, env=environment) as (child, client):
            client.set("cryo.label", "acknowledged")
            child.kill()
        ballast = fill(home)
        with daemon(tmp_path, env=environment) as (child, client):
            label = client.get("cryo.label")
            assert (label["value"], "quality" in label) == ("acknowledged", False)
            answer = client.set("cryo.label", "x" * 50_000)
            assert answer["error"]["class"] == "NotSaved"
            ballast.unlink()
            assert client.set("cryo.label", "after") == {"value": True}
            child.kill()
        with daemon(tmp_path, env=environment) as (child, client):
            assert client.get("cryo.label")["value"] == "after"


def test_a_disk_that_is_full_before_there_is_a_database_is_told_and_tried_again(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "small") as home:
        environment = {"MKTL_HOME": str(home)}
        with daemon(tmp_path, env=environment):
            pass
        shutil.rmtree(home / "daemon" / "persist")
        ballast = fill(home)
        with daemon(tmp_path, env=environment) as (child, client):
            assert len(log_lines(child, "SETs of persistent items fail until")) == 1
            assert "quality" not in client.get("cryo.setpoint")  # nothing was ever saved
            assert client.set("cryo.setpoint", 5)["error"]["class"] == "NotSaved"
            ballast.unlink()
            wait_until(lambda: client.set("cryo.setpoint", 5) == {"value": True})
            child.kill()
        with daemon(tmp_path, env=environment) as (child, client):
            assert client.get("cryo.setpoint")["value"] == 5


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Have nothing written below *folder*, as on a disk that the system has remounted."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)
        return
    bound = ["mount", "--bind", str(folder), str(folder)]
    if subprocess.run(bound, capture_output=True, check=False).returncode:
        pytest.skip("root can write everywhere, and may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_daemon_starts_on_a_disk_that_can_only_be_read(tmp_path: Path, mktl_home: Path) -> None:
    used(tmp_path, mktl_home)
    with contextlib.ExitStack() as stack:
        frozen = stack.enter_context(contextlib.ExitStack())
        frozen.enter_context(read_only(mktl_home))
        child, client = stack.enter_context(daemon(tmp_path))
        assert is_latest(client)
        (line,) = log_lines(child, "SETs of persistent items fail until")
        assert "What is there was read" in line
        answer = client.set("cryo.setpoint", 5)
        assert answer["error"]["class"] == "NotSaved"
        assert client.get("cryo.setpoint")["value"] == 4
        frozen.close()
        wait_until(lambda: client.set("cryo.setpoint", 6) == {"value": True})
        assert log_lines(child, "can be used again")
    with daemon(tmp_path) as (child, client):
        assert client.get("cryo.setpoint")["value"] == 6
        assert client.get("cryo.label")["value"] == "label 4"


def test_a_file_in_the_place_of_the_directory_is_told_and_tried_again(
    tmp_path: Path, mktl_home: Path
) -> None:
    path = used(tmp_path, mktl_home)
    hidden = path.parent.rename(mktl_home / "hidden")
    path.parent.write_text("not a directory")
    with daemon(tmp_path) as (child, client):
        assert len(log_lines(child, "SETs of persistent items fail until")) == 1
        label = client.get("cryo.label")
        assert label["quality"] == "warning"
        assert "its saved value cannot be read" in label["reason"]
        assert client.set("cryo.label", "x")["error"]["class"] == "NotSaved"
        path.parent.unlink()
        hidden.rename(path.parent)
        wait_until(lambda: "quality" not in client.get("cryo.label"))
        assert is_latest(client)
        assert client.set("cryo.label", "after") == {"value": True}


def test_clients_hear_of_a_value_that_could_be_read_only_later(
    tmp_path: Path, mktl_home: Path
) -> None:
    path = used(tmp_path, mktl_home)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("SELECT * FROM saved_values").fetchall()
        with daemon(tmp_path) as (child, client):
            assert "locked" in client.get("cryo.label")["reason"]
            client.subscribe(b"cryo.label.")
            other.close()
            frames = client.next_broadcast()
            heard = json.loads(frames[2])
            assert (heard["value"], "quality" in heard) == ("label 4", False)
            assert len(log_lines(child, "SETs of persistent items fail until")) == 1


def test_locks_and_limits_that_are_read_late_are_in_force_and_not_written_over(
    tmp_path: Path, mktl_home: Path
) -> None:
    with daemon(tmp_path) as (child, client):
        lock = {"keys": "setpoint", "for_s": 600, "why": "vacuum is open"}
        owner = {"_user": "owner", "_hostname": "here"}
        locked = client.ask("SET", "cryo._hwlock", {"value": lock, **owner})
        assert json.loads(locked[5]) == {"value": True}
        limits = {"key": "setpoint", "limits": {"alarm": [0, 50]}}
        assert "error" not in client.set("cryo._hwlimits", limits)
        before = [client.get(f"cryo._hw{name}")["value"] for name in ("lock", "limits")]
        child.kill()
    persist = mktl_home / "daemon" / "persist"
    hidden = persist.rename(mktl_home / "hidden")
    persist.write_text("not a directory")
    with daemon(tmp_path) as (child, client):
        assert client.get("cryo._hwlock")["value"] != before[0]
        persist.unlink()
        hidden.rename(persist)
        wait_until(lambda: "quality" not in client.get("cryo._hwlock"))
        assert [client.get(f"cryo._hw{name}")["value"] for name in ("lock", "limits")] == before
        origin = {"_user": "somebody", "_hostname": "elsewhere"}

        def refusal() -> str:
            refused = client.ask("SET", "cryo.setpoint", {"value": 5, **origin})
            return str(json.loads(refused[5])["error"]["text"])

        wait_until(lambda: "vacuum is open" in refusal())  # before, nothing can be saved at all
        child.kill()
    with daemon(tmp_path) as (child, client):
        assert [client.get(f"cryo._hw{name}")["value"] for name in ("lock", "limits")] == before


def test_a_value_that_is_read_late_is_judged_by_its_limits(tmp_path: Path, mktl_home: Path) -> None:
    used(tmp_path, mktl_home)
    persist = mktl_home / "daemon" / "persist"
    hidden = persist.rename(mktl_home / "hidden")
    persist.write_text("not a directory")
    items = {"setpoint": {**ITEMS["setpoint"], "limits": {"alarm": [2, 10]}}}
    with daemon_process(tmp_path, items) as child:
        client = RawClient(*ports_of(child))
        try:
            before = client.get("cryo.setpoint")  # its initial value, for the time being
            assert (before["value"], before["quality"]) == (1.0, "alarm")
            persist.unlink()
            hidden.rename(persist)
            wait_until(lambda: client.get("cryo.setpoint")["value"] == 4)
            assert "quality" not in client.get("cryo.setpoint")
            wait_until(lambda: client.get("cryo._hwalarm")["value"] == 0)
            shelve = {"key": "setpoint", "for_s": 60, "why": "new sensor"}
            wait_until(lambda: client.set("cryo._hwshelve", shelve) == {"value": True})
            after = client.get("cryo.setpoint")
            assert (after["value"], after["shelved"]["why"]) == (4, "new sensor")
        finally:
            client.close()


def test_a_set_that_is_tried_again_is_on_disk_when_it_is_acknowledged() -> None:
    class Valve(mktl.Item):
        state = 0

        def perform_set(self, value: Any) -> None:
            self.state = value

        def req_refresh(self) -> int:
            return self.state

    class Daemon(mktl.Daemon):
        def setup(self) -> None:
            self.add_item(Valve, "valve", description={"type": "numeric", "persist": True})

    with serving(daemon_class=Daemon) as running:
        valve, persistent = running.store["valve"], running._service.persistent
        assert persistent is not None
        persistent.held = True
        with pytest.raises(mktl.MktlError, match="cannot be kept"):
            valve.set(5)
        persistent.held = False
        valve.set(5)
        assert dict(persistent.load())["valve"].value == 5


def test_a_database_that_is_removed_under_a_daemon_takes_nothing_with_it(
    tmp_path: Path, mktl_home: Path
) -> None:
    with daemon(tmp_path) as (child, client):
        client.set("cryo.label", "before")
        shutil.rmtree(mktl_home / "daemon" / "persist")
        assert client.set("cryo.setpoint", 5) == {"value": True}
        child.kill()
    with daemon(tmp_path) as (child, client):
        assert client.get("cryo.setpoint")["value"] == 5
        label = client.get("cryo.label")
        assert (label["value"], "quality" in label) == ("before", False)


def test_a_value_that_is_too_large_takes_none_of_the_others_with_it(tmp_path: Path) -> None:
    code = """
import resource, signal, mktl
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
class Limit(mktl.Item):
    def req_set(self, request):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(request.value) or hard, hard))
        self.publish(request.value)
class Daemon(mktl.Daemon):
    def setup(self):
        self.add_item(Limit, "limit")
        for number in range(50):
            self.add_item(mktl.Item, f"n{number}", description={"persist": True})
"""
    with daemon(tmp_path, code=code) as (child, client):
        client.set("cryo.limit", 1_500_000)
        asked = {}
        for number in range(50):
            value = "x" * 2_000_000 if number % 5 == 0 else number
            asked[number] = client.send_request("SET", f"cryo.n{number}", {"value": value})
        replies: dict[bytes, dict[str, Any]] = {}
        while len(replies) < 50:
            frames = client.receive()
            assert frames is not None
            if frames[2] == b"REP":
                replies[frames[1]] = json.loads(frames[5])
        for number, id_ in asked.items():
            assert ("error" in replies[id_]) == (number % 5 == 0)
        child.kill()
    with daemon(tmp_path, code=code) as (child, client):
        for number in asked:
            answer = client.get(f"cryo.n{number}")
            assert answer["value"] == (None if number % 5 == 0 else number)


# Other files of a daemon and of a client.


def test_a_broken_uuid_is_mended_and_the_values_are_there(tmp_path: Path, mktl_home: Path) -> None:
    content = b"\xff\xfe\0binary"
    path = used(tmp_path, mktl_home)
    (identity,) = (mktl_home / "daemon" / "store" / "cryo").glob("*.uuid")
    identity.write_bytes(content)
    with daemon(tmp_path) as (child, client):
        assert len(log_lines(child, "holds no uuid", "mended")) == 1
        assert is_latest(client)
    assert identity.read_text().strip() == path.stem
    (aside,) = identity.parent.glob("hw.uuid.unreadable-*")
    assert aside.read_bytes() == content


def test_a_uuid_that_is_lost_altogether_is_told_in_the_items(
    tmp_path: Path, mktl_home: Path
) -> None:
    path = used(tmp_path, mktl_home)
    folder = mktl_home / "daemon" / "store" / "cryo"
    (folder / "hw.uuid").write_bytes(b"")
    (folder / "hw.hash").write_bytes(b"[" * 100_000)
    with daemon(tmp_path) as (child, client):
        assert len(log_lines(child, "holds no uuid", "saved values are lost")) == 1
        label = client.get("cryo.label")
        assert label["quality"] == "warning"
        assert "holds no uuid" in label["reason"]
    assert path.exists()


def test_broken_notes_of_the_ports_cost_nothing_but_the_ports(
    tmp_path: Path, mktl_home: Path
) -> None:
    used(tmp_path, mktl_home)
    directory = mktl_home / "daemon" / "port" / "cryo"
    (request_port,), (publish_port,) = directory.glob("*.req"), directory.glob("*.pub")
    request_port.write_bytes(b"\xff99999999")
    publish_port.unlink()
    publish_port.mkdir()
    with daemon(tmp_path) as (child, client):
        assert is_latest(client)
        assert len(log_lines(child, "the port may change")) == 1
        assert request_port.read_text().strip() == str(ports_of(child)[0])


def test_a_broken_catalog_is_refused_with_its_place(tmp_path: Path, mktl_home: Path) -> None:
    used(tmp_path, mktl_home)
    catalog = mktl_home / "daemon" / "store" / "cryo" / "hw.json"
    catalog.write_bytes(b"[" * 100_000)
    with daemon_process(tmp_path, ready="^refused: ") as child:
        match = child.wait_for(r"^refused: ConfigurationError: (.*)$")
        assert f"{catalog} is not JSON" in match[1]
        assert child.wait() == 3


def test_broken_caches_of_a_client_cost_nothing_but_time(tmp_path: Path, mktl_home: Path) -> None:
    with daemon(tmp_path) as (_child, client):
        client.set("cryo.label", "there")
        assert run_cli("mark", "get", "cryo.label").returncode == 0
        (cached,) = (mktl_home / "client" / "cache" / "cryo").glob("*.json")
        for content in (b"", b'{"store": "cryo", "al\n' * 1000):
            cached.write_bytes(content)
            (mktl_home / "client" / "registries.cache").write_bytes(content)
            done = run_cli("mark", "get", "cryo.label")
            assert "there" in done.stdout
            assert len(done.stderr.splitlines()) < 20
            assert cached.read_bytes().startswith(b'{"store":"cryo"')
        assert run_cli("mark", "get", "cryo.label").stderr == ""


def test_a_client_works_where_it_can_cache_nothing(tmp_path: Path, mktl_home: Path) -> None:
    with daemon(tmp_path) as (_child, client):
        client.set("cryo.label", "there")
        shutil.rmtree(mktl_home / "client", ignore_errors=True)
        (mktl_home / "client").write_text("a file in the place of the directory")
        done = run_cli("mark", "get", "cryo.label")
        assert done.returncode == 0
        assert "there" in done.stdout


def test_none_of_many_acknowledged_sets_is_lost_over_kills_at_random() -> None:
    durability.run(short=True)
