"""Fixtures of the simulator tests: twins on real sockets and pseudo-terminals."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from simulators.lakeshore336 import LakeShore336
from simulators.serve import Simulator


@pytest.fixture(autouse=True)
def _no_leaked_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    leaked = [
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith("marksim")
    ]
    assert not leaked


@pytest.fixture
def tc() -> LakeShore336:
    """The model alone, freshly switched on, its power-on event read."""
    model = LakeShore336(seed=1)
    model.answer(b"*ESR?")
    return model


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """The twin on TCP with a control port, time stopped."""
    with Simulator(
        LakeShore336(seed=1),
        tcp=("127.0.0.1", 0),
        control=("127.0.0.1", 0),
        time_factor=0.0,
        seed=1,
    ) as running:
        yield running


class Host:
    """A plain host: one connection, lines out, lines in."""

    def __init__(self, url: str) -> None:
        name, _, port = url.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((name, int(port)), timeout=20)
        self._replies = self.socket.makefile("rb")

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode("latin-1") + b"\n")

    def read(self) -> str:
        """Read one line; empty when the connection is closed."""
        return self._replies.readline().decode("latin-1")

    def ask(self, text: str) -> str:
        self.send(text)
        reply = self.read()
        assert reply.endswith("\r\n"), reply
        return reply.removesuffix("\r\n")

    def hears_nothing(self, *, within_s: float = 0.2) -> bool:
        """Tell that no byte comes: a wait that has to pass, there is no condition for silence."""
        self.socket.settimeout(within_s)
        try:
            return not self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)

    def close(self) -> None:
        self._replies.close()
        self.socket.close()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Host]]:
    """Open hosts that are closed when the test ends."""
    hosts: list[Host] = []

    def opened(url: str) -> Host:
        hosts.append(Host(url))
        return hosts[-1]

    yield opened
    for host in hosts:
        host.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition, up to 20 s."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline_s, "the condition has not come true"
            time.sleep(0.005)

    return wait
