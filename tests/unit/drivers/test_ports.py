"""Ports on real sockets and pseudo-terminals, and the URLs that lead to them."""

from __future__ import annotations

import builtins
import contextlib
import os
import threading
import time
import tty
from collections.abc import Iterator

import pytest

from drivers.framing import TerminatedReplies
from drivers.line import Line
from drivers.ports import PortDefaults, port_for_url
from drivers.ports.serial import SerialPort, SerialSettings
from mktl.errors import ConfigurationError, DeviceLost, DeviceTimeout, ProtocolMismatch
from tests._support import free_tcp_port
from tests.unit.drivers.fakes import device, settings


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """The device's end of a pseudo-terminal, and the name of the host's end."""
    device_end, host_end = os.openpty()
    tty.setraw(host_end)
    yield device_end, os.ttyname(host_end)
    for fd in (device_end, host_end):
        with contextlib.suppress(OSError):
            os.close(fd)


def soon() -> float:
    return time.monotonic() + 5


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("tcp://h:7777", "tcp://h:7777"),
        ("tcp://h", "tcp://h:4001"),
        ("tcp://[::1]:5", "tcp://[::1]:5"),
        ("serial:///dev/ttyS0", "serial:///dev/ttyS0?baud=57600&bits=7&parity=odd&stop=1"),
        (
            "serial:///dev/ttyS0?baud=1200&parity=Even&stop=1.5",
            "serial:///dev/ttyS0?baud=1200&bits=7&parity=even&stop=1.5",
        ),
    ],
)
def test_urls_are_completed_from_the_defaults_of_the_driver(url, full):
    defaults = PortDefaults(tcp_port=4001, serial=SerialSettings(57600, 7, "odd", 1))
    assert port_for_url(url, defaults).url == full


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not a URL"),
        ("/dev/ttyS0", "not a URL"),
        ("host:7777", "not a URL"),
        ("tpc://h:1", "did you mean 'tcp'"),
        ("tcp://h", "port is missing"),
        ("tcp://h:0", "port is missing"),
        ("tcp://h:x", "must be a number"),
        ("tcp://h:70000", "must be a number"),
        ("tcp://:1", "host is missing"),
        ("tcp://h:1/path", "nothing else"),
        ("tcp://h:1?baud=9600", "nothing else"),
        ("tcp://[::1", "not a URL"),
        ("serial://dev/ttyS0", "three slashes"),
        ("serial:///", "three slashes"),
        ("serial:///dev/tty%00S0", "no device file has"),
        ("tcp://moxa..lab:4001", "no name of a host"),
        (f"rfc2217://{'x' * 64}:4001", "no name of a host"),
        ("serial:///dev/ttyS0?boud=9600", "did you mean 'baud'"),
        ("serial:///dev/ttyS0?baud=fast", "baud must be a number"),
        ("serial:///dev/ttyS0?baud=²", "baud must be a number"),
        ("serial:///dev/ttyS0?bits=9", "bits must be a number from 5 to 8"),
        ("serial:///dev/ttyS0?parity=strange", "parity must be one of none, even, odd"),
        ("serial:///dev/ttyS0?stop=3", "stop must be one of 1, 1.5, 2"),
        ("serial:///dev/ttyS0?baud=1200&baud=2400", "given twice"),
    ],
)
def test_urls_that_cannot_be_are_refused_with_what_is_allowed(url, reason):
    with pytest.raises(ConfigurationError, match=reason):
        port_for_url(url)


def test_a_refused_connection_is_a_lost_device():
    port = port_for_url(f"tcp://127.0.0.1:{free_tcp_port()}")
    with pytest.raises(DeviceLost, match="connection refused"):
        port.open(soon())


def test_an_unknown_host_is_a_lost_device():
    with pytest.raises(DeviceLost, match="cannot find host"):
        port_for_url("tcp://no-such-host.invalid:1").open(soon())


def test_reading_ends_at_the_deadline_with_nothing():
    with device(lambda message: None) as fake:
        port = port_for_url(fake.url)
        port.open(soon())
        assert port.read(time.monotonic() + 0.01) == b""
        assert port.discard() == b""
        port.close()
        port.close()
        with pytest.raises(DeviceLost):
            port.read(soon())


def test_writing_ends_at_the_deadline_when_nobody_reads():
    hold = threading.Event()
    with device(lambda message: hold.wait(10) and None) as fake:
        port = port_for_url(fake.url)
        port.open(soon())
        port.write(b"\n", soon())
        with pytest.raises(DeviceTimeout, match="bytes could be sent"):
            port.write(b"x" * 50_000_000, time.monotonic() + 0.2)
        hold.set()
        port.close()


def test_closing_wakes_a_thread_that_reads():
    errors: list[DeviceLost] = []

    def read() -> None:
        try:
            port.read(time.monotonic() + 30)
        except DeviceLost as error:
            errors.append(error)

    with device() as fake:
        port = port_for_url(fake.url)
        port.open(soon())
        reader = threading.Thread(target=read)
        reader.start()
        port.close()
        reader.join(10)
    assert "closed on this side" in str(errors[0])


def test_a_port_is_not_opened_twice():
    with device() as fake:
        port = port_for_url(fake.url)
        port.open(soon())
        with pytest.raises(DeviceLost, match="opened before"):
            port.open(soon())
        port.close()


def test_a_pseudo_terminal_carries_bytes_although_it_has_no_parity(pty):
    device_end, name = pty
    for _ in range(2):  # the second open is the one that the kernel refuses parity to
        port = port_for_url(f"serial://{name}?baud=57600&bits=7&parity=odd")
        port.open(soon())
        port.write(b"*IDN?\n", soon())
        assert os.read(device_end, 100) == b"*IDN?\n"
        os.write(device_end, b"LSCI\r\n")
        assert port.read(soon()) == b"LSCI\r\n"
        port.close()


def test_a_line_works_over_a_pseudo_terminal(pty):
    device_end, name = pty

    def answer() -> None:
        while (message := os.read(device_end, 100)) != b"end\n":
            os.write(device_end, b"FAKE,1\r\n" if message == b"ID?\n" else b"re " + message)

    thread = threading.Thread(target=answer)
    thread.start()
    line = Line(port_for_url(f"serial://{name}"), settings(reply_end=b"\n", identity=None))
    assert line.exchange(b"hello\n") == b"re hello"
    line.exchange(b"end\n", reply=False)
    thread.join(30)
    line.close()


def test_a_serial_port_is_opened_exclusively(pty):
    name = pty[1]
    first, second = SerialPort(name), SerialPort(name)
    first.open(soon())
    with pytest.raises(DeviceLost, match="in use by this process itself"):
        second.open(soon())
    first.close()


def test_a_serial_port_that_is_pulled_is_a_lost_device(pty):
    device_end, name = pty
    port = SerialPort(name)
    port.open(soon())
    os.close(device_end)
    with pytest.raises(DeviceLost):
        port.read(soon())
    with pytest.raises(DeviceLost):
        port.write(b"x", soon())
    port.close()


def test_a_missing_serial_port_is_a_lost_device_with_its_path(tmp_path):
    with pytest.raises(DeviceLost, match="tty: no such file"):
        SerialPort(str(tmp_path / "tty")).open(soon())


def test_without_pyserial_the_error_says_what_to_install(pty, monkeypatch):
    real = builtins.__import__

    def missing(name, globals=None, *args, **kwargs):
        if name == "serial":
            raise ImportError(name)
        return real(name, globals, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError, match=r'pip install "mktl-hardware\[serial\]"'):
        SerialPort(pty[1]).open(soon())


def test_replies_come_out_whole_however_they_are_cut():
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies

    @hypothesis.settings(max_examples=50, deadline=None)
    @hypothesis.given(
        st.lists(st.binary(max_size=8).filter(lambda b: b"\r" not in b and b"\n" not in b)),
        st.integers(1, 5),
    )
    def check(replies: list[bytes], size: int) -> None:
        stream = b"".join(reply + b"\r\n" for reply in replies)
        splitter = TerminatedReplies(b"\r\n")
        found = []
        for begin in range(0, len(stream), size):
            splitter.feed(stream[begin : begin + size])
            while (reply := splitter.next_reply()) is not None:
                found.append(reply)
        assert found == replies
        assert splitter.pending == b""

    check()


def test_a_reply_without_an_end_is_bounded():
    splitter = TerminatedReplies(b"\n", limit=10)
    with pytest.raises(ProtocolMismatch, match="more than 10 bytes"):
        splitter.feed(b"x" * 11)
    assert splitter.pending == b""
    with pytest.raises(ValueError, match="at least one byte"):
        TerminatedReplies(b"")
