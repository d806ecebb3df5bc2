"""The Keysight 34465A driver and its twin, which do not know each other, through real ports."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
from drivers import _keysight_34465a as dmm
from drivers.keysight_34465a import Keysight34465A
from mktl.errors import DeviceError, DeviceRefused, DeviceTimeout, InvalidReading, LinkDown
from simulators.keysight_34465a import Keysight34465A as Twin
from simulators.serve import Simulator
from tests._support import wait_until
from tests.system._instrument import Seen, answered, control, in_doubt, mark, refused, served

QUICK = {"retry_first_s": 0.05, "retry_longest_s": 0.2}
ROUTES = pytest.mark.parametrize("route", ["visa", "vxi11", "hislip", "tcp"])
TCP = pytest.mark.parametrize("route", ["tcp"])
MEASURES = 3
"""What the twin calls this in its quantity ``state``."""


@pytest.fixture
def twin(route) -> Iterator[Simulator]:
    made = Simulator(
        Twin(seed=1), serve={route: ("127.0.0.1", 0)}, control=("127.0.0.1", 0), seed=1
    )
    with made:
        made.set(noise_ppm=0, drift_v=0, hum_v=0, input_v=1.25)
        yield made


@pytest.fixture
def meter(twin) -> Iterator[Keysight34465A]:
    with Keysight34465A.open(twin.url, name="dmm", **QUICK) as controller:
        controller.wait_until_up(timeout_s=10)
        controller.set_nplc(0.2)
        yield controller


def value(twin: Simulator, name: str) -> float:
    return float(twin.get(name)[name])


def volts(meter: Keysight34465A) -> float | None:
    with contextlib.suppress(DeviceError):
        return meter.voltage_v()
    return None


def long_one(meter: Keysight34465A, twin: Simulator, nplc: float = 100) -> threading.Thread:
    """Begin a measurement that takes seconds; its outcome is in ``outcome`` of the thread."""
    meter.set_nplc(nplc)
    thread = Outcome(meter)
    thread.start()
    wait_until(lambda: value(twin, "state") == MEASURES)
    return thread


class Outcome(threading.Thread):
    """Measures a voltage."""

    def __init__(self, meter: Keysight34465A) -> None:
        super().__init__()
        self.meter = meter
        self.outcome: float | DeviceError | None = None

    def run(self) -> None:
        try:
            self.outcome = self.meter.voltage_v()
        except DeviceError as error:
            self.outcome = error


@ROUTES
def test_every_channel_answers_and_takes_what_it_says(meter):
    for channel in meter.channels():
        if channel.read is None or channel.path == "resistance":
            continue
        now = channel.read()
        if channel.write is not None:
            channel.write(now)
            assert channel.read() == now, channel.path
    assert meter.errors() == ()


@ROUTES
def test_what_is_measured_is_what_is_at_the_inputs(meter, twin):
    assert meter.voltage_v() == pytest.approx(1.25, abs=1e-3)
    twin.set(input_v=-7.5, input_ohm=4700)
    assert meter.voltage_v() == pytest.approx(-7.5, abs=1e-2)
    meter.set_samples(5)
    assert meter.measure().values == pytest.approx((-7.5,) * 5, abs=1e-2)
    meter.set_samples(1)
    with pytest.raises(InvalidReading, match="its function is DC voltage"):
        meter.resistance_ohm()
    meter.set_function(dmm.RESISTANCE)
    assert meter.resistance_ohm() == pytest.approx(4700, rel=1e-2)
    with pytest.raises(InvalidReading, match="its function is Resistance"):
        meter.voltage_v()
    assert meter.errors() == ()


@ROUTES
def test_an_overload_is_no_number(meter, twin):
    meter.set_range_v(0.1)
    twin.set(input_v=5)
    with pytest.raises(InvalidReading, match="overload"):
        meter.voltage_v()
    meter.set_autorange(True)
    assert meter.voltage_v() == pytest.approx(5, abs=1e-2)


@ROUTES
def test_a_reading_of_four_seconds_holds_up_nobody_and_leaves_no_error(meter, twin):
    slow = long_one(meter, twin)
    answered_meanwhile = 0
    while slow.is_alive():
        assert meter.function() == dmm.VOLTAGE
        assert meter.nplc() == 100
        answered_meanwhile += value(twin, "state") == MEASURES
    assert answered_meanwhile > 3
    assert slow.outcome == pytest.approx(1.25, abs=1e-3)
    assert meter.errors() == ()


@ROUTES
def test_a_setting_that_is_changed_meanwhile_is_set_at_once_and_holds_for_the_reading(meter, twin):
    slow = long_one(meter, twin)
    asked: list[str] = []
    meter.trace(asked.append)
    meter.set_nplc(1)
    assert not any("FETC?" in one for one in asked)
    slow.join(30)
    assert slow.outcome == pytest.approx(1.25, abs=1e-3)
    assert meter.nplc() == 1
    assert meter.errors() == ()


@ROUTES
def test_raw_readings_get_the_time_that_they_take(meter, twin):
    meter.set_nplc(100)
    assert float(meter.raw("READ?")) == pytest.approx(1.25, abs=1e-3)
    assert float(meter.raw("FETC?")) == pytest.approx(1.25, abs=1e-3)
    assert meter.nplc() == 100
    assert meter.errors() == ()


@ROUTES
def test_a_trigger_is_waited_for_and_its_absence_is_told(twin):
    with Keysight34465A.open(twin.url, name="dmm", trigger_wait_s=0.2, **QUICK) as meter:
        meter.wait_until_up(timeout_s=10)
        meter.set_nplc(0.2)
        meter.set_trigger_source(dmm.EXTERNAL)
        with pytest.raises(DeviceTimeout, match="did a trigger come"):
            meter.voltage_v()
        slow = Outcome(meter)
        slow.start()
        wait_until(lambda: value(twin, "state") == 2)
        twin.set(trigger_input=1)
        slow.join(30)
        assert slow.outcome == pytest.approx(1.25, abs=1e-3)
        meter.set_trigger_source(dmm.BUS)
        assert meter.voltage_v() == pytest.approx(1.25, abs=1e-3)
        assert meter.errors() == ()


@ROUTES
@pytest.mark.parametrize(
    "command", ["SENS:VOLT:DC:NPLC 5000", "NONSENSE 1", "SAMP:COUN 0", "TRIG:SOUR MOON"]
)
def test_what_the_meter_refuses_is_named_and_the_setting_stays(meter, command):
    with pytest.raises(DeviceRefused, match=rf"dmm at .*{command}.*-(113|222|224|141|104)"):
        meter.raw(command)
    assert (meter.nplc(), meter.samples(), meter.trigger_source()) == (0.2, 1, 0)
    assert meter.errors() == ()


@ROUTES
def test_a_query_that_it_does_not_know_is_named_and_no_reply_is_crossed(twin):
    with Keysight34465A.open(twin.url, name="dmm", timeout_s=1, **QUICK) as meter:
        meter.wait_until_up(timeout_s=10)
        for _n in range(2):
            with pytest.raises(DeviceRefused, match=r"NONSENSE\?.*-113"):
                meter.raw("NONSENSE?")
            assert meter.function() == dmm.VOLTAGE
        assert meter.errors() == ()


@ROUTES
@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("garbage", {"probability": 0.2}),
        ("truncated", {"probability": 0.2}),
        ("mute", {"probability": 0.2}),
        ("late", {"probability": 0.2, "delay_s": 0.4}),
        ("silence", {"probability": 0.2}),
    ],
)
def test_no_fault_of_the_line_makes_a_wrong_value(twin, fault, how):
    with Keysight34465A.open(twin.url, name="dmm", timeout_s=0.25, **QUICK) as meter:
        meter.wait_until_up(timeout_s=10)
        answered(lambda: meter.set_nplc(0.02))
        twin.fault(fault, **how)
        for _n in range(4):
            with contextlib.suppress(DeviceError):
                assert meter.voltage_v() == pytest.approx(1.25, abs=1e-3)
            with contextlib.suppress(DeviceError):
                assert meter.nplc() == 0.02
            with contextlib.suppress(DeviceError):
                assert meter.function() == dmm.VOLTAGE
        twin.fault("none")
        wait_until(lambda: volts(meter))
        answered(lambda: meter.set_nplc(0.2))
        assert answered(meter.nplc) == 0.2


@ROUTES
def test_the_cable_is_pulled_and_put_back(meter, twin):
    slow = long_one(meter, twin)
    twin.cut()
    slow.join(30)
    assert isinstance(slow.outcome, DeviceError)
    wait_until(lambda: meter.status().state == "Down")
    with pytest.raises(LinkDown, match=r"dmm at .* down since"):
        meter.function()
    twin.restore()
    meter.wait_until_up(timeout_s=20)
    meter.set_nplc(0.2)
    assert meter.voltage_v() == pytest.approx(1.25, abs=1e-3)


@TCP
def test_settings_are_restored_after_it_was_switched_off_and_on(twin):
    with Keysight34465A.open(twin.url, restore=["SENS:VOLT:DC:NPLC 1"], **QUICK) as meter:
        meter.wait_until_up(timeout_s=10)
        meter.set_nplc(0.2)
        twin.fault("power-cycle", off_s=0.2)
        wait_until(lambda: volts(meter) is None)
        wait_until(lambda: volts(meter))
        assert meter.nplc() == 1


# --- through a daemon -----------------------------------------------------------------------------

FILE = """
store = "multimeter"
alias = "hw"

[controllers.dmm]
driver = "drivers.keysight_34465a:Keysight34465A"
url = "{url}"
retry_first_s = 0.05
retry_longest_s = 0.2

[items.bias]
channel = "dmm.voltage"
poll_s = 0.2

[items.samples]
channel = "dmm.samples"
poll_s = 0.2

[items.function]
channel = "dmm.function"
poll_s = 0.2

[items.integration]
channel = "dmm.voltage.nplc"
poll_s = 0.2

[items.autorange]
channel = "dmm.voltage.autorange"
poll_s = 0.2

[items.display]
channel = "dmm.display"
"""


@pytest.fixture
def store(twin, tmp_path) -> Iterator[mktl.Store]:
    file: Path = tmp_path / "multimeter.toml"
    file.write_text(FILE.format(url=twin.url))
    with served(file, up=("dmm",)) as made:
        yield made


@ROUTES
def test_what_mark_sets_is_in_the_meter_and_what_is_at_its_inputs_is_in_mark(store, twin):
    bias = store["bias"]
    mark("set", "-s", "multimeter", "integration=0.2", "samples=3", "display=hello")
    seen = Seen(bias)
    wait_until(lambda: bias.value == pytest.approx(1.25, abs=1e-3))
    wait_until(lambda: value(twin, "readings") == 3)
    control(twin, "set", "input_v=2.5")
    wait_until(lambda: bias.value == pytest.approx(2.5, abs=2e-3))
    assert "volt" in mark("get", "multimeter.bias", "--refresh")
    mark("set", "multimeter.function=Resistance")
    wait_until(lambda: in_doubt(bias, "its function is Resistance"))
    mark("set", "multimeter.function=DC voltage")
    wait_until(lambda: bias.quality == "valid")
    assert "-113" in refused("set", "multimeter.dmm_raw=NONSENSE 1")
    between = [one for one in seen.values if one is not None]
    assert all(1.24 < one < 2.51 for one in between)


@TCP
def test_other_items_are_polled_and_set_while_a_reading_of_seconds_goes_on(store, twin):
    """Forty seconds, if nobody changed a setting."""
    mark("set", "-s", "multimeter", "integration=100", "samples=10", "dmm_trace=On")
    wait_until(lambda: value(twin, "state") == MEASURES)
    traffic = Seen(store["dmm_traffic"])
    # One that is read by its poll, and by nothing else.
    wait_until(lambda: told(traffic, "SENS:VOLT:DC:RANG:AUTO?") >= 5)
    begun = told(traffic, "INIT")  # the one that has begun it may have been heard
    mark("set", "multimeter.display=busy")
    assert value(twin, "state") == MEASURES
    assert begun <= 1
    assert (told(traffic, "INIT"), told(traffic, "FETC?")) == (begun, 0)
    mark("set", "multimeter.samples=2")
    wait_until(lambda: told(traffic, "INIT") == begun + 1)
    mark("set", "multimeter.integration=0.2")
    wait_until(lambda: store["bias"].quality == "valid")


def told(traffic: Seen, message: str) -> int:
    """Return how often *message* was sent."""
    return sum(str(line).startswith(f"{message}\\n ") for line in traffic.values)
