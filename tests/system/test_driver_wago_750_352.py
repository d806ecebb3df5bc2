"""A WAGO coupler from end to end: ``mark`` at one end, the dome of the simulator at the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import mktl
import simulators
from simulators.serve import Simulator
from simulators.watlow_f4 import WatlowF4
from tests._support import wait_until
from tests.system._instrument import Seen, control, in_doubt, link_is, mark, refused, served

ROOT = Path(__file__).resolve().parents[2]
ENCLOSURE = ROOT / "examples" / "enclosure.toml"
QUICK = """store = "dome"
alias = "hw"

[controllers.io]
driver = "wago_750_352"
url = "modbus+tcp://127.0.0.1"
digital_inputs = 8
digital_outputs = 8
analog_inputs = ["4-20mA", "4-20mA", "+-10V", "+-10V", "pt100-461", "pt100-461"]
analog_outputs = ["0-10V", "0-10V"]
timeout_s = 1
retry_first_s = 0.05
retry_longest_s = 0.2
idle_probe_s = 1
"""
ITEMS = {
    "rain": "di.6",
    "lamp": "do.5",
    "shutter": "ai.3",
    "air": "ai.5",
    "fan_speed": "ao.1",
    "watchdog": "watchdog.time",
    "watchdog_status": "watchdog.status",
    "watchdog_functions": "watchdog.functions",
    "watchdog_restart": "watchdog.restart",
}


@pytest.fixture
def twin() -> Iterator[Simulator]:
    made = simulators.start_twin("wago_750_352", time_factor=0.0, seed=1)
    with contextlib.closing(made):
        made.set(shutter=0.5, air_c=12.3)
        made.skip(0.001)
        yield made


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "dome.toml"
    items = [
        f'\n[items.{key}]\nchannel = "io.{channel}"\npoll_s = 0.1\n'
        for key, channel in ITEMS.items()
        if key != "watchdog_restart"
    ]
    restart = '\n[items.watchdog_restart]\nchannel = "io.watchdog.restart"\n'
    path.write_text(QUICK + "".join(items) + restart)
    return path


@pytest.fixture
def dome(file, twin) -> Iterator[mktl.Store]:
    with served(file, up=("io",), urls={"io": twin.url}) as store:
        yield store


def test_what_mark_sets_is_in_the_dome_and_what_the_dome_does_is_in_mark(twin):
    with served(ENCLOSURE, up=("io",), urls={"io": twin.url}):
        mark("set", "-s", "dome", "lamp=On", "fan=On", "fan_speed=7.5", "open_shutter=On")
        has = control(twin, "get", "output_4", "output_2", "fan_speed", "output_0")
        assert has.split() == ["output_4=1", "output_2=1", "fan_speed=0.7499923704", "output_0=1"]
        got = mark("get", "dome.lamp", "dome.fan_speed", "dome.fan_runs", "--refresh")
        assert "dome.lamp: On" in got
        assert "dome.fan_speed: 7.500 volt" in got
        assert "dome.fan_runs: On" in got

        control(twin, "set", "rain=1", "humidity_percent=50", "air_c=-7.5")
        control(twin, "skip", "15")
        got = mark("get", "-s", "dome", "rain", "humidity_loop", "shutter_open", "--refresh")
        assert "rain: On" in got
        assert "shutter_open: On" in got
        assert 11.9 < float(got.split("humidity_loop: ")[1].split()[0]) < 12.1
        mark("set", "dome.lamp=off")
        assert control(twin, "get", "output_4").strip() == "output_4=0"


def test_what_cannot_be_is_refused_before_the_coupler_is_asked(twin, dome):
    before = [each for each in twin.log() if each["received"][21:23] in ("05", "06")]
    assert "0 to 10" in refused("set", "dome.fan_speed=10.5")
    assert "lamp" in refused("set", "dome.lamp=dim")
    assert "in steps of 0.1 s" in refused("set", "dome.watchdog=0.25")
    assert "must be" in refused("set", "dome.watchdog_restart=2")
    assert "not a settable item" in refused("set", "dome.rain=On")
    after = [each for each in twin.log() if each["received"][21:23] in ("05", "06")]
    assert after == before


@pytest.mark.parametrize(
    ("code", "words"),
    [(2, "illegal data address"), (3, "illegal data value"), (4, "device failure")],
)
def test_an_exception_is_told_and_leaves_everything_as_it_is(twin, dome, code, words):
    mark("set", "dome.lamp=On")
    control(twin, "fault", "exception", f"code={code}")
    said = refused("set", "dome.lamp=Off")
    assert f"{words} (exception {code})" in said
    assert "io at tcp://127.0.0.1" in said
    assert words in refused("get", "dome.air", "--refresh")
    wait_until(lambda: in_doubt(dome["air"], words))
    assert dome["air"].value == 12.3
    control(twin, "fault", "none")
    wait_until(lambda: dome["air"].quality == "valid")
    assert "On" in mark("get", "dome.lamp", "--refresh")
    assert dome["io_link"].formatted == "Up"


def test_an_expired_watchdog_is_seen_named_and_ended(twin, dome):
    mark("set", "dome.watchdog_functions=Write coil")
    mark("set", "-s", "dome", "lamp=On", "fan_speed=5")
    mark("set", "dome.watchdog=20")
    wait_until(lambda: dome["watchdog_status"].formatted == "Runs")
    control(twin, "skip", "21")
    wait_until(lambda: dome["watchdog_status"].formatted == "Expired")
    wait_until(lambda: (dome["lamp"].formatted, dome["fan_speed"].value) == ("Off", 0.0))
    for change in ("lamp=On", "fan_speed=5"):
        said = refused("set", f"dome.{change}")
        assert "exception 4" in said
        assert "its watchdog has expired" in said
    assert "Off" in mark("get", "dome.lamp", "--refresh")
    mark("set", "dome.watchdog_restart=1")
    mark("set", "dome.lamp=On")
    assert twin.get("output_4", "watchdog") == {"output_4": 1, "watchdog": 1}
    assert dome["io_link"].formatted == "Up"


def test_a_broken_wire_is_not_a_temperature(twin, dome):
    air = dome["air"]
    wait_until(lambda: air.value == 12.3)
    control(twin, "set", "air_wire_broken=1")
    control(twin, "skip", "0.001")
    wait_until(lambda: in_doubt(air, "no value"))
    assert air.value == 12.3
    assert dome["shutter"].quality == "valid"
    control(twin, "set", "air_wire_broken=0", "air_c=13.1")
    control(twin, "skip", "0.001")
    wait_until(lambda: (air.value, air.quality) == (13.1, "valid"))


def test_silence_puts_everything_in_doubt_and_ends_by_itself(twin, dome):
    air, link = dome["air"], dome["io_link"]
    wait_until(lambda: air.value == 12.3)
    control(twin, "fault", "silence")
    wait_until(lambda: in_doubt(air))
    wait_until(lambda: link.formatted in ("Down", "Connecting"))
    said = refused("set", "dome.lamp=On")
    assert "io at tcp://127.0.0.1" in said
    control(twin, "set", "air_c=20.5")
    control(twin, "skip", "0.001")
    assert air.value == 12.3
    control(twin, "fault", "none")
    wait_until(lambda: (air.value, air.quality) == (20.5, "valid"), 20)
    mark("set", "dome.lamp=On")
    assert twin.get("output_4") == {"output_4": 1}


def test_the_cable_is_pulled_and_put_back(twin, dome):
    lamp, shutter = dome["lamp"], dome["shutter"]
    mark("set", "dome.lamp=On")
    control(twin, "cut")
    wait_until(lambda: in_doubt(shutter) and in_doubt(lamp))
    said = refused("get", "dome.shutter", "--refresh")
    assert "down since" in said or "refused" in said
    control(twin, "restore")
    link_is(dome, "io", "Up")
    wait_until(lambda: (lamp.formatted, lamp.quality) == ("On", "valid"))
    wait_until(lambda: shutter.quality == "valid")


def test_a_loss_of_supply_is_found_and_settings_are_restored(tmp_path, file, twin):
    text = file.read_text().replace(
        "idle_probe_s = 1\n",
        "idle_probe_s = 1\nrestore = [\n"
        '    {table = "holding", address = 0x1007, value = 1},\n'
        '    {table = "holding", address = 0x1000, value = 6000},\n]\n',
    )
    file.write_text(text)
    with served(file, up=("io",), urls={"io": twin.url}) as dome:
        mark("set", "dome.lamp=On")
        control(twin, "fault", "power-cycle", "off_s=0.2")
        wait_until(lambda: dome["lamp"].formatted == "Off", 20)
        wait_until(lambda: dome["watchdog"].value == 600, 20)
        wait_until(lambda: dome["watchdog_status"].formatted == "Runs")


def test_another_device_at_the_address_is_named(file):
    serve = {"modbus+tcp": ("127.0.0.1", 0)}
    with (
        Simulator(WatlowF4(seed=1), serve=serve, time_factor=0.0) as other,
        served(file, urls={"io": other.url}) as dome,
    ):
        link_is(dome, "io", "Wrong device")
        said = mark("get", "dome.io_error")
        assert "should be [750, 352]" in said
        assert "wrong device" in refused("set", "dome.lamp=On")
        assert "wrong device" in refused("get", "dome.air")


def test_other_modules_than_the_file_names_are_told(file, twin):
    file.write_text(file.read_text().replace("digital_outputs = 8", "digital_outputs = 16"))
    with served(file, urls={"io": twin.url}) as dome:
        link_is(dome, "io", "Wrong device")
        said = mark("get", "dome.io_error")
        assert "it has 8 digital outputs, and the settings name 16: set digital_outputs" in said
        assert "750-461" in said


@pytest.mark.parametrize(
    "fault",
    [
        ("garbage", "probability=0.4"),
        ("truncated", "probability=0.4"),
        ("mute", "probability=0.3"),
        ("late", "probability=0.3", "delay_s=0.4"),
        ("split", "gap_s=0.02"),
        ("exception", "probability=0.4", "code=4"),
        ("busy", "probability=0.4"),
    ],
)
def test_no_fault_of_the_line_makes_a_wrong_value(twin, file, fault):
    # Less than the replies are late.
    file.write_text(file.read_text().replace("timeout_s = 1\n", "timeout_s = 0.3\n"))
    with served(file, up=("io",), urls={"io": twin.url}) as dome:
        no_wrong_value(twin, dome, fault)


def no_wrong_value(twin: Simulator, dome: mktl.Store, fault: tuple[str, ...]) -> None:
    wait_until(lambda: dome["air"].value == 12.3 and dome["shutter"].value is not None)
    air, shutter, lamp = Seen(dome["air"]), Seen(dome["shutter"]), Seen(dome["lamp"])
    begin = twin.get("messages")["messages"]
    control(twin, "fault", *fault)
    wait_until(lambda: twin.get("messages")["messages"] > begin + 30, 30)
    control(twin, "fault", "none")
    link_is(dome, "io", "Up")
    wait_until(lambda: all(dome[key].quality == "valid" for key in ("air", "shutter", "lamp")), 20)
    assert set(air.values) == {12.3}
    assert shutter.values == [pytest.approx(5.0, abs=0.001)] * len(shutter.values)
    assert set(lamp.values) == {False}
    control(twin, "set", "air_c=30")
    control(twin, "skip", "0.001")
    wait_until(lambda: dome["air"].value == 30.0)
