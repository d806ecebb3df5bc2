"""The yardstick for requests: a process that sends back what it gets, by pyzmq and nothing else.

It prints its port, and ends when its standard input does. With the argument ``awake`` it waits as a
daemon of ours does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import zmq

from mktl.transport.waiting import Poller


def main() -> None:
    """Echo, as one loop on one thread."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    socket.set(zmq.SNDHWM, 100_000)
    socket.set(zmq.RCVHWM, 100_000)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    threading.Thread(target=_end_with_input, daemon=True).start()
    wait = waits_awake(socket) if "awake" in sys.argv[1:] else bool
    while True:
        wait()
        socket.send_multipart(socket.recv_multipart())


def waits_awake(socket: zmq.Socket[bytes]) -> Callable[[], object]:
    """Return what waits, awake at first, until there is something to receive."""
    poller = Poller()
    poller.register(int(socket.get(zmq.FD)))

    def wait() -> None:
        while not int(socket.get(zmq.EVENTS)) & zmq.POLLIN:
            poller.wait(None)

    return wait


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
