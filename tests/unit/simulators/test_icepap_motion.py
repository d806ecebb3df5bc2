"""How axes of an IcePAP move, what ends it, and what can go wrong; time is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators._icepap_words import Bit
from simulators.icepap import IcePAP
from tests.unit.simulators.motion_talk import (
    MOVING,
    POWER,
    READY,
    SETTLING,
    acknowledged,
    ask,
    disable_code,
    read,
    status,
    stop_code,
    value,
    write,
)


@pytest.fixture
def unit() -> IcePAP:
    return IcePAP(seed=1)


# -- motions -------------------------------------------------------------------------------------


def test_a_move_is_over_when_it_has_settled_at_its_target(unit: IcePAP) -> None:
    acknowledged(unit, "1:MOVE 20000")
    assert status(unit) & (MOVING | SETTLING | READY) == MOVING
    unit.step(0.55)
    assert 0 < int(value(unit, "1:?ENC")) < int(value(unit, "1:?POS")) < 20000
    assert value(unit, "1:?VELOCITY CURRENT") == "20000"
    unit.step(0.551)
    assert status(unit) & (MOVING | SETTLING | READY) == SETTLING
    assert status(unit) >> Bit.OUT_OF_WINDOW & 1
    unit.step(0.1)
    assert status(unit) & (MOVING | SETTLING | READY) == READY
    assert stop_code(unit) == 0
    assert value(unit, "1:?POS") == "20000"
    assert int(value(unit, "1:?ENC")) == pytest.approx(20000, abs=2)
    assert read(unit, "axis1_at_steps") == pytest.approx(20000, abs=2)


def test_without_a_control_loop_nothing_settles(unit: IcePAP) -> None:
    write(unit, axis1_closed_loop=0)
    acknowledged(unit, "1:MOVE 20000")
    unit.step(1.1001)
    assert status(unit) & (MOVING | SETTLING | READY) == READY


def test_relative_moves_and_several_axes_at_once(unit: IcePAP) -> None:
    acknowledged(unit, "MOVE 1 1000 2 -2000", "12:RMOVE 50")
    unit.step(5)
    acknowledged(unit, "RMOVE 1 -1 12 50")
    unit.step(5)
    assert value(unit, "?POS 1 2 12") == "999 -2000 100"


def test_of_several_axes_none_moves_if_one_cannot(unit: IcePAP) -> None:
    acknowledged(unit, "2:POWER OFF")
    assert ask(unit, "#MOVE 1 100 2 100") == "MOVE ERROR Axis power is off"
    unit.step(5)
    assert value(unit, "?POS 1 2") == "0 0"


@pytest.mark.parametrize("command", ["MOVE 5", "RMOVE 5", "HOME 1", "POS 0", "ENC 0", "VELOCITY 5"])
def test_while_it_moves_an_axis_refuses_another_motion_and_settings(
    unit: IcePAP, command: str
) -> None:
    acknowledged(unit, "1:MOVE 50000")
    unit.step(0.5)
    assert ask(unit, f"#1:{command}") == f"1:{command.split(maxsplit=1)[0]} ERROR Axis is moving"
    unit.step(10)
    assert value(unit, "1:?POS") == "50000"


def test_stop_slows_down_and_abort_does_not(unit: IcePAP) -> None:
    acknowledged(unit, "1:MOVE 50000", "2:MOVE 50000")
    unit.step(1)
    acknowledged(unit, "1:STOP", "2:ABORT")
    stopped_at = int(value(unit, "1:?POS"))
    assert status(unit, 1) & MOVING
    assert not status(unit, 2) & MOVING
    unit.step(1)
    assert int(value(unit, "1:?POS")) == pytest.approx(stopped_at + 1000, abs=1)
    assert int(value(unit, "2:?POS")) == stopped_at
    assert (stop_code(unit, 1), stop_code(unit, 2)) == (1, 2)


def test_stop_at_rest_changes_nothing(unit: IcePAP) -> None:
    acknowledged(unit, "1:STOP", "1:ABORT")
    assert stop_code(unit) == 0


def test_jog_runs_at_the_velocity_that_it_is_told_and_changes_on_the_way(unit: IcePAP) -> None:
    acknowledged(unit, "1:JOG 1000")
    unit.step(5)
    assert value(unit, "1:?JOG") == "1000"
    acknowledged(unit, "1:JOG -2000")
    unit.step(5)
    assert read(unit, "axis1_velocity") == pytest.approx(-2000)
    assert ask(unit, "#1:MOVE 0") == "1:MOVE ERROR Axis is moving"
    acknowledged(unit, "1:STOP")
    unit.step(1)
    assert (stop_code(unit), value(unit, "1:?JOG")) == (1, "0")


def test_jog_at_no_velocity_is_a_stop(unit: IcePAP) -> None:
    acknowledged(unit, "1:JOG 1000")
    unit.step(1)
    acknowledged(unit, "1:JOG 0")
    unit.step(1)
    assert (stop_code(unit), status(unit) & MOVING) == (1, 0)


def test_a_relative_move_beyond_what_can_be_counted_is_refused(unit: IcePAP) -> None:
    acknowledged(unit, "1:POS 2147483647")
    assert ask(unit, "#1:RMOVE 1") == "1:RMOVE ERROR Wrong parameter(s)"
    acknowledged(unit, "1:RMOVE -1")


@pytest.mark.parametrize(("target", "code", "bit"), [(150000, 3, 18), (-150000, 4, 19)])
def test_a_limit_switch_ends_a_move_and_lets_it_go_back(
    unit: IcePAP, target: int, code: int, bit: int
) -> None:
    acknowledged(unit, f"1:MOVE {target}")
    unit.step(20)
    assert stop_code(unit) == code
    assert status(unit) >> bit & 1
    assert abs(int(value(unit, "1:?POS"))) == 100000
    acknowledged(unit, f"1:MOVE {target}")
    assert not status(unit) & MOVING
    assert stop_code(unit) == code
    acknowledged(unit, "1:MOVE 0")
    unit.step(20)
    assert stop_code(unit) == 0
    assert not status(unit) >> bit & 1


def test_a_limit_that_is_hit_by_one_of_a_group_stops_the_others(unit: IcePAP) -> None:
    write(unit, axis1_closed_loop=0, axis1_at_steps=99_000)
    acknowledged(unit, "MOVE GROUP STRICT 1 50000 2 50000")
    unit.step(10)
    assert (stop_code(unit, 1), stop_code(unit, 2)) == (3, 1)
    assert int(value(unit, "2:?POS")) < 5000
    acknowledged(
        unit, "MOVE GROUP 1 50000 2 50000"
    )  # it ends at once, before the other one has begun
    unit.step(10)
    assert (stop_code(unit, 1), stop_code(unit, 2)) == (3, 1)


@pytest.mark.parametrize("start", [0, 30_000, -90_000, 20_100])
@pytest.mark.parametrize("direction", ["0", "1", "-1"])
def test_home_is_found_where_the_switch_is_or_its_limit_says_that_it_is_not(
    unit: IcePAP, start: int, direction: str
) -> None:
    acknowledged(unit, f"1:MOVE {start}")
    unit.step(10)
    acknowledged(unit, f"1:HOME {direction}")
    assert value(unit, "1:?HOMESTAT").startswith("MOVING ")
    unit.step(60)
    seen = (
        direction == "0"
        or start == 20_100
        or (start < 20_000 and direction == "1")
        or (start > 20_200 and direction == "-1")
    )
    if not seen:
        assert value(unit, "1:?HOMESTAT") == "NOTFOUND 0"
        assert stop_code(unit) == (3 if direction == "1" else 4)
        return
    found, at = value(unit, "1:?HOMESTAT"), read(unit, "axis1_at_steps")
    assert (found, round(at / 100)) in (("FOUND 1", 200), ("FOUND -1", 202))
    assert (value(unit, "1:?POS"), stop_code(unit)) == ("0", 0)
    assert int(value(unit, "1:?ENC")) == pytest.approx(0, abs=2)
    assert status(unit) >> Bit.HOME & 1


@pytest.mark.parametrize("fault", [1, 2])
def test_a_home_switch_that_does_not_work_is_never_found(unit: IcePAP, fault: int) -> None:
    write(unit, axis1_home_fault=fault)
    acknowledged(unit, "1:HOME 1")
    unit.step(60)
    assert (value(unit, "1:?HOMESTAT"), stop_code(unit)) == ("NOTFOUND 0", 3)


def test_a_stop_ends_the_search_for_home(unit: IcePAP) -> None:
    acknowledged(unit, "1:HOME 1")
    unit.step(0.5)
    acknowledged(unit, "1:STOP")
    unit.step(1)
    assert (value(unit, "1:?HOMESTAT"), stop_code(unit)) == ("NOTFOUND 0", 1)


# -- faults --------------------------------------------------------------------------------------


def test_a_blocked_carriage_is_a_closed_loop_error(unit: IcePAP) -> None:
    acknowledged(unit, "1:MOVE 50000")
    unit.step(1)
    write(unit, axis1_blocked=1)
    unit.step(1)
    assert (stop_code(unit), disable_code(unit)) == (12, 2)
    assert value(unit, "1:?ALARM") == "YES Closed loop error"
    assert read(unit, "axis1_lost_steps") == pytest.approx(500)
    write(unit, axis1_blocked=0)
    acknowledged(unit, "1:POWER ON")
    assert (disable_code(unit), value(unit, "1:?ALARM")) == (0, "NO")
    # It knows where it is: its encoder does.
    assert int(value(unit, "1:?POS")) == pytest.approx(read(unit, "axis1_at_steps"), abs=1)


def test_without_a_control_loop_steps_are_lost_and_only_the_encoder_knows(unit: IcePAP) -> None:
    write(unit, axis1_closed_loop=0, axis1_blocked=1)
    acknowledged(unit, "1:MOVE 5000")
    unit.step(5)
    assert (stop_code(unit), value(unit, "1:?POS"), value(unit, "1:?ENC")) == (0, "5000", "0")


def test_a_dead_limit_switch_lets_it_run_into_the_end_stop(unit: IcePAP) -> None:
    write(unit, axis1_limit_plus_fault=2)
    acknowledged(unit, "1:JOG 20000")
    unit.step(20)
    assert stop_code(unit) == 12
    assert read(unit, "axis1_at_steps") == pytest.approx(102_000)


def test_a_limit_switch_that_is_always_active_stops_a_move_under_way(unit: IcePAP) -> None:
    acknowledged(unit, "1:MOVE 50000")
    unit.step(1)
    write(unit, axis1_limit_plus_fault=1)
    assert stop_code(unit) == 3
    assert not status(unit) & MOVING


def test_a_loop_that_hunts_ends_in_a_settling_timeout(unit: IcePAP) -> None:
    write(unit, axis1_hunting=1)
    acknowledged(unit, "1:MOVE 1000")
    unit.step(1)
    assert status(unit) & SETTLING
    unit.step(1)
    assert stop_code(unit) == 5


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        ("internal_failure", 8),
        ("motor_failure", 9),
        ("overload", 10),
        ("encoder_failure", 13),
        ("external_alarm", 15),
    ],
)
def test_an_alarm_ends_the_move_and_keeps_the_power_off_while_its_cause_lasts(
    unit: IcePAP, cause: str, code: int
) -> None:
    acknowledged(unit, "1:MOVE 50000")
    unit.step(1)
    write(unit, **{f"axis1_{cause}": 1})
    assert (stop_code(unit), disable_code(unit), status(unit) & (POWER | READY)) == (code, 2, 0)
    assert ask(unit, "#1:POWER ON") == "1:POWER ERROR Axis power is disabled"
    write(unit, **{f"axis1_{cause}": 0})
    assert value(unit, "1:?ALARM").startswith("YES ")
    assert ask(unit, "#1:MOVE 0") == "1:MOVE ERROR Axis power is off"
    acknowledged(unit, "1:POWER ON", "1:MOVE 0")
    unit.step(20)
    assert (stop_code(unit), value(unit, "1:?ALARM")) == (0, "NO")


def test_a_hot_driver_warns_and_a_too_hot_one_stops(unit: IcePAP) -> None:
    write(unit, axis1_temperature_c=50)
    assert status(unit) >> Bit.WARNING & 1
    first, line, last = ask(unit, "1:?WARNING").split("\r\n")
    assert (first, last) == ("1:?WARNING $", "$")
    assert "50.0 C" in line
    acknowledged(unit, "1:MOVE 50000")
    write(unit, axis1_temperature_c=75)
    assert (stop_code(unit), disable_code(unit)) == (11, 2)
    unit.step(3600)
    acknowledged(unit, "1:POWER ON")
    assert value(unit, "1:?WARNING") == "NONE"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("rack0_disable_input", 3),
        ("rack0_disable_switch", 4),
        ("axis1_disable_input", 5),
        ("axis1_disable_switch", 6),
    ],
)
def test_interlocks_and_emergency_stops_take_the_power_away(
    unit: IcePAP, name: str, code: int
) -> None:
    acknowledged(unit, "1:MOVE 50000", "11:MOVE 50000")
    unit.step(1)
    write(unit, **{name: 1})
    assert (stop_code(unit), disable_code(unit)) == (6, code)
    assert ask(unit, "#1:POWER ON") == "1:POWER ERROR Axis power is disabled"
    write(unit, **{name: 0})
    assert disable_code(unit) == 7
    acknowledged(unit, "1:POWER ON")
    unit.step(10)
    # The other rack has not noticed.
    assert value(unit, "?POS 11") == "50000"


def test_power_off_ends_a_move_and_an_axis_without_power_does_not_begin_one(unit: IcePAP) -> None:
    acknowledged(unit, "1:MOVE 50000")
    unit.step(1)
    acknowledged(unit, "1:POWER OFF")
    assert (stop_code(unit), disable_code(unit)) == (6, 7)
    assert ask(unit, "#1:MOVE 0") == "1:MOVE ERROR Axis power is off"


def test_an_axis_that_is_not_active_cannot_have_power(unit: IcePAP) -> None:
    write(unit, axis1_active=0)
    assert (disable_code(unit), value(unit, "1:?ACTIVE")) == (1, "NO")
    assert ask(unit, "#1:POWER ON") == "1:POWER ERROR Axis power is disabled"


@pytest.mark.parametrize(
    ("mode", "word", "bits"), [(1, "PROG", 1), (2, "TEST", 2), (4, "CONFIG", 0)]
)
def test_axes_move_in_oper_only(unit: IcePAP, mode: int, word: str, bits: int) -> None:
    write(unit, mode=mode)
    assert (value(unit, "?MODE"), value(unit, "1:?MODE")) == (word, word)
    assert status(unit) >> 2 & 3 == bits
    assert ask(unit, "#1:MOVE 5") == "1:MOVE ERROR Not possible in this mode"


def test_a_carriage_that_is_pushed_without_power_is_found_by_its_encoder(unit: IcePAP) -> None:
    acknowledged(unit, "1:POWER OFF")
    write(unit, axis1_at_steps=3000)
    assert (value(unit, "1:?POS"), value(unit, "1:?ENC")) == ("0", "3000")
    acknowledged(unit, "1:POWER ON")
    assert value(unit, "1:?POS") == "3000"


def test_after_a_loss_of_supply_nothing_knows_where_it_is(unit: IcePAP) -> None:
    acknowledged(unit, "1:VELOCITY 10000", "1:MOVE 50000")
    unit.step(1)
    unit.power_off()
    unit.step(60)
    unit.power_on()
    assert value(unit, "?POS 1 2") == "0 0"
    assert (value(unit, "1:?POWER"), value(unit, "1:?HOMESTAT")) == ("OFF", "NOTFOUND 0")
    assert (value(unit, "1:?VELOCITY"), disable_code(unit), stop_code(unit)) == ("20000", 7, 0)
    assert read(unit, "axis1_at_steps") == pytest.approx(9500, abs=1)
    acknowledged(unit, "1:POWER ON", "1:HOME 1")
    unit.step(20)
    assert value(unit, "1:?HOMESTAT") == "FOUND 1"


def test_another_controller_identifies_itself_otherwise(unit: IcePAP) -> None:
    unit.afflict("wrong-identity", {"identity": "ACME,OTHER"})
    assert "ACME,OTHER" in ask(unit, "0:?VER INFO")
    unit.relieve()
    assert "CONTROLLER" in ask(unit, "0:?VER INFO")


def test_time_does_not_go_backwards(unit: IcePAP) -> None:
    for dt_s in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="forward only"):
            unit.step(dt_s)


@given(st.lists(st.floats(0.001, 0.7), min_size=1, max_size=12))
def test_where_an_axis_is_does_not_depend_on_the_steps_of_time(slices: list[float]) -> None:
    units = IcePAP(axes=[1]), IcePAP(axes=[1])
    for unit in units:
        acknowledged(unit, "1:HOME 0")
    for dt_s in slices:
        units[0].step(dt_s)
    units[1].step(sum(slices))
    positions = [read(unit, "axis1_at_steps") for unit in units]
    assert positions[0] == pytest.approx(positions[1], abs=0.01)
