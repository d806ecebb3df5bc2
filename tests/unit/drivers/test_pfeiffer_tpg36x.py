"""The Pfeiffer TPG 36x driver against a device of a few lines, written from the sheet."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from drivers import _pfeiffer_tpg36x as tpg
from drivers.channel import Channel
from drivers.pfeiffer_tpg36x import PfeifferTPG36x
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    ProtocolMismatch,
    UnknownKey,
)
from tests._support import wait_until
from tests.unit.drivers.text_fakes import PtyDevice, TextDevice, pty_device, text_device

ACK, NAK, ENQ, ETX = b"\x06\r\n", b"\x15\r\n", b"\x05", b"\x03"
QUICK = {"timeout_s": 2.0, "retry_first_s": 0.05, "retry_longest_s": 0.2}
IDENTITY = "TPG366,PTG28770,44990000,010400,010100"
ALL = "0,8.0800E-05,1,1.0000E-09,2,1.0000E+03,3,0.0000E+00,4,0.0000E+00,5,2.0000E-02"


class Quick(PfeifferTPG36x):
    """Waits less for silence than a real one needs."""

    line_defaults = replace(PfeifferTPG36x.line_defaults, quiet_s=0.03)


class Gauges:
    """A controller as the sheet has it; ``mangle`` is what happens to a reply on its way."""

    def __init__(self) -> None:
        self.known = {
            "AYT": IDENTITY, "PNR": "010400", "PRX": ALL, "UNI": "4", "SEN": "0,2,1,1,2,0",
            "TID": "PKR,TPR/PCR,IKR,CMR/APR,noSENSOR,noIDENT", "ERR": "0000",
        }  # fmt: skip
        for n in range(6):
            self.known[f"PR{n + 1}"] = ",".join(ALL.split(",")[2 * n : 2 * n + 2])
        self.refused: dict[str, str] = {}
        self.deaf = False
        self.log: list[str] = []
        self.mangle: Callable[[str, bytes], bytes] = lambda _message, reply: reply
        self.after: Callable[[str], None] = lambda _message: None
        self._message = ""
        self._data = "0001"

    def __call__(self, message: bytes) -> bytes | None:
        if message == ETX:
            self.log.append("ETX")
            return None
        if message == ENQ:
            return self.mangle(f"{self._message} ENQ", self._data.encode("latin-1") + b"\r\n")
        self._message = message.decode().strip()
        self.log.append(self._message)
        reply = self._understand(self._message)
        self.after(self._message)
        return self.mangle(self._message, reply)

    def _understand(self, message: str) -> bytes:
        name, comma, values = message.partition(",")
        if message in self.refused or name not in self.known:
            self._data = self.refused.get(message, "0001")
            return NAK
        if comma and not self.deaf:
            self._set(name, values)
        self._data = self.known[name]
        return ACK

    def _set(self, name: str, values: str) -> None:
        if name == "SEN":
            pairs = zip(self.known["SEN"].split(","), values.split(","), strict=True)
            values = ",".join(new if new != "0" else old for old, new in pairs)
        self.known[name] = values

    @property
    def asked(self) -> list[str]:
        return [one for one in self.log if one not in ("ETX", "AYT")]


@pytest.fixture
def gauges() -> Gauges:
    return Gauges()


@pytest.fixture(params=["tcp", "pty"])
def device(request, gauges) -> Iterator[TextDevice | PtyDevice]:
    make = text_device if request.param == "tcp" else pty_device
    with make(gauges, end=b"\r", alone=ENQ + ETX) as made:
        yield made


@pytest.fixture
def tcp(gauges) -> Iterator[TextDevice]:
    with text_device(gauges, end=b"\r", alone=ENQ + ETX) as made:
        yield made


@contextlib.contextmanager
def opened(device: TextDevice | PtyDevice, **settings) -> Iterator[PfeifferTPG36x]:
    with Quick(device.url, name="vac", **{**QUICK, **settings}) as driver:
        driver.start()
        yield driver


@pytest.fixture
def unit(tcp, gauges) -> Iterator[PfeifferTPG36x]:
    with opened(tcp) as driver:
        driver.wait_until_up()
        gauges.log.clear()
        yield driver


def read(unit: PfeifferTPG36x, *paths: str) -> dict[str, object]:
    planned = unit.plan_reads([unit.channel(path) for path in paths])
    return {
        channel.path: value
        for one in planned
        for channel, value in zip(one.channels, one.read(), strict=True)
    }


def test_what_is_read_is_what_the_unit_says(device, gauges):
    with opened(device) as unit:
        unit.wait_until_up()
        assert unit.pressure_hpa(1) == pytest.approx(8.08e-5)
        assert [one.status for one in unit.measurements()] == [0, 1, 2, 3, 4, 5]
        assert unit.gauge_status(4) == 3
        assert unit.gauges() == (0, 2, 1, 1, 2, 0)
        assert unit.gauge(2) == 2
        assert unit.gauge_types() == ("PKR", "TPR/PCR", "IKR", "CMR/APR", "noSENSOR", "noIDENT")
        assert unit.gauge_type(6) == "noIDENT"
        assert unit.display_unit() == 4
        assert unit.error_word() == 0
        assert unit.identity() == IDENTITY
        assert unit.firmware() == "010400"
        assert gauges.log[0] == "ETX"


@pytest.mark.parametrize(
    ("digit", "shown", "hpa"),
    [("0", "8.0800E-05", 8.08e-5), ("1", "1.0000E+00", 1.333224), ("2", "1.0000E+02", 1.0),
     ("3", "1.0000E+03", 1.333224), ("4", "8.0800E-05", 8.08e-5)],
)  # fmt: skip
def test_pressures_are_in_hectopascal_whatever_the_panel_shows(unit, gauges, digit, shown, hpa):
    gauges.known.update(UNI=digit, PR1=f"0,{shown}")
    assert unit.pressure_hpa(1) == pytest.approx(hpa, rel=1e-6)


def test_volts_are_no_pressure(unit, gauges):
    gauges.known["UNI"] = "5"
    with pytest.raises(InvalidReading, match=r"vac at .*channel 1 has no pressure.*volts"):
        unit.pressure_hpa(1)
    assert unit.gauge_status(1) == 0


def test_a_unit_that_is_changed_while_it_is_read_never_makes_a_wrong_number(unit, gauges):
    """The panel goes from hPa to Pa between the reading and the question for the unit."""
    changes = iter([lambda: gauges.known.update(UNI="2", PR1="0,8.0800E-03")])

    def after(message: str) -> None:
        if message == "PR1":
            next(changes, lambda: None)()

    gauges.after = after
    assert unit.pressure_hpa(1) == pytest.approx(8.08e-5)
    assert gauges.asked == ["UNI", "PR1", "UNI", "PR1", "UNI"]


def test_a_unit_that_never_stays_is_no_pressure(unit, gauges):
    def after(message: str) -> None:
        if message == "PR1":
            gauges.known["UNI"] = "2" if gauges.known["UNI"] == "4" else "4"

    gauges.after = after
    with pytest.raises(InvalidReading, match="again and again"):
        unit.pressure_hpa(1)


@pytest.mark.parametrize(
    ("channel", "words"),
    [(2, "1 .underrange: its limit is 1e-09 hPa"), (3, "2 .overrange: its limit is 1000 hPa"),
     (4, "3 .sensor error"), (5, "4 .sensor off"), (6, "5 .no sensor")],
)  # fmt: skip
def test_only_status_zero_is_a_pressure_and_the_others_are_told_in_words(unit, channel, words):
    with pytest.raises(InvalidReading, match=rf"channel {channel} .*its status is {words}"):
        unit.pressure_hpa(channel)


def test_all_channels_are_read_with_one_message(unit, gauges):
    found = read(unit, *(f"{what}.{n}" for n in range(1, 7) for what in ("pressure", "status")))
    assert gauges.asked == ["UNI", "PRX", "UNI"]
    assert found["pressure.1"] == pytest.approx(8.08e-5)
    assert isinstance(found["pressure.2"], InvalidReading)
    assert [found[f"status.{n}"] for n in range(1, 7)] == [0, 1, 2, 3, 4, 5]
    gauges.log.clear()
    assert read(unit, "gauge.1", "gauge.2", "type.1", "type.2", "unit") == {
        "gauge.1": 0, "gauge.2": 2, "type.1": "PKR", "type.2": "TPR/PCR", "unit": 4,
    }  # fmt: skip
    assert gauges.asked == ["SEN", "TID", "UNI"]


def test_a_gauge_is_switched_without_a_change_to_the_others(unit, gauges):
    unit.channel("gauge.3").write(tpg.ON)
    assert gauges.known["SEN"] == "0,2,2,1,2,0"
    unit.set_gauge(2, tpg.OFF)
    assert gauges.known["SEN"] == "0,1,2,1,2,0"
    assert gauges.asked == ["SEN", "SEN,0,0,2,0,0,0", "SEN", "SEN", "SEN,0,1,0,0,0,0", "SEN"]


def test_a_gauge_that_cannot_be_switched_is_refused_and_nothing_is_sent(unit, gauges):
    with pytest.raises(DeviceRefused, match="channel 1 cannot be switched"):
        unit.set_gauge(1, tpg.ON)
    assert gauges.asked == ["SEN"]


def test_what_is_acknowledged_and_yet_not_so_is_an_error(unit, gauges):
    gauges.deaf = True
    with pytest.raises(DeviceRefused, match=r"'SEN,0,0,2,0,0,0'.*is off"):
        unit.set_gauge(3, tpg.ON)
    with pytest.raises(DeviceRefused, match=r"'UNI,0'.*its unit is hPa"):
        unit.set_display_unit(0)


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("0001", "syntax error"), ("0010", "bad parameter"), ("0100", "no hardware"),
     ("1000", "controller error"), ("0011", "syntax error, bad parameter")],
)  # fmt: skip
def test_a_nak_is_told_with_the_error_word_in_words(unit, gauges, word, meaning):
    gauges.refused["UNI,2"] = word
    with pytest.raises(DeviceRefused, match=rf"'UNI,2' was refused .NAK.*{word}: {meaning}"):
        unit.set_display_unit(2)
    assert unit.display_unit() == 4


def test_a_message_that_it_does_not_know_is_refused_with_the_reason(unit):
    with pytest.raises(DeviceRefused, match=r"'NONSENSE' was refused.*0001: syntax error"):
        unit.raw("NONSENSE")
    assert unit.raw("PR1") == "0,8.0800E-05"
    assert unit.raw("UNI,0") == ""
    assert unit.display_unit() == 0


def test_the_error_word_is_a_mask(unit, gauges):
    gauges.known["ERR"] = "1010"
    assert unit.channel("errors").read() == 0b1010
    assert unit.channel("errors").item["enumerators"]["3"] == "controller error"


@pytest.mark.parametrize(
    "reply",
    ["", "0", "0,", "8.0800E-05", "0,8.0800E-5", "0,8.0800E-0", "0,8.08", "0,8.0800",
     "7,8.0800E-05", "00,8.0800E-05", "0,8.0800E-05,0,8.0800E-05", "0, 8.0800E-05", "0,nan",
     "0,-.---E---", ALL, "\xb2,8.0800E-05", "0;8.0800E-05", IDENTITY, "0001", "PR1",
     "0,8.0800E+999", "-,8.0800E-05"],
)  # fmt: skip
def test_a_reply_that_cannot_be_is_never_a_pressure(unit, gauges, reply):
    gauges.known["PR1"] = reply
    with pytest.raises(ProtocolMismatch, match=r"vac at .*PR1"):
        unit.pressure_hpa(1)
    gauges.known["PR1"] = "0,8.0800E-05"
    assert unit.pressure_hpa(1) == pytest.approx(8.08e-5)


@pytest.mark.parametrize(
    ("query", "reply", "call"),
    [
        ("PRX", ALL[:-13], lambda unit: unit.measurements()),
        ("UNI", "6", lambda unit: unit.display_unit()),
        ("UNI", "", lambda unit: unit.display_unit()),
        ("SEN", "0,2,1", lambda unit: unit.gauges()),
        ("SEN", "0,2,1,1,2,3", lambda unit: unit.gauges()),
        ("TID", "PKR", lambda unit: unit.gauge_types()),
        ("TID", "0,2,1,1,2,0", lambda unit: unit.gauge_types()),
        ("ERR", "2000", lambda unit: unit.error_word()),
        ("PNR", "0,8.0800E-05", lambda unit: unit.firmware()),
    ],
)
def test_a_text_that_cannot_be_is_a_mismatch(unit, gauges, query, reply, call):
    right = gauges.known[query]
    gauges.known[query] = reply
    with pytest.raises(ProtocolMismatch, match="came back"):
        call(unit)
    gauges.known[query] = right
    call(unit)


def test_an_acknowledgement_that_is_none_is_a_mismatch(unit, gauges):
    gauges.mangle = lambda message, reply: b"0001\r\n" if message == "PR1" else reply
    with pytest.raises(ProtocolMismatch, match="is not"):
        unit.pressure_hpa(1)
    gauges.mangle = lambda _message, reply: reply
    assert unit.pressure_hpa(1) == pytest.approx(8.08e-5)


@pytest.mark.parametrize("lost", ["PR1", "PR1 ENQ"])
def test_half_a_handshake_that_is_lost_is_a_timeout_and_the_next_answer_is_right(tcp, gauges, lost):
    with opened(tcp, timeout_s=1.0) as unit:
        unit.wait_until_up()
        gauges.known["PR2"] = "0,3.0000E+00"
        gauges.mangle = lambda message, reply: b"" if message == lost else reply
        with pytest.raises(DeviceTimeout, match="may or may not"):
            unit.pressure_hpa(1)
        gauges.mangle = lambda _message, reply: reply
        assert unit.pressure_hpa(2) == 3.0


@pytest.mark.parametrize("late", ["PR1", "PR1 ENQ"])
def test_a_late_answer_is_never_taken_for_another_one(tcp, gauges, late):
    gauges.known["PR2"] = "0,3.0000E+00"
    held: list[bytes] = []
    with opened(tcp, timeout_s=1.0) as unit:
        unit.wait_until_up()

        def mangle(message: str, reply: bytes) -> bytes:
            if message == late and not held:
                held.append(reply)
                return b""
            if held and message == "AYT":
                return held[0] + reply
            return reply

        gauges.mangle = mangle
        with pytest.raises(DeviceTimeout):
            unit.pressure_hpa(1)
        wait_until(lambda: answers(unit))
        assert unit.pressure_hpa(2) == 3.0
        assert tcp.connections == 1


def answers(unit: PfeifferTPG36x) -> bool:
    with contextlib.suppress(DeviceError):
        return unit.pressure_hpa(2) == 3.0
    return False


def test_a_stream_is_hushed_before_the_first_question(device, gauges):
    """It sends faster than a quiet line could be waited for, until the first character."""
    hushed = threading.Event()
    after = gauges.__call__

    def answer(message: bytes) -> bytes | None:
        hushed.set()
        return after(message)

    device.reply = answer
    with opened(device) as unit:

        def stream() -> None:
            while not hushed.wait(0.02):
                device.send(ALL.encode() + b"\r\n")

        sender = threading.Thread(target=stream)
        sender.start()
        unit.wait_until_up()
        sender.join()
        assert unit.pressure_hpa(1) == pytest.approx(8.08e-5)


def test_a_unit_that_streams_again_was_switched_off_and_on_and_gets_its_settings(tcp, gauges):
    with opened(tcp, restore=["UNI,0", "SEN,0,2,0,0,0,0"]) as unit:
        unit.wait_until_up()
        assert gauges.known["UNI"] == "0"
        gauges.known.update(UNI="4", SEN="0,1,1,1,1,0")
        tcp.send(ALL.encode() + b"\r\n")
        wait_until(lambda: has_its_unit(unit, gauges))
        assert gauges.known["SEN"] == "0,2,1,1,1,0"
        assert tcp.connections == 2


def has_its_unit(unit: PfeifferTPG36x, gauges: Gauges) -> bool:
    with contextlib.suppress(DeviceError):
        unit.gauge_status(1)
    return gauges.known["UNI"] == "0" and unit.status().state == "Up"


def test_a_setting_to_be_restored_that_is_refused_keeps_the_link_down(tcp, gauges):
    gauges.refused["UNI,9"] = "0010"
    with opened(tcp, restore=["UNI,9"]) as unit:
        wait_until(lambda: "bad parameter" in unit.status().error)


def test_another_device_and_another_model_are_named(tcp, gauges):
    gauges.known["AYT"] = "TPG256,PTG28290,1,010400,010100"
    with opened(tcp) as unit:
        wait_until(lambda: unit.status().state == "Wrong device")
        assert "TPG256" in unit.status().error
        gauges.known["AYT"] = "TPG362,PTG28290,1,010400,010100"
        wait_until(lambda: 'model = "tpg362"' in unit.status().error)
        assert unit.status().state == "Wrong device"
        gauges.known["AYT"] = IDENTITY
        unit.wait_until_up()


def test_the_port_and_the_silence_are_those_of_the_sheet():
    with PfeifferTPG36x("serial:///dev/null") as unit:
        assert "baud=9600&bits=8&parity=none" in unit.label
        assert (unit.settings.hush, unit.settings.quiet_s) == (ETX, 0.2)


@pytest.mark.parametrize(("model", "count"), [("tpg361", 1), ("tpg362", 2), ("tpg366", 6)])
def test_a_model_has_the_channels_that_it_has(model, count):
    with PfeifferTPG36x("tcp://127.0.0.1", model=model) as unit:
        assert unit.place == "tcp://127.0.0.1:8000"
        channels = unit.channels()
        assert len([one for one in channels if one.path.startswith("pressure.")]) == count
        with pytest.raises(UnknownKey):
            unit.channel(f"pressure.{count + 1}")


def test_every_channel_describes_itself_and_says_how_long_its_messages_are(unit):
    channels: tuple[Channel, ...] = unit.channels()
    assert len({channel.path for channel in channels}) == len(channels)
    for channel in channels:
        assert channel.item["description"]
        assert channel.sent_bytes
        assert channel.received_bytes
        assert channel.read is not None
    assert unit.channel("pressure.1").item["units"] == "hPa"


@pytest.mark.parametrize(
    "call",
    [
        lambda unit: unit.pressure_hpa(0),
        lambda unit: unit.pressure_hpa(7),
        lambda unit: unit.pressure_hpa("1"),
        lambda unit: unit.gauge_status(True),
        lambda unit: unit.set_gauge(1, 0),
        lambda unit: unit.set_gauge(1, "On"),
        lambda unit: unit.set_gauge(2, True),
        lambda unit: unit.set_display_unit(6),
        lambda unit: unit.set_display_unit("mbar"),
        lambda unit: unit.raw("UNI\r"),
    ],
)
def test_arguments_outside_the_sheet_are_refused_before_anything_is_sent(unit, gauges, call):
    with pytest.raises(BadValue):
        call(unit)
    assert gauges.asked == []


@pytest.mark.parametrize(
    "settings", [{"model": "tpg256"}, {"model": 6}, {"terminator": "\n"}, {"timeout_s": 0}]
)
def test_settings_that_it_does_not_have_are_refused(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        PfeifferTPG36x("tcp://127.0.0.1", **settings)
