"""Motion controllers end to end: markd, the drivers, and twins that know nothing of them."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mktl
from drivers.icepap import IcePAP
from drivers.zaber import Zaber
from mktl.errors import BadValue, DeviceError, DeviceLost, MoveFailed, Stopped
from simulators.icepap import IcePAP as IcepapTwin
from simulators.serve import Simulator
from simulators.zaber import Zaber as ZaberTwin
from tests._support import wait_until
from tests.system._instrument import Seen, in_doubt, link_is, served
from tests.unit.drivers.motion_fakes import asking, failure

FILE = """
store = "stage"
alias = "hw"

[controllers.axes]
driver = "{driver}"
url = "{url}"
retry_first_s = 0.1
retry_longest_s = 0.5

[controllers.axes.axes.1]
limits = [{low}, {high}]

[items.position]
channel = "axes.position.1"
poll_s = 0.1

[items.moving]
channel = "axes.moving.1"
poll_s = 0.1

[items.step]
channel = "axes.move.1"

[items.home]
channel = "axes.home.1"

[items.stop]
channel = "axes.stop.1"

[items.stop_all]
channel = "axes.stop"
"""


@dataclass(frozen=True)
class Kind:
    """One of the controllers, and what there is in it that the tests use."""

    driver: type[IcePAP] | type[Zaber]
    twin: Callable[..., Any]
    scale: int
    """Steps that it goes in a twenty-thousandth of a second."""
    low: int
    high: int
    home: int
    """What the item for homing is set to."""


ICEPAP = Kind(IcePAP, IcepapTwin, 1, -90_000, 90_000, 1)
ZABER = Kind(Zaber, ZaberTwin, 15, 0, 990_000, 1)


class Rig:
    """One twin, the daemon that speaks to it, and a client."""

    def __init__(self, kind: Kind, twin: Simulator, store: mktl.Store) -> None:
        self.kind = kind
        self.twin = twin
        self.store = store
        self.position = store["position"]

    @property
    def at(self) -> float:
        """Where the axis is, as the twin itself knows."""
        return self.twin.get("axis1_pos")["axis1_pos"]

    @property
    def moving(self) -> bool:
        return bool(self.twin.get("axis1_moving")["axis1_moving"])

    def steps(self, thousands: float) -> int:
        """Return a position that is so far from 0: 20 take about a second."""
        return round(thousands * 1000 * self.kind.scale)

    def go(self, thousands: float) -> Any:
        """Begin a move, and wait until the twin is on its way."""
        pending = self.position.set(self.steps(thousands), wait=False)
        wait_until(lambda: self.moving or pending.poll(), what="the axis to move")
        return pending


@contextlib.contextmanager
def rig_of(kind: Kind, transport: str, folder: Path) -> Iterator[Rig]:
    place: Any = True if transport == "serial" else ("127.0.0.1", 0)
    twin = Simulator(kind.twin(seed=1), serve={transport: place}, control=("127.0.0.1", 0), seed=1)
    with twin:
        file = folder / "stage.toml"
        driver = f"{kind.driver.__module__}:{kind.driver.__name__}"
        file.write_text(FILE.format(driver=driver, url=twin.url, low=kind.low, high=kind.high))
        with served(file, up=("axes",)) as store:
            yield Rig(kind, twin, store)


# Where each of them usually is.
@pytest.fixture(params=[(ICEPAP, "tcp"), (ZABER, "serial")], ids=["icepap", "zaber"])
def rig(request, tmp_path) -> Iterator[Rig]:
    with rig_of(*request.param, tmp_path) as made:
        yield made


def outcome(pending: Any, timeout_s: float = 30.0) -> Exception | None:
    """Return what a SET has ended with; it must end."""
    try:
        pending.wait(timeout_s)
    except DeviceError as error:
        return error
    return None


def followed(rig: Rig) -> None:
    """Wait until it is known that the move has begun, which the axis says after it has begun it."""
    wait_until(lambda: rig.position.quality == "changing", what="a look at the move")


def stands_at(error: Exception) -> int:
    found = re.search(r"it stands at (-?\d+) ", str(error))
    assert found, f"it does not say where the axis stands: {error}"
    return int(found[1])


def test_ten_moves_with_random_stops_are_all_answered_and_truly(rig):
    move_ten_times(rig)


def test_ten_moves_of_a_stage_behind_tcp_are_answered_and_truly(tmp_path):
    with rig_of(ZABER, "tcp", tmp_path) as rig:
        move_ten_times(rig)


def move_ten_times(rig: Rig) -> None:
    chance = random.Random(20_241)
    stopped = 0
    for number in range(10):
        here = rig.at
        target = rig.steps(chance.uniform(0.5, 30))
        stop_after = chance.choice([None, 0.0, chance.random(), chance.random()])
        pending = rig.position.set(target, wait=False)
        if stop_after is not None:
            way = abs(target - here) * stop_after
            wait_until(lambda: abs(rig.at - here) >= way or pending.poll())  # noqa: B023
            rig.store["stop"].set(1, timeout=20)
        error = outcome(pending)
        said = f"move {number} from {here} to {target}, stopped after {stop_after}: {error}"
        assert not rig.moving, said
        if error is None:
            assert rig.at == pytest.approx(target, abs=10), said
        else:
            assert type(error) is Stopped, said
            assert stop_after is not None, said
            if "was not begun" in str(error):
                assert rig.at == here, said
            else:
                assert stands_at(error) == rig.at, said
            stopped += 1
        wait_until(lambda: rig.position.get() == rig.at and rig.position.quality == "valid")
    assert 0 < stopped < 10


def test_a_set_answers_when_the_axis_has_settled_and_tells_where_it_is_meanwhile(rig):
    seen: list[mktl.Payload] = []
    keep = lambda _item, payload: seen.append(payload)  # noqa: E731 - registered weakly
    rig.position.register(keep, payloads=True)
    moving = Seen(rig.store["moving"])
    rig.position.set(rig.steps(60), timeout=30)
    assert not rig.moving
    assert rig.at == rig.steps(60)
    assert (rig.position.get(), rig.position.quality) == (rig.steps(60), "valid")
    wait_until(lambda: seen[-1].quality == "valid")
    changing = [payload.value for payload in seen if payload.quality == "changing"]
    assert len(set(changing)) >= 3
    assert changing == sorted(changing)
    assert all(
        f"moving to {rig.steps(60)}" in payload.reason
        for payload in seen
        if payload.quality == "changing"
    )
    assert [payload.value for payload in seen if payload.quality == "valid"][-1] == rig.steps(60)
    wait_until(lambda: moving.values[-1] is False)
    assert True in moving.values


def test_a_stop_gets_through_at_once_and_ends_the_move(rig):
    pending = rig.go(60)
    rig.store["stop"].set(1, timeout=20)
    error = outcome(pending)
    assert type(error) is Stopped
    assert "a stop was asked for" in str(error)
    assert stands_at(error) == rig.at
    assert not rig.moving
    assert rig.at < rig.steps(60)


def test_a_stop_lets_nothing_begin_that_was_asked_for_before_it(rig):
    pending = [rig.go(60)]
    for thousands in (1, 2):
        pending.append(rig.position.set(rig.steps(thousands), wait=False))
    pending.append(rig.store["step"].set(rig.steps(3), wait=False))
    for one in pending:
        one.wait_acknowledged()
    rig.store["stop_all"].set(1, timeout=20)
    errors = [outcome(one) for one in pending]
    assert [type(error) for error in errors] == [Stopped] * 4
    assert all("was not begun" in str(error) for error in errors[1:])
    assert stands_at(errors[0]) == rig.at
    rig.position.set(rig.steps(1), timeout=30)
    assert rig.at == rig.steps(1)


def test_a_second_target_begins_when_the_first_move_has_ended(rig):
    first = rig.go(20)
    second = rig.position.set(rig.steps(5), wait=False)
    step = rig.store["step"].set(rig.steps(2), wait=False)
    first.wait(30)
    wait_until(second.poll, 30)
    second.wait(30)
    step.wait(30)
    assert rig.at == pytest.approx(rig.steps(7), abs=10)


def test_limits_are_checked_before_the_axis_moves(rig):
    for target in (rig.kind.low - 1, rig.kind.high + 1):
        with pytest.raises(BadValue, match=str(rig.kind.high)):
            rig.position.set(target)
    with pytest.raises(BadValue, match="outside the soft limits"):
        rig.store["step"].set(2 * rig.kind.high)
    assert rig.at == 0
    assert not rig.moving


def test_homing_answers_when_the_reference_was_found(rig):
    rig.position.set(rig.steps(10), timeout=30)
    rig.store["home"].set(rig.kind.home, timeout=60)
    assert not rig.moving
    wait_until(lambda: rig.position.get() == rig.at and rig.position.quality == "valid")
    pending = rig.store["home"].set(rig.kind.home, wait=False)
    wait_until(lambda: rig.moving or pending.poll())
    rig.store["stop"].set(1, timeout=20)
    error = outcome(pending)
    assert error is None or "homing" in str(error)
    assert not rig.moving


def test_homing_that_was_stopped_is_never_done_whatever_was_stopped_before_it(rig):
    rig.position.set(rig.steps(50), timeout=30)
    for asked in (rig.position.set(rig.steps(0), wait=False), None):
        pending = asked or rig.store["home"].set(rig.kind.home, wait=False)
        wait_until(lambda: rig.moving or pending.poll())  # noqa: B023
        rig.store["stop"].set(1, timeout=20)
        error = outcome(pending)
        assert type(error) is Stopped
        assert stands_at(error) == rig.at


def test_what_blocks_the_axis_is_told_in_words(rig):
    pending = rig.go(60)
    rig.twin.set(axis1_blocked=1)
    error = outcome(pending)
    assert type(error) is MoveFailed
    assert "Closed loop error" in str(error) or "stalled and stopped" in str(error)
    assert not rig.moving
    assert stands_at(error) == rig.at


def test_a_link_that_is_cut_during_a_move_leaves_the_position_unknown(rig):
    pending = rig.go(60)
    followed(rig)
    rig.twin.cut()
    error = outcome(pending)
    assert isinstance(error, DeviceLost)
    assert "not known where it stands" in str(error)
    wait_until(lambda: in_doubt(rig.position))
    rig.twin.restore()
    link_is(rig.store, "axes", "Up")
    wait_until(lambda: not rig.moving, 30)
    wait_until(lambda: rig.position.get() == rig.at and rig.position.quality == "valid")
    rig.position.set(rig.steps(1), timeout=30)
    assert rig.at == rig.steps(1)


def test_a_loss_of_power_during_a_move_is_never_the_end_of_it(rig):
    pending = rig.go(60)
    followed(rig)
    seen = Seen(rig.position)
    rig.twin.fault("power-cycle", off_s=0.5)
    error = outcome(pending)
    assert isinstance(error, DeviceError)
    assert "not known where it stands" in str(error)
    wait_until(lambda: refreshed(rig.position) == rig.at, 20)
    assert rig.steps(60) not in seen.values
    link_is(rig.store, "axes", "Up")


def refreshed(item: mktl.Item) -> Any:
    """Return what the hardware says now; ``None`` if it says nothing."""
    with contextlib.suppress(DeviceError):
        return item.get(refresh=True)
    return None


def test_a_line_that_loses_replies_leaves_no_move_hanging_or_wrong(rig):
    rig.twin.fault("garbage", probability=0.1)
    for thousands in (3, 6, 2, 5):
        pending = rig.position.set(rig.steps(thousands), wait=False)
        error = outcome(pending, 60)
        if error is None:
            assert rig.at == pytest.approx(rig.steps(thousands), abs=10)
            assert not rig.moving
    rig.twin.clear_faults()
    wait_until(lambda: outcome(rig.position.set(rig.steps(4), wait=False)) is None, 60)
    assert rig.at == pytest.approx(rig.steps(4), abs=10)


def test_a_limit_switch_ends_a_move_in_words(tmp_path):
    with rig_of(ICEPAP, "tcp", tmp_path) as rig:
        pending = rig.go(60)
        rig.twin.set(axis1_limit_plus_fault=1)
        error = outcome(pending)
        assert type(error) is MoveFailed
        assert "stop code 3: Limit switch +" in str(error)
        assert stands_at(error) == rig.at


def test_the_limits_of_the_device_hold_too(tmp_path):
    with rig_of(ZABER, "tcp", tmp_path) as rig:
        with Zaber.open(rig.twin.url, name="other") as other:
            other.wait_until_up()
            with pytest.raises(BadValue, match="of the device, 0 microsteps to 1000000"):
                other.motion(1).move_to(1_000_001)
        assert rig.at == 0


def test_somebody_at_the_knob_is_waited_for(tmp_path):
    with rig_of(ZABER, "tcp", tmp_path) as rig:
        rig.twin.set(axis1_knob=50_000)
        wait_until(lambda: rig.position.quality == "changing")
        assert "without being told from here" in rig.position.reason
        pending = rig.position.set(rig.steps(1), wait=False)
        pending.wait_acknowledged()
        rig.twin.set(axis1_knob=0)
        assert outcome(pending) is None
        assert rig.at == rig.steps(1)


class Patient(Zaber):
    """Relies on alerts alone."""

    period_with_alerts_s = 60.0


@pytest.mark.parametrize("transport", ["tcp", "serial"])
def test_an_alert_ends_the_wait_for_the_end_of_a_move(transport):
    place: Any = True if transport == "serial" else ("127.0.0.1", 0)
    with (
        Simulator(ZaberTwin(seed=1), serve={transport: place}, seed=1) as twin,
        Patient.open(twin.url, name="stage") as stage,
    ):
        stage.wait_until_up()
        asked: list[str] = []
        stage.trace(asked.append)
        begun = time.monotonic()
        stage.motion(1).move_to(300_000)
        assert time.monotonic() - begun < 30
        assert twin.get("axis1_pos")["axis1_pos"] == 300_000
        # Before it, and once on its way; at its end, at each alert.
        assert 3 <= sum("get pos" in one for one in asked) <= 6


def test_two_devices_of_a_chain_move_at_the_same_time():
    from simulators.bus import Bus

    chain = Bus({1: ZaberTwin(unit=1, seed=1), 2: ZaberTwin(unit=2, axes=2, seed=2)})
    with (
        Simulator(chain, serve={"tcp": ("127.0.0.1", 0)}, seed=1) as twin,
        Zaber.open(twin.url_of(1), name="one") as one,
        Zaber.open(twin.url_of(2), name="two", axes=[1, 2]) as two,
        asking() as ask,
    ):
        for stage in (one, two):
            stage.wait_until_up()
        moves = [
            ask(one.motion(1).move_to, 900_000),
            ask(two.motion(1).move_to, 800_000),
            ask(two.motion(2).move_to, 700_000),
        ]
        wait_until(lambda: one.state(1).moving and two.state(1).moving and two.state(2).moving)
        two.motion(1).stop()
        assert isinstance(failure(moves[1]), Stopped)
        assert moves[0].result(30) is None
        assert moves[2].result(30) is None
        assert (one.state(1).steps, two.state(2).steps) == (900_000, 700_000)
