"""The clock of all polls."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mktl.lanes import Lanes
from mktl.scheduler import Scheduler
from tests._support import wait_until


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    lanes = Lanes("test")
    made = Scheduler(lanes, "test")
    made.start()
    yield made
    made.stop()
    assert lanes.close(timeout_s=10)


@pytest.mark.parametrize("period", [0, -1, float("inf"), float("nan")])
def test_period_that_is_none_is_refused(scheduler: Scheduler, period: float) -> None:
    with pytest.raises(ValueError):
        scheduler.add(period, lambda: None, lambda: "lane")


def test_poll_is_done_at_once_and_again_and_again_until_cancelled(scheduler: Scheduler) -> None:
    count = 0

    def job() -> None:
        nonlocal count
        count += 1
        if count == 2:
            raise ZeroDivisionError

    poll = scheduler.add(0.005, job, lambda: "lane")
    wait_until(lambda: count >= 5)
    poll.cancel()
    wait_until(lambda: not scheduler._due)
    wait_until(lambda: not poll._busy)
    before = count
    other = threading.Event()
    scheduler.add(0.02, other.set, lambda: "lane")
    assert other.wait(10)
    assert count == before


def test_poll_that_still_runs_is_counted_as_overrun_and_not_queued_again(
    scheduler: Scheduler,
) -> None:
    release = threading.Event()
    count = 0

    def job() -> None:
        nonlocal count
        count += 1
        release.wait(30)

    poll = scheduler.add(0.005, job, lambda: "lane")
    wait_until(lambda: poll.overruns >= 5)
    assert count == 1
    assert scheduler._lanes.waiting() == 1
    release.set()
    wait_until(lambda: count >= 3)


def test_mistake_in_finding_a_lane_ends_no_other_poll(scheduler: Scheduler) -> None:
    done = threading.Event()

    def no_lane() -> str:
        raise ZeroDivisionError

    scheduler.add(0.005, lambda: None, no_lane)
    scheduler.add(0.005, done.set, lambda: "lane")
    assert done.wait(10)
