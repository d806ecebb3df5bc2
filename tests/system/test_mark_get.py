"""``mark get`` as a real process against a real daemon."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from tests._support import Child, free_tcp_port, run_cli
from tests.system._cryo import OWN, cryo


@pytest.fixture
def daemon() -> Iterator[Child]:
    with cryo() as child:
        yield child


def test_get_prints_values_in_the_forms_of_the_reference(daemon: Child) -> None:
    run_cli("mark", "set", "cryo.setpoint=80")
    plain = run_cli("mark", "get", "cryo.setpoint", "cryo.mode", "cryo.never")
    assert plain.returncode == 0
    assert plain.stdout == "cryo.setpoint: 80.0 kelvin\ncryo.mode: Off\ncryo.never: null\n"
    assert plain.stderr == ""
    both = run_cli("mark", "--unformatted", "get", "cryo.setpoint", "--formatted", "cryo.mode")
    assert both.stdout == "cryo.setpoint: 80 kelvin => 80.0 kelvin\ncryo.mode: 0 => Off\n"
    assert run_cli("mark", "-s", "cryo", "get", "mode", "--terse").stdout == "Off\n"
    assert run_cli("mark", "get", "cryo.mode", "--unformatted", "--terse").stdout == "0\n"
    stamped = run_cli("mark", "get", "--timestamp", "cryo.mode", "cryo.never").stdout
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} cryo\.mode: Off\n--:--:--\.--- cryo\.never: null\n", stamped
    )


def test_get_of_what_is_known_imports_nothing_that_takes_long(daemon: Child) -> None:
    code = "import sys; from markd.cli import main; main(['get', 'cryo.setpoint']); "
    code += "print(*sys.modules, file=sys.stderr)"
    run_cli("-c", code)  # the first one learns where the daemon is
    done = run_cli("-c", code)
    assert done.stdout.startswith("cryo.setpoint: ")
    imported = set(done.stderr.split())
    assert "mktl._reading" in imported
    assert not {"msgspec", "logging", "dataclasses", "inspect", "shutil"} & imported


def test_get_converts_units_and_labels_only_what_it_converted(daemon: Child) -> None:
    run_cli("mark", "set", "cryo.setpoint=80")
    done = run_cli("mark", "get", "-u", "degC", "cryo.setpoint", "cryo.note")
    assert done.stdout == "cryo.setpoint: -193.15 degC\ncryo.note: quiet\n"
    wrong = run_cli("mark", "get", "-u", "mm", "cryo.setpoint")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "mm" in wrong.stderr
    assert run_cli("mark", "get", "-u", "degC", "--unformatted", "cryo.note").returncode == 2


def test_get_expands_patterns_and_bare_stores(daemon: Child) -> None:
    matched = run_cli("mark", "get", "cryo.*temp*").stdout
    assert re.findall(r"^\S+(?=:)", matched, re.MULTILINE) == ["cryo.broken_temp", "cryo.temp"]
    assert run_cli("mark", "get", "-s", "cryo", "mo?e").stdout == "cryo.mode: Off\n"
    assert run_cli("mark", "get", "cryo._*pid").stdout.startswith("cryo._tc1pid: ")
    assert run_cli("mark", "get", "cryo.*pid").returncode == 1  # what is hidden has to be named
    keys = re.findall(r"^cryo\.(\w+):", run_cli("mark", "get", "cryo").stdout, re.MULTILINE)
    assert keys == sorted(OWN)  # what is hidden here too
    hidden = re.findall(r"^cryo\.(\w+):", run_cli("mark", "get", "cryo._*").stdout, re.MULTILINE)
    assert {"_tc1clk", "_tc1cat"} <= set(hidden)
    nothing = run_cli("mark", "get", "cryo.zz*")
    assert (nothing.returncode, nothing.stdout) == (1, "")


def test_a_value_in_doubt_says_so_and_is_never_shown_as_true(daemon: Child) -> None:
    assert run_cli("mark", "get", "--refresh", "cryo.broken_temp").returncode == 1
    line = run_cli("mark", "get", "cryo.broken_temp")
    assert line.stdout == "cryo.broken_temp: 80.50 kelvin [invalid: the sensor is open]\n"
    terse = run_cli("mark", "get", "cryo.broken_temp", "--terse")
    assert terse.stdout == "80.50\n"
    assert terse.stderr == "cryo.broken_temp is invalid: the sensor is open\n"
    fields = json.loads(run_cli("mark", "get", "cryo.broken_temp", "--json").stdout)
    assert (fields["quality"], fields["reason"]) == ("invalid", "the sensor is open")


def test_a_value_that_was_not_confirmed_for_long_says_how_old_it_is(daemon: Child) -> None:
    line = run_cli("mark", "get", "cryo.stale", "cryo.mode").stdout
    assert re.fullmatch(
        r"cryo\.stale: 4\.5 \[checked 1 h( \d+ min)? ago\]\ncryo\.mode: Off\n", line
    )
    assert run_cli("mark", "get", "cryo.stale", "--terse").stdout == "4.5\n"
    stale, temp, never = (
        json.loads(line)
        for line in run_cli(
            "mark", "get", "--json", "cryo.stale", "cryo.temp", "cryo.never"
        ).stdout.splitlines()
    )
    assert stale["quality"] == "valid"
    assert stale["reason"] is None
    assert 3600 <= stale["age_s"] < 5000
    assert stale["checked"] - stale["time"] == pytest.approx(3600, abs=1)
    assert 0 <= temp["age_s"] < 60
    assert (never["time"], never["checked"], never["age_s"]) == (None, None, None)


def test_json_has_one_object_a_line(daemon: Child) -> None:
    lines = run_cli("mark", "get", "--json", "cryo.setpoint", "cryo.mode").stdout.splitlines()
    unset, mode = map(json.loads, lines)
    assert unset["value"] is None
    assert unset["time"] is None
    assert {name: mode[name] for name in ("key", "value", "formatted", "quality")} == {
        "key": "cryo.mode",
        "value": 0,
        "formatted": "Off",
        "quality": "valid",
    }
    assert mode["time"] > 1e9


def test_refresh_reads_the_hardware_now(daemon: Child) -> None:
    read = [
        json.loads(run_cli("mark", "get", "--refresh", "--json", "cryo.temp").stdout)["time"]
        for _ in range(2)
    ]
    assert read[1] > read[0]


def test_a_typo_in_a_key_suggests_the_nearest_and_holds_up_no_other(daemon: Child) -> None:
    done = run_cli("mark", "get", "cryo.setpiont", "cryo.mode", "cryo.b$d")
    assert done.returncode == 1
    assert done.stdout == "cryo.mode: Off\n"
    unknown, unusable = sorted(done.stderr.splitlines(), reverse=True)
    assert unknown.startswith("cryo.setpiont failed: ")
    assert "did you mean cryo.setpoint?" in unknown
    assert unusable.startswith("cryo.b$d failed: ")
    assert run_cli("mark", "get", "cyro.mode").returncode == 1  # a daemon answers: it knows cryo


def test_a_daemon_that_is_gone_is_no_answer(daemon: Child) -> None:
    assert run_cli("mark", "get", "cryo.mode").returncode == 0
    daemon.kill()
    done = run_cli("mark", "get", "--timeout", "0.3", "cryo.mode", "cryo.note", "cryo.temp")
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 3
    listed = run_cli("mark", "list", "cryo.m*", "--timeout", "0.3")
    assert (listed.returncode, listed.stdout) == (3, "cryo.mode   enumerated   rw\n")
    assert "known before" in listed.stderr


def test_at_asks_the_given_daemon(daemon: Child) -> None:
    port = daemon.wait_for(r"on the air (\d+)").group(1)
    assert run_cli("mark", "get", "--at", f"127.0.0.1:{port}", "cryo.mode").returncode == 0
    nobody = run_cli("mark", "--at", f"127.0.0.1:{free_tcp_port()}", "get", "cryo.mode")
    assert nobody.returncode == 3
    assert len(nobody.stderr.splitlines()) == 1


def test_output_that_cannot_be_written_is_told_without_a_traceback(daemon: Child) -> None:
    full = run_cli("sh", "-c", "mark get cryo.mode > /dev/full; echo $?")
    assert full.stdout == "1\n"
    assert len(full.stderr.splitlines()) == 1
    assert run_cli("sh", "-c", "mark get cryo.mode >&-; echo $?").stderr == ""


def test_many_items_of_a_daemon_that_is_gone_are_not_waited_for_one_by_one(daemon: Child) -> None:
    assert run_cli("mark", "get", "cryo").returncode == 0
    daemon.kill()
    began = time.monotonic()
    done = run_cli("mark", "get", "cryo", "cryo._*", "--timeout", "1")
    assert done.returncode == 3
    refused = len(done.stderr.splitlines())
    assert refused > 10
    assert time.monotonic() - began < refused  # a second for each, one after the other
