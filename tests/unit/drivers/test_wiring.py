"""Instrument files: what they mean, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.wiring import BadInstrumentFile, load, loads
from mktl.errors import ConfigurationError

EXAMPLES = Path(__file__).parents[3] / "examples"

GOOD = """
store = "Cryo"
alias = "hw"
[controllers.TC]
driver = "lakeshore336"
url = "tcp://127.0.0.1:7777"
timeout_s = 2
restore = ["RAMP 1,1,5"]
[items.Detector_Temp]
channel = "TC.temperature.A"
poll_s = 0.5
limits = {warning = [70, 90], alarm = [60, 100]}
[items.setpoint]
channel = "tc.setpoint.1"
range = [20, 120]
units = "celsius"
[items.note]
type = "string"
persist = true
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadInstrumentFile) as caught:
        loads(text)
    assert isinstance(caught.value, ConfigurationError)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_becomes_controllers_and_items():
    wiring = loads(GOOD)
    assert (wiring.store, wiring.alias) == ("cryo", "hw")
    tc = wiring.controllers["tc"]
    assert (tc.driver, tc.url) == ("lakeshore336", "tcp://127.0.0.1:7777")
    assert tc.settings == {"timeout_s": 2, "restore": ["RAMP 1,1,5"]}
    item = wiring.items["detector_temp"]
    assert (item.controller, item.channel, item.poll_s) == ("tc", "temperature.A", 0.5)
    assert item.description["units"] == "kelvin"
    assert item.description["settable"] is False
    assert item.description["limits"] == {"warning": [70, 90], "alarm": [60, 100]}
    note = wiring.items["note"]
    assert (note.controller, note.channel, note.poll_s) == (None, None, None)
    assert note.description == {"type": "string", "persist": True}


LEVEL = '[items.level]\ntype = "numeric"\nunits = "mm"\ndeadband = 1\n[items.Follower]\n'


def test_what_an_item_follows_may_be_elsewhere_and_is_told_of():
    for target in ("level", "LEVEL", "tc_load", "_hwmem"):
        follows = f'type = "numeric"\ntracks = {{item = "{target}"}}\nlimits = {{}}\n'
        assert loads(GOOD + LEVEL + follows).notes == ()
    elsewhere = 'type = "numeric"\ntracks = {item = "levle"}\n'
    assert [str(note) for note in loads(GOOD + LEVEL + elsewhere).notes] == [
        "line 26: items.Follower.tracks: 'levle' is not in this file: did you mean 'level'? "
        "Or another daemon has to have it"
    ]
    assert load(EXAMPLES / "cryostat.toml").notes == ()


def test_what_an_item_follows_is_in_its_units_and_not_itself():
    assert problems_of(GOOD + LEVEL + 'type = "numeric"\ntracks = {item = "follower"}\n') == [
        "line 26: items.Follower.tracks: is the item itself"
    ]
    other = 'type = "numeric"\nunits = "m"\ntracks = {item = "level"}\n'
    assert problems_of(GOOD + LEVEL + other) == [
        "line 27: items.Follower.tracks: 'level' is in mm, and this in m"
    ]


def test_states_of_limits_are_those_of_the_channel():
    states = '[items.range]\nchannel = "tc.range.1"\nlimits = {alarm = ["Of"]}\n'
    (problem,) = problems_of(GOOD + states)
    assert "items.range.limits: must be like" in problem
    assert "did you mean 'Off'?" in problem
    assert loads(GOOD + states.replace('"Of"', '"off"')).notes == ()
    unknown = '[items.range]\nchannel = "tc.rnge.1"\nlimits = {alarm = ["Of"]}\n'
    (problem,) = problems_of(GOOD + unknown)
    assert "did you mean 'range.1'" in problem


def test_a_file_is_held_to_the_rules_of_descriptions():
    everything_wrong = """store = "a"
alias = "b"
[items.x]
type = "numeric"
range = [2, 1]
format = "%q"
gettable = 1
"""
    found = problems_of(everything_wrong)
    assert [problem.partition(" must")[0] for problem in found[:1]] == ["line 5: items.x.range:"]
    assert any(problem.startswith("line 6: items.x.format:") for problem in found)


def test_the_channel_s_own_values_hold_where_the_file_says_nothing():
    item = loads(GOOD).items["setpoint"]
    assert item.poll_s == 5.0
    assert item.description["format"] == "%.3f"
    assert item.description["range"] == [20, 120]


def test_other_units_are_shown_and_never_relabel_the_value():
    units = loads(GOOD).items["setpoint"].description["units"]
    assert units == {"": "kelvin", "formatted": "celsius"}


def test_controllers_are_opened_by_name_and_elsewhere_if_told_so():
    wiring = loads(GOOD)
    opened = wiring.open_controllers({"tc": "tcp://127.0.0.1:1"})
    try:
        assert opened["tc"].label == "tc at tcp://127.0.0.1:1"
        assert opened["tc"].status().state == "Down"
        with pytest.raises(ConfigurationError, match="scheme"):
            wiring.open_controllers({"tc": "nonsense://"})
    finally:
        opened["tc"].close()


def test_the_example_is_good():
    wiring = load(EXAMPLES / "cryostat.toml")
    assert (wiring.store, wiring.alias) == ("cryo", "hw")
    assert wiring.items["detector_temp"].channel == "temperature.A"


def test_all_problems_are_told_at_once_with_their_lines():
    found = problems_of(
        """store = "cr/yo"
alais = "hw"
[controllers.tc]
driver = "lakeshore336"
url = "tpc://h"
timeout = 3
[controllers.no]
driver = "lakeshore363"
[items.a]
channel = "tc.temperture.A"
poll_s = -1
[items.A]
channel = "tc.setpoint.1"
[items.b]
channel = "tc.setpoint.1"
range = [1, 5000]
limits = {waring = [1, 2], alarm = [3, 1]}
units = {"" = "celsius"}
[items.c]
chanel = "x"
[items."d/e"]
type = "strng"
[items.f]
channel = "zz.temperature.A"
[items.tc_link]
type = "string"
[items.g]
poll_s = 3
[items.h]
channel = "tc.temperature.A"
settable = true
"""
    )
    expected = [
        ("alias", "is missing"),
        ("line 1: store:", "not a name"),
        ("line 2: alais:", "did you mean 'alias'"),
        ("line 5: controllers.tc.url:", "did you mean 'tcp'"),
        ("line 6: controllers.tc.timeout:", "did you mean 'timeout_s'"),
        ("line 7: controllers.no:", "'url' is missing"),
        ("line 8: controllers.no.driver:", "did you mean 'lakeshore336'"),
        ("line 10: items.a.channel:", "did you mean 'temperature.A'"),
        ("line 11: items.a.poll_s:", "a number of seconds, or 0 (only when asked for), not -1"),
        ("line 12: items.A:", "two of 'a'"),
        ("line 16: items.b.range:", "not within the driver's [0, 2000]"),
        ("line 17: items.b.limits:", 'must be like {"warning": [70, 90]'),
        ("line 18: items.b.units:", "the channel gives 'kelvin'"),
        ("line 20: items.c.chanel:", "did you mean 'channel'"),
        ("line 21: items.d/e:", "not a name"),
        ("line 24: items.f.channel:", "no controller 'zz'"),
        ("line 25: items.tc_link:", "has by itself"),
        ("line 27: items.g:", "has no channel"),
        ("line 31: items.h.settable:", "cannot be set"),
    ]
    for (start, part), problem in zip(expected, found, strict=True):
        assert problem.startswith(start), problem
        assert part in problem, problem


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("store = ", "is not TOML"),
        ("", "'store' is missing"),
        ('store = "a"\nalias = 3\n[items]', "not a name"),
        ('store = "a"\nalias = "b"', "there are none"),
        ('store = "a"\nalias = "b"\nitems = 3', "must be tables"),
        ('store = "a"\nalias = "b"\n[items]\na = 3', "must be a table"),
        ('store = "a"\nalias = "b"\n[items.a]\nchannel = 3', "must be like"),
        ('store = "a"\nalias = "b"\n[items.a]\ntype = "strng"', "did you mean 'string'"),
        ('store = "a"\nalias = "b"\n[items.a]\nlimits = 3', "must be like"),
        ('store = "a"\nalias = "b"\n[items.a]\nrange = ["a", 2]', "must be [low, high]"),
        ('store = "a"\nalias = "b"\n[items.a]\npersist = "yes"', "true or false"),
        ('store = "a"\nalias = "b"\n[items.a]\ntype = "mask"', "enumerators: must be there"),
        ('store = "a"\nalias = "b"\n[items.a]\nrange = [1, 2]', "only for items of numbers"),
        ('store = "a"\nalias = "b"\n[items.a]\ninitial = 3\ntype = "string"', "initial: is not"),
        ('store = "a"\nalias = "b"\n[items.a]\ndeadband = -1', "line 4: items.a.deadband: must"),
        (
            'store = "a"\nalias = "b"\n[items.a]\ntracks = {tolerance = 1}',
            "line 4: items.a.tracks: must be like",
        ),
        ('store = "a"\nalias = "b"\n[items._cat]\ntype = "string"', "belong to the daemon"),
        (
            GOOD + '[controllers.b]\ndriver = "lakeshore336"\nurl = "tcp://127.0.0.1:7777"',
            "same place",
        ),
        (GOOD + '[controllers.b]\ndriver = 3\nurl = "tcp://h"', "must be a text"),
        (
            GOOD + '[controllers.b]\ndriver = "lakeshore336"\nurl = "tcp://h"\nname = "x"',
            "own name",
        ),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(text, reason):
    if not text:
        text, reason = "[items.a]\ntype = 'string'", "store: is missing"
    assert any(reason in problem for problem in problems_of(text)), problems_of(text)


def test_a_file_that_is_not_there_is_a_problem_too(tmp_path):
    with pytest.raises(BadInstrumentFile, match="cannot be read"):
        load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInstrumentFile, match="cannot be read"):
        load(str(tmp_path / "binary.toml"))
