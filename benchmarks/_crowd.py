"""Several clients in one process: ``python -m benchmarks._crowd ours|raw``.

For each line of standard input, ``CLIENTS EXCHANGES PORT AT``, so many of them make so many
exchanges each, one after the other, from the moment AT of the monotonic clock on. It prints how
long each took, as a line of JSON. With AT 0 they connect, and begin at once.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import zmq

from benchmarks._exchanges import frames
from mktl.protocol.message import GET

_PATIENCE_MS = 20_000

KEY = "plain"


class Ours:
    """Clients of ours, each with a connection and a thread of its own."""

    def __init__(self) -> None:
        """Have none yet."""
        self._stores: dict[int, list[Any]] = {}

    def run(self, clients: int, exchanges: int, port: int, at: float) -> list[float]:
        """Return the seconds that each took."""
        from mktl.payload import Payload
        from mktl.store import Store

        stores = self._stores.setdefault(port, [])
        while len(stores) < clients:
            stores.append(Store("bench", at=("127.0.0.1", port)))
        taken = [float("inf")] * clients

        def ask(number: int) -> None:
            store = stores[number]
            time.sleep(max(0.0, at - time.monotonic()))
            for _ in range(exchanges):
                if not isinstance(store.read([KEY])[KEY], Payload):
                    return  # which leaves its time without an end
            taken[number] = time.monotonic() - at

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return taken


class Raw:
    """Bare sockets of pyzmq, in one loop."""

    def __init__(self) -> None:
        """Have none yet."""
        self._context = zmq.Context()
        self._sockets: dict[int, list[zmq.Socket[bytes]]] = {}

    def run(self, clients: int, exchanges: int, port: int, at: float) -> list[float]:
        """Return the seconds that each took."""
        sockets = self._sockets.setdefault(port, [])
        while len(sockets) < clients:
            sockets.append(self._context.socket(zmq.DEALER))
            sockets[-1].set(zmq.LINGER, 0)
            sockets[-1].connect(f"tcp://127.0.0.1:{port}")
        request = frames(GET)
        left = dict.fromkeys(sockets[:clients], exchanges)
        taken = dict.fromkeys(left, float("inf"))
        poller = zmq.Poller()
        for socket in left:
            poller.register(socket, zmq.POLLIN)
        time.sleep(max(0.0, at - time.monotonic()))
        for socket in left:
            socket.send_multipart(request)
        while any(left.values()):
            ready = poller.poll(_PATIENCE_MS)
            if not ready:
                break
            for socket, _event in ready:
                socket.recv_multipart()
                left[socket] -= 1
                if left[socket]:
                    socket.send_multipart(request)
                else:
                    taken[socket] = time.monotonic() - at
        return list(taken.values())


def main() -> None:
    """Do what the lines say."""
    crowd = Ours() if sys.argv[1] == "ours" else Raw()
    for line in sys.stdin:
        clients, exchanges, port, at = line.split()
        print(json.dumps(crowd.run(int(clients), int(exchanges), int(port), float(at))), flush=True)


if __name__ == "__main__":
    main()
