"""The Lake Shore 336 driver against a table of replies, written from the sheet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers._lakeshore336 import INPUTS, OUTPUTS, plain, to_float, to_reading
from drivers.lakeshore336 import Alarm, LakeShore336, OutputMode, Ramp, SensorInput
from drivers.ports.scripted import ScriptedPort
from mktl.errors import (
    BadValue,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.fakes import FakeDevice, device

IDN = "LSCI,MODEL336,LSA1234/#######,2.9"
KELVIN, CELSIUS, SENSOR = "1,1,0,0,1", "1,1,0,0,2", "1,1,0,0,3"


class Instrument:
    """Replies by query; what is not a query is taken, unless it is in ``refused``."""

    def __init__(self) -> None:
        self.replies = {
            "*IDN?": IDN,
            "KRDG? A": "+77.350",
            "RDGST? A": "000",
            "SETP? 1": "+80.000",
            "OUTMODE? 1": "1,1,1",
            **{f"INTYPE? {letter}": KELVIN for letter in INPUTS},
        }
        self.refused: dict[str, int] = {}
        self.esr = 0
        self.sets: list[str] = []
        self.mangle = lambda line: line

    def __call__(self, message: str) -> bytes | None:
        parts = []
        for command in message.split(";"):
            if command == "*ESR?":
                parts.append(f"{self.esr:03d}")
                self.esr = 0
            elif command in self.refused:
                self.esr |= self.refused[command]
            elif "?" not in command:
                self.sets.append(command)
            elif command in self.replies:
                parts.append(self.replies[command])
            else:
                self.esr |= 32
        line = ";".join(parts)
        if not parts:
            return None
        return f"{line if '*IDN?' in message else self.mangle(line)}\r\n".encode("latin-1")


@pytest.fixture
def instrument() -> Instrument:
    return Instrument()


@pytest.fixture
def fake(instrument) -> Iterator[FakeDevice]:
    with device(instrument) as made:
        yield made


@pytest.fixture
def tc(fake) -> Iterator[LakeShore336]:
    with LakeShore336.open(fake.url, name="tc", retry_first_s=0.05) as controller:
        yield controller


def test_a_temperature_comes_with_its_status_in_one_message(tc, fake):
    assert tc.temperature_k("A") == 77.35
    assert tc.temperature_k("a") == 77.35
    assert fake.received[1:] == ["KRDG? A;RDGST? A;*ESR?"] * 2


def test_a_reading_with_status_bits_is_an_error_that_names_them(tc, instrument):
    instrument.replies |= {"KRDG? A": "+0.0000", "RDGST? A": "033"}
    with pytest.raises(InvalidReading, match=r"input A.*Invalid reading \(1\).*overrange \(32\)"):
        tc.temperature_k("A")
    assert tc.reading_status("A") == 33
    assert tc.status().errors == 0


@pytest.mark.parametrize(
    ("bit", "words"),
    [(1, "Invalid reading"), (16, "underrange"), (32, "overrange"), (64, "zero"), (128, "over")],
)
def test_each_status_bit_alone_makes_a_reading_invalid(tc, instrument, bit, words):
    instrument.replies |= {"RDGST? A": f"{bit:03d}", "CRDG? A": "+0.0000", "SRDG? A": "+0.0000"}
    for read in (tc.temperature_k, tc.temperature_c, tc.sensor_units):
        with pytest.raises(InvalidReading, match=rf"{words}.*\({bit}\)"):
            read("A")


@pytest.mark.parametrize("reply", ["+0.0000", "-0.0000", "-1.0000"])
def test_no_temperature_is_zero_kelvin_or_less_even_without_a_status_bit(tc, instrument, reply):
    every = {f"RDGST? {letter}": "000" for letter in INPUTS}
    instrument.replies |= {"KRDG? A": reply, "KRDG? 0": f"{reply},+4.2,+4.2,+4.2", **every}
    with pytest.raises(InvalidReading, match=r"input A is not valid: -?[01] K cannot be"):
        tc.temperature_k("A")
    found = tc.all_temperatures_k()
    assert isinstance(found["A"][0], InvalidReading)
    assert found["B"] == (4.2, 0)
    assert tc.status().errors == 0


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "000",
        "+77.350",
        "+77.350;000",
        "+77.350;000;",
        "+77.350;;000",
        ";000;000",
        "77.350;000;000",
        ".350;000;000",
        "+77,350;000;000",
        "+nan;000;000",
        "+inf;000;000",
        "-----;000;000",
        "+77.350;256;000",
        "+77.350;0x1;000",
        "+77.350;000;000;000",
        "+77.350;+12.0;000;000",
        "+77.3 50;000;000",
        "\xb2;000;000",
        "KRDG? A;RDGST? A;*ESR?",
    ],
)
def test_a_reply_that_cannot_be_is_never_a_number(tc, instrument, reply):
    instrument.mangle = lambda line: reply
    with pytest.raises(ProtocolMismatch, match=r"tc at tcp://.*KRDG"):
        tc.temperature_k("A")
    instrument.mangle = lambda line: line
    assert tc.temperature_k("A") == 77.35


def test_a_refused_command_names_what_was_sent_and_the_bits_in_words(tc, instrument):
    instrument.refused = {"SETP 1,300": 16}
    with pytest.raises(
        DeviceRefused, match=r"tc at .*'SETP 1,300;\*ESR\?'.*execution error \(16\)"
    ):
        tc.set_setpoint_k(1, 300)
    assert tc.temperature_k("A") == 77.35


def test_a_query_that_the_instrument_does_not_know_is_refused_at_once(tc):
    with pytest.raises(DeviceRefused, match=r"command error \(32\)"):
        tc.temperature_k("B")


def test_an_old_error_is_not_blamed_on_the_first_command(tc, instrument):
    instrument.esr = 32 | 128
    tc.set_heater_range(1, 2)
    assert instrument.sets == ["RANGE 1,2"]


def test_a_power_cycle_connects_anew_and_restores(fake, instrument):
    with LakeShore336.open(fake.url, restore=["RAMP 1,1,5"], retry_first_s=0.05) as tc:
        tc.wait_until_up()
        instrument.esr = 128
        assert tc.temperature_k("A") == 77.35
        wait_until(lambda: instrument.sets == ["RAMP 1,1,5"] * 2)


def test_a_power_cycle_that_is_told_while_the_line_is_put_in_step_restores_the_settings():
    ask, restore = b"*IDN?;*ESR?\n", (b"RAMP 1,1,5;*ESR?\n", b"0\r\n")
    port = ScriptedPort(
        (ask, f"{IDN};0\r\n".encode()),
        restore,
        (b"KRDG? A;RDGST? A;*ESR?\n", b""),  # it is off at this moment
        (ask, f"{IDN};128\r\n".encode()),
        (ask, f"{IDN};0\r\n".encode()),
        restore,
    )
    tc = LakeShore336("tcp://127.0.0.1", restore=["RAMP 1,1,5"], timeout_s=0.2, retry_first_s=0.05)
    tc._line._port = port
    states: list[str] = []
    tc.on_change(lambda status: states.append(status.state))
    with tc:
        tc.wait_until_up()
        with pytest.raises(DeviceTimeout):
            tc.temperature_k("A")
        wait_until(lambda: port.finished and states == ["Connecting", "Up", "Down", "Up"])


def test_a_power_cycle_that_is_told_in_a_late_reply_restores_the_settings(fake, instrument):
    with LakeShore336.open(
        fake.url, restore=["RAMP 1,1,5"], timeout_s=1.0, retry_first_s=0.05
    ) as tc:
        tc.wait_until_up()
        answer = fake.answer
        fake.answer = lambda _message: b"+77.350;000;"
        with pytest.raises(DeviceTimeout), tc.turn():
            try:
                tc.temperature_k("A")
            finally:
                fake.answer = answer
                fake.send(b"128\r\n")
        wait_until(lambda: instrument.sets == ["RAMP 1,1,5"] * 2)


def test_a_power_cycle_that_the_idle_probe_is_told_of_restores_the_settings(fake, instrument):
    with LakeShore336.open(
        fake.url, restore=["RAMP 1,1,5"], idle_probe_s=0.1, retry_first_s=0.05
    ) as tc:
        tc.wait_until_up()
        instrument.esr = 128
        wait_until(lambda: instrument.sets == ["RAMP 1,1,5"] * 2)


def test_a_power_cycle_is_noticed_beside_an_error(fake, instrument):
    with LakeShore336.open(fake.url, restore=["RAMP 1,1,5"], retry_first_s=0.05) as tc:
        tc.wait_until_up()
        instrument.esr = 128 | 32
        with pytest.raises(DeviceRefused, match="command error"):
            tc.temperature_k("A")
        wait_until(lambda: instrument.sets == ["RAMP 1,1,5"] * 2)


def test_an_error_in_an_answer_that_was_lost_is_told(fake, instrument):
    with LakeShore336.open(fake.url, timeout_s=1.0) as tc:
        tc.wait_until_up()
        answer = fake.answer
        fake.answer = lambda _message: None
        unknown = pytest.raises(DeviceTimeout, match="may or may not have been carried out")
        with unknown, tc.turn():
            try:
                tc.set_heater_range(1, 3)
            finally:
                fake.answer = answer
                instrument.esr = 16
        wait_until(lambda: "execution error (16)" in tc.status().error)
        assert tc.status().state == "Up"


def test_a_refusal_does_not_claim_more_than_the_register_tells(tc, instrument):
    instrument.refused = {"RANGE 1,3": 16}
    with pytest.raises(DeviceRefused, match=r"most likely it refused .* for another host too"):
        tc.set_heater_range(1, 3)


def test_a_restore_command_that_is_refused_keeps_the_link_down(fake, instrument):
    instrument.refused = {"RAMP 1,1,500": 16}
    with LakeShore336.open(fake.url, restore=["RAMP 1,1,500"]) as tc:
        tc.start()
        wait_until(lambda: tc.status().state == "Down")
        assert "execution error" in tc.status().error


@pytest.mark.parametrize(("setup", "sent"), [(KELVIN, "SETP 1,80.5"), (CELSIUS, "SETP 1,-192.65")])
def test_a_setpoint_is_sent_in_the_units_of_the_control_input(tc, instrument, setup, sent):
    instrument.replies["INTYPE? A"] = setup
    tc.set_setpoint_k(1, 80.5)
    assert instrument.sets == [sent]


def test_a_setpoint_is_read_in_the_units_of_the_control_input(tc, instrument):
    assert tc.setpoint_k(1) == 80.0
    instrument.replies |= {"INTYPE? A": CELSIUS, "SETP? 1": "-193.150"}
    assert tc.setpoint_k(1) == pytest.approx(80.0)


def test_a_setpoint_that_is_no_temperature_is_refused_and_not_shown(tc, instrument):
    instrument.replies["INTYPE? A"] = SENSOR
    with pytest.raises(DeviceRefused, match="sensor units; nothing was changed"):
        tc.set_setpoint_k(1, 80)
    with pytest.raises(InvalidReading, match="sensor units"):
        tc.setpoint_k(1)
    instrument.replies["OUTMODE? 1"] = "0,0,0"
    with pytest.raises(InvalidReading, match="no control input"):
        tc.setpoint_k(1)
    assert instrument.sets == []


def test_settings_are_read_as_what_they_are(tc, instrument):
    instrument.replies |= {
        "RANGE? 1": "3", "HTR? 1": "+45.3", "AOUT? 3": "+10.0", "HTRST? 1": "1",
        "PID? 1": "50.0,20.0,0.0", "RAMP? 1": "1,5.0", "RAMPST? 1": "1", "MOUT? 1": "25",
        "INNAME? A": "Detector; 1    ", "ALARM? A": "1,100.0,20.0,0.5,1,0,1",
        "ALARMST? A": "1,0", "TLIMIT? A": "325.0", "OPST?": "016", "CRDG? A": "-195.800",
        "SRDG? A": "+1.0283",
    }  # fmt: skip
    assert tc.heater_range(1) == 3
    assert (tc.heater_percent(1), tc.heater_percent(3)) == (45.3, 10.0)
    assert tc.heater_fault(1) == 1
    assert tc.pid(1) == (50.0, 20.0, 0.0)
    assert tc.ramp(1) == Ramp(True, 5.0)
    assert tc.ramping(1) is True
    assert tc.output_mode(1) == OutputMode(1, "A", True)
    assert tc.manual_output_percent(1) == 25
    assert tc.sensor_name("A") == "Detector; 1"
    assert tc.input_type("A") == SensorInput(1, True, 0, False, 1)
    assert tc.alarm("A") == Alarm(True, 100.0, 20.0, 0.5, True, False, True)
    assert tc.alarm_state("A") == 1
    assert tc.temperature_limit_k("A") == 325
    assert tc.operation_status() == 16
    assert tc.temperature_c("A") == -195.8
    assert tc.sensor_units("A") == 1.0283
    assert tc.identity() == IDN


def test_settings_are_sent_as_the_sheet_has_them(tc, instrument):
    tc.set_heater_range(1, 3)
    tc.set_pid(1, 50, 20, 0)
    tc.set_ramp(1, enabled=True, rate_k_per_min=5)
    tc.set_ramp(1, enabled=False, rate_k_per_min=0)
    tc.set_output_mode(1, OutputMode(1, "B", False))
    tc.set_output_mode(3, OutputMode(0, None, False))
    tc.set_manual_output_percent(1, 25)
    tc.set_sensor_name("A", "Detector")
    tc.set_temperature_limit_k("A", 325)
    tc.set_alarm("A", Alarm(True, 100, 20, 0.5, True, False, True))
    tc.reset_alarms()
    assert instrument.sets == [
        "RANGE 1,3", "PID 1,50,20,0", "RAMP 1,1,5", "RAMP 1,0,0", "OUTMODE 1,1,2,0",
        "OUTMODE 3,0,0,0", "MOUT 1,25", 'INNAME A,"Detector"', "TLIMIT A,325",
        "ALARM A,1,100,20,0.5,1,0,1", "ALMRST",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        lambda tc: tc.temperature_k("E"),
        lambda tc: tc.temperature_k("0"),
        lambda tc: tc.temperature_k(1),
        lambda tc: tc.setpoint_k(5),
        lambda tc: tc.setpoint_k(True),
        lambda tc: tc.heater_fault(3),
        lambda tc: tc.set_setpoint_k(1, -1),
        lambda tc: tc.set_setpoint_k(1, 2001),
        lambda tc: tc.set_setpoint_k(1, float("nan")),
        lambda tc: tc.set_setpoint_k(1, "80"),
        lambda tc: tc.set_setpoint_k(1, None),
        lambda tc: tc.set_heater_range(1, 4),
        lambda tc: tc.set_heater_range(3, 2),
        lambda tc: tc.set_pid(1, 0, 20, 0),
        lambda tc: tc.set_pid(1, 50, 1001, 0),
        lambda tc: tc.set_pid(1, 50, 20, 201),
        lambda tc: tc.set_ramp(1, enabled=True, rate_k_per_min=0.05),
        lambda tc: tc.set_ramp(1, enabled=True, rate_k_per_min=101),
        lambda tc: tc.set_manual_output_percent(1, 101),
        lambda tc: tc.set_sensor_name("A", "x" * 16),
        lambda tc: tc.set_sensor_name("A", 'a";SETP 1,300'),
        lambda tc: tc.set_sensor_name("A", "a\nSETP 1,300"),
        lambda tc: tc.set_output_mode(1, OutputMode(6, "A", False)),
        lambda tc: tc.set_output_mode(1, OutputMode(1, "E", False)),
        lambda tc: tc.channel("pid.1").write([1, 2]),
        lambda tc: tc.channel("input.1").write(5),
    ],
)
def test_arguments_outside_the_sheet_are_refused_before_anything_is_sent(tc, fake, call):
    with pytest.raises(BadValue):
        call(tc)
    assert fake.received in ([], ["*IDN?;*ESR?"])


def test_channels_change_one_part_and_keep_the_rest(tc, instrument):
    instrument.replies |= {"PID? 1": "50.0,20.0,0.0", "RAMP? 1": "1,5.0"}
    tc.channel("i.1").write(30)
    tc.channel("ramp.1.enabled").write(False)
    tc.channel("ramp.1.rate").write(2.5)
    tc.channel("mode.1").write(3)
    tc.channel("input.1").write(2)
    tc.channel("pid.1").write([10, 20, 30])
    assert instrument.sets == [
        "PID 1,50,30,0", "RAMP 1,0,5", "RAMP 1,1,2.5", "OUTMODE 1,3,1,1", "OUTMODE 1,1,2,1",
        "PID 1,10,20,30",
    ]  # fmt: skip
    assert tc.channel("pid.1").read() == [50.0, 20.0, 0.0]
    assert tc.channel("i.1").read() == 20.0
    assert tc.channel("input.1").read() == 1


def test_every_channel_describes_itself_as_on_the_wire(tc):
    channels = tc.channels()
    paths = [channel.path for channel in channels]
    assert len(set(paths)) == len(paths)
    assert {f"temperature.{letter}" for letter in INPUTS} <= set(paths)
    assert {f"setpoint.{output}" for output in OUTPUTS} <= set(paths)
    known = {
        "description",
        "type",
        "units",
        "format",
        "enumerators",
        "range",
        "settable",
        "gettable",
    }
    for channel in channels:
        assert channel.item["description"], channel.path
        assert set(channel.item) <= known
        assert all(isinstance(key, str) for key in channel.item.get("enumerators", {}))
        assert channel.read is not None
        assert channel.item["settable"] == (channel.write is not None)
    assert tc.channel("temperature.A").item["units"] == "kelvin"
    assert tc.channel("range.3").item["enumerators"] == {"0": "Off", "1": "On"}
    assert tc.channel("status.A").item["enumerators"]["None"] == "None"


def test_raw_commands_are_checked_too(tc, instrument):
    instrument.refused = {"SETP 1,9999": 16}
    assert tc.raw("KRDG? A") == "+77.350"
    assert tc.raw("RANGE 1,1") == ""
    with pytest.raises(DeviceRefused, match="execution error"):
        tc.raw("SETP 1,9999")
    with pytest.raises(DeviceTimeout, match="nothing came back"):
        tc.raw("NONSENSE?")
    assert tc.temperature_k("A") == 77.35


def test_numbers_are_read_strictly_and_written_plainly():
    assert to_reading("+4.2000") == 4.2
    assert to_float("50") == 50
    assert to_float("1.5E+3") == 1500
    for text in ("", "+", "1.2.3", " 1", "1 ", "1_0", "nan", "1e999", "٣", "+1E+999"):
        with pytest.raises(ValueError, match="not a number"):
            to_float(text)
    assert [plain(value) for value in (80.0, 1e-7, 0.1, 1000.0, -0.0, 77.12345678)] == [
        "80", "0", "0.1", "1000", "0", "77.12346",
    ]  # fmt: skip
