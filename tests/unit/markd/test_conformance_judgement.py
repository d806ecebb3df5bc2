"""What a conformance run takes for wrong, without any daemon."""

from __future__ import annotations

from typing import Any

import pytest

import mktl
from markd import pytest_plugin
from markd._conformance_faults import MATRIX, Fault
from markd._conformance_line import LineOnTrial, Timing
from markd._conformance_observed import Observed
from markd._conformance_row import HEAD, Row, as_markdown, cells
from markd._conformance_set import Choice, Probe, other_value
from markd._conformance_truth import Seen, Truth
from mktl.description import Description
from mktl.errors import DeviceError, LinkDown, NoAnswer
from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator

FAULTS = {fault.name: fault for fault in MATRIX}
TIMING = Timing(
    timeout_s=1, quiet_s=2, connect_s=5, retry_s=1, cycle_s=0.1, period_s=1, silence_s=0
)
CLOCK = 1_800_000_000.0


def line(*names: str) -> LineOnTrial:
    """A line with an item ``NAME_temp`` and one ``NAME_setpoint`` for each of *names*."""
    names = names or ("tc",)
    keys = tuple(f"{name}_{key}" for name in names for key in ("temp", "setpoint"))
    return LineOnTrial(
        names=names,
        transport="tcp",
        simulator=Simulator(LakeShore336(seed=1), tcp=("127.0.0.1", 0)),
        units={name: number for number, name in enumerate(names, 1)},
        timing=TIMING,
        identified=True,
        keys=keys,
        settable=(),
        owners={key: key.partition("_")[0] for key in keys},
        poll_s={},
        silence_s={},
        settings={},
    )


class Story:
    """Items say one thing after the other."""

    def __init__(self, fault: Fault, tested: LineOnTrial | None = None, **values: Any) -> None:
        tested = tested or line()
        state = values or {"tc_temp": 77.0, "tc_setpoint": 80.0}
        self.seen = Observed(tested, fault, Truth([dict(state)]), others=("other",))
        self.now = 100.0
        self.seen.begin(self.now, CLOCK)

    def says(
        self,
        key: str,
        value: Any,
        quality: str = "valid",
        *,
        after_s: float = 0.1,
        checked: Any = 0,
    ) -> Story:
        """Have the item *key* say something; *checked* is relative to the begin of the fault."""
        self.now += after_s
        when = None if checked is None else CLOCK + checked
        payload = mktl.Payload(value, when, quality=quality, reason="why", checked=when)
        self.seen.take([Seen(self.now, key, payload)], self.now)
        return self

    def ends(self) -> Story:
        self.seen.end(self.now, CLOCK + self.now - 100.0)
        return self


def doubted(fault: Fault) -> Story:
    story = Story(fault)
    story.says("tc_temp", 77.0, "invalid").says("tc_setpoint", 80.0, "invalid", after_s=2)
    return story


def test_what_is_in_doubt_during_a_fault_and_true_after_it_passes():
    story = doubted(FAULTS["silence"])
    assert story.seen.has_seen_enough()
    story.ends()
    assert not story.seen.is_well()
    story.says("tc_temp", 77.0, checked=5).says("tc_setpoint", 80.0, checked=5)
    assert story.seen.is_well()
    assert story.seen.complaints() == ()
    assert (story.seen.wrong, story.seen.crossed) == (0, 0)
    assert story.seen.invalid_s == pytest.approx(2.1)
    assert story.seen.good_s == pytest.approx(0.2)


def test_what_counts_as_valid_though_nothing_can_be_known_is_told():
    story = Story(FAULTS["silence"])
    story.says("tc_temp", 77.0, "invalid").says("tc_setpoint", 80.0, after_s=20, checked=10)
    assert not story.seen.has_seen_enough()
    story.ends()
    (complaint,) = story.seen.complaints()
    assert "not in doubt after" in complaint
    assert complaint.endswith("tc_setpoint")


def test_a_value_that_nobody_has_confirmed_may_not_stay_valid():
    story = Story(FAULTS["garbage"])
    story.says("tc_temp", 77.0, "invalid").says("tc_setpoint", 80.0, after_s=20, checked=-1)
    assert not story.seen.has_seen_enough()
    story.ends()
    assert "not confirmed, nor in doubt" in story.seen.complaints()[0]


def test_a_value_that_was_confirmed_meanwhile_may_stay_valid():
    story = Story(FAULTS["split"])
    story.says("tc_temp", 77.0, checked=1).says("tc_setpoint", 80.0, after_s=2, checked=1)
    assert story.seen.has_seen_enough()
    story.ends().says("tc_temp", 77.0, checked=9).says("tc_setpoint", 80.0, checked=9)
    assert story.seen.is_well()
    assert story.seen.invalid_s is None


def test_another_value_is_wrong_and_that_of_another_item_crossed():
    story = Story(FAULTS["late"])
    story.says("tc_temp", 80.0).says("tc_temp", 80.0).says("tc_setpoint", 12.0)
    assert (story.seen.wrong, story.seen.crossed) == (2, 1)
    first, second = story.seen.complaints()[:2]
    assert first == "shown as valid: tc_temp = 80.0, which is that of another item"
    assert second == "shown as valid: tc_setpoint = 12.0"


@pytest.mark.parametrize("quality", ["valid", "warning", "alarm", "changing"])
def test_a_wrong_value_is_wrong_with_any_quality_but_invalid(quality):
    assert Story(FAULTS["late"]).says("tc_temp", 1.0, quality).seen.wrong == 1
    assert Story(FAULTS["late"]).says("tc_temp", 1.0, "invalid").seen.wrong == 0


def test_what_was_set_meanwhile_is_true_as_well():
    story = Story(FAULTS["late"])
    story.seen.truth.states.append({"tc_temp": 77.0, "tc_setpoint": 81.0})
    assert story.says("tc_setpoint", 81.0).seen.wrong == 0


def test_a_value_that_moves_by_itself_is_never_wrong():
    story = Story(FAULTS["late"])
    story.seen.truth.moving = frozenset({"tc_temp"})
    assert story.says("tc_temp", 1.0).seen.wrong == 0


def test_a_device_that_had_no_supply_may_be_another_one_afterwards():
    story = doubted(FAULTS["power-cycle"]).ends()
    story.says("tc_temp", 20.0, checked=9).says("tc_setpoint", 0.0, checked=9)
    assert story.seen.is_well()
    assert story.seen.wrong == 0
    before = Story(FAULTS["power-cycle"]).says("tc_temp", 20.0)
    assert before.seen.wrong == 1


def test_a_dead_unit_may_take_nothing_from_the_others():
    both = line("one", "two")
    dead = Fault("dead unit 1", "", lambda _: (), sure=True, unit=lambda _: ("one",))
    state = {"one_temp": 1.0, "one_setpoint": 2.0, "two_temp": 3.0, "two_setpoint": 4.0}
    story = Story(dead, both, **state)
    story.says("one_temp", 1.0, "invalid").says("one_setpoint", 2.0, "invalid")
    story.says("two_temp", 3.0, "invalid", after_s=1)
    assert story.seen.complaints() == ()
    story.says("two_temp", 3.0, "invalid", after_s=TIMING.unharmed_s + 1)
    assert story.seen.complaints() == ("two_temp has no fault, and was in doubt",)
    story.says("other", 5.0, "invalid").says("other", 5.0, "invalid", after_s=7)
    assert "other has no fault, and was in doubt" in story.seen.complaints()


def test_the_log_may_grow_with_what_changes_and_not_with_time():
    story = Story(FAULTS["refuse"])
    at_first = story.seen.most_log_lines()
    for _ in range(50):
        story.says("tc_link", 4).says("tc_temp", 77.0)
    assert story.seen.most_log_lines() == at_first
    story.says("tc_link", 0)
    assert story.seen.most_log_lines() > at_first


def test_an_item_that_is_not_heard_of_again_is_named():
    story = doubted(FAULTS["silence"]).ends()
    assert story.seen.why_not_well() == "tc_temp is invalid: why"
    story.says("tc_temp", 77.0, checked=9).says("tc_setpoint", 80.0, checked=1)
    assert story.seen.why_not_well() == "tc_setpoint was not confirmed since"


# --- SETs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "value", "other"),
    [
        ({"type": "boolean"}, True, False),
        ({"type": "enumerated", "enumerators": {"0": "Off", "1": "On"}}, 1, 0),
        ({"type": "numeric", "range": [20, 120]}, 77.0, 82.0),
        ({"type": "numeric", "range": [20, 120]}, 119.0, 114.0),
        ({"type": "numeric", "range": [0, 1]}, 0.2, 0.5),
        ({"type": "numeric"}, 100.0, 75.0),
        ({"type": "numeric"}, 0.0, None),
        ({"type": "string"}, "abc", None),
    ],
)
def test_what_is_set_is_another_value_that_may_be_set(description, value, other):
    assert other_value(Description.from_json("key", description), value) == other


class Taken:
    """Stands for an item of which only the outcome of a SET matters."""

    full_key = "cryo.setpoint"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def set(self, _value: object, timeout: float | None = None) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "now", "forgets", "outcome"),
    [
        (None, 82.0, False, "done"),
        (None, 77.0, False, "lost"),
        (None, 77.0, True, "done"),
        (LinkDown("the link is down; nothing was sent"), 77.0, False, "refused"),
        (LinkDown("the link is down; nothing was sent"), 82.0, False, "untrue"),
        (DeviceError("it may or may not have been carried out"), 82.0, False, "refused"),
        (NoAnswer("no answer within 30 s"), 77.0, False, "no end"),
    ],
)
def test_a_set_must_end_and_its_outcome_be_true(error, now, forgets, outcome):
    item: Any = Taken(error)
    probe = Probe(Choice("setpoint", 77.0, 82.0, 82.0), item, within_s=1)
    probe.start()
    found, wrong = probe.verdict(lambda: now, forgets=forgets)
    assert found == outcome
    assert bool(wrong) == (outcome in ("lost", "untrue", "no end"))


# --- the table ------------------------------------------------------------------------------------


def test_a_row_has_a_cell_for_each_column():
    row = Row("tc", "tcp", "silence", "nothing is answered", "pass", invalid_s=2.13, good_s=1.0)
    assert len(cells(row)) == len(HEAD)
    assert "2.1 s" in cells(row)
    skipped = Row("tc", "serial", "half-open", "", "n/a", notes=("no connection",))
    assert len(cells(skipped)) == len(HEAD)
    text = as_markdown([row, skipped])
    assert text.count("\n") == 4
    assert len({one.count("|") for one in text.splitlines()}) == 1


def test_the_plugin_names_all_faults():
    matrix = {fault.name.replace(" ", "-") for fault in MATRIX}
    assert {*pytest_plugin.FAULTS} == {*matrix, "dead-unit"}
