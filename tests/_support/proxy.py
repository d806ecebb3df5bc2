"""A network in between that can be broken."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

__all__ = ["Proxy"]


class Proxy:
    """Passes TCP connections on to a port, and breaks, holds up or cuts them when told to.

    Attributes:
        target: The port that new connections are passed on to.
        swallows: Whether it takes all bytes and passes none on, both ways: nobody is told.
        accepted: How many connections it has passed on.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.swallows = self._holds = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.accepted = 0
        self._passing = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._thread.start()

    def hold(self, on: bool) -> None:
        """Take no bytes from now on, or all that were sent meanwhile, which arrive late."""
        with self._passing:
            self._holds = on

    def break_all(self) -> None:
        with self._lock:
            for pair in self._pairs:
                for one in pair:
                    with contextlib.suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        for pair in self._pairs:
            for one in pair:
                one.close()
        self._server.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            with self._lock:
                ends = {one: other for pair in self._pairs for one, other in (pair, pair[::-1])}
            watched = [] if self._holds else [self._server, *ends]
            ready, _, _ = select.select(watched, [], [], 0.02)
            with self._passing:
                for one in [] if self._holds else ready:
                    if one is self._server:
                        self._accept()
                    elif not self._pass_on(one, ends[one]):
                        self._drop(one)

    def _accept(self) -> None:
        accepted, _address = self._server.accept()
        try:
            target = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            accepted.close()
            return
        with self._lock:
            self._pairs.append((accepted, target))
            self.accepted += 1

    def _pass_on(self, one: socket.socket, other: socket.socket) -> bool:
        try:
            data = one.recv(65536)
            if not self.swallows:
                other.sendall(data)
        except OSError:
            return False
        return bool(data)

    def _drop(self, one: socket.socket) -> None:
        with self._lock:
            for pair in [pair for pair in self._pairs if one in pair]:
                self._pairs.remove(pair)
                for end in pair:
                    end.close()
