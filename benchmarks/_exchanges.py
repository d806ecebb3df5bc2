"""Requests and their answers: daemons and yardsticks to ask, and how many a second there are."""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import zmq

import mktl
from benchmarks._support import Failed, started
from mktl.protocol.message import GET, encode_json, encode_request
from mktl.replies import read_reply
from mktl.requests import origin_fields
from mktl.transport.client import RequestClient

__all__ = [
    "REFRESH",
    "Measure",
    "Running",
    "as_client",
    "connected",
    "crowd",
    "daemon",
    "exchange",
    "frames",
    "in_turn",
    "print_rates",
    "rate",
    "raw_echo",
    "running",
    "set_payload",
    "stream",
    "stream_each",
    "take_reply",
    "value_of",
]

_PATIENCE_MS = 30_000

REFRESH = encode_json({"refresh": True})
"""The payload of a GET that reads the hardware."""

Measure = Callable[[], float]


@contextlib.contextmanager
def as_client(environment: Mapping[str, str]) -> Iterator[None]:
    """Have this process find the daemons of *environment*, and no others."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        mktl.close()
        os.environ.clear()
        os.environ.update(before)


class Running(NamedTuple):
    """A process that answers requests."""

    pid: int
    port: int


@contextlib.contextmanager
def running(
    environment: Mapping[str, str], *arguments: object, module: str = "benchmarks._daemon"
) -> Iterator[Running]:
    """Run what prints its port for the length of the ``with`` block, and wait until it does.

    Args:
        environment: All variables.
        arguments: Handed on to it.
        module: What to run.

    Raises:
        Failed: it does not start; the text says what it says.
    """
    command = ["-m", module, *map(str, arguments)]
    with started(command, environment) as (process, line):
        yield Running(process.pid, int(line))


@contextlib.contextmanager
def daemon(
    environment: Mapping[str, str], *arguments: object, module: str = "benchmarks._daemon"
) -> Iterator[int]:
    """Do the same as :func:`running`, and give the port."""
    with running(environment, *arguments, module=module) as found:
        yield found.port


@contextlib.contextmanager
def raw_echo(environment: Mapping[str, str], *arguments: object) -> Iterator[zmq.Socket[bytes]]:
    """Run the yardstick, and give a socket that is connected to it."""
    with (
        daemon(environment, *arguments, module="benchmarks._raw_echo") as port,
        connected(port) as socket,
    ):
        yield socket


@contextlib.contextmanager
def connected(port: int) -> Iterator[zmq.Socket[bytes]]:
    """Give a bare socket that is connected to *port*."""
    with crowd(port, 1) as (socket,):
        yield socket


@contextlib.contextmanager
def crowd(port: int, count: int) -> Iterator[list[zmq.Socket[bytes]]]:
    """Give so many bare sockets, each with a connection of its own to *port*."""
    with zmq.Context() as context, contextlib.ExitStack() as stack:
        context.set(zmq.MAX_SOCKETS, max(1023, 2 * count))
        sockets = [stack.enter_context(context.socket(zmq.DEALER)) for _ in range(count)]
        for socket in sockets:
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.SNDHWM, 100_000)
            socket.set(zmq.RCVHWM, 100_000)
            socket.set(zmq.RCVTIMEO, _PATIENCE_MS)
            socket.connect(f"tcp://127.0.0.1:{port}")
        yield sockets


def frames(kind: bytes, payload: bytes = b"", target: str = "bench.plain") -> list[Any]:
    """Return the frames of a request."""
    return encode_request(b"00000001", kind, target, payload, bulk=None)


def set_payload(value: Any = 1234567) -> bytes:
    """Return the payload of a SET, as our client sends it."""
    return encode_json({"value": value, "time": time.time(), **origin_fields()})


def exchange(socket: zmq.Socket[bytes], request: Sequence[Any]) -> None:
    """Send *request*, and wait for what comes back first."""
    socket.send_multipart(request)
    socket.recv_multipart()


def take_reply(socket: zmq.Socket[bytes]) -> None:
    """Take the next reply, and what acknowledges requests before it.

    Raises:
        Failed: it is an error.
    """
    while (answer := socket.recv_multipart())[2] == b"ACK":
        pass
    if b'"error"' in answer[5]:
        raise Failed(f"a request is refused: {answer[5].decode(errors='replace')}")


def value_of(port: int, target: str) -> Any:
    """Ask for an item by a client that is running already, so that its own start is not counted."""
    client = RequestClient("127.0.0.1", port)
    try:
        return read_reply(client.request(GET, target), 5.0).value
    finally:
        client.close()


def rate(count: int, once: Callable[[], object]) -> float:
    """Return how often a second *once* can be called, of *count* times."""
    began = time.perf_counter()
    for _ in range(count):
        once()
    return count / (time.perf_counter() - began)


def stream(socket: zmq.Socket[bytes], request: Sequence[Any], count: int, in_flight: int) -> float:
    """Send *request* so many times; see :func:`stream_each`."""
    return stream_each(socket, itertools.repeat(request), count, in_flight)


def stream_each(
    socket: zmq.Socket[bytes], requests: Iterable[Sequence[Any]], count: int, in_flight: int
) -> float:
    """Send the first *count* of *requests*, with so many on their way; return how many a second.

    Answers are taken as they come.

    Raises:
        Failed: one is an error.
    """
    coming = iter(requests)
    sent = 0
    began = time.perf_counter()
    for answered in range(count):
        while sent < count and sent - answered < in_flight:
            socket.send_multipart(next(coming))
            sent += 1
        take_reply(socket)
    return count / (time.perf_counter() - began)


def in_turn(measures: Mapping[str, Measure], repetitions: int) -> dict[str, list[float]]:
    """Take each of *measures* in turn, so that a busy machine slows all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repetitions):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def print_rates(found: Mapping[str, Sequence[float]]) -> None:
    """Print how many a second there were of each, as the ratios do not tell."""
    for what, rates in found.items():
        print(f"{what:40} {statistics.median(rates):8,.0f} a second")
