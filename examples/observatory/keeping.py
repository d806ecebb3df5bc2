"""Processes that are started again when they die: what a supervisor such as systemd does."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["LONGEST_PAUSE_S", "Keeper", "Kept"]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""How long to wait before a process is started again: after its first death, and at most."""
GOOD_AFTER_S = 30.0
"""A process that ran for so long begins with the shortest pause again."""
LOOK_S = 0.1
STOP_S = 5.0
STAYS_DOWN = {0: "stopped as asked", 2: "starting it again will not help"}
"""Exit codes of ``markd`` after which it is left alone; see docs/running.md."""


class Kept:
    """One process, with a log file that all its lives share."""

    def __init__(
        self, name: str, words: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path
    ) -> None:
        self.name = name
        self.words = list(words)
        self.log = log
        self.deaths: list[int] = []
        """Exit codes, minus the number of the signal that killed it."""
        self.process: subprocess.Popen[bytes] | None = None
        self.lives = 0
        """How often it was started."""
        self._environment = dict(environment)
        self._cwd = cwd
        self._started_at = 0.0
        self._due_at: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self._is_restarted = False

    @property
    def is_running(self) -> bool:
        """Whether there is a process at this moment."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it."""
        self._due_at = None
        self._started_at = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self._environment, cwd=self._cwd,
                # Ctrl-C in the terminal is for us, who then stop them in order.
                start_new_session=True,
            )  # fmt: skip
        self.lives += 1

    def tend(self) -> str | None:
        """Start it again if that is due; return what has happened, for people."""
        now = time.monotonic()
        if self._due_at is not None and now >= self._due_at:
            self.start()
            return f"{self.name} is started again"
        if self.process is None or self._due_at is not None:
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        self.deaths.append(code)
        if self._is_restarted and code == 0:
            self._is_restarted = False
            self.start()
            return f"{self.name} has stopped as asked, and is started again"
        if code in STAYS_DOWN:
            return f"{self.name} has ended and stays down: {STAYS_DOWN[code]}; see {self.log}"
        if now - self._started_at > GOOD_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._due_at = now + pause_s
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed, code {code}"
        return f"{self.name} {how}, and is started again in {pause_s:g} s; see {self.log}"

    def send(self, number: int) -> None:
        """Send a signal to it, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def restart(self) -> None:
        """Ask it to stop, as a supervisor does, and have it started again."""
        self._is_restarted = True
        self.send(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait for its end, until *deadline*."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, deadline - time.monotonic()))

    def kill(self) -> bool:
        """Kill it if it still runs; return whether it did."""
        if self.process is None or self.process.poll() is not None:
            return False
        self.process.kill()
        self.process.wait()
        return True


class Keeper:
    """A thread that tends processes.

    Args:
        say: Called with what happens, for people; from that thread.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.kept: list[Kept] = []
        self._say = say
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observatory-keeper", daemon=True)
        self._thread.start()

    def add(self, one: Kept) -> None:
        """Start a process, and tend it from now on."""
        one.start()
        self.kept = [*self.kept, one]

    def stop(self) -> None:
        """Stop all; return when they are gone."""
        self._stopping.set()
        try:
            self._thread.join()
            for one in reversed(self.kept):
                one.send(signal.SIGTERM)
            deadline = time.monotonic() + STOP_S
            for one in reversed(self.kept):
                one.wait(deadline)
        finally:  # a second Ctrl-C forces
            for one in self.kept:
                if one.kill():
                    self._say(f"{one.name} did not stop by itself, and was killed")

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            for one in self.kept:
                try:
                    news = one.tend()
                except OSError as error:
                    news = f"{one.name} cannot be started: {error}"
                if news:
                    self._say(news)
