"""Whether calls have been quick, and who makes them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

from mktl import _quick
from mktl._quick import Promptness

SLOW_S = 0.1


def turns_in_doubt(promptness: Promptness) -> int:
    """Make turns elsewhere until the calls are trusted again; return how many it took."""
    count = 0
    while not promptness.is_good:
        promptness.note_elsewhere()
        count += 1
    return count


def test_calls_are_taken_to_be_quick_until_they_are_not() -> None:
    promptness = Promptness()
    assert promptness.is_good
    promptness.note(1, 0.00001)
    assert promptness.is_good
    promptness.note(1, SLOW_S)
    assert not promptness.is_good


def test_many_calls_may_take_longer_than_one() -> None:
    promptness = Promptness()
    promptness.note(100, 0.004)
    assert promptness.is_good
    promptness.note(1, 0.004)
    assert not promptness.is_good


def test_calls_that_are_slow_again_are_doubted_for_longer_but_not_for_ever() -> None:
    promptness, found = Promptness(), []
    for _time in range(8):
        promptness.note(1, SLOW_S)
        found.append(turns_in_doubt(promptness))
    assert found[:4] == [8, 32, 128, 512]
    assert found[-1] == found[-2] == 10_000


def test_calls_that_are_quick_for_long_are_forgiven() -> None:
    promptness = Promptness()
    for _time in range(3):
        promptness.note(1, SLOW_S)
        turns_in_doubt(promptness)
    for _turn in range(2000):
        promptness.note(1, 0.0)
    promptness.note(1, SLOW_S)
    assert turns_in_doubt(promptness) == 8


def test_call_is_left_to_others_where_the_thread_has_not_offered_itself() -> None:
    assert not _quick.do_here(lambda: None, lambda: None)


def test_call_is_offered_to_the_thread_that_has_it_alone() -> None:
    taken: list[object] = []

    def take(job: Callable[[], object], otherwise: Callable[[], object]) -> bool:
        taken.append((job, otherwise))
        return True

    def offering() -> None:
        _quick.offer(take)
        taken.append(_quick.do_here(turns, lambda: None))

    def turns() -> None:
        return None

    thread = threading.Thread(target=offering)
    thread.start()
    thread.join()
    assert len(taken) == 2
    assert taken[1] is True
    assert not _quick.do_here(turns, turns)


def test_process_that_such_a_call_forks_leaves_calls_to_others() -> None:
    # One of its own, with one thread: it would be unwise to fork this one.
    program = """
import os
from mktl import _quick
_quick.offer(lambda job, otherwise: True)
assert _quick.do_here(print, print)
child = os.fork()
if not child:
    os._exit(10 if _quick.do_here(print, print) else 20)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), _quick.do_here(print, print))
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.stdout == "20 True\n", ran.stderr
