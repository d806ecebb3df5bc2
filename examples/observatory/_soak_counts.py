"""SETs that are counted: none that was acknowledged may be lost, or overtaken by an earlier one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import mktl
from mktl.errors import MktlError

__all__ = ["KEYS", "Counting"]

KEYS = ("counts.n0", "counts.n1", "counts.n2")
PAUSE_S = 0.02
ANSWER_S = 10.0
MOST_TOLD = 5


@dataclass
class Count:
    """One item that is counted up by one thread."""

    key: str
    begun: int = 0
    """The value that it had before."""
    sent: int = 0
    """The last number that was sent, or tried to be."""
    acknowledged: int = 0
    """The last number that was acknowledged."""
    done: int = 0
    """How many were."""
    heard: float = -1
    """The last number that was broadcast."""
    failures: list[str] = field(default_factory=list)

    def hear(self, _item: mktl.Item, payload: mktl.Payload) -> None:
        """Take note of what was broadcast."""
        value = payload.value
        if value is None:
            return
        if value < self.heard and len(self.failures) < MOST_TOLD:
            self.failures.append(f"{self.key} went back from {self.heard} to {value}")
        self.heard = value


class Counting:
    """Threads that count items up, and listen to what is broadcast of them."""

    def __init__(self) -> None:
        self.counts = [Count(key) for key in KEYS]
        self._items: list[mktl.Item] = []
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(count,), name=f"soak-{count.key}")
            for count in self.counts
        ]

    def start(self) -> None:
        """Begin to count. The daemon must be there."""
        for count, thread in zip(self.counts, self._threads, strict=True):
            item = mktl.get(count.key)
            count.begun = count.sent = count.acknowledged = int(item.get() or 0)
            item.register(count.hear, prime=True, payloads=True)
            self._items.append(item)
            thread.start()

    def stop(self) -> None:
        """Stop counting; return when nothing is under way any more. May be called twice."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def done(self) -> int:
        """How many SETs were acknowledged."""
        return sum(count.done for count in self.counts)

    def check(self) -> list[str]:
        """Return what is wrong. Nothing may be under way, and the daemon must be there."""
        found = []
        for count in self.counts:
            found += count.failures
            try:
                value = mktl.get(count.key).get(refresh=True)
            except MktlError as error:
                found.append(f"{count.key} cannot be read: {error}")
                continue
            if not count.acknowledged <= (value or 0) <= count.sent:
                found.append(
                    f"{count.key} is {value}, but {count.acknowledged} was acknowledged last, and "
                    f"{count.sent} sent last"
                )
        return found

    def _run(self, count: Count) -> None:
        item = mktl.get(count.key)
        while not self._stopping.wait(PAUSE_S):
            count.sent += 1
            try:
                item.set(count.sent, timeout=ANSWER_S)
            except MktlError:
                continue  # it may have been carried out, or not: the next number tells
            count.acknowledged = count.sent
            count.done += 1
