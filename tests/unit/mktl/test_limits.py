"""Limits, states and set-points, judged; and what becomes of an alarm. No daemon, no clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mktl._episodes import Acknowledgement, Episode, advance
from mktl._limits import (
    ALARM,
    WARNING,
    Finding,
    Follows,
    Rule,
    change_is_small,
    is_in_deadband,
    limits_rule,
)
from mktl.description import Description
from mktl.errors import BadItemDescription, BadValue

ME = Acknowledgement(5.0, "me", "seen")


def description(**fields: Any) -> Description:
    return Description.from_json("temp", {"type": "numeric", "units": "K", **fields})


class Judged:
    """A rule, and the values that it is given."""

    def __init__(self, rule: Rule | None) -> None:
        assert rule is not None
        self.rule = rule
        self.outs = rule.fresh

    def __call__(self, value: Any, now: float = 0.0) -> tuple[int, str]:
        self.outs = self.rule.step(self.outs, value, now)
        counting = [out.finding for out in self.outs if out and out.counts]
        worst = max(counting, key=lambda finding: finding.severity, default=None)
        return (0, "") if worst is None else (worst.severity, worst.now)


def judged(limits: dict[str, Any], **fields: Any) -> Judged:
    return Judged(limits_rule(description(limits=limits, **fields)))


def test_a_value_beyond_a_limit_says_which_and_by_what() -> None:
    judge = judged({"warning": [70, 90], "alarm": [60, 100]})
    assert judge(70) == judge(90) == (0, "")
    assert judge(90.5) == (WARNING, "90.5 K is above the warning limit of 90 K")
    assert judge(102.3) == (ALARM, "102.3 K is above the alarm limit of 100 K")
    assert judge(59) == (ALARM, "59 K is below the alarm limit of 60 K")
    assert judge(80) == (0, "")


def test_sides_may_be_open_and_are_infinite_in_toml() -> None:
    for low in (None, float("-inf")):
        judge = judged({"alarm": [low, 100]})
        assert judge(-1e300)[0] == 0
        assert judge(100.1)[0] == ALARM


def test_numbers_in_reasons_have_the_format_of_the_item_but_never_look_within() -> None:
    judge = judged({"alarm": [None, 100]}, format="%.1f")
    assert judge(102.34)[1] == "102.3 K is above the alarm limit of 100.0 K"
    assert judge(100.001)[1] == "100.001 is above the alarm limit of 100"
    shown_elsewhere = judged(
        {"alarm": [None, 100]}, format="%.1f", units={"": "kelvin", "formatted": "degC"}
    )
    assert shown_elsewhere(102.34)[1] == "102.34 kelvin is above the alarm limit of 100 kelvin"


def test_hysteresis_holds_what_counts_and_begins_nothing() -> None:
    judge = judged({"alarm": [10, 20], "hysteresis": 2})
    assert judge(19)[0] == 0
    assert judge(21)[0] == ALARM
    assert judge(19) == (ALARM, "19 K is not yet 2 K below the alarm limit of 20 K")
    assert judge(18)[0] == 0
    assert judge(9)[0] == ALARM
    assert judge(11) == (ALARM, "11 K is not yet 2 K above the alarm limit of 10 K")
    assert judge(12)[0] == 0


def test_a_delay_counts_from_when_the_value_went_out_and_begins_anew_when_it_was_in() -> None:
    judge = judged({"alarm": [None, 20], "delay_s": 3})
    assert judge(21, 10.0)[0] == 0
    assert judge.rule.due(judge.outs) == 13.0
    assert judge(22, 12.9)[0] == 0
    assert judge(19, 12.95)[0] == 0
    assert judge.rule.due(judge.outs) is None
    assert judge(21, 13.0)[0] == 0
    assert judge(21, 16.0)[0] == ALARM
    assert judge(19, 16.1)[0] == 0


def test_each_level_has_a_delay_of_its_own() -> None:
    judge = judged({"warning": [None, 20], "alarm": [None, 30], "delay_s": 3})
    judge(25, 0.0)
    judge(35, 2.0)
    assert judge(35, 3.0)[0] == WARNING
    assert judge.rule.due(judge.outs) == 5.0
    assert judge(35, 5.0)[0] == ALARM


def test_any_element_of_an_array_counts() -> None:
    judge = judged({"alarm": [0, 10]}, type="numeric array")
    assert judge([1, 2, None]) == judge([]) == (0, "")
    assert judge([1, [12, 3]]) == (ALARM, "element 1,0: 12 K is above the alarm limit of 10 K")
    assert judge([1, -2])[1] == "element 1: -2 K is below the alarm limit of 0 K"


def test_states_are_named() -> None:
    enumerated = judged(
        {"alarm": ["fault"], "warning": [2]},
        type="enumerated",
        enumerators={"0": "Idle", "1": "Fault", "2": "Manual"},
    )
    assert enumerated(0)[0] == 0
    assert enumerated(1) == (ALARM, "Fault is an alarm state")
    assert enumerated(2) == (WARNING, "Manual is a warning state")
    assert judged({"alarm": [False]}, type="boolean")(False) == (ALARM, "False is an alarm state")


def test_states_of_a_mask_are_bits_or_none_at_all() -> None:
    bits = {"None": "Quiet", "0": "Hot", "1": "Open", "2": "Late"}
    judge = judged({"alarm": ["Hot", "Open"]}, type="mask", enumerators=bits)
    assert judge(4)[0] == judge(0)[0] == 0
    assert judge(7)[1] == "Hot and Open is an alarm state"
    nothing = judged({"warning": ["Quiet"]}, type="mask", enumerators=bits)
    assert nothing(1)[0] == 0
    assert nothing(0)[1] == "Quiet is a warning state"


@pytest.mark.parametrize(
    ("fields", "hints"),
    [
        ({"limits": {"waring": [1, 2]}}, ["did you mean 'warning'?"]),
        ({"limits": {"latch": 1}}, ["its latch must be true or false"]),
        ({"limits": {"alarm": ["Fault"]}}, ["[low, high]"]),
        ({"limits": {"alarm": [0, 2], "hysteresis": 2}}, ["cannot end", "0 to 2"]),
        ({"type": "string", "limits": {"alarm": ["a"]}}, ["are for numbers"]),
        ({"type": "bulk", "limits": {"alarm": [1, 2]}}, ["are for numbers"]),
        ({"type": "boolean", "limits": {"alarm": "True"}}, ["must be a list of states"]),
        ({"type": "boolean", "limits": {"alarm": []}}, ["must be a list of states"]),
        ({"type": "boolean", "limits": {"alarm": [1], "hysteresis": 1}}, ["must be like"]),
        (
            {"type": "enumerated", "enumerators": {"0": "Fault"}, "limits": {"alarm": ["Falt"]}},
            ["must be one of Fault (0)", "did you mean 'Fault'?"],
        ),
        ({"tracks": {"item": "a b"}}, ["must be a key"]),
        ({"tracks": {"itm": "a"}}, ["did you mean 'item'?"]),
    ],
)
def test_limits_that_cannot_be_are_refused(fields: dict[str, Any], hints: list[str]) -> None:
    with pytest.raises(BadItemDescription) as caught:
        description(**fields)
    assert all(hint in str(caught.value) for hint in hints), caught.value
    lenient = Description.from_json("temp", {"type": "numeric", **fields}, lenient=True)
    assert lenient.limits is None
    assert lenient.tracks is None


def test_what_follows_has_time_from_each_change_of_the_set_point() -> None:
    rule = Rule((Follows(None, "cryo.setpoint"),), delay_s=60.0, suspended=True)
    judge = Judged(rule)
    assert judge(80, 0.0)[0] == 0
    judge.rule = judge.rule.aimed(Follows(80, "cryo.setpoint", 0.5, 60.0, str), 1.0)
    assert judge(80.4, 100.0)[0] == 0
    judge.rule = judge.rule.aimed(Follows(90, "cryo.setpoint", 0.5, 60.0, str), 100.0)
    assert judge(80.4, 101.0)[0] == 0
    assert judge.rule.due(judge.outs) == 161.0
    judge.rule = judge.rule.aimed(Follows(95, "cryo.setpoint", 0.5, 60.0, str), 150.0)
    assert judge.rule.due(judge.outs) == 210.0
    assert judge(85, 210.0) == (
        ALARM,
        "85 does not follow cryo.setpoint within 60 s: it is to be 95, give or take 0.5",
    )
    judge.rule = judge.rule.aimed(Follows(96, "cryo.setpoint", 0.5, 60.0, str), 211.0)
    assert judge(85, 212.0)[0] == ALARM  # a new set-point is no reason to be well
    assert judge(95.5, 213.0)[0] == 0


def test_without_a_set_point_nothing_begins_and_nothing_ends() -> None:
    follows = Follows(90, "cryo.setpoint")
    judge = Judged(Rule((follows,), suspended=True).aimed(follows, 0.0))
    assert judge(80, 0.0)[0] == ALARM
    judge.rule = judge.rule.aimed(None, None)
    assert judge(90, 1.0)[0] == ALARM
    judge.outs = judge.rule.fresh
    assert judge(80, 2.0)[0] == 0
    assert judge.rule.due(judge.outs) is None


@given(st.lists(st.floats(-200, 200), max_size=30))
def test_without_hysteresis_and_delay_only_the_last_value_counts(values: list[float]) -> None:
    judge = judged({"warning": [-50, 50], "alarm": [-100, 100]})
    assert judge.rule.due(judge.outs) is None
    for value in values:
        expected = ALARM if abs(value) > 100 else WARNING if abs(value) > 50 else 0
        assert judge(value)[0] == expected


@given(
    st.lists(st.tuples(st.floats(-200, 200), st.floats(0, 5)), max_size=30),
    st.floats(0, 20),
    st.floats(0, 10),
)
def test_what_counts_has_been_out_for_the_delay_and_what_is_out_so_long_counts(
    steps: list[tuple[float, float]], hysteresis: float, delay_s: float
) -> None:
    judge = judged({"alarm": [None, 100], "hysteresis": hysteresis, "delay_s": delay_s})
    now, out_since, counts = 0.0, None, False
    for value, later in steps:
        now += later
        is_out = value > 100 or (counts and value > 100 - hysteresis and hysteresis > 0)
        out_since = None if not is_out else now if out_since is None else out_since
        counts = is_out and (counts or (out_since is not None and now >= out_since + delay_s))
        assert (judge(value, now)[0] == ALARM) == counts
        due = judge.rule.due(judge.outs)
        assert (due is not None) == (is_out and not counts)


def test_dead_bands_take_the_width_itself_for_a_change() -> None:
    assert is_in_deadband(80.05, 80.0, 0.1)
    assert not is_in_deadband(80.1, 80.0, 0.1)  # though 80.1 - 80.0 < 0.1
    assert not is_in_deadband(80.0, 80.0, 0.0)
    assert is_in_deadband([1.0, 2.0], [1.0, 2.05], 0.1)
    assert not is_in_deadband([1.0, 2.0], [1.0, 2.2], 0.1)
    assert not is_in_deadband([1.0], [1.0, 2.0], 0.1)
    assert not is_in_deadband(None, 1.0, 0.1)
    assert not change_is_small(10**400, 1.0, 0.1)
    assert change_is_small("On", "On", 0.0)


# --- what becomes of an alarm ---------------------------------------------------------------------

HIGH = Finding(ALARM, "102 K is above the alarm limit of 100 K", "was above the alarm limit")
HIGHISH = Finding(WARNING, "95 K is above the warning limit of 90 K", "was above the warning limit")


def after(*steps: tuple[Finding | None, float] | Acknowledgement, kept: bool) -> Episode | None:
    episode: Episode | None = None
    for step in steps:
        if isinstance(step, Acknowledgement):
            assert episode is not None
            episode = episode.acknowledge(step)
        else:
            episode = advance(episode, step[0], step[1], kept=kept, forgets=False)
    return episode


def test_an_alarm_that_is_not_kept_ends_with_its_reason() -> None:
    assert after((HIGH, 1), (None, 2), kept=False) is None


def test_a_kept_alarm_waits_and_says_from_when_to_when_it_was() -> None:
    episode = after((HIGH, 11_400), (None, 11_520), (None, 20_000), kept=True)
    assert episode is not None
    assert episode.over() == (
        "was above the alarm limit from 03:10 to 03:12 UTC on 1970-01-01; not acknowledged"
    )
    longer = after((HIGH, 11_400), (None, 100_000), kept=True)
    assert longer is not None
    assert "from 1970-01-01 03:10 to 1970-01-02 03:46 UTC" in longer.over()


def test_acknowledged_means_gone_when_it_is_over_and_only_seen_as_long_as_it_is_not() -> None:
    assert after((HIGH, 1), (None, 2), ME, (None, 3), kept=True) is None
    episode = after((HIGH, 1), ME, (HIGH, 2), kept=True)
    assert episode is not None
    assert episode.acknowledged is ME
    assert after((HIGH, 1), ME, (None, 2), kept=True) is None


def test_what_comes_again_or_gets_worse_has_not_been_seen() -> None:
    again = after((HIGH, 1), ME, (None, 2), (HIGH, 3), kept=True)
    assert again is not None
    assert (again.waits, again.since) == (True, 3)
    worse = after((HIGHISH, 1), ME, (HIGH, 2), kept=False)
    assert worse is not None
    assert (worse.waits, worse.since, worse.severity) == (True, 2, ALARM)


def test_what_is_left_of_an_acknowledged_alarm_was_seen_too() -> None:
    left = after((HIGH, 1), ME, (HIGHISH, 2), kept=True)
    assert left is not None
    assert (left.severity, left.acknowledged) == (WARNING, ME)
    over = after((HIGH, 1), (HIGHISH, 2), kept=True)
    assert over is not None
    assert (over.severity, over.ended) == (ALARM, 2)
    acknowledged = advance(over.acknowledge(ME), HIGHISH, 3, kept=True, forgets=False)
    assert acknowledged is not None
    assert (acknowledged.severity, acknowledged.acknowledged) == (WARNING, ME)


def test_a_kept_alarm_that_comes_again_is_the_same_one() -> None:
    episode = after((HIGH, 1), (None, 2), (HIGH, 3), kept=True)
    assert episode is not None
    assert (episode.since, episode.ended, episode.waits) == (1, None, True)


@given(st.lists(st.sampled_from([None, HIGH, HIGHISH, ME]), max_size=12), st.booleans())
def test_what_is_kept_never_goes_by_itself_and_is_read_back_as_it_was(
    steps: list[Finding | Acknowledgement | None], kept: bool
) -> None:
    episode: Episode | None = None
    worst_unseen = 0
    for now, step in enumerate(steps):
        if isinstance(step, Acknowledgement):
            episode = None if episode is None else episode.acknowledge(step)
            worst_unseen = 0
        else:
            episode = advance(episode, step, float(now), kept=kept, forgets=False)
            severity = 0 if step is None else step.severity
            was_seen = episode is not None and not episode.waits
            worst_unseen = 0 if was_seen else max(worst_unseen * kept, severity)
        if worst_unseen:
            assert episode is not None
            assert episode.severity == worst_unseen
        if episode is not None:
            assert Episode.from_json(episode.to_json()) == episode


@pytest.mark.parametrize(
    "fields",
    [None, [], "x", {}, {"severity": "Bad"}, {**Episode(2, 1.0, "a", "b").to_json(), "since": "x"}],
)
def test_what_is_no_alarm_is_not_read_as_one(fields: Any) -> None:
    with pytest.raises(BadValue):
        Episode.from_json(fields)
