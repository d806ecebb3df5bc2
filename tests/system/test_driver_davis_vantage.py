"""The Davis driver and its twin, which do not know each other, through real ports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import simulators
from drivers.davis_vantage import DavisVantage
from mktl.errors import DeviceError, DeviceRefused, DeviceTimeout, InvalidReading, LinkDown
from simulators.serve import Simulator
from tests._support import wait_until
from tests.system._instrument import Seen, control, in_doubt, link_is, mark, refused, served

QUICK = {"retry_first_s": 0.05, "retry_longest_s": 0.2}
STEADY: dict[str, float] = {
    "steady": 1,
    "outside_c": 12.5,
    "humidity_percent": 63,
    "pressure_hpa": 1009,
    "wind_m_s": 7,
    "wind_deg": 200,
    "inside_c": 21,
}
TRUE = {
    "temperature.outside": pytest.approx(12.5, abs=0.03),
    "temperature.inside": pytest.approx(21, abs=0.03),
    "humidity.outside": 63,
    "pressure": pytest.approx(1009, abs=0.02),
    "wind.speed": pytest.approx(7, abs=0.23),
    "wind.direction": 200,
}

FILE = """
store = "weather"
alias = "hw"

[controllers.station]
driver = "davis_vantage"
url = "{url}"
retry_first_s = 0.05
retry_longest_s = 0.2
silence_s = 5
idle_probe_s = 3

[items.temperature]
channel = "station.temperature.outside"

[items.pressure]
channel = "station.pressure"

[items.direction]
channel = "station.wind.direction"

[items.transmitters]
channel = "station.battery.transmitters"

[items.clock]
channel = "station.clock"

[items.offset]
channel = "station.clock.offset"
"""


@contextlib.contextmanager
def running_twin(transport: str, **how: Any) -> Iterator[Simulator]:
    # Faster than 19200 baud where bytes take time: what is tested is the conversation.
    made = simulators.start_twin(
        "davis_vantage", transport, **{"seed": 1, "time_factor": 1, "baud": 115200, **how}
    )
    with contextlib.closing(made):
        made.set(**STEADY)
        yield made


@pytest.fixture(params=simulators.MODELS["davis_vantage"].transports)
def twin(request) -> Iterator[Simulator]:
    with running_twin(request.param) as made:
        yield made


@pytest.fixture
def tcp_twin() -> Iterator[Simulator]:
    with running_twin("tcp") as made:
        yield made


@contextlib.contextmanager
def opened(
    twin: Simulator, cls: type[DavisVantage] = DavisVantage, **settings: Any
) -> Iterator[DavisVantage]:
    with cls.open(twin.url, name="station", **QUICK, **settings) as station:
        station.wait_until_up(timeout_s=20)
        yield station


def answers(station: DavisVantage) -> bool:
    try:
        station.firmware()
    except DeviceError:
        return False
    return True


def hears(station: DavisVantage) -> bool:
    try:
        station.outside_temperature_c()
    except DeviceError:
        return False
    return True


def listening(station: DavisVantage) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {path: [] for path in TRUE}
    for path, values in told.items():
        station.listen(path, values.append)
    return told


def all_are_true(told: dict[str, list[Any]]) -> None:
    for path, values in told.items():
        numbers = {value for value in values if not isinstance(value, Exception)}
        assert all(value == TRUE[path] for value in numbers), (path, numbers)


def test_what_packets_say_is_what_the_weather_is(twin):
    with opened(twin) as station:
        for path, value in TRUE.items():
            assert station.value(path) == value, path
        assert station.solar_w_m2() == pytest.approx(twin.get("solar_w_m2")["solar_w_m2"], abs=1)
        assert station.console_battery_v() == pytest.approx(4.5, abs=0.01)
        twin.set(outside_c=-20, wind_deg=10, low_transmitters=0b101, alarm_byte_1=3)
        wait_until(lambda: station.outside_temperature_c() == pytest.approx(-20, abs=0.03))
        assert station.wind_direction_deg() == 10
        assert station.value("battery.transmitters") == 0b101
        assert station.value("alarm.rain") == 3


def test_every_channel_answers_or_says_that_it_has_no_sensor(twin):
    twin.set(**{f"extra_temperature_{n}_f": 50 for n in range(1, 8)})
    with opened(twin) as station:
        for channel in station.channels():
            assert channel.read is not None
            try:
                value = channel.read()
            except InvalidReading as error:
                assert "dashes" in str(error)
            else:
                kind = channel.item["type"]
                assert isinstance(value, str if kind == "string" else int | float), channel.path
        assert station.value("temperature.extra.7") == pytest.approx(10)
        assert station.status().errors == 0


@pytest.mark.parametrize(
    ("quantity", "paths"),
    [
        ("outside_missing", ("temperature.outside", "humidity.outside")),
        ("inside_missing", ("temperature.inside", "humidity.inside")),
        ("anemometer_missing", ("wind.speed", "wind.direction")),
        ("barometer_missing", ("pressure",)),
        ("solar_missing", ("solar",)),
        ("uv_missing", ("uv",)),
    ],
)
def test_a_missing_sensor_is_never_a_number(tcp_twin, quantity, paths):
    tcp_twin.set(**{quantity: 1})
    with opened(tcp_twin) as station:
        for path in paths:
            with pytest.raises(InvalidReading):
                station.value(path)


def test_rain_is_what_a_click_of_its_bucket_means(tcp_twin):
    for collector, mm in ((0, 0.254), (1, 0.2), (2, 0.1)):
        tcp_twin.set(rain_collector=collector, rain_day_clicks=50)
        with opened(tcp_twin) as station:
            assert station.rain_click_mm() == mm
            assert station.rain_today_mm() == pytest.approx(50 * mm)


def test_questions_interrupt_the_stream_and_it_goes_on(twin):
    with opened(twin) as station:
        told = listening(station)
        for _n in range(3):
            count = len(told["pressure"])
            wait_until(lambda count=count: len(told["pressure"]) > count)
            assert station.firmware() == "1.90"
        count = len(told["pressure"])
        wait_until(lambda: len(told["pressure"]) > count)
        all_are_true(told)
        assert (station.status().errors, station.damage.count) == (0, 0)


def test_the_clock_is_set(twin):
    with opened(twin) as station:
        station.set_clock_offset_s(0)
        assert abs(station.clock_offset_s()) <= 2
        station.set_console_time(datetime(2030, 2, 28, 23, 59, 50))
        assert station.console_time() - datetime(2030, 2, 28, 23, 59, 50) < timedelta(seconds=9)


def test_a_console_that_sleeps_is_woken_and_speaks_again_however_long_that_took(tcp_twin):
    class Patient(DavisVantage):
        # Two of these are longer than a packet is fresh.
        wake = replace(DavisVantage.line_defaults.wake, within_s=1.6)
        line_defaults = replace(DavisVantage.line_defaults, wake=wake)

    tcp_twin.set(wakeups_lost=2, sleep_after_s=20)
    with opened(tcp_twin, Patient) as station:
        assert hears(station)
        assert station.firmware() == "1.90"
        tcp_twin.skip(200)
        assert station.firmware() == "1.90"
        assert hears(station)
        assert station.status().errors == 0


@pytest.mark.parametrize("nak", [33, 21])
def test_an_unknown_command_is_refused(tcp_twin, nak):
    tcp_twin.set(nak_byte=nak)

    class Curious(DavisVantage):
        def wonder(self) -> bytes:
            return self.ask(b"XYZZY\n")

    with opened(tcp_twin, Curious) as station:
        with pytest.raises(DeviceRefused, match="does not know that"):
            station.wonder()
        tcp_twin.set(nak_byte=0)
        with pytest.raises(DeviceTimeout):
            station.wonder()
        assert answers(station)
        assert hears(station)


def test_another_kind_of_station_is_named(tcp_twin):
    tcp_twin.set(station_type=17)
    with opened(tcp_twin) as station:
        assert station.station() == "Vantage Vue"
    tcp_twin.set(station_type=3)
    with DavisVantage.open(tcp_twin.url, **QUICK) as station:
        station.start()
        wait_until(lambda: station.status().state == "Wrong device")


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("noise", {"probability": 0.01}),
        ("lost-bytes", {"probability": 0.01}),
        ("garbage", {"probability": 0.3}),
        ("truncated", {"probability": 0.3}),
        ("mute", {"probability": 0.3}),
        ("split", {"gap_s": 0.02}),
        ("silence", {"probability": 0.3}),
        ("late", {"probability": 0.3, "delay_s": 0.3}),
        ("unsolicited", {"text": "LOO"}),
    ],
)
def test_no_fault_of_the_line_makes_a_wrong_value(fault, how):
    # A packet every 20 ms.
    with (
        running_twin("tcp", time_factor=100) as twin,
        opened(twin, timeout_s=0.3, idle_probe_s=0.5) as station,
    ):
        twin.set(sleep_after_s=0)
        told = listening(station)
        twin.fault(fault, **how)
        for _n in range(5):
            with contextlib.suppress(DeviceError):
                assert station.firmware() == "1.90"
            with contextlib.suppress(DeviceError):
                assert station.outside_temperature_c() == TRUE["temperature.outside"]
        twin.fault("none")
        wait_until(lambda: answers(station), 20)
        count = len(told["pressure"])
        wait_until(lambda: len(told["pressure"]) > count + 10, 20)
        all_are_true(told)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("transport", simulators.MODELS["davis_vantage"].transports)
def test_of_a_stream_with_a_byte_in_a_thousand_corrupted_no_corrupted_number_is_told(transport):
    class AllDay(DavisVantage):
        packets_at_once = 60000

    # Three hours over TCP; over a line of 2 Mbaud as much as goes through.
    packets = {"tcp": 5400, "serial": 1000}[transport]
    # No faster, lest a busy machine should do nothing but compute the weather.
    with running_twin(transport, time_factor=1000, baud=2_000_000) as twin:
        twin.set(sleep_after_s=0)
        twin.fault("noise", probability=0.001)
        with opened(twin, AllDay) as station:
            told = listening(station)
            wait_until(lambda: len(told["pressure"]) >= packets, 240)
            all_are_true(told)
            # A packet of 99 bytes stays whole nine times in ten.
            assert station.damage.count > 0.05 * packets
            assert not [one for one in told["pressure"] if isinstance(one, Exception)]


def test_the_cable_is_pulled_and_put_back(twin):
    with opened(twin) as station:
        assert hears(station)
        twin.cut()
        wait_until(lambda: station.status().state == "Down")
        with pytest.raises(LinkDown, match=r"station at .* down since"):
            station.outside_temperature_c()
        twin.restore()
        station.wait_until_up(timeout_s=20)
        wait_until(lambda: hears(station))
        assert station.outside_temperature_c() == TRUE["temperature.outside"]


# --- with markd and mark --------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path, twin) -> Path:
    path = tmp_path / "weather.toml"
    path.write_text(FILE.format(url=twin.url))
    return path


def test_what_the_weather_does_is_in_mark_and_what_mark_sets_is_in_the_console(twin, file):
    with served(file, up=("station",)) as store:
        wait_until(lambda: store["temperature"].value == TRUE["temperature.outside"])
        control(twin, "set", "outside_c=-3.5", "low_transmitters=2")
        wait_until(lambda: store["temperature"].value == pytest.approx(-3.5, abs=0.03))
        assert "-3.5 degC" in mark("get", "weather.temperature")
        assert "Transmitter 2" in mark("get", "weather.transmitters")
        mark("set", "weather.clock=2031-01-02 03:04:05")
        assert "2031-01-02 03:04:" in mark("get", "weather.clock", "--refresh")
        mark("set", "weather.offset=0")
        assert abs(store.read(["offset"], refresh=True)["offset"].value) <= 2
        assert "not a time like" in refused("set", "weather.clock=noon")
        wait_until(lambda: store["temperature"].quality == "valid")
        control(twin, "set", "anemometer_missing=1")
        wait_until(lambda: in_doubt(store["direction"], "dashes"))
        assert store["pressure"].quality == "valid"


def test_a_stream_that_dries_up_is_in_doubt_within_the_time_that_the_file_says(twin, file):
    with served(file, up=("station",)) as store:
        seen = Seen(store["pressure"])
        wait_until(lambda: seen.values)
        # The console is there, and answers, and its packets are lost.
        control(twin, "fault", "noise", "probability=0.2")
        wait_until(lambda: in_doubt(store["pressure"]), 20)
        control(twin, "fault", "none")
        wait_until(lambda: store["pressure"].quality == "valid", 30)
        control(twin, "cut")
        link_is(store, "station", "Down")
        wait_until(lambda: in_doubt(store["temperature"], "down since"))
        control(twin, "restore")
        link_is(store, "station", "Up")
        wait_until(lambda: store["temperature"].quality == "valid")
        assert all(value == TRUE["pressure"] for value in seen.values)
