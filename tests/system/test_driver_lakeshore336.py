"""The Lake Shore 336 driver and its simulator, which do not know each other, through real ports."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from drivers.lakeshore336 import LakeShore336
from mktl.errors import DeviceError, DeviceRefused, InvalidReading, LinkDown
from tests._support import running, wait_until
from tests.system._instrument import (
    answered,
    control_at,
    in_doubt,
    mark,
    never_early,
    refused,
    served,
)
from tests.system._serial_server import serial_server

ROOT = Path(__file__).parents[2]
MARKSIM = [sys.executable, "-m", "simulators"]
TRANSPORTS = ("tcp", "serial", "socket", "rfc2217", "visa-socket", "visa-serial")
HELD_K = 77.25

# pyserial 3.5 names its thread in a way that is deprecated since Python 3.10.
pytestmark = pytest.mark.filterwarnings(
    "ignore:set(Daemon|Name).. is deprecated:DeprecationWarning"
)
FILE = """store = "cryo"
alias = "hw"

[controllers.tc]
driver = "lakeshore336"
url = "tcp://127.0.0.1"
retry_first_s = 0.05
retry_longest_s = 0.3
timeout_s = 1

[items.mount]
channel = "tc.temperature.A"
poll_s = 0.2

[items.setpoint]
channel = "tc.setpoint.1"
range = [20, 120]
"""


class Twin:
    """The simulator as a process, with time stopped and no noise."""

    def __init__(self, announced: dict) -> None:
        self.urls = announced["urls"]
        self._control = announced["control"]

    def ctl(self, *arguments: str) -> str:
        return control_at(self._control, *arguments)

    def number(self, name: str) -> float:
        return float(self.ctl("get", name).partition("=")[2])


@pytest.fixture
def twin(tmp_path) -> Iterator[Twin]:
    pty = str(tmp_path / "tc")
    arguments = ["lakeshore336", "--tcp", "127.0.0.1:0", "--pty", pty, "--time-factor", "0"]
    with running([*MARKSIM, *arguments], cwd=ROOT, ready=r'"control"') as child:
        made = Twin(json.loads(child.stdout_text.splitlines()[0]))
        made.ctl("set", f"mount_k={HELD_K}", "sensor_a_noise_k=0")
        yield made


@contextlib.contextmanager
def reached(twin: Twin, transport: str) -> Iterator[str]:
    """Give the URL of *twin* over *transport*; a device server, if need be, is run meanwhile."""
    plain = urlsplit(twin.urls["tcp"])
    terminal = twin.urls["serial"].partition("://")[2]
    urls = {
        "tcp": twin.urls["tcp"],
        "serial": twin.urls["serial"],
        "socket": f"socket://{plain.netloc}?baud=57600&bits=7&parity=odd",
        "visa-socket": f"visa://TCPIP::{plain.hostname}::{plain.port}::SOCKET",
        # A pseudo-terminal has eight bits and no parity, whatever it is told.
        "visa-serial": f"visa://ASRL{terminal.partition('?')[0]}::INSTR?bits=8&parity=none",
    }
    if transport != "rfc2217":
        yield urls[transport]
        return
    with serial_server((str(plain.hostname), plain.port or 0)) as server:
        yield server.url


@pytest.fixture(params=TRANSPORTS)
def url(request, twin) -> Iterator[str]:
    with reached(twin, request.param) as found:
        yield found


@pytest.fixture
def tc(url) -> Iterator[LakeShore336]:
    with LakeShore336.open(url, name="tc", retry_first_s=0.05, retry_longest_s=0.3) as controller:
        controller.wait_until_up(timeout_s=10)
        yield controller


def read_k(tc: LakeShore336) -> float:
    return pytest.approx(tc.temperature_k("A"), abs=0.01)


def test_what_is_set_is_what_the_instrument_has(tc, twin):
    assert read_k(tc) == HELD_K
    tc.set_setpoint_k(1, 80)
    assert tc.setpoint_k(1) == 80
    tc.channel("pid.1").write([40, 10, 5])
    assert tc.channel("pid.1").read() == [40, 10, 5]
    tc.set_ramp(1, enabled=True, rate_k_per_min=5)
    assert (tc.ramp(1).enabled, tc.ramp(1).rate_k_per_min) == (True, 5)
    tc.set_setpoint_k(1, 90)
    assert tc.ramping(1) is True
    tc.set_sensor_name("A", "Mount")
    assert tc.sensor_name("A") == "Mount"
    tc.set_heater_range(2, 1)
    assert tc.heater_range(2) == 1
    with pytest.raises(DeviceRefused, match="execution error"):
        tc.raw("SETP 1,99999")

    def talk() -> None:
        tc.set_setpoint_k(1, 85)
        tc.set_heater_range(2, 1)
        assert tc.heater_range(2) == 1
        assert tc.sensor_name("A") == "Mount"

    never_early(lambda: twin.number("early_messages"), talk)


@pytest.mark.parametrize("url", ["tcp", "serial"], indirect=True)
def test_every_channel_answers_or_says_why_not(url):
    # Nearly three hundred messages, and the rest that the instrument wants after each is no matter.
    with LakeShore336.open(url, min_gap_s=0) as tc:
        for channel in tc.channels():
            try:
                value = channel.read()
            except InvalidReading as error:
                assert "no control input" in str(error)
                continue
            if channel.write is not None:
                channel.write(value)
                assert channel.read() == value, channel.path


def test_a_broken_sensor_is_never_a_temperature(tc, twin):
    twin.ctl("set", "sensor_a_status=33")
    with pytest.raises(InvalidReading, match="Invalid reading"):
        tc.temperature_k("A")
    twin.ctl("set", "sensor_a_status=0")
    assert read_k(tc) == HELD_K


@pytest.mark.parametrize(
    "fault",
    [
        ("garbage", "probability=0.5"),
        ("truncated", "probability=0.5"),
        ("mute", "probability=0.5"),
        ("late", "probability=0.5", "delay_s=0.4"),
        ("split", "gap_s=0.05"),
        ("strict-flow",),
    ],
)
def test_no_fault_of_the_line_makes_a_wrong_value(twin, fault):
    settings = {"timeout_s": 0.3, "retry_first_s": 0.05, "retry_longest_s": 0.1}
    with LakeShore336.open(twin.urls["tcp"], **settings) as tc:
        tc.wait_until_up(timeout_s=10)
        twin.ctl("fault", *fault)
        for _n in range(15):
            with contextlib.suppress(DeviceError):
                assert read_k(tc) == HELD_K
            with contextlib.suppress(DeviceError):
                assert tc.sensor_name("A") == "Detector"
        twin.ctl("fault", "none")
        wait_until(lambda: answers(tc))
        assert answered(lambda: read_k(tc)) == HELD_K


def test_the_cable_is_pulled_and_put_back(tc, twin):
    states: list[str] = []
    tc.on_change(lambda status: states.append(status.state))
    twin.ctl("cut")
    wait_until(lambda: not answers(tc))
    wait_until(lambda: tc.status().state == "Down")
    with pytest.raises(LinkDown, match=r"tc at .* down since"):
        tc.temperature_k("A")
    twin.ctl("restore")
    tc.wait_until_up(timeout_s=20)
    assert read_k(tc) == HELD_K
    wait_until(lambda: states[-1] == "Up")


def test_another_instrument_on_the_port_is_named(tc, twin):
    twin.ctl("fault", "wrong-identity", "identity=ACME,OTHER,0,1.0")
    twin.ctl("fault", "reset")
    wait_until(lambda: answers(tc) or tc.status().state == "Wrong device")
    tc._line.reconnect("for the test: a serial port is not reset")
    wait_until(lambda: tc.status().state == "Wrong device")
    assert "ACME,OTHER" in tc.status().error
    twin.ctl("fault", "none")
    tc.wait_until_up(timeout_s=20)


def test_a_power_cycle_is_noticed_and_settings_are_restored(twin):
    settings = {"retry_first_s": 0.05, "retry_longest_s": 0.2, "restore": ["RAMP 1,1,7"]}
    with LakeShore336.open(twin.urls["tcp"], **settings) as tc:
        assert tc.ramp(1).rate_k_per_min == 7
        tc.set_ramp(1, enabled=False, rate_k_per_min=1)
        twin.ctl("fault", "power-cycle", "off_s=0.3")
        wait_until(lambda: not answers(tc))
        wait_until(lambda: answers(tc))
        wait_until(lambda: answers(tc) and tc.ramp(1).rate_k_per_min == 7)


def test_mark_sets_and_gets_over_each_transport(tmp_path, twin, url):
    file = tmp_path / "cryo.toml"
    file.write_text(FILE)
    with served(file, up=("tc",), urls={"tc": url}) as store:
        mark("set", "cryo.setpoint=81.5")
        assert "81.50" in mark("get", "cryo.setpoint", "--refresh")
        assert "20 to 120" in refused("set", "cryo.setpoint=121")
        twin.ctl("set", "mount_k=90.5")
        wait_until(lambda: store["mount"].value == pytest.approx(90.5, abs=0.01))
        twin.ctl("set", "sensor_a_status=33")
        wait_until(lambda: in_doubt(store["mount"], "Invalid reading"))
        twin.ctl("set", "sensor_a_status=0")
        twin.ctl("fault", "silence")
        wait_until(lambda: store["tc_link"].formatted != "Up", 20)
        wait_until(lambda: in_doubt(store["mount"]))
        twin.ctl("fault", "none")
        wait_until(lambda: store["mount"].quality == "valid", 20)


def test_a_device_server_makes_the_line_settings_of_the_instrument(twin):
    plain = urlsplit(twin.urls["tcp"])
    with (
        serial_server((str(plain.hostname), plain.port or 0)) as server,
        LakeShore336.open(server.url) as tc,
    ):
        assert read_k(tc) == HELD_K
        line = server.line
        assert (line.baudrate, line.bytesize, line.parity, line.stopbits) == (57600, 7, "O", 1)


@contextlib.contextmanager
def serial_adapter(tcp_url: str) -> Iterator[str]:
    """A serial port that stays while the instrument behind it is off; gives its URL."""
    host, _, port = tcp_url.removeprefix("tcp://").rpartition(":")
    master, slave = os.openpty()
    tty.setraw(slave)
    stop, stopped = os.pipe()
    thread = threading.Thread(target=_forward, args=(master, (host, int(port)), stop))
    thread.start()
    try:
        yield f"serial://{os.ttyname(slave)}?bits=8&parity=none"
    finally:
        os.write(stopped, b"x")
        thread.join()
        for fd in (master, slave, stop, stopped):
            os.close(fd)


def _forward(master: int, address: tuple[str, int], stop: int) -> None:
    cable: socket.socket | None = None
    while True:
        if cable is None:
            with contextlib.suppress(OSError):
                cable = socket.create_connection(address, timeout=1)
        readable, _, _ = select.select([master, stop, *([cable] if cable else [])], [], [], 0.02)
        if stop in readable:
            break
        try:
            if cable in readable:
                data = cable.recv(4096)
                if not data:
                    raise ConnectionResetError("the instrument is off")
                os.write(master, data)
            if master in readable:
                data = os.read(master, 4096)
                if cable is not None:
                    cable.sendall(data)
        except ConnectionError:
            cable.close()
            cable = None
    if cable is not None:
        cable.close()


def test_a_power_cycle_behind_a_serial_adapter_is_noticed_though_the_port_stays(twin):
    settings = {"timeout_s": 2.0, "retry_first_s": 0.05, "restore": ["RAMP 1,1,7"]}
    with (
        serial_adapter(twin.urls["tcp"]) as url,
        LakeShore336.open(url, **settings) as tc,
    ):
        tc.wait_until_up(timeout_s=10)
        tc.set_ramp(1, enabled=False, rate_k_per_min=1)
        twin.ctl("fault", "power-cycle", "off_s=1")
        with pytest.raises(DeviceError, match="may or may not have been carried out"):
            tc.temperature_k("A")
        wait_until(lambda: answers(tc) and tc.ramp(1).rate_k_per_min == 7)
        assert tc.ramp(1).enabled is True


def answers(tc: LakeShore336) -> bool:
    try:
        tc.temperature_k("A")
    except DeviceError:
        return False
    return True
