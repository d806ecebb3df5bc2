"""The yardstick for requests: a process that sends back what it gets, by pyzmq and nothing else.

It prints its port, and ends when its standard input does.
"""

from __future__ import annotations

import os
import sys
import threading

import zmq


def main() -> None:
    """Echo, as one loop on one thread."""
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    socket.set(zmq.SNDHWM, 100_000)
    socket.set(zmq.RCVHWM, 100_000)
    print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
    threading.Thread(target=_end_with_input, daemon=True).start()
    while True:
        socket.send_multipart(socket.recv_multipart())


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
