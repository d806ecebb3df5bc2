"""One ZeroMQ socket used by several threads, without a thread of its own.

A ZeroMQ socket may be used by one thread at a time, so every operation holds a lock; only the
waiting happens outside it, on the socket's file descriptor. That descriptor signals changes, not
states: whoever touches the socket may consume the signal, and therefore has to take in what has
arrived before letting go of the lock. :class:`SharedSocket` sees to that.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import zmq

from ..errors import ConnectionLost
from .waiting import Poller

__all__ = ["SharedSocket", "Wakeup", "contents"]

Frames = Sequence[bytes | memoryview]

COPY_BELOW = 65536
"""Bytes below which copying a frame costs less than keeping track of it."""

# As plain numbers: to combine flags of an enumeration costs more than to send a frame.
_NOW, _MORE_FOLLOWS = int(zmq.DONTWAIT), int(zmq.DONTWAIT | zmq.SNDMORE)
_LONGEST_RUN = 64
"""Messages that are received at most until it is asked whether there are more."""
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)


class Wakeup:
    """Ends another thread's wait on a descriptor."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._lock = threading.Lock()
        self._closed = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._reader

    def set(self) -> None:
        """End the wait, or the next one."""
        # Under a lock, as the number of a closed descriptor may be somebody else's by now.
        with self._lock:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # a full pipe wakes just as well
                    os.write(self._writer, b"x")

    def clear(self) -> None:
        """Make the next wait a real one."""
        with self._lock:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._reader, 4096)

    def close(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.close(self._reader)
            os.close(self._writer)


class SharedSocket:
    """A socket, the lock around it, and the rule that every touch takes in what has arrived.

    Args:
        socket: The socket; closed by :meth:`close`.
        receive: Called with the frames of each message, under the lock: it must only note them.
            :func:`contents` is what they say.
        has_room: Asked before each message is taken in; what is refused stays in ZeroMQ's queue,
            and in the end with its sender.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        receive: Callable[[list[zmq.Frame]], None],
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._socket = socket
        # What pyzmq's own methods call; without their options for other kinds, at a fifth of the
        # cost.
        plain: Any = super(zmq.Socket, socket)
        self._send_frame, self._receive_frame = plain.send, plain.recv
        self._get_option = plain.get
        self._receive = receive
        self._has_room = has_room
        self._lock = threading.Lock()
        self._wakeup = Wakeup()
        self._descriptor = int(socket.get(zmq.FD))
        self._poller = Poller()
        self._poller.register(self._descriptor)
        self._poller.register(self._wakeup.fileno())
        self._closed = False

    def fileno(self) -> int:
        """Return the descriptor that signals that :meth:`take_in` may find something."""
        return self._descriptor

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def send(self, frames: Frames, *, take_in: bool | Callable[[], bool] = True) -> bool:
        """Send *frames* now; return ``False`` if no peer can take them.

        Args:
            frames: The message.
            take_in: Whether to take in what has arrived; if not, :meth:`take_in` has to follow
                before anybody waits. A function is asked once it was sent.

        Raises:
            ConnectionLost: the socket is closed.
        """
        with self._lock:
            if self._closed:
                self._check_open()
            copy = max(map(len, frames)) < COPY_BELOW
            *first, last = frames
            try:
                for frame in first:
                    self._send_frame(frame, _MORE_FOLLOWS, copy)
                self._send_frame(last, _NOW, copy)
            except zmq.Again:
                sent = False
            else:
                sent = True
            if take_in is True or (take_in is not False and take_in()):
                self._drain()
        return sent

    def take_in(self, signals: Collection[int] = ()) -> None:
        """Hand every message that has arrived to ``receive``.

        Args:
            signals: What :meth:`wait` has just returned.
        """
        with self._lock:
            if not self._closed:
                self._drain(expected=self._descriptor in signals)

    def take_in_one(self) -> None:
        """Hand the first message that has arrived to ``receive``.

        To be called where one is signalled, and followed by :meth:`take_in`: it is at hand sooner
        where it is not looked first whether it is the only one.
        """
        with self._lock:
            if self._closed or not self._has_room():
                return
            try:
                self._take_one()
            except zmq.Again:  # it was taken in by another thread
                return

    def configure(self, change: Callable[[zmq.Socket[bytes]], None]) -> None:
        """Call *change* with the socket, alone (to connect, subscribe and so on)."""
        with self._lock:
            self._check_open()
            change(self._socket)
            self._drain()

    def also_wait_for(self, descriptor: int) -> None:
        """Have :meth:`wait` return when *descriptor* becomes readable, too."""
        self._poller.register(descriptor)

    def wait(self, timeout_s: float | None) -> list[int]:
        """Wait until something may have arrived, :meth:`wake` was called, or the time is over.

        Take in first, then wait: a message that came before would not end the wait.

        Returns:
            The descriptors that signal something; none when the time is over.
        """
        ready = self._poller.wait(timeout_s)
        if self._wakeup.fileno() in ready:
            self._wakeup.clear()
        return ready

    def wait_writable(self, deadline: float) -> bool:
        """Wait until a peer can take a message; return whether one can before *deadline*.

        Args:
            deadline: In seconds of :func:`time.monotonic`.
        """
        while True:
            with self._lock:
                self._check_open()
                ready = bool(int(self._socket.get(zmq.EVENTS)) & zmq.POLLOUT)
                self._drain()
            remaining = deadline - time.monotonic()
            if ready or remaining <= 0:
                return ready
            # Bounded, as another thread may consume the signal that this one waits for; and not
            # wait(), which would consume the wake-up that another thread waits for.
            waiter = select.poll()
            waiter.register(self._descriptor, select.POLLIN)
            waiter.poll(1000 * min(remaining, 0.02))

    def wake(self) -> None:
        """End a :meth:`wait` in another thread."""
        self._wakeup.set()

    def close(self) -> None:
        """Close the socket. May be called twice, but not while another thread waits."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._socket.close()
        self._wakeup.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLost("this connection was closed")

    def _drain(self, *, expected: bool = False) -> None:
        # Asked first: a receive that finds nothing raises, which costs three times as much. Where
        # many have come, it is asked less and less often.
        run = 1
        while self._has_room() and (expected or self._get_option(_EVENTS) & _READABLE):
            expected = False
            try:
                for _message in range(run):
                    if self._has_room():
                        self._take_one()
            except zmq.Again:
                return
            run = min(2 * run, _LONGEST_RUN)

    def _take_one(self) -> None:
        frame = self._receive_frame(_NOW, False)
        frames = [frame]
        while frame.more:
            frame = self._receive_frame(_NOW, False)
            frames.append(frame)
        self._receive(frames)


def contents(frames: Sequence[zmq.Frame]) -> list[bytes | memoryview]:
    """Return what *frames* say."""
    return [frame.bytes if len(frame) < COPY_BELOW else frame.buffer for frame in frames]
