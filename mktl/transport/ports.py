"""Which ports a daemon binds: the ones it had before, else the first that are free."""

from __future__ import annotations

import logging
from pathlib import Path

import zmq

from .. import config
from ..errors import MktlError

__all__ = ["PUBLISH_PORTS", "REQUEST_PORTS", "bind", "reserved_ports"]

REQUEST_PORTS = range(10079, 13680)
PUBLISH_PORTS = range(10139, 13680)

_log = logging.getLogger(__name__)


def reserved_ports(directory: Path) -> set[int]:
    """Return the ports that daemons of this host remember in *directory* (``daemon/port``).

    A daemon that is down for a minute should find its ports free when it returns.
    """
    return {port for path in directory.glob("*/*") if (port := read_port(path)) is not None}


def read_port(path: Path) -> int | None:
    """Return the port in the file at *path*; ``None`` where there is none."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() and 0 < int(text) < 65536 else None


def bind(socket: zmq.Socket[bytes], remembered: Path, ports: range, reserved: set[int]) -> int:
    """Bind *socket* and return its port.

    Args:
        socket: Not bound yet.
        remembered: File with the port to prefer; it is written with the port that was bound.
        ports: Where to look for a free one.
        reserved: Ports that others will want back; used only when nothing else is free.

    Raises:
        MktlError: none is free.
    """
    before = read_port(remembered)
    others = reserved - {before}
    first = config.first_port(ports[0])
    ordered = sorted(ports, key=lambda port: (port < first, port))
    candidates = [port for port in ordered if port not in others]
    candidates += [port for port in ordered if port in others]
    if before is not None:
        candidates.insert(0, before)
    address = config.bind_address()
    for port in candidates:
        if _bind_one(socket, address, port):
            break
        if port == before:
            _log.warning("port %d of the last run is taken by another process", port)
    else:
        raise MktlError(f"no port from {ports[0]} to {ports[-1]} is free on {address}")
    if port != before:
        try:
            config.write_atomically(remembered, f"{port}\n".encode())
        except OSError as error:
            _log.warning(
                "%s cannot be written, so that the port may change at the next start: %s",
                remembered,
                error,
            )
    return port


def _bind_one(socket: zmq.Socket[bytes], address: str, port: int) -> bool:
    try:
        socket.bind(f"tcp://{address}:{port}")
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            return False
        raise MktlError(f"cannot bind {address}:{port}: {error}") from error
    return True
