"""A daemon from an instrument file: what is read together, heard, set, and simulated."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
from tests._support import run_cli, running, wait_until
from tests.unit.drivers.fakes import FakeDevice, device

ROOT = Path(__file__).resolve().parents[2]
ON_THE_AIR = r"on the air"
HERE = {"PYTHONPATH": str(ROOT)}

FILE = """store = "lab"
alias = "hw"

[controllers.gauge]
driver = "tests.unit.drivers._wiring_gauge:Chatter"
url = "{url}"

[items.p]
controller = "gauge"
ask = "P"
poll_s = 0.05

[items.q]
controller = "gauge"
ask = "Q"
tell = "SET"
settable = true
poll_s = 0.05

[items.alone]
controller = "gauge"
ask = "ALONE"
poll_s = 0.06

[items.alarm]
controller = "gauge"
heard = "!ALARM"

[items.switch]
controller = "gauge"
tell = "SWITCH"

[items.note]
type = "string"
"""


@pytest.fixture
def gauge() -> Iterator[FakeDevice]:
    values = {"P": "1.5", "Q": "2", "ALONE": "7"}

    def answer(message: str) -> bytes | None:
        if message == "ALL":
            return f"p={values['P']},q={values['Q']}\r\n".encode()
        if message.startswith("SET "):
            values["Q"] = message.split()[1]
            return None
        return f"{values[message]}\r\n".encode() if message in values else None

    with device(answer) as fake:
        yield fake


@pytest.fixture
def lab(gauge: FakeDevice, tmp_path: Path) -> Iterator[mktl.Store]:
    file = tmp_path / "lab.toml"
    file.write_text(FILE.format(url=gauge.url))
    with running(["markd", str(file)], ready=ON_THE_AIR, env=HERE):
        store = mktl.get("lab")
        wait_until(lambda: store["gauge_link"].formatted == "Up", what="the link to be up")
        yield store


def test_items_of_one_period_are_read_with_one_exchange(lab: mktl.Store, gauge: FakeDevice) -> None:
    wait_until(lambda: gauge.received.count("ALL") > 3, what="the block to be read")
    wait_until(lambda: (lab["p"].value, lab["q"].value) == (1.5, 2.0), what="both values")
    wait_until(lambda: gauge.received.count("ALONE") > 3, what="the other one to be read")
    # Each is asked for by itself when the link comes up, and when a client asks; never to poll.
    assert gauge.received.count("P") <= gauge.connections + 1
    before = gauge.received.count("P")
    assert lab["p"].get(refresh=True) == 1.5
    assert gauge.received.count("P") == before + 1


def test_an_item_of_a_block_can_be_set_and_tells_what_it_is_then(
    lab: mktl.Store, gauge: FakeDevice
) -> None:
    lab["q"].set(9)
    assert lab["q"].value == 9
    wait_until(lambda: "SET 9" in gauge.received, what="it to be told")
    wait_until(lambda: lab["q"].value == 9.0 and lab["p"].value == 1.5, what="the next block")


def test_what_a_device_says_unasked_is_published(lab: mktl.Store, gauge: FakeDevice) -> None:
    alarm = lab["alarm"]
    assert alarm.get(refresh=True) is None
    assert alarm.quality == "invalid"
    assert "nothing was heard of it yet" in (alarm.reason or "")
    gauge.send(b"!ALARM 3\r\n")
    wait_until(lambda: alarm.quality == "valid", what="a valid alarm")
    assert alarm.value == 3.0
    # Asking anew finds nothing out, and takes nothing away.
    assert alarm.get(refresh=True) == 3.0


def test_an_item_that_can_only_be_set_is_told_and_not_read(
    lab: mktl.Store, gauge: FakeDevice
) -> None:
    lab["switch"].set(1)
    wait_until(lambda: "SWITCH 1" in gauge.received, what="it to be told")


def test_a_controller_without_a_simulator_says_so_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(FILE.format(url="tcp://127.0.0.1:1"))
    with running(["markd", str(file), "--simulate"], ready=ON_THE_AIR, env=HERE) as child:
        assert "controller gauge is not simulated" in child.stderr_text
        assert "--url gauge=URL" in child.stderr_text


BUS = """store = "lab"
alias = "bus"

[controllers.one]
driver = "watlow_f4"
url = "modbus+rtu:///dev/ttyS7?unit=1"

[controllers.two]
driver = "watlow_f4"
url = "modbus+rtu:///dev/ttyS7?unit=2"

[controllers.io]
driver = "modbus"
url = "modbus+rtu:///dev/ttyS7?parity=none&unit=9"

[items.one_temp]
channel = "one.input.1"

[items.two_temp]
channel = "two.input.1"

[items.flow]
controller = "io"
register = {table = "holding", address = 4, type = "float32"}
settable = true
simulate = 12.5

[items.word]
controller = "gauge"
ask = "W?"
tell = "W {value:d}"
simulate = 4

[controllers.gauge]
driver = "./gauge.toml"
url = "tcp://192.0.2.1:4001"

[items.pressure]
channel = "gauge.pressure"
poll_s = 0.1
"""
GAUGE = """driver = "text"
identify = {ask = "*IDN?", reply = "ACME,.*"}

[channels.pressure]
ask = "PR1"
reply = "{status:d},{value:g}"
valid = {status = 0}
units = "mbar"
simulate = 3.5
"""


def test_units_of_one_line_and_protocols_as_data_are_simulated_too(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(BUS)
    (tmp_path / "gauge.toml").write_text(GAUGE)
    argv = ["markd", str(tmp_path / "lab.toml"), "--simulate"]
    with running(argv, ready=ON_THE_AIR) as child:
        lab = mktl.get("lab")
        for name in ("one", "two", "io", "gauge"):
            with contextlib.suppress(AssertionError):
                wait_until(lambda n=name: lab[f"{n}_link"].formatted == "Up", what=f"{name} up")
            assert lab[f"{name}_link"].formatted == "Up", lab[f"{name}_error"].value
        assert lab["flow"].get(refresh=True) == 12.5
        lab["flow"].set(3)
        assert lab["flow"].get(refresh=True) == 3.0
        assert lab["pressure"].get(refresh=True) == 3.5
        assert lab["word"].get(refresh=True) == 4
        for key in ("one_temp", "two_temp"):
            assert -50 < lab[key].get(refresh=True) < 200
        assert child.stderr_text.count("is simulated at") == 4


def test_v_runs_with_the_log_at_debug() -> None:
    done = run_cli("markd", "--help")
    assert "--log-level debug" in done.stdout
