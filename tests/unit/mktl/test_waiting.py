"""Waits on descriptors begin awake where the last one was short, and not for nothing for long."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mktl import config
from mktl.errors import ConfigurationError
from mktl.transport.waiting import Poller

Ends = tuple[int, int]

LONG = "30"
"""Seconds that no wait here takes: all of them count as short."""


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
def poller(pipe: Ends, monkeypatch: pytest.MonkeyPatch) -> Poller:
    monkeypatch.setenv("MKTL_AWAKE", LONG)
    made = Poller()
    made.register(pipe[0])
    return made


def were_awake(poller: Poller, yields: list[None], waits: int) -> list[int]:
    """Return which of so many waits for nothing were awake."""
    found = []
    for number in range(waits):
        yields.clear()
        assert poller.wait(0.001) == []
        if yields:
            found.append(number)
    return found


needs_processors = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="with one processor nobody waits awake"
)


def test_what_is_readable_is_told(poller: Poller, pipe: Ends) -> None:
    assert poller.wait(0) == []
    assert poller.wait(0.001) == []
    os.write(pipe[1], b"x")
    for timeout_s in (0, 0.001, 60, None):
        assert poller.wait(timeout_s) == [pipe[0]]
    os.read(pipe[0], 1)
    assert poller.wait(-1) == []


@needs_processors
def test_one_that_was_awake_in_vain_is_followed_by_more_and_more_asleep(
    poller: Poller, yields: list[None]
) -> None:
    assert were_awake(poller, yields, 200) == [1, 3, 7, 15, 31, 63, 127, 191]


@needs_processors
def test_success_has_the_next_one_begin_awake(
    poller: Poller, pipe: Ends, yields: list[None]
) -> None:
    assert were_awake(poller, yields, 16) == [1, 3, 7, 15]
    os.write(pipe[1], b"x")
    for _ in range(16):  # in the last of them it is looked again whether to be awake is of use
        assert poller.wait(60) == [pipe[0]]
    os.read(pipe[0], 1)
    assert were_awake(poller, yields, 2) == [0]


@needs_processors
def test_after_a_long_one_the_next_one_is_asleep(
    pipe: Ends, yields: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKTL_AWAKE", "0.0001")
    poller = Poller()
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
    monkeypatch.setenv("MKTL_AWAKE", LONG)
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
        config.awake_s()
