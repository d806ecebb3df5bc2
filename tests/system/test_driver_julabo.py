"""The Julabo driver and its twin, which do not know each other, through real ports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import mktl
import simulators
from drivers.julabo import Julabo
from mktl.errors import DeviceError, DeviceRefused, DeviceTimeout, InvalidReading, LinkDown
from simulators.serve import Simulator
from tests._support import wait_until
from tests.system._instrument import (
    answered,
    control,
    in_doubt,
    mark,
    never_early,
    refused,
    served,
)

ROOT = Path(__file__).resolve().parents[2]
CHILLER = ROOT / "examples" / "chiller.toml"
QUICK = {"retry_first_s": 0.05, "retry_longest_s": 0.2}


@pytest.fixture(params=simulators.MODELS["julabo"].transports)
def twin(request) -> Iterator[Simulator]:
    # Faster than 4800 baud where bytes take time: what is tested is the conversation.
    made = simulators.start_twin("julabo", request.param, time_factor=0, seed=1, baud=115200)
    with contextlib.closing(made):
        made.set(bath_c=18.5, noise_k=0, remote=1)
        yield made


@pytest.fixture
def tcp_twin() -> Iterator[Simulator]:
    made = simulators.start_twin("julabo", "tcp", time_factor=0, seed=1)
    with contextlib.closing(made):
        made.set(bath_c=18.5, noise_k=0, remote=1)
        yield made


@pytest.fixture
def bath(twin) -> Iterator[Julabo]:
    with Julabo.open(twin.url, name="bath", **QUICK) as controller:
        controller.wait_until_up(timeout_s=10)
        yield controller


def answers(bath: Julabo) -> bool:
    try:
        bath.bath_temperature_c()
    except DeviceError:
        return False
    return True


def test_every_channel_answers_and_takes_what_it_says(bath, twin):
    def talk() -> None:
        for channel in bath.channels():
            value = channel.read()
            if channel.write is not None:
                channel.write(value)
                assert channel.read() == value, channel.path

    never_early(lambda: twin.get("early_messages")["early_messages"], talk)


def test_what_is_set_is_what_the_unit_has(bath, twin):
    assert bath.bath_temperature_c() == pytest.approx(18.5, abs=0.011)
    bath.set_pump_stage(3)
    bath.set_running(False)
    bath.set_setpoint_c(21.25)
    assert bath.setpoint_c() == 21.25
    assert bath.unit_status().text == "02 REMOTE STOP"
    bath.set_running(True)
    assert bath.unit_status().text == "03 REMOTE START"
    assert twin.get("pump_stage", "running") == {"pump_stage": 3, "running": 1}
    twin.set(excess_c=61.5)
    assert bath.excess_temperature_c() == 61.5


def test_a_setting_in_manual_mode_is_refused_in_words(bath, twin):
    bath.set_setpoint_c(20)
    twin.set(remote=0)
    with pytest.raises(DeviceRefused, match=r"-09 .*remote mode only"):
        bath.set_setpoint_c(25)
    assert bath.setpoint_c() == 20
    assert bath.unit_status().manual
    twin.set(remote=1)
    bath.set_setpoint_c(25)
    assert bath.setpoint_c() == 25


def test_values_that_the_unit_does_not_take_are_refused_in_words(bath):
    before = bath.setpoint_c()
    for value in (900, -200):
        with pytest.raises(DeviceRefused, match=r"too (large|small)|temperature limits"):
            bath.set_setpoint_c(value)
    with pytest.raises(DeviceRefused, match="invalid command"):
        bath.raw("out_sp_99 1")
    assert bath.setpoint_c() == before


def test_an_alarm_is_told_and_the_unit_does_not_start_again(bath, twin):
    bath.set_running(True)
    twin.set(level_percent=5)
    assert bath.channel("alarm").read() == 1
    assert bath.channel("status").read() == 4
    assert bath.running() is False
    with pytest.raises(DeviceRefused):
        bath.set_running(True)
    assert bath.running() is False
    twin.set(level_percent=80, alarm=0)
    bath.set_running(True)
    assert bath.channel("alarm").read() == 0


def test_a_query_that_the_unit_does_not_know_is_named(bath):
    with pytest.raises(DeviceRefused, match=r"'in_zz_01' was not answered.*invalid command"):
        bath.raw("in_zz_01")
    assert answers(bath)


def test_xon_and_xoff_are_dropped(bath, twin):
    twin.set(flow_bytes=1)
    for _n in range(5):
        assert bath.bath_temperature_c() == pytest.approx(18.5, abs=0.011)
        assert bath.unit_status().text.endswith(("START", "STOP"))


def test_a_missing_external_sensor_is_never_a_temperature(tcp_twin):
    with Julabo.open(tcp_twin.url, timeout_s=0.3, **QUICK) as bath:
        tcp_twin.set(external_sensor=1)
        with pytest.raises((InvalidReading, DeviceTimeout, DeviceRefused)):
            bath.external_temperature_c()
        tcp_twin.set(external_sensor=0, external_c=17.25)
        assert answered(bath.external_temperature_c) == pytest.approx(17.25, abs=0.011)


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
    tcp_twin.set(setpoint_2_c=33)
    with Julabo.open(tcp_twin.url, timeout_s=0.15, **QUICK) as bath:
        bath.wait_until_up(timeout_s=10)
        tcp_twin.fault(fault, **how)
        for _n in range(6):
            with contextlib.suppress(DeviceError):
                assert bath.bath_temperature_c() == pytest.approx(18.5, abs=0.011)
            with contextlib.suppress(DeviceError):
                assert bath.pump_stage() == tcp_twin.get("pump_stage")["pump_stage"]
            with contextlib.suppress(DeviceError):
                assert bath.unit_status().alarm == 0
        tcp_twin.fault("none")
        wait_until(lambda: answers(bath))
        answered(lambda: bath.set_setpoint_c(19))
        assert answered(bath.setpoint_c) == 19


def test_the_cable_is_pulled_and_put_back(bath, twin):
    twin.cut()
    wait_until(lambda: not answers(bath))
    wait_until(lambda: bath.status().state == "Down")
    with pytest.raises(LinkDown, match=r"bath at .* down since"):
        bath.bath_temperature_c()
    twin.restore()
    bath.wait_until_up(timeout_s=20)
    assert answers(bath)


def test_another_device_on_the_port_is_named(tcp_twin):
    tcp_twin.fault("wrong-identity", identity="HUBER CC-505")
    with Julabo.open(tcp_twin.url, timeout_s=0.3, **QUICK) as bath:
        bath.start()
        wait_until(lambda: bath.status().state == "Wrong device")
        assert "HUBER CC-505" in bath.status().error
        tcp_twin.fault("none")
        bath.wait_until_up(timeout_s=20)


def test_settings_are_restored_after_the_link_was_lost(tcp_twin):
    with Julabo.open(tcp_twin.url, restore=["out_sp_07 4"], **QUICK) as bath:
        bath.wait_until_up(timeout_s=10)
        bath.set_pump_stage(1)
        tcp_twin.fault("reset")
        wait_until(lambda: answers(bath) and bath.pump_stage() == 4)


def test_an_idle_link_keeps_the_watchdog_of_the_unit_quiet():
    made = simulators.start_twin("julabo", "tcp", time_factor=0, seed=1)
    with contextlib.closing(made), Julabo.open(made.url, idle_probe_s=0.1, **QUICK) as bath:
        made.set(watchdog=1, noise_k=0)
        bath.wait_until_up(timeout_s=10)
        # Fifty seconds between the probes of six: after thirty without one the watchdog barks.
        for _n in range(6):
            before = made.get("messages")["messages"]
            wait_until(lambda before=before: made.get("messages")["messages"] > before)
            made.skip(10)
        assert made.get("alarm")["alarm"] == 0


def serving(twin: Simulator, file: Path = CHILLER) -> AbstractContextManager[mktl.Store]:
    return served(file, up=("bath",), urls={"bath": twin.url})


def test_what_mark_sets_is_in_the_unit_and_what_the_unit_does_is_in_mark(twin):
    with serving(twin):
        mark("set", "-s", "chiller", "setpoint=21.5", "running=Running", "pump=3")
        has = control(twin, "get", "running", "pump_stage")
        assert "running=1" in has
        assert "pump_stage=3" in has
        got = mark("get", "chiller.setpoint", "chiller.status", "--refresh")
        assert "21.50 degC" in got
        assert "Remote, running" in got

        control(twin, "set", "bath_c=9.75", "level_percent=5")
        got = mark("get", "chiller.bath_temp", "chiller.alarm", "--refresh")
        assert "chiller.bath_temp: 9.7" in got
        assert "Low level" in got
        assert "out_mode_05 1" in refused("set", "chiller.running=Running")


def test_what_mark_shows_is_in_doubt_while_the_unit_is_silent_or_unplugged(tmp_path, twin):
    quick = "timeout_s = 0.4\nretry_first_s = 0.05\nretry_longest_s = 0.2\nidle_probe_s = 1\n"
    file = tmp_path / "chiller.toml"
    file.write_text(CHILLER.read_text().replace("model =", f"{quick}model =", 1))
    with serving(twin, file) as store:
        bath = store["bath_temp"]
        wait_until(lambda: bath.value == pytest.approx(18.5, abs=0.011))
        for begin, end in ((("fault", "silence"), ("fault", "none")), (("cut",), ("restore",))):
            control(twin, *begin)
            wait_until(lambda: store["bath_link"].formatted != "Up", 20)
            wait_until(lambda: in_doubt(bath))
            assert bath.value == pytest.approx(18.5, abs=0.011)
            assert "bath at" in refused("set", "chiller.setpoint=15")
            control(twin, *end)
            wait_until(lambda: bath.quality == "valid", 40)


def test_mark_is_told_why_a_setting_was_refused(tcp_twin):
    with serving(tcp_twin):
        control(tcp_twin, "set", "remote=0")
        assert "remote mode only" in refused("set", "chiller.setpoint=15")
        assert "Manual" in mark("get", "chiller.status", "--refresh")
