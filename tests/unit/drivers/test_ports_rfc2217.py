"""Serial lines behind an RFC 2217 server: real line settings, deadlines, and what must not leak."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import serial
import serial.rfc2217

from drivers.line import Line
from drivers.ports import PortDefaults, port_for_url
from drivers.ports.serial import SerialSettings
from mktl.errors import DeviceError, DeviceLost, DeviceTimeout
from tests._support import free_tcp_port, wait_until
from tests.unit.drivers.fakes import settings

# pyserial 3.5 names its thread in a way that is deprecated since Python 3.10.
pytestmark = pytest.mark.filterwarnings(
    "ignore:set(Daemon|Name).. is deprecated:DeprecationWarning"
)


class Server:
    """pyserial's own RFC 2217 server, on a line that sends back what it is given."""

    def __init__(self) -> None:
        self.line = serial.serial_for_url("loop://", timeout=0.02)
        self.peer: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ending = False
        self._thread = threading.Thread(target=self._serve, name="rfc2217-server")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"rfc2217://127.0.0.1:{self.port}"

    def hang_up(self) -> None:
        if self.peer is not None:
            with contextlib.suppress(OSError):
                self.peer.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self._ending = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(30)
        self.line.close()

    def write(self, data: bytes) -> None:
        """Send to the client: what the PortManager wants of its connection."""
        assert self.peer is not None
        with contextlib.suppress(OSError):
            self.peer.sendall(data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while not self._ending:
                self.peer, _ = self._listener.accept()
                with self.peer:
                    self._carry(serial.rfc2217.PortManager(self.line, self))

    def _carry(self, manager: serial.rfc2217.PortManager) -> None:
        assert self.peer is not None
        self.peer.settimeout(0.02)
        while not self._ending:
            with contextlib.suppress(TimeoutError):
                data = self.peer.recv(1024)
                if not data:
                    return
                self.line.write(b"".join(manager.filter(data)))
            if back := self.line.read(self.line.in_waiting):
                self.write(b"".join(manager.escape(back)))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def soon() -> float:
    return time.monotonic() + 5


def test_the_line_settings_are_really_made_on_the_far_side(server):
    defaults = PortDefaults(serial=SerialSettings(57600, 7, "odd", 1))
    port = port_for_url(server.url, defaults)
    assert port.url == f"{server.url}?baud=57600&bits=7&parity=odd&stop=1"
    assert port.char_s == 10 / 57600
    port.open(soon())
    line = server.line
    assert (line.baudrate, line.bytesize, line.parity, line.stopbits) == (57600, 7, "O", 1)
    port.close()
    port = port_for_url(f"{server.url}?baud=1200&bits=8&parity=even&stop=2", defaults)
    port.open(soon())
    assert (line.baudrate, line.bytesize, line.parity, line.stopbits) == (1200, 8, "E", 2)
    port.close()


def test_all_bytes_pass_and_none_is_lost_at_a_deadline(server):
    port = port_for_url(server.url)
    port.open(soon())
    assert port.discard() == b""
    assert port.read(time.monotonic() + 0.01) == b""
    sent = bytes(range(256)) * 2  # telnet's own 255 among them
    port.write(sent, soon())
    came = b""
    while len(came) < len(sent):
        data = port.read(soon())
        assert data
        came += data
    assert came == sent
    port.close()
    port.close()
    with pytest.raises(DeviceLost, match="closed on this side"):
        port.read(soon())


def test_what_comes_unasked_can_be_thrown_away(server):
    port = port_for_url(server.url)
    port.open(soon())
    port.write(b"late", soon())
    found = bytearray()
    wait_until(lambda: found.extend(port.discard()) or bytes(found) == b"late")
    assert port.discard() == b""
    port.close()


def test_a_line_works_over_it(server):
    line = Line(port_for_url(server.url), settings(reply_end=b"\n", identity=None))
    assert line.exchange(b"hello\n") == b"hello"
    line.close()


def test_closing_wakes_a_thread_that_reads(server):
    port = port_for_url(server.url)
    port.open(soon())
    errors: list[DeviceError] = []
    begun = threading.Event()

    def read() -> None:
        begun.set()
        try:
            port.read(time.monotonic() + 60)
        except DeviceError as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(30)
    port.close()
    reader.join(10)
    assert not reader.is_alive()
    assert "closed on this side" in str(errors[0])


def test_a_server_that_hangs_up_is_a_lost_device(server):
    port = port_for_url(server.url)
    port.open(soon())
    server.hang_up()
    with pytest.raises(DeviceLost):
        while True:
            port.read(soon())
    port.close()


def test_a_refused_connection_is_a_lost_device():
    with pytest.raises(DeviceLost, match="refused"):
        port_for_url(f"rfc2217://127.0.0.1:{free_tcp_port()}").open(soon())


def test_a_server_that_says_nothing_does_not_hold_up_beyond_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = port_for_url(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(DeviceError) as caught:
            port.open(time.monotonic() + 0.2)
        assert isinstance(caught.value, DeviceTimeout | DeviceLost)
        with pytest.raises(DeviceLost):
            port.write(b"x", soon())


def test_a_server_that_goes_while_it_is_answered_is_a_lost_device_and_nothing_else():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = port_for_url(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}")
        errors: list[DeviceError] = []

        def connect() -> None:
            try:
                port.open(time.monotonic() + 0.5)
            except DeviceError as error:
                errors.append(error)

        opener = threading.Thread(target=connect)
        opener.start()
        peer, _ = listener.accept()
        # It asks for much, and takes no answer: the first one has the connection reset.
        begun = b""
        while begun.count(b"\xff") < 4:
            begun += peer.recv(100)
        peer.sendall(b"\xff\xfd\x63" * 300)
        peer.close()
        opener.join(10)
        assert isinstance(errors[0], DeviceTimeout | DeviceLost)


def test_closing_wakes_a_thread_that_opens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = port_for_url(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}")
        errors: list[DeviceError] = []

        def connect() -> None:
            try:
                port.open(time.monotonic() + 1.5)
            except DeviceError as error:
                errors.append(error)

        opener = threading.Thread(target=connect)
        opener.start()
        peer, _ = listener.accept()
        with peer:
            port.close()
            opener.join(10)
        assert "closed on this side" in str(errors[0])
