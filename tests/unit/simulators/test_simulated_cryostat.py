"""Physics: time is an argument, nothing waits."""

from __future__ import annotations

import math

import pytest

from simulators.cryostat import Cryostat
from simulators.lakeshore336 import LakeShore336


def ask(tc: LakeShore336, text: str) -> str:
    return tc.answer(text.encode()).decode().removesuffix("\r\n")


def test_the_cryostat_stays_in_balance_at_the_power_that_it_starts_with() -> None:
    head = Cryostat()
    head.step(3600, mount_heater_w=4.233)
    assert head.mount_k == pytest.approx(77.0, abs=0.05)
    assert head.shield_k == pytest.approx(101.83, abs=0.05)


def test_without_heat_the_mount_comes_near_the_base_of_the_cooler() -> None:
    head = Cryostat()
    head.step(86_400)
    assert head.base_k < head.mount_k < head.base_k + 2


def test_with_the_cooler_off_everything_drifts_to_the_room() -> None:
    head = Cryostat(cooler_on=False)
    head.step(10 * 86_400)
    assert head.mount_k == pytest.approx(head.room_k, abs=1.0)


def test_one_long_step_ends_where_many_short_ones_do() -> None:
    at_once, in_steps = Cryostat(), Cryostat()
    at_once.step(3600, mount_heater_w=8.0)
    for _ in range(3600):
        in_steps.step(1.0, mount_heater_w=8.0)
    assert at_once.mount_k == pytest.approx(in_steps.mount_k)


@pytest.mark.parametrize("dt_s", [-1.0, math.nan, math.inf])
def test_time_only_goes_forward(dt_s: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        Cryostat().step(dt_s)
    with pytest.raises(ValueError, match="forward"):
        LakeShore336().step(dt_s)


def test_the_twin_starts_holding_77_kelvin_and_keeps_it(tc: LakeShore336) -> None:
    for _ in range(10):
        tc.step(60)
        assert tc.cryostat.mount_k == pytest.approx(77.0, abs=0.02)


def test_the_mount_follows_the_setpoint_from_77_to_80_within_a_minute_or_two(
    tc: LakeShore336,
) -> None:
    ask(tc, "SETP 1,80")
    tc.step(20)
    assert float(ask(tc, "KRDG? A")) > 78.0
    tc.step(100)
    assert float(ask(tc, "KRDG? A")) == pytest.approx(80.0, abs=0.1)
    tc.step(600)
    assert float(ask(tc, "KRDG? A")) == pytest.approx(80.0, abs=0.01)


def test_the_loop_is_stable_over_a_day_in_one_step(tc: LakeShore336) -> None:
    ask(tc, "SETP 1,80")
    tc.step(86_400)
    assert float(ask(tc, "KRDG? A")) == pytest.approx(80.0, abs=0.01)


@pytest.mark.parametrize("pid", ["1000,1000,200", "0.1,0.1,0", "1000,1000,0", "0.1,1000,200"])
def test_no_pid_setting_makes_the_physics_run_away(tc: LakeShore336, pid: str) -> None:
    ask(tc, f"PID 1,{pid};RANGE 1,3;SETP 1,100")
    for _ in range(60):
        tc.step(60)
        assert tc.cryostat.base_k < tc.cryostat.mount_k < 400


def test_a_ramp_starts_at_the_next_setpoint_and_moves_it_at_its_rate(tc: LakeShore336) -> None:
    ask(tc, "RAMP 1,1,3")
    assert ask(tc, "RAMPST? 1") == "0"
    ask(tc, "SETP 1,80")
    assert ask(tc, "RAMPST? 1;SETP? 1") == "1;+77.000"
    tc.step(30)
    assert ask(tc, "RAMPST? 1;SETP? 1;OPST?") == "1;+78.500;016"
    assert float(ask(tc, "KRDG? A")) == pytest.approx(78.5, abs=0.6)
    tc.step(31)
    assert ask(tc, "RAMPST? 1;SETP? 1;OPST?") == "0;+80.000;024"


def test_a_ramp_rate_of_zero_is_at_once(tc: LakeShore336) -> None:
    assert ask(tc, "RAMP 1,1,0;SETP 1,80;RAMPST? 1;SETP? 1") == "0;+80.000"


def test_switching_the_ramp_off_on_the_way_leaves_the_setpoint_there(tc: LakeShore336) -> None:
    ask(tc, "RAMP 1,1,6;SETP 1,80")
    tc.step(10)
    assert ask(tc, "RAMP 1,0,6;RAMPST? 1;SETP? 1") == "0;+78.000"


def test_over_the_temperature_limit_all_heaters_shut_off(tc: LakeShore336) -> None:
    ask(tc, "TLIMIT A,90;OUTMODE 1,3,1,0;MOUT 1,100;RANGE 1,3;RANGE 2,1;RANGE 3,1")
    tc.step(60)
    assert ask(tc, "RANGE? 1;RANGE? 2;RANGE? 3;HTR? 1") == "0;0;0;+0.0"
    assert tc.cryostat.mount_k < 95


def test_a_limit_of_zero_is_no_limit(tc: LakeShore336) -> None:
    ask(tc, "TLIMIT A,0;TLIMIT B,0;OUTMODE 1,3,1,0;MOUT 1,100;RANGE 1,3")
    tc.step(600)
    assert tc.cryostat.mount_k > 330
    assert ask(tc, "RANGE? 1") == "3"


@pytest.mark.parametrize(
    ("setup", "percent"),
    [
        ("OUTMODE 1,0,1,0", 0.0),
        ("OUTMODE 1,1,0,0", 0.0),
        ("OUTMODE 1,3,0,0;MOUT 1,25", 25.0),
        ("OUTMODE 1,2,1,0;SETP 1,200", 100.0),
        ("OUTMODE 1,5,1,0;SETP 1,200", 100.0),
        ("OUTMODE 1,5,1,0;SETP 1,60", 0.0),
        ("RANGE 1,0", 0.0),
    ],
)
def test_each_output_mode_drives_the_heater_its_way(
    tc: LakeShore336, setup: str, percent: float
) -> None:
    ask(tc, setup)
    tc.step(1.0)
    assert float(ask(tc, "HTR? 1")) == percent


def test_a_monitor_output_follows_its_input(tc: LakeShore336) -> None:
    ask(tc, "OUTMODE 3,4,1,0;RANGE 3,1")
    tc.step(1.0)
    assert float(ask(tc, "AOUT? 3")) == pytest.approx(7.7)


def test_the_heater_is_not_driven_while_its_sensor_is_broken(tc: LakeShore336) -> None:
    tc.quantities()["sensor_a_status"].write(1)  # type: ignore[misc]
    tc.step(1.0)
    assert ask(tc, "HTR? 1") == "+0.0"


def test_ranges_have_their_powers(tc: LakeShore336) -> None:
    ask(tc, "OUTMODE 1,3,1,0;MOUT 1,50")
    powers = []
    for number in range(4):
        ask(tc, f"RANGE 1,{number}")
        tc.step(0.5)
        powers.append(tc.quantities()["heater_1_w"].read())
    assert powers == [0.0, 0.5, 5.0, 50.0]


def test_without_its_supply_the_mount_cools(tc: LakeShore336) -> None:
    tc.power_off()
    tc.step(60)
    assert tc.cryostat.mount_k < 75


def test_the_same_seed_gives_the_same_noise() -> None:
    def readings(seed: int) -> list[bytes]:
        tc = LakeShore336(seed=seed)
        found = []
        for _ in range(20):
            tc.step(0.1)
            found.append(tc.answer(b"KRDG? 0"))
        return found

    assert readings(5) == readings(5)
    assert readings(5) != readings(6)
    assert len(set(readings(5))) > 10
