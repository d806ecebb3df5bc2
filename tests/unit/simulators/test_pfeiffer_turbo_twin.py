"""Telegrams, parameters and the errors of the sheet; then the pump, and units on one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from simulators._pfeiffer_telegrams import EXPONENT, LONGEST_TELEGRAM, checksum, parse
from simulators.bus import Bus
from simulators.device import SimulatorError
from simulators.pfeiffer_turbo import PfeifferDrive, PfeifferGauge, PfeifferUnit
from simulators.serve import Simulator

ON, OFF = "111111", "000000"


@pytest.fixture
def drive() -> PfeifferDrive:
    return PfeifferDrive()


@pytest.fixture
def gauge() -> PfeifferGauge:
    model = PfeifferGauge(seed=1)
    model.noise = 0.0
    model.step(0.001)
    return model


def telegram(address: int, action: int, parameter: int, data: str) -> bytes:
    """Put one together by hand, with its CR."""
    body = f"{address:03d}{action}0{parameter:03d}{len(data):02d}{data}".encode("latin-1")
    return body + f"{sum(body) % 256:03d}\r".encode()


def sent(unit: PfeifferUnit, message: bytes) -> bytes:
    return b"".join(unit.answer(each) for each in unit.framer().feed(message))


def read(unit: PfeifferUnit, parameter: int) -> str:
    """Give the data of the reply, whose frame is checked."""
    reply = sent(unit, telegram(unit.unit or 0, 0, parameter, "=?"))
    data = reply[10:-4].decode()
    assert reply == telegram(unit.unit or 0, 1, parameter, data)
    return data


def write(unit: PfeifferUnit, parameter: int, data: str) -> str:
    reply = sent(unit, telegram(unit.unit or 0, 1, parameter, data))
    answered = reply[10:-4].decode()
    assert reply == telegram(unit.unit or 0, 1, parameter, answered)
    return answered


def put(unit: PfeifferUnit, **values: float) -> None:
    for name, value in values.items():
        setter = unit.quantities()[name].write
        assert setter is not None
        setter(value)
    unit.step(0.0)


# -- telegrams -----------------------------------------------------------------------------------


def test_the_example_of_the_sheet_has_the_checksum_of_the_sheet() -> None:
    assert checksum(b"0010034902=?") == 111
    assert telegram(1, 0, 349, "=?") == b"0010034902=?111\r"


@pytest.mark.parametrize(
    ("hpa", "text"),
    [
        (1000.0, "100023"),
        (1.0, "100020"),
        (9.9996e-3, "100018"),
        (2.1e-6, "210014"),
        (5e-9, "500011"),
        (0.0, "000000"),
    ],
)
def test_a_pressure_is_written_as_mantissa_and_exponent(hpa: float, text: str) -> None:
    assert EXPONENT.encode(hpa) == text
    assert EXPONENT.decode(text) == pytest.approx(hpa, rel=1e-3)


@given(st.floats(1e-19, 1e3))
def test_a_pressure_reads_back_to_four_digits(hpa: float) -> None:
    assert EXPONENT.decode(EXPONENT.encode(hpa)) == pytest.approx(hpa, rel=1e-3)


@pytest.mark.parametrize(
    "message",
    [
        b"0010034902=?112\r",
        b"0010034902=?\r",
        b"0010034903=?112\r",
        b"0020034902=?112\r",
        b"0000034902=?110\r",
        b"9010034902=?120\r",
        b"001 0034902=?143\r",
        b"0012034902=?113\r",
        b"0010134902=?112\r",
        b"xxx0034902=?111\r",
        b"\r",
        b"\r\n",
        b"0010034902=?11\xff\r",
        b"0" * 500 + b"\r",
    ],
)
def test_what_is_malformed_or_for_somebody_else_is_met_with_silence(
    drive: PfeifferDrive, message: bytes
) -> None:
    assert sent(drive, message) == b""
    assert read(drive, 349) == "TM 700"


@pytest.mark.parametrize("address", [0, 2, 255, 900, 960, 999])
def test_a_write_to_another_address_changes_nothing(drive: PfeifferDrive, address: int) -> None:
    assert sent(drive, telegram(address, 1, 10, ON)) == b""
    assert read(drive, 10) == OFF


def test_telegrams_in_pieces_and_with_lf_are_telegrams(drive: PfeifferDrive) -> None:
    framer = drive.framer()
    whole = telegram(1, 0, 349, "=?") + b"\n" + telegram(1, 0, 315, "=?")
    messages = [message for byte in whole for message in framer.feed(bytes([byte]))]
    assert [drive.answer(message)[10:-4] for message in messages] == [b"TM 700", b"000820"]


def test_endless_bytes_without_an_end_take_no_memory(drive: PfeifferDrive) -> None:
    framer = drive.framer()
    for _ in range(100):
        assert framer.feed(b"0" * 1000) == []
    assert len(framer._pending) <= LONGEST_TELEGRAM + 2


@given(st.binary(max_size=60))
def test_bytes_whatever_are_no_telegram_unless_their_sum_is_right(message: bytes) -> None:
    found = parse(message)
    assert found is None or int(message[-3:]) == sum(message[:-3]) % 256


@given(st.integers(0, 999), st.integers(0, 1), st.text("0123456789=?_ AZ", max_size=20))
def test_no_telegram_whatever_breaks_a_unit(parameter: int, action: int, data: str) -> None:
    for unit in (PfeifferDrive(), PfeifferGauge(unit=1)):
        reply = sent(unit, telegram(1, action, parameter, data))
        assert reply.startswith(f"00110{parameter:03d}".encode())
        address = unit.unit or 0
        unit.step(0.1)
        assert sent(unit, telegram(address, 0, 312, "=?")) != b""


# -- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "data"),
    [
        (2, OFF),
        (10, OFF),
        (23, ON),
        (26, "000"),
        (302, OFF),
        (303, "000000"),
        (304, OFF),
        (305, OFF),
        (306, OFF),
        (307, OFF),
        (308, "000820"),
        (309, "000000"),
        (310, "000000"),
        (311, "001234"),
        (312, "010500"),
        (313, "004800"),
        (315, "000820"),
        (316, "000000"),
        (326, "000025"),
        (330, "000025"),
        (342, "000025"),
        (346, "000025"),
        (349, "TM 700"),
        (397, "049200"),
        (398, "000000"),
        (399, "049200"),
        (707, "006500"),
        (708, "100"),
        (797, "000001"),
    ],
)
def test_a_drive_at_rest_reads(drive: PfeifferDrive, parameter: int, data: str) -> None:
    assert read(drive, parameter) == data


@pytest.mark.parametrize(
    ("parameter", "data"),
    [
        (303, "000000"),
        (312, "010300"),
        (349, "    A5"),
        (740, "210014"),
        (741, "000"),
        (742, "000100"),
    ],
)
def test_a_gauge_in_good_vacuum_reads(gauge: PfeifferGauge, parameter: int, data: str) -> None:
    assert read(gauge, parameter) == data


@pytest.mark.parametrize(
    ("parameter", "data"),
    [
        (2, ON),
        (10, ON),
        (23, OFF),
        (26, "001"),
        (707, "002000"),
        (707, "010000"),
        (707, "006612"),
        (708, "010"),
        (708, "100"),
    ],
)
def test_a_write_is_confirmed_with_the_same_telegram_and_reads_back(
    drive: PfeifferDrive, parameter: int, data: str
) -> None:
    assert write(drive, parameter, data) == data
    assert read(drive, parameter) == data


def test_a_gauge_is_set_too(gauge: PfeifferGauge) -> None:
    assert write(gauge, 741, "001") == "001"
    assert write(gauge, 742, "000150") == "000150"
    assert (read(gauge, 741), read(gauge, 742)) == ("001", "000150")
    assert read(gauge, 740) == "315014"


def test_a_change_of_the_address_is_confirmed_with_the_old_one(drive: PfeifferDrive) -> None:
    assert sent(drive, telegram(1, 1, 797, "000042")) == telegram(1, 1, 797, "000042")
    assert sent(drive, telegram(1, 0, 349, "=?")) == b""
    assert drive.unit == 42
    assert read(drive, 797) == "000042"


@pytest.mark.parametrize("unit", [0, 256, -1])
def test_an_address_that_cannot_be_is_refused(unit: int) -> None:
    with pytest.raises(SimulatorError, match="1 to 255"):
        PfeifferDrive(unit=unit)
    with pytest.raises(SimulatorError, match="1 to 255"):
        PfeifferGauge(unit=unit)


def test_a_kind_of_gauge_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SimulatorError, match="did you mean MPT"):
        PfeifferGauge(kind="MTP")


# -- errors that arrive as data ------------------------------------------------------------------


@pytest.mark.parametrize("parameter", [0, 1, 340, 740, 999])
def test_an_unknown_parameter_is_no_def(drive: PfeifferDrive, parameter: int) -> None:
    assert read(drive, parameter) == "NO_DEF"
    assert write(drive, parameter, "000000") == "NO_DEF"


@pytest.mark.parametrize(
    ("parameter", "data"),
    [
        (10, "000001"),
        (10, "111110"),
        (10, "1"),
        (10, ""),
        (10, "1111111"),
        (26, "002"),
        (26, "000001"),
        (707, "001999"),
        (707, "010001"),
        (707, "065.00"),
        (707, "      "),
        (708, "009"),
        (708, "101"),
        (708, "-10"),
        (797, "000000"),
        (797, "000256"),
        (797, "=?"),
    ],
)
def test_a_value_or_length_that_is_bad_is_range_and_changes_nothing(
    drive: PfeifferDrive, parameter: int, data: str
) -> None:
    before = read(drive, parameter)
    assert write(drive, parameter, data) == "_RANGE"
    assert read(drive, parameter) == before


@pytest.mark.parametrize("parameter", [302, 303, 309, 315, 346, 349, 399])
def test_a_write_to_what_can_be_read_only_is_logic(drive: PfeifferDrive, parameter: int) -> None:
    assert write(drive, parameter, "000001") == "_LOGIC"


def test_a_pressure_cannot_be_written_nor_an_acknowledgement_read(
    drive: PfeifferDrive, gauge: PfeifferGauge
) -> None:
    assert write(gauge, 740, "100023") == "_LOGIC"
    assert read(drive, 9) == "_LOGIC"


def test_a_read_request_with_other_data_is_range(drive: PfeifferDrive) -> None:
    assert sent(drive, telegram(1, 0, 309, "??")) == telegram(1, 1, 309, "_RANGE")


# -- the pump ------------------------------------------------------------------------------------


def states(drive: PfeifferDrive) -> dict[int, bool]:
    return {parameter: read(drive, parameter) == ON for parameter in (302, 306, 307)}


def test_the_pump_runs_up_past_its_switch_point_to_its_set_speed(drive: PfeifferDrive) -> None:
    write(drive, 10, ON)
    drive.step(30)
    assert states(drive) == {302: False, 306: False, 307: True}
    assert int(read(drive, 316)) > 250
    drive.step(75)
    assert states(drive) == {302: True, 306: False, 307: True}
    drive.step(100)
    assert states(drive) == {302: True, 306: True, 307: False}
    assert read(drive, 309) == "000820"
    assert read(drive, 398) == "049200"
    assert int(read(drive, 316)) < 50
    assert int(read(drive, 310)) / 100 == pytest.approx(int(read(drive, 316)) / 48, abs=0.02)


def test_the_pump_needs_both_switches(drive: PfeifferDrive) -> None:
    write(drive, 23, OFF)
    write(drive, 10, ON)
    drive.step(60)
    assert read(drive, 309) == "000000"
    write(drive, 23, ON)
    drive.step(60)
    assert int(read(drive, 309)) > 300


def test_a_pump_that_is_switched_off_coasts_for_most_of_an_hour(drive: PfeifferDrive) -> None:
    put(drive, speed_hz=820)
    drive.step(600)
    assert 400 < int(read(drive, 309)) < 700
    assert states(drive) == {302: False, 306: False, 307: False}
    drive.step(3600)
    assert read(drive, 309) == "000000"


def test_the_set_speed_holds_in_its_mode_only_and_standby_is_two_thirds(
    drive: PfeifferDrive,
) -> None:
    write(drive, 707, "005000")
    assert read(drive, 308) == "000820"
    write(drive, 26, "001")
    assert read(drive, 308) == "000410"
    assert read(drive, 397) == "024600"
    write(drive, 10, ON)
    drive.step(300)
    assert read(drive, 309) == "000410"
    assert states(drive) == {302: False, 306: True, 307: False}
    write(drive, 26, "000")
    write(drive, 2, ON)
    assert read(drive, 308) == "000547"


def test_less_power_makes_it_slower(drive: PfeifferDrive) -> None:
    write(drive, 708, "050")
    write(drive, 10, ON)
    drive.step(60)
    assert int(read(drive, 309)) < 400
    assert int(read(drive, 316)) < 170


def test_a_run_up_that_takes_too_long_is_an_error(drive: PfeifferDrive) -> None:
    put(drive, gas_w=2000)
    write(drive, 10, ON)
    drive.step(470)
    assert read(drive, 303) == "000000"
    drive.step(20)
    assert read(drive, 303) == "Err006"
    assert read(drive, 307) == OFF
    put(drive, gas_w=0)
    write(drive, 9, OFF)
    assert read(drive, 303) == "Err006"
    write(drive, 9, ON)
    assert read(drive, 303) == "000000"
    drive.step(200)
    assert read(drive, 306) == ON


def test_without_cooling_the_bearing_gets_too_hot_and_the_pump_stops(drive: PfeifferDrive) -> None:
    put(drive, speed_hz=820, cooling_works=0)
    write(drive, 10, ON)
    drive.step(3600)
    assert read(drive, 303) == "000000"
    assert int(read(drive, 342)) > 50
    drive.step(7200)
    assert read(drive, 303) == "Err045"
    assert int(read(drive, 309)) < 820
    put(drive, bearing_c=76)
    put(drive, bearing_c=72)
    assert read(drive, 305) == ON
    write(drive, 9, ON)
    assert read(drive, 303) == "Err045"  # its cause is still there
    put(drive, bearing_c=60)
    assert read(drive, 305) == OFF
    write(drive, 9, ON)
    assert read(drive, 303) == "000000"


def test_hot_electronics_are_an_error(drive: PfeifferDrive) -> None:
    put(drive, electronics_c=71)
    assert (read(drive, 304), read(drive, 303)) == (ON, "Err044")


@pytest.mark.parametrize(
    ("quantity", "number", "text"), [("error", 1, "Err001"), ("warning", 18, "Wrn018")]
)
def test_any_error_or_warning_can_be_had(
    drive: PfeifferDrive, quantity: str, number: int, text: str
) -> None:
    put(drive, speed_hz=820)
    write(drive, 10, ON)
    put(drive, **{quantity: number})
    assert read(drive, 303) == text
    assert read(drive, 306) == (ON if quantity == "warning" else OFF)


def test_it_counts_the_hours_that_it_runs(drive: PfeifferDrive) -> None:
    drive.step(7200)
    assert read(drive, 311) == "001234"
    write(drive, 10, ON)
    drive.step(7300)
    assert read(drive, 311) == "001236"


def test_after_a_loss_of_supply_it_is_off_and_still_turns(drive: PfeifferDrive) -> None:
    put(drive, speed_hz=820)
    write(drive, 10, ON)
    write(drive, 707, "005500")
    drive.step(10)
    drive.power_off()
    drive.step(60)
    drive.power_on()
    assert read(drive, 10) == OFF
    assert read(drive, 707) == "005500"
    assert 700 < int(read(drive, 309)) < 820


def test_without_enough_voltage_nothing_is_driven(drive: PfeifferDrive) -> None:
    write(drive, 10, ON)
    put(drive, supply_v=39)
    drive.step(60)
    assert (read(drive, 309), read(drive, 313)) == ("000000", "003900")


@pytest.mark.parametrize("dt_s", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_only(drive: PfeifferDrive, gauge: PfeifferGauge, dt_s: float) -> None:
    for unit in (drive, gauge):
        with pytest.raises(ValueError, match="forward"):
            unit.step(dt_s)


# -- gauges --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "code", "hpa", "shown"),
    [
        ("MPT", "    A5", 1013.0, "100023"),
        ("MPT", "    A5", 1e-10, "500011"),
        ("MPT", "    A5", 3.21e-4, "321016"),
        ("CPT", "    A1", 1013.0, "101323"),
        ("CPT", "    A1", 1e-3, "100020"),
    ],
)
def test_a_gauge_shows_no_more_than_its_range(kind: str, code: str, hpa: float, shown: str) -> None:
    unit = PfeifferGauge(seed=1, kind=kind)
    unit.noise = 0.0
    put(unit, noise=0, pressure_hpa=hpa)
    unit._error_part = 0.0
    assert (read(unit, 349), read(unit, 740)) == (code, shown)


def test_a_gauge_follows_the_pump_down_and_the_leak(gauge: PfeifferGauge) -> None:
    put(gauge, pressure_hpa=1000)
    gauge.step(60)
    assert EXPONENT.decode(read(gauge, 740)) == pytest.approx(2.48, rel=0.01)
    put(gauge, pumping=0, leak=1.0)
    gauge.step(50)
    assert EXPONENT.decode(read(gauge, 740)) == pytest.approx(3.48, rel=0.01)


def test_a_defective_sensor_is_an_error_and_its_pressure_none(gauge: PfeifferGauge) -> None:
    put(gauge, error=1)
    assert (read(gauge, 303), read(gauge, 740)) == ("Err001", "000000")
    put(gauge, error=2)
    assert (read(gauge, 303), read(gauge, 740)) == ("Err002", "210014")


# -- units on one line ---------------------------------------------------------------------------


@pytest.fixture
def line() -> Iterator[Simulator]:
    """Two drives and two gauges on TCP and on a pseudo-terminal, time stopped."""
    units: dict[int, PfeifferUnit] = {
        1: PfeifferDrive(),
        2: PfeifferDrive(unit=2),
        122: PfeifferGauge(seed=1),
        123: PfeifferGauge(seed=2, unit=123, kind="CPT"),
    }
    with Simulator(Bus(units), tcp=("127.0.0.1", 0), pty=True, time_factor=0.0, seed=1) as bus:
        yield bus


def asked(port: serial.Serial, address: int, action: int, parameter: int, data: str) -> bytes:
    port.write(telegram(address, action, parameter, data))
    return bytes(port.read_until(b"\r"))


def port_of(line: Simulator, **options: Any) -> serial.Serial:
    path = line.urls["serial"].removeprefix("serial://").partition("?")[0]
    return serial.Serial(path, 9600, **{"timeout": 20, **options})


def test_each_unit_answers_for_itself(line: Simulator) -> None:
    assert "baud=9600&bits=8&parity=none" in line.urls["serial"]
    with port_of(line) as port:
        for address, name in ((1, "TM 700"), (122, "    A5"), (123, "    A1"), (2, "TM 700")):
            reply = telegram(address, 1, 349, name)
            assert asked(port, address, 0, 349, "=?") == reply
        assert asked(port, 2, 1, 10, ON) == telegram(2, 1, 10, ON)
    assert line.get("unit1.pumping", "unit2.pumping") == {"unit1.pumping": 0, "unit2.pumping": 1}
    line.ask({"cmd": "set", "values": {"unit123.pressure_hpa": 500}})
    assert line.get("unit122.pressure_hpa")["unit122.pressure_hpa"] < 1e-5


def test_a_wrong_checksum_and_a_silent_unit_hold_nobody_up(line: Simulator) -> None:
    line.fault("dead-unit", unit=2)
    with port_of(line, timeout=0.2) as port:
        assert asked(port, 2, 0, 349, "=?") == b""
        port.write(b"0010034902=?112\r")
        assert port.read_until(b"\r") == b""
        port.timeout = 20
        assert asked(port, 1, 0, 349, "=?") == telegram(1, 1, 349, "TM 700")
        line.clear_faults()
        assert asked(port, 2, 0, 349, "=?") == telegram(2, 1, 349, "TM 700")


def test_bytes_take_their_time_on_the_line(line: Simulator) -> None:
    with port_of(line) as port:
        started_s = time.monotonic()
        for _ in range(5):
            assert asked(port, 1, 0, 309, "=?") == telegram(1, 1, 309, "000000")
        # 16 characters there and 20 back, at 9600 baud.
        assert time.monotonic() - started_s > 5 * 36 * 10 / 9600


def test_a_bridge_on_tcp_leads_to_the_same_units(
    line: Simulator, connect: Callable[..., Any]
) -> None:
    host = connect(line.urls["tcp"])
    host.socket.sendall(telegram(1, 1, 707, "005000") + telegram(1, 0, 707, "=?"))
    replies = b""
    while replies.count(b"\r") < 2:
        replies += host.socket.recv(100)
    assert replies == telegram(1, 1, 707, "005000") * 2


@pytest.mark.parametrize(("code", "data"), [(1, "NO_DEF"), (2, "_RANGE"), (4, "_LOGIC")])
def test_the_fault_exception_refuses_for_the_unit_that_is_meant(
    line: Simulator, code: int, data: str
) -> None:
    line.fault("exception", code=code, count=1)
    with port_of(line) as port:
        assert asked(port, 122, 1, 742, "000200") == telegram(122, 1, 742, data)
        assert asked(port, 122, 0, 742, "=?") == telegram(122, 1, 742, "000100")


def test_another_instrument_can_be_pretended(line: Simulator) -> None:
    line.fault("wrong-identity", identity="DCU")
    with port_of(line) as port:
        assert asked(port, 1, 0, 349, "=?") == telegram(1, 1, 349, "   DCU")


def test_garbage_has_a_wrong_checksum_and_a_right_end(line: Simulator) -> None:
    line.fault("garbage", count=1)
    with port_of(line) as port:
        reply = asked(port, 1, 0, 349, "=?")
        assert reply.endswith(b"\r")
        assert parse(reply[:-1]) is None
