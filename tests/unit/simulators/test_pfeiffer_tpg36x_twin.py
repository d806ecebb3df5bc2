"""The mnemonics and the section "Bad input" of the sheet; then stream, vacuum, and real links."""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from simulators.device import SimulatorError
from simulators.pfeiffer_tpg36x import ACK, ENQ, ETX, NAK, HandshakeFramer, PfeifferTpg36x
from simulators.serve import Simulator

ACCEPTED, REFUSED = ACK + b"\r\n", NAK + b"\r\n"
EMPTY = "5,0.0000E+00"


@pytest.fixture
def unit() -> PfeifferTpg36x:
    """A TPG 366 that has been spoken to, without noise."""
    model = PfeifferTpg36x(seed=1)
    model.noise = 0.0
    model.step(0.001)
    model.answer(ETX)
    return model


def data(unit: PfeifferTpg36x) -> str:
    return unit.answer(ENQ).decode("latin-1").removesuffix("\r\n")


def ask(unit: PfeifferTpg36x, text: str) -> str:
    assert unit.answer(text.encode("latin-1")) == ACCEPTED
    return data(unit)


def write(unit: PfeifferTpg36x, **values: float) -> None:
    for name, value in values.items():
        setter = unit.quantities()[name].write
        assert setter is not None
        setter(value)


# -- the mnemonics -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mnemonic", "reply"),
    [
        ("PNR", "010400"),
        ("TID", "PKR,TPR/PCR,CMR/APR,IKR,noSENSOR,noSENSOR"),
        ("PR1", "0,2.1000E-06"),
        ("PR2", "0,1.1000E-02"),
        ("PR3", "1,1.0000E-04"),
        ("PR6", EMPTY),
        ("PRX", f"0,2.1000E-06,0,1.1000E-02,1,1.0000E-04,0,2.1000E-06,{EMPTY},{EMPTY}"),
        ("UNI", "4"),
        ("SEN", "2,0,0,2,0,0"),
        ("ERR", "0000"),
    ],
)
def test_a_mnemonic_is_acknowledged_and_enq_reads_its_data(
    unit: PfeifferTpg36x, mnemonic: str, reply: str
) -> None:
    assert ask(unit, mnemonic) == reply


def test_identity_names_model_part_serial_firmware_and_hardware(unit: PfeifferTpg36x) -> None:
    model, part, number, firmware, hardware = ask(unit, "AYT").split(",")
    assert (model, part, firmware) == ("TPG366", "PTG28770", "010400")
    assert number
    assert hardware


def test_enq_reads_again_and_each_time_what_holds_now(unit: PfeifferTpg36x) -> None:
    assert ask(unit, "PR1") == data(unit)
    unit.chamber.mbar = 1e-3
    assert data(unit) == "0,1.0000E-03"


def test_a_question_without_enq_leaves_its_reply_unread(unit: PfeifferTpg36x) -> None:
    assert unit.answer(b"PNR") == ACCEPTED
    assert unit.answer(b"UNI") == ACCEPTED
    assert data(unit) == "4"


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (0, "0,1.3332E+00"),
        (1, "0,1.0000E+00"),
        (2, "0,1.3332E+02"),
        (3, "0,1.0000E+03"),
        (4, "0,1.3332E+00"),
        (5, "0,1.1538E+01"),
    ],
)
def test_a_pressure_is_given_in_the_unit_that_is_set(
    unit: PfeifferTpg36x, number: int, value: str
) -> None:
    unit.chamber.mbar = 1.333_223_684
    assert ask(unit, f"UNI,{number}") == str(number)
    assert ask(unit, "PR1") == value


def test_gauges_are_switched_one_by_one(unit: PfeifferTpg36x) -> None:
    assert ask(unit, "SEN,1,0,0,0,0,0") == "1,0,0,2,0,0"
    assert ask(unit, "PR1") == "4,0.0000E+00"
    assert ask(unit, "SEN,0,0,0,1,0,0") == "1,0,0,1,0,0"
    assert ask(unit, "SEN,2,0,0,2,0,0") == "2,0,0,2,0,0"
    assert ask(unit, "PR1") == "0,2.1000E-06"


@pytest.mark.parametrize(("model", "inputs"), [("TPG361", 1), ("TPG362", 2), ("TPG366", 6)])
def test_a_model_has_so_many_inputs(model: str, inputs: int) -> None:
    unit = PfeifferTpg36x(seed=1, model=model)
    assert ask(unit, "AYT").startswith(f"{model},")
    assert len(ask(unit, "PRX").split(",")) == 2 * inputs
    assert len(ask(unit, "SEN").split(",")) == inputs


def test_a_model_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SimulatorError, match="did you mean TPG361"):
        PfeifferTpg36x(model="TPG351")


# -- measurement status --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "channel", "reply"),
    [
        (dict(chamber_mbar=1e-9), 1, "1,5.0000E-09"),
        (dict(chamber_mbar=1013), 1, "2,1.0000E+03"),
        (dict(chamber_mbar=1), 4, "2,1.0000E-02"),
        (dict(foreline_mbar=1e-5), 2, "1,8.0000E-04"),
        (dict(ch1_sensor_error=1), 1, "3,0.0000E+00"),
        (dict(ch1_on=0), 1, "4,0.0000E+00"),
        (dict(ch2_unplugged=1), 2, EMPTY),
        (dict(ch1_unidentified=1), 1, "6,0.0000E+00"),
    ],
)
def test_the_status_beside_a_value_says_what_it_is_worth(
    unit: PfeifferTpg36x, state: dict[str, float], channel: int, reply: str
) -> None:
    write(unit, **state)
    assert ask(unit, f"PR{channel}") == reply


def test_trouble_with_a_gauge_shows_in_its_name_and_goes_away(unit: PfeifferTpg36x) -> None:
    write(unit, ch1_unidentified=1, ch4_unplugged=1)
    assert ask(unit, "TID") == "noIDENT,TPR/PCR,CMR/APR,noSENSOR,noSENSOR,noSENSOR"
    assert ask(unit, "SEN") == "0,0,0,0,0,0"
    write(unit, ch1_sensor_error=0)  # that was not the trouble
    assert ask(unit, "PR1").startswith("6,")
    write(unit, ch1_unidentified=0, ch4_unplugged=0)
    assert ask(unit, "SEN") == "2,0,0,2,0,0"


# -- the section "Bad input" ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("XYZ", "0001"),
        ("PR7", "0001"),
        ("PR", "0001"),
        ("pr1", "0001"),
        (" PR1", "0001"),
        ("PR1 ", "0001"),
        ("UNI 4", "0001"),
        ("\xff\x00", "0001"),
        ("SP1", "0001"),
        ("X" * 200, "0001"),
        ("PR1,1", "0010"),
        ("TID,", "0010"),
        ("UNI,6", "0010"),
        ("UNI,-1", "0010"),
        ("UNI,1.0", "0010"),
        ("UNI,", "0010"),
        ("UNI,0,0", "0010"),
        ("UNI,99999999999999999999", "0010"),
        ("SEN,1", "0010"),
        ("SEN,1,0,0,0,0", "0010"),
        ("SEN,1,0,0,0,0,0,0", "0010"),
        ("SEN,3,0,0,0,0,0", "0010"),
        ("SEN,0,1,0,0,0,0", "0010"),
        ("SEN,0,0,0,0,1,0", "0100"),
        ("COM,3", "0010"),
    ],
)
def test_a_bad_line_gets_nak_and_enq_then_reads_the_error_word_once(
    unit: PfeifferTpg36x, line: str, word: str
) -> None:
    assert unit.answer(line.encode("latin-1")) == REFUSED
    assert data(unit) == word
    assert data(unit) == "0000"
    assert ask(unit, "UNI") == "4"
    assert ask(unit, "SEN") == "2,0,0,2,0,0"
    unit.step(10)
    assert unit.take_unasked() == []


def test_an_input_that_the_model_does_not_have_is_no_hardware() -> None:
    unit = PfeifferTpg36x(seed=1, model="TPG362")
    assert unit.answer(b"PR3") == REFUSED
    assert data(unit) == "0100"


def test_errors_gather_in_the_word_until_it_is_read(unit: PfeifferTpg36x) -> None:
    for line in (b"XYZ", b"XYZ", b"UNI,9"):
        assert unit.answer(line) == REFUSED
    assert ask(unit, "UNI") == "4"
    assert ask(unit, "ERR") == "0011"
    assert ask(unit, "ERR") == "0000"


def test_a_controller_error_stays_until_it_is_gone(unit: PfeifferTpg36x) -> None:
    write(unit, controller_error=1)
    assert ask(unit, "ERR") == "1000"
    assert unit.answer(b"XYZ") == REFUSED
    assert [data(unit), data(unit)] == ["1001", "1000"]
    write(unit, controller_error=0)
    assert ask(unit, "ERR") == "0000"


def test_enq_without_a_question_is_not_answered(unit: PfeifferTpg36x) -> None:
    assert unit.answer(ENQ) == b""
    assert ask(unit, "UNI") == "4"
    assert unit.answer(ETX) == b""
    assert unit.answer(ENQ) == b""


def test_each_interface_has_a_question_of_its_own(unit: PfeifferTpg36x) -> None:
    unit.answer_on("tcp", b"UNI")
    unit.answer_on("serial", b"PNR")
    assert unit.answer_on("tcp", ENQ) == b"4\r\n"
    assert unit.answer_on("serial", ENQ) == b"010400\r\n"


# -- framing -------------------------------------------------------------------------------------


def silent() -> None:
    """Nobody listens."""


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_messages_do_not_depend_on_how_the_bytes_arrive(chunks: list[bytes]) -> None:
    piecewise, at_once = HandshakeFramer(silent), HandshakeFramer(silent)
    messages = [message for chunk in chunks for message in piecewise.feed(chunk)]
    assert messages == at_once.feed(b"".join(chunks))


def test_lines_and_control_characters_come_in_their_order() -> None:
    sent = b"\r\nPR1\r\n\x05\x05garb\x03UNI\rPN\x05R\n"
    assert HandshakeFramer(silent).feed(sent) == [b"PR1", ENQ, ENQ, ETX, b"UNI", ENQ, b"PNR"]


def test_endless_bytes_without_an_end_take_no_memory() -> None:
    framer = HandshakeFramer(silent)
    for _ in range(100):
        assert framer.feed(b"x" * 1000) == []
    assert len(framer._pending) <= 81
    [line] = framer.feed(b"\r")
    assert len(line) == 81


@given(st.binary(max_size=100))
def test_no_bytes_whatever_break_the_model(sent: bytes) -> None:
    unit = PfeifferTpg36x()
    for message in unit.framer().feed(sent):
        unit.answer(message)
    unit.answer(ETX)
    assert ask(unit, "PNR") == "010400"


# -- the stream ----------------------------------------------------------------------------------


def test_after_power_up_it_streams_once_a_second_until_the_first_character() -> None:
    unit = PfeifferTpg36x(seed=1, model="TPG361")
    unit.noise = 0.0
    framer = unit.framer()
    unit.step(0.9)
    assert unit.take_unasked() == []
    assert unit.speaks_in_s() == pytest.approx(0.1)
    unit.step(0.2)
    assert unit.take_unasked() == [b"0,2.1000E-06\r\n"]
    for _ in range(30):
        unit.step(0.1)
    assert len(unit.take_unasked()) == 3
    assert framer.feed(b"P") == []
    unit.step(10)
    assert unit.take_unasked() == []
    assert unit.speaks_in_s() == math.inf


@pytest.mark.parametrize(("command", "lines"), [("COM,0", 100), ("COM", 10), ("COM,1", 10)])
def test_com_switches_the_stream_on_again(unit: PfeifferTpg36x, command: str, lines: int) -> None:
    framer = unit.framer()
    replies = [unit.answer(message) for message in framer.feed(command.encode() + b"\r")]
    assert replies == [ACCEPTED]
    assert framer.feed(b"\n") == []
    count = 0
    for _ in range(1000):
        unit.step(0.01)
        count += len(unit.take_unasked())
    assert count == pytest.approx(lines, abs=1)
    framer.feed(ETX)
    unit.step(10)
    assert unit.take_unasked() == []


def test_com_2_is_a_line_a_minute(unit: PfeifferTpg36x) -> None:
    assert unit.answer(b"COM,2") == ACCEPTED
    unit.step(59)
    assert unit.take_unasked() == []
    unit.step(2)
    assert len(unit.take_unasked()) == 1


def test_lines_that_nobody_takes_do_not_pile_up(unit: PfeifferTpg36x) -> None:
    unit.answer(b"COM,0")
    for _ in range(10):
        unit.step(3600)
    assert len(unit.take_unasked()) <= 10


# -- vacuum and supply ---------------------------------------------------------------------------


def pressure(unit: PfeifferTpg36x) -> float:
    return unit.quantities()["chamber_mbar"].read()


def test_a_vented_chamber_is_pumped_down_to_where_its_leak_holds_it(unit: PfeifferTpg36x) -> None:
    write(unit, chamber_mbar=1013)
    pressures = []
    for _ in range(8):
        unit.step(30)
        pressures.append(pressure(unit))
    assert pressures == sorted(pressures, reverse=True)
    assert pressures[2] > 0.01
    assert pressures[-1] == pytest.approx(2.1e-6, rel=0.02)
    write(unit, chamber_leak=1e-2)
    unit.step(600)
    assert pressure(unit) == pytest.approx(2e-3, rel=0.01)


def test_without_a_pump_the_leak_fills_the_chamber_up_to_atmosphere(unit: PfeifferTpg36x) -> None:
    write(unit, chamber_pumping=0, chamber_leak=0.5)
    unit.step(100)
    assert pressure(unit) == pytest.approx(1.0, rel=0.01)
    unit.step(1e7)
    assert pressure(unit) == pytest.approx(1013.25)
    assert ask(unit, "PR1") == "2,1.0000E+03"


@pytest.mark.parametrize("steps", [1, 7, 600])
def test_the_pressure_does_not_depend_on_the_steps(steps: int) -> None:
    unit = PfeifferTpg36x()
    unit.chamber.mbar = 1000.0
    for _ in range(steps):
        unit.step(60 / steps)
    assert pressure(unit) == pytest.approx(2.4788, rel=1e-3)


def test_readings_are_noisy_in_the_same_way_for_the_same_seed() -> None:
    def readings() -> list[str]:
        unit = PfeifferTpg36x(seed=3)
        shown = []
        for _ in range(5):
            unit.step(0.1)
            shown.append(ask(unit, "PR1"))
        return shown

    assert readings() == readings()
    assert len(set(readings())) > 1


def test_after_a_loss_of_supply_it_streams_and_has_its_settings(unit: PfeifferTpg36x) -> None:
    ask(unit, "UNI,1")
    ask(unit, "SEN,1,0,0,0,0,0")
    assert unit.answer(b"XYZ") == REFUSED
    unit.power_off()
    unit.step(60)
    assert unit.take_unasked() == []
    unit.power_on()
    unit.step(1.1)
    assert [line[:2] for line in unit.take_unasked()] == [b"4,"]
    assert unit.answer(ENQ) == b""
    assert [ask(unit, each) for each in ("UNI", "SEN", "ERR")] == ["1", "1,0,0,2,0,0", "0000"]


@pytest.mark.parametrize("dt_s", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_only(unit: PfeifferTpg36x, dt_s: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        unit.step(dt_s)


# -- real links ----------------------------------------------------------------------------------


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """The twin on TCP and on a pseudo-terminal, time stopped."""
    model = PfeifferTpg36x(seed=1)
    model.noise = 0.0
    with Simulator(model, tcp=("127.0.0.1", 0), pty=True, time_factor=0.0, seed=1) as running:
        yield running


def handshake(host: Any, text: str) -> str:
    host.socket.sendall(text.encode("latin-1") + b"\r")
    assert host.read() == "\x06\r\n"
    host.socket.sendall(ENQ)
    return str(host.read()).removesuffix("\r\n")


def test_a_host_on_tcp_ends_the_stream_and_asks(
    sim: Simulator, connect: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    host = connect(sim.url)

    def hears_a_line() -> bool:
        sim.skip(1)
        return bool(select.select([host.socket], [], [], 0)[0])

    wait_until(hears_a_line)
    host.socket.sendall(ETX + b"PNR\r")
    while (line := host.read()) != "\x06\r\n":
        assert line.startswith("0,2.1000E-06,0,1.1000E-02,")
    host.socket.sendall(ENQ)
    assert host.read() == "010400\r\n"
    sim.skip(10)
    assert handshake(host, "UNI,0") == "0"
    sim.set(chamber_mbar=3e-4)
    assert handshake(host, "PR1") == "0,3.0000E-04"


def test_a_serial_host_asks_and_sets(sim: Simulator) -> None:
    url = sim.urls["serial"]
    assert "baud=9600&bits=8&parity=none" in url
    path = url.removeprefix("serial://").partition("?")[0]
    with serial.Serial(path, 9600, timeout=20, exclusive=True) as port:
        port.write(ETX + b"SEN,1,0,0,0,0,0\r\n")
        assert port.read_until(b"\r\n") == ACCEPTED
        port.write(ENQ)
        assert port.read_until(b"\r\n") == b"1,0,0,2,0,0\r\n"
        assert sim.get("ch1_on") == {"ch1_on": 0}
        port.write(b"XYZ\r\x05")
        assert port.read_until(b"\r\n") == REFUSED
        assert port.read_until(b"\r\n") == b"0001\r\n"


def test_the_fault_nak_refuses_lines_and_answers_enq(
    sim: Simulator, connect: Callable[..., Any]
) -> None:
    host = connect(sim.url)
    host.socket.sendall(ETX)
    assert handshake(host, "PNR") == "010400"
    sim.fault("nak")
    host.socket.sendall(b"UNI,0\r")
    assert host.read() == "\x15\r\n"
    host.socket.sendall(ENQ)
    assert host.read() == "0001\r\n"
    sim.clear_faults()
    assert handshake(host, "UNI") == "4"


def test_another_instrument_can_be_pretended(sim: Simulator, connect: Callable[..., Any]) -> None:
    host = connect(sim.url)
    sim.fault("wrong-identity", identity="ACME,1,2,3,4")
    assert handshake(host, "AYT") == "ACME,1,2,3,4"


def test_it_is_the_model_that_an_instrument_file_names() -> None:
    small = PfeifferTpg36x(**PfeifferTpg36x.made_for({"model": "tpg362"}))
    assert len(small.channels) == 2
    assert len(PfeifferTpg36x(**PfeifferTpg36x.made_for({})).channels) == 6
