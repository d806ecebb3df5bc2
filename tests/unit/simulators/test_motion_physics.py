"""Motors, carriages, switches and loads, without a controller: time is an argument."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators._drive import Drive, Happening, Rail, Works
from simulators._trajectory import Trajectory, segments_to

RAIL = Rail(low_switch=-1000, high_switch=1000, low_stop=-1100, high_stop=1100, home=(200, 220))
SPEED, ACCELERATION = 500.0, 2000.0


def travelled(motor: Trajectory, dt_s: float) -> None:
    while dt_s > 0:
        elapsed_s, _ = motor.advance(dt_s)
        dt_s -= elapsed_s


def events_of(drive: Drive, dt_s: float, *, tolerance: float = math.inf) -> list[Happening]:
    events = []
    while dt_s > 0:
        elapsed_s, happening = drive.advance(dt_s, tolerance=tolerance)
        dt_s -= elapsed_s
        events += [happening] if happening else []
    return events


def moving_to(drive: Drive, target: float) -> None:
    drive.motor.move_to(target, speed=SPEED, acceleration=ACCELERATION)


# -- trajectories --------------------------------------------------------------------------------


def test_a_long_move_is_a_trapezoid_and_takes_as_long_as_it_should() -> None:
    motor = Trajectory()
    motor.move_to(1000, speed=SPEED, acceleration=ACCELERATION)
    assert motor.left_s == pytest.approx(1000 / SPEED + SPEED / ACCELERATION)
    travelled(motor, 0.125)
    assert (motor.velocity, motor.position) == pytest.approx((250, 15.625))
    travelled(motor, 1.0)
    assert motor.velocity == pytest.approx(SPEED)
    travelled(motor, motor.left_s)
    assert (motor.position, motor.velocity, motor.moving) == (1000, 0, False)


def test_a_short_move_is_a_triangle_that_never_gets_fast() -> None:
    motor = Trajectory()
    motor.move_to(-50, speed=SPEED, acceleration=ACCELERATION)
    assert motor.left_s == pytest.approx(2 * math.sqrt(50 / ACCELERATION))
    travelled(motor, motor.left_s / 2)
    assert motor.velocity == pytest.approx(-math.sqrt(50 * ACCELERATION))


@given(
    st.floats(-1e6, 1e6),
    st.floats(-2e4, 2e4),
    st.floats(1, 1e5),
    st.floats(10, 1e6),
    st.lists(st.floats(0.001, 10), max_size=5),
)
def test_a_move_ends_at_its_target_however_time_is_sliced_and_keeps_its_limits(
    distance: float, velocity: float, speed: float, acceleration: float, slices: list[float]
) -> None:
    motor = Trajectory()
    motor.velocity = velocity
    motor.move_to(distance, speed=speed, acceleration=acceleration)
    fastest = max(speed, abs(velocity)) * (1 + 1e-9)
    before = velocity
    for dt_s in slices:
        travelled(motor, dt_s)
        assert abs(motor.velocity) <= fastest
        assert abs(motor.velocity - before) <= acceleration * dt_s * (1 + 1e-6) + 1e-3
        before = motor.velocity
    travelled(motor, motor.left_s)
    travelled(motor, 1.0)
    assert not motor.moving
    assert (motor.position, motor.velocity) == (pytest.approx(distance, abs=1e-6), 0)


@given(st.floats(-1e5, 1e5), st.lists(st.floats(0.001, 0.5), min_size=1, max_size=20))
def test_where_a_motor_is_does_not_depend_on_the_steps_of_time(
    target: float, slices: list[float]
) -> None:
    piecewise, at_once = Trajectory(), Trajectory()
    for motor in (piecewise, at_once):
        motor.move_to(target, speed=1000, acceleration=5000)
    for dt_s in slices:
        travelled(piecewise, dt_s)
    travelled(at_once, sum(slices))
    assert piecewise.position == pytest.approx(at_once.position, abs=1e-3)
    assert piecewise.velocity == pytest.approx(at_once.velocity, abs=1e-2)


def test_a_motor_that_is_too_fast_for_its_target_comes_back_to_it() -> None:
    segments = segments_to(10, velocity=400, speed=SPEED, acceleration=ACCELERATION)
    assert segments[0].acceleration == -ACCELERATION
    motor = Trajectory()
    motor.velocity = 400
    motor.move_to(10, speed=SPEED, acceleration=ACCELERATION)
    travelled(motor, 0.2)
    assert motor.position == pytest.approx(40)
    travelled(motor, motor.left_s)
    assert motor.position == 10


def test_a_motor_told_to_run_runs_until_it_is_told_to_stop() -> None:
    motor = Trajectory()
    motor.run_at(-100, acceleration=ACCELERATION)
    travelled(motor, 3600)
    assert (motor.velocity, motor.left_s) == (-100, math.inf)
    motor.run_at(100, acceleration=ACCELERATION)
    travelled(motor, 0.1)
    assert motor.velocity == pytest.approx(100)
    motor.run_at(0, acceleration=ACCELERATION)
    travelled(motor, 1)
    assert not motor.moving


def test_time_pauses_at_a_mark_on_the_way_and_only_once() -> None:
    motor = Trajectory()
    motor.move_to(100, speed=SPEED, acceleration=ACCELERATION)
    seen = []
    while motor.moving:
        _, mark = motor.advance(10.0, [-5, 0, 5, 60])
        seen += [] if mark is None else [(mark, motor.position)]
    assert seen == [(5, 5), (60, 60)]
    assert motor.position == 100


# -- drives --------------------------------------------------------------------------------------


def test_a_carriage_meets_switches_and_end_stop_in_order_and_then_only_the_motor_turns() -> None:
    drive = Drive(RAIL)
    moving_to(drive, 1500)
    events = events_of(drive, 10)
    assert events == [Happening.HOME, Happening.HIGH, Happening.HELD, Happening.ARRIVED]
    assert (drive.carriage, drive.slip) == pytest.approx((1100, 400))
    assert drive.at_high
    moving_to(drive, 0)
    assert events_of(drive, 10) == [Happening.HOME, Happening.ARRIVED]
    assert drive.carriage == pytest.approx(-400)
    drive.regain()
    assert (drive.motor.position, drive.slip) == (pytest.approx(-400), 0)


def test_a_blocked_carriage_slips_until_somebody_notices() -> None:
    drive = Drive(RAIL)
    drive.blocked = True
    moving_to(drive, -900)
    assert events_of(drive, 0.5, tolerance=30)[:1] == [Happening.SLIPPED]
    assert drive.velocity == 0
    assert drive.carriage == pytest.approx(0)


@pytest.mark.parametrize(("works", "active"), [(0, (False, True)), (1, (True, True)), (2, (0, 0))])
def test_a_switch_may_be_stuck_or_dead(works: int, active: tuple[bool, bool]) -> None:
    drive = Drive(RAIL)
    drive.low.works = Works(works)
    before = drive.at_low
    drive.push(-1050)
    assert (before, drive.at_low) == active


def test_the_load_lags_in_proportion_to_velocity_and_settles() -> None:
    drive = Drive(RAIL, lag_s=0.01)
    drive.motor.run_at(SPEED, acceleration=ACCELERATION)
    events_of(drive, 1)
    assert drive.carriage - drive.load == pytest.approx(5)
    drive.motor.halt()
    settles_in_s = drive.settles_in_s(0.5)
    assert settles_in_s == pytest.approx(0.01 * math.log(10))
    events_of(drive, settles_in_s)
    assert drive.lag == pytest.approx(0.5)
    assert drive.settles_in_s(1.0) == 0


def test_a_driver_gets_warm_by_moving_and_cool_without_power() -> None:
    drive = Drive(RAIL)
    idle_c = drive.temperature_c
    drive.motor.run_at(0.01, acceleration=1)
    events_of(drive, 3600)
    assert drive.temperature_c == pytest.approx(idle_c + 14, abs=0.1)
    drive.motor.halt()
    drive.powered = False
    events_of(drive, 7200)
    assert drive.temperature_c == pytest.approx(drive.room_c, abs=0.1)


def test_nobody_can_push_a_carriage_through_the_frame() -> None:
    drive = Drive(RAIL)
    drive.push(1e9)
    assert drive.load == 1100
