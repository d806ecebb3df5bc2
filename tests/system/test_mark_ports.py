"""``mark ports`` as a real process, with real processes at both ends of a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests._support import Child, run_cli, running

HOLDER = """
import os, serial, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
port = serial.Serial(sys.argv[1], exclusive=True)
print("ready", flush=True)
while True:
    signal.pause()
"""


def user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@pytest.fixture
def instrument(tmp_path: Path) -> Iterator[tuple[Child, Path]]:
    """A simulator, and the link to its pseudo-terminal."""
    link = tmp_path / "tc"
    with running(["marksim", "lakeshore336", "--pty", link], ready=r"serial://") as child:
        yield child, link


@pytest.fixture
def host(instrument: tuple[Child, Path]) -> Iterator[Child]:
    """A program that has locked the pseudo-terminal."""
    with running(["-c", HOLDER, instrument[1]], ready="ready") as child:
        yield child


def test_a_pseudo_terminal_is_shown_with_both_its_ends(
    instrument: tuple[Child, Path], host: Child
) -> None:
    simulator, link = instrument
    done = run_cli("mark", "ports", link)
    assert (done.returncode, done.stderr) == (0, "")
    user = user_name()
    python = Path(sys.executable).name
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        f"{link.resolve()}  pseudo-terminal",
        f"    link     {link}",
        f"    open     {python} -c (process {host.pid}, user {user}), locked",
    ]
    # Where its path has a space in it, a shell starts Python, which then bears its own name.
    assert re.match(r"    open     (python[\d.]* )?marksim \(process ", lines[3])
    assert lines[3].endswith(f"(process {simulator.pid}, user {user}), at the device's end")
    assert lines[-1] == f"    URL      serial://{link}"


def test_json_has_everything_for_programs(instrument: tuple[Child, Path], host: Child) -> None:
    simulator, link = instrument
    (line,) = run_cli("mark", "ports", "--json", link).stdout.splitlines()
    found = json.loads(line)
    assert (found["path"], found["links"]) == (str(link.resolve()), [str(link)])
    assert (found["url"], found["caution"]) == (f"serial://{link}", None)
    assert found["bus"] == "pseudo-terminal"
    assert found["accessible"] is True
    assert [(one["pid"], one["locked"], one["end"]) for one in found["holders"]] == [
        (host.pid, True, "host"),
        (simulator.pid, False, "device"),
    ]
    assert str(link) in found["holders"][0]["command"]


def test_the_url_alone_is_printed_where_that_is_asked_for(instrument: tuple[Child, Path]) -> None:
    link = instrument[1]
    done = run_cli("mark", "ports", link.name, "--terse", cwd=link.parent)
    assert done.stdout == f"serial://{link}\n"


def test_a_port_is_free_again_when_its_program_has_ended(instrument: tuple[Child, Path]) -> None:
    link = instrument[1]
    with running(["-c", HOLDER, link], ready="ready"):
        assert "locked" in run_cli("mark", "ports", link).stdout
    assert "locked" not in run_cli("mark", "ports", link).stdout


def test_the_ports_of_this_machine_are_listed_whatever_they_are() -> None:
    done = run_cli("mark", "ports")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    found = [json.loads(line) for line in run_cli("mark", "ports", "--json").stdout.splitlines()]
    plain = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [one["path"] for one in found] == plain
    assert all(urlsplit(one["url"]).path.startswith("/dev/") for one in found)
    if not found:
        assert done.stderr == "mark: this machine has no serial ports\n"


def test_each_that_is_no_port_is_told_in_a_line_and_holds_up_no_other(
    instrument: tuple[Child, Path], tmp_path: Path
) -> None:
    link = instrument[1]
    missing, pattern = link.with_name("td"), "no-port-has-this-name*"
    done = run_cli("mark", "ports", "/dev/null", missing, tmp_path, pattern, link, "--terse")
    assert done.returncode == 1
    assert done.stdout == f"serial://{link}\n"
    null, near, folder, none = done.stderr.splitlines()
    assert null.startswith("/dev/null failed: it is a device, but no serial port; ")
    assert near.startswith(f"{missing} failed: no such file or directory; ")
    assert f"did you mean '{link}'" in near
    assert folder.startswith(f"{tmp_path} failed: it is a folder; ")
    assert none.startswith(f"{pattern} failed: no serial port has that name; ")


def test_a_link_left_by_a_simulator_that_was_killed_says_so(tmp_path: Path) -> None:
    (tmp_path / "tc").symlink_to("/dev/pts/987654")
    done = run_cli("mark", "ports", tmp_path / "tc")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it leads to /dev/pts/987654, which is gone: a pseudo-terminal ends with" in done.stderr


def test_names_that_are_no_text_do_no_harm(instrument: tuple[Child, Path]) -> None:
    link = instrument[1].with_name("a\udcff\nb")
    link.symlink_to(instrument[1])
    for option in ("--json", "--terse", "--formatted"):
        done = run_cli("mark", "ports", link, option)
        assert (done.returncode, done.stderr) == (0, "")
        assert "a%FF%0Ab" in done.stdout


def test_pyserial_is_not_needed_and_options_for_daemons_are_refused() -> None:
    code = (
        "import sys; sys.modules['serial'] = None; from markd.cli import main; "
        "sys.exit(main(['ports']) or main(['ports', '--at', 'moon:1']))"
    )
    done = run_cli("-c", code)
    assert done.returncode == 2
    assert "--at is for get" in done.stderr


def test_a_daemon_whose_port_is_taken_says_by_whom(
    instrument: tuple[Child, Path], host: Child, tmp_path: Path
) -> None:
    file = tmp_path / "cryo.toml"
    file.write_text(
        'store = "cryo"\nalias = "hw"\n[controllers.tc]\ndriver = "lakeshore336"\n'
        f'url = "serial://{instrument[1]}"\n[items.temp]\nchannel = "tc.temperature.A"\n'
    )
    taken = rf"in use by another program: .* \(process {host.pid}\)"
    with running(["markd", file], ready=taken) as daemon:
        assert run_cli("mark", "get", "cryo.tc_error").stdout.count(f"(process {host.pid})") == 1
        host.kill()
        daemon.wait_for(r"tc\b.*: up")
        done = run_cli("mark", "ports", instrument[1])
        assert f"markd (process {daemon.pid}, user {user_name()}), locked" in done.stdout
