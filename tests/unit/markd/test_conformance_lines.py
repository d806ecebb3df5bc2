"""What a conformance run finds in an instrument file, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

import simulators
from drivers import wiring
from markd._conformance_daemon import altered
from markd._conformance_faults import MATRIX
from markd._conformance_line import SETTINGS, LineOnTrial, line_on_trial
from markd._conformance_trial import each, faults_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def lines_of(name: str) -> list[LineOnTrial]:
    """All lines of an example, as the file reaches them; nothing is started."""
    path = EXAMPLES / f"{name}.toml"
    file = wiring.load(path)
    urls = {name: spec.url for name, spec in file.controllers.items()}
    served = simulators.twins_of_file(path, seed=1).served()
    lines = simulators.twins_of_file(path, seed=1).lines
    return [
        line_on_trial(file, one.simulator, urls, one.units, line.transport)
        for one, line in zip(served, lines, strict=True)
    ]


def names(line: LineOnTrial) -> set[str]:
    """The faults that can be tried on *line*."""
    return {fault.name for fault in faults_of(line) if not fault.why_not(line)}


def test_only_the_times_of_a_file_are_altered():
    file = wiring.load(EXAMPLES / "vacuum_gauge.toml")
    other = altered(file, {"gauge": {"retry_longest_s": 1.0}}, {"pressure": 0.5}, {"board_temp": 6})
    assert other.controllers["gauge"].settings["retry_longest_s"] == 1.0
    assert other.controllers["gauge"].settings["min_gap_s"] == 0.02
    assert other.items["pressure"].poll_s == 0.5
    assert other.items["gas"] == file.items["gas"]
    assert (other.items["board_temp"].protocol or {})["silence_s"] == 6
    assert (other.items["board_temp"].protocol or {})["heard"]


def test_what_cannot_be_simulated_is_left_out_with_its_items():
    file = wiring.load(EXAMPLES / "vacuum.toml")
    other = altered(file, {}, {}, without=("tpg", "turbo"))
    assert [*other.controllers] == ["load_lock", "transfer"]
    assert {item.controller for item in other.items.values()} == {"load_lock", "transfer"}


def test_an_item_is_polled_as_often_as_the_file_says_or_oftener():
    (line,) = lines_of("cryostat")
    file = wiring.load(EXAMPLES / "cryostat.toml")
    assert line.names == ("tc",)
    assert "note" not in line.keys  # a plain item has no hardware that could fail
    for key, period_s in line.poll_s.items():
        assert 0 < period_s <= min(file.items[key].poll_s or 99, line.timing.period_s)
    assert line.timing.retry_s == SETTINGS["retry_longest_s"]
    assert line.timing.invalid_within_s > line.timing.timeout_s
    assert line.settable == ("setpoint", "heater_range", "pid", "ramp", "ramp_rate")


def test_a_slow_line_is_asked_less_often_than_a_fast_one():
    (fast,), (slow,) = lines_of("cryostat"), lines_of("chiller")
    assert slow.timing.period_s > fast.timing.period_s
    assert slow.timing.cycle_s <= 0.4 * slow.timing.period_s + 1e-9


def test_what_a_station_says_by_itself_is_not_asked_for_and_what_the_driver_counts_not_tested():
    (line,) = lines_of("weather_station")
    assert "outside_temp" in line.keys
    assert "outside_temp" not in line.poll_s
    assert "damaged" not in line.keys
    assert line.timing.period_s == 5.0  # each question interrupts it
    assert line.timing.silence_s == 10.0


def test_what_moves_is_not_set():
    (line,) = lines_of("filter_stage")
    assert line.names == ("slide", "focus")
    assert "slide_speed" in line.settable
    assert "slide" not in line.settable


def test_faults_that_a_line_cannot_have_are_left_out():
    (chain,) = lines_of("filter_stage")
    assert {"dead unit 1", "dead unit 2", "busy", "nak"} <= names(chain)
    assert "half-open" not in names(chain)
    (coupler,) = lines_of("enclosure")
    assert coupler.binary
    assert {"half-open", "exception", "busy", "wrong identity"} <= names(coupler)
    assert not {"garbage", "noise", "nak"} & names(coupler)
    (transmitter,) = lines_of("weather_transmitter")
    assert "wrong identity" not in names(transmitter)  # it says its address and no more
    gauges, bus = lines_of("vacuum")
    assert "wrong identity" in names(gauges)
    assert {"dead unit 1", "dead unit 122", "dead unit 123"} <= names(bus)


def test_what_may_change_the_device_comes_last():
    for line in (*lines_of("vacuum"), *lines_of("cryostat")):
        assert faults_of(line)[-1].forgets
        assert not any(fault.forgets for fault in faults_of(line)[:-1])


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ((), [fault.name for fault in MATRIX]),
        (("silence", "one-late"), ["silence", "one late"]),
        (("half-open",), ["half-open"]),
        (("half open",), ["half-open"]),
    ],
)
def test_faults_are_found_by_their_names(only, found):
    (line,) = lines_of("cryostat")
    assert [fault.name for fault in each(faults_of(line), only)] == found


def test_a_dead_unit_is_meant_without_its_number_too():
    (line,) = lines_of("filter_stage")
    chosen = [fault.name for fault in each(faults_of(line), ("dead-unit",))]
    assert chosen == ["dead unit 1", "dead unit 2"]


def test_bytes_of_plain_text_are_spoilt_so_that_it_can_be_told():
    (text,), (binary,) = lines_of("cryostat"), lines_of("chamber")
    garbage = next(fault for fault in MATRIX if fault.name == "garbage")
    assert garbage.requests(text)[0]["lowest"] == 128
    assert garbage.requests(binary)[0]["lowest"] == 0


@pytest.mark.parametrize("example", sorted(path.stem for path in EXAMPLES.glob("*.toml")))
def test_each_example_has_lines_on_which_most_faults_can_be_tried(example):
    for line in lines_of(example):
        assert line.keys
        assert len(names(line)) >= 12
