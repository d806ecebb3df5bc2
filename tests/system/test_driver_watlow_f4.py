"""Watlow controllers from end to end: ``mark`` at one end, the simulated chamber at the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
import simulators
from simulators.serve import Simulator
from simulators.wago_750_352 import Wago750352
from tests._support import wait_until
from tests.system._instrument import Seen, control, in_doubt, link_is, mark, refused, served

ROOT = Path(__file__).resolve().parents[2]
CHAMBER = ROOT / "examples" / "chamber.toml"
PTY = pytest.mark.parametrize("twin", ["modbus+rtu"], indirect=True)
TRANSPORTS = simulators.MODELS["watlow_f4"].transports
CONTROLLER = """
[controllers.{name}]
driver = "watlow_f4"
url = "modbus+rtu:///dev/null?unit={unit}"
inputs = ["temperature", "humidity"]
timeout_s = {timeout_s}
retry_first_s = 0.05
retry_longest_s = 0.2
idle_probe_s = 1
"""
ITEMS = {
    "temperature": "input.1",
    "humidity": "input.2",
    "setpoint": "setpoint.1",
    "heating": "output.1A",
    "operation": "operation",
    "lamp": "event.1",
    "alarm": "status.1",
}


def written(path: Path, *units: int, timeout_s: float = 1) -> Path:
    """Write an instrument file for controllers ``f1``, ``f2`` ... on one line."""
    text = 'store = "chamber"\nalias = "hw"\n'
    for unit in units:
        text += CONTROLLER.format(name=f"f{unit}", unit=unit, timeout_s=timeout_s)
        for key, channel in ITEMS.items():
            text += f'\n[items.{key}_{unit}]\nchannel = "f{unit}.{channel}"\npoll_s = 0.2\n'
    path.write_text(text)
    return path


@pytest.fixture(params=TRANSPORTS)
def twin(request) -> Iterator[Simulator]:
    # Faster than 19200 baud: what is tested is the conversation.
    made = simulators.start_twin(
        "watlow_f4", request.param, time_factor=0.0, seed=1, unit=1, baud=115200
    )
    with contextlib.closing(made):
        made.set(noise_c=0, chamber_c=25)
        made.skip(0.001)
        yield made


@pytest.fixture
def chamber(tmp_path, twin) -> Iterator[mktl.Store]:
    file = written(tmp_path / "chamber.toml", 1)
    with served(file, up=("f1",), urls={"f1": twin.url}) as store:
        wait_until(lambda: store["temperature_1"].value == 25.0)
        yield store


def test_what_mark_sets_is_in_the_chamber_and_what_the_chamber_does_is_in_mark(twin):
    with served(CHAMBER, up=("f4",), urls={"f4": twin.url}):
        worn = twin.get("eeprom_writes")
        mark("set", "-s", "chamber", "setpoint=60", "humidity_setpoint=70", "lamp=On")
        # What the example restores on each connect spares the EEPROM.
        assert twin.get("eeprom_writes") == worn
        control(twin, "skip", "1")
        assert control(twin, "get", "heat").strip() == "heat=1"
        got = mark("get", "-s", "chamber", "setpoint", "heating", "lamp", "--refresh")
        assert "setpoint: 60.00 degC" in got
        assert "heating: 100.00 percent" in got
        assert "lamp: On" in got

        control(twin, "set", "chamber_c=150", "humidity_percent=33.3", "digital_input_1=1")
        control(twin, "skip", "0.001")
        got = mark(
            "get", "-s", "chamber", "temperature", "humidity", "door", "alarm_1", "--refresh"
        )
        assert "temperature: 150.0" in got
        assert "humidity: 33.3" in got
        assert "door: true" in got.lower()
        assert "alarm_1: Bit 0" in got
        mark("set", "chamber.start_profile=1")
        got = mark("get", "-s", "chamber", "operation", "profile", "time_left", "--refresh")
        assert "Profile running" in got
        assert "time_left: 600 s" in got
        mark("set", "chamber.end_profile=1")
        assert "Static" in mark("get", "chamber.operation", "--refresh")


@PTY
def test_what_cannot_be_is_refused_in_words_and_nothing_changes(twin, chamber):
    mark("set", "chamber.setpoint_1=40")
    said = refused("set", "chamber.setpoint_1=500")
    assert "set-point 1 goes from -42 to 130, as its limits are set, not to 500" in said
    assert "lamp_1" in refused("set", "chamber.lamp_1=dim")
    assert "not a settable item" in refused("set", "chamber.heating_1=5")
    assert "40.00" in mark("get", "chamber.setpoint_1", "--refresh")
    assert twin.get("heat")["heat"] <= 1


@PTY
@pytest.mark.parametrize(
    ("code", "words"),
    [(1, "illegal function"), (2, "inactive as the controller is"), (3, "the old value stays")],
)
def test_an_exception_is_told_and_leaves_everything_as_it_is(twin, chamber, code, words):
    mark("set", "chamber.lamp_1=On")
    control(twin, "fault", "exception", f"code={code}")
    said = refused("set", "chamber.lamp_1=Off")
    assert f"exception {code}" in said
    assert words in said
    wait_until(lambda: in_doubt(chamber["temperature_1"], f"exception {code}"))
    assert chamber["temperature_1"].value == 25.0
    control(twin, "fault", "none")
    wait_until(lambda: chamber["temperature_1"].quality == "valid")
    assert "On" in mark("get", "chamber.lamp_1", "--refresh")


@PTY
def test_decimals_and_units_that_are_changed_at_the_front_do_not_change_a_value(twin, chamber):
    seen = Seen(chamber["temperature_1"])
    set_points = Seen(chamber["setpoint_1"])
    wait_until(lambda: set_points.values)
    # Decimals to 2, Fahrenheit, decimals to 0; and back.
    for request in ("06 025e 0002", "06 0385 0000", "06 025e 0000", "06 025e 0001", "06 0385 0001"):
        mark("set", f"chamber.f1_raw={request}")
        before = twin.get("messages")["messages"]
        wait_until(lambda before=before: twin.get("messages")["messages"] > before + 20)
    assert all(abs(value - 25) < 0.3 for value in seen.values), seen.values
    assert all(abs(value - 23) < 0.3 for value in set_points.values), set_points.values
    mark("set", "chamber.f1_raw=06 0258 0004")
    wait_until(lambda: in_doubt(chamber["temperature_1"], "input 1 is switched off"))
    assert abs(chamber["temperature_1"].value - 25) < 0.3
    assert chamber["humidity_1"].quality == "valid"


def test_silence_puts_everything_in_doubt_and_ends_by_itself(twin, chamber):
    temperature = chamber["temperature_1"]
    control(twin, "fault", "silence")
    wait_until(lambda: in_doubt(temperature))
    wait_until(lambda: chamber["f1_link"].formatted in ("Down", "Connecting"))
    assert "unit 1" in refused("set", "chamber.setpoint_1=30")
    control(twin, "set", "chamber_c=40.5")
    control(twin, "skip", "0.001")
    assert temperature.value == 25.0
    control(twin, "fault", "none")
    wait_until(lambda: (temperature.quality, temperature.value > 39) == ("valid", True), 20)
    mark("set", "chamber.setpoint_1=30")
    assert "30.00" in mark("get", "chamber.setpoint_1", "--refresh")


def test_the_cable_is_pulled_and_put_back(twin, chamber):
    temperature = chamber["temperature_1"]
    control(twin, "cut")
    wait_until(lambda: in_doubt(temperature))
    assert refused("get", "chamber.temperature_1", "--refresh")
    control(twin, "restore")
    link_is(chamber, "f1", "Up")
    wait_until(lambda: (temperature.value, temperature.quality) == (25.0, "valid"), 20)


@PTY
def test_after_a_loss_of_supply_the_setting_that_spares_the_eeprom_is_made_again(twin):
    with served(CHAMBER, up=("f4",), urls={"f4": twin.url}) as store:
        states = Seen(store["f4_link"])
        control(twin, "fault", "power-cycle", "off_s=0.2")
        # It may be up again before anybody looks.
        wait_until(lambda: len(set(states.values)) > 1)
        link_is(store, "f4", "Up")
        worn = twin.get("eeprom_writes")
        mark("set", "chamber.setpoint=50")
        assert twin.get("eeprom_writes") == worn


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_another_device_on_the_line_is_named(tmp_path, transport):
    place = True if transport == "modbus+rtu" else ("127.0.0.1", 0)
    with (
        Simulator(Wago750352(seed=1), serve={transport: place}, time_factor=0.0) as other,
        served(written(tmp_path / "chamber.toml", 1), urls={"f1": other.url}) as store,
    ):
        link_is(store, "f1", "Wrong device")
        assert "holding 0 should be 5270, but it is" in mark("get", "chamber.f1_error")
        assert "wrong device" in refused("set", "chamber.setpoint_1=30")
        assert "wrong device" in refused("get", "chamber.temperature_1")


@PTY
@pytest.mark.parametrize(
    "fault",
    [
        ("garbage", "probability=0.2"),
        ("truncated", "probability=0.2"),
        ("mute", "probability=0.2"),
        ("late", "probability=0.2", "delay_s=0.35"),
        ("split", "gap_s=0.02"),
        ("busy", "probability=0.3"),
    ],
)
def test_no_fault_of_the_line_makes_a_wrong_value(tmp_path, twin, fault):
    # The deadline is less than the replies are late.
    file = written(tmp_path / "chamber.toml", 1, timeout_s=0.3)
    with served(file, up=("f1",), urls={"f1": twin.url}) as chamber:
        wait_until(lambda: chamber["temperature_1"].value == 25.0)
        no_wrong_value(twin, chamber, fault)


def no_wrong_value(twin: Simulator, chamber: mktl.Store, fault: tuple[str, ...]) -> None:
    temperature, humidity = Seen(chamber["temperature_1"]), Seen(chamber["humidity_1"])
    begin = twin.get("messages")["messages"]
    control(twin, "fault", *fault)
    wait_until(lambda: twin.get("messages")["messages"] > begin + 40, 40)
    control(twin, "fault", "none")
    link_is(chamber, "f1", "Up")
    wait_until(lambda: chamber["temperature_1"].quality == "valid", 20)
    assert set(temperature.values) == {25.0}
    assert all(abs(value - 40) < 0.5 for value in humidity.values), humidity.values


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_silent_unit_on_a_shared_line_takes_nothing_from_the_other(tmp_path, transport):
    units = {1: "watlow_f4", 2: "watlow_f4"}
    bus = simulators.start_bus(units, transport, time_factor=0.0, seed=1, baud=115200)
    urls = {f"f{unit}": bus.url_of(unit) for unit in units}
    file = written(tmp_path / "chamber.toml", *units)
    with contextlib.closing(bus), served(file, up=("f1", "f2"), urls=urls) as store:
        one, two = store["setpoint_1"], store["setpoint_2"]
        mark("set", "-s", "chamber", "setpoint_1=31", "setpoint_2=62")
        wait_until(lambda: (one.value, two.value) == (31.0, 62.0))
        mine = Seen(one)

        control(bus, "fault", "dead-unit", "unit=2")
        wait_until(lambda: in_doubt(two), 20)
        wait_until(lambda: store["f2_link"].formatted != "Up", 20)
        said = refused("set", "chamber.setpoint_2=10")
        assert "f2 at" in said
        assert "unit 2" in said
        for value in (32, 33, 34):
            checked = one.checked or 0.0
            mark("set", f"chamber.setpoint_1={value}")
            wait_until(lambda checked=checked: (one.checked or 0.0) > checked)
        assert store["f1_link"].formatted == "Up"
        assert (one.quality, mine.doubts) == ("valid", [])
        assert set(mine.values) <= {31.0, 32.0, 33.0, 34.0}
        assert two.value == 62.0

        control(bus, "fault", "none")
        link_is(store, "f2", "Up")
        wait_until(lambda: (two.value, two.quality) == (62.0, "valid"), 20)
        mark("set", "chamber.setpoint_2=63")
        wait_until(lambda: (one.value, two.value) == (34.0, 63.0))
