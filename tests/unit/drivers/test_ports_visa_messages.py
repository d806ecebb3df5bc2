"""VISA against instruments that answer late, break off, hang up or refuse."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator

import pytest

from drivers.line import Line
from drivers.ports import port_for_url, visa
from drivers.ports.base import Port
from drivers.settings import Identity
from mktl.errors import DeviceError, DeviceLost
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator
from tests._support import free_tcp_port, wait_until
from tests._support.leaks import open_files
from tests.unit.drivers.fakes import FakeDevice, settings
from tests.unit.drivers.visa_fakes import (
    ANY,
    DATA,
    DATA_END,
    FATAL,
    SERVICE_REQUEST,
    FakeHislip,
    FakeVxi11,
    hs,
)

QUICK_S = 0.1
WHO = Identity(b"*IDN?\n", re.compile("LSCI,MODEL336,.*"))


def soon() -> float:
    return time.monotonic() + 5


@contextlib.contextmanager
def stopped(fake: FakeDevice) -> Iterator[None]:
    try:
        yield
    finally:
        fake.stop()


@pytest.fixture
def hislip() -> Iterator[FakeHislip]:
    fake = FakeHislip()
    with stopped(fake):
        yield fake


@pytest.fixture
def port(hislip: FakeHislip) -> Iterator[Port]:
    made = port_for_url(hislip.url)
    made.open(soon())
    yield made
    made.close()


def port_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("port visa://")]


# --- what comes late ------------------------------------------------------------------------------


@pytest.fixture(params=["visa", "vxi11", "hislip", "serial"])
def twin(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    place = True if request.param == "serial" else ("127.0.0.1", 0)
    with Simulator(
        LakeShore336(seed=1), serve={request.param: place}, baud=115200, time_factor=0
    ) as made:
        yield made


def test_a_late_reply_is_never_the_answer_to_the_next_question(twin):
    url = re.sub(r"^serial://([^?]*)", r"visa://ASRL\1::INSTR", twin.url)
    line = Line(port_for_url(url), settings(reply_end=b"\r\n", identity=WHO))
    with contextlib.closing(line):
        line.start()
        line.wait_until_up(timeout_s=30)
        for delay_s in (0.15, 0.3, 0.05):
            twin.fault("late", delay_s=delay_s, count=1)
            with contextlib.suppress(DeviceError):
                assert line.exchange(b"SETP? 1\n", timeout_s=QUICK_S) == b"+77.000"
            assert line.exchange(b"RANGE? 1\n") == b"2"
            assert line.exchange(b"SETP? 1\n") == b"+77.000"
        assert line.status().errors >= 2
        assert line.status().state == "Up"


def test_a_device_clear_drops_the_reply_that_is_on_its_way(hislip, port):
    hislip.before = {8: hs(DATA_END, ANY, b"late"), 19: hs(SERVICE_REQUEST)}
    port.write(b"slow\n", soon())
    port.clear(soon())
    assert port.discard() == b""
    port.write(b"next\n", soon())
    assert port.read(soon()) == b"next\n"


def test_a_message_that_comes_in_two_halves_is_not_taken_for_two(hislip, port):
    whole = hs(DATA_END, ANY, b"+77.350\n")
    hislip.reply = lambda number, data: whole[:20]
    hislip.before = {8: whole[20:]}
    port.write(b"?\n", soon())
    assert port.read(time.monotonic() + QUICK_S) == b""
    with pytest.raises(DeviceLost, match="no message of HiSLIP"):
        port.clear(soon())


def test_a_message_that_nobody_asked_for_is_found_before_something_is_asked(hislip, port):
    assert port.discard() == b""
    hislip.say(hs(DATA_END, ANY, b"+1.0\n") + hs(DATA_END, ANY, b"+2.0\n"))
    assert port.discard() == b"+1.0\n+2.0\n"
    port.write(b"?\n", soon())
    assert port.read(soon()) == b"?\n"


def test_half_a_message_that_nobody_asked_for_ends_the_connection(hislip, port):
    hislip.say(hs(DATA_END, ANY, b"+1.0\n")[:-2])
    with pytest.raises(DeviceLost, match="nobody asked for"):
        port.discard()


def test_after_an_empty_message_the_wait_goes_on_to_the_deadline(hislip, port):
    hislip.reply = lambda number, data: hs(DATA_END, number)
    port.write(b"?\n", soon())
    assert port.read(soon()) == b""
    deadline = time.monotonic() + QUICK_S
    assert port.read(deadline) == b""
    assert time.monotonic() >= deadline


# --- what breaks ----------------------------------------------------------------------------------


def test_what_a_host_cannot_send_whole_ends_the_connection(hislip, port):
    hold = threading.Event()
    hislip.reply = lambda number, data: (hold.wait(20) and b"") or b""
    with pytest.raises(DeviceLost, match="in part only"):
        port.write(b"x" * 50_000_000, time.monotonic() + QUICK_S)
    hold.set()


def test_an_instrument_that_ends_the_connection_is_quoted(hislip, port):
    hislip.before = {19: hs(FATAL, 0, b"too hot")}
    with pytest.raises(DeviceLost, match="too hot"):
        port.clear(soon())


def test_a_device_clear_that_is_not_acknowledged_ends_at_its_deadline(hislip, port):
    hislip.before = {19: hs(SERVICE_REQUEST)[:8]}
    begin = time.monotonic()
    with pytest.raises(DeviceError):
        port.clear(begin + QUICK_S)
    port.close()
    assert time.monotonic() < begin + 3


def test_an_instrument_that_hangs_up_leaves_no_thread_that_waits_for_it():
    fake = FakeVxi11()
    with stopped(fake):
        with contextlib.closing(port_for_url(fake.url)) as port:
            port.open(soon())
            port.write(b"*IDN?\n", soon())
            with pytest.raises(DeviceLost, match="closed the connection"):
                port.read(time.monotonic() + 600)
        wait_until(lambda: not port_threads(), 5, "the end of the thread of the port")


# --- what does not open ---------------------------------------------------------------------------


REFUSED = [
    "TCPIP::127.0.0.1,{free}::INSTR",
    "TCPIP::127.0.0.1::hislip0,{free}::INSTR",
    "TCPIP::127.0.0.1::{free}::SOCKET",
    "TCPIP::no-such-host.invalid::1::SOCKET",
    "TCPIP::no-such-host.invalid,1::INSTR",
    "TCPIP::no-such-host.invalid::hislip0::INSTR",
    "TCPIP::127.0.0.1,{vxi11}::gpib0,5::INSTR",
    "TCPIP::127.0.0.1::hislip0,{vxi11}::INSTR",
]


@pytest.mark.parametrize("name", REFUSED)
def test_an_attempt_that_fails_leaves_no_file_open(name):
    with Simulator(LakeShore336(), serve={"vxi11": ("127.0.0.1", 0)}) as twin:
        vxi11 = re.search(r",(\d+)", twin.url)[1]
        url = "visa://" + name.format(free=free_tcp_port(), vxi11=vxi11)

        def attempt() -> None:
            with pytest.raises(DeviceLost, match=f"cannot open {url[7:12]}"):
                port_for_url(url).open(soon())
            wait_until(lambda: not port_threads())

        attempt()
        before = open_files()
        for _ in range(3):
            attempt()
        # The simulator may still have some of its own ends.
        wait_until(lambda: open_files() <= before)


def test_a_message_that_does_not_end_takes_no_memory_without_end(hislip, port, monkeypatch):
    monkeypatch.setattr(visa, "_MESSAGE_SIZE", 1000)
    monkeypatch.setattr(visa, "_LONGEST_MESSAGE", 5000)
    hislip.reply = lambda number, data: hs(DATA, number, b"x" * 4000) * 10
    port.write(b"TRACE?\n", soon())
    with pytest.raises(DeviceLost, match="more than 5000 bytes"):
        port.read(soon())


def test_a_long_message_in_many_parts_is_one_message(hislip, port, monkeypatch):
    monkeypatch.setattr(visa, "_MESSAGE_SIZE", 1000)
    hislip.reply = lambda number, data: hs(DATA, number, b"x" * 4000) + hs(DATA_END, number, b"y")
    port.write(b"TRACE?\n", soon())
    assert port.read(soon()) == b"x" * 4000 + b"y"
