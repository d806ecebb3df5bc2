"""The links that VISA opens, with pyvisa and pyvisa-py as the host."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pyvisa
from pyvisa import constants

from simulators._hislip_link import LARGEST_MESSAGE
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator

LINKS = ("visa", "vxi11", "hislip")
MESSAGE_LINKS = ("vxi11", "hislip")
Open = Callable[..., Any]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(
        LakeShore336(seed=1),
        serve={transport: ("127.0.0.1", 0) for transport in LINKS},
        time_factor=0.0,
        seed=1,
    ) as running:
        running.set(sensor_a_noise_k=0)
        yield running


@pytest.fixture
def visa(sim: Simulator) -> Iterator[Open]:
    """Open the twin over a transport; the resource is closed when the test ends."""
    manager = pyvisa.ResourceManager("@py")
    resources: list[Any] = []

    def opened(transport: str, *, timeout_ms: int = 20_000) -> Any:
        name = sim.urls[transport].removeprefix("visa://")
        resource: Any = manager.open_resource(name, timeout=timeout_ms)
        resource.write_termination = "\n" if transport == "visa" else ""
        resource.read_termination = "\r\n"
        resources.append(resource)
        return resource

    yield opened
    for resource in resources:
        resource.close()
    manager.close()


def port_of(sim: Simulator, transport: str) -> int:
    return int(sim.urls[transport].partition(",")[2].partition(":")[0])


def times_out(ask: Callable[[], object]) -> bool:
    with pytest.raises(pyvisa.errors.VisaIOError) as raised:
        ask()
    return raised.value.error_code == constants.StatusCode.error_timeout


def test_the_urls_are_resource_names(sim: Simulator) -> None:
    visa, vxi11, hislip = (sim.urls[transport] for transport in LINKS)
    assert visa.startswith("visa://TCPIP::127.0.0.1::")
    assert visa.endswith("::SOCKET")
    assert vxi11.startswith("visa://TCPIP::127.0.0.1,")
    assert vxi11.endswith("::inst0::INSTR")
    assert hislip.startswith("visa://TCPIP::127.0.0.1::hislip0,")
    assert hislip.endswith("::INSTR")


@pytest.mark.parametrize("transport", LINKS)
def test_a_host_asks_and_sets(visa: Open, transport: str) -> None:
    tc = visa(transport)
    assert tc.query("*IDN?").startswith("LSCI,MODEL336,")
    tc.write("SETP 1,80")
    assert tc.query("SETP? 1") == "+80.000"
    assert [tc.query("RANGE? 1;SETP? 1") for _ in range(5)] == ["2;+80.000"] * 5


@pytest.mark.parametrize("transport", MESSAGE_LINKS)
def test_the_end_of_a_message_needs_no_terminator(
    sim: Simulator, visa: Open, transport: str
) -> None:
    tc = visa(transport)
    assert tc.query("*OPC?") == "1"
    tc.write_termination = "\n"
    assert tc.query("*OPC?") == "1"
    assert [each["received"] for each in sim.log()] == ["*OPC?", "*OPC?"]
    assert {each["link"] for each in sim.log()} == {transport}


@pytest.mark.parametrize("transport", MESSAGE_LINKS)
def test_a_long_message_comes_in_parts(visa: Open, transport: str) -> None:
    tc = visa(transport)
    tc.chunk_size = 7
    assert tc.query(";".join(["SETP? 1"] * 100)) == ";".join(["+77.000"] * 100)


@pytest.mark.parametrize("transport", LINKS)
def test_nothing_to_say_is_a_timeout_and_the_link_lives_on(visa: Open, transport: str) -> None:
    tc = visa(transport, timeout_ms=100)
    assert times_out(lambda: tc.query("KRDG? E"))
    tc.timeout = 20_000
    assert tc.query("RANGE? 1") == "2"


@pytest.mark.parametrize("transport", MESSAGE_LINKS)
def test_the_status_byte_tells_of_a_reply_that_waits(
    visa: Open, wait_until: Any, transport: str
) -> None:
    tc = visa(transport)
    assert not tc.read_stb() & 16
    tc.write("*OPC?")
    wait_until(lambda: bool(tc.read_stb() & 16))
    assert tc.read() == "1"
    assert not tc.read_stb() & 16


def test_a_clear_forgets_a_reply_that_nobody_has_read(visa: Open) -> None:
    tc = visa("vxi11")
    tc.write("SETP? 1")
    tc.clear()
    assert tc.query("RANGE? 1") == "2"


@pytest.mark.parametrize("transport", MESSAGE_LINKS)
def test_a_reply_that_lost_its_end_never_completes(
    sim: Simulator, visa: Open, transport: str
) -> None:
    tc = visa(transport, timeout_ms=100)
    sim.fault("truncated", count=1)
    assert times_out(lambda: tc.query("SETP? 1"))
    tc.timeout = 20_000
    tc.clear()
    assert tc.query("RANGE? 1") == "2"


def test_a_late_reply_is_dropped_by_a_hislip_host_that_has_asked_again(
    sim: Simulator, visa: Open
) -> None:
    tc = visa("hislip", timeout_ms=100)
    sim.fault("late", delay_s=2.0, count=1)
    assert times_out(lambda: tc.query("SETP? 1"))
    tc.timeout = 20_000
    assert tc.query("RANGE? 1") == "2"


@pytest.mark.parametrize("transport", MESSAGE_LINKS)
def test_a_line_that_nobody_asked_for_is_read_like_a_reply(
    sim: Simulator, visa: Open, transport: str
) -> None:
    tc = visa(transport)
    # With HiSLIP, pyvisa-py reads nothing before it has sent something.
    tc.write("RANGE 1,0")
    sim.fault("unsolicited", text="ALARM")
    assert tc.read() == "ALARM"


@pytest.mark.parametrize("transport", MESSAGE_LINKS)
def test_a_cut_ends_the_connection_and_restore_lets_the_host_in_again(
    sim: Simulator, visa: Open, transport: str
) -> None:
    assert visa(transport).query("*OPC?") == "1"
    url = sim.urls[transport]
    sim.cut()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(sim, transport)), timeout=20)
    sim.restore()
    assert sim.urls[transport] == url
    assert visa(transport).query("*OPC?") == "1"


def test_two_hislip_hosts_get_their_own_replies(visa: Open) -> None:
    first, second = visa("hislip"), visa("hislip")
    first.write("RANGE? 1")
    second.write("SETP? 1")
    assert (first.read(), second.read()) == ("2", "+77.000")


def test_a_lock_keeps_other_vxi11_links_out(visa: Open) -> None:
    first, second = visa("vxi11"), visa("vxi11")
    first.lock_excl()
    with pytest.raises(pyvisa.errors.VisaIOError):
        second.write("RANGE 1,0")
    first.unlock()
    assert second.query("RANGE? 1") == "2"


# -- what a good host never sends ------------------------------------------------------------------


def rpc(sock: socket.socket, *, program: int, version: int, procedure: int, data: bytes) -> bytes:
    """Call and give what follows the header of the reply."""
    call = struct.pack(">10I", 9, 0, 2, program, version, procedure, 0, 0, 0, 0) + data
    sock.sendall(struct.pack(">I", 0x8000_0000 | len(call)) + call)
    with sock.makefile("rb") as replies:
        (header,) = struct.unpack(">I", replies.read(4))
        reply = replies.read(header & 0x7FFF_FFFF)
    assert reply[:20] == struct.pack(">5I", 9, 1, 0, 0, 0)
    return bytes(reply[20:])


@pytest.mark.parametrize(
    ("program", "version", "procedure", "data", "reply"),
    [
        (0x0607AF, 1, 0, b"", [0]),
        (0x0607AE, 1, 0, b"", [1]),
        (0x0607AF, 2, 0, b"", [2, 1, 1]),
        (0x0607AF, 1, 99, b"", [3]),
        (0x0607AF, 1, 10, b"\0\0", [4]),
        (0x0607AF, 1, 10, struct.pack(">4I4s", 1, 0, 0, 4, b"gpib"), [0, 3, 0, 0, 0]),
        (0x0607AF, 1, 11, struct.pack(">5I", 77, 0, 0, 8, 0), [0, 4, 0]),
        (0x0607AF, 1, 12, struct.pack(">6I", 77, 9, 0, 0, 0, 0), [0, 4, 0, 0]),
        (0x0607AF, 1, 15, struct.pack(">4I", 77, 0, 0, 0), [0, 4]),
        (0x0607AF, 1, 23, struct.pack(">I", 77), [0, 4]),
        (0x0607AF, 1, 25, b"", [0, 8]),
    ],
)
def test_calls_that_cannot_be_met_are_answered_with_their_error(
    sim: Simulator, program: int, version: int, procedure: int, data: bytes, reply: list[int]
) -> None:
    with socket.create_connection(("127.0.0.1", port_of(sim, "vxi11")), timeout=20) as sock:
        found = rpc(sock, program=program, version=version, procedure=procedure, data=data)
    assert found == struct.pack(f">{len(reply)}I", *reply)


@pytest.mark.parametrize("transport", MESSAGE_LINKS)
@pytest.mark.parametrize("sent", [b"*IDN?\n" * 10, b"\xff" * 64, b"\0" * 64])
def test_nonsense_ends_the_connection_and_harms_nobody(
    sim: Simulator, visa: Open, transport: str, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", port_of(sim, transport)), timeout=20) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass
    assert visa(transport).query("*OPC?") == "1"


def hislip(kind: int, parameter: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">2sBBIQ", b"HS", kind, 0, parameter, len(payload)) + payload


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"HX" + bytes(14), 1),
        (hislip(7, 0, b"*IDN?"), 3),
        (hislip(17, 4711), 3),
        (struct.pack(">2sBBIQ", b"HS", 0, 0, 0, LARGEST_MESSAGE + 1), 1),
        (hislip(0, 0x0100_5858, b"hislip0") + hislip(7, 0, b"*IDN?"), 2),
    ],
)
def test_a_hislip_host_that_breaks_the_rules_gets_a_fatal_error(
    sim: Simulator, sent: bytes, error: int
) -> None:
    with socket.create_connection(("127.0.0.1", port_of(sim, "hislip")), timeout=20) as sock:
        sock.sendall(sent)
        received = b""
        while data := sock.recv(4096):
            received += data
    if received[2] == 1:
        received = received[16:]
    assert struct.unpack(">2sBB", received[:4]) == (b"HS", 2, error)


@contextlib.contextmanager
def hislip_host(sim: Simulator) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two channels of a host that sends what a test writes down."""
    place = ("127.0.0.1", port_of(sim, "hislip"))
    with (
        socket.create_connection(place, timeout=20) as sync,
        socket.create_connection(place, timeout=20) as asynchronous,
    ):
        sync.sendall(hislip(0, 0x0100_5858, b"hislip0"))
        asynchronous.sendall(hislip(17, hislip_reply(sync)[1] & 0xFFFF))
        assert hislip_reply(asynchronous)[0] == 18
        yield sync, asynchronous


def hislip_reply(sock: socket.socket) -> tuple[int, int, bytes]:
    with sock.makefile("rb", buffering=0) as messages:
        _, kind, _, parameter, length = struct.unpack(">2sBBIQ", messages.read(16))
        return kind, parameter, messages.read(length) if length else b""


@pytest.mark.parametrize("number", [0xFFFF_FF00, 0xFFFF_FFFE, 0])
def test_a_hislip_reply_has_the_number_of_the_message_that_it_answers(
    sim: Simulator, number: int
) -> None:
    with hislip_host(sim) as (sync, _):
        sync.sendall(hislip(7, number, b"RANGE? 1"))
        assert hislip_reply(sync) == (7, number, b"2\r\n")
        sim.fault("unsolicited", text="ALARM")
        assert hislip_reply(sync) == (7, 0xFFFF_FFFF, b"ALARM\r\n")


def test_a_hislip_clear_ends_what_was_asked_and_sends_nothing_after_its_acknowledgement(
    sim: Simulator,
) -> None:
    with hislip_host(sim) as (sync, asynchronous):
        sync.sendall(hislip(7, 0xFFFF_FF00, b"SETP? 1"))
        assert hislip_reply(sync)[2] == b"+77.000\r\n"
        sim.fault("late", delay_s=0.2, count=1)
        sync.sendall(hislip(7, 0xFFFF_FF02, b"SETP? 1") + hislip(6, 0xFFFF_FF04, b"RANGE 1,"))
        asynchronous.sendall(hislip(19))
        assert hislip_reply(asynchronous)[0] == 23
        sync.sendall(hislip(7, 0xFFFF_FF06, b"0") + hislip(8))
        assert hislip_reply(sync)[0] == 9
        sync.sendall(hislip(7, 0xFFFF_FF00, b"RANGE? 1"))
        assert hislip_reply(sync) == (7, 0xFFFF_FF00, b"2\r\n")
