"""Requests, from a client in this process to a daemon in another: how near to pyzmq itself?

The yardstick is a bare loop of pyzmq at both ends, in two processes as well, with frames of the
same number and the same sizes. Both are measured in turn, so that a busy machine slows both.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import zmq

import mktl
from benchmarks._support import Result, environment_of_its_own, python_process, rates
from mktl.protocol.message import GET, SET, encode_json, encode_request
from mktl.requests import origin_fields

__all__ = ["run"]

REPETITIONS = 7
ONE_BY_ONE = 2000
"""Exchanges in a repetition, each after the answer to the one before."""
TOGETHER = 1000
"""SETs that are sent before the first answer is waited for."""
IN_FLIGHT = 100
STREAMED = 10_000
"""Requests in a repetition with 100 on their way."""
_PATIENCE_MS = 30_000

_REFRESH = encode_json({"refresh": True})


def run(*, short: bool = False) -> dict[str, Result]:
    """Measure exchanges a second; *short*: as few as show that it can be done."""
    repetitions, share = (1, 0.01) if short else (REPETITIONS, 1.0)
    few = round(ONE_BY_ONE * share)
    many, streamed = max(10, round(TOGETHER * share)), max(200, round(STREAMED * share))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = environment_of_its_own(Path(folder))
        plain, read, port = stack.enter_context(_subject(environment))
        raw = stack.enter_context(_raw(environment))
        direct = stack.enter_context(_connected(port))
        values = iter(range(10**9))
        get, refresh, put = _frames(GET), _frames(GET, _REFRESH), _frames(SET, _set_payload())
        measurements: dict[str, tuple[Callable[[], float], Callable[[], float], float]] = {
            "GET that refreshes a trivial item": (
                lambda: _rate(few, lambda: plain.get(refresh=True)),
                lambda: _rate(few, lambda: _exchange(raw, refresh)),
                0.80,
            ),
            "GET that refreshes by code of the item": (
                lambda: _rate(few, lambda: read.get(refresh=True)),
                lambda: _rate(few, lambda: _exchange(raw, refresh)),
                0.55,
            ),
            "GET of a cached value": (
                lambda: _rate(few, lambda: plain.store.read(["plain"])),
                lambda: _rate(few, lambda: _exchange(raw, get)),
                0.85,
            ),
            "SET": (
                lambda: _rate(few, lambda: plain.set(next(values))),
                lambda: _rate(few, lambda: _exchange(raw, put)),
                0.65,
            ),
            "SET to what it is": (
                lambda: _rate(few, lambda: plain.set(7)),
                lambda: _rate(few, lambda: _exchange(raw, put)),
                0.65,
            ),
            f"{many:,} SETs sent, then awaited": (
                lambda: _set_together(plain, many),
                lambda: _stream(raw, put, many, many),
                0.45,
            ),
            f"{IN_FLIGHT} GETs in flight, by pyzmq": (
                lambda: _stream(direct, get, streamed, IN_FLIGHT),
                lambda: _stream(raw, get, streamed, IN_FLIGHT),
                0.80,
            ),
        }
        found: dict[str, tuple[list[float], list[float]]] = {
            name: ([], []) for name in measurements
        }
        for _ in range(repetitions):
            for name, (ours, theirs, _goal) in measurements.items():
                found[name][1].append(theirs())
                found[name][0].append(ours())
    return {name: rates(*found[name], goal=measurements[name][2]) for name in measurements}


@contextlib.contextmanager
def _subject(environment: Mapping[str, str]) -> Iterator[tuple[mktl.Item, mktl.Item, int]]:
    """Run a daemon, and give two of its items, as a client has them, and its port."""
    with (
        python_process(["-m", "benchmarks._daemon"], environment) as (process, _log),
        _as_client(environment),
    ):
        assert process.stdout is not None
        port = int(process.stdout.readline())
        store = mktl.get("bench")
        yield store["plain"], store["read"], port


@contextlib.contextmanager
def _as_client(environment: Mapping[str, str]) -> Iterator[None]:
    """Have this process find the daemons of *environment*, and no others."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        mktl.close()
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _raw(environment: Mapping[str, str]) -> Iterator[zmq.Socket[bytes]]:
    with python_process(["-m", "benchmarks._raw_echo"], environment) as (process, _log):
        assert process.stdout is not None
        with _connected(int(process.stdout.readline())) as socket:
            yield socket


@contextlib.contextmanager
def _connected(port: int) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.SNDHWM, 100_000)
        socket.set(zmq.RCVHWM, 100_000)
        socket.set(zmq.RCVTIMEO, _PATIENCE_MS)
        socket.connect(f"tcp://127.0.0.1:{port}")
        yield socket


def _frames(kind: bytes, payload: bytes = b"") -> list[Any]:
    return encode_request(b"00000001", kind, "bench.plain", payload, bulk=None)


def _set_payload() -> bytes:
    return encode_json({"value": 1234567, "time": time.time(), **origin_fields()})


def _exchange(socket: zmq.Socket[bytes], frames: list[Any]) -> None:
    socket.send_multipart(frames)
    socket.recv_multipart()


def _rate(count: int, exchange: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(count):
        exchange()
    return count / (time.perf_counter() - began)


def _stream(socket: zmq.Socket[bytes], frames: list[Any], count: int, in_flight: int) -> float:
    """Send *count* requests, with so many on their way; answers are taken as they come."""
    sent = 0
    began = time.perf_counter()
    for _answer in range(count):
        while sent < count and sent - _answer < in_flight:
            socket.send_multipart(frames)
            sent += 1
        while socket.recv_multipart()[2] == b"ACK":
            pass
    return count / (time.perf_counter() - began)


def _set_together(item: mktl.Item, count: int) -> float:
    began = time.perf_counter()
    pending = [item.set(value, wait=False) for value in range(count)]
    for one in pending:
        assert one is not None
        one.wait()
    return count / (time.perf_counter() - began)
