"""Names of hosts: under which name this one is reached, and what an address by hand means."""

from __future__ import annotations

import contextlib
import os

from .. import config
from ..errors import ConfigurationError
from ..protocol.names import is_host

__all__ = ["hostname", "is_loopback", "is_this_host", "own_name", "parse_address", "resolves"]


def hostname() -> str:
    """Return the name under which peers reach the sockets that this process binds."""
    given = os.environ.get("MKTL_HOSTNAME")
    if given:
        return given
    bound = config.bind_address()
    if bound != "*":
        return "localhost" if is_loopback(bound) else bound
    import socket

    name = socket.getfqdn()
    with contextlib.suppress(OSError):
        socket.getaddrinfo(name, None)
        return name
    return "localhost"


def is_loopback(address: str) -> bool:
    """Return whether *address* reaches this host alone."""
    import ipaddress

    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def is_this_host(host: str) -> bool:
    """Return whether *host*, a name or an address, is this one, as far as no server is asked."""
    import socket

    if is_loopback(host) or host in (own_name(), os.environ.get("MKTL_HOSTNAME")):
        return True
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Only an address of this host can be bound; a name would be looked up.
            socket.inet_pton(family, host)
            probe.bind((host, 0))
    except OSError:
        return host == hostname()
    return True


def parse_address(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Return host and port of *text*: ``host:port``, ``[::1]:port``, or ``host`` with a default.

    Raises:
        ConfigurationError: it is neither, or the port is none.
    """
    address = text.strip().removeprefix("tcp://")
    host, colon, port = address.rpartition(":")
    if address.endswith("]") or not colon:
        host, port = address, "" if default_port is None else str(default_port)
    host = host.strip("[]")
    if is_host(host) and port.isdecimal() and 0 < int(port) < 65536:
        return host, int(port)
    raise ConfigurationError(f"{text!r} is not an address: write host:port, for example moon:10079")


def resolves(host: str) -> bool:
    """Return whether *host* has an address; waits for the name server, if one has to be asked.

    ZeroMQ would wait itself, and all sockets of the process with it: whoever is told a name by
    strangers has to find out first.
    """
    import socket

    try:
        return bool(socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):  # it has none, or can be no name
        return False


def own_name() -> str:
    """Return the name of this host, whether peers can reach it by that or not."""
    import socket

    return socket.gethostname()
