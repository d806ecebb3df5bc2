"""``markd FILE.toml --check`` and ``--schema``: without hardware, and without a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests._support import run_cli

ROOT = Path(__file__).resolve().parents[2]
CRYOSTAT = ROOT / "examples" / "cryostat.toml"

SLOW = """store = "lab"
alias = "hw"

[controllers.tc]
driver = "lakeshore336"
url = "serial:///dev/ttyUSB0"

[items.temp]
channel = "tc.temperature.A"
poll_s = {poll_s}
"""


def test_check_says_how_much_there_is(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(SLOW.format(poll_s=1))
    done = run_cli("markd", str(file), "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: 1 controller, 1 item, no problems\n"


def test_with_v_it_prints_what_is_asked_how_often_and_how_busy_that_keeps_the_line() -> None:
    done = run_cli("markd", str(CRYOSTAT), "--check", "-v")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tc at tcp://192.168.10.21:7777: " in done.stdout
    assert "every 0.5 s" in done.stdout
    assert "detector_temp" in done.stdout
    assert "no problems" in done.stdout


def test_a_line_that_is_asked_for_too_much_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(SLOW.format(poll_s=0.01))
    done = run_cli("markd", str(file), "--check")
    assert done.returncode == 2
    assert "line 4: controllers.tc: the polls of tc need" in done.stderr
    assert "poll less often" in done.stderr


NO_NETWORK = """
import socket, sys

def forbidden(*_args, **_kwargs):
    raise AssertionError("the network was touched")

for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, forbidden)
socket.getaddrinfo = socket.gethostbyname = forbidden

from markd.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "words",
    [
        [str(CRYOSTAT), "--check", "-v"],
        [str(CRYOSTAT), "--describe"],
        ["--schema"],
        ["new", "lakeshore336"],
        ["new", "modbus"],
    ],
)
def test_nothing_that_only_tells_touches_the_network(words: list[str], tmp_path: Path) -> None:
    script = tmp_path / "no_network.py"
    script.write_text(NO_NETWORK)
    env = {"PYTHONPATH": str(ROOT), "MKTL_HOME": str(tmp_path / "home")}
    done = run_cli(sys.executable, str(script), *words, env=env)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()


def test_schema_prints_the_published_file() -> None:
    done = run_cli("markd", "--schema")
    assert done.returncode == 0
    published = ROOT / "docs" / "instrument-file.schema.json"
    assert json.loads(done.stdout) == json.loads(published.read_text())


def test_without_words_it_says_what_is_missing() -> None:
    done = run_cli("markd")
    assert done.returncode == 2
    assert "what is to be run?" in done.stderr
