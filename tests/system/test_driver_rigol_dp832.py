"""The Rigol DP832 driver and its twin, which do not know each other, through real ports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import mktl
import simulators
from drivers.rigol_dp832 import RigolDP832
from mktl.errors import DeviceError, DeviceRefused, LinkDown
from simulators.serve import Simulator
from tests._support import wait_until
from tests.system._instrument import answered, control, link_is, mark, never_early, refused, served

ROOT = Path(__file__).resolve().parents[2]
SUPPLY = ROOT / "examples" / "power_supply.toml"
QUICK = {"retry_first_s": 0.05, "retry_longest_s": 0.2}
CLEAN = {"noise_v": 0, "noise_a": 0, "ch1_load_ohm": 10, "ch3_load_ohm": 5}
# The instrument itself has no HiSLIP, but others that speak SCPI have. "asrl" is its serial port
# as VISA opens it.
ROUTES = (*simulators.MODELS["rigol_dp832"].transports, "hislip", "asrl")


def start(route: str) -> Simulator:
    transport = "serial" if route == "asrl" else route
    place = True if transport == "serial" else ("127.0.0.1", 0)
    # Faster than 9600 baud where bytes take time: what is tested is the conversation.
    made = Simulator(
        simulators.MODELS["rigol_dp832"].load()(seed=1),
        serve={transport: place},
        control=("127.0.0.1", 0),
        baud=115200,
        seed=1,
    ).start()
    made.set(**CLEAN)
    return made


@pytest.fixture(params=ROUTES)
def route(request) -> str:
    return request.param


@pytest.fixture
def twin(route) -> Iterator[Simulator]:
    with contextlib.closing(start(route)) as made:
        yield made


@pytest.fixture
def url(route, twin) -> str:
    if route != "asrl":
        return twin.url
    path, _, settings = twin.url.removeprefix("serial://").partition("?")
    return f"visa://ASRL{path}::INSTR?{settings}"


@pytest.fixture
def tcp_twin() -> Iterator[Simulator]:
    with contextlib.closing(start("tcp")) as made:
        yield made


@pytest.fixture
def psu(url) -> Iterator[RigolDP832]:
    with RigolDP832.open(url, name="psu", **QUICK) as controller:
        controller.wait_until_up(timeout_s=10)
        yield controller


def answers(psu: RigolDP832) -> bool:
    try:
        psu.setpoints(1)
    except DeviceError:
        return False
    return True


def value(twin: Simulator, name: str) -> float:
    return twin.get(name)[name]


@pytest.mark.parametrize("channel", [1, 2, 3])
def test_every_channel_answers_and_takes_what_it_says(tcp_twin, channel):
    with RigolDP832.open(tcp_twin.url, min_gap_s=0.02, **QUICK) as psu:
        paths = [one.path for one in psu.channels() if str(channel) in one.path.split(".")]
        assert len(paths) == 13
        for path in paths:
            now = psu.channel(path).read()
            if psu.channel(path).write is not None:
                psu.channel(path).write(now)
                assert psu.channel(path).read() == now, path
        assert psu.errors() == ()


def test_what_is_set_is_what_the_instrument_delivers(psu, twin):
    psu.set_setpoint_v(1, 5)
    psu.set_setpoint_a(1, 1)
    assert psu.setpoints(1) == (5, 1)
    assert psu.regulation_mode(1) != 2
    psu.set_output(1, True)
    assert value(twin, "ch1_on") == 1
    wait_until(lambda: psu.measured(1).voltage_v == pytest.approx(5, abs=0.002))
    assert psu.measured(1).current_a == pytest.approx(0.5, abs=0.002)
    assert psu.measured(1).power_w == pytest.approx(2.5, abs=0.02)
    assert psu.regulation_mode(1) == 1
    psu.set_setpoint_a(1, 0.2)
    wait_until(lambda: psu.regulation_mode(1) == 2)
    assert psu.voltage_v(1) == pytest.approx(2, abs=0.01)
    psu.set_output(1, False)
    assert value(twin, "ch1_on") == 0

    def talk() -> None:
        psu.set_setpoint_a(1, 0.3)
        psu.measured(1)
        psu.set_output(1, False)
        psu.regulation_mode(1)

    never_early(lambda: value(twin, "early_messages"), talk)


def test_a_trip_is_seen_and_cleared_and_the_output_stays_off(psu, twin):
    psu.set_setpoint_v(1, 5)
    psu.set_setpoint_a(1, 1)
    psu.set_over_voltage_level_v(1, 8)
    psu.set_over_voltage_enabled(1, True)
    psu.set_output(1, True)
    assert psu.over_voltage_tripped(1) is False
    twin.set(ch1_feed_v=12)
    wait_until(lambda: psu.channel("ovp.1.tripped").read() is True)
    assert psu.output(1) is False
    twin.set(ch1_feed_v=0)
    psu.channel("ovp.1.tripped").write(False)
    assert psu.over_voltage_tripped(1) is False
    assert psu.output(1) is False
    assert value(twin, "ch1_tripped") == 0


def test_an_over_current_trip_is_seen_too(tcp_twin):
    with RigolDP832.open(tcp_twin.url, **QUICK) as psu:
        psu.set_setpoint_v(3, 5)
        psu.set_setpoint_a(3, 3)
        psu.set_over_current_level_a(3, 1.5)
        psu.set_over_current_enabled(3, True)
        psu.set_output(3, True)
        tcp_twin.set(ch3_load_ohm=2)
        wait_until(lambda: psu.over_current_tripped(3))
        assert psu.output(3) is False
        tcp_twin.set(ch3_load_ohm=50)
        psu.clear_over_current(3)
        assert psu.over_current_tripped(3) is False


@pytest.mark.parametrize(
    "command", [":SOUR1:VOLT 99", ":SOUR3:VOLT 5.5", ":NONSENSE 1", ":OUTP CH9,ON"]
)
def test_what_the_instrument_refuses_is_named_and_the_value_stays(psu, command):
    psu.set_setpoint_v(1, 5)
    with pytest.raises(DeviceRefused, match=rf"psu at .*{command}.*-(113|222|224)"):
        psu.raw(command)
    assert psu.setpoint_v(1) == 5
    psu.set_setpoint_v(1, 6)
    assert psu.errors() == ()


def test_a_query_that_it_does_not_know_is_named_with_the_entry_of_the_queue(url):
    with RigolDP832.open(url, timeout_s=1, **QUICK) as psu:
        with pytest.raises(DeviceRefused, match=r":NONSENSE\?.*-113"):
            psu.raw(":NONSENSE?")
        assert psu.setpoints(1) == (0, 0.1)
        psu.set_setpoint_v(1, 1)


def test_an_error_of_somebody_else_is_not_blamed_on_the_first_command(tcp_twin):
    with RigolDP832.open(tcp_twin.url, **QUICK) as before:
        before.tell(":NONSENSE 1")
    with RigolDP832.open(tcp_twin.url, **QUICK) as psu:
        psu.set_setpoint_v(1, 1)


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("garbage", {"probability": 0.5}),
        ("truncated", {"probability": 0.5}),
        ("mute", {"probability": 0.5}),
        ("late", {"probability": 0.5, "delay_s": 0.3}),
        ("split", {"gap_s": 0.02}),
        ("silence", {"probability": 0.5}),
        ("strict-flow", {}),
    ],
)
def test_no_fault_of_the_line_makes_a_wrong_value(tcp_twin, fault, how):
    with RigolDP832.open(tcp_twin.url, timeout_s=0.15, **QUICK) as psu:
        answered(lambda: psu.set_setpoint_v(1, 7.5))
        tcp_twin.fault(fault, **how)
        for _n in range(6):
            with contextlib.suppress(DeviceError):
                assert psu.setpoint_v(1) == 7.5
            with contextlib.suppress(DeviceError):
                assert psu.setpoints(1)[0] == 7.5
            with contextlib.suppress(DeviceError):
                assert psu.output(1) is False
        tcp_twin.fault("none")
        wait_until(lambda: answers(psu))
        answered(lambda: psu.set_setpoint_v(1, 3))
        assert answered(lambda: psu.setpoint_v(1)) == 3


def test_a_late_reply_is_never_taken_for_another_one(twin, url):
    with RigolDP832.open(url, timeout_s=0.2, **QUICK) as psu:
        answered(lambda: psu.set_setpoint_v(1, 7.5))
        answered(lambda: psu.set_setpoint_v(3, 2.5))
        twin.fault("late", probability=0.5, delay_s=0.3)
        for _n in range(4):
            for channel, volts in ((1, 7.5), (3, 2.5)):
                with contextlib.suppress(DeviceError):
                    assert psu.setpoint_v(channel) == volts
        twin.fault("none")
        wait_until(lambda: answers(psu))
        assert answered(lambda: (psu.setpoint_v(1), psu.setpoint_v(3))) == (7.5, 2.5)


def test_the_cable_is_pulled_and_put_back(psu, twin):
    twin.cut()
    wait_until(lambda: not answers(psu))
    wait_until(lambda: psu.status().state == "Down")
    with pytest.raises(LinkDown, match=r"psu at .* down since"):
        psu.setpoints(1)
    twin.restore()
    psu.wait_until_up(timeout_s=20)
    assert answers(psu)


def test_another_instrument_on_the_port_is_named(tcp_twin):
    tcp_twin.fault("wrong-identity", identity="ACME,OTHER,0,1.0")
    with RigolDP832.open(tcp_twin.url, timeout_s=0.3, **QUICK) as psu:
        psu.start()
        wait_until(lambda: psu.status().state == "Wrong device")
        assert "ACME,OTHER" in psu.status().error
        tcp_twin.fault("none")
        psu.wait_until_up(timeout_s=20)


def test_settings_are_restored_after_it_was_switched_off_and_on(tcp_twin):
    restore = [":OUTP:OVP:VAL CH1,6", ":OUTP:OVP CH1,ON"]
    with RigolDP832.open(tcp_twin.url, restore=restore, **QUICK) as psu:
        psu.set_over_voltage_level_v(1, 20)
        tcp_twin.fault("power-cycle", off_s=0.2)
        wait_until(lambda: not answers(psu))
        wait_until(lambda: answers(psu))
        assert psu.over_voltage_level_v(1) == 6
        assert psu.over_voltage_enabled(1) is True


def serving(url: str) -> AbstractContextManager[mktl.Store]:
    return served(SUPPLY, up=("psu",), urls={"psu": url})


def test_what_mark_sets_is_in_the_instrument_and_what_it_does_is_in_mark(twin, url):
    with serving(url) as store:
        mark("set", "-s", "power", "camera_limit=1.0", "camera_setpoint=5", "camera_on=On")
        assert "ch1_on=1" in control(twin, "get", "ch1_on")
        volts = control(twin, "get", "ch1_v").partition("=")[2]
        assert float(volts) == pytest.approx(5, abs=0.01)

        control(twin, "set", "ch1_load_ohm=1")
        wait_until(lambda: store["camera_mode"].formatted == "Constant current")
        got = mark("get", "power.camera_mode", "power.camera_current", "--refresh")
        assert "Constant current" in got
        assert "power.camera_current: 1.00" in got


def test_a_daemon_lets_go_of_a_cable_that_is_pulled_and_takes_it_when_it_is_back(twin, url):
    with serving(url) as store:
        control(twin, "cut")
        wait_until(lambda: store["psu_link"].formatted in ("Down", "Connecting"))
        lost = refused("get", "power.camera_on", "--refresh")
        assert "power.camera_on failed: psu at" in lost
        control(twin, "restore")
        link_is(store, "psu", "Up")
        mark("set", "-s", "power", "camera_on=On")
        assert "ch1_on=1" in control(twin, "get", "ch1_on")


def test_mark_is_told_why_a_setting_was_refused(tcp_twin):
    with serving(tcp_twin.url):
        assert "5.5" in refused("set", "power.camera_setpoint=12")
        assert "error queue" in refused("set", "power.psu_raw=:SOUR1:VOLT 99")
