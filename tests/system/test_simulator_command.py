"""The command ``marksim`` as a real process."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "simulators"]
Start = Callable[..., tuple["subprocess.Popen[str]", dict[str, Any]]]


def marksim(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def start() -> Iterator[Start]:
    """Start marksim and give the process and what it announces."""
    processes: list[subprocess.Popen[str]] = []

    def started(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(30), "marksim announces nothing"
        return process, json.loads(process.stdout.readline())

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def asked(url: str, text: str) -> str:
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(text.encode() + b"\n")
        return connection.makefile("rb").readline().decode()


def one_error_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_the_models_are_listed() -> None:
    done = marksim("list")
    assert done.returncode == 0
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert {name: transports for name, transports, _ in rows} == {
        "davis_vantage": "serial,tcp",
        "icepap": "tcp,serial",
        "julabo": "serial,tcp",
        "keysight_34465a": "visa,vxi11,hislip,tcp",
        "lakeshore336": "tcp,serial,visa",
        "pfeiffer_gauge": "serial,tcp",
        "pfeiffer_tpg36x": "tcp,serial",
        "pfeiffer_turbo": "serial,tcp",
        "rigol_dp832": "visa,vxi11,tcp,serial",
        "vaisala_wxt530": "serial,tcp",
        "wago_750_352": "modbus+tcp",
        "watlow_f4": "modbus+rtu,modbus+rtu+tcp",
        "zaber": "serial,tcp",
    }
    assert [name for name, *_ in rows] == sorted(name for name, *_ in rows)
    assert all(summary for *_, summary in rows)


@pytest.mark.parametrize("arguments", [["--help"], ["lakeshore336", "--help"], ["ctl", "--help"]])
def test_help_says_how_to_use_it(arguments: list[str]) -> None:
    done = marksim(*arguments)
    assert done.returncode == 0
    assert "usage: marksim" in done.stdout


def test_a_simulator_announces_where_it_is_and_answers_there(start: Start, tmp_path: Path) -> None:
    link = tmp_path / "tc"
    _, ready = start("lakeshore336", "--tcp", "127.0.0.1:0", "--pty", str(link), "--seed", "1")
    assert ready["model"] == "lakeshore336"
    assert asked(ready["url"], "*IDN?").startswith("LSCI,MODEL336,")
    assert ready["urls"]["serial"].startswith(f"serial://{link}?baud=57600")
    assert link.is_symlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(start: Start, tmp_path: Path, number: int) -> None:
    link = tmp_path / "tc"
    process, ready = start("lakeshore336", "--tcp", "127.0.0.1:0", "--pty", str(link))
    host, _, port = ready["url"].removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20):
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert not link.is_symlink()


def test_after_a_kill_the_same_command_runs_again(start: Start, tmp_path: Path) -> None:
    arguments = ["lakeshore336", "--tcp", "127.0.0.1:0", "--pty", str(tmp_path / "tc")]
    process, ready = start(*arguments)
    arguments[2] = ready["url"].removeprefix("tcp://")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    _, again = start(*arguments)
    assert again["url"] == ready["url"]
    assert asked(again["url"], "*OPC?") == "1\r\n"


def test_it_is_controlled_from_the_command_line(start: Start) -> None:
    _, ready = start("lakeshore336", "--time-factor", "0")
    control = ready["control"]
    assert marksim("ctl", control, "set", "mount_k=90").stdout == "mount_k=90\n"
    assert marksim("ctl", control, "get", "mount_k").stdout == "mount_k=90\n"
    assert marksim("ctl", control, "time", "50").stdout == "factor=50.0\n"
    assert marksim("ctl", control, "time", "stop").stdout == "factor=0.0\n"
    assert marksim("ctl", control, "skip", "60").returncode == 0
    assert "late" in marksim("ctl", control, "fault", "late", "delay_s=0.1", "count=1").stdout
    assert asked(ready["url"], "RANGE? 1") == "2\r\n"
    assert "RANGE? 1 -> 2" in marksim("ctl", control, "log").stdout
    assert marksim("ctl", control, "cut").stdout == "connected=false\n"
    with pytest.raises(ConnectionRefusedError):
        asked(ready["url"], "*OPC?")
    assert marksim("ctl", control, "restore").stdout == "connected=true\n"
    assert asked(ready["url"], "*OPC?") == "1\r\n"
    status = json.loads(marksim("ctl", "--json", control, "status").stdout)
    assert status["ok"]
    assert status["connected"]


def test_time_runs_at_its_factor(start: Start) -> None:
    _, ready = start("lakeshore336", "--time-factor", "60", "--seed", "1")
    assert asked(ready["url"], "SETP 1,80;*OPC?") == "1\r\n"
    deadline_s = time.monotonic() + 40
    while float(asked(ready["url"], "KRDG? A")) < 79.9:
        assert time.monotonic() < deadline_s
        time.sleep(0.06)


def test_a_port_in_use_is_a_failure_that_says_which(start: Start) -> None:
    _, ready = start("lakeshore336")
    address = ready["url"].removeprefix("tcp://")
    done = marksim("lakeshore336", "--tcp", address)
    assert address in one_error_line(done, 1)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["lakeshore999"],
        ["lakeshore336", "--tcp", "7777"],
        ["lakeshore336", "--tcp", "127.0.0.1:99999"],
        ["lakeshore336", "--time-factor", "-1"],
        ["ctl", "127.0.0.1:1", "set", "mount_k"],
        ["ctl", "127.0.0.1:1", "time", "fast"],
        ["ctl", "127.0.0.1:1", "explode"],
    ],
)
def test_wrong_usage_has_its_own_exit_code(arguments: list[str]) -> None:
    assert one_error_line(marksim(*arguments), 2).startswith("marksim")


def test_failures_are_one_line(start: Start) -> None:
    _, ready = start("lakeshore336")
    control = ready["control"]
    for arguments, complaint in (
        (["ctl", control, "get", "mount"], "did you mean mount_k"),
        (["ctl", control, "fault", "lat"], "did you mean late"),
        (["ctl", "127.0.0.1:1", "get"], "no simulator answers at 127.0.0.1:1"),
        (["ctl", ready["url"].removeprefix("tcp://"), "cut", "--nope"], "unrecognized"),
        (["lakeshore336", "--control", "0.0.0.0:0"], "loopback"),
        (["lakeshore336", "--pty", "/nowhere/tc"], "/nowhere/tc"),
    ):
        done = marksim(*arguments)
        assert complaint in one_error_line(done, done.returncode)
        assert done.returncode in (1, 2)
