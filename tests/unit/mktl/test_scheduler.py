"""The clock of all polls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

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


def test_period_of_centuries_ends_no_other_poll(scheduler: Scheduler) -> None:
    once, again = threading.Event(), threading.Semaphore(0)
    scheduler.add(1e12, once.set, lambda: "lane")
    assert once.wait(10)
    scheduler.add(0.005, again.release, lambda: "other")
    assert all(again.acquire(timeout=10) for _ in range(3))


def test_polls_alone_are_all_done_at_once_and_then_spread_over_their_period(
    scheduler: Scheduler,
) -> None:
    period_s, count = 1000.0, 200
    done: list[int] = []
    began = time.monotonic()
    for number in range(count):
        scheduler.add(period_s, partial(done.append, number), partial(int, number), alone=True)
    wait_until(lambda: len(done) == count)
    assert sorted(done) == list(range(count))
    assert all(
        began < due <= time.monotonic() + period_s for due, _number, _polls in scheduler._due
    )
    tenths = [0] * 10
    for due, _number, one in scheduler._due:
        tenths[int(10 * due / period_s) % 10] += len(one.polls)
    assert sum(tenths) == count
    assert all(count / 20 <= share <= count / 5 for share in tenths)


def test_poll_that_blocks_holds_up_none_of_those_that_are_due_with_it(
    scheduler: Scheduler,
) -> None:
    release = threading.Event()
    counts = [0] * 12

    def job(number: int) -> None:
        counts[number] += 1
        if number % 3 == 0:
            release.wait(30)

    polls = [
        scheduler.add(0.01, partial(job, number), partial(int, number), alone=True)
        for number in range(12)
    ]
    wait_until(lambda: all(counts[number] >= (5 if number % 3 else 1) for number in range(12)))
    assert [counts[number] for number in range(0, 12, 3)] == [1] * 4
    assert all(polls[number].overruns for number in range(0, 12, 3))
    release.set()
    wait_until(lambda: all(count >= 5 for count in counts))


def test_poll_has_a_thread_of_its_own_from_when_it_is_slow_until_it_is_quick_again(
    scheduler: Scheduler,
) -> None:
    takes_s = 0.0
    threads: list[str] = []

    def job() -> None:
        threads.append(threading.current_thread().name)
        threading.Event().wait(takes_s)

    def is_done_by_the_one_for_quick_ones() -> bool:
        return threads[-1:] == ["test-polls-1"]

    poll = scheduler.add(0.005, job, lambda: "lane", alone=True)
    wait_until(is_done_by_the_one_for_quick_ones)
    takes_s = 0.02
    wait_until(lambda: not is_done_by_the_one_for_quick_ones())
    takes_s = 0.0
    wait_until(is_done_by_the_one_for_quick_ones)
    poll.cancel()


def test_mistake_in_one_of_several_polls_ends_none_of_them(scheduler: Scheduler) -> None:
    done = [0] * 4

    def job(number: int) -> None:
        done[number] += 1
        raise [ZeroDivisionError, SystemExit][number % 2]

    def lane(number: int) -> int:
        if number == 3:
            raise ZeroDivisionError
        return number

    for number in range(4):
        scheduler.add(0.005, partial(job, number), partial(lane, number), alone=True)
    wait_until(lambda: min(done[:3]) >= 5)
    assert done[3] == 0


def test_poll_that_is_done_with_others_keeps_to_the_order_of_its_lane(
    scheduler: Scheduler,
) -> None:
    release, polled = threading.Event(), threading.Event()
    order: list[str] = []

    def earlier() -> None:
        release.wait(30)
        order.append("earlier")

    def job() -> None:
        order.append("poll")
        polled.set()

    scheduler._lanes.submit("lane", earlier)
    poll = scheduler.add(0.005, job, lambda: "lane", alone=True)
    others = threading.Semaphore(0)
    scheduler.add(0.005, others.release, lambda: "other", alone=True)
    assert all(others.acquire(timeout=10) for _ in range(3))
    release.set()
    assert polled.wait(10)
    poll.cancel()
    assert order[:2] == ["earlier", "poll"]


def test_nothing_more_is_begun_once_the_clock_has_stopped() -> None:
    lanes = Lanes("test")
    scheduler = Scheduler(lanes, "test")
    began, release = threading.Event(), threading.Event()
    count = 0

    def job() -> None:
        nonlocal count
        count += 1
        began.set()
        release.wait(30)

    for number in range(3):
        scheduler.add(0.005, job, partial(int, number), alone=True)
    scheduler.start()
    assert began.wait(10)
    scheduler.stop()
    release.set()
    assert lanes.close(timeout_s=10)
    assert scheduler.thread.close(timeout_s=10)
    assert count <= 3
