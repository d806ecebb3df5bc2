"""``mark watch`` as a real process against a real daemon."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator

import pytest

from tests._support import Child, run_cli, running
from tests.system._cryo import cryo


@pytest.fixture
def daemon() -> Iterator[Child]:
    with cryo() as child:
        yield child


def test_watch_begins_with_the_present_value_and_ends_after_a_count(daemon: Child) -> None:
    done = run_cli("mark", "watch", "cryo.temp", "cryo.mode", "--count", "5")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert len(set(lines)) == 5  # no value twice
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} cryo\.", line) for line in lines)
    assert any(line.endswith("cryo.mode: Off") for line in lines[:3])


def test_watch_ends_after_a_time(daemon: Child) -> None:
    done = run_cli("mark", "watch", "cryo.mode", "--for", "2", "--json")
    assert done.returncode == 0
    assert [json.loads(line)["formatted"] for line in done.stdout.splitlines()] == ["Off"]


def test_watch_prints_a_line_for_each_change_until_interrupted(daemon: Child) -> None:
    with running(["mark", "watch", "cryo.setpoint", "--terse"], ready="null") as watching:
        run_cli("mark", "set", "cryo.setpoint=81", "cryo.setpoint=82", "cryo.setpoint=83")
        watching.wait_for(r"^83\.0$")
        watching.send_signal(signal.SIGINT)
        assert watching.wait() == 130
        assert watching.stdout_text == "null\n81.0\n82.0\n83.0\n"
        assert watching.stderr_text == ""


def test_watch_ends_quietly_when_nobody_reads_it_any_more(daemon: Child) -> None:
    # The item does not change: the end of the reader is noticed by itself.
    done = run_cli("sh", "-c", "mark watch cryo.mode | head -1")
    assert done.stdout.endswith("cryo.mode: Off\n")
    assert done.stderr == ""


def test_watch_says_when_the_connection_is_lost_and_carries_on(daemon: Child) -> None:
    with running(["mark", "watch", "cryo.temp"], ready=r"cryo\.temp") as watching:
        daemon.kill()
        watching.wait_for("no connection to cryo.tc1")
        before = watching.stdout_text
        with cryo():
            watching.wait_for("the connection to cryo.tc1 is back")
            watching.wait_for(re.escape(before) + r".*cryo\.temp")
        assert watching.stderr_text.count("the connection to cryo.tc1 is back") == 1


def test_watch_shows_values_of_a_daemon_that_is_stopped_as_invalid_until_it_goes_on(
    daemon: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_SILENCE", "2")
    arguments = ["mark", "watch", "cryo.mode", "cryo.note", "--no-timestamp"]
    with running(arguments, ready=r"note: quiet$") as watching:
        daemon.send_signal(signal.SIGSTOP)
        try:
            gone = r"\[invalid: its daemon cryo\.tc1 has not been heard since .* UTC"
            watching.wait_for(rf"^cryo\.mode: Off {gone}")
            watching.wait_for(rf"^cryo\.note: quiet {gone}")
            watching.wait_for("no connection to cryo.tc1")
        finally:
            daemon.send_signal(signal.SIGCONT)
        watching.wait_for("the connection to cryo.tc1 is back", 20)
        watching.wait_for(r"(?s)mode: Off \[invalid.*^cryo\.mode: Off$")
        watching.wait_for(r"(?s)note: quiet \[invalid.*^cryo\.note: quiet$")


def test_watch_of_a_daemon_that_stays_away_ends_with_no_answer(daemon: Child) -> None:
    with running(["mark", "watch", "cryo.temp", "--for", "6"], ready=r"cryo\.temp") as watching:
        daemon.kill()
        assert watching.wait() == 3


def test_watch_of_nothing_that_exists_ends_at_once(daemon: Child) -> None:
    done = run_cli("mark", "watch", "cryo.tmp")
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean cryo.temp?" in done.stderr
