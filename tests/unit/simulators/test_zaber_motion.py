"""How a Zaber moves, what its flags and alerts say of it; time is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.zaber import Zaber
from tests.unit.simulators.motion_talk import ask, data, flag, heard, obeyed, read, write


@pytest.fixture
def stage() -> Zaber:
    return Zaber(seed=1)


# -- motion --------------------------------------------------------------------------------------


def test_a_move_is_busy_until_it_stands_at_its_target(stage: Zaber) -> None:
    assert ask(stage, "/1 1 01 move abs 300000") == "@01 1 01 OK BUSY -- 0"
    stage.step(0.62)
    assert ask(stage, "/1 1 02 get vel") == "@01 1 02 OK BUSY -- 491520"
    stage.step(0.62)
    assert ask(stage, "/1") == "@01 0 OK BUSY -- 0"
    stage.step(0.1)
    assert ask(stage, "/1") == "@01 0 OK IDLE -- 0"
    assert data(stage, "/1 get pos") == "300000"
    assert read(stage, "axis1_at_microsteps") == pytest.approx(300000, abs=4)


def test_relative_moves_and_those_to_the_ends(stage: Zaber) -> None:
    for command, position in (("max", 1000000), ("rel -10", 999990), ("min", 0), ("rel 5", 5)):
        obeyed(stage, f"/1 move {command}")
        stage.step(10)
        assert ask(stage, "/1 get pos") == f"@01 0 OK IDLE -- {position}"


def test_a_move_at_a_velocity_ends_at_the_limit_of_travel(stage: Zaber) -> None:
    obeyed(stage, "/1 move vel 163840")
    stage.step(5)
    assert read(stage, "axis1_velocity") == pytest.approx(100_000)
    obeyed(stage, "/1 move vel 400000")
    stage.step(10)
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE NI 1000000"
    obeyed(stage, "/1 move vel 1000")
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE -- 1000000"


def test_maxspeed_and_accel_are_those_of_the_next_move(stage: Zaber) -> None:
    obeyed(stage, "/1 set maxspeed 16384", "/1 set accel 1", "/1 move abs 100000")
    stage.step(1)
    assert read(stage, "axis1_velocity") == pytest.approx(1e4 / 1.6384)
    stage.step(2)
    assert read(stage, "axis1_velocity") == pytest.approx(10_000)


def test_stop_slows_down_and_estop_does_not(stage: Zaber) -> None:
    for command, way in (("stop", 36_000), ("estop", 0)):
        obeyed(stage, "/1 move min")
        stage.step(10)
        obeyed(stage, "/1 move abs 900000")
        stage.step(1)
        before = read(stage, "axis1_pos")
        obeyed(stage, f"/1 {command}")
        stage.step(1)
        assert ask(stage, "/1").startswith("@01 0 OK IDLE NI")
        assert read(stage, "axis1_pos") - before == pytest.approx(way, abs=100)


def test_another_move_replaces_the_one_under_way_and_this_is_noted(stage: Zaber) -> None:
    obeyed(stage, "/1 move abs 900000")
    stage.step(1)
    assert ask(stage, "/1 move abs 100000") == "@01 0 OK BUSY NI 0"
    stage.step(10)
    assert data(stage, "/1 get pos") == "100000"
    assert data(stage, "/1 warnings clear") == "01 NI"
    assert data(stage, "/1 warnings") == "00"


def test_home_finds_its_sensor_from_anywhere(stage: Zaber) -> None:
    for start in (0, 500_000, -150, -1900):
        write(stage, axis1_at_microsteps=start)
        obeyed(stage, "/1 warnings clear", "/1 home")
        stage.step(20)
        assert ask(stage, "/1 get pos") == "@01 0 OK IDLE -- 0"
        assert read(stage, "axis1_at_microsteps") == pytest.approx(0, abs=4)


def test_a_position_that_is_called_otherwise_moves_nothing(stage: Zaber) -> None:
    obeyed(stage, "/1 move abs 1000")
    stage.step(1)
    obeyed(stage, "/1 set pos 200")
    assert data(stage, "/1 get pos") == "200"
    assert read(stage, "axis1_at_microsteps") == pytest.approx(1000, abs=4)


# -- alerts --------------------------------------------------------------------------------------


def test_an_alert_tells_of_the_end_of_a_move_if_it_is_switched_on(stage: Zaber) -> None:
    obeyed(stage, "/1 move abs 1000")
    stage.step(1)
    assert heard(stage) == []
    obeyed(stage, "/1 set comm.alert 1", "/1 move abs 2000")
    assert heard(stage) == []
    stage.step(1)
    assert heard(stage) == ["!01 1 IDLE --"]
    assert heard(stage) == []


@pytest.mark.parametrize(
    ("command", "alert"), [("stop", "!01 1 IDLE NI"), ("estop", "!01 1 IDLE NI")]
)
def test_an_alert_tells_of_a_stop(stage: Zaber, command: str, alert: str) -> None:
    obeyed(stage, "/1 set comm.alert 1", "/1 move abs 900000")
    stage.step(1)
    obeyed(stage, f"/1 {command}")
    stage.step(1)
    assert heard(stage) == [alert]


def test_an_alert_tells_of_a_limit(stage: Zaber) -> None:
    obeyed(stage, "/1 set comm.alert 1")
    write(stage, axis1_away_sensor_fault=1)
    assert heard(stage) == ["!01 1 IDLE WL"]
    obeyed(stage, "/1 move abs 1000")
    assert heard(stage) == ["!01 1 IDLE WL"]
    assert read(stage, "axis1_pos") == 0


def test_it_knows_when_it_will_say_something(stage: Zaber) -> None:
    obeyed(stage, "/1 set comm.alert 1", "/1 move abs 300000")
    stage.step(0.5)
    stage.step(stage.speaks_in_s() + 1e-6)
    assert heard(stage) == []
    assert 0 < stage.speaks_in_s() < 0.01  # it settles
    stage.step(stage.speaks_in_s() + 1e-6)
    assert heard(stage) == ["!01 1 IDLE --"]
    assert stage.speaks_in_s() == float("inf")


# -- flags and what causes them ------------------------------------------------------------------


def test_a_blocked_carriage_is_a_stall_and_the_position_stays_true(stage: Zaber) -> None:
    obeyed(stage, "/1 set comm.alert 1", "/1 move abs 900000")
    stage.step(1)
    write(stage, axis1_blocked=1)
    stage.step(1)
    assert ask(stage, "/1").startswith("@01 0 OK IDLE FS")
    assert heard(stage) == ["!01 1 IDLE FS"]
    assert int(data(stage, "/1 get pos")) == pytest.approx(
        read(stage, "axis1_at_microsteps"), abs=1
    )
    write(stage, axis1_blocked=0)
    obeyed(stage, "/1 move abs 900000")
    stage.step(10)
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE -- 900000"


def test_a_dead_home_sensor_ends_in_a_limit_error(stage: Zaber) -> None:
    write(stage, axis1_home_sensor_fault=2)
    obeyed(stage, "/1 home")
    stage.step(20)
    assert ask(stage, "/1").startswith("@01 0 OK IDLE FE")


def test_a_home_sensor_that_is_always_active_is_not_taken_for_home(stage: Zaber) -> None:
    write(stage, axis1_reference=0, axis1_at_microsteps=300_000, axis1_home_sensor_fault=1)
    obeyed(stage, "/1 home")
    stage.step(20)
    assert data(stage, "/1 warnings") == "02 FE WR"


def test_a_limit_where_none_is_expected_stops_it(stage: Zaber) -> None:
    obeyed(stage, "/1 set pos 500000", "/1 move min")
    stage.step(10)
    assert flag(stage) == "WL"
    assert read(stage, "axis1_at_microsteps") == pytest.approx(-100, abs=4)
    assert (read(stage, "axis1_home_sensor"), read(stage, "axis1_away_sensor")) == (1, 0)


def test_heat_is_a_warning_and_then_switches_the_driver_off(stage: Zaber) -> None:
    write(stage, axis1_temperature_c=75)
    assert (flag(stage), data(stage, "/1 get driver.temperature")) == ("WT", "75.0")
    obeyed(stage, "/1 move abs 900000")
    write(stage, axis1_temperature_c=90)
    assert ask(stage, "/1 warnings") == "@01 0 OK IDLE FD 02 FD WT"
    assert ask(stage, "/1 move min") == "@01 0 RJ IDLE FD DRIVERDISABLED"
    assert ask(stage, "/1 driver enable") == "@01 0 RJ IDLE FD DRIVERDISABLED"
    stage.step(3600)
    obeyed(stage, "/1 driver enable", "/1 move min")


@pytest.mark.parametrize("cause", [dict(voltage_v=5), dict(emergency_stop=1)])
def test_without_motor_supply_it_stops_and_has_to_be_enabled_again(
    stage: Zaber, cause: dict[str, float]
) -> None:
    obeyed(stage, "/1 set comm.alert 1", "/1 move abs 900000")
    stage.step(1)
    write(stage, **cause)
    assert heard(stage) == ["!01 1 IDLE FD"]
    assert ask(stage, "/1 driver enable").endswith("DRIVERDISABLED")
    write(stage, voltage_v=48, emergency_stop=0)
    assert ask(stage, "/1 home") == "@01 0 RJ IDLE FD DRIVERDISABLED"
    obeyed(stage, "/1 driver enable", "/1 home")
    stage.step(20)
    assert flag(stage) == "--"


def test_a_supply_that_is_a_little_off_is_a_warning(stage: Zaber) -> None:
    for volts in (15, 60):
        write(stage, voltage_v=volts)
        assert flag(stage) == "WV"


def test_an_encoder_fault_ends_every_move(stage: Zaber) -> None:
    obeyed(stage, "/1 move abs 900000")
    stage.step(1)
    write(stage, axis1_encoder_fault=1)
    assert ask(stage, "/1") == "@01 0 OK IDLE FQ 0"
    obeyed(stage, "/1 move abs 900000")
    stage.step(1)
    assert read(stage, "axis1_pos") < 900000


def test_a_critical_fault_comes_first_among_the_flags(stage: Zaber) -> None:
    write(stage, axis1_critical_fault=1)
    assert data(stage, "/1 warnings") == "02 FF FD"


def test_a_carriage_that_somebody_pushes_is_displaced(stage: Zaber) -> None:
    write(stage, axis1_at_microsteps=5000)
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE WM 5000"


def test_the_knob_is_manual_control_and_takes_over(stage: Zaber) -> None:
    obeyed(stage, "/1 set comm.alert 1", "/1 move abs 900000")
    stage.step(1)
    write(stage, axis1_knob=-1000)
    assert data(stage, "/1 warnings") == "02 NC NI"
    stage.step(1)
    assert ask(stage, "/1").startswith("@01 0 OK BUSY NC")
    write(stage, axis1_knob=0)
    stage.step(1)
    assert heard(stage) == ["!01 1 IDLE NI"]


def test_a_parked_axis_does_not_move_and_keeps_its_reference_without_supply(stage: Zaber) -> None:
    obeyed(stage, "/1 move abs 70", "/1")
    stage.step(1)
    obeyed(stage, "/1 tools parking park")
    assert ask(stage, "/1 move abs 5") == "@01 0 RJ IDLE -- PARKED"
    stage.power_off()
    stage.step(10)
    stage.power_on()
    obeyed(stage, "/1 tools parking unpark")
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE -- 70"


def test_after_a_loss_of_supply_it_has_no_reference_until_it_is_homed(stage: Zaber) -> None:
    obeyed(stage, "/1 set comm.alert 1", "/1 move abs 900000")
    stage.step(1)
    stage.power_off()
    stage.step(10)
    assert heard(stage) == []
    stage.power_on()
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE WR 0"
    assert read(stage, "axis1_at_microsteps") == pytest.approx(264_000, abs=1000)
    obeyed(stage, "/1 move rel -1000")
    stage.step(1)
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE WR -1000"
    obeyed(stage, "/1 home")
    stage.step(20)
    assert ask(stage, "/1 get pos") == "@01 0 OK IDLE -- 0"


@pytest.mark.parametrize(("wants", "outcome"), [(0, "OK BUSY WR 0"), (1, "RJ IDLE WR BADDATA")])
def test_whether_move_abs_needs_a_reference_can_be_chosen(
    stage: Zaber, wants: int, outcome: str
) -> None:
    write(stage, wants_reference=wants, axis1_reference=0)
    assert ask(stage, "/1 move abs 100") == f"@01 0 {outcome}"


def test_one_that_is_not_homed_says_so(stage: Zaber) -> None:
    write(stage, axis1_reference=1)
    assert data(stage, "/1 warnings") == "01 WH"


def test_without_a_reference_only_a_sensor_ends_a_move_at_a_velocity(stage: Zaber) -> None:
    write(stage, axis1_reference=0)
    for command, sensor in (("max", "away"), ("vel -400000", "home")):
        obeyed(stage, f"/1 move {command}")
        stage.step(10)
        assert data(stage, "/1 warnings") == "02 WL WR"
        assert read(stage, f"axis1_{sensor}_sensor") == 1


def test_a_move_at_no_velocity_is_a_stop(stage: Zaber) -> None:
    obeyed(stage, "/1 move vel 100000")
    stage.step(1)
    obeyed(stage, "/1 move vel 0")
    stage.step(1)
    assert ask(stage, "/1 get vel") == "@01 0 OK IDLE NI 0"
    assert 61_000 < read(stage, "axis1_pos") < 64_000


def test_system_reset_is_like_a_loss_of_supply(stage: Zaber) -> None:
    assert ask(stage, "/1 system reset") == "@01 0 OK IDLE WR 0"


@given(st.lists(st.floats(0.001, 0.7), min_size=1, max_size=12))
def test_where_a_carriage_is_does_not_depend_on_the_steps_of_time(slices: list[float]) -> None:
    stages = Zaber(), Zaber()
    for stage in stages:
        obeyed(stage, "/1 move abs 700000")
        stage.step(0.5)
        obeyed(stage, "/1 home")
    for dt_s in slices:
        stages[0].step(dt_s)
    stages[1].step(sum(slices))
    positions = [read(stage, "axis1_at_microsteps") for stage in stages]
    assert positions[0] == pytest.approx(positions[1], abs=0.01)
