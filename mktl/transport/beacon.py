"""Discovery datagrams: calling, and answering calls."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time

from .. import config
from ..errors import AlreadyRunning
from ..protocol import discovery
from .hosts import is_loopback
from .shared import Wakeup

__all__ = ["Beacon", "call"]

MOST_ANSWERS = 4096
"""Addresses that one call finds at most: whoever answers under ever more of them is no daemon."""

_log = logging.getLogger(__name__)


def call(port: int, *, wait_s: float, first_only: bool = False) -> list[tuple[str, int]]:
    """Call on UDP *port* and return the addresses (host, request port) that answered.

    Args:
        port: Of registries or of daemons.
        wait_s: How long to listen for answers, in seconds.
        first_only: Return at the first answer.
    """
    found: dict[tuple[str, int], None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for address in config.broadcast_addresses():
            # No network, or a firewall: what can be reached may still answer.
            with contextlib.suppress(OSError):
                caller.sendto(discovery.CALL, (address, port))
        deadline = time.monotonic() + wait_s
        while (remaining := deadline - time.monotonic()) > 0:
            caller.settimeout(remaining)
            try:
                datagram, (host, _port) = caller.recvfrom(discovery.LONGEST)
            except TimeoutError:
                break
            except OSError:  # an earlier datagram was refused: Linux reports it here
                continue
            answered = discovery.parse_answer(datagram)
            if answered is not None:
                found[host, answered] = None
                if first_only or len(found) >= MOST_ANSWERS:
                    break
    return list(found)


class Beacon:
    """Answers calls on a UDP port, in a thread of its own.

    Args:
        port: UDP port to listen on.
        request_port: TCP port to offer.
        shared: Whether others on this host listen on the same port (daemons do).
        name: For the thread.

    Raises:
        AlreadyRunning: the port is taken.
    """

    def __init__(self, port: int, request_port: int, *, shared: bool, name: str) -> None:
        self._answer = discovery.answer(request_port)
        self._local_only = is_loopback(config.bind_address())
        self._stopping = False
        self._wakeup = Wakeup()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if shared:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # Every interface, as a socket bound to one address gets no broadcasts.
            self._socket.bind(("", port))
        except OSError as error:
            self._socket.close()
            self._wakeup.close()
            raise AlreadyRunning(
                f"UDP port {port} is taken by another process: {error.strerror}"
            ) from error
        self._socket.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"{name}-beacon", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(self._wakeup.fileno(), select.POLLIN)
        while not self._stopping:
            poller.poll()
            with contextlib.suppress(OSError):  # the caller has gone: nothing to answer
                datagram, caller = self._socket.recvfrom(discovery.LONGEST)
                if discovery.is_call(datagram) and self._may_ask(caller[0]):
                    self._socket.sendto(self._answer, caller)

    def _may_ask(self, host: str) -> bool:
        """A daemon that is bound to loopback has nothing to offer to other hosts."""
        return not self._local_only or host.startswith("127.")

    def close(self) -> None:
        """Stop answering."""
        self._stopping = True
        self._wakeup.set()
        self._thread.join()
        self._socket.close()
        self._wakeup.close()
