"""Waits on descriptors begin awake where the last one was short, and not for nothing for long."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mktl.errors import ConfigurationError
from mktl.transport.waiting import Poller

Ends = tuple[int, int]

LONG_S = 30.0
"""No wait here takes as long: all of them count as short."""


@pytest.fixture
def pipe() -> Iterator[Ends]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def yields(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """What grows when somebody waits awake."""
    found: list[None] = []
    others_first = os.sched_yield

    def noted() -> None:
        found.append(None)
        others_first()

    monkeypatch.setattr(os, "sched_yield", noted)
    return found


@pytest.fixture
def poller(pipe: Ends) -> Poller:
    made = Poller(LONG_S)
    made.register(pipe[0])
    return made


def in_a_yield(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have *do* done by others who go first."""
    monkeypatch.setattr(os, "sched_yield", do)


def let_pass(seconds: float) -> None:
    """Return when so much time is over by the clock that waits go by."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        select.select([], [], [], seconds)


def were_awake(poller: Poller, yields: list[None], waits: int) -> list[int]:
    """Return which of so many waits for nothing were awake."""
    found = []
    for number in range(waits):
        yields.clear()
        assert poller.wait(0.001) == []
        if yields:
            found.append(number)
    return found


def test_what_is_readable_is_told(poller: Poller, pipe: Ends) -> None:
    assert poller.wait(0) == []
    assert poller.wait(0.001) == []
    os.write(pipe[1], b"x")
    for timeout_s in (0, 0.001, 60, None):
        assert poller.wait(timeout_s) == [pipe[0]]
    os.read(pipe[0], 1)
    assert poller.wait(-1) == []


def test_one_that_was_awake_in_vain_is_followed_by_more_and_more_asleep(
    poller: Poller, yields: list[None]
) -> None:
    assert were_awake(poller, yields, 200) == [1, 3, 7, 15, 31, 63, 127, 191]


def test_success_has_the_next_one_begin_awake(
    poller: Poller, pipe: Ends, yields: list[None]
) -> None:
    assert were_awake(poller, yields, 16) == [1, 3, 7, 15]
    os.write(pipe[1], b"x")
    for _ in range(16):  # in the last of them it is looked again whether to be awake is of use
        assert poller.wait(60) == [pipe[0]]
    os.read(pipe[0], 1)
    assert were_awake(poller, yields, 15) == [0, 2, 6, 14]


def test_what_others_keep_it_from_finding_in_time_was_waited_for_in_vain(
    pipe: Ends, yields: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    awake_s = 0.5
    poller = Poller(awake_s)
    poller.register(pipe[0])
    assert poller.wait(0.001) == []

    def late() -> None:
        let_pass(awake_s)
        os.write(pipe[1], b"x")

    with monkeypatch.context() as others:
        in_a_yield(others, late)
        assert poller.wait(60) == [pipe[0]]
    os.read(pipe[0], 1)
    assert were_awake(poller, yields, 1) == []


def test_who_was_awake_in_vain_sleeps_until_there_is_something(
    pipe: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    awake_s = 0.1
    poller = Poller(awake_s)
    poller.register(pipe[0])
    assert poller.wait(0.001) == []
    later = threading.Timer(awake_s, os.write, (pipe[1], b"x"))

    def begin() -> None:
        let_pass(awake_s)
        later.start()

    in_a_yield(monkeypatch, begin)
    found = poller.wait(60)
    later.join()
    assert found == [pipe[0]]


def test_who_was_awake_all_the_time_does_not_sleep_as_long_again(
    poller: Poller, yields: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert poller.wait(0.001) == []
    asked: list[float | None] = []

    class Noted:
        def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
            asked.append(milliseconds)
            return polled.poll(milliseconds)

    polled: select.poll = poller._poll
    monkeypatch.setattr(poller, "_poll", Noted())
    assert poller.wait(0.001) == []
    assert yields
    assert set(asked) == {0}


def test_after_a_long_one_the_next_one_is_asleep(pipe: Ends, yields: list[None]) -> None:
    poller = Poller(0.0001)
    poller.register(pipe[0])
    for _ in range(5):
        assert poller.wait(0.01) == []
    assert not yields


@pytest.mark.parametrize("zero", ["0", "0.0"])
def test_zero_has_nobody_wait_awake(
    zero: str, pipe: Ends, yields: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_AWAKE", zero)
    poller = Poller()
    poller.register(pipe[0])
    assert were_awake(poller, yields, 5) == []


def test_with_one_processor_nobody_waits_awake(
    pipe: Ends, yields: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_AWAKE", str(LONG_S))
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    try:
        poller = Poller()
    finally:
        os.sched_setaffinity(0, all_of_them)
    poller.register(pipe[0])
    assert were_awake(poller, yields, 5) == []


@pytest.mark.parametrize("bad", ["-1", "x", "inf", "nan", "0.2 s"])
def test_what_is_no_time_is_refused(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKTL_AWAKE", bad)
    with pytest.raises(ConfigurationError, match="MKTL_AWAKE"):
        Poller()
