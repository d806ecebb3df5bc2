"""The Vaisala driver and its twin, which do not know each other, through real ports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import simulators
from drivers.vaisala_wxt530 import VaisalaWXT530
from mktl.errors import DeviceError, DeviceRefused, InvalidReading, LinkDown
from simulators.bus import Bus
from simulators.serve import Simulator
from simulators.vaisala_wxt530 import VaisalaWXT530 as Twin
from tests._support import wait_until
from tests.system._instrument import (
    Seen,
    answered,
    control,
    in_doubt,
    link_is,
    mark,
    refused,
    served,
)

QUICK = {"retry_first_s": 0.05, "retry_longest_s": 0.2}
STEADY: dict[str, float] = {
    "steady": 1,
    "outside_c": 12.5,
    "humidity_percent": 63,
    "pressure_hpa": 1009,
    "wind_m_s": 7,
    "wind_deg": 200,
}
TRUE: dict[str, Any] = {
    "temperature": pytest.approx(12.5, abs=0.06),
    "humidity": pytest.approx(63, abs=0.06),
    "pressure": pytest.approx(1009, abs=0.06),
}

FILE = """
store = "mast"
alias = "hw"

[controllers.wxt]
driver = "vaisala_wxt530"
url = "{url}"
mode = "{mode}"
retry_first_s = 0.05
retry_longest_s = 0.2
timeout_s = 1
{more}

[items.temperature]
channel = "wxt.temperature"
{poll}

[items.humidity]
channel = "wxt.humidity"
{poll}

[items.wind]
channel = "wxt.wind.speed"
{poll}

[items.heater]
channel = "wxt.heater"
{poll}

[items.rain]
channel = "wxt.rain.total"
{poll}

[items.mode]
channel = "wxt.mode"

[items.interval]
channel = "wxt.interval.ptu"

[items.reset_rain]
channel = "wxt.reset.rain"
"""


@contextlib.contextmanager
def running_twin(transport: str, **how: Any) -> Iterator[Simulator]:
    # Faster than 19200 baud where bytes take time: what is tested is the conversation.
    made = simulators.start_twin(
        "vaisala_wxt530", transport, **{"seed": 1, "time_factor": 1, "baud": 115200, **how}
    )
    with contextlib.closing(made):
        made.set(**STEADY)
        yield made


@pytest.fixture(params=simulators.MODELS["vaisala_wxt530"].transports)
def twin(request) -> Iterator[Simulator]:
    with running_twin(request.param) as made:
        yield made


@pytest.fixture
def tcp_twin() -> Iterator[Simulator]:
    with running_twin("tcp") as made:
        yield made


@contextlib.contextmanager
def opened(twin: Simulator, **settings: Any) -> Iterator[VaisalaWXT530]:
    with VaisalaWXT530.open(twin.url, name="wxt", **QUICK, **settings) as wxt:
        wxt.wait_until_up(timeout_s=20)
        yield wxt


def answers(wxt: VaisalaWXT530) -> bool:
    try:
        wxt.temperature_c()
    except DeviceError:
        return False
    return True


def mode_of_twin(twin: Simulator, letter: str) -> None:
    twin.set(mode="AaPpNQ".index(letter))


def all_are_true(told: dict[str, list[Any]]) -> None:
    for path, values in told.items():
        numbers = {value for value in values if not isinstance(value, Exception)}
        assert all(value == TRUE[path] for value in numbers), (path, numbers)


@pytest.mark.parametrize("crc", [True, False])
def test_values_are_what_the_weather_is(twin, crc):
    mode_of_twin(twin, "P")
    with opened(twin, crc=crc) as wxt:
        wxt.reset_measurement()
        twin.skip(120)
        for path, value in TRUE.items():
            assert wxt.value(path) == value, path
        assert wxt.wind_speed_m_s() == pytest.approx(7, abs=0.06)
        assert wxt.wind_direction_deg() == pytest.approx(200, abs=0.6)
        assert wxt.supply_v() == pytest.approx(twin.get("supply_v")["supply_v"], abs=0.06)
        assert wxt.heater_state() == 0
        twin.set(outside_c=-20)
        twin.skip(120)
        assert wxt.temperature_c() == pytest.approx(-20, abs=0.06)


def test_every_channel_that_can_be_read_answers(twin):
    mode_of_twin(twin, "p")
    with opened(twin) as wxt:
        for channel in wxt.channels():
            if channel.read is not None:
                kind = channel.item["type"]
                assert isinstance(channel.read(), str if kind == "string" else int | float)
        assert wxt.status().errors == 0


def test_rain_is_counted_and_the_counter_reset(twin):
    mode_of_twin(twin, "P")
    with opened(twin) as wxt:
        twin.set(rain_mm_h=30)
        twin.skip(600)
        assert wxt.rain_rate_mm_h() == pytest.approx(30, abs=1)
        assert wxt.rain_total_mm() == pytest.approx(5, abs=1)
        twin.set(rain_mm_h=0)
        wxt.reset_rain()
        assert wxt.rain_total_mm() < 0.5
        assert twin.get("rain_mm")["rain_mm"] < 0.5


@pytest.mark.parametrize(
    ("settings", "path", "value"),
    [
        ({"T": {"T": "F"}}, "temperature", 12.5),
        ({"T": {"P": "P"}}, "pressure", 1009),
        ({"T": {"P": "B"}}, "pressure", 1009),
        ({"T": {"P": "M"}}, "pressure", 1009),
        ({"T": {"P": "I"}}, "pressure", 1009),
        ({"W": {"U": "K"}}, "wind.speed", 7),
        ({"W": {"U": "S"}}, "wind.speed", 7),
        ({"W": {"U": "N"}}, "wind.speed", 7),
    ],
)
def test_values_stay_the_same_whatever_unit_the_transmitter_is_set_to(
    tcp_twin, settings, path, value
):
    mode_of_twin(tcp_twin, "P")
    with opened(tcp_twin) as wxt:
        tcp_twin.skip(120)
        for of, letters in settings.items():
            for letter, unit in letters.items():
                wxt.change_setting(of, letter, unit)
        # The last digit of the unit is that of the number.
        assert wxt.value(path) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("quantity", "path"),
    [
        ("wind_invalid", "wind.speed"),
        ("temperature_invalid", "temperature"),
        ("humidity_invalid", "humidity"),
        ("pressure_invalid", "pressure"),
        ("rain_invalid", "rain.total"),
        ("supervisor_invalid", "heater"),
    ],
)
def test_what_is_marked_as_not_valid_is_never_a_number(tcp_twin, quantity, path):
    mode_of_twin(tcp_twin, "P")
    with opened(tcp_twin) as wxt:
        tcp_twin.set(**{quantity: 1})
        tcp_twin.skip(120)
        with pytest.raises(InvalidReading):
            wxt.value(path)


def test_what_the_settings_leave_out_says_so(tcp_twin):
    with opened(tcp_twin) as wxt:
        wxt.change_setting("T", "R", "10000000&10000000")
        with pytest.raises(InvalidReading, match="does not send Ua"):
            wxt.humidity_percent()


def test_a_fault_of_the_heating_is_told(tcp_twin):
    with opened(tcp_twin) as wxt:
        tcp_twin.set(heater_fault=1, outside_c=-10)
        tcp_twin.skip(120)
        assert wxt.heater_state() == 3


def test_an_unknown_command_is_refused(twin):
    with opened(twin) as wxt:
        with pytest.raises(DeviceRefused, match="Unknown cmd"):
            wxt.reset("XQ")
        assert answers(wxt)


# --- automatic mode -------------------------------------------------------------------------------


@pytest.mark.parametrize(("letter", "crc"), [("A", False), ("a", True)])
def test_what_comes_by_itself_is_heard_and_questions_are_answered(twin, letter, crc):
    mode_of_twin(twin, letter)
    with opened(twin, mode="automatic", crc=crc) as wxt:
        for kind in ("wind", "ptu", "rain", "supervisor"):
            wxt.set_interval_s(kind, 1)
        told: dict[str, list[Any]] = {path: [] for path in TRUE}
        wind: list[Any] = []
        for path, values in told.items():
            wxt.channel(path).listen(values.append)
        wxt.channel("wind.speed").listen(wind.append)
        wait_until(lambda: len(wind) > 2 and len(told["pressure"]) > 2, 20)
        for _n in range(5):
            assert wxt.temperature_c() == TRUE["temperature"]
        assert wxt.status().errors == 0
        all_are_true(told)


def test_a_polled_transmitter_is_set_to_speak_by_itself(twin):
    mode_of_twin(twin, "P")
    with opened(twin, mode="automatic", silence_s=2) as wxt:
        told: list[Any] = []
        wxt.channel("wind.speed").listen(told.append)
        wait_until(lambda: told and isinstance(told[-1], InvalidReading))
        assert "its mode may not be automatic" in str(told[-1])
        wxt.set_interval_s("wind", 1)
        wxt.set_mode("a")
        wxt.wait_until_up(timeout_s=20)
        wait_until(lambda: isinstance(told[-1], float), 20)
        assert wxt.mode() == "a"


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("noise", {"probability": 0.005}),
    ("lost-bytes", {"probability": 0.005}),
    ("garbage", {"probability": 0.5}),
    ("truncated", {"probability": 0.5}),
    ("mute", {"probability": 0.5}),
    ("late", {"probability": 0.5, "delay_s": 0.3}),
    ("split", {"gap_s": 0.02}),
    ("silence", {"probability": 0.5}),
    ("unsolicited", {"text": "0r2,Ta=99.9C"}),
    ("echo", {}),
]
# Between the parts of a split reply the twin says whole lines, as no transmitter does.
CASES = [(mode, *fault) for mode in ("polled", "automatic") for fault in FAULTS]
CASES = [case for case in CASES if case[:2] != ("automatic", "split")]


@pytest.mark.parametrize(("mode", "fault", "how"), CASES)
def test_no_fault_of_the_line_makes_a_wrong_value(mode, fault, how):
    with (
        running_twin("tcp", time_factor=20) as twin,
        opened(twin, mode=mode, timeout_s=0.5) as wxt,
    ):
        mode_of_twin(twin, "a" if mode == "automatic" else "p")
        twin.skip(120)
        answered(lambda: wxt.set_interval_s("ptu", 1))
        told: dict[str, list[Any]] = {path: [] for path in TRUE}
        if mode == "automatic":
            for path, values in told.items():
                wxt.channel(path).listen(values.append)
        twin.fault(fault, **how)
        for _n in range(4):
            for path, value in TRUE.items():
                with contextlib.suppress(DeviceError):
                    assert wxt.value(path) == value
        twin.fault("none")
        wait_until(lambda: answers(wxt), 20)
        if mode == "automatic":
            count = len(told["pressure"])
            wait_until(lambda: len(told["pressure"]) > count + 3)
        all_are_true(told)


@pytest.mark.timeout(300)
def test_of_a_stream_with_a_byte_in_a_thousand_corrupted_no_corrupted_number_is_told():
    with running_twin("tcp", time_factor=500) as twin:
        mode_of_twin(twin, "a")
        with opened(twin, mode="automatic") as wxt:
            wxt.set_interval_s("ptu", 1)
            twin.skip(120)
            told: dict[str, list[Any]] = {path: [] for path in TRUE}
            for path, values in told.items():
                wxt.channel(path).listen(values.append)
            twin.fault("noise", probability=0.001)
            wait_until(lambda: len(told["pressure"]) >= 1000, 240)
            all_are_true(told)
            assert wxt.damaged > 10
            assert wxt.status().state == "Up"


def test_the_cable_is_pulled_and_put_back(twin):
    with opened(twin) as wxt:
        assert answers(wxt)
        twin.cut()
        wait_until(lambda: not answers(wxt))
        wait_until(lambda: wxt.status().state == "Down")
        with pytest.raises(LinkDown, match=r"wxt at .* down since"):
            wxt.temperature_c()
        twin.restore()
        wxt.wait_until_up(timeout_s=20)
        wait_until(lambda: answers(wxt))


def test_settings_are_restored_after_a_restart(tcp_twin):
    with opened(tcp_twin, restore=["TU,I=7"]) as wxt:
        assert wxt.interval_s("ptu") == 7
        wxt.set_interval_s("ptu", 9)
        wxt.restart()
        wait_until(lambda: answers(wxt) and wxt.interval_s("ptu") == 7, 20)


def test_units_of_a_bus_are_told_apart_and_a_silent_one_holds_up_nobody():
    units = {n: Twin(seed=1, unit=n) for n in (0, 3, 10)}
    with contextlib.ExitStack() as stack:
        bus = stack.enter_context(
            Simulator(Bus(units), serve={"serial": True}, baud=115200, control=("127.0.0.1", 0))
        )
        for n, celsius in zip(units, (5, 10, 15), strict=True):
            values = {"steady": 1, "outside_c": celsius, "mode": "AaPpNQ".index("p")}
            bus.set(**{f"unit{n}.{name}": value for name, value in values.items()})
        bus.skip(120)
        place = bus.url.partition("?")[0]
        query = "baud=115200&bits=8&parity=none"
        drivers = [
            stack.enter_context(
                VaisalaWXT530.open(f"{place}?{query}&unit={n}", name=f"wxt{n}", **QUICK)
            )
            for n in (0, 3, 10)
        ]
        for driver, celsius in zip(drivers, (5, 10, 15), strict=True):
            driver.wait_until_up(timeout_s=20)
            assert driver.temperature_c() == pytest.approx(celsius, abs=0.06)
        bus.fault("dead-unit", unit=3)
        wait_until(lambda: not answers(drivers[1]) and drivers[1].status().state == "Down", 20)
        for driver, celsius in ((drivers[0], 5), (drivers[2], 15)):
            for _n in range(5):
                assert driver.temperature_c() == pytest.approx(celsius, abs=0.06)
            assert driver.status().errors == 0
        bus.fault("none")
        drivers[1].wait_until_up(timeout_s=40)
        assert drivers[1].temperature_c() == pytest.approx(10, abs=0.06)


# --- with markd and mark --------------------------------------------------------------------------


def file_for(tmp_path: Path, twin: Simulator, **parts: str) -> Path:
    path = tmp_path / "mast.toml"
    path.write_text(FILE.format(url=twin.url, **parts))
    return path


def test_what_the_weather_does_is_in_mark_and_what_mark_sets_is_in_the_transmitter(tmp_path, twin):
    mode_of_twin(twin, "P")
    file = file_for(tmp_path, twin, mode="polled", more="", poll="poll_s = 0.3")
    with served(file, up=("wxt",)) as store:
        wait_until(lambda: store["temperature"].quality == "valid")
        control(twin, "set", "outside_c=-3.5", "humidity_invalid=1", "rain_mm_h=60")
        control(twin, "skip", "300")
        wait_until(lambda: store["temperature"].value == pytest.approx(-3.5, abs=0.06))
        wait_until(lambda: in_doubt(store["humidity"], "marked as not valid"))
        assert "-3.5 degC" in mark("get", "mast.temperature")
        wait_until(lambda: store["rain"].value > 1)
        control(twin, "set", "rain_mm_h=0")
        mark("set", "mast.interval=30")
        assert "30" in mark("get", "mast.interval", "--refresh")
        mark("set", "mast.reset_rain=true")
        wait_until(lambda: store["rain"].value < 1)
        assert "1 to 3600" in refused("set", "mast.interval=0")
        mark("set", "mast.mode=Polled, check sum")
        link_is(store, "wxt", "Up")
        assert "Polled, check sum" in mark("get", "mast.mode", "--refresh")


def test_in_automatic_mode_items_follow_and_are_in_doubt_when_nothing_comes(tmp_path, twin):
    mode_of_twin(twin, "a")
    more = "silence_s = 3\nrestore = ['TU,I=1', 'WU,I=1', 'SU,I=1', 'RU,I=1']"
    file = file_for(tmp_path, twin, mode="automatic", more=more, poll="")
    with served(file, up=("wxt",)) as store:
        temperature = store["temperature"]
        seen = Seen(temperature)
        wait_until(lambda: temperature.quality == "valid")
        assert temperature.value == TRUE["temperature"]
        mode_of_twin(twin, "p")
        wait_until(lambda: in_doubt(temperature, "Ta did not come for 3 s"), 20)
        mode_of_twin(twin, "a")
        wait_until(lambda: temperature.quality == "valid", 20)
        control(twin, "cut")
        wait_until(lambda: in_doubt(temperature, "down since"), 20)
        control(twin, "restore")
        link_is(store, "wxt", "Up")
        wait_until(lambda: temperature.quality == "valid", 20)
        assert all(value == TRUE["temperature"] for value in seen.values)
