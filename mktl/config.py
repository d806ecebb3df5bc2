"""Where files are, and which addresses and ports are used.

Everything can be set by environment variables, so that a test, a laptop and an observatory differ
in nothing else:

``MKTL_HOME``            directory of all files; default ``~/.mKTL``
``MKTL_BIND``            address that daemons bind; default every interface
``MKTL_HOSTNAME``        the name under which this host is announced; default its own
``MKTL_BROADCAST``       addresses to call for discovery, comma-separated; default 255.255.255.255
``MKTL_REGISTRY_PORT``   UDP port of registries; default 10103
``MKTL_DISCOVERY_PORT``  UDP port of daemons; default 10111
``MKTL_FIRST_PORT``      TCP port at which a daemon begins to look for free ones; default 10079
``MKTL_MAX_MESSAGE``     bytes that one frame may have; default 256 MiB
``MKTL_MAX_BACKLOG``     bytes that what peers do not finish or read may take; default 1 GiB
``MKTL_TIMEOUT``         seconds that a daemon has to acknowledge a request; default 2
``MKTL_SILENCE``         seconds without a broadcast after which a daemon counts as gone; default 5
``MKTL_AWAKE``           seconds for which to wait awake, where answers come quickly; default 0.0003
``MKTL_KEY``             name of the pair of keys to connect with; default "default"
``MKTL_AUDIT_BYTES``     bytes that one file of a daemon's audit log may have; default 10 MB
``MKTL_AUDIT_FILES``     how many such files are kept of each daemon; default 10
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .errors import ConfigurationError
from .protocol import discovery

__all__ = [
    "LOOPBACK_BROADCAST",
    "answer_timeout_s",
    "audit_bytes",
    "audit_files",
    "awake_s",
    "bind_address",
    "broadcast_addresses",
    "check_timeout",
    "daemon_discovery_port",
    "first_port",
    "home",
    "max_backlog",
    "max_message",
    "registry_discovery_port",
    "set_answer_timeout_s",
    "set_home",
    "silence_s",
    "write_atomically",
]

LOOPBACK_BROADCAST = "127.255.255.255"
"""Reaches every listener on this host, also where there is no network."""

_LEAST_SILENCE_S = 2.0

_home: Path | None = None
_answer_timeout_s: float | None = None


def home() -> Path:
    """Return the directory that holds all files of this user's daemons and clients."""
    if _home is not None:
        return _home
    return Path(os.environ.get("MKTL_HOME") or "~/.mKTL").expanduser()


def set_home(path: str | os.PathLike[str] | None) -> Path:
    """Use *path* instead of ``$MKTL_HOME`` in this process; ``None`` goes back to it."""
    global _home  # noqa: PLW0603 - one process has one home
    _home = None if path is None else Path(path).expanduser()
    return home()


def bind_address() -> str:
    """Return the address to bind sockets to; ``*`` stands for every interface."""
    return os.environ.get("MKTL_BIND") or "*"


def broadcast_addresses() -> list[str]:
    """Return the addresses to call for discovery, this host's own always among them."""
    given = os.environ.get("MKTL_BROADCAST", "255.255.255.255")
    addresses = [part.strip() for part in given.split(",") if part.strip()]
    return list(dict.fromkeys([*addresses, LOOPBACK_BROADCAST]))


def registry_discovery_port() -> int:
    """Return the UDP port on which registries listen."""
    return _number("MKTL_REGISTRY_PORT", discovery.REGISTRY_PORT, most=65535)


def daemon_discovery_port() -> int:
    """Return the UDP port on which daemons listen."""
    return _number("MKTL_DISCOVERY_PORT", discovery.DAEMON_PORT, most=65535)


def first_port(default: int) -> int:
    """Return the TCP port at which to begin looking for a free one."""
    return _number("MKTL_FIRST_PORT", default, most=65535)


def max_message() -> int:
    """Return the bytes that one frame from the network may have."""
    return _number("MKTL_MAX_MESSAGE", 2**28, most=2**62)


def audit_bytes() -> int:
    """Return the bytes that one file of an audit log may have."""
    return _number("MKTL_AUDIT_BYTES", 10_000_000, most=2**40)


def audit_files() -> int:
    """Return how many files of an audit log are kept."""
    return _number("MKTL_AUDIT_FILES", 10, most=1000)


def max_backlog() -> int:
    """Return the bytes in memory for peers, beyond which those to blame are disconnected."""
    return _number("MKTL_MAX_BACKLOG", 2**30, most=2**62)


def answer_timeout_s() -> float:
    """Return the seconds that a peer has to acknowledge a request, or to answer it right away."""
    if _answer_timeout_s is not None:
        return _answer_timeout_s
    text = os.environ.get("MKTL_TIMEOUT")
    if not text:
        return 2.0
    return check_timeout(text, "MKTL_TIMEOUT")


def set_answer_timeout_s(seconds: float | None) -> None:
    """Use *seconds* instead of ``$MKTL_TIMEOUT`` in this process; ``None`` goes back to it."""
    global _answer_timeout_s  # noqa: PLW0603 - one process has one patience
    _answer_timeout_s = seconds


def silence_s() -> float:
    """Return the seconds for which a daemon may broadcast nothing until it counts as gone."""
    seconds = check_timeout(os.environ.get("MKTL_SILENCE") or "5", "MKTL_SILENCE")
    if seconds < _LEAST_SILENCE_S:
        raise ConfigurationError(
            f"MKTL_SILENCE must be at least {_LEAST_SILENCE_S:g} s, not {seconds:g}: the clock of "
            "a daemon, by which it is heard, comes once a second"
        )
    return seconds


def awake_s() -> float:
    """Return for how many seconds to wait awake for what has come quickly before; 0: never."""
    text = os.environ.get("MKTL_AWAKE") or "0.0003"
    with contextlib.suppress(ValueError):
        if float(text) == 0:
            return 0.0
    return check_timeout(text, "MKTL_AWAKE, unless it is 0,")


def check_timeout(text: str, what: str) -> float:
    """Return the seconds in *text*.

    Raises:
        ConfigurationError: it is not a number above 0; *what* is at fault.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 < seconds < float("inf"):
        return seconds
    raise ConfigurationError(f"{what} must be a number of seconds above 0, not {text!r}")


def _number(variable: str, default: int, *, most: int) -> int:
    text = os.environ.get(variable)
    if not text:
        return default
    if text.isdecimal() and 0 < int(text) <= most:
        return int(text)
    raise ConfigurationError(f"{variable} must be a number from 1 to {most}, not {text!r}")


def _synchronise(directory: Path) -> None:
    """Have the names in *directory* on disk, too: else a power cut takes a new file away again."""
    with contextlib.suppress(OSError):  # the file itself is there; not all systems know this
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at *path* by *data*: a reader sees the old or the new, never a part.

    Raises:
        OSError: it could not be written; the old file is as it was.
    """
    import tempfile  # slow to import, and most commands write nothing

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
        _synchronise(path.parent)
    except BaseException:  # nobody else knows of the file
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
