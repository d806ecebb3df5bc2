"""Pfeiffer vacuum instruments from end to end, drivers and twins that do not know each other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from drivers import _pfeiffer_tpg36x as tpg
from drivers.pfeiffer_tpg36x import PfeifferTPG36x
from drivers.pfeiffer_turbo import PfeifferGauge, PfeifferTurbo
from mktl.errors import DeviceError, DeviceRefused, InvalidReading, LinkDown, ProtocolMismatch
from simulators.bus import Bus
from simulators.pfeiffer_tpg36x import PfeifferTpg36x as TpgTwin
from simulators.pfeiffer_turbo import PfeifferDrive as DriveTwin
from simulators.pfeiffer_turbo import PfeifferGauge as GaugeTwin
from simulators.serve import Simulator
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
PLACES = {"tcp": ("127.0.0.1", 0), "serial": True}
ROUTES = pytest.mark.parametrize("route", PLACES)
TCP = pytest.mark.parametrize("route", ["tcp"])
HPA = 3.25e-6
"""What the chamber is held at: time stands still."""
NEAR = 0.01
"""A gauge lags a little behind its chamber."""
FAULTS = pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("garbage", {"probability": 0.3}),
        ("truncated", {"probability": 0.3}),
        ("mute", {"probability": 0.3}),
        ("late", {"probability": 0.3, "delay_s": 0.3}),
        ("split", {"gap_s": 0.02}),
        ("silence", {"probability": 0.3}),
    ],
)


def started(device: TpgTwin | Bus, route: str, **how) -> Simulator:
    # Faster than 9600 baud where bytes take time: what is tested is the conversation.
    given = {"time_factor": 0.0, "baud": 115200, "seed": 1, **how}
    return Simulator(
        device, serve={route: PLACES[route]}, control=("127.0.0.1", 0), **given
    ).start()


# --- the gauge controller -------------------------------------------------------------------------


@pytest.fixture
def gauges(route) -> Iterator[Simulator]:
    with contextlib.closing(started(TpgTwin(seed=1), route)) as made:
        made.set(noise=0, chamber_mbar=HPA)
        yield made


@pytest.fixture
def unit(gauges) -> Iterator[PfeifferTPG36x]:
    with PfeifferTPG36x.open(gauges.url, name="vac", **QUICK) as controller:
        controller.wait_until_up(timeout_s=10)
        yield controller


def pressure(unit: PfeifferTPG36x) -> float | None:
    with contextlib.suppress(DeviceError):
        return unit.pressure_hpa(1)
    return None


@ROUTES
def test_every_channel_of_the_tpg_answers_and_takes_what_it_says(unit):
    for channel in unit.channels():
        try:
            value = channel.read()
        except InvalidReading as error:
            assert "has no pressure" in str(error)
            continue
        if channel.write is not None and (channel.path == "unit" or value != 0):
            channel.write(value)
            assert channel.read() == value, channel.path


@ROUTES
def test_pressures_are_true_in_every_unit_that_the_panel_shows(unit, gauges):
    for number in (0, 1, 2, 3, 4):
        unit.set_display_unit(number)
        assert unit.pressure_hpa(1) == pytest.approx(HPA, rel=NEAR)
        assert unit.measurements()[0].unit == number
    unit.set_display_unit(5)
    with pytest.raises(InvalidReading, match="volts"):
        unit.pressure_hpa(1)
    unit.set_display_unit(4)
    gauges.set(chamber_mbar=HPA * 2)
    assert unit.pressure_hpa(1) == pytest.approx(HPA * 2, rel=NEAR)


def test_somebody_at_the_panel_never_makes_a_wrong_number():
    """Another host changes the unit at each reading, over the other interface."""
    done = threading.Event()
    found: list[float | None] = []
    twin = Simulator(TpgTwin(seed=1), serve=PLACES, time_factor=0.0, baud=115200, seed=1)
    with (
        twin as gauges,
        PfeifferTPG36x(gauges.urls["tcp"], name="vac", **QUICK) as unit,
        PfeifferTPG36x(gauges.urls["serial"], name="panel", **QUICK) as panel,
    ):
        gauges.set(noise=0, chamber_mbar=HPA)
        for each in (unit, panel):
            each.wait_until_up(timeout_s=10)

        def play() -> None:
            while not done.is_set():
                for number in (2, 1, 3, 0):
                    before = len(found)
                    panel.set_display_unit(number)
                    wait_until(lambda before=before: len(found) > before or done.is_set())

        player = threading.Thread(target=play)
        player.start()
        units = set()
        try:
            for _n in range(300):
                with contextlib.suppress(InvalidReading):
                    one = unit.measurements()[0]
                    units.add(one.unit)
                    found.append(one.pressure_hpa)
        finally:
            done.set()
            player.join()
    assert len(units) > 1
    assert all(value == pytest.approx(HPA, rel=NEAR) for value in found)


@ROUTES
def test_gauges_are_switched_and_their_states_are_told_in_words(unit, gauges):
    channel = unit.gauges().index(tpg.ON) + 1
    unit.set_gauge(channel, tpg.OFF)
    assert gauges.get(f"ch{channel}_on")[f"ch{channel}_on"] == 0
    assert unit.gauge_status(channel) == 4
    with pytest.raises(InvalidReading, match="sensor off"):
        unit.pressure_hpa(channel)
    unit.channel(f"gauge.{channel}").write(tpg.ON)
    assert gauges.get(f"ch{channel}_on")[f"ch{channel}_on"] == 1
    gauges.set(ch1_sensor_error=1)
    with pytest.raises(InvalidReading, match="sensor error"):
        unit.pressure_hpa(1)
    gauges.set(ch1_sensor_error=0, ch1_unplugged=1)
    assert (unit.gauge_status(1), unit.gauge_type(1)) == (5, "noSENSOR")
    gauges.set(ch1_unplugged=0)
    assert unit.pressure_hpa(1) == pytest.approx(HPA, rel=NEAR)


@ROUTES
def test_what_the_tpg_does_not_understand_is_refused_in_words(unit):
    with pytest.raises(DeviceRefused, match=r"'NONSENSE' was refused.*syntax error"):
        unit.raw("NONSENSE")
    with pytest.raises(DeviceRefused, match=r"'UNI,9' was refused.*bad parameter"):
        unit.raw("UNI,9")
    assert unit.error_word() in (0, 0b0001, 0b0010, 0b0011)
    assert unit.pressure_hpa(1) == pytest.approx(HPA, rel=NEAR)


@ROUTES
def test_a_stream_at_power_up_and_in_continuous_mode_does_no_harm(route):
    with contextlib.closing(started(TpgTwin(seed=1), route, time_factor=20.0)) as gauges:
        gauges.set(noise=0)
        with PfeifferTPG36x.open(gauges.url, name="vac", **QUICK) as unit:
            unit.wait_until_up(timeout_s=10)
            assert unit.pressure_hpa(1) < 1e-3
            for _n in range(3):
                # On a busy machine the first line of the stream is there with the acknowledgement.
                with contextlib.suppress(ProtocolMismatch):
                    unit.raw("COM,0")
                assert wait_until(lambda: pressure(unit)) < 1e-3


@TCP
@FAULTS
def test_no_fault_of_the_line_makes_a_wrong_pressure(gauges, fault, how):
    with PfeifferTPG36x.open(gauges.url, name="vac", timeout_s=0.15, **QUICK) as unit:
        unit.wait_until_up(timeout_s=10)
        gauges.fault(fault, **how)
        for _n in range(6):
            with contextlib.suppress(DeviceError):
                assert unit.pressure_hpa(1) == pytest.approx(HPA, rel=NEAR)
            with contextlib.suppress(DeviceError):
                assert unit.gauge_types()[0] == "PKR"
            with contextlib.suppress(DeviceError):
                assert unit.measurements()[0].pressure_hpa == pytest.approx(HPA, rel=NEAR)
        gauges.fault("none")
        wait_until(lambda: pressure(unit))
        answered(lambda: unit.set_display_unit(0))
        assert answered(unit.display_unit) == 0


@ROUTES
def test_the_cable_of_the_tpg_is_pulled_and_put_back(unit, gauges):
    gauges.cut()
    wait_until(lambda: pressure(unit) is None)
    wait_until(lambda: unit.status().state == "Down")
    with pytest.raises(LinkDown, match=r"vac at .* down since"):
        unit.pressure_hpa(1)
    gauges.restore()
    unit.wait_until_up(timeout_s=20)
    assert pressure(unit) == pytest.approx(HPA, rel=NEAR)


@ROUTES
def test_settings_of_the_tpg_are_restored_after_it_was_switched_off_and_on(gauges):
    with PfeifferTPG36x.open(gauges.url, restore=["UNI,1"], timeout_s=0.3, **QUICK) as unit:
        unit.wait_until_up(timeout_s=10)
        answered(lambda: unit.set_display_unit(2))
        gauges.fault("power-cycle", off_s=0.5)
        wait_until(lambda: pressure(unit) is None)
        wait_until(lambda: pressure(unit))
        assert answered(unit.display_unit) == 1


@TCP
def test_another_model_than_the_file_says_is_named(gauges):
    with PfeifferTPG36x.open(gauges.url, model="tpg362", **QUICK) as unit:
        unit.start()
        wait_until(lambda: unit.status().state == "Wrong device")
        assert 'model = "tpg366"' in unit.status().error


# --- drives and gauges on a line ------------------------------------------------------------------


@pytest.fixture
def line(route) -> Iterator[Simulator]:
    bus = Bus(
        {
            1: DriveTwin(seed=1),
            122: GaugeTwin(seed=2),
            123: GaugeTwin(seed=3, unit=123, kind="CPT"),
        }
    )
    with contextlib.closing(started(bus, route)) as made:
        for number, hpa in ((122, 2e-4), (123, 500)):
            made.set(**{f"unit{number}.noise": 0, f"unit{number}.pressure_hpa": hpa})
        yield made


@contextlib.contextmanager
def units(line: Simulator, **settings) -> Iterator[tuple[PfeifferTurbo, PfeifferGauge]]:
    given = {"timeout_s": 1.0, **QUICK, **settings}
    with (
        PfeifferTurbo.open(line.url_of(1), name="pump", **given) as pump,
        PfeifferGauge.open(line.url_of(122), name="gauge", **given) as gauge,
    ):
        pump.wait_until_up(timeout_s=10)
        gauge.wait_until_up(timeout_s=10)
        yield pump, gauge


def value(twin: Simulator, name: str) -> float:
    return float(twin.get(name)[name])


@ROUTES
def test_every_channel_of_a_drive_and_a_gauge_answers_and_takes_what_it_says(line):
    with units(line) as both:
        for made in both:
            for channel in made.channels():
                if channel.read is None:
                    continue
                now = channel.read()
                if channel.write is not None:
                    channel.write(now)
                    assert channel.read() == now, channel.path


@ROUTES
def test_what_is_set_at_a_drive_is_what_it_does(line):
    with units(line) as (pump, _gauge):
        assert pump.speed_hz() == 0
        pump.set_motor(True)
        pump.set_pumping(True)
        assert value(line, "unit1.pumping") == 1
        line.skip(30)
        assert 0 < pump.speed_hz() == pytest.approx(value(line, "unit1.speed_hz"), abs=1)
        assert pump.flags() & 0b100
        line.skip(900)
        assert pump.flags() & 0b011 == 0b011
        assert pump.get("rpm") == pytest.approx(60 * value(line, "unit1.speed_hz"), abs=60)
        pump.set_power_limit_percent(80)
        assert pump.power_limit_percent() == 80
        pump.set_pumping(False)
        assert value(line, "unit1.pumping") == 0


@ROUTES
def test_errors_of_a_drive_and_a_gauge_are_told_in_words(line):
    with units(line) as (pump, gauge):
        line.set(**{"unit1.error": 6, "unit122.error": 1})
        assert str(pump.fault()) == "Err006: run-up took too long"
        with pytest.raises(InvalidReading, match="Err001: sensor defective"):
            gauge.pressure_hpa()
        line.set(**{"unit1.error": 0, "unit1.warning": 18, "unit122.error": 0})
        assert str(pump.fault()).startswith("Wrn018")
        assert gauge.pressure_hpa() == pytest.approx(2e-4, rel=NEAR)
        line.set(**{"unit1.warning": 0})
        assert str(pump.fault()) == "None"


@ROUTES
def test_a_drive_says_in_words_what_it_does_not_have_and_does_not_allow(line):
    with units(line) as (pump, _gauge):
        assert pump.raw("999").endswith("NO_DEF")
        assert pump.raw("0011030906000100").endswith("_LOGIC")
        assert pump.speed_hz() == 0


@TCP
def test_what_the_units_refuse_meanwhile_is_an_error_and_no_value(gauges, line):
    gauges.fault("nak")
    line.fault("exception", code=2)
    with PfeifferTPG36x.open(gauges.url, name="vac", timeout_s=0.3, **QUICK) as unit:
        unit.start()
        wait_until(lambda: unit.status().error)
        gauges.fault("none")
        unit.wait_until_up(timeout_s=20)
        gauges.fault("nak")
        with pytest.raises(DeviceRefused, match="NAK"):
            answered(lambda: unit.pressure_hpa(1))
    line.fault("none")
    with units(line) as (pump, gauge):
        line.fault("exception", code=2)
        for call in (pump.speed_hz, gauge.pressure_hpa, lambda: pump.set_motor(True)):
            with pytest.raises(DeviceRefused, match="_RANGE"):
                call()
        line.fault("none")
        assert pump.speed_hz() == 0


@TCP
@FAULTS
def test_no_fault_of_the_line_makes_a_wrong_value_of_a_unit(line, fault, how):
    with units(line, timeout_s=0.15) as (pump, gauge):
        line.fault(fault, **how)
        for _n in range(6):
            with contextlib.suppress(DeviceError):
                assert gauge.pressure_hpa() == pytest.approx(2e-4, rel=NEAR)
            with contextlib.suppress(DeviceError):
                assert pump.speed_hz() == 0
            with contextlib.suppress(DeviceError):
                assert pump.power_limit_percent() == 100
        line.fault("none")
        pump.wait_until_up(timeout_s=20)
        gauge.wait_until_up(timeout_s=20)
        wait_until(lambda: speed_and_pressure(pump, gauge), 20)


def speed_and_pressure(pump: PfeifferTurbo, gauge: PfeifferGauge) -> bool:
    with contextlib.suppress(DeviceError):
        return pump.speed_hz() == 0 and gauge.pressure_hpa() == pytest.approx(2e-4, rel=NEAR)
    return False


@ROUTES
def test_settings_of_a_drive_are_restored_after_the_line_was_lost(line):
    restore = [{"channel": "power.limit", "value": 70}]
    with PfeifferTurbo.open(line.url_of(1), restore=restore, timeout_s=0.3, **QUICK) as pump:
        pump.wait_until_up(timeout_s=10)
        answered(lambda: pump.set_power_limit_percent(90))
        line.cut()
        wait_until(lambda: pump.status().state != "Up" or speed(pump) is None)
        wait_until(lambda: pump.status().state == "Down")
        line.restore()
        pump.wait_until_up(timeout_s=20)
        assert answered(pump.power_limit_percent) == 70


def speed(pump: PfeifferTurbo) -> int | None:
    with contextlib.suppress(DeviceError):
        return pump.speed_hz()
    return None


# --- through a daemon -----------------------------------------------------------------------------

HEAD = 'store = "vacuum"\nalias = "hw"\n'
CONTROLLER = """
[controllers.{name}]
driver = "{driver}"
url = "{url}"
retry_first_s = 0.05
retry_longest_s = {retry_longest_s}
"""
CLASSES = {
    "tpg": "drivers.pfeiffer_tpg36x:PfeifferTPG36x",
    "pump": "drivers.pfeiffer_turbo:PfeifferTurbo",
    "gauge": "drivers.pfeiffer_turbo:PfeifferGauge",
}


def controller(
    kind: str, name: str, url: str, *, retry_longest_s: float = 0.2, more: str = ""
) -> str:
    made = CONTROLLER.format(
        name=name, driver=CLASSES[kind], url=url, retry_longest_s=retry_longest_s
    )
    return made + more


def items(poll_s: float = 0.2, **channels: str) -> str:
    return "".join(
        f'\n[items.{key}]\nchannel = "{path}"\npoll_s = {poll_s}\n'
        for key, path in channels.items()
    )


@ROUTES
def test_what_mark_sets_is_in_the_tpg_and_what_the_gauges_do_is_in_mark(gauges, tmp_path):
    file = tmp_path / "vacuum.toml"
    channels = {"chamber": "tpg.pressure.1", "state": "tpg.status.1", "gauge": "tpg.gauge.1",
                "panel": "tpg.unit"}  # fmt: skip
    file.write_text(HEAD + controller("tpg", "tpg", gauges.url) + items(**channels))
    with served(file, up=("tpg",)) as store:
        chamber = store["chamber"]
        seen = Seen(chamber)
        wait_until(lambda: chamber.value == pytest.approx(HPA, rel=NEAR))
        mark("set", "-s", "vacuum", "panel=Torr")
        assert " hPa" in mark("get", "vacuum.chamber", "--refresh")
        assert store["panel"].formatted == "Torr"
        if store["gauge"].formatted != "Not switchable":
            mark("set", "vacuum.gauge=Off")
            assert "ch1_on=0" in control(gauges, "get", "ch1_on")
            mark("set", "vacuum.gauge=On")
            wait_until(lambda: chamber.quality == "valid")
        control(gauges, "set", "ch1_sensor_error=1")
        wait_until(lambda: in_doubt(chamber, "sensor error"))
        assert "Sensor error" in mark("get", "vacuum.state", "--refresh")
        control(gauges, "set", "ch1_sensor_error=0")
        wait_until(lambda: chamber.quality == "valid")
        assert "bad parameter" in refused("set", "vacuum.tpg_raw=UNI,9")
        assert all(one == pytest.approx(HPA, rel=NEAR) for one in seen.values if one)


@ROUTES
def test_what_mark_sets_is_in_the_drive_and_what_the_units_do_is_in_mark(line, tmp_path):
    file = tmp_path / "vacuum.toml"
    channels = {
        "pumping": "turbo.pumping", "motor": "turbo.motor", "speed": "turbo.speed",
        "flags": "turbo.status", "code": "turbo.error", "lock": "lock.pressure",
    }  # fmt: skip
    pump = controller("pump", "turbo", line.url_of(1))
    gauge = controller("gauge", "lock", line.url_of(122))
    file.write_text(HEAD + pump + gauge + items(**channels))
    with served(file, up=("turbo", "lock")) as store:
        mark("set", "-s", "vacuum", "motor=On", "pumping=On")
        assert "unit1.pumping=1" in control(line, "get", "unit1.pumping")
        control(line, "skip", "30")
        wait_until(lambda: store["speed"].value > 0)
        wait_until(lambda: "Accelerating" in store["flags"].formatted)
        control(line, "set", "unit1.error=6", "unit122.error=1")
        wait_until(lambda: store["code"].value == "Err006: run-up took too long")
        wait_until(lambda: in_doubt(store["lock"], "sensor defective"))
        control(line, "set", "unit122.error=0", "unit122.pressure_hpa=5e-3")
        wait_until(lambda: store["lock"].value == pytest.approx(5e-3, rel=NEAR))


@ROUTES
def test_a_silent_unit_of_four_leaves_the_others_their_polls(route, tmp_path):
    """With the deadline of the driver; turns are counted where they arrive, whatever the time."""
    numbers, silent = (121, 122, 123, 124), 123
    bus = Bus({unit: GaugeTwin(seed=unit, unit=unit) for unit in numbers})
    text = HEAD
    with contextlib.closing(started(bus, route, time_factor=1.0)) as twin:
        for unit in numbers:
            # As long between attempts as a daemon has it that has run for a while.
            text += controller("gauge", f"g{unit}", twin.url_of(unit), retry_longest_s=30)
            text += items(poll_s=0.5, **{f"p{unit}": f"g{unit}.pressure"})
        file = tmp_path / "bus.toml"
        file.write_text(text)
        with served(file, up=tuple(f"g{unit}" for unit in numbers)) as store:
            twin.fault("dead-unit", unit=silent)
            link_is(store, f"g{silent}", "Down")
            wait_until(lambda: in_doubt(store[f"p{silent}"]))
            for _attempt in range(5):
                turns = turns_of(twin, 48)
                assert store[f"g{silent}_link"].formatted == "Down"
                # Asked again after 0.5 s, 1 s, 2 s, ...: so often in the longest wait for them.
                assert turns.count(silent) <= 7
                counts = [turns.count(unit) for unit in numbers if unit != silent]
                # Two messages are a poll, of which nobody of the others misses any; but a busy
                # machine leaves some out, where the one before has not ended.
                if max(counts) - min(counts) <= 4:
                    break
            else:
                pytest.fail(f"some come short each time, at last {counts}")
            twin.fault("none")
            link_is(store, f"g{silent}", "Up", 40)


def turns_of(twin: Simulator, count: int) -> list[int]:
    """Return which units are asked in the next *count* messages to their bus."""
    begin = twin.log(1)[0]["at_s"]

    def asked() -> list[int]:
        return [int(one["received"][:3]) for one in twin.log() if one["at_s"] > begin]

    wait_until(lambda: len(asked()) >= count, 40)
    return asked()[:count]
