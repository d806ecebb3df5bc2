"""The Keysight 34465A driver against a meter of a few lines, written from the sheet."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from drivers import _keysight_34465a as dmm
from drivers.keysight_34465a import Keysight34465A
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
from tests.unit.drivers.text_fakes import TextDevice, text_device

IDN = "Keysight Technologies,34465A,MY57500000,A.02.17-02.40-02.17-00.52-02-01"
QUICK = {"timeout_s": 2.0, "retry_first_s": 0.05, "retry_longest_s": 0.2}
OVERLOAD = "+9.90000000E+37"


class Meter:
    """A meter as the sheet has it; a measurement ends when the test lets it."""

    def __init__(self) -> None:
        self.settings = {
            "SENS:FUNC": '"VOLT"', "SENS:VOLT:DC:RANG": "+1.00000000E+01",
            "SENS:VOLT:DC:RANG:AUTO": "1", "SENS:VOLT:DC:NPLC": "+2.00000000E-02",
            "SAMP:COUN": "+1", "TRIG:SOUR": "IMM",
        }  # fmt: skip
        self.fixed = {
            "*IDN?": IDN, "*OPT?": "DIG,MEM", "SYST:LFR?": "+50", "*STB?": "+4", "*ESR?": "+48",
        }  # fmt: skip
        self.values = ["+1.23456789E+00"]
        self.queue: list[str] = []
        self.refused: dict[str, str] = {}
        self.asked: list[str] = []
        self.ready = True
        self.waiting = False
        self.begun = 0
        self.mangle: Callable[[str, bytes], bytes] = lambda _message, reply: reply

    def __call__(self, message: bytes) -> bytes | None:
        text = message.decode()
        self.asked.append(text)
        reply = self._reply(text)
        return None if reply is None else self.mangle(text, reply.encode() + b"\n")

    def _reply(self, text: str) -> str | None:
        if text == "SYST:ERR?":
            return self.queue.pop(0) if self.queue else '+0,"No error"'
        if text in self.refused:
            self.queue.append(self.refused[text])
            return None
        if text in self.fixed:
            return self.fixed[text]
        if text.endswith("?") and text[:-1] in self.settings:
            return self.settings[text[:-1]]
        return self._measure(text)

    def _measure(self, text: str) -> str | None:
        if text == "DATA:POIN?":
            return f"+{len(self.values) if self.begun and self.ready else 0}"
        if text in ("FETC?", "READ?"):
            assert text == "READ?" or self.ready, "it would have blocked the line"
            return ",".join(self.values)
        name, blank, value = text.partition(" ")
        if text == "INIT":
            self.begun += 1
        elif text == "*TRG":
            self.ready = True
        elif blank and name in self.settings:
            self.settings[name] = value
        elif text not in ("ABOR", "*RST", "DISP:TEXT:CLE") and name != "DISP:TEXT":
            self.queue.append('-113,"Undefined header"')
        return None

    @property
    def sets(self) -> list[str]:
        return [one for one in self.asked if not one.endswith("?")]


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def device(meter) -> Iterator[TextDevice]:
    with text_device(meter, end=b"\n") as made:
        yield made


@contextlib.contextmanager
def opened(device: TextDevice, *, visa: bool = False, **settings) -> Iterator[Keysight34465A]:
    url = f"visa://TCPIP::127.0.0.1::{device.port}::SOCKET" if visa else device.url
    with Keysight34465A(url, name="dmm", **{**QUICK, **settings}) as driver:
        driver.start()
        yield driver


@pytest.fixture
def driver(device, meter) -> Iterator[Keysight34465A]:
    with opened(device) as made:
        made.wait_until_up()
        meter.asked.clear()
        yield made


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def under_way(meter: Meter, pool: ThreadPoolExecutor, call: Callable[[], float]) -> Future[float]:
    """Begin a measurement that does not end before the test says so."""
    meter.ready = False
    before = meter.begun
    future = pool.submit(call)
    wait_until(lambda: meter.begun > before or future.done())
    return future


@pytest.mark.parametrize("visa", [False, True])
def test_what_is_read_is_what_the_meter_says(device, visa):
    with opened(device, visa=visa) as driver:
        driver.wait_until_up()
        assert driver.voltage_v() == 1.23456789
        assert driver.reading() == 1.23456789
        assert driver.function() == dmm.VOLTAGE
        assert (driver.range_v(), driver.autorange(), driver.nplc()) == (10, True, 0.02)
        assert (driver.samples(), driver.trigger_source(), driver.line_hz()) == (1, 0, 50)
        assert (driver.status_byte(), driver.events()) == (4, 48)
        assert (driver.identity(), driver.options()) == (IDN, "DIG,MEM")


def test_settings_are_sent_as_the_sheet_has_them_and_the_queue_is_read_after_each(driver, meter):
    driver.set_function(dmm.RESISTANCE)
    driver.set_range_v(10)
    driver.set_autorange(False)
    driver.autorange_once()
    driver.set_nplc(0.02)
    driver.set_samples(10)
    driver.set_trigger_source(dmm.EXTERNAL)
    driver.set_display('say "hello"')
    driver.set_display("")
    driver.reset()
    assert meter.sets == [
        'SENS:FUNC "RES"', "SENS:VOLT:DC:RANG 10", "SENS:VOLT:DC:RANG:AUTO OFF",
        "SENS:VOLT:DC:RANG:AUTO ONCE", "SENS:VOLT:DC:NPLC 0.02", "SAMP:COUN 10", "TRIG:SOUR EXT",
        'DISP:TEXT "say ""hello"""', "DISP:TEXT:CLE", "*RST",
    ]  # fmt: skip
    assert meter.asked.count("SYST:ERR?") == len(meter.sets)


def test_a_measurement_is_begun_looked_at_and_fetched_when_it_is_there(driver, meter):
    assert driver.voltage_v() == 1.23456789
    assert [one for one in meter.asked if one not in ("SYST:ERR?", "DATA:POIN?")] == [
        "SENS:FUNC?", "SENS:VOLT:DC:NPLC?", "SAMP:COUN?", "TRIG:SOUR?", "SYST:LFR?", "ABOR", "INIT",
        "FETC?", "SENS:FUNC?",
    ]  # fmt: skip


def test_the_line_is_free_while_a_measurement_goes_on(driver, meter, pool):
    slow = under_way(meter, pool, driver.voltage_v)
    for _n in range(5):
        assert driver.function() == dmm.VOLTAGE
        assert driver.raw("*STB?") == "+4"
    driver.set_display("busy")
    assert not slow.done()
    assert meter.begun == 1
    meter.ready = True
    assert slow.result(30) == 1.23456789


def test_a_setting_that_is_changed_meanwhile_has_it_begun_anew(driver, meter, pool):
    slow = under_way(meter, pool, driver.voltage_v)
    driver.set_nplc(10)
    wait_until(lambda: meter.begun == 2)
    assert meter.sets == ["ABOR", "INIT", "ABOR", "SENS:VOLT:DC:NPLC 10", "ABOR", "INIT"]
    meter.values = ["+2.00000000E+00"]
    meter.ready = True
    assert slow.result(30) == 2.0


def test_settings_that_are_changed_again_and_again_end_in_an_error(driver, meter, pool):
    slow = under_way(meter, pool, driver.voltage_v)
    for count in range(1, 5):
        driver.set_samples(1)
        wait_until(lambda count=count: meter.begun == count + 1)
    driver.set_samples(1)
    with pytest.raises(InvalidReading, match="5 times"):
        slow.result(30)


def test_another_function_that_is_chosen_meanwhile_is_never_given_as_volts(driver, meter, pool):
    slow = under_way(meter, pool, driver.voltage_v)
    driver.set_function(dmm.RESISTANCE)
    meter.values = ["+1.00000000E+03"]
    meter.ready = True
    with pytest.raises(InvalidReading, match=r"its function is Resistance.*no DC voltage"):
        slow.result(30)
    assert driver.resistance_ohm() == 1000


def test_another_function_that_somebody_else_chose_meanwhile_is_no_reading(driver, meter, pool):
    slow = under_way(meter, pool, driver.voltage_v)
    meter.settings["SENS:FUNC"] = '"RES"'
    meter.ready = True
    with pytest.raises(InvalidReading, match="somebody else"):
        slow.result(30)


def test_measurements_of_several_threads_come_one_after_the_other(driver, meter, pool):
    slow = under_way(meter, pool, driver.voltage_v)
    second = pool.submit(driver.reading)
    assert driver.function() == dmm.VOLTAGE
    assert meter.begun == 1
    meter.ready = True
    assert (slow.result(30), second.result(5)) == (1.23456789, 1.23456789)
    assert meter.begun == 2


@pytest.mark.parametrize(
    ("nplc", "samples", "hz", "longest_s"),
    [(100, 1, 50, 4.02), (100, 1, 60, 100 / 30 + 0.02), (10, 10, 50, 4.2), (0.02, 1, 50, 0.0208),
     (None, 1, 50, 4.02)],
)  # fmt: skip
def test_how_long_it_may_take_follows_from_the_settings(nplc, samples, hz, longest_s):
    setup = dmm.Setup(dmm.VOLTAGE, nplc, samples, dmm.IMMEDIATE, hz)
    assert setup.longest_s == pytest.approx(longest_s)
    assert setup.shortest_s <= setup.longest_s / 2


def test_the_deadline_of_a_measurement_is_computed_from_the_meter(driver, meter):
    meter.settings.update({"SENS:VOLT:DC:NPLC": "+1.00000000E+02", "SAMP:COUN": "+10"})
    measuring = driver._measuring
    assert 40 < measuring.longest_s(driver.setup()) < 70
    meter.settings["TRIG:SOUR"] = "EXT"
    assert measuring.longest_s(driver.setup()) > 50


def test_a_trigger_that_does_not_come_is_a_timeout_that_says_so_and_ends_it(device, meter):
    meter.settings["TRIG:SOUR"] = "EXT"
    meter.ready = False
    with opened(device, trigger_wait_s=0.1) as driver:
        driver.wait_until_up()
        with pytest.raises(DeviceTimeout, match=r"0 of 1 readings.*external: did a trigger come"):
            driver.voltage_v()
        assert meter.sets[-1] == "ABOR"
        meter.ready = True
        assert driver.voltage_v() == 1.23456789


def test_with_the_bus_as_its_source_the_driver_triggers(driver, meter):
    meter.settings["TRIG:SOUR"] = "BUS"
    meter.ready = False
    assert driver.voltage_v() == 1.23456789
    assert meter.sets == ["ABOR", "INIT", "*TRG"]


def test_several_samples_are_a_mean_and_an_array(driver, meter):
    meter.settings["SAMP:COUN"] = "+3"
    meter.values = ["+1.00000000E+00", "+2.00000000E+00", "-6.00000000E+00"]
    assert driver.voltage_v() == -1
    assert driver.measure().values == (1, 2, -6)
    assert driver.channel("readings").read() == [1, 2, -6]


@pytest.mark.parametrize("marker", [OVERLOAD, "-9.90000000E+37", "+9.91000000E+37", "9.9E37"])
def test_overload_is_never_a_number(driver, meter, marker):
    meter.values = [marker]
    with pytest.raises(InvalidReading, match=r"dmm at .*no value.*(overload|not a number)"):
        driver.voltage_v()
    meter.settings["SAMP:COUN"] = "+2"
    meter.values = ["+1.00000000E+00", marker]
    with pytest.raises(InvalidReading, match="reading 2 of 2"):
        driver.voltage_v()
    assert "*IDN?" not in meter.asked


@pytest.mark.parametrize(
    "reply",
    ["", "+1.2.3E+00", "+1.23456789E+00;", "1,2", "+1.23456789E+00,", ",", "volt", '"VOLT"', IDN,
     '-410,"Query INTERRUPTED"', "+1.23456789E", "0x10", "+1.2 3E+00"],
)  # fmt: skip
def test_a_reply_that_cannot_be_is_never_a_number(driver, meter, reply):
    meter.values = [reply]
    with pytest.raises((ProtocolMismatch, InvalidReading), match="dmm at"):
        driver.voltage_v()
    meter.values = ["+1.00000000E+00"]
    assert driver.voltage_v() == 1


@pytest.mark.parametrize(
    ("query", "reply", "call"),
    [
        ("SENS:FUNC", "VOLT", lambda d: d.function()),
        ("SENS:FUNC", '"VOLT', lambda d: d.function()),
        ("TRIG:SOUR", "IMMEDIATELY", lambda d: d.trigger_source()),
        ("SAMP:COUN", "+1.5", lambda d: d.samples()),
        ("SAMP:COUN", "-1", lambda d: d.samples()),
        ("SENS:VOLT:DC:RANG:AUTO", "2", lambda d: d.autorange()),
    ],
)
def test_a_text_that_cannot_be_is_a_mismatch(driver, meter, query, reply, call):
    right, meter.settings[query] = meter.settings[query], reply
    with pytest.raises(ProtocolMismatch, match="came back"):
        call(driver)
    meter.settings[query] = right
    call(driver)


@pytest.mark.parametrize(
    ("text", "number"),
    [('"VOLT"', 0), ('"VOLT:DC"', 0), ('"RES"', 1), ('"TEMP"', 2), ('"VOLT:AC"', 3), ('"FRES"', 3)],
)
def test_functions_are_known_by_their_names(text, number):
    assert dmm.to_function(text) == number


@pytest.mark.parametrize("text", ["+49", "0", "400", "fifty"])
def test_a_frequency_of_the_mains_that_there_is_not_is_none(text):
    with pytest.raises(ValueError, match=r"neither|not a number"):
        dmm.to_line_hz(text)


@pytest.mark.parametrize(
    "entry", ['-113,"Undefined header"', '-222,"Data out of range"', '-410,"Query INTERRUPTED"']
)
def test_a_refusal_names_the_command_and_the_entry_and_the_setting_stays(driver, meter, entry):
    meter.refused["SENS:VOLT:DC:NPLC 0.001"] = entry
    with pytest.raises(DeviceRefused, match=f"dmm at .*'SENS:VOLT:DC:NPLC 0.001'.*{entry}"):
        driver.set_nplc(0.001)
    assert driver.nplc() == 0.02
    driver.set_nplc(1)


def test_a_query_that_it_does_not_know_is_refused_with_the_entry_of_the_queue(device, meter):
    with opened(device, timeout_s=1.0) as driver:
        driver.wait_until_up()
        with pytest.raises(DeviceRefused, match=r"':NONSENSE\?' was not answered.*-113"):
            driver.raw(":NONSENSE?")
        assert driver.nplc() == 0.02


def test_an_init_that_is_refused_is_told_and_nothing_is_waited_for(driver, meter):
    meter.refused["INIT"] = '-213,"Init ignored"'
    with pytest.raises(DeviceRefused, match=r"'INIT'.*-213"):
        driver.voltage_v()


@pytest.mark.parametrize("query", ["FETC?", "DATA:POIN?", "SENS:FUNC?"])
def test_a_reply_that_is_late_is_never_the_answer_to_another_question(device, meter, query):
    held: list[bytes] = []

    def mangle(message: str, reply: bytes) -> bytes:
        if message == query and not held:
            held.append(reply)
            return b""
        return held.pop() + reply if held and message != query else reply

    with opened(device, timeout_s=1.0) as driver:
        driver.wait_until_up()
        meter.mangle = mangle
        with pytest.raises(DeviceError, match="dmm at"):
            driver.voltage_v()
        meter.mangle = lambda _message, reply: reply
        wait_until(lambda: answers(driver))
        assert driver.nplc() == 0.02


def answers(driver: Keysight34465A) -> bool:
    with contextlib.suppress(DeviceError):
        return driver.voltage_v() == 1.23456789
    return False


def test_raw_readings_wait_as_long_as_the_settings_say(device, meter):
    """The deadline is not that of other exchanges; the queue is asked if nothing comes."""
    let_go = threading.Event()

    def mangle(message: str, reply: bytes) -> bytes:
        if message == "READ?":
            let_go.wait(30)
        return reply

    with opened(device, timeout_s=1.0) as driver, ThreadPoolExecutor(1) as pool:
        driver.wait_until_up()
        meter.mangle = mangle
        begin = time.monotonic()
        reading = pool.submit(driver.raw, "READ?")
        wait_until(lambda: "READ?" in meter.asked and time.monotonic() - begin > 1.5)
        let_go.set()
        assert reading.result(30) == "+1.23456789E+00"


def test_raw_commands_are_checked_and_end_a_measurement_too(driver, meter, pool):
    slow = under_way(meter, pool, driver.voltage_v)
    assert driver.raw("SENS:VOLT:DC:NPLC 1") == ""
    wait_until(lambda: meter.begun == 2)
    meter.ready = True
    assert slow.result(30) == 1.23456789
    with pytest.raises(DeviceRefused, match="-113"):
        driver.raw("NONSENSE 1")


def test_a_link_that_is_lost_ends_a_measurement_with_an_error(driver, meter, device, pool):
    meter.settings["SENS:VOLT:DC:NPLC"] = "+1.00000000E+02"
    meter.settings["SAMP:COUN"] = "+100"  # it would be looked at only after minutes
    slow = under_way(meter, pool, driver.voltage_v)
    with driver.turn():
        pass  # it was begun in full
    driver.pause()
    with pytest.raises(DeviceError, match="paused"):
        slow.result(30)
    meter.settings["SENS:VOLT:DC:NPLC"] = "+2.00000000E-02"
    meter.settings["SAMP:COUN"] = "+1"
    driver.resume()
    driver.wait_until_up()
    meter.ready = True
    assert driver.voltage_v() == 1.23456789


def test_closing_ends_a_measurement_at_once(device, meter, pool):
    meter.settings["SENS:VOLT:DC:NPLC"] = "+1.00000000E+02"
    meter.settings["SAMP:COUN"] = "+100"  # it would be looked at only after minutes
    with opened(device) as driver:
        driver.wait_until_up()
        slow = under_way(meter, pool, driver.voltage_v)
        with driver.turn():
            pass  # it was begun in full
    with pytest.raises(LinkDown, match="closed"):
        slow.result(30)


def test_all_readings_come_from_one_measurement(driver, meter):
    paths = ["voltage", "resistance", "reading", "readings", "function"]
    planned = driver.plan_reads([driver.channel(path) for path in paths])
    values = {
        channel.path: value
        for one in planned
        for channel, value in zip(one.channels, one.read(), strict=True)
    }
    assert values["voltage"] == values["reading"] == 1.23456789
    assert isinstance(values["resistance"], InvalidReading)
    assert (values["readings"], values["function"]) == ([1.23456789], 0)
    assert meter.begun == 1


def test_what_takes_long_is_polled_apart_and_the_rest_is_not(driver):
    slow = {channel.path for channel in driver.channels() if channel.slow}
    assert slow == {"voltage", "resistance", "reading", "readings"}


def test_what_is_to_be_restored_is_sent_and_checked_on_connect(device, meter):
    with opened(device, restore=["SENS:VOLT:DC:NPLC 10", "SAMP:COUN 5"]) as driver:
        driver.wait_until_up()
    assert meter.settings["SENS:VOLT:DC:NPLC"] == "10"
    assert meter.settings["SAMP:COUN"] == "5"


@pytest.mark.parametrize("identity", ["ACME,34465A,1,2", "Keysight Technologies,34461A,MY1,A.02"])
def test_another_instrument_is_named(device, meter, identity):
    meter.fixed["*IDN?"] = identity
    with opened(device, timeout_s=1.0) as driver:
        wait_until(lambda: driver.status().state == "Wrong device")
        assert identity in driver.status().error


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.set_function(3),
        lambda d: d.set_function("VOLT"),
        lambda d: d.set_function(True),
        lambda d: d.set_range_v(5),
        lambda d: d.set_range_v("10"),
        lambda d: d.set_nplc(0.5),
        lambda d: d.set_nplc(float("nan")),
        lambda d: d.set_nplc(10**400),
        lambda d: d.set_samples(0),
        lambda d: d.set_samples(10_001),
        lambda d: d.set_samples(1.5),
        lambda d: d.set_samples(float("inf")),
        lambda d: d.set_trigger_source(3),
        lambda d: d.set_autorange("ON"),
        lambda d: d.set_display("µV"),
        lambda d: d.set_display("two\nlines"),
        lambda d: d.raw("READ?\n"),
    ],
)
def test_arguments_outside_the_sheet_are_refused_before_anything_is_sent(driver, meter, call):
    with pytest.raises(BadValue):
        call(driver)
    assert meter.sets == []


def test_every_channel_describes_itself_and_says_how_long_its_messages_are(driver):
    channels = driver.channels()
    assert len({channel.path for channel in channels}) == len(channels)
    for channel in channels:
        assert channel.item["description"]
        if channel.path == "display":
            assert channel.read is None
            continue
        assert channel.sent_bytes
        assert channel.received_bytes
        assert channel.read is not None
        if channel.path != "resistance":
            assert channel.read() is not None


def test_the_port_and_the_settings_are_those_of_the_sheet():
    with Keysight34465A("tcp://127.0.0.1") as driver:
        assert driver.place == "tcp://127.0.0.1:5025"
    for wait_s in (0, -1, "10", float("inf"), True):
        with pytest.raises(ConfigurationError, match="trigger_wait_s"):
            Keysight34465A("tcp://127.0.0.1", trigger_wait_s=wait_s)
