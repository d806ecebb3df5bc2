"""Lanes: order within, independence between, growth while blocked, and the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mktl import lanes as lanes_module
from mktl.lanes import Lanes
from tests._support import wait_until


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    made = Lanes("test")
    yield made
    assert made.close(timeout_s=10)


def test_jobs_of_a_lane_run_in_their_order_and_one_at_a_time(lanes: Lanes) -> None:
    ran: dict[int, list[int]] = {lane: [] for lane in range(10)}
    running: set[int] = set()
    clashes: list[int] = []

    def job(lane: int, number: int) -> None:
        if lane in running:
            clashes.append(lane)
        running.add(lane)
        ran[lane].append(number)
        running.discard(lane)

    def submit(lane: int) -> None:
        for number in range(200):
            lanes.submit(lane, lambda number=number: job(lane, number))

    threads = [threading.Thread(target=submit, args=[lane]) for lane in ran]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: lanes.waiting() == 0)
    assert clashes == []
    assert all(numbers == list(range(200)) for numbers in ran.values())


def test_blocked_lanes_hold_up_no_other_lane(lanes: Lanes) -> None:
    release, done = threading.Event(), threading.Event()
    for lane in range(20):
        lanes.submit(lane, lambda: release.wait(30))
    lanes.submit("other", done.set)
    try:
        assert done.wait(20)
    finally:
        release.set()


def test_lane_does_not_wait_behind_others_that_trickle_while_most_threads_are_blocked(
    lanes: Lanes,
) -> None:
    release, done = threading.Event(), threading.Event()
    stop = threading.Event()
    for lane in range(3):
        lanes.submit(lane, lambda: release.wait(30))

    def trickle(lane: str) -> None:
        stop.wait(0.015)
        if not stop.is_set():
            lanes.submit(lane, lambda: trickle(lane))

    for number in range(40):
        lanes.submit(f"slow{number}", lambda number=number: trickle(f"slow{number}"))
    wait_until(lambda: len(lanes._threads) > 4)
    lanes.submit("other", done.set)
    try:
        assert done.wait(20)
    finally:
        stop.set()
        release.set()


def test_job_that_raises_ends_neither_its_lane_nor_its_thread(lanes: Lanes) -> None:
    done = threading.Event()

    def broken() -> None:
        raise ZeroDivisionError

    def leaves() -> None:
        raise SystemExit

    for job in (broken, leaves, broken, leaves, leaves, leaves, done.set):
        lanes.submit("lane", job)
    assert done.wait(10)


def test_close_finishes_what_is_there_and_takes_no_more() -> None:
    lanes = Lanes("test")
    ran: list[int] = []
    for number in range(500):
        lanes.submit(number % 3, lambda number=number: ran.append(number))
    assert lanes.close(timeout_s=10)
    assert sorted(ran) == list(range(500))
    assert not lanes.submit("lane", lambda: ran.append(-1))
    assert lanes.close(timeout_s=10)


def test_close_tells_that_some_work_did_not_end() -> None:
    lanes = Lanes("test")
    release = threading.Event()
    lanes.submit("lane", lambda: release.wait(30))
    assert not lanes.close(timeout_s=0.01)
    release.set()
    assert lanes.close(timeout_s=10)


def test_lane_may_close_its_own_lanes() -> None:
    lanes = Lanes("test")
    done = threading.Event()

    def close() -> None:
        lanes.close(timeout_s=1)
        done.set()

    lanes.submit("lane", close)
    assert done.wait(10)
    assert lanes.close(timeout_s=10)


def test_nothing_is_a_lane_like_any_other() -> None:
    lanes = Lanes("test")
    done = threading.Event()
    try:
        assert lanes.submit(None, lambda: None)
        assert lanes.submit(None, done.set)
        assert done.wait(10)
    finally:
        assert lanes.close(timeout_s=5)


def test_threads_that_were_needed_once_end_though_there_is_a_little_work_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes_module, "_IDLE_S", 0.2)
    pool = Lanes("test", few=2)
    go_on = threading.Event()
    for number in range(8):
        pool.submit(number, go_on.wait)
    wait_until(lambda: len(pool._threads) == 8)
    go_on.set()

    def is_small_again() -> bool:
        pool.submit("a little", lambda: None)
        return len(pool._threads) == 2

    try:
        wait_until(is_small_again, 20)
    finally:
        pool.close(timeout_s=5)


def test_threads_that_the_system_refuses_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Lanes("test")
    start, done = threading.Thread.start, threading.Event()
    refused: list[threading.Thread] = []

    def refuse(thread: threading.Thread) -> None:
        if len(refused) < 5:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    try:
        assert pool.submit("lane", done.set)
        wait_until(lambda: pool.submit(object(), lambda: None) and done.is_set())
        assert len(refused) == 5
    finally:
        assert pool.close(timeout_s=10)


def test_job_is_done_by_the_caller_where_its_lane_is_free_and_in_its_turn_where_it_is_not(
    lanes: Lanes,
) -> None:
    here = threading.get_ident()
    release, done = threading.Event(), threading.Event()
    ran: list[tuple[str, bool]] = []

    def job(name: str) -> None:
        ran.append((name, threading.get_ident() == here))

    assert lanes.do("lane", lambda: job("first"))
    assert ran == [("first", True)]
    lanes.submit("lane", lambda: release.wait(30))
    assert lanes.do("lane", lambda: job("second"))
    lanes.submit("lane", done.set)
    assert ran == [("first", True)]
    release.set()
    assert done.wait(10)
    assert ran == [("first", True), ("second", False)]


def test_what_comes_while_the_caller_does_a_job_of_the_lane_is_done_after_it(lanes: Lanes) -> None:
    ran: list[str] = []
    done = threading.Event()

    def job() -> None:
        lanes.submit("lane", lambda: ran.append("later"))
        lanes.submit("lane", done.set)
        lanes.do("lane", lambda: ran.append("later still"))
        ran.append("first")

    assert lanes.do("lane", job)
    assert done.wait(10)
    wait_until(lambda: len(ran) == 3)
    assert ran == ["first", "later", "later still"]


def test_caller_does_no_job_of_lanes_that_are_closed() -> None:
    lanes = Lanes("test")
    assert lanes.close(timeout_s=10)
    ran: list[str] = []
    assert not lanes.do("lane", lambda: ran.append("job"))
    assert ran == []
