"""``mark alarms``, ``ack``, ``shelve`` and ``limits``, as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import mktl
from tests._support import run_cli
from tests._support.daemons import serving

# Some ten commands a test: on a busy machine each takes seconds to start.
pytestmark = pytest.mark.timeout(180)

ITEMS = {
    "temp": {
        "type": "numeric",
        "units": "K",
        "initial": 80,
        "limits": {"warning": [70, 90], "alarm": [60, 100], "latch": True},
    },
    "mode": {
        "type": "enumerated",
        "enumerators": {"0": "Idle", "1": "Fault"},
        "initial": 0,
        "limits": {"alarm": ["Fault"]},
    },
    "plain": {"type": "numeric", "initial": 1},
}


@pytest.fixture
def daemon() -> Iterator[mktl.Daemon]:
    with serving(ITEMS) as daemon:
        yield daemon


def mark(*words: str, status: int = 0) -> str:
    # The daemon is there, however long this machine keeps it from an answer.
    done = run_cli("mark", *words, env={"MKTL_TIMEOUT": "20"})
    assert done.returncode == status, done
    return done.stdout if status in (0, 4) else done.stderr


def test_alarms_are_listed_worst_first_and_tell_by_the_exit_code(daemon: mktl.Daemon) -> None:
    assert mark("alarms", "cryo") == ""
    daemon.store["temp"].set(95)
    daemon.store["mode"].set(1)
    lines = mark("alarms", "cryo", status=4).splitlines()
    assert [line.partition(" (since ")[0] for line in lines] == [
        "Alarm   cryo.mode: Fault is an alarm state",
        "Warning cryo.temp: 95 K is above the warning limit of 90 K",
    ]
    (row,) = map(json.loads, mark("alarms", "cryo.temp", "--json", status=4).splitlines())
    assert (row["key"], row["severity"], row["daemon"]) == ("cryo.temp", "Warning", "cryo.hw")
    assert (row["acknowledged"], row["shelved"]) == (False, None)


def test_ack_says_what_it_has_acknowledged_and_fails_where_there_is_nothing(
    daemon: mktl.Daemon,
) -> None:
    assert mark("ack", "cryo.*", status=1) == "cryo.* failed: there is no alarm to acknowledge\n"
    daemon.store["temp"].set(105)
    daemon.store["mode"].set(1)
    line = mark("ack", "cryo.temp", "--why", "the pump is being changed")
    assert line.startswith("Acknowledged cryo.temp: alarm since ")
    assert line.endswith(": 105 K is above the alarm limit of 100 K\n")
    assert mark("ack", "cryo.temp", "cryo.zz", status=1).splitlines() == [
        "cryo.zz failed: cryo has no item 'zz'",
        "cryo.temp failed: there is no alarm to acknowledge",
    ]
    assert "cryo.mode" in mark("ack", "cryo")
    listed = mark("alarms", "cryo", status=4)
    assert listed.count("acknowledged by ") == 2
    assert ": the pump is being changed)" in listed


def test_shelve_needs_a_time_and_a_reason_and_can_be_ended(daemon: mktl.Daemon) -> None:
    assert "for how long, and why?" in mark("shelve", "cryo.temp", status=2)
    assert "--end goes without" in mark("shelve", "--end", "cryo.temp", "--why", "x", status=2)
    reason = ("--for", "2h", "--why", "sensor swap")
    assert mark("shelve", "cryo.plain", *reason, status=1) == (
        "cryo.plain failed: cryo.plain has no limits to shelve\n"
    )
    assert mark("shelve", "cryo", *reason).splitlines() == [
        "Shelved cryo.temp for 2 h",
        "Shelved cryo.mode for 2 h",
    ]
    daemon.store["temp"].set(105)
    assert "; shelved until " in mark("alarms", "cryo")
    assert mark("get", "cryo.temp") == "cryo.temp: 105 K\n"
    assert mark("shelve", "--end", "cryo.temp") == "Ended: cryo.temp is no longer shelved\n"
    assert mark("shelve", "--end", "cryo.temp", status=1) == "cryo.temp failed: it is not shelved\n"
    assert "[alarm: 105 K is above" in mark("get", "cryo.temp")


def test_limits_are_shown_set_word_by_word_and_taken_back(daemon: mktl.Daemon) -> None:
    temp = "warning outside 70 to 90 K, alarm outside 60 to 100 K, kept until acknowledged"
    assert mark("limits", "cryo").splitlines() == [
        "cryo.mode: alarm when Fault",
        f"cryo.temp: {temp}",
    ]
    line = mark(
        "limits",
        "cryo.temp",
        *("warning=,85", "hysteresis=0.5", "delay_s=3", "latch=", "deadband=0.2"),
        *("tracks=Cryo.Plain", "tolerance=1", "within_s=60", "--why", "commissioning"),
    )
    assert line.startswith(
        "cryo.temp: warning above 85 K, alarm outside 60 to 100 K, hysteresis 0.5 K, after 3 s; "
        "dead band 0.2 K; follows plain, give or take 1 K, within 60 s "
        "(limits, deadband, tracks set by "
    )
    assert line.endswith(": commissioning)\n")
    fields = json.loads(mark("limits", "cryo.temp", "alarm=", "tracks=", "--json"))
    assert fields["limits"] == {"warning": [None, 85], "hysteresis": 0.5, "delay_s": 3}
    assert fields["tracks"] == {}
    assert mark("limits", "cryo.temp", "--reset") == f"cryo.temp: {temp}\n"
    assert mark("limits", "cryo.plain") == "cryo.plain: nothing is watched\n"
    assert mark("limits", "cryo.mode", "alarm=0,1").startswith("cryo.mode: alarm when 0 or 1 (")
    line = mark("limits", "cryo.mode", "alarm=", "latch=true")
    assert line.startswith("cryo.mode: nothing is watched (limits set by ")


def test_limits_that_cannot_be_are_refused(daemon: mktl.Daemon) -> None:
    assert "did you mean 'Fault'?" in mark("limits", "cryo.mode", "alarm=Falt", status=1)
    assert "did you mean alarm?" in mark("limits", "cryo.temp", "alrm=1,2", status=2)
    assert "two sides: alarm=70,90" in mark("limits", "cryo.temp", "alarm=5", status=2)
    assert "is no key" in mark("limits", "cryo.*", "alarm=1,2", status=2)
    assert "the same store, cryo" in mark("limits", "cryo.temp", "tracks=dome.temp", status=2)
    assert "without new limits" in mark("limits", "cryo.temp", "alarm=1,2", "--reset", status=2)
