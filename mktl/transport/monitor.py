"""What happens to the connections of a ZeroMQ socket."""

from __future__ import annotations

import struct
import threading

import zmq

__all__ = ["Monitor"]

_EVENT = struct.Struct("=HI")


class Monitor:
    """Events of one socket, to be taken by any thread.

    Args:
        socket: Not connected yet, so that nothing is missed.
        events: Which ones, as ``zmq.EVENT_...`` bits.
    """

    def __init__(self, socket: zmq.Socket[bytes], events: int) -> None:
        self._lock = threading.Lock()
        self._watched = socket
        self._socket = socket.get_monitor_socket(events)
        self._descriptor = int(self._socket.get(zmq.FD))
        self._closed = False

    def fileno(self) -> int:
        """Return the descriptor that signals that :meth:`take` may find something."""
        return self._descriptor

    def take(self) -> list[int]:
        """Return the events since the last call, oldest first."""
        events: list[int] = []
        with self._lock:
            while not self._closed:
                try:
                    event, *_address = self._socket.recv_multipart(zmq.DONTWAIT)
                except zmq.Again:
                    break
                events.append(_EVENT.unpack(event)[0])
        return events

    def close(self) -> None:
        """Stop watching; before the watched socket is closed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._watched.disable_monitor()
                self._socket.close()
