"""A device of a few lines on a real socket, whose answers a test decides."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from drivers.line import Line
from drivers.ports import port_for_url
from drivers.settings import Identity, LineSettings

__all__ = ["IDENTITY", "FakeDevice", "device", "line_to", "settings"]

IDENTITY = Identity(b"ID?\n", re.compile(r"FAKE,\d+"))

Answer = Callable[[str], "bytes | None"]


def answer_with_name(message: str) -> bytes | None:
    """The right device: its identity, and an echo of what else was asked."""
    return b"FAKE,1\r\n" if message == "ID?" else f"re {message}\r\n".encode()


class FakeDevice:
    """A TCP server that answers each line with what ``answer`` gives; ``None`` is silence."""

    def __init__(self, answer: Answer = answer_with_name, port: int = 0) -> None:
        self.answer = answer
        self.received: list[str] = []
        self.events: list[tuple[str, float]] = []
        self.connections = 0
        self._peers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._run(self._accept)

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def send(self, data: bytes) -> None:
        """Say something unasked, to all who are connected."""
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.sendall(data)

    def hang_up(self) -> None:
        """End all connections, and go on listening."""
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(30)
        for peer in self._peers:
            peer.close()

    def _run(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name="fake-device", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self.connections += 1
                self._peers.append(peer)
                self._run(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer.makefile("rb") as lines:
            for line in lines:
                text = line.decode("latin-1").strip()
                self.events.append(("asked", time.monotonic()))
                self.received.append(text)
                answer = self.answer(text)
                if answer is not None:
                    self.events.append(("answered", time.monotonic()))
                    peer.sendall(answer)


@contextlib.contextmanager
def device(answer: Answer = answer_with_name, port: int = 0) -> Iterator[FakeDevice]:
    made = FakeDevice(answer, port)
    try:
        yield made
    finally:
        made.stop()


def settings(**changes: Any) -> LineSettings:
    """Settings that are quick to give up and quick to try again."""
    quick = {"retry_first_s": 0.05, "retry_longest_s": 0.2, "quiet_s": 0.05, "identity": IDENTITY}
    return LineSettings(**{**quick, **changes})


@contextlib.contextmanager
def line_to(url: str, *, up: bool = True, on_connect: Any = None, **changes: Any) -> Iterator[Line]:
    line = Line(port_for_url(url), settings(**changes), name="tc", on_connect=on_connect)
    try:
        line.start()
        if up:
            line.wait_until_up(timeout_s=30)
        yield line
    finally:
        line.close()
