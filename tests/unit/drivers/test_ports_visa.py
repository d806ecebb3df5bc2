"""VISA resources: streams and whole messages, through pyvisa-py, to real servers."""

from __future__ import annotations

import builtins
import contextlib
import os
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator

import pytest

from drivers.line import Line
from drivers.ports import port_for_url
from drivers.ports.base import Port
from mktl.errors import ConfigurationError, DeviceError, DeviceLost, DeviceTimeout
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator
from tests._support import free_tcp_port, wait_until
from tests.unit.drivers.fakes import FakeDevice, device, settings


def soon() -> float:
    return time.monotonic() + 5


def url_of(fake: FakeDevice) -> str:
    return f"visa://TCPIP::127.0.0.1::{fake.port}::SOCKET"


@contextlib.contextmanager
def opened(url: str) -> Iterator[Port]:
    port = port_for_url(url)
    port.open(soon())
    try:
        yield port
    finally:
        port.close()


def read_all(port: Port, size: int) -> bytes:
    came = b""
    while len(came) < size:
        data = port.read(soon())
        assert data, f"after {came!r} nothing more came"
        came += data
    return came


def error_of(action: Callable[[], object]) -> tuple[threading.Thread, list[DeviceError]]:
    """Run *action* in a thread; return it and where its error will be."""
    errors: list[DeviceError] = []

    def run() -> None:
        try:
            action()
        except DeviceError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


# --- streams --------------------------------------------------------------------------------------


def test_a_socket_carries_queries_and_replies():
    with device() as fake, opened(url_of(fake)) as port:
        assert not port.whole_messages
        assert port.url == f"visa://TCPIP0::127.0.0.1::{fake.port}::SOCKET"
        for _ in range(3):
            port.write(b"hello\n", soon())
            assert port.read(soon()) == b"re hello\r\n"
        assert port.read(time.monotonic() + 0.01) == b""
        assert port.discard() == b""
        port.clear(soon())


def test_a_reply_in_pieces_loses_none_of_them_when_slices_time_out():
    with device(lambda message: None) as fake, opened(url_of(fake)) as port:
        port.write(b"?\n", soon())
        wait_until(lambda: fake.received)
        came = b""
        for piece in (b"+7", b"7.3", b"50\r", b"\n"):
            assert port.read(time.monotonic() + 0.25) == b""
            fake.send(piece)
            came += read_all(port, len(piece))
        assert came == b"+77.350\r\n"


def test_what_comes_unasked_on_a_socket_is_found_whole():
    with device() as fake, opened(url_of(fake)) as port:
        port.write(b"a\n", soon())
        assert port.read(soon()) == b"re a\r\n"
        fake.send(b"late\r\nhalf")
        found = bytearray()
        wait_until(lambda: found.extend(port.discard()) or bytes(found) == b"late\r\nhalf")


def test_a_line_over_a_socket_is_put_back_in_step():
    def answer(message: str) -> bytes | None:
        if message == "slow":
            time.sleep(0.3)
        return b"FAKE,1\r\n" if message == "ID?" else f"re {message}\r\n".encode()

    with device(answer) as fake:
        line = Line(port_for_url(url_of(fake)), settings(reply_end=b"\r\n"))
        with contextlib.closing(line):
            line.start()
            line.wait_until_up(timeout_s=30)
            with pytest.raises(DeviceTimeout):
                line.exchange(b"slow\n", timeout_s=0.1)
            assert line.exchange(b"next\n") == b"re next"


def test_a_refused_connection_is_a_lost_device_when_it_is_opened():
    port = port_for_url(f"visa://TCPIP::127.0.0.1::{free_tcp_port()}::SOCKET")
    with pytest.raises(DeviceLost, match="SOCKET: connection refused"):
        port.open(soon())
    with pytest.raises(DeviceLost):
        port.read(soon())


def test_an_unknown_host_is_a_lost_device():
    with pytest.raises(DeviceLost, match=r"not known|resolution|resolve"):
        port_for_url("visa://TCPIP::no-such-host.invalid::1::SOCKET").open(soon())


def test_a_peer_that_hangs_up_is_noticed_long_before_the_deadline():
    with device() as fake, opened(url_of(fake)) as port:
        port.write(b"hello\n", soon())
        assert port.read(soon()) == b"re hello\r\n"
        thread, errors = error_of(lambda: port.read(time.monotonic() + 600))
        fake.hang_up()
        thread.join(30)
        assert isinstance(errors[0], DeviceLost)
        with pytest.raises(DeviceLost):
            port.discard()


def test_closing_wakes_a_thread_that_reads_a_socket():
    with device() as fake:
        port = port_for_url(url_of(fake))
        port.open(soon())
        thread, errors = error_of(lambda: port.read(time.monotonic() + 600))
        port.close()
        port.close()
        thread.join(30)
        assert "closed on this side" in str(errors[0])
        with pytest.raises(DeviceLost, match="closed on this side"):
            port.open(soon())


def test_writing_ends_at_the_deadline_when_nobody_reads():
    hold = threading.Event()
    with device(lambda message: hold.wait(10) and None) as fake, opened(url_of(fake)) as port:
        port.write(b"\n", soon())
        with pytest.raises(DeviceTimeout, match="did not come back in time"):
            port.write(b"x" * 50_000_000, time.monotonic() + 0.1)
        # Nobody knows how much of it went out.
        with pytest.raises(DeviceLost, match="given up"):
            port.write(b"x", soon())
        hold.set()


def test_failed_attempts_do_not_fill_the_log_with_tracebacks(caplog):
    with pytest.raises(DeviceLost):
        port_for_url(f"visa://TCPIP::127.0.0.1::hislip0,{free_tcp_port()}::INSTR").open(soon())
    assert not [record for record in caplog.records if record.name == "pyvisa"]


# --- a serial line --------------------------------------------------------------------------------


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    device_end, host_end = os.openpty()
    tty.setraw(host_end)
    yield device_end, os.ttyname(host_end)
    for fd in (device_end, host_end):
        with contextlib.suppress(OSError):
            os.close(fd)


def test_a_serial_resource_carries_bytes_although_a_pseudo_terminal_has_no_parity(pty):
    device_end, name = pty
    for _ in range(2):
        with opened(f"visa://ASRL{name}::INSTR?baud=57600&bits=7&parity=odd") as port:
            assert port.url == f"visa://ASRL{name}::INSTR?baud=57600&bits=7&parity=odd&stop=1"
            assert port.char_s == 10 / 57600
            port.write(b"*IDN?\n", soon())
            assert os.read(device_end, 100) == b"*IDN?\n"
            os.write(device_end, b"LS")
            assert read_all(port, 2) == b"LS"
            assert port.read(time.monotonic() + 0.25) == b""
            os.write(device_end, b"CI\r\nmore\n")
            assert read_all(port, 9) == b"CI\r\nmore\n"
            os.write(device_end, b"late")
            found = bytearray()
            wait_until(lambda seen=found, port=port: seen.extend(port.discard()) or seen == b"late")


def test_a_serial_resource_is_opened_exclusively(pty):
    with opened(f"visa://ASRL{pty[1]}::INSTR"):
        with pytest.raises(DeviceLost, match=r"lock|unavailable"):
            port_for_url(f"visa://ASRL{pty[1]}::INSTR").open(soon())
        with pytest.raises(DeviceLost, match="in use by this process itself"):
            port_for_url(f"serial://{pty[1]}").open(soon())


def test_a_serial_resource_that_is_pulled_is_a_lost_device(pty):
    device_end, name = pty
    with opened(f"visa://ASRL{name}::INSTR") as port:
        os.close(device_end)
        with pytest.raises(DeviceLost):
            port.read(soon())


def test_a_missing_serial_resource_is_a_lost_device(tmp_path):
    with pytest.raises(DeviceLost, match=r"[Nn]o such file"):
        port_for_url(f"visa://ASRL{tmp_path}/tty::INSTR").open(soon())


# --- whole messages -------------------------------------------------------------------------------


@pytest.fixture(params=["vxi11", "hislip"])
def instrument(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    simulator = Simulator(LakeShore336(), serve={request.param: ("127.0.0.1", 0)}, control=None)
    simulator.start()
    yield simulator
    simulator.close()


def test_messages_come_whole(instrument):
    with opened(instrument.url) as port:
        assert port.whole_messages
        port.clear(soon())
        assert port.discard() == b""
        for _ in range(3):
            port.write(b"*IDN?\n", soon())
            assert port.read(soon()).startswith(b"LSCI,MODEL336")


def test_a_late_message_is_not_the_answer_to_what_is_asked_next(instrument):
    with opened(instrument.url) as port:
        assert port.read(time.monotonic() + 0.1) == b""
        port.write(b"*IDN?\n", soon())
        # The wait before has timed out, and nobody knows what it may have begun to read.
        assert port.read(time.monotonic() + 0.1) == b""
        port.clear(soon())
        port.write(b"KRDG? A\n", soon())
        assert port.read(soon()).startswith(b"+")


def test_closing_wakes_a_thread_that_reads_a_message(instrument):
    port = port_for_url(instrument.url)
    port.open(soon())
    thread, errors = error_of(lambda: port.read(time.monotonic() + 600))
    port.close()
    thread.join(30)
    assert "closed on this side" in str(errors[0])


def test_an_instrument_that_goes_away_is_noticed_long_before_the_deadline(instrument):
    with opened(instrument.url) as port:
        thread, errors = error_of(lambda: port.read(time.monotonic() + 600))
        instrument.close()
        thread.join(30)
        assert isinstance(errors[0], DeviceLost)
        with pytest.raises(DeviceLost):
            port.discard()


@pytest.mark.parametrize("name", ["TCPIP::127.0.0.1,{}::INSTR", "TCPIP::127.0.0.1::hislip0,{}"])
def test_a_refused_instrument_is_a_lost_device_that_says_so(name):
    port = port_for_url("visa://" + name.format(free_tcp_port()))
    with pytest.raises(DeviceLost, match="refused"):
        port.open(soon())


def test_an_instrument_that_accepts_and_says_nothing_does_not_hold_up_beyond_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1::hislip0,{listener.getsockname()[1]}"
        port = port_for_url(f"visa://TCPIP::{place}::INSTR")
        with pytest.raises(DeviceTimeout):
            port.open(time.monotonic() + 0.2)
        listener.accept()[0].close()  # which ends the library's own wait


# --- libraries ------------------------------------------------------------------------------------


def test_without_pyvisa_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "pyvisa":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError, match=r'pip install "mktl-hardware\[visa\]"'):
        port_for_url("visa://TCPIP::127.0.0.1::1::SOCKET").open(soon())


def test_a_library_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match=r"no VISA library '/nowhere/libvisa\.so' here"):
        port_for_url("visa://GPIB::12::INSTR?backend=/nowhere/libvisa.so").open(soon())
