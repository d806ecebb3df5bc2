"""What a move is, whatever moves: ends, stops, order, limits, doubt. On an axis moved by hand."""

from __future__ import annotations

import time

import pytest

from drivers.channel import Reading
from drivers.motion import AxisSettings, Bounds, Motion
from mktl.errors import (
    BadValue,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    LinkDown,
    MoveFailed,
    ProtocolMismatch,
    Stopped,
)
from tests._support import wait_until
from tests.unit.drivers.motion_fakes import HandAxis, asking, failure


def motion_of(axis: HandAxis, **settings) -> Motion:
    return Motion(axis, AxisSettings(**settings))


@pytest.fixture
def axis() -> HandAxis:
    return HandAxis()


@pytest.fixture
def motion(axis) -> Motion:
    return motion_of(axis)


@pytest.fixture
def ask():
    with asking() as submit:
        yield submit


def test_a_move_returns_when_the_axis_has_settled_at_its_target(axis, motion, ask):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    assert motion.doing == "moving to 500 steps"
    axis.is_looked_at()
    assert not move.done()
    axis.rest(500)
    assert move.result(30) is None
    assert motion.doing == ""


def test_a_move_that_ends_between_two_looks_is_done():
    axis = HandAxis(obliging=True)
    motion_of(axis).move_to(300)
    assert axis.started == [300]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"at": 500, "stop": "stop code 3: Limit switch +"}, "stop code 3: Limit switch +"),
        (
            {"at": 120, "stop": "stop code 9: Motor failure"},
            "Motor failure; it stands at 120 steps",
        ),
        ({"at": 500, "faults": ("FS, stalled and stopped",)}, "FS, stalled and stopped"),
        ({"at": 498}, "it stopped by itself; it stands at 498 steps, not at 500 steps"),
    ],
)
def test_a_move_that_ends_otherwise_says_why_and_where(axis, motion, ask, how, text):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    axis.is_looked_at()
    axis.rest(**how)
    error = failure(move)
    assert isinstance(error, MoveFailed)
    assert text in str(error)
    assert "stage, axis 1: moving to 500 steps" in str(error)


def test_an_axis_may_stand_within_its_tolerance(axis, ask):
    motion = motion_of(axis, units="mm", steps_per_unit=100.0, tolerance=0.05)
    move = ask(motion.move_to, 5)
    axis.is_sent(500)
    axis.rest(505)
    assert move.result(30) is None
    move = ask(motion.move_to, 10)
    axis.is_sent(500, 1000)
    axis.is_looked_at()
    axis.rest(1006)
    assert "it stands at 10.06 mm, not at 10.00 mm" in str(failure(move))


def test_what_was_wrong_before_and_did_no_harm_is_no_failure(axis, motion, ask):
    axis.rest(faults=("FQ, encoder error",))
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    axis.is_looked_at()
    axis.rest(500)
    assert move.result(30) is None


def test_a_second_target_begins_when_the_first_move_has_ended(axis, motion, ask):
    first, second = ask(motion.move_to, 100), None
    axis.is_sent(100)
    second = ask(motion.move_to, 200)
    axis.is_looked_at(5)
    assert axis.started == [100]
    axis.rest(100)
    assert first.result(30) is None
    axis.is_sent(100, 200)
    axis.rest(200)
    assert second.result(30) is None


def test_targets_come_in_the_order_in_which_they_were_asked_for(axis, motion, ask):
    now = time.monotonic()
    first = ask(motion.move_to, 100, now)
    axis.is_sent(100)
    later, sooner = ask(motion.move_to, 300, now + 2), ask(motion.move_to, 200, now + 1)
    wait_until(lambda: len(motion._queue._waiting) == 2)
    axis.obliging = True
    axis.rest(100)
    for move in (first, sooner, later):
        assert move.result(30) is None
    assert axis.started == [100, 200, 300]


def test_a_stop_ends_the_move_and_lets_nothing_begin_that_was_asked_for_before(axis, motion, ask):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    queued = [ask(motion.move_to, 100), ask(motion.move_by, 10)]
    wait_until(lambda: len(motion._queue._waiting) == 2)
    axis.on_halt = lambda: axis.rest(123)
    motion.stop()
    error = failure(move)
    assert isinstance(error, Stopped)
    assert "a stop was asked for; it stands at 123 steps, not at 500 steps" in str(error)
    for other in queued:
        error = failure(other)
        assert isinstance(error, Stopped)
        assert "was not begun: a stop was asked for" in str(error)
    assert axis.started == [500]


def test_the_move_is_told_of_when_it_stands_still_after_a_stop(axis, motion, ask):
    axis.on_halt = None
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    motion.stop()
    axis.is_looked_at(3)
    assert not move.done()
    axis.rest(77)
    assert "it stands at 77 steps" in str(failure(move))


def test_what_was_asked_for_before_a_stop_does_not_begin_after_it(axis, motion):
    asked_at = time.monotonic()
    motion.stop()
    with pytest.raises(Stopped, match="moving to 5 steps was not begun"):
        motion.move_to(5, asked_at)
    assert axis.started == []
    axis.obliging = True
    motion.move_to(5)
    assert axis.started == [5]


def test_a_stop_is_known_by_when_it_was_asked_for_and_not_by_when_it_came(axis, motion):
    axis.obliging = True
    asked_at = time.monotonic()
    motion.stop(asked_at)
    motion.move_to(5, asked_at + 1e-6)
    assert axis.started == [5]


def test_an_axis_that_got_there_before_the_stop_took_effect_is_there(axis, motion, ask):
    axis.on_halt = None
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    motion.stop()
    axis.rest(500)
    assert move.result(30) is None


def test_a_stop_between_the_look_and_the_start_is_not_lost(axis, motion, ask):
    axis.on_start = lambda _steps: motion.drop("a stop was asked for")
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    motion.axis.halt()
    assert isinstance(failure(move), Stopped)


def test_a_stop_that_the_controller_refuses_is_an_error_and_the_move_goes_on(axis, motion, ask):
    def refuse() -> None:
        raise DeviceRefused("not now")

    axis.on_halt = refuse
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    with pytest.raises(DeviceRefused, match="not now"):
        motion.stop()
    axis.rest(500)
    assert move.result(30) is None


def test_what_was_asked_for_before_a_failure_does_not_begin(axis, motion, ask):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    queued = ask(motion.move_to, 100)
    wait_until(lambda: len(motion._queue._waiting) == 1)
    axis.is_looked_at()
    axis.rest(120, stop="stop code 4: Limit switch -")
    assert isinstance(failure(move), MoveFailed)
    error = failure(queued)
    assert isinstance(error, Stopped)
    assert "moving to 500 steps has failed" in str(error)
    assert "Limit switch -" in str(error)
    assert axis.started == [500]


def test_what_was_asked_for_before_a_refusal_does_begin(axis, motion, ask):
    def refuse(_steps: int) -> None:
        axis.on_start = None
        queued.append(ask(motion.move_to, 100))
        wait_until(lambda: len(motion._queue._waiting) == 1)
        axis.obliging = True
        raise DeviceRefused("no power")

    queued: list = []
    axis.on_start = refuse
    with pytest.raises(DeviceRefused, match="no power"):
        motion.move_to(500)
    assert queued[0].result(30) is None
    assert axis.started == [500, 100]


def test_limits_are_checked_before_anything_is_sent(axis):
    axis.limits = (Bounds(0, 1000, "the device"), Bounds(None, 900, "the fence"))
    motion = motion_of(axis, units="mm", steps_per_unit=10.0, offset=5.0, limits=(10.0, 80.0))
    with pytest.raises(BadValue, match=r"9\.9 mm is outside the soft limits, 10\.0 mm to"):
        motion.move_to(9.9)
    motion = motion_of(axis)
    with pytest.raises(BadValue, match="-1 steps is outside the device, 0 steps to"):
        motion.move_to(-1)
    with pytest.raises(BadValue, match=r"950 steps .* the fence, open to 900 steps; nothing was"):
        motion.move_to(950)
    with pytest.raises(BadValue, match="a number is wanted"):
        motion.move_to(float("nan"))
    assert (axis.looks, axis.started) == (0, [])


def test_a_relative_move_is_checked_where_it_begins(axis):
    axis.obliging = True
    motion = motion_of(axis, units="mm", steps_per_unit=10.0, limits=(0.0, 80.0))
    motion.move_by(50)
    motion.move_by(20)
    with pytest.raises(BadValue, match="outside the soft limits"):
        motion.move_by(20)
    assert axis.started == [500, 700]


def test_an_axis_that_counts_the_other_way_has_its_limits_the_other_way():
    settings = AxisSettings(units="mm", steps_per_unit=-10.0, limits=(0.0, 80.0))
    assert settings.limit_steps == (-800, 0)
    axis = HandAxis(obliging=True)
    Motion(axis, settings).move_to(20)
    assert axis.started == [-200]


def test_a_move_that_takes_too_long_is_stopped_and_says_so(axis, ask):
    motion = motion_of(axis, move_timeout_s=0.05)
    move = ask(motion.move_to, 500)
    error = failure(move)
    assert isinstance(error, DeviceTimeout)
    assert "it still goes on after 0.05 s; it was told to stop; it stands at 0" in str(error)
    assert axis.halted == 1


def test_the_patience_with_a_move_follows_from_distance_and_speed(axis, motion):
    axis.takes_s = 4.0
    assert motion._limit_s(_order(), axis.state(), 100) == pytest.approx(16.0)
    axis.takes_s = None
    assert motion._limit_s(_order(), axis.state(), 100) >= 60


def _order():
    from drivers._motion_axis import Order

    return Order("moving")


def test_a_link_that_is_lost_during_a_move_leaves_it_unknown(axis, motion, ask):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    queued = ask(motion.move_to, 100)
    wait_until(lambda: len(motion._queue._waiting) == 1)
    axis.troubles = [LinkDown("stage is down since 12:00: the cable was pulled")]
    error = failure(move)
    assert type(error) is DeviceLost
    assert "the cable was pulled; it is not known where it stands, or whether it moves" in str(
        error
    )
    assert isinstance(failure(queued), Stopped)


def test_another_connection_or_a_lost_reference_is_never_taken_for_the_end_of_a_move(
    axis, motion, ask
):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    axis.rest(500, connection=2)
    assert "lost meanwhile and made anew; it is not known" in str(failure(move))
    move = ask(motion.move_to, 0)
    axis.is_sent(500, 0)
    axis.rest(0, referenced=False)
    assert "it has lost its reference, as it does without power" in str(failure(move))


def test_a_look_that_fails_once_does_not_end_a_move(axis, motion, ask):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    axis.troubles = [DeviceTimeout("no answer"), ProtocolMismatch("garbage")]
    wait_until(lambda: not axis.troubles)
    axis.rest(500)
    assert move.result(30) is None


def test_a_move_that_cannot_be_followed_is_stopped(axis, motion, ask):
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    axis.troubles = [DeviceTimeout("no answer")] * 3
    error = failure(move)
    assert isinstance(error, MoveFailed)
    assert "cannot be followed, as 3 looks at it failed, the last one with: no answer" in str(error)
    assert axis.halted == 1


def test_a_start_without_an_answer_is_stopped_in_case_it_had_begun(axis, motion):
    def vanish(_steps: int) -> None:
        raise DeviceTimeout("no complete answer")

    axis.on_start = vanish
    with pytest.raises(DeviceTimeout, match="it may have begun; it was told to stop"):
        motion.move_to(500)
    assert axis.halted == 1


def test_an_axis_that_something_else_moves_is_waited_for(axis, ask):
    axis.moving = True
    motion = motion_of(axis)
    move = ask(motion.move_to, 500)
    axis.is_looked_at()
    assert axis.started == []
    axis.rest(7)
    axis.is_sent(500)
    axis.rest(500)
    assert move.result(30) is None


def test_an_axis_that_something_else_moves_for_too_long_is_an_error(axis):
    axis.moving = True
    with pytest.raises(MoveFailed, match=r"was not begun: the axis moves since 0\.05 s, without"):
        motion_of(axis, begin_within_s=0.05).move_to(500)
    assert (axis.started, axis.halted) == ([], 0)


def test_a_move_that_another_one_holds_up_for_too_long_says_which(axis, ask):
    motion = motion_of(axis, begin_within_s=0.05)
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    with pytest.raises(MoveFailed, match=r"to 100 steps was not begun .* moving to 500 steps is"):
        motion.move_to(100)
    axis.rest(500)
    assert move.result(30) is None


def test_a_move_that_was_asked_for_too_long_ago_does_not_begin(axis, motion):
    with pytest.raises(MoveFailed, match="to 5 steps was not begun within 300 s: what was asked"):
        motion.move_to(5, time.monotonic() - 301)
    assert axis.started == []


def test_an_alert_has_the_axis_looked_at_at_once(ask):
    axis = HandAxis(period_s=60)
    motion = motion_of(axis)
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    wait_until(lambda: axis.looks == 2)
    axis.rest(500)
    motion.wake()
    assert move.result(30) is None
    assert axis.looks == 3


def test_homing_goes_on_until_the_controller_says_that_it_was_found(axis, motion, ask):
    answers = iter([None, DeviceTimeout("no answer"), None, ""])

    def finish(_state: object) -> str | None:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def begin() -> None:
        axis.moving = True

    axis.referenced = True
    home = ask(motion.home, begin, finish)
    wait_until(lambda: motion.homing)
    axis.is_looked_at()
    axis.rest(0, referenced=False)
    assert home.result(30) is None
    assert next(answers, "used up") == "used up"


def test_homing_that_finds_nothing_says_so(axis, motion, ask):
    home = ask(motion.home, lambda: axis.start(0), lambda _state: "the switch was not found")
    axis.is_sent(0)
    axis.is_looked_at()
    axis.rest(44)
    assert "homing: the switch was not found; it stands at 44 steps" in str(failure(home))


def test_homing_is_not_done_if_a_flag_of_an_earlier_move_went_away_and_came_again(
    axis, motion, ask
):
    axis.faults = ("NI, movement interrupted",)
    home = ask(motion.home, lambda: axis.start(0), lambda _state: "")
    axis.faults = ()
    axis.is_sent(0)
    axis.is_looked_at()
    axis.rest(44, faults=("NI, movement interrupted",))
    error = failure(home)
    assert isinstance(error, MoveFailed)
    assert "NI, movement interrupted; it stands at 44 steps" in str(error)


def test_homing_that_was_stopped_is_not_done_though_an_earlier_one_has_found(axis, motion, ask):
    home = ask(motion.home, lambda: axis.start(0), lambda _state: "")
    axis.is_sent(0)
    axis.is_looked_at()
    motion.stop()
    error = failure(home)
    assert isinstance(error, Stopped)
    assert "homing: a stop was asked for; it stands at 0 steps" in str(error)


def test_homing_that_never_ends_is_stopped(axis, ask):
    motion = motion_of(axis, home_timeout_s=0.05)
    home = ask(motion.home, lambda: axis.rest(3), lambda _state: None)
    error = failure(home)
    assert isinstance(error, DeviceTimeout)
    assert axis.halted == 1


def test_a_position_is_changing_while_the_axis_moves(axis, motion, ask):
    assert motion.position(axis.state()) == 0
    seen: list = []
    motion.listen(lambda state: seen.append(motion.position(state)))
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    axis.at = 200
    wait_until(lambda: seen)
    assert motion.position(axis.state()) == Reading(200, "changing", "moving to 500 steps")
    axis.rest(500)
    move.result(30)
    assert seen[-1] == 500
    assert all(reading.quality == "changing" for reading in seen[:-1])
    axis.moving = True
    assert "without being told from here" in motion.position(axis.state()).reason


def test_a_position_without_a_reference_comes_with_a_warning(axis, motion):
    axis.referenced = False
    reading = motion.position(axis.state())
    assert (reading.value, reading.quality) == (0, "warning")
    assert "homed" in reading.reason


def test_who_listens_cannot_end_a_move(axis, motion, ask, caplog):
    def fail(_state: object) -> None:
        raise RuntimeError("a mistake")

    motion.listen(fail)
    move = ask(motion.move_to, 500)
    axis.is_sent(500)
    axis.rest(500)
    assert move.result(30) is None
    assert "a look at it could not be told" in caplog.text
