"""Clients that come and go: ``mark``, and strangers that connect and make no sense."""

from __future__ import annotations

import random
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

__all__ = ["Churn"]

PAUSE_S = (0.2, 2.0)
TIMEOUT_S = 60.0
EXIT_CODES = (0, 1, 3)
"""All went well, something was refused, nobody answered."""
NONSENSE = (
    b"",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f",  # half a greeting of ZeroMQ
    b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48),
)


class Churn:
    """A thread that starts clients one after the other.

    Args:
        environment: Of the clients.
        keys: What they ask for.
        ports: Returns the TCP ports of the daemons of this moment.
        seed: Makes it the same again.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        keys: Sequence[str],
        ports: Callable[[], Sequence[int]],
        seed: int,
    ) -> None:
        self.failures: list[str] = []
        self.clients = 0
        self.strangers = 0
        self._environment = dict(environment)
        self._keys = list(keys)
        self._ports = ports
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-clients")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it; return when the last one is gone. May be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._chance.uniform(*PAUSE_S)):
            if self._chance.random() < 0.5:
                self._ask()
            else:
                self._disturb()

    def _ask(self) -> None:
        verb, *options = self._chance.choice(
            (("get",), ("get", "--refresh"), ("watch", "--for", "1"), ("list",))
        )
        words = ["mark", verb, *options, *self._chance.sample(self._keys, 3)]
        done = subprocess.run(
            words, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        self.clients += 1
        if done.returncode not in EXIT_CODES or "mistake in mark" in done.stderr:
            self.failures.append(f"{' '.join(words)}: code {done.returncode}: {done.stderr}")

    def _disturb(self) -> None:
        for port in self._ports():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as stranger:
                    stranger.sendall(self._chance.choice(NONSENSE))
            except OSError:
                continue  # its daemon was just killed
            self.strangers += 1
