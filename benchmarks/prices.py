"""What promises cost: the same requests with the promise kept, and without it, in turn.

Daemons that keep a promise or not are asked by a client in this process, one exchange after the
other; or, where many requests are on their way at the same time, by pyzmq itself. The yardsticks
are bare exchanges of pyzmq with frames of the same sizes, and ``sqlite3`` with the same settings,
one value in a transaction, on the same disk. A ratio is what is left of the speed: 1 is for
nothing. Some are of another kind. Beside ``sqlite3`` and pyzmq, a SET can at best be as fast as
both of them one after the other. What is committed together is faster than each by itself: that is
above 1. A SET that is refused, and a look at the history, cost no promise: they may not cost much.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import zmq

import mktl
from benchmarks._exchanges import (
    Measure,
    as_client,
    connected,
    daemon,
    exchange,
    frames,
    in_turn,
    print_rates,
    rate,
    raw_echo,
    set_payload,
    stream,
    stream_each,
    take_reply,
)
from benchmarks._priced import MANY, key_of
from benchmarks._support import Failed, Result, environment_of_its_own, rates
from mktl.errors import Locked
from mktl.history import read_history
from mktl.protocol.message import GET, SET, encode_json

__all__ = ["run"]

REPETITIONS = 15
ONE_BY_ONE, TOGETHER = 240, 900
"""Exchanges in a repetition, and requests where 64 are on their way."""
LOCKS = 100
"""As many as a daemon can have."""
PATIENCE_S = 30.0

ONE, EACH, BOTH = "pyzmq", "pyzmq, 64 in flight", "sqlite3 and pyzmq"


@dataclass(frozen=True, slots=True)
class Price:
    """One line of the table: a measurement beside another one."""

    ours: str
    beside: str
    goal: float


PRICES = {
    "SET, recorded": Price("SET", "SET, not recorded", 0.7),
    "SETs, 64 in flight, recorded": Price("SETs", "SETs, not recorded", 0.6),
    "SET, persistent": Price("SET, persistent", "SET", 0.3),
    "SET, persistent, beside sqlite3 and pyzmq": Price("SET, persistent", BOTH, 0.3),
    "SETs, 64 in flight, persistent": Price("SETs, persistent", "SETs", 0.15),
    "SETs, 64 in flight, committed together": Price(
        "SETs, persistent", "SETs, persistent, a commit each", 1.5
    ),
    "SETs, 64 in flight, persistent, beside sqlite3": Price("SETs, persistent", "sqlite3", 0.3),
    "GET, encrypted": Price("GET, encrypted", "GET", 0.7),
    "SET, encrypted": Price("SET, encrypted", "SET", 0.7),
    "GET, with rules": Price("GET, with rules", "GET", 0.85),
    "SET, with rules": Price("SET, with rules", "SET", 0.85),
    "SET, with 100 locks on other items": Price("SET, with locks", "SET", 0.75),
    "SET, refused as it is locked": Price("SET, refused", "SET", 0.75),
    "publish, watched for limits": Price("publish, watched", "publish", 0.5),
    "history, the last 20 SETs of an item": Price("history", "GET", 0.15),
}


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure how many a second; *short*: as few as show that it can be done."""
    repetitions, few, many = (1, 20, 2 * MANY) if short else (REPETITIONS, ONE_BY_ONE, TOGETHER)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = environment_of_its_own(Path(folder))
        enter = stack.enter_context
        names = ("everything", "unrecorded", "alone", "curve", "rules", "locked")
        ports = {
            name: enter(daemon(environment, name, module="benchmarks._priced")) for name in names
        }
        sockets = {name: enter(connected(ports[name])) for name in names if name != "curve"}
        enter(as_client(environment))
        _lock(sockets["locked"])
        measures = {
            **_one_by_one(mktl.get("bench"), few),
            **_in_flight(sockets, many),
            **enter(_sqlite(Path(folder), few)),
            **enter(_pyzmq(environment, few, many)),
        }
        found = in_turn(measures, repetitions)
    found[BOTH] = [1 / (1 / a + 1 / b) for a, b in zip(found["sqlite3"], found[ONE], strict=True)]
    if not short:
        print_rates(found)
    return {
        name: rates(found[price.ours], found[price.beside], price.goal)
        for name, price in PRICES.items()
    }


def _lock(socket: zmq.Socket[bytes]) -> None:
    """Have somebody else lock as many items as can be; ``plain`` is none of them."""
    for number in range(LOCKS):
        pattern = key_of("locked", f"n{number}" if number < MANY else f"kept{number - MANY}")
        lock = {"keys": pattern, "for_s": 3600, "why": "bench"}
        fields = {"value": lock, "_user": "anna", "_hostname": "summit"}
        socket.send_multipart(frames(SET, encode_json(fields), "bench._lockedlock"))
        take_reply(socket)


def _one_by_one(store: mktl.Store, count: int) -> dict[str, Measure]:
    """Return what our client does, one exchange after the other."""
    values = iter(range(10**9))

    def many(once: Callable[[], object]) -> Measure:
        return lambda: rate(count, once)

    def setting(name: str, key: str = "plain") -> Measure:
        item = store[key_of(name, key)]
        return many(lambda: item.set(next(values), timeout=PATIENCE_S))

    def getting(name: str) -> Measure:
        keys = [key_of(name, "plain")]
        return many(lambda: store.read(keys, timeout=PATIENCE_S))

    locked, plain = store[key_of("locked", "n0")], key_of("everything", "plain")
    publishing = {
        kind: store[key_of("everything", f"publish_{kind}")] for kind in ("watched", "unwatched")
    }

    def refused() -> None:
        try:
            locked.set(1, timeout=PATIENCE_S)
        except Locked:
            return
        raise Failed("a SET of what is locked was not refused")

    return {
        "GET": getting("everything"),
        "GET, encrypted": getting("curve"),
        "GET, with rules": getting("rules"),
        "SET": setting("everything"),
        "SET, not recorded": setting("unrecorded"),
        "SET, persistent": setting("everything", "kept0"),
        "SET, encrypted": setting("curve"),
        "SET, with rules": setting("rules"),
        "SET, with locks": setting("locked"),
        "SET, refused": many(refused),
        "publish": lambda: publishing["unwatched"].get(refresh=True, timeout=PATIENCE_S),
        "publish, watched": lambda: publishing["watched"].get(refresh=True, timeout=PATIENCE_S),
        "history": lambda: rate(
            max(1, count // 20), lambda: read_history(store, "everything", plain, last=20)
        ),
    }


def _in_flight(sockets: Mapping[str, zmq.Socket[bytes]], count: int) -> dict[str, Measure]:
    """Return SETs of 64 items, all on their way at the same time."""

    def measure(name: str, key: str) -> float:
        targets = [f"bench.{key_of(name, f'{key}{number}')}" for number in range(MANY)]
        requests = [
            frames(SET, set_payload(value), targets[value % MANY]) for value in range(count)
        ]
        return stream_each(sockets[name], requests, count, MANY)

    return {
        "SETs": partial(measure, "everything", "n"),
        "SETs, not recorded": partial(measure, "unrecorded", "n"),
        "SETs, persistent": partial(measure, "everything", "kept"),
        "SETs, persistent, a commit each": partial(measure, "alone", "kept"),
    }


@contextlib.contextmanager
def _sqlite(folder: Path, count: int) -> Iterator[dict[str, Measure]]:
    """Give what ``sqlite3`` itself does: each value in a transaction of its own, safely on disk."""
    database = sqlite3.connect(folder / "yardstick.sqlite", isolation_level=None)
    with contextlib.closing(database):
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("CREATE TABLE kept (key TEXT PRIMARY KEY, payload BLOB)")
        payload, numbers = set_payload(), itertools.count()

        def save() -> None:
            database.execute("BEGIN IMMEDIATE")
            row = f"n{next(numbers) % MANY}", payload
            database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", row)
            database.execute("COMMIT")

        yield {"sqlite3": lambda: rate(count, save)}


@contextlib.contextmanager
def _pyzmq(environment: Mapping[str, str], few: int, many: int) -> Iterator[dict[str, Measure]]:
    """Give what pyzmq itself does."""
    get, put = frames(GET), frames(SET, set_payload())
    with raw_echo(environment) as socket:
        yield {
            f"{ONE}, a GET": lambda: rate(few, lambda: exchange(socket, get)),
            ONE: lambda: rate(few, lambda: exchange(socket, put)),
            EACH: lambda: stream(socket, put, many, MANY),
        }
