"""When a daemon counts as gone."""

from __future__ import annotations

import re

import pytest

from mktl import config
from mktl._heartbeat import BREAK_S, Finding, Heartbeat, clock_text
from mktl.errors import ConfigurationError


def looks(
    heartbeat: Heartbeat,
    count: int,
    *,
    connected: bool = True,
    caught_up: bool = True,
    listened_s: float = 0.5,
) -> list[Finding]:
    return [
        heartbeat.look(listened_s, connected=connected, caught_up=caught_up)
        for _look in range(count)
    ]


@pytest.fixture
def beating() -> Heartbeat:
    made = Heartbeat(5.0)
    made.begin()
    made.heard = made.beats = True
    return made


def test_daemon_that_beats_is_fine_as_long_as_it_does(beating: Heartbeat) -> None:
    for _second in range(100):
        beating.heard = True
        assert looks(beating, 2) == [Finding.FINE, Finding.FINE]


def test_silence_counts_from_when_it_was_heard_last(beating: Heartbeat) -> None:
    assert looks(beating, 10) == 10 * [Finding.FINE]
    assert looks(beating, 1) == [Finding.SILENT]
    beating.heard = True
    assert looks(beating, 10) == 10 * [Finding.FINE]


def test_time_in_which_nobody_listened_does_not_count(beating: Heartbeat) -> None:
    looks(beating, 1)
    # As the reader reports a look that comes an hour late.
    assert looks(beating, 3, listened_s=1.0) == 3 * [Finding.FINE]
    beating.heard = True
    assert looks(beating, 1, listened_s=1.0) == [Finding.FINE]


def test_connection_that_is_back_soon_raises_no_alarm(beating: Heartbeat) -> None:
    for _break in range(5):
        assert looks(beating, 3, connected=False) == 3 * [Finding.FINE]
        beating.begin()
        beating.heard = True
        assert looks(beating, 1) == [Finding.FINE]


def test_connection_that_stays_down_does(beating: Heartbeat) -> None:
    found = looks(beating, round(BREAK_S / 0.5), connected=False)
    assert found[-1] is Finding.BROKEN
    assert set(found[:-1]) == {Finding.FINE}


def test_daemon_that_never_beat_is_to_be_asked_again_and_again() -> None:
    heartbeat = Heartbeat(2.0)
    heartbeat.begin()
    for _turn in range(3):
        assert looks(heartbeat, 4)[-1] is Finding.UNSURE
    heartbeat.unanswered = True
    assert looks(heartbeat, 4) == [*3 * [Finding.SILENT], Finding.UNSURE]
    heartbeat.heard = True
    assert looks(heartbeat, 1) == [Finding.FINE]


def test_daemon_that_is_heard_but_does_not_answer_is_not_trusted(beating: Heartbeat) -> None:
    found = []
    for _look in range(11):
        beating.heard = True
        found += looks(beating, 1, caught_up=False)
    assert set(found[:9]) == {Finding.FINE}
    assert found[-1] is Finding.BEHIND


def test_reasons_name_the_daemon_and_say_since_when(beating: Heartbeat) -> None:
    never = Heartbeat(5.0).reason(Finding.BROKEN, "cryo.hw")
    assert never == "its daemon cryo.hw has not been heard at all: no connection"
    looks(beating, 1)
    assert re.fullmatch(
        r"its daemon cryo\.hw has not been heard since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC",
        beating.reason(Finding.SILENT, "cryo.hw"),
    )
    assert "does not answer" in beating.reason(Finding.BEHIND, "cryo.hw")


def test_times_of_any_clock_have_a_text() -> None:
    assert clock_text(86400 + 3725.9) == "1970-01-02 01:02:05 UTC"
    assert clock_text(0) == "1970-01-01 00:00:00 UTC"
    assert "1e+300" in clock_text(1e300)


@pytest.mark.parametrize("bad", ["0", "-1", "1.9", "x", "inf", "nan"])
def test_silence_that_cannot_be_is_refused(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKTL_SILENCE", bad)
    with pytest.raises(ConfigurationError, match="MKTL_SILENCE"):
        config.silence_s()


def test_silence_is_five_seconds_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.silence_s() == 5.0
    monkeypatch.setenv("MKTL_SILENCE", "2.5")
    assert config.silence_s() == 2.5
