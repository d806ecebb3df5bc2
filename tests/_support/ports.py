"""Port numbers that no other test is given, in this process or in another one.

A number that is merely free now may be gone a moment later, when several workers run tests at
once. So each number handed out is also locked, with a file of its own, until this process ends
or gives it back.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

__all__ = ["free_tcp_port", "free_udp_port", "release", "release_all"]

# Above the ports that daemons look for (10079 to 13679), below those that Linux gives to
# outgoing connections (32768 and up).
FIRST, LAST = 14000, 32000

# Not the generator that pytest-randomly seeds alike in every worker.
_random = random.SystemRandom()
_locks: dict[int, int] = {}


def free_tcp_port() -> int:
    """Return a TCP port on which nothing listens and that no other running test is given."""
    return _claim(socket.SOCK_STREAM)


def free_udp_port() -> int:
    """Return a UDP port that nothing has bound and that no other running test is given."""
    return _claim(socket.SOCK_DGRAM)


def release(*ports: int) -> None:
    """Give numbers back before the process ends."""
    for port in ports:
        lock = _locks.pop(port, None)
        if lock is not None:
            os.close(lock)


def release_all() -> None:
    """Give all numbers back."""
    release(*list(_locks))


def _claim(kind: socket.SocketKind) -> int:
    for _ in range(1000):
        port = _random.randrange(FIRST, LAST)
        if port in _locks:
            continue
        lock = _lock(port)
        if lock is None:
            continue
        if _is_free(port, kind):
            _locks[port] = lock
            return port
        os.close(lock)
    raise RuntimeError(f"no free port found between {FIRST} and {LAST}")


def _lock(port: int) -> int | None:
    folder = Path(tempfile.gettempdir()) / f"mktl-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
