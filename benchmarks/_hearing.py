"""The other end of ``_broadcaster``: who hears what it publishes, ours and the yardstick."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import Popen
from typing import Any, Protocol

import numpy as np
import zmq

import mktl
from benchmarks._broadcaster import Confirmed
from benchmarks._exchanges import as_client
from benchmarks._support import Failed, started, tell

__all__ = ["Subject", "latency_s", "ours", "rate", "raw"]

_PATIENCE_S = 30.0

Callback = Callable[[Any, Any, float | None], None]


class Subject(Protocol):
    """A process that publishes, and how it is heard here."""

    confirmed: Confirmed

    def hear(self, command: str, key: str, count: int, callback: Callback) -> None:
        """Have *command* done, and *callback* called with all *count* values of *key*."""


def rate(subject: Subject, command: str, count: int, *numbers: int) -> float:
    """Return how many values a second come in; each of them has to come, in order.

    Args:
        subject: Who publishes.
        command: ``stream`` or ``arrays``.
        count: How many there are.
        numbers: What else the command needs.
    """
    had, astray = 0, []
    began_s = ended_s = 0.0
    is_array = command == "arrays"
    confirmed = subject.confirmed

    def hear(_item: Any, value: Any, _timestamp: float | None) -> None:
        nonlocal had, began_s, ended_s
        had += 1
        if had == 1:
            began_s = time.perf_counter()
        if (value[0] if is_array else value) != had:
            astray.append(value)
        if had == count:
            ended_s = time.perf_counter()
        confirmed.note(had)

    confirmed.note(0)
    arguments = " ".join(map(str, (count, *numbers)))
    subject.hear(f"{command} {arguments}", "frame" if is_array else "number", count, hear)
    if astray or had != count:
        raise Failed(f"{had} of {count} values came, out of order: {astray[:10]}")
    return (count - 1) / (ended_s - began_s)


def latency_s(subject: Subject, count: int, hertz: int) -> float:
    """Return the time from publication to callback that half of *count* values do not exceed."""
    found = []

    def hear(_item: Any, value: float, _timestamp: float | None) -> None:
        found.append(time.monotonic() - value)

    subject.hear(f"pace {count} {hertz}", "number", count, hear)
    return statistics.median(found)


class _Ours:
    def __init__(self, publisher: Popen[bytes], confirmed: Confirmed) -> None:
        self._publisher = publisher
        self.confirmed = confirmed

    def hear(self, command: str, key: str, count: int, callback: Callback) -> None:
        item = mktl.get("bench", key)
        left, done = count, threading.Event()

        def counted(item: mktl.Item, value: Any, timestamp: float | None) -> None:
            nonlocal left
            callback(item, value, timestamp)
            left -= 1
            if not left:
                done.set()

        item.register(counted)
        try:
            tell(self._publisher, command)
            if not done.wait(_PATIENCE_S):
                raise Failed(f"{command}: {left} values have not come; {item.dropped} dropped")
        finally:
            item.unregister(counted)
        if item.dropped:
            raise Failed(f"{command}: {item.dropped} values were dropped")


class _Raw:
    def __init__(
        self, publisher: Popen[bytes], confirmed: Confirmed, socket: zmq.Socket[bytes]
    ) -> None:
        self._publisher = publisher
        self.confirmed = confirmed
        self._socket = socket

    def hear(self, command: str, key: str, count: int, callback: Callback) -> None:
        tell(self._publisher, command)
        socket = self._socket
        try:
            if key == "frame":
                for _ in range(count):
                    frames = socket.recv_multipart(copy=False)
                    callback(None, np.frombuffer(frames[3].buffer, np.int64), None)
            else:
                for _ in range(count):
                    callback(None, float(socket.recv_multipart()[2]), None)
        except zmq.Again:
            raise Failed(f"{command}: not all values have come") from None


@contextlib.contextmanager
def ours(memory: Path, environment: Mapping[str, str]) -> Iterator[Subject]:
    """Run a daemon of this project, and be its client."""
    with _broadcaster("ours", memory, environment) as (_port, publisher), as_client(environment):
        yield _Ours(publisher, Confirmed(memory))


@contextlib.contextmanager
def raw(memory: Path, environment: Mapping[str, str]) -> Iterator[Subject]:
    """Run a bare PUB socket, and be subscribed to it."""
    with (
        _broadcaster("raw", memory, environment) as (port, publisher),
        zmq.Context() as context,
        context.socket(zmq.SUB) as socket,
    ):
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVHWM, 100_000)
        socket.set(zmq.RCVTIMEO, round(_PATIENCE_S * 1000))
        for topic in (b"bench.frame.", b"bench.number."):
            socket.subscribe(topic)
        socket.connect(f"tcp://127.0.0.1:{port}")
        while not socket.poll(100):  # until the subscriptions are in force
            tell(publisher, "pace 1 1000")
        while socket.poll(100):
            socket.recv_multipart()
        yield _Raw(publisher, Confirmed(memory), socket)


@contextlib.contextmanager
def _broadcaster(
    who: str, memory: Path, environment: Mapping[str, str]
) -> Iterator[tuple[int, Popen[bytes]]]:
    memory.write_bytes(bytes(8))
    command = ["-m", "benchmarks._broadcaster", who, str(memory)]
    with started(command, environment) as (process, line):
        yield int(line), process
