"""The twin on real TCP sockets: hosts good and bad, faults, the control port."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulators.device import SimulatorError
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator

Wait = Callable[[Callable[[], bool]], None]


def control(sim: Simulator, line: bytes) -> dict[str, Any]:
    with socket.create_connection(sim.control_address, timeout=20) as connection:
        connection.sendall(line + b"\n")
        answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
        return answer


def port_of(sim: Simulator) -> tuple[str, int]:
    host, _, port = sim.url.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def test_a_host_asks_sets_and_reads_the_event_register(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    assert host.ask("*ESR?") == "128"
    assert float(host.ask("KRDG? A")) == pytest.approx(77, abs=0.1)
    host.send("SETP 1,80")
    assert host.ask("SETP? 1;*ESR?") == "+80.000;0"


def test_a_bad_query_leaves_the_host_waiting_and_the_line_usable(
    sim: Simulator, connect: Any
) -> None:
    host = connect(sim.url)
    host.send("KRDG? E")
    assert host.hears_nothing()
    assert host.ask("*ESR?") == str(128 + 16)


def test_bytes_that_come_one_by_one_make_a_message(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    host.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for char in b"RANGE? 1\r\n":
        host.socket.sendall(bytes([char]))
    assert host.read() == "2\r\n"


def test_a_host_may_flush_with_empty_lines_end_with_either_terminator_and_use_either_case(
    sim: Simulator, connect: Any
) -> None:
    host = connect(sim.url)
    host.socket.sendall(b"\n\r\n*idn?\r\nRange? 1;range? 1;*esr?\nSETP? 1\r\n")
    assert host.read().startswith("LSCI,MODEL336,")
    assert host.read() == "2;2;128\r\n"
    assert host.read().startswith("+77.0")


def test_several_messages_in_one_packet_are_answered_in_order(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    host.socket.sendall(b"RANGE? 1\nSETP? 1\n\r\n*OPC?\r\n")
    assert [host.read() for _ in range(3)] == ["2\r\n", "+77.000\r\n", "1\r\n"]


def test_a_megabyte_without_a_terminator_harms_nobody(sim: Simulator, connect: Any) -> None:
    flood, other = connect(sim.url), connect(sim.url)
    for _ in range(256):
        flood.socket.sendall(b"x" * 4096)
    assert other.ask("*OPC?") == "1"
    flood.socket.sendall(b"\n")
    assert flood.ask("*OPC?") == "1"
    assert all(len(exchange["received"]) <= 200 for exchange in sim.log())


def test_a_host_that_never_reads_holds_up_nobody(sim: Simulator, connect: Any) -> None:
    deaf, other = connect(sim.url), connect(sim.url)
    deaf.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):  # its replies fill the buffers, so we stop reading it
        while True:
            deaf.socket.sendall(b"KRDG? 0;KRDG? 0;KRDG? 0;KRDG? 0;KRDG? 0;KRDG? 0\n" * 500)
    assert other.ask("*OPC?") == "1"


def test_random_bytes_are_command_errors_at_worst(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    host.socket.sendall(bytes(range(256)) * 20 + b"\n")
    assert int(host.ask("*ESR?")) & 32


def test_many_connections_at_once_get_their_own_replies(sim: Simulator, connect: Any) -> None:
    hosts = [connect(sim.url) for _ in range(40)]
    for host in hosts:
        host.send("RANGE? 1")
    assert {host.read() for host in hosts} == {"2\r\n"}


def test_a_connection_too_many_is_closed_and_the_next_one_welcome_again(
    sim: Simulator, connect: Any, wait_until: Wait
) -> None:
    hosts = [connect(sim.url) for _ in range(64)]
    assert hosts[-1].ask("*OPC?") == "1"
    assert connect(sim.url).read() == ""
    for host in hosts:
        host.close()

    def welcome() -> bool:
        try:
            return bool(connect(sim.url).ask("*OPC?") == "1")
        except (OSError, AssertionError):
            return False

    wait_until(welcome)


def test_connections_one_after_another_are_served(sim: Simulator, connect: Any) -> None:
    for _ in range(100):
        host = connect(sim.url)
        assert host.ask("*OPC?") == "1"
        host.close()


class Unhurried(LakeShore336):
    """Wants so long a gap that no machine is too slow to be too early."""

    min_gap_s = 1.5


@pytest.fixture
def unhurried() -> Iterator[Simulator]:
    with Simulator(Unhurried(seed=1), tcp=("127.0.0.1", 0), time_factor=0.0) as running:
        yield running


def test_a_host_that_keeps_the_pace_is_not_early_and_one_that_does_not_is_seen(
    unhurried: Simulator, connect: Any
) -> None:
    assert LakeShore336.min_gap_s == 0.05  # the gap that the sheet asks for
    host = connect(unhurried.url)
    host.ask("*OPC?")
    assert host.hears_nothing(within_s=Unhurried.min_gap_s)
    host.ask("*OPC?")
    assert unhurried.get("early_messages") == {"early_messages": 0}
    host.ask("*OPC?")
    assert unhurried.get("messages", "early_messages") == {"messages": 3, "early_messages": 1}
    assert [exchange["early"] for exchange in unhurried.log()] == [False, False, True]


def test_with_strict_flow_an_early_message_is_lost(unhurried: Simulator, connect: Any) -> None:
    unhurried.fault("strict-flow")
    host = connect(unhurried.url)
    host.ask("RANGE 1,1;*OPC?")
    host.send("RANGE 1,3;*OPC?")
    assert host.hears_nothing(within_s=Unhurried.min_gap_s)
    assert host.ask("RANGE? 1") == "1"


# -- faults --------------------------------------------------------------------------------------


def test_a_cut_resets_who_is_connected_and_refuses_who_comes(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    host.ask("*OPC?")
    sim.cut()
    with pytest.raises(ConnectionResetError):
        host.read()
    with pytest.raises(ConnectionRefusedError):
        connect(sim.url)


def test_after_cut_and_restore_the_same_port_serves_again(sim: Simulator, connect: Any) -> None:
    url = sim.url
    for _ in range(5):
        sim.cut()
        sim.cut()
        sim.restore()
        sim.restore()
        assert sim.url == url
        assert connect(url).ask("*OPC?") == "1"


def test_while_it_is_cut_nobody_else_can_take_the_port(sim: Simulator) -> None:
    sim.cut()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(port_of(sim))


def test_a_reset_drops_connections_and_takes_new_ones(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    host.ask("*OPC?")
    sim.fault("reset")
    with pytest.raises(ConnectionResetError):
        host.read()
    assert connect(sim.url).ask("*OPC?") == "1"


def test_in_silence_nothing_is_obeyed(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.fault("silence")
    host.send("SETP 1,80;SETP? 1")
    assert host.hears_nothing()
    sim.clear_faults()
    assert host.ask("SETP? 1") == "+77.000"


def test_a_mute_device_obeys_without_an_answer(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.fault("mute", count=1)
    host.send("SETP 1,80;SETP? 1")
    assert host.hears_nothing()
    assert host.ask("SETP? 1") == "+80.000"


def test_a_late_reply_comes_after_its_delay_and_before_the_next(
    sim: Simulator, connect: Any
) -> None:
    host = connect(sim.url)
    sim.fault("late", delay_s=2.0, count=1)
    host.send("RANGE? 1")
    assert host.hears_nothing(within_s=0.1)
    host.send("*OPC?")
    assert [host.read(), host.read()] == ["2\r\n", "1\r\n"]


def test_garbage_is_not_the_reply_but_ends_like_one(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.fault("garbage", count=1)
    host.send("*IDN?")
    garbage = host.read()
    assert garbage.endswith("\r\n")
    assert not garbage.startswith("LSCI")
    assert host.ask("*IDN?").startswith("LSCI")


def test_a_truncated_reply_has_no_end(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.fault("truncated", count=1)
    host.send("*IDN?")
    host.send("*OPC?")
    line = host.read()
    assert line.endswith("1\r\n")
    assert "LSCI,MODEL336,LSA00TW/#######,2.9".startswith(line.removesuffix("1\r\n"))


def test_a_split_reply_is_whole_in_the_end(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.fault("split", gap_s=0.05)
    assert host.ask("*IDN?") == "LSCI,MODEL336,LSA00TW/#######,2.9"


def test_a_wrong_identity_lasts_until_faults_are_cleared(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    sim.fault("wrong-identity", identity="LSCI,MODEL335,1/1,2.9")
    assert host.ask("*IDN?") == "LSCI,MODEL335,1/1,2.9"
    sim.clear_faults()
    assert host.ask("*IDN?").startswith("LSCI,MODEL336")


def test_a_power_cycle_drops_the_link_and_comes_back_with_the_power_on_event(
    sim: Simulator, connect: Any, wait_until: Wait
) -> None:
    host = connect(sim.url)
    assert host.ask("*ESR?;RANGE? 1") == "128;2"
    sim.fault("power-cycle", off_s=0.2)
    with pytest.raises(ConnectionResetError):
        host.read()
    with pytest.raises(ConnectionRefusedError):
        connect(sim.url)
    with pytest.raises(SimulatorError, match="already"):
        sim.fault("power-cycle")
    wait_until(lambda: bool(sim.ask({"cmd": "status"})["connected"]))
    assert connect(sim.url).ask("*ESR?;RANGE? 1") == "128;0"


def test_a_link_that_was_cut_stays_cut_through_a_power_cycle(
    sim: Simulator, connect: Any, wait_until: Wait
) -> None:
    sim.fault("power-cycle", off_s=0.1)
    sim.cut()
    wait_until(lambda: bool(sim.ask({"cmd": "status"})["powered"]))
    with pytest.raises(ConnectionRefusedError):
        connect(sim.url)
    sim.restore()
    assert connect(sim.url).ask("*OPC?") == "1"


# -- the control port ----------------------------------------------------------------------------


def test_physical_quantities_are_read_and_set_by_name(sim: Simulator, connect: Any) -> None:
    answer = control(sim, b'{"cmd": "set", "values": {"mount_k": 90, "cooler_on": 0}}')
    assert answer == {"ok": True, "values": {"mount_k": 90.0, "cooler_on": 0.0}}
    assert control(sim, b'{"cmd": "get", "names": ["mount_k"]}')["values"] == {"mount_k": 90.0}
    assert connect(sim.url).ask("KRDG? A").startswith("+90.0")
    names = control(sim, b'{"cmd": "names"}')["quantities"]
    assert names["mount_k"]["settable"]
    assert not names["heater_1_w"]["settable"]
    assert set(control(sim, b'{"cmd": "get"}')["values"]) == set(names)


def test_time_can_be_stopped_run_faster_and_skipped(sim: Simulator, wait_until: Wait) -> None:
    sim.set(load_w=5)
    before = sim.get("mount_k")
    assert sim.get("mount_k") == before
    assert control(sim, b'{"cmd": "time", "step_s": 60}') == {"ok": True, "factor": 0.0}
    after = sim.get("mount_k")
    assert after != before
    assert control(sim, b'{"cmd": "time", "factor": 100}')["factor"] == 100
    wait_until(lambda: sim.get("mount_k") != after)


def test_the_log_shows_what_was_said(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    host.ask("RANGE? 1")
    host.ask("SETP 1,78;*OPC?")
    last = control(sim, b'{"cmd": "log", "last": 1}')["exchanges"]
    assert [(each["received"], each["sent"]) for each in last] == [("SETP 1,78;*OPC?", "1\\r\\n")]
    assert len(sim.log()) == 2
    assert sim.log(0) == []


def test_the_log_is_bounded(sim: Simulator, connect: Any) -> None:
    host = connect(sim.url)
    for _ in range(300):
        host.ask("*OPC?")
    assert len(sim.log()) == 200


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b"[]", "object"),
        (b'{"cmd": 5}', "object"),
        (b'{"cmd": "gte"}', "did you mean get"),
        (b'{"cmd": "get", "names": "mount_k"}', "list"),
        (b'{"cmd": "get", "names": ["mount"]}', "did you mean mount_k"),
        (b'{"cmd": "get", "name": ["mount_k"]}', "did you mean names"),
        (b'{"cmd": "set"}', "values"),
        (b'{"cmd": "set", "values": {"mount_k": "hot"}}', "number"),
        (b'{"cmd": "set", "values": {"mount_k": NaN}}', "within"),
        (b'{"cmd": "set", "values": {"mount_k": -1}}', "within 0 to 1000 K"),
        (b'{"cmd": "set", "values": {"cooler_on": 0.5}}', "whole"),
        (b'{"cmd": "set", "values": {"heater_1_w": 5}}', "not set"),
        (b'{"cmd": "time", "factor": -1}', "number"),
        (b'{"cmd": "time", "factor": 1' + b"0" * 400 + b"}", "number"),
        (b'{"cmd": "time", "step_s": 1e300}', "number"),
        (b'{"cmd": "fault"}', "name"),
        (b'{"cmd": "fault", "name": "fire"}', "no fault"),
        (b'{"cmd": "cut", "x": 1}', "no field"),
        (b'{"cmd": "log", "last": 1.0e9}', "number"),
    ],
)
def test_a_bad_request_gets_one_clear_line(sim: Simulator, line: bytes, complaint: str) -> None:
    answer = control(sim, line)
    assert not answer["ok"]
    assert complaint in answer["error"]
    assert "\n" not in answer["error"]
    assert control(sim, b'{"cmd": "status"}')["ok"]


def test_a_set_of_several_is_all_or_nothing(sim: Simulator) -> None:
    with pytest.raises(SimulatorError):
        sim.set(mount_k=90, shield_k=-5)
    assert sim.get("mount_k")["mount_k"] == pytest.approx(77.0)


def test_an_endless_request_is_refused_and_the_connection_closed(sim: Simulator) -> None:
    with socket.create_connection(sim.control_address, timeout=20) as connection:
        connection.sendall(b"x" * 70_000)
        with connection.makefile("rb") as answers:
            assert b"at most" in answers.readline()


def test_the_control_port_is_on_loopback_only() -> None:
    with pytest.raises(SimulatorError, match="loopback"):
        Simulator(LakeShore336(), tcp=("127.0.0.1", 0), control=("0.0.0.0", 0)).start()


# -- life ----------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_and_nothing_is_left_behind(sim: Simulator) -> None:
    second = Simulator(LakeShore336(), tcp=port_of(sim))
    with pytest.raises(SimulatorError, match=str(port_of(sim)[1])):
        second.start()
    second.close()


def test_a_control_port_in_use_is_named(sim: Simulator) -> None:
    with pytest.raises(SimulatorError, match=str(sim.control_address[1])):
        Simulator(LakeShore336(), tcp=("127.0.0.1", 0), control=sim.control_address).start()


def test_a_simulator_can_be_closed_twice_and_then_says_that_it_does_not_run() -> None:
    sim = Simulator(LakeShore336(), tcp=("127.0.0.1", 0)).start()
    with pytest.raises(SimulatorError, match="runs already"):
        sim.start()
    with pytest.raises(SimulatorError, match="no control port"):
        _ = sim.control_address
    sim.close()
    sim.close()
    with pytest.raises(SimulatorError, match="does not run"):
        sim.get()


def test_a_closed_simulator_starts_again_on_its_port(sim: Simulator, connect: Any) -> None:
    address = port_of(sim)
    connect(sim.url).ask("*OPC?")
    sim.close()
    with Simulator(LakeShore336(), tcp=address) as again:
        assert connect(again.url).ask("*OPC?") == "1"


@pytest.mark.parametrize(
    "options", [{}, {"pty": True, "baud": 0}, {"pty": True, "baud": 10_000_000}]
)
def test_a_simulator_that_cannot_be_reached_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        Simulator(LakeShore336(), **options)


def test_closing_does_not_wait_for_a_late_reply(
    sim: Simulator, connect: Any, wait_until: Any
) -> None:
    host = connect(sim.url)
    sim.fault("late", delay_s=3600)
    host.send("*OPC?")
    wait_until(lambda: sim.get("messages")["messages"] == 1)
    sim.close()  # an hour, if it waited
    with contextlib.suppress(ConnectionError):
        assert host.read() == ""
