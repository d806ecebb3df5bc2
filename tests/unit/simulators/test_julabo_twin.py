"""The command table and the section "Bad input" of the sheet; then physics, and real links."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

import simulators
from simulators._julabo_status import TEXTS
from simulators.julabo import CommandFramer, Julabo
from tests.unit.simulators.talk import ask, write

AT_WORK = "03 REMOTE START"


@pytest.fixture
def unit() -> Julabo:
    model = Julabo(seed=1)
    model.noise_k = 0.0
    model.step(0.1)
    return model


def code_of(unit: Julabo) -> int:
    return int(ask(unit, "status").split()[0])


# -- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "query", "reply"),
    [
        ("out_sp_00 25.00", "in_sp_00", "25.00"),
        ("out_sp_00 -5.5", "in_sp_00", "-5.50"),
        ("out_sp_00 7", "in_sp_00", "7.00"),
        ("OUT_SP_00 +8.125", "IN_SP_00", "8.12"),
        ("out_sp_01 12.5", "in_sp_01", "12.50"),
        ("out_sp_02 0", "in_sp_02", "0.00"),
        ("out_sp_07 4", "in_sp_07", "4"),
        ("out_mode_01 2", "in_mode_01", "2"),
        ("out_mode_04 1", "in_mode_04", "1"),
        ("out_mode_05 0", "in_mode_05", "0"),
        ("out_mode_05 1", "in_mode_05", "1"),
        ("out_par_06 0.1", "in_par_06", "0.1"),
        ("out_par_07 9999", "in_par_07", "9999"),
        ("out_par_08 0", "in_par_08", "0"),
    ],
)
def test_a_setting_is_silent_and_reads_back(
    unit: Julabo, command: str, query: str, reply: str
) -> None:
    assert unit.answer(command.encode()) == b""
    assert ask(unit, query) == reply
    assert code_of(unit) > 0


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("version", "JULABO CRYOCOMPACT CF31 VERSION 5.0"),
        ("status", AT_WORK),
        ("Status", AT_WORK),
        ("in_pv_00", "15.00"),
        ("in_pv_02", "16.06"),
        ("in_pv_03", "15.10"),
        ("in_pv_04", "120.00"),
        ("in_sp_03", "100.00"),
        ("in_sp_04", "-25.00"),
    ],
)
def test_a_query_is_answered(unit: Julabo, query: str, reply: str) -> None:
    assert ask(unit, query) == reply


def test_replies_end_with_cr_lf(unit: Julabo) -> None:
    assert unit.answer(b"in_mode_05") == b"1\r\n"


def test_power_is_negative_while_it_cools(unit: Julabo) -> None:
    assert float(ask(unit, "in_pv_01")) < 0
    ask(unit, "out_sp_00 30")
    unit.step(1.0)
    assert ask(unit, "in_pv_01") == "100.0"


@pytest.mark.parametrize(
    ("remote", "start", "status"),
    [
        (0, 0, "00 MANUAL STOP"),
        (0, 1, "01 MANUAL START"),
        (1, 0, "02 REMOTE STOP"),
        (1, 1, "03 REMOTE START"),
    ],
)
def test_status_names_mode_and_state(unit: Julabo, remote: int, start: int, status: str) -> None:
    ask(unit, f"out_mode_05 {start}")
    write(unit, remote=remote)
    assert ask(unit, "status") == status


def test_flow_control_bytes_appear_in_replies_when_switched_on(unit: Julabo) -> None:
    write(unit, flow_bytes=1)
    reply = unit.answer(b"status")
    assert b"\x11" in reply
    assert b"\x13" in reply
    assert reply.translate(None, b"\x11\x13") == f"{AT_WORK}\r\n".encode()


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_commands_do_not_depend_on_how_the_bytes_arrive(chunks: list[bytes]) -> None:
    piecewise, at_once = CommandFramer(), CommandFramer()
    messages = [message for chunk in chunks for message in piecewise.feed(chunk)]
    assert messages == at_once.feed(b"".join(chunks))


def test_cr_lf_or_both_end_a_command_and_empty_ones_are_ignored() -> None:
    data = b"\r\n\rversion\r\x11status\r\n \r\rin_pv\x13_00\n\r"
    assert CommandFramer().feed(data) == [b"version", b"status", b"in_pv_00"]


def test_endless_bytes_without_a_terminator_take_no_memory(unit: Julabo) -> None:
    framer = CommandFramer()
    for _ in range(100):
        assert framer.feed(b"x" * 4096) == []
    assert len(framer._pending) < 100
    [message, after] = framer.feed(b"\rstatus\r")
    assert unit.answer(message) == b""
    assert unit.answer(after).startswith(b"-08 ")


def test_a_setting_wants_a_longer_gap_than_a_query(unit: Julabo) -> None:
    gaps_s = []
    for text in ("in_pv_00", "out_sp_00 20", "out_nonsense", "status", "nonsense"):
        ask(unit, text)
        gaps_s.append(unit.pace_s())
    assert gaps_s == [0.010, 0.250, 0.250, 0.010, 0.010]


# -- the section "Bad input" ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "query", "code"),
    [
        ("out_sp_00", "in_sp_00", -8),
        ("out_sp_00 warm", "in_sp_00", -8),
        ("out_sp_00 nan", "in_sp_00", -8),
        ("out_sp_00 2,5", "in_sp_00", -8),
        ("out_sp_00 1 2", "in_sp_00", -8),
        ("out_sp_0025", "in_sp_00", -8),
        ("out_sp_00 -31", "in_sp_00", -10),
        ("out_sp_00 200.1", "in_sp_00", -11),
        ("out_sp_00 101", "in_sp_00", -13),
        ("out_sp_00 -25.01", "in_sp_00", -13),
        ("out_sp_01 101", "in_sp_01", -13),
        ("out_sp_07 0", "in_sp_07", -10),
        ("out_sp_07 5", "in_sp_07", -11),
        ("out_sp_07 1.5", "in_sp_07", -8),
        ("out_mode_01 3", "in_mode_01", -11),
        ("out_mode_04 -1", "in_mode_04", -10),
        ("out_mode_05 2", "in_mode_05", -11),
        ("out_par_06 0.05", "in_par_06", -10),
        ("out_par_06 100", "in_par_06", -11),
        ("out_par_07 2", "in_par_07", -10),
        ("out_par_08 1000", "in_par_08", -11),
        ("out_sp_99 1", "in_sp_00", -8),
    ],
)
def test_a_rejected_setting_is_silent_and_the_next_status_says_so_once(
    unit: Julabo, command: str, query: str, code: int
) -> None:
    before = ask(unit, query)
    assert unit.answer(command.encode()) == b""
    assert ask(unit, query) == before
    assert ask(unit, "status") == f"-{-code:02d} {TEXTS[code]}"
    assert ask(unit, "status") == AT_WORK


@pytest.mark.parametrize("query", ["in_pv_09", "in_pv_00 1", "help", "version 2", "\x07", "\xe9"])
def test_an_unknown_query_is_silent_and_an_invalid_command(unit: Julabo, query: str) -> None:
    assert unit.answer(query.encode("latin-1")) == b""
    assert code_of(unit) == -8
    assert ask(unit, "status") == AT_WORK


def test_settings_are_refused_in_manual_mode_and_queries_are_not(unit: Julabo) -> None:
    write(unit, remote=0)
    ask(unit, "out_mode_05 0")
    assert ask(unit, "in_mode_05") == "1"
    assert code_of(unit) == -9
    assert ask(unit, "status") == "01 MANUAL START"


ALARMS = [
    (dict(level_percent=5), -1),
    (dict(working_sensor_broken=1), -5),
    (dict(safety_offset_k=-40), -6),
    (dict(excess_c=14), -14),
    (dict(safety_sensor_broken=1), -33),
    (dict(internal_error=1), -60),
    (dict(internal_error=2), -61),
    (dict(internal_error=3), -62),
    (dict(internal_error=4), -63),
]


@pytest.mark.parametrize(("cause", "code"), ALARMS)
def test_after_an_alarm_it_has_stopped_and_refuses_to_start(
    unit: Julabo, cause: dict[str, float], code: int
) -> None:
    before = {name: unit.quantities()[name].read() for name in cause}
    write(unit, **cause)
    assert code_of(unit) == code
    assert ask(unit, "in_mode_05") == "0"
    assert ask(unit, "in_pv_01") == "0.0"
    ask(unit, "out_mode_05 1")
    assert code_of(unit) == -9
    assert code_of(unit) == code
    write(unit, alarm=0)
    assert code_of(unit) == code  # its cause is still there
    write(unit, **before)
    assert code_of(unit) == code  # nobody has reset it
    write(unit, alarm=0)
    ask(unit, "out_mode_05 1")
    assert ask(unit, "status") == AT_WORK


@pytest.mark.parametrize(("state", "code"), [(1, -38), (2, -15)])
def test_a_missing_external_sensor_is_an_alarm_while_it_is_controlled_on(
    unit: Julabo, state: int, code: int
) -> None:
    write(unit, external_sensor=state)
    assert ask(unit, "in_pv_02") == "---.--"
    assert ask(unit, "status") == AT_WORK
    ask(unit, "out_mode_04 1")
    assert code_of(unit) == code
    assert ask(unit, "in_mode_05") == "0"


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (dict(high_limit_c=14), -3),
        (dict(low_limit_c=16), -4),
        (dict(level_percent=20), -40),
        (dict(level_percent=99), -41),
    ],
)
def test_a_warning_stops_nothing_and_ends_with_its_cause(
    unit: Julabo, cause: dict[str, float], code: int
) -> None:
    before = {name: unit.quantities()[name].read() for name in cause}
    write(unit, **cause)
    assert code_of(unit) == code
    assert ask(unit, "in_mode_05") == "1"
    write(unit, **before)
    assert ask(unit, "status") == AT_WORK


def test_a_broken_sensor_gives_no_temperature(unit: Julabo) -> None:
    write(unit, working_sensor_broken=1, safety_sensor_broken=1)
    assert [ask(unit, f"in_pv_0{each}") for each in (0, 3)] == ["---.--"] * 2


def test_the_serial_watchdog_stops_it_when_nothing_comes_for_half_a_minute(unit: Julabo) -> None:
    unit.step(100)
    write(unit, watchdog=1)
    for _ in range(3):
        unit.step(29)
        assert ask(unit, "status") == AT_WORK
    unit.step(31)
    assert ask(unit, "status") == "-1501 SERIAL WATCHDOG TIMEOUT"
    assert ask(unit, "in_mode_05") == "0"
    write(unit, alarm=0)
    ask(unit, "out_mode_05 1")
    assert ask(unit, "status") == AT_WORK


def test_the_watchdog_is_off_unless_it_is_enabled(unit: Julabo) -> None:
    unit.step(1000)
    assert ask(unit, "status") == AT_WORK


@given(st.binary(max_size=100))
def test_no_bytes_whatever_break_the_model(message: bytes) -> None:
    unit = Julabo()
    unit.answer(message)
    unit.answer(b"status")
    assert unit.answer(b"in_pv_04") == b"120.00\r\n"


# -- physics and supply --------------------------------------------------------------------------


def test_the_bath_settles_at_its_set_point_and_stays_there(unit: Julabo) -> None:
    unit.step(3600)
    assert float(ask(unit, "in_pv_00")) == pytest.approx(15, abs=0.01)
    ask(unit, "out_sp_00 5")
    unit.step(3600)
    assert float(ask(unit, "in_pv_00")) == pytest.approx(5, abs=0.05)
    assert float(ask(unit, "in_pv_02")) > 5.5


def test_with_external_control_the_camera_head_settles_there(unit: Julabo) -> None:
    ask(unit, "out_mode_04 1")
    unit.step(3600)
    assert float(ask(unit, "in_pv_02")) == pytest.approx(15, abs=0.05)


def test_another_set_point_can_be_made_active(unit: Julabo) -> None:
    ask(unit, "out_mode_01 1")
    unit.step(3600)
    assert float(ask(unit, "in_pv_00")) == pytest.approx(20, abs=0.05)
    assert ask(unit, "in_sp_00") == "15.00"


def test_a_faster_pump_brings_the_camera_head_nearer_to_the_bath(unit: Julabo) -> None:
    distances_k = []
    for stage in (1, 4):
        ask(unit, f"out_sp_07 {stage}")
        unit.step(3600)
        distances_k.append(float(ask(unit, "in_pv_02")) - float(ask(unit, "in_pv_00")))
    assert distances_k[0] > 2 * distances_k[1] > 0


def test_a_stopped_unit_drifts_and_its_camera_head_gets_warm(unit: Julabo) -> None:
    ask(unit, "out_mode_05 0")
    unit.step(3600)
    assert ask(unit, "in_pv_01") == "0.0"
    assert float(ask(unit, "in_pv_02")) > 30


def test_a_stuck_heater_ends_in_the_excess_temperature_alarm(unit: Julabo) -> None:
    write(unit, heater_stuck=1)
    # The cooler, at its full power, takes half of the heat away: it takes more than an hour.
    unit.step(3600)
    assert ask(unit, "status") == f"-03 {TEXTS[-3]}"
    assert ask(unit, "in_mode_05") == "1"
    unit.step(3600)
    assert code_of(unit) == -14
    assert ask(unit, "in_mode_05") == "0"
    assert float(ask(unit, "in_pv_00")) > 120


def test_after_a_loss_of_supply_it_is_stopped_and_has_its_settings(unit: Julabo) -> None:
    ask(unit, "out_sp_00 12")
    ask(unit, "nonsense")
    write(unit, level_percent=5)
    unit.power_off()
    unit.step(60)
    write(unit, level_percent=80)
    unit.power_on()
    assert ask(unit, "status") == "02 REMOTE STOP"
    assert ask(unit, "in_sp_00") == "12.00"


@pytest.mark.parametrize("dt_s", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_only(unit: Julabo, dt_s: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        unit.step(dt_s)


# -- real links ----------------------------------------------------------------------------------


def test_a_serial_host_asks_and_sets() -> None:
    with closing(simulators.start_twin("julabo", "serial", seed=1, time_factor=0)) as twin:
        assert "baud=4800&bits=8&parity=none" in twin.url
        path = twin.url.removeprefix("serial://").partition("?")[0]
        with serial.Serial(path, 4800, timeout=20, exclusive=True) as port:
            port.write(b"out_sp_00 21.50\rin_sp_00\r")
            assert port.read_until(b"\r\n") == b"21.50\r\n"
            twin.set(level_percent=3)
            port.write(b"status\r")
            assert port.read_until(b"\r\n") == b"-01 LOW LEVEL ALARM\r\n"


def test_a_host_on_tcp_uses_either_terminator_and_empty_lines(connect: Callable[..., Any]) -> None:
    with closing(simulators.start_twin("julabo", "tcp", seed=1, time_factor=0)) as twin:
        host = connect(twin.url)
        host.socket.sendall(b"\r\n\rVERSION\rstatus\r\nin_mode_05\n")
        assert host.read().startswith("JULABO ")
        assert [host.read() for _ in range(2)] == [f"{AT_WORK}\r\n", "1\r\n"]
        host.send("out_mode_05 7")
        assert host.hears_nothing()
        assert host.ask("status") == "-11 VALUE TOO LARGE"
        assert host.ask("status") == AT_WORK


def test_messages_too_soon_after_a_setting_are_counted(connect: Callable[..., Any]) -> None:
    with closing(simulators.start_twin("julabo", "tcp", seed=1, time_factor=0)) as twin:
        host = connect(twin.url)
        host.socket.sendall(b"in_pv_00\rin_pv_00\rout_sp_00 20\rstatus\r")
        assert len([host.read() for _ in range(3)]) == 3
        assert [each["early"] for each in twin.log()] == [False, False, False, True]
        assert twin.get("early_messages") == {"early_messages": 1}


def test_with_strict_flow_a_message_too_soon_after_a_setting_is_lost(
    connect: Callable[..., Any],
) -> None:
    with closing(simulators.start_twin("julabo", "tcp", seed=1, time_factor=0)) as twin:
        twin.fault("strict-flow")
        host = connect(twin.url)
        host.socket.sendall(b"out_sp_00 20\rin_sp_00\r")
        assert host.hears_nothing()
        assert twin.get("early_messages") == {"early_messages": 1}
