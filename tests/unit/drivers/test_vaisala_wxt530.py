"""The Vaisala driver against a transmitter of a few lines, written from the sheet."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._vaisala_wxt530 import PATHS, reading, to_message, to_settings
from drivers.framing.vaisala import CHECKSUM, WxtReplies
from drivers.vaisala_wxt530 import VaisalaWXT530
from mktl.errors import (
    BadValue,
    ConfigurationError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    InvalidReading,
    LinkDown,
    ProtocolMismatch,
)
from tests._support import wait_until
from tests.unit.drivers.pages import names_in_table
from tests.unit.drivers.text_fakes import PtyDevice, TextDevice, pty_device, text_device

WIND = "Dn=236D,Dm=283D,Dx=031D,Sn=0.0M,Sm=1.0M,Sx=2.2M"
PTU = "Ta=23.6C,Ua=14.2P,Pa=1026.6H"
RAIN = "Rc=0.25M,Rd=20s,Ri=1.5M,Hc=0.0M,Hd=0S,Hi=0.0M,Rp=3.2M,Hp=0.0M"
SUPERVISOR = "Th=25.9C,Vh=12.0N,Vs=15.2V,Vr=3.475V"

QUICK: dict[str, Any] = {"timeout_s": 2.0, "retry_first_s": 0.05, "retry_longest_s": 0.2}


class Transmitter:
    """What a transmitter does with a line; a neighbour on the line is another one."""

    def __init__(self, address: str = "0") -> None:
        self.address = address
        self.data = {"1": WIND, "2": PTU, "3": RAIN, "5": SUPERVISOR}
        self.settings = {
            "X": {"A": address, "M": "P", "I": "0", "N": "WXT530", "V": "1.00"},
            "W": {"R": "11111100&01001000", "I": "5"},
            "T": {"R": "11010000&11010000", "I": "60"},
            "R": {"R": "11111111&10110100", "I": "60"},
            "S": {"R": "11111000&11110000", "I": "15", "S": "Y"},
        }
        self.deaf = False
        self.stubborn = False
        self.words: dict[str, str] = {"XZRU": "Rain reset", "XZRI": "Inty reset",
                                      "XZM": "Measurement reset", "XZ": "Start-up"}  # fmt: skip
        self.mangle: Callable[[str, bytes], bytes] = lambda asked, reply: reply

    def __call__(self, message: bytes) -> bytes | None:
        text = message.decode("latin-1")
        if self.deaf or text[:1] not in (self.address, "?"):
            return None
        reply = self._reply(text[1:])
        if reply is None:
            return None
        return self.mangle(text, reply.encode("latin-1") + b"\r\n")

    def line(self, digit: str, *, checked: bool = True) -> bytes:
        """Return a message as it is said unasked."""
        data = self.data[digit]
        text = f"{self.address}{'r' if checked else 'R'}{digit},{data}".encode()
        return (CHECKSUM.added(text) if checked else text) + b"\r\n"

    def _reply(self, command: str) -> str | None:
        if command == "":
            return self.address
        if command[:1] == "r":
            return self._checked_values(command)
        if command in ("R0", "R1", "R2", "R3", "R5"):
            return f"{self.address}{command},{self._values(command[1])}"
        if command[1:2] == "U":
            return self._set(command)
        if command in self.words:
            return f"{self.address}TX,{self.words[command]}"
        return f"{self.address}TX,Unknown cmd error" if self.settings["S"]["S"] == "Y" else None

    def _checked_values(self, command: str) -> str:
        due = CHECKSUM.added(f"{self.address}{command[:2]}".encode()).decode()
        if self.address + command != due:
            return self._checked(f"{self.address}tX,Use chksum {due[-3:]}")
        return self._checked(f"{self.address}{command[:2]},{self._values(command[1])}")

    def _values(self, digit: str) -> str:
        return ",".join(self.data.values()) if digit == "0" else self.data[digit]

    def _set(self, command: str) -> str:
        known = self.settings[command[0]]
        changes = dict(part.split("=") for part in command[3:].split(",") if part)
        if not self.stubborn:
            known.update(changes)
        shown = {letter: known[letter] for letter in changes} or known
        parts = ",".join(f"{letter}={value}" for letter, value in shown.items())
        return f"{self.address}{command[0]}U,{parts}"

    @staticmethod
    def _checked(text: str) -> str:
        return CHECKSUM.added(text.encode()).decode()


class Bus:
    """Several transmitters on one line."""

    def __init__(self, *units: Transmitter) -> None:
        self.units = units

    def __call__(self, message: bytes) -> bytes | None:
        return b"".join(reply for unit in self.units if (reply := unit(message))) or None


@pytest.fixture
def unit() -> Transmitter:
    return Transmitter()


@pytest.fixture(params=[text_device, pty_device])
def device(request, unit) -> Iterator[TextDevice | PtyDevice]:
    with request.param(unit) as made:
        yield made


@pytest.fixture
def net(unit) -> Iterator[TextDevice]:
    with text_device(unit) as made:
        yield made


@contextlib.contextmanager
def opened(
    device: TextDevice | PtyDevice, query: str = "", *, up: bool = True, **settings: Any
) -> Iterator[VaisalaWXT530]:
    made = VaisalaWXT530(f"{device.url}{query}", name="wxt", **{**QUICK, **settings})
    try:
        made.start()
        if up:
            made.wait_until_up(timeout_s=30)
        yield made
    finally:
        made.close()


def heard(driver: VaisalaWXT530, *paths: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {path: [] for path in paths}
    for path in paths:
        driver.channel(path).listen(found[path].append)
    return found


# --- check sums -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "characters"),
    [
        ("0r1", "Goe"),
        ("0r2", "Gje"),
        ("0r3", "Kid"),
        ("0r5", "Kcd"),
        ("0r", "BVT"),
        ("0r0", "Kld"),
        ("0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H", "@Fn"),
        ("0r5,Th=25.0C,Vh=10.6#,Vs=10.8V,Vr=3.369V", "O]T"),
        ("0tX,Use chksum Goe", "IU~"),
    ],
)
def test_check_sums_are_those_of_the_manual(line, characters):
    assert CHECKSUM.of(line.encode()).decode() == characters


# --- measured values ------------------------------------------------------------------------------


@pytest.mark.parametrize("crc", [True, False])
def test_values_are_what_the_transmitter_says(device, unit, crc):
    with opened(device, crc=crc) as wxt:
        assert wxt.wind_direction_deg() == 283
        assert wxt.wind_speed_m_s() == 1.0
        assert wxt.wind_gust_m_s() == 2.2
        assert wxt.temperature_c() == 23.6
        assert wxt.humidity_percent() == 14.2
        assert wxt.pressure_hpa() == 1026.6
        assert wxt.rain_total_mm() == 0.25
        assert wxt.rain_rate_mm_h() == 1.5
        assert wxt.heater_state() == 0
        assert wxt.supply_v() == 15.2
        assert wxt.value("heater.voltage") == 12.0
        assert wxt.value("reference.voltage") == 3.475
        assert device.asked[-1] == (b"0r5Kcd" if crc else b"0R5")
        everything = wxt.readings("all")
        assert everything["wind.lull"] == 0.0
        assert everything["hail.peak"] == 0.0
        assert everything["heater"] == 0
        assert set(everything) == set(PATHS)


@pytest.mark.parametrize(
    ("digit", "text", "path", "value"),
    [
        ("1", "Sm=36.0K", "wind.speed", 10.0),
        ("1", "Sm=10.0S", "wind.speed", 4.4704),
        ("1", "Sm=10.0N", "wind.speed", 18520 / 3600),
        ("1", "Sm=10.0M", "wind.speed", 10.0),
        ("1", "Dm=000D", "wind.direction", 0.0),
        ("2", "Ta=50.0F", "temperature", 10.0),
        ("2", "Ta=-12.3C", "temperature", -12.3),
        ("2", "Pa=101325P", "pressure", 1013.25),
        ("2", "Pa=1.0133B", "pressure", 1013.3),
        ("2", "Pa=760.0M", "pressure", 1013.25),
        ("2", "Pa=29.921I", "pressure", 1013.241),
        ("3", "Rc=1.00I", "rain.total", 25.4),
        ("3", "Ri=0.50I", "rain.rate", 12.7),
        ("3", "Hc=6.4516I", "hail.total", 1.0),
        ("5", "Th=32.0F", "heater.temperature", 0.0),
        ("5", "Vh=11.5V", "heater.voltage", 11.5),
        ("5", "Vh=11.5V", "heater", 1),
        ("5", "Vh=11.5W", "heater", 2),
        ("5", "Vh=11.5F", "heater", 3),
    ],
)
def test_values_are_in_our_units_whatever_theirs_are(net, unit, digit, text, path, value):
    unit.data[digit] = text
    with opened(net) as wxt:
        assert wxt.value(path) == pytest.approx(value, abs=0.001)
        (block,) = wxt.plan_reads([wxt.channel(path)])
        assert block.read()[0] == pytest.approx(value, abs=0.001)


@pytest.mark.parametrize(
    ("digit", "text", "path", "words"),
    [
        ("1", "Sm=1.0#", "wind.speed", "Sm is marked as not valid"),
        ("1", "Sm=###", "wind.speed", "Sm is marked as not valid"),
        ("2", "Ta=#,Ua=14.2P", "temperature", "not valid"),
        ("5", "Vh=10.6#", "heater.voltage", "not valid"),
        ("5", "Vh=10.6#", "heater", "Vh did not come, or is marked"),
        ("5", "Vs=10.6V", "heater", "Vh did not come"),
        ("5", "Vh=10.6X", "heater", "none of N, V, W, F"),
        ("1", "Sm=1.0M", "wind.gust", r"does not send Sx: its settings \(WU, R=\)"),
        ("3", "Hc=12H", "hail.total", r"Hc=12H is in a unit that cannot be .* hits/cm\^2; .* M, I"),
        ("2", "Ta=20.0K", "temperature", "Ta=20K is in a unit"),
        ("2", "Ta=99.0C", "temperature", "Ta=99C is not plausible, which is -60 to 70 degC"),
        ("1", "Dm=361D", "wind.direction", "not plausible"),
        ("2", "Pa=29.9H", "pressure", "not plausible"),
    ],
)
def test_what_is_no_value_says_why(net, unit, digit, text, path, words):
    unit.data[digit] = text
    refused = pytest.raises(InvalidReading, match=f"wxt at .*: {path}: .*{words}")
    with opened(net) as wxt, refused:
        wxt.value(path)


def test_one_message_reads_all_that_it_has(net, unit):
    unit.data["2"] = "Ta=23.6C,Ua=14.2#"
    with opened(net) as wxt:
        net.asked.clear()
        paths = ["temperature", "humidity", "pressure", "wind.speed", "wind.gust", "heater"]
        blocks = wxt.plan_reads([wxt.channel(path) for path in paths])
        found: dict[str, Any] = {}
        for block in blocks:
            found.update(
                zip((channel.path for channel in block.channels), block.read(), strict=True)
            )
        assert [found[path] for path in ("temperature", "wind.speed", "heater")] == [23.6, 1.0, 0]
        assert isinstance(found["humidity"], InvalidReading)
        assert "does not send Pa" in str(found["pressure"])
        assert net.asked == [b"0r1Goe", b"0r2Gje", b"0r5Kcd"]


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (b"0TX,Unknown cmd error\r\n", DeviceRefused, "Unknown cmd error"),
        (b"0TX,Unable to measure error\r\n", InvalidReading, "Unable to measure"),
        (b"0tX,Use chksum GoeIU~\r\n", ProtocolMismatch, "Use chksum Goe.*damaged on its way"),
        (b"0tX,Use chksum GoeIUx\r\n", ProtocolMismatch, "check sum"),
        (b"0TX,Sync/address error\r\n", ProtocolMismatch, "Sync/address"),
        (b"", DeviceTimeout, "no complete answer"),
        (b"0r2,Ta=22.7C", DeviceTimeout, "came back"),
        (b"0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H@Fm\r\n", ProtocolMismatch, "damaged: the check sum"),
        (b"0r2,Ta=27.7C,Ua=55.5P,Pa=1004.7H@Fn\r\n", ProtocolMismatch, "damaged: the check sum"),
        (b"0R2,Ta=22.7C,Ua=55.5P,Pa=1004.7H\r\n", DeviceTimeout, "no complete answer"),
        (b"0r1,Sm=22.7MBmr\r\n", DeviceTimeout, "no complete answer"),
        (b"1r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H@Fn\r\n", DeviceTimeout, "no complete answer"),
        (b"\xff\xfe\r\n", DeviceTimeout, "no complete answer"),
        (b"\r\n\r\n\r\n", DeviceTimeout, "no complete answer"),
        (b"$WITXT,01,01,03,Unknown cmd error*1F\r\n", DeviceTimeout, "no complete answer"),
        (b"x" * 600, ProtocolMismatch, "more than 512 bytes"),
    ],
)
def test_a_bad_reply_is_an_error_and_the_next_one_is_right(device, unit, reply, error, words):
    with opened(device) as wxt:
        unit.mangle = lambda asked, right: reply if asked.startswith("0r") else right
        with pytest.raises(error, match=words):
            wxt.temperature_c()
        unit.mangle = lambda asked, right: right
        assert wxt.temperature_c() == 23.6


@pytest.mark.parametrize(
    "data",
    [
        "Ua=55.5P,Ta=22.7C",
        "Ta=22.7C,Ta=22.7C",
        "Ta=22.7C,Sm=1.0M",
        "Ta=22.7",
        "Ta=22.7CC",
        "Ta=2 2.7C",
        "Ta=1e3C",
        "Ta=--2C",
        "Ta=C",
        "Tq=22.7C",
        "Ta22.7C",
        "Ta=22.7C,",
        "Ta=22.7C,Ua=55.5P,Pa=1004.7H@Fn",
        "Ta=22.7C\0",
    ],
)
def test_a_message_without_a_check_sum_is_judged_by_its_form(net, unit, data):
    unit.data["2"] = data
    with opened(net, crc=False) as wxt:
        with pytest.raises(ProtocolMismatch, match="put back in step"):
            wxt.temperature_c()
        unit.data["2"] = PTU
        assert wxt.temperature_c() == 23.6


@given(place=st.integers(0, 200), by=st.integers(1, 255), digit=st.sampled_from("1235"))
def test_no_change_of_one_character_passes_the_check_sum(place, by, digit):
    line = bytearray(Transmitter().line(digit).removesuffix(b"\r\n"))
    line[place % len(line)] ^= by
    with pytest.raises(ValueError):
        to_message(bytes(line))


@given(st.binary(max_size=120))
def test_noise_is_never_a_message(noise):
    for head in (b"", b"0r1,", b"0r2,Ta="):
        with contextlib.suppress(ValueError):
            found = to_message(head + noise)
            raise AssertionError(found)


def test_with_error_messages_off_a_refusal_is_silence(net, unit):
    unit.settings["S"]["S"] = "N"
    with opened(net) as wxt:
        with pytest.raises(DeviceTimeout, match="no complete answer"):
            wxt.raw("0QQ")
        assert wxt.temperature_c() == 23.6


def test_a_late_reply_is_not_the_answer_to_the_next_question(net, unit):
    with opened(net) as wxt:
        unit.mangle = lambda asked, right: b"" if asked.startswith("0r2") else right
        with pytest.raises(DeviceTimeout):
            wxt.temperature_c()
        unit.mangle = lambda asked, right: right
        old = b"0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H@Fn\r\n"
        net.send(old)
        assert wxt.temperature_c() == 23.6


def test_who_does_not_give_its_address_is_not_there(net, unit):
    unit.address = "1"
    with opened(net, up=False) as wxt:
        wait_until(lambda: wxt.status().state == "Down")
        assert r"b'0\r\n' was not answered" in wxt.status().error


# --- automatic mode -------------------------------------------------------------------------------


AUTOMATIC: dict[str, Any] = {"mode": "automatic"}


def test_lines_that_come_by_themselves_are_heard(device, unit):
    with opened(device, **AUTOMATIC) as wxt:
        told = heard(wxt, "wind.speed", "wind.gust", "temperature", "heater", "rain.total")
        # The first line after connecting is most often a part of one.
        device.send(unit.line("1")[20:])
        for digit in "1235":
            device.send(unit.line(digit))
        wait_until(lambda: told["rain.total"] and told["heater"])
        assert told == {
            "wind.speed": [1.0], "wind.gust": [2.2], "temperature": [23.6], "heater": [0],
            "rain.total": [0.25],
        }  # fmt: skip
        assert wxt.channel("lines.damaged").read() == 1
        assert wxt.channel("wind.speed").poll_s is None


def test_the_composite_message_is_heard_as_well(net, unit):
    unit.data["0"] = "Dm=283D,Sm=1.0M,Ta=23.6C,Rc=0.25M,Th=25.9C,Vh=12.0W"
    with opened(net, **AUTOMATIC) as wxt:
        told = heard(wxt, "wind.direction", "wind.gust", "temperature", "heater")
        net.send(unit.line("0"))
        wait_until(lambda: told["heater"])
        assert told == {
            "wind.direction": [283], "wind.gust": [], "temperature": [23.6], "heater": [2]
        }  # fmt: skip


def test_a_value_that_is_marked_says_so_to_who_listens(net, unit):
    unit.data["2"] = "Ta=22.7#,Ua=55.5P"
    with opened(net, **AUTOMATIC) as wxt:
        told = heard(wxt, "temperature", "humidity", "pressure")
        net.send(unit.line("2"))
        wait_until(lambda: told["humidity"] == [55.5])
        (error,) = told["temperature"]
        assert isinstance(error, InvalidReading)
        assert "not valid (#)" in str(error)
        assert told["pressure"] == []


def test_questions_are_answered_in_automatic_mode_too(device, unit):
    with opened(device, **AUTOMATIC) as wxt:
        told = heard(wxt, "temperature")["temperature"]
        # A line comes right before the reply, with the same head, and another after it.
        unit.mangle = lambda asked, right: (
            unit.line("2") + right + unit.line("1") if asked.startswith("0r2") else right
        )
        for _n in range(5):
            assert wxt.temperature_c() == 23.6
        wait_until(lambda: len(told) >= 5)
        assert set(told) == {23.6}
        assert wxt.status().errors == 0
        # And the beginning of a line has come when the question is asked.
        line = unit.line("2")
        unit.mangle = lambda asked, right: line[9:] + right if asked.startswith("0r2") else right
        device.send(line[:9])
        assert wxt.temperature_c() == 23.6
        assert wxt.status().errors == 0


def test_what_does_not_come_is_no_value_and_says_so_once(net, unit):
    silence = {"silence_s": {"wind": 1.5}}
    with opened(net, **AUTOMATIC, **silence) as wxt:
        told = heard(wxt, "wind.speed", "temperature")
        net.send(unit.line("1") + unit.line("2"))
        wait_until(lambda: len(told["wind.speed"]) >= 2)
        assert told["wind.speed"][0] == 1.0
        assert isinstance(told["wind.speed"][1], InvalidReading)
        assert "wind.speed: Sm did not come for 1.5 s; its mode may not be automatic" in str(
            told["wind.speed"][1]
        )
        assert told["temperature"] == [23.6]
        net.send(unit.line("1"))
        wait_until(lambda: len(told["wind.speed"]) >= 4)
        assert told["wind.speed"][2] == 1.0


def test_lines_without_a_check_sum_are_not_believed_where_one_is_due(net, unit):
    with opened(net, **AUTOMATIC, silence_s=1.0) as wxt:
        told = heard(wxt, "wind.speed")["wind.speed"]
        net.send(unit.line("1", checked=False))
        wait_until(lambda: told)
        assert isinstance(told[0], InvalidReading)
        assert "1 lines came without a check sum: set its mode to 'Automatic, check sum'" in str(
            told[0]
        )
    with opened(net, **AUTOMATIC, crc=False) as wxt:
        told = heard(wxt, "wind.speed")["wind.speed"]
        net.send(unit.line("1", checked=False))
        wait_until(lambda: told == [1.0])


@pytest.mark.parametrize("crc", [True, False])
def test_a_polled_transmitter_may_speak_by_itself_as_well(net, unit, crc):
    with opened(net, crc=crc) as wxt:
        assert wxt.channel("temperature").listen is None
        unit.mangle = lambda asked, right: (
            unit.line("2", checked=crc) + right + unit.line("2", checked=not crc)
            if asked[1:3] in ("r2", "R2")
            else right
        )
        for _n in range(5):
            assert wxt.temperature_c() == 23.6
        assert wxt.status().errors == 0


def test_of_a_stream_with_a_byte_in_a_hundred_corrupted_no_corrupted_number_is_told(net, unit):
    chance = random.Random(530)
    sent, stream = [], b""
    for n in range(3000):
        unit.data["2"] = f"Ta={n / 100:.2f}C,Ua={n % 1000 / 10:.1f}P,Pa={900 + n / 100:.2f}H"
        line = unit.line("2")
        wrong = bytes(
            byte ^ chance.randrange(1, 256) if chance.random() < 0.01 else byte for byte in line
        )
        if wrong == line:
            sent.append(n)
        stream += wrong
    unit.data["2"] = "Ta=30.00C,Ua=50.0P,Pa=1000.0H"
    with opened(net, **AUTOMATIC) as wxt:
        told = heard(wxt, "temperature", "humidity", "pressure")
        net.send(stream + b"\r\n" + unit.line("2"))
        wait_until(lambda: told["pressure"] and told["pressure"][-1] == 1000.0, 30)
        numbers = [round(value * 100) for value in told["temperature"]][:-1]
        # A line whose neighbour lost its end to damage is lost with it.
        assert set(numbers) <= set(sent)
        assert len(numbers) > 0.95 * len(sent)
        for index, n in enumerate(numbers):
            assert told["humidity"][index] == pytest.approx(n % 1000 / 10)
            assert told["pressure"][index] == pytest.approx(900 + n / 100)
        assert wxt.damaged > 500


def test_a_transmitter_that_restarts_is_connected_anew_with_its_settings(net, unit):
    with opened(net, restore=["WU,I=1"]) as wxt:
        assert unit.settings["W"]["I"] == "1"
        unit.settings["W"]["I"] = "5"
        net.send(b"0TX,Start-up\r\n")
        wait_until(lambda: unit.settings["W"]["I"] == "1")
        wxt.wait_until_up()
        assert wxt.temperature_c() == 23.6


# --- several on a line ----------------------------------------------------------------------------


def test_several_units_share_a_line_and_a_silent_one_is_named(unit):
    units = [unit, Transmitter("1"), Transmitter("A"), Transmitter("z")]
    for n, one in enumerate(units):
        one.data["2"] = f"Ta={n + 10}.0C"
    units[1].deaf = True
    with text_device(Bus(*units)) as device, contextlib.ExitStack() as stack:
        drivers = [
            stack.enter_context(opened(device, f"?unit={n}", up=n != 1)) for n in (0, 1, 10, 61)
        ]
        for n in (0, 2, 3):
            assert drivers[n].temperature_c() == n + 10
        wait_until(lambda: drivers[1].status().state == "Down")
        with pytest.raises(LinkDown, match="unit 1"):
            drivers[1].temperature_c()
        units[1].deaf = False
        drivers[1].wait_until_up(timeout_s=30)
        assert drivers[1].temperature_c() == 11
        assert device.connections == 1


def test_units_of_a_line_hear_only_what_they_say_themselves(unit):
    other = Transmitter("1")
    other.data["2"] = "Ta=11.0C"
    with (
        text_device(Bus(unit, other)) as device,
        opened(device, "?unit=0", **AUTOMATIC) as first,
        opened(device, "?unit=1", **AUTOMATIC) as second,
    ):
        told = [heard(one, "temperature")["temperature"] for one in (first, second)]
        device.send(unit.line("2") + other.line("2"))
        wait_until(lambda: all(told))
        assert told == [[23.6], [11.0]]


# --- settings and resets --------------------------------------------------------------------------


def test_settings_are_read_and_changed(device, unit):
    with opened(device) as wxt:
        assert wxt.identity() == "WXT530 1.00"
        assert wxt.mode() == "P"
        for kind, letter in (("wind", "W"), ("ptu", "T"), ("rain", "R"), ("supervisor", "S")):
            wxt.set_interval_s(kind, 7)
            assert unit.settings[letter]["I"] == "7"
            assert wxt.interval_s(kind) == 7
        unit.stubborn = True
        with pytest.raises(DeviceRefused, match=r"after 'WU,I=9' its setting I is '7'"):
            wxt.set_interval_s("wind", 9)


def test_a_new_mode_is_set_and_the_transmitter_restarted(net, unit):
    with opened(net) as wxt:
        mode = wxt.channel("mode")
        assert mode.read() == 0
        mode.write(3)
        assert unit.settings["X"]["M"] == "a"
        assert b"0XZ" in net.asked
        wxt.wait_until_up()
        wait_until(lambda: net.connections == 2)
        net.asked.clear()
        assert mode.read() == 3
        mode.write(3)
        assert b"0XZ" not in net.asked


def test_resets_are_confirmed(net, unit):
    with opened(net) as wxt:
        for path in ("reset.rain", "reset.rain.rate", "reset.measurement"):
            channel = wxt.channel(path)
            assert channel.read is None
            channel.write(True)
            with pytest.raises(BadValue, match="only be set to true"):
                channel.write(False)
        assert [one for one in net.asked if one.startswith(b"0XZ")] == [b"0XZRU", b"0XZRI", b"0XZM"]
        unit.words.clear()
        with pytest.raises(DeviceRefused, match="'0XZRU' was refused: 'Unknown cmd error'"):
            wxt.reset_rain()
        with pytest.raises(DeviceRefused):
            wxt.restart()
        for answer in ("Start-up", ""):
            unit.words["XZ"] = answer
            unit.mangle = lambda asked, right: b"" if right == b"0TX,\r\n" else right
            count = net.connections
            wxt.channel("restart").write(True)
            wait_until(lambda count=count: net.connections > count)
            wxt.wait_until_up()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda wxt: wxt.set_interval_s("wind", 0), "1 to 3600"),
        (lambda wxt: wxt.set_interval_s("wind", 1.5), "1 to 3600"),
        (lambda wxt: wxt.set_interval_s("wind", True), "1 to 3600"),
        (lambda wxt: wxt.set_interval_s("winds", 1), "a sensor is"),
        (lambda wxt: wxt.set_mode("N"), "one of P, p, A, a"),
        (lambda wxt: wxt.set_mode(""), "one of"),
        (lambda wxt: wxt.message("winds"), "a message is"),
        (lambda wxt: wxt.value("winds"), "no value"),
        (lambda wxt: wxt.raw("1R1"), "begins with the address '0'"),
        (lambda wxt: wxt.raw("0R1\n"), "printable"),
        (lambda wxt: wxt.raw(""), "begins with the address"),
    ],
)
def test_arguments_are_checked_before_anything_is_sent(net, unit, call, words):
    with opened(net) as wxt:
        net.asked.clear()
        with pytest.raises(BadValue, match=words):
            call(wxt)
        assert net.asked == []


@pytest.mark.parametrize(
    "line", ["0XU", "0WU,I=5,A=3", "0XU,M", "gibberish", "0XU,M=P,M=", "0XU,=P"]
)
def test_settings_that_are_none_are_an_error(net, unit, line):
    with opened(net) as wxt:
        unit.mangle = lambda asked, right: line.encode() + b"\r\n" if "XU" in asked else right
        with pytest.raises(DeviceError):
            wxt.mode()
        unit.mangle = lambda asked, right: right
        assert wxt.mode() == "P"


def test_settings_that_say_nothing_of_it_are_no_value(net, unit):
    unit.settings["X"] = {"A": "0"}
    unit.settings["W"] = {"I": "x"}
    with opened(net) as wxt:
        for read in (wxt.mode, wxt.identity, lambda: wxt.interval_s("wind")):
            with pytest.raises(InvalidReading):
                read()


def test_raw_gives_the_line_back(net, unit):
    with opened(net) as wxt:
        assert wxt.raw("0R2") == f"0R2,{PTU}"
        assert wxt.raw("0r2Gje").startswith("0r2,Ta=23.6C")
        assert wxt.raw("0") == "0"
        assert wxt.raw("?") == "0"
        assert wxt.raw("0QQ") == "0TX,Unknown cmd error"


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "auto"},
        {"crc": 1},
        {"silence_s": 5},
        {"mode": "automatic", "silence_s": 0},
        {"mode": "automatic", "silence_s": {"snow": 5}},
        {"mode": "automatic", "silence_s": {"wind": "5"}},
        {"restore": "WU,I=5"},
        {"restore": ["0WU,I=5"]},
        {"restore": ["XZ"]},
        {"url": "tcp://127.0.0.1:1?unit=62"},
        {"url": "tcp://127.0.0.1"},
    ],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ConfigurationError):
        VaisalaWXT530(**{"url": "tcp://127.0.0.1:1", **settings}).close()


def test_the_line_is_that_of_the_sheet():
    assert "baud=19200&bits=8&parity=none&stop=1" in VaisalaWXT530("serial:///dev/null").label


def test_every_channel_that_can_be_read_reads(net, unit):
    with opened(net) as wxt:
        for channel in wxt.channels():
            assert channel.item["description"]
            if channel.read is not None:
                kind = channel.item["type"]
                assert isinstance(channel.read(), str if kind == "string" else int | float)


def test_the_page_lists_the_channels():
    wxt = VaisalaWXT530("tcp://127.0.0.1:1")
    listed = names_in_table("vaisala_wxt530.md", "Channels", r"[\w.]+")
    assert listed == {channel.path for channel in wxt.channels()}
    wxt.close()


# --- the pure parts -------------------------------------------------------------------------------


def test_a_line_is_read_in_full():
    found = to_message(b"0R5,Th=25.0C,Vh=10.6#,Vs=10.8V")
    assert (found.address, found.digit, found.checked) == ("0", "5", False)
    assert found.values == {"Th": (25.0, "C"), "Vh": None, "Vs": (10.8, "V")}
    assert reading(found, PATHS["supply.voltage"]) == 10.8
    settings = to_settings(b"zWU,R=01001000&01001000,I=5,U=M")
    assert (settings.address, settings.of, settings.values["R"]) == ("z", "W", "01001000&01001000")


def test_without_a_question_no_line_is_an_answer():
    framing = WxtReplies()
    framing.feed(b"0R1,Sm=1.0M\r\n0\r\n\r\n")
    assert [framing.next_reply() for _n in range(4)] == [b"\0000R1,Sm=1.0M", b"\0000", b"\0", None]
