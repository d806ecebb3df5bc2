"""A device that nobody wrote a driver for: its manual, an instrument file, and all the rest.

The manual of the VG-7 has one page:

    9600 baud, 8N1. A message ends with CR LF, and so does an answer.
    *IDN?        ACME,VG-7,<serial number>
    PR?          <status>,<pressure in mbar>; 0 good, 1 underrange, 2 overrange, 3 no sensor
    SP?          set point of the relay, in mbar
    SP <number>  sets it, 1.00E-09 to 1.00E-02: OK
    RELAY?       ON or OFF
    RELAY <word> switches it: OK
    ERR 1        in the place of an answer: unknown message; ERR 2: out of range
    !DOOR <word> comes unasked: OPEN or SHUT
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
from tests._support import run_cli, running, wait_until
from tests.unit.drivers.text_fakes import PtyDevice, TextDevice, pty_device, text_device

FILE = """
store = "vac"
alias = "hw"

[controllers.gauge]
driver = "text"
url = "{url}"
identify = {{ask = "*IDN?", reply = "ACME,VG-7,[0-9]+"}}
refused = "ERR [0-9]"
timeout_s = 1
retry_first_s = 0.05
retry_longest_s = 0.2

[items.pressure]
controller = "gauge"
ask = "PR?"
reply = "{{status:d}},{{value:g}}"
valid = {{status = 0}}
reasons = {{status = {{1 = "underrange", 2 = "overrange", 3 = "no sensor"}}}}
units = "mbar"
format = "%.2e"
poll_s = 0.1

[items.threshold]
controller = "gauge"
ask = "SP?"
tell = "SP {{value:.2E}}"
ack = "OK"
read_back = true
units = "mbar"
format = "%.2e"
poll_s = 0.5

[items.relay]
controller = "gauge"
ask = "RELAY?"
tell = "RELAY {{value}}"
ack = "OK"
values = {{ON = true, OFF = false}}
poll_s = 0.1

[items.door]
controller = "gauge"
heard = "!DOOR {{value:w}}"
enumerators = {{0 = "Shut", 1 = "Open"}}
values = {{SHUT = "Shut", OPEN = "Open"}}
"""


class Gauge:
    """The VG-7, from its manual."""

    def __init__(self) -> None:
        self.name = b"ACME,VG-7,0815"
        self.pressure = b"0,1.50E-03"
        self.held = {b"SP": b"1.00E-05", b"RELAY": b"OFF"}
        self.silent = False

    def __call__(self, message: bytes) -> bytes | None:
        return None if self.silent else self.answer(message) + b"\r\n"

    def answer(self, message: bytes) -> bytes:
        name, blank, value = message.partition(b" ")
        if message == b"*IDN?":
            return self.name
        if message == b"PR?":
            return self.pressure
        if message.endswith(b"?") and message[:-1] in self.held:
            return self.held[message[:-1]]
        if not blank or name not in self.held:
            return b"ERR 1"
        if name == b"SP" and not (
            re.fullmatch(rb"\d\.\d\dE[+-]\d\d", value) and 1e-9 <= float(value) <= 1e-2
        ):
            return b"ERR 2"
        self.held[name] = value
        return b"OK"


Device = TextDevice | PtyDevice


@pytest.fixture(params=[text_device, pty_device], ids=["tcp", "pty"])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    with request.param(Gauge()) as made:
        yield made


@pytest.fixture
def vac(device: Device, tmp_path: Path) -> Iterator[mktl.Store]:
    file = tmp_path / "vac.toml"
    file.write_text(FILE.format(url=device.url))
    with running(["markd", str(file)], ready="on the air"):
        store = mktl.get("vac")
        wait_until(lambda: store["gauge_link"].formatted == "Up", what="the link to be up")
        yield store


def gauge_of(device: Device) -> Gauge:
    assert isinstance(device.reply, Gauge)
    return device.reply


def shown(*argv: str) -> str:
    done = run_cli("mark", *argv)
    assert done.returncode == 0
    return done.stdout


def test_it_can_be_read_set_and_watched_from_the_command_line(
    vac: mktl.Store, device: Device
) -> None:
    wait_until(lambda: vac["pressure"].value == 1.5e-3)
    assert shown("get", "vac.pressure", "vac.relay") == (
        "vac.pressure: 1.50e-03 mbar\nvac.relay: False\n"
    )
    assert shown("get", "-u", "Pa", "vac.pressure") == "vac.pressure: 0.15 Pa\n"
    with running(["mark", "watch", "vac.relay", "vac.pressure"], ready="vac.relay: ") as watching:
        assert shown("set", "vac.relay=true") == "Set vac.relay to true\n"
        assert gauge_of(device).held[b"RELAY"] == b"ON"
        watching.wait_for(r"vac\.relay: True$")
        gauge_of(device).pressure = b"0,2.75E-04"
        watching.wait_for(r"vac\.pressure: 2\.75e-04 mbar$")
        watching.send_signal(signal.SIGINT)
        watching.wait()
    assert shown("set", "vac.threshold=2.5e-6") == "Set vac.threshold to 2.5e-6 mbar\n"
    assert gauge_of(device).held[b"SP"] == b"2.50E-06"
    assert shown("set", "-u", "Pa", "vac.threshold=0.1") == "Set vac.threshold to 0.1 Pa\n"
    assert gauge_of(device).held[b"SP"] == b"1.00E-03"


REFUSED = (
    ("1", "'SP 1.00E+00' was refused: 'ERR 2' came back"),
    ("1.2345e-5", "would be sent as '1.23E-05', which is another number"),
    ("nan", "vac.threshold failed"),
)


def test_what_it_refuses_and_what_cannot_be_sent_is_told_and_changes_nothing(
    vac: mktl.Store, device: Device
) -> None:
    for value, said in REFUSED:
        done = run_cli("mark", "set", f"vac.threshold={value}")
        assert done.returncode == 1
        assert said in done.stderr
        assert gauge_of(device).held[b"SP"] == b"1.00E-05"
        assert vac["threshold"].get(refresh=True) == 1e-5
    assert vac["gauge_link"].formatted == "Up"


def test_a_set_that_is_acknowledged_and_not_carried_out_is_told(
    vac: mktl.Store, device: Device
) -> None:
    gauge = gauge_of(device)
    device.reply = lambda message: b"OK\r\n" if message.startswith(b"SP ") else gauge(message)
    done = run_cli("mark", "set", "vac.threshold=2.5e-6")
    assert done.returncode == 1
    assert "threshold was not set: '2.50E-06' was sent, and 1e-05 is what it has" in done.stderr


def test_what_it_says_unasked_is_published_at_once(vac: mktl.Store, device: Device) -> None:
    done = run_cli("mark", "get", "vac.door")
    assert "nothing was heard of it yet" in done.stdout + done.stderr
    with running(["mark", "watch", "vac.door", "--terse"], ready=".") as watching:
        device.send(b"!DOOR OPEN\r\n")
        watching.wait_for("^Open$")
        # In the middle of an answer's way, and cut in two.
        device.send(b"!DOOR SH")
        device.send(b"UT\r\n")
        watching.wait_for("^Shut$")
    assert vac["pressure"].get(refresh=True) == 1.5e-3


GARBAGE = (
    (b"3,1.50E-03", "status is 3 (no sensor)"),
    (b"0,-------", "'-------' is no number"),
    (b"0,9.9E37", "'9.9E37' is no number"),
    (b"1.50E-03", "which is no reply to that"),
    (b"0,1.50E", "which is no reply to that"),
    (b"0,1.50E-03,7", "which is no reply to that"),
    (b"0,1.\xff0E-03", "is not ascii"),
    (b"\x00" * 40, "not printable"),
    (b"OFF", "which is no reply to that"),
    (b"ERR 1", "'PR?' was refused"),
    (b"0,1\r\n0,2", "came back, and then"),
)


def test_garbage_is_never_a_value_and_ends_by_itself(vac: mktl.Store, device: Device) -> None:
    pressure, good = vac["pressure"], 1.5e-3
    wait_until(lambda: pressure.value == good)
    for number, (said, reason) in enumerate(GARBAGE, start=2):
        gauge_of(device).pressure = said
        wait_until(lambda why=reason: why in (pressure.reason or ""), what=reason)
        assert (pressure.value, pressure.quality) == (good, "invalid")
        # The other items of the same device are as good as ever.
        assert vac["threshold"].get(refresh=True) == 1e-5
        good = float(f"{number}e-5")
        gauge_of(device).pressure = b"0,%.2E" % good
        wait_until(lambda due=good: (pressure.value, pressure.quality) == (due, "valid"))
    assert vac["gauge_link"].formatted == "Up"


def test_silence_takes_the_link_down_and_its_end_brings_it_back(
    vac: mktl.Store, device: Device
) -> None:
    pressure, gauge = vac["pressure"], gauge_of(device)
    wait_until(lambda: pressure.value == 1.5e-3)
    gauge.silent = True
    wait_until(lambda: vac["gauge_link"].formatted != "Up", what="the link to be down")
    wait_until(lambda: pressure.quality == "invalid")
    done = run_cli("mark", "set", "vac.relay=true")
    assert done.returncode != 0
    assert gauge.held[b"RELAY"] == b"OFF"
    gauge.pressure = b"0,7.70E-06"
    gauge.silent = False
    wait_until(lambda: (pressure.value, pressure.quality) == (7.7e-6, "valid"))
    assert shown("set", "vac.relay=true") == "Set vac.relay to true\n"


def test_another_device_on_the_port_is_told_and_none_of_its_answers_is_a_value(
    device: Device, tmp_path: Path
) -> None:
    gauge = gauge_of(device)
    gauge.name = b"ACME,TC-2,77"
    file = tmp_path / "vac.toml"
    file.write_text(FILE.format(url=device.url))
    with running(["markd", str(file)], ready="on the air"):
        vac = mktl.get("vac")
        wait_until(lambda: vac["gauge_link"].formatted == "Wrong device")
        assert "ACME,TC-2,77" in shown("get", "vac.gauge_error")
        with pytest.raises(mktl.MktlError, match="the wrong device answers"):
            vac["pressure"].get(refresh=True)
        assert b"PR?" not in device.asked
        gauge.name = b"ACME,VG-7,0816"
        wait_until(lambda: vac["gauge_link"].formatted == "Up")
        assert vac["pressure"].get(refresh=True) == 1.5e-3


def test_messages_can_be_sent_by_hand(vac: mktl.Store, device: Device) -> None:
    run_cli("mark", "set", "vac.gauge_raw=SP?")
    assert shown("get", "vac.gauge_raw", "--terse") == "1.00E-05\n"
    run_cli("mark", "set", "vac.gauge_raw=BEEP")
    assert shown("get", "vac.gauge_raw", "--terse") == "ERR 1\n"


def test_what_is_wrong_in_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "vac.toml"
    text = FILE.format(url="tcp://192.0.2.1:4001")
    text = text.replace('ask = "SP?"', 'ask = "SP?"\nscale = 0')
    text = text.replace('heard = "!DOOR {value:w}"', 'heard = "!DOOR {value:q}"')
    text = text.replace('refused = "ERR [0-9]"', 'refuse = "ERR"\nchecksum = "crc"')
    file.write_text(text)
    done = run_cli("markd", str(file), "--check")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    lines = text.splitlines()
    for where, key in (
        ("controllers.gauge.refuse", 'refuse = "ERR"'),
        ("controllers.gauge.checksum", 'checksum = "crc"'),
        ("items.threshold.scale", "scale = 0"),
        ("items.door.heard", 'heard = "!DOOR {value:q}"'),
    ):
        assert f"line {lines.index(key) + 1}: {where}: " in said
