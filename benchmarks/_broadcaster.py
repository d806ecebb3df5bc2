"""Publishes what ``broadcasts`` measures: ``python -m benchmarks._broadcaster ours|raw FILE``.

It prints its port, and then does what each line of its input says, with ``ours`` as a daemon of
this project, with ``raw`` by pyzmq and nothing else:

- ``stream COUNT WINDOW``: as fast as it can, never more than so many ahead of the subscriber;
- ``pace COUNT HZ``: the time of the moment, so many times a second;
- ``arrays COUNT BYTES WINDOW``: arrays of bytes, as ``stream``.

FILE begins with a number, which the subscriber maps as well: how many values its callback has had.
"""

from __future__ import annotations

import mmap
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zmq

Publish = Callable[[Any], None]
Array = np.ndarray[Any, Any]

_PAUSE_S = 0.0001


class Confirmed:
    """How many values the subscriber's callback has had, as both processes see it."""

    def __init__(self, path: Path) -> None:
        """Map *path*, which has eight bytes."""
        with path.open("r+b") as file:
            self._number = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")

    def note(self, count: int) -> None:
        """Tell the other process."""
        self._number[0] = count

    def wait_for(self, count: int) -> None:
        """Wait until so many have been had."""
        while self._number[0] < count:
            time.sleep(_PAUSE_S)


def stream(publish: Publish, confirmed: Confirmed, count: int, window: int) -> None:
    """Publish the numbers from 1 on."""
    for number in range(1, count + 1):
        confirmed.wait_for(number - window)
        publish(number)


def pace(publish: Publish, count: int, hertz: int) -> None:
    """Publish the present moment, again and again."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / hertz - time.monotonic()))
        publish(time.monotonic())


def arrays(
    publish: Callable[[Array], None], confirmed: Confirmed, count: int, size: int, window: int
) -> None:
    """Publish arrays that begin with the numbers from 1 on.

    As a frame grabber has them: a few, each used again when nobody reads it any more, and not to
    be changed until then, so that a daemon need not copy them.
    """
    ring = [np.zeros(size // 8, np.int64) for _ in range(window + 1)]
    for number in range(1, count + 1):
        confirmed.wait_for(number - window)
        array = ring[number % len(ring)]
        array.flags.writeable = True
        array[0] = number
        array.flags.writeable = False
        publish(array)


def _ours() -> tuple[int, Publish, Callable[[Array], None]]:
    from benchmarks._daemon import NUMBER
    from mktl import Daemon

    class Broadcaster(Daemon):
        """``bench.number``, and ``bench.frame``, which is an array."""

        def describe_items(self) -> dict[str, dict[str, Any]]:
            """Describe both."""
            return {"number": NUMBER, "frame": {"type": "bulk"}}

    daemon = Broadcaster("bench", "broadcaster")
    return daemon.ports[0], daemon.store["number"].publish, daemon.store["frame"].publish


def _raw() -> tuple[int, Publish, Callable[[Array], None]]:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
    socket.set(zmq.SNDHWM, 100_000)
    socket.set(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")

    def publish(value: float) -> None:
        # As long as the JSON of a value and its time.
        socket.send_multipart([b"bench.number.", b"a", b"%-42.9f" % value])

    def publish_array(array: Array) -> None:
        socket.send_multipart([b"bench.frame.", b"a", b"{}", array.data], copy=False)

    return port, publish, publish_array


def main() -> None:
    """Do what the standard input says, until it ends."""
    confirmed = Confirmed(Path(sys.argv[2]))
    port, publish, publish_array = _ours() if sys.argv[1] == "ours" else _raw()
    print(port, flush=True)
    for line in sys.stdin:
        what, *numbers = line.split()
        if what == "stream":
            stream(publish, confirmed, *map(int, numbers))
        elif what == "pace":
            pace(publish, *map(int, numbers))
        else:
            arrays(publish_array, confirmed, *map(int, numbers))


if __name__ == "__main__":
    main()
