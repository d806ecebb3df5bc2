"""Pfeiffer drives and gauges on one line, against units of a few lines, written from the sheet."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from drivers._pfeiffer_parameters import DRIVE, GAUGE
from drivers._pfeiffer_unit import PfeifferUnit
from drivers.framing.telegrams import Telegram, to_telegram
from drivers.pfeiffer_turbo import PfeifferGauge, PfeifferTurbo
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
from tests.unit.drivers.text_fakes import PtyDevice, TextDevice, pty_device, text_device

# Longer than on a line of its own: what is tested is the conversation.
QUICK = {"timeout_s": 2.0, "retry_first_s": 0.05, "retry_longest_s": 0.2}
DRIVE_SAYS = {
    2: "000000", 10: "000000", 23: "111111", 26: "000", 302: "111111", 303: "000000",
    304: "000000", 305: "111111", 306: "111111", 307: "000000", 308: "000833", 309: "000820",
    310: "000123", 311: "012345", 312: "010300", 313: "004812", 315: "000833", 316: "000060",
    326: "000041", 330: "000038", 342: "000040", 346: "000045", 349: "TC 400", 397: "050000",
    398: "049200", 399: "050000", 707: "007550", 708: "100", 797: "000001",
}  # fmt: skip
GAUGE_SAYS = {
    303: "000000", 312: "010300", 349: "    A5", 740: "500012", 741: "001", 742: "000100",
}  # fmt: skip
WRITABLE = (2, 9, 10, 23, 26, 707, 708, 797, 741, 742)


class Bus:
    """A drive at address 1 and gauges at others, as the sheet has them."""

    def __init__(self) -> None:
        self.says = {1: dict(DRIVE_SAYS), 122: dict(GAUGE_SAYS), 123: dict(GAUGE_SAYS)}
        self.silent: set[int] = set()
        self.asked: list[Telegram] = []
        self.written: list[tuple[int, str]] = []
        self.mangle: Callable[[Telegram, bytes], bytes] = lambda _telegram, reply: reply

    def __call__(self, message: bytes) -> bytes | None:
        body, came = message[:-3], message[-3:]
        if came != f"{sum(body) % 256:03d}".encode():
            return None
        telegram = to_telegram(body.decode())
        self.asked.append(telegram)
        if telegram.address not in self.says or telegram.address in self.silent:
            return None
        reply = self._reply(telegram)
        line = Telegram(telegram.address, telegram.parameter, reply, asks=False).line
        return self.mangle(telegram, line)

    def _reply(self, telegram: Telegram) -> str:
        says = self.says[telegram.address]
        if telegram.asks:
            return says.get(telegram.parameter, "NO_DEF")
        if telegram.parameter not in WRITABLE:
            return "_LOGIC" if telegram.parameter in says else "NO_DEF"
        self.written.append((telegram.parameter, telegram.data))
        if telegram.parameter != 797:  # so that it stays where it is
            says[telegram.parameter] = telegram.data
        return telegram.data

    @property
    def numbers(self) -> list[int]:
        return [one.parameter for one in self.asked]


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture(params=["tcp", "pty"])
def device(request, bus) -> Iterator[TextDevice | PtyDevice]:
    make = text_device if request.param == "tcp" else pty_device
    with make(bus, end=b"\r") as made:
        yield made


@pytest.fixture
def tcp(bus) -> Iterator[TextDevice]:
    with text_device(bus, end=b"\r") as made:
        yield made


def at(device: TextDevice | PtyDevice, unit: int) -> str:
    return f"{device.url}{'&' if '?' in device.url else '?'}unit={unit}"


@contextlib.contextmanager
def opened(
    kind: type[PfeifferUnit], device: TextDevice | PtyDevice, unit: int, **settings
) -> Iterator:
    with kind.open(at(device, unit), name=f"u{unit}", **{**QUICK, **settings}) as made:
        made.start()
        yield made


@pytest.fixture
def pump(tcp, bus) -> Iterator[PfeifferTurbo]:
    with opened(PfeifferTurbo, tcp, 1) as made:
        made.wait_until_up()
        bus.asked.clear()
        yield made


@pytest.fixture
def gauge(tcp, bus) -> Iterator[PfeifferGauge]:
    with opened(PfeifferGauge, tcp, 122) as made:
        made.wait_until_up()
        bus.asked.clear()
        yield made


def read(unit: PfeifferUnit, *paths: str) -> dict[str, object]:
    planned = unit.plan_reads([unit.channel(path) for path in paths])
    return {
        channel.path: value
        for one in planned
        for channel, value in zip(one.channels, one.read(), strict=True)
    }


def test_units_of_two_kinds_share_a_line_and_say_what_they_say(device):
    with (
        opened(PfeifferTurbo, device, 1) as pump,
        opened(PfeifferGauge, device, 122) as gauge,
    ):
        pump.wait_until_up()
        gauge.wait_until_up()
        assert (pump.pumping(), pump.motor(), pump.standby()) == (False, True, False)
        assert (pump.speed_hz(), pump.current_a()) == (820, 1.23)
        assert (pump.speed_setpoint_percent(), pump.power_limit_percent()) == (75.5, 100)
        assert pump.firmware() == "010300"
        assert pump.flags() == 0b10011
        assert str(pump.fault()) == "None"
        assert gauge.pressure_hpa() == 5e-8
        assert (gauge.gauge_type(), gauge.correction()) == ("MPT", 1.0)


@pytest.mark.parametrize(
    ("kind", "unit", "says"), [(PfeifferTurbo, 1, DRIVE), (PfeifferGauge, 122, GAUGE)]
)
def test_every_channel_answers(tcp, kind, unit, says):
    with opened(kind, tcp, unit) as made:
        made.wait_until_up()
        for channel in made.channels():
            assert channel.item["description"]
            assert channel.sent_bytes
            assert channel.received_bytes
            assert channel.read is None or channel.read() is not None
        assert {*says} < {channel.path for channel in made.channels()}


def test_what_is_written_is_written_in_full_width_and_confirmed(pump, bus):
    pump.set_pumping(True)
    pump.set_motor(False)
    pump.set_standby(True)
    pump.acknowledge()
    pump.set_speed_setpoint_percent(66.67)
    pump.set_power_limit_percent(80)
    pump.channel("speed.mode").write(1)
    pump.set_address(7)
    assert bus.written == [
        (10, "111111"), (23, "000000"), (2, "111111"), (9, "111111"), (707, "006667"), (708, "080"),
        (26, "001"), (797, "000007"),
    ]  # fmt: skip
    assert pump.pumping() is True


@pytest.mark.parametrize(
    "call",
    [
        lambda pump: pump.set_speed_setpoint_percent(19.99),
        lambda pump: pump.set_speed_setpoint_percent(100.01),
        lambda pump: pump.set_speed_setpoint_percent(float("nan")),
        lambda pump: pump.set_speed_setpoint_percent(10**400),
        lambda pump: pump.set_power_limit_percent(9),
        lambda pump: pump.set_power_limit_percent(101),
        lambda pump: pump.set_power_limit_percent(50.5),
        lambda pump: pump.set_address(0),
        lambda pump: pump.set_address(256),
        lambda pump: pump.set_pumping("Off"),
        lambda pump: pump.set("speed", 5),
        lambda pump: pump.get("acknowledge"),
        lambda pump: pump.get("sped"),
        lambda pump: pump.raw("309?"),
        lambda pump: pump.raw("0020030902=?"),
        lambda pump: pump.raw("0010030903=?"),
    ],
)
def test_arguments_outside_the_sheet_are_refused_before_anything_is_sent(pump, bus, call):
    with pytest.raises(BadValue, match="u1 at"):
        call(pump)
    assert bus.asked == []


@pytest.mark.parametrize(
    ("data", "words"),
    [("NO_DEF", "no such parameter"), ("_RANGE", "out of range"), ("_LOGIC", "not allowed")],
)
def test_errors_that_come_as_data_are_told_in_words_and_are_never_a_value(pump, bus, data, words):
    for number in (309, 310, 708, 302, 303):
        bus.says[1][number] = data
    for call in (pump.speed_hz, pump.current_a, pump.power_limit_percent, pump.fault, pump.flags):
        with pytest.raises(DeviceRefused, match=rf"u1 at .*unit 1: it refused.*{data}.*{words}"):
            call()
    assert pump.status().state == "Up"


def test_a_write_that_is_refused_is_told_in_words(pump, bus):
    bus.mangle = lambda telegram, reply: (
        reply if telegram.asks else Telegram(1, telegram.parameter, "_RANGE", asks=False).line
    )
    with pytest.raises(DeviceRefused, match=r"to set parameter 707 to '005000': _RANGE"):
        pump.set_speed_setpoint_percent(50)


def test_a_write_that_is_confirmed_otherwise_may_or_may_not_have_been_carried_out(pump, bus):
    bus.mangle = lambda telegram, reply: (
        reply if telegram.asks else Telegram(1, telegram.parameter, "006000", asks=False).line
    )
    with pytest.raises(ProtocolMismatch, match="'005000' was sent, and '006000' confirmed; it may"):
        pump.set_speed_setpoint_percent(50)
    assert pump.speed_hz() == 820


@pytest.mark.parametrize(
    "data", ["000001", "82.000", "00820", "0000820", "------", "      ", "Err001", "820"]
)
def test_data_that_cannot_be_are_never_a_value(pump, bus, data):
    bus.says[1][302] = data
    bus.says[1][309] = "x" + data[1:]
    for call in (pump.flags, pump.speed_hz):
        with pytest.raises(ProtocolMismatch, match=r"came back"):
            call()
    assert pump.motor() is True


def test_a_damaged_reply_is_a_mismatch_and_the_next_one_is_right(pump, bus):
    bus.mangle = lambda telegram, reply: (
        reply.replace(b"820", b"920") if telegram.parameter == 309 else reply
    )
    with pytest.raises(ProtocolMismatch, match=r"damaged.*sum8-dec"):
        pump.speed_hz()
    bus.mangle = lambda _telegram, reply: reply
    assert pump.speed_hz() == 820


def test_silence_says_which_unit_and_what_was_asked(tcp, bus):
    with opened(PfeifferTurbo, tcp, 1, timeout_s=1.0) as pump:
        pump.wait_until_up()
        bus.mangle = lambda telegram, reply: b"" if telegram.parameter == 309 else reply
        with pytest.raises(DeviceTimeout, match=r"u1, unit 1: .*0010030902=\?"):
            pump.speed_hz()
        assert pump.motor() is True


def test_a_late_reply_is_never_taken_for_another_one(tcp, bus):
    """The reply to a question for the speed comes as the next one is asked."""
    held: list[bytes] = []

    def mangle(telegram: Telegram, reply: bytes) -> bytes:
        if telegram.parameter == 309 and not held:
            held.append(reply)
            return b""
        if held and telegram.parameter in (349, 310):
            return held[0] + reply
        return reply

    with opened(PfeifferTurbo, tcp, 1, timeout_s=1.0) as pump:
        pump.wait_until_up()
        bus.mangle = mangle
        with pytest.raises(DeviceTimeout):
            pump.speed_hz()
        bus.says[1][309] = "000100"
        assert pump.current_a() == 1.23
        assert pump.speed_hz() == 100


def test_the_late_reply_of_a_neighbour_is_nobodys(tcp, bus):
    neighbour = Telegram(123, 740, "100023", asks=False).line
    with opened(PfeifferGauge, tcp, 122) as gauge:
        gauge.wait_until_up()
        bus.mangle = lambda _telegram, reply: neighbour + reply
        assert gauge.pressure_hpa() == 5e-8


def test_wiring_that_sends_back_what_it_hears_confirms_nothing(tcp, bus):
    """RS-485 adapters of two wires hear themselves."""
    answer = bus.__call__

    def echo(message: bytes) -> bytes | None:
        return message + b"\r" + (answer(message) or b"")

    tcp.reply = echo
    with opened(PfeifferTurbo, tcp, 1, timeout_s=1.0) as pump:
        pump.wait_until_up()
        assert pump.speed_hz() == 820
        pump.set_pumping(True)
        assert pump.pumping() is True
        bus.mangle = lambda telegram, reply: reply if telegram.asks else b""
        with pytest.raises(DeviceTimeout, match="may or may not"):
            pump.set_pumping(False)


def test_noise_between_telegrams_does_no_harm(pump, bus):
    bus.mangle = lambda _telegram, reply: b"\x00\xff" + reply + b"\x00\n"
    assert pump.speed_hz() == 820
    assert pump.current_a() == 1.23


@pytest.mark.parametrize(
    ("code", "level", "words"),
    [("Err006", 2, "run-up took too long"), ("Wrn018", 1, "another interface has the control"),
     ("Err999", 2, "see the manual"), ("000000", 0, "None")],
)  # fmt: skip
def test_the_error_of_a_drive_is_told_with_its_code_and_in_words(pump, bus, code, level, words):
    bus.says[1][303] = code
    found = read(pump, "error", "fault")
    assert found["fault"] == level
    assert words in found["error"]
    assert code in found["error"] or not level
    assert bus.numbers == [303]


def test_a_gauge_that_is_defective_has_no_pressure(gauge, bus):
    bus.says[122][303] = "Err001"
    with pytest.raises(InvalidReading, match="Err001: sensor defective"):
        gauge.pressure_hpa()
    found = read(gauge, "pressure", "fault", "error")
    assert isinstance(found["pressure"], InvalidReading)
    assert (found["fault"], found["error"]) == (2, "Err001: sensor defective")
    bus.says[122][303] = "000000"
    bus.asked.clear()
    assert read(gauge, "pressure", "fault")["pressure"] == 5e-8
    assert bus.numbers == [740, 303]


def test_a_pressure_without_a_mantissa_is_no_zero(gauge, bus):
    bus.says[122][740] = "000000"
    with pytest.raises(InvalidReading, match="740 has no value"):
        gauge.pressure_hpa()


def test_all_flags_are_read_in_one_turn_and_one_that_is_missing_spoils_the_mask_only(pump, bus):
    paths = ("status", "at_speed", "hot.pump")
    assert read(pump, *paths) == {"status": 0b10011, "at_speed": True, "hot.pump": True}
    assert bus.numbers == [302, 306, 307, 304, 305]
    del bus.says[1][305]
    found = read(pump, *paths)
    assert found["at_speed"] is True
    assert isinstance(found["status"], DeviceRefused)
    assert "305" in str(found["hot.pump"])


def test_raw_telegrams_get_their_check_sum_and_the_reply_loses_it(pump):
    assert pump.raw("309") == "0011030906000820"
    assert pump.raw("0010030902=?") == "0011030906000820"
    assert pump.raw("0011001006111111") == "0011001006111111"
    assert pump.raw("999") == "0011099906NO_DEF"
    assert pump.pumping() is True


def test_what_is_to_be_restored_is_written_on_connect(tcp, bus):
    restore = [{"channel": "speed.setpoint", "value": 80}, {"channel": "motor", "value": False}]
    with opened(PfeifferTurbo, tcp, 1, restore=restore) as pump:
        pump.wait_until_up()
        assert bus.written == [(707, "008000"), (23, "000000")]


def test_a_setting_to_be_restored_that_is_refused_keeps_the_unit_down(tcp, bus):
    bus.mangle = lambda telegram, reply: (
        reply if telegram.asks else Telegram(1, telegram.parameter, "_LOGIC", asks=False).line
    )
    restore = [{"channel": "motor", "value": True}]
    with opened(PfeifferTurbo, tcp, 1, restore=restore) as pump:
        wait_until(lambda: "motor = True could not be restored" in pump.status().error)
        assert "_LOGIC" in pump.status().error


@pytest.mark.parametrize(
    "restore",
    ["motor", [{"channel": "motor"}], [{"channel": "speed", "value": 1}],
     [{"channel": "mottor", "value": 1}], [{"channel": "speed.setpoint", "value": 5}], ["motor"]],
)  # fmt: skip
def test_what_cannot_be_restored_is_refused(restore):
    with pytest.raises(ConfigurationError, match="restore"):
        PfeifferTurbo("tcp://127.0.0.1:1?unit=1", restore=restore)


def test_a_gauge_at_the_address_of_a_drive_is_the_wrong_device(tcp, bus):
    bus.says[1][349] = "    A1"
    with opened(PfeifferTurbo, tcp, 1, timeout_s=1.0) as pump:
        wait_until(lambda: pump.status().state == "Wrong device")
        assert "A1" in pump.status().error
        bus.says[1][349] = "TM 700"
        pump.wait_until_up()


def test_a_drive_at_the_address_of_a_gauge_is_the_wrong_device(tcp, bus):
    bus.says[122][349] = "TC 400"
    with opened(PfeifferGauge, tcp, 122, timeout_s=1.0) as gauge:
        wait_until(lambda: gauge.status().state == "Wrong device")


def test_a_silent_unit_is_left_alone_and_comes_back(tcp, bus):
    with (
        opened(PfeifferGauge, tcp, 122, timeout_s=1.0) as one,
        opened(PfeifferGauge, tcp, 123, timeout_s=1.0) as other,
    ):
        one.wait_until_up()
        other.wait_until_up()
        bus.silent.add(123)
        for _n in range(2):
            with pytest.raises(DeviceError, match="u123"):
                other.pressure_hpa()
        wait_until(lambda: other.status().state == "Down")
        with pytest.raises(LinkDown, match="unit 123"):
            other.pressure_hpa()
        assert one.pressure_hpa() == 5e-8
        assert tcp.connections == 1
        bus.silent.clear()
        other.wait_until_up()


def test_threads_of_two_units_never_get_each_others_replies(device, bus):
    bus.says[123][740] = "100023"
    wrong: list[object] = []

    def ask(gauge: PfeifferGauge, right: float) -> None:
        for _n in range(20):
            found = gauge.pressure_hpa()
            if found != right:
                wrong.append(found)

    with (
        opened(PfeifferGauge, device, 122) as one,
        opened(PfeifferGauge, device, 123) as other,
    ):
        one.wait_until_up()
        other.wait_until_up()
        threads = [
            threading.Thread(target=ask, args=pair) for pair in ((one, 5e-8), (other, 1000.0))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_addresses_and_line_settings_are_those_of_the_sheet():
    with PfeifferTurbo("tcp://127.0.0.1:1") as pump, PfeifferGauge("tcp://127.0.0.1:1") as gauge:
        assert (pump.unit, gauge.unit) == (1, 122)
    with PfeifferTurbo("serial:///dev/null?unit=3") as pump:
        assert "baud=9600&bits=8&parity=none&stop=1" in pump.label
        assert 0.1 <= pump.settings.timeout_s <= 0.25
    with pytest.raises(ConfigurationError, match="1 to 255"):
        PfeifferTurbo("tcp://127.0.0.1:1?unit=0")
