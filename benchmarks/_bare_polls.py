"""The yardsticks for polls, by pyzmq and the standard library alone.

``python -m benchmarks._bare_polls ITEMS PERIOD_S``: a heap, and a socket that broadcasts what is
due, in each period another value of each of so many items. ``python -m benchmarks._bare_polls``: a
loop at 1 kHz that does nothing but sleep. Prints a port first, then a line of JSON for every two
lines of its standard input: what has happened between them.
"""

from __future__ import annotations

import heapq
import itertools
import json
import statistics
import sys
import threading
import time

import zmq

FAST_S = 0.001

_moments: list[float] = []


def broadcast(count: int, period_s: float) -> None:
    """Broadcast *count* values in *period_s* seconds, again and again."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUB)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    began = time.monotonic()
    due = [(began + period_s * one / count, one) for one in range(count)]
    heapq.heapify(due)
    topics = [b"bench.n%d." % one for one in range(count)]
    values = [0.25] * count
    while True:
        moment, one = due[0]
        wait_s = moment - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        heapq.heapreplace(due, (moment + period_s, one))
        values[one] += 1.0
        payload = json.dumps({"value": values[one], "time": time.time()}).encode()
        socket.send_multipart([topics[one], b"a", payload])


def sleep() -> None:
    """Note when it is time, a thousand times a second."""
    print(0, flush=True)
    due = time.monotonic()
    while True:
        due += FAST_S
        time.sleep(max(0.0, due - time.monotonic()))
        _moments.append(time.monotonic())


def _tell() -> None:
    while sys.stdin.readline():
        begin, used_s = time.monotonic(), time.process_time()
        _moments.clear()
        sys.stdin.readline()
        seconds, used_s = time.monotonic() - begin, time.process_time() - used_s
        intervals = [later - earlier for earlier, later in itertools.pairwise(list(_moments))]
        found = {
            "seconds": seconds,
            "cpu_s": used_s,
            "deviation_s": statistics.pstdev(intervals) if intervals else 0.0,
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    threading.Thread(target=_tell, daemon=True).start()
    if sys.argv[1:]:
        broadcast(int(sys.argv[1]), float(sys.argv[2]))
    else:
        sleep()
