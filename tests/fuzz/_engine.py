"""A fuzzer that needs nothing installed: mutations, guided by the lines that an input reaches."""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["Hang", "at_most", "fuzz", "lines_of", "smaller"]

ROOT = str(Path(__file__).resolve().parents[2])
PACKAGES = tuple(f"{ROOT}/{name}/" for name in ("mktl", "drivers", "simulators", "markd"))
Line = tuple[CodeType, int]

INTERESTING = (
    *(bytes((byte,)) for byte in (0, 1, 0x7F, 0x80, 0xFF)),
    *(b"\r", b"\n", b"\x1e", b"\x1b[2J", b'"', b"{", b"}", b"[", b"]", b":", b",", b".", b"-"),
    *(b"NaN", b"null", b"true", b"1e999", b"99999999999999999999", b"-0", b"0.0", b'"\\ud800"'),
    *(b"\xc2\x9b", b"\xe2\x84\xaa", b"../", b"%s", b"{value}", b"{unit}"),
)
"""What has been trouble somewhere."""


class Hang(AssertionError):
    """An input that takes too long."""


def lines_of(check: Callable[[bytes], None], data: bytes) -> set[Line]:
    """Run *check*, and return the lines of our packages that it reaches in this thread."""
    found: set[Line] = set()

    def local(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            found.add((frame.f_code, frame.f_lineno))
        return local

    def tracer(frame: FrameType, _event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGES):
            return None
        found.add((frame.f_code, 0))
        return local

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        check(data)
    finally:
        sys.settrace(before)
    return found


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise a :class:`Hang` in what takes longer; in the main thread only.

    A regular expression that takes for ever is not ended by it: whoever must go on has to run this
    in a process of its own.
    """

    def hang(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"takes longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutated(data: bytes, other: bytes, chance: random.Random, longest: int) -> bytes:
    """Return *data* with a few changes, some with parts of *other*."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(made) + 1)
        end = min(len(made), at + chance.choice((1, 1, 2, 4, 16)))
        kind = chance.randrange(7)
        if kind == 0:
            made[at:at] = chance.choice(INTERESTING)
        elif kind == 1:
            made[at:end] = chance.choice(INTERESTING)
        elif kind == 2:
            del made[at:end]
        elif kind == 3:
            made[at:at] = made[at:end] * chance.choice((1, 2, 30))
        elif kind == 4 and other:
            begin = chance.randrange(len(other))
            made[at:end] = other[begin : begin + chance.choice((1, 4, 20))]
        elif kind == 5:
            made[at:end] = chance.randbytes(end - at)
        elif at < len(made):
            made[at] ^= 1 << chance.randrange(8)
    return bytes(made[:longest])


def fuzz(
    check: Callable[[bytes], None],
    inputs: Sequence[bytes],
    *,
    seed: int,
    runs: int | None = None,
    seconds: float = float("inf"),
    longest: int = 2048,
    hang_s: float = 20.0,
) -> tuple[int, list[bytes], tuple[bytes, BaseException] | None]:
    """Try *inputs* and then what is made of them.

    Args:
        check: Raises where something is wrong.
        inputs: To begin with.
        seed: The same one makes the same inputs, as long as the code is the same.
        runs: How many; ``None``: until *seconds* are over.
        seconds: Longest time.
        longest: Bytes of an input.
        hang_s: What takes longer is told as an error.

    Returns:
        How many were tried; those that have reached something new; and the first one that has
        broken something, with what was raised.
    """
    chance = random.Random(seed)
    deadline = time.monotonic() + seconds
    known: set[Line] = set()
    pool: list[bytes] = []
    waiting = list(reversed(inputs or [b""]))
    tried = 0
    while waiting or (time.monotonic() < deadline and (runs is None or tried < runs)):
        if waiting:
            data = waiting.pop()
        else:
            data = mutated(chance.choice(pool), chance.choice(pool), chance, longest)
        tried += 1
        try:
            with at_most(hang_s):
                reached = lines_of(check, data)
        except Exception as error:  # whatever it is, it is what was looked for
            return tried, pool, (data, error)
        if not pool or reached - known:
            known |= reached
            pool.append(data)
    return tried, pool, None


def smaller(fails: Callable[[bytes], bool], data: bytes, tries: int = 2000) -> bytes:
    """Return a part of *data* that still fails: whole pieces are left out, ever smaller ones."""
    size = max(1, len(data) // 2)
    while size and tries > 0:
        at = 0
        while at < len(data) and tries > 0:
            tries -= 1
            candidate = data[:at] + data[at + size :]
            if fails(candidate):
                data = candidate
            else:
                at += size
        size //= 2
    return data
