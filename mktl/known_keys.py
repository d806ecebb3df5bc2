"""Which key a daemon has to have, as this home knows it.

The first key that a daemon shows is kept, and another one later is refused, as ssh does it. What
is known by other means is said by ``mark keys trust``, best before the first connection.

``client/keys/known`` below ``MKTL_HOME`` has a line for each: who, key, what to call it. Who is
``uuid:UUID``, ``host``, or ``host:port``; the key ``plain`` says that there is none.
``daemon/keys/serving/UUID`` tells of each daemon of this home that is encrypted: it is known
without being asked.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import config
from .errors import BadValue, ConfigurationError, UnknownKey, UntrustedDaemon
from .keyring import changing, read_public, server_key_file, write_private
from .security import fingerprint, key_text, parse_key
from .transport.hosts import is_this_host

if TYPE_CHECKING:
    from .catalog import Block

__all__ = ["PLAIN", "Known", "forget", "key_at", "key_for", "known", "note_serving", "trust"]

PLAIN = "plain"
"""In place of a key: whoever it is, connections to it are not encrypted."""
MOST_KNOWN = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """One line of the file of known keys."""

    who: str
    """``uuid:UUID``, ``host`` or ``host:port``."""
    key: bytes | None
    """Public key; ``None``: there is none, connections are not encrypted."""
    name: str = ""
    """What to call the daemon."""

    def line(self) -> str:
        """Return it as it stands in the file."""
        key = PLAIN if self.key is None else key_text(self.key)
        return f"{self.who} {key} {self.name}".rstrip()


def _file() -> Path:
    return config.home() / "client" / "keys" / "known"


def known() -> dict[str, Known]:
    """Return what is known, by who it is. A line that is none is left out, and told of."""
    try:
        text = _file().read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{_file()} cannot be read: {error}") from error
    found = {}
    for number, line in enumerate(text.splitlines()[:MOST_KNOWN], 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if len(words) < 2:
                raise BadValue("it is not a host and a key")
            key = None if words[1] == PLAIN else parse_key(words[1])
        except BadValue as error:
            _log.error("%s, line %d, is not used: %s", _file(), number, error)
            continue
        found[words[0]] = Known(words[0], key, " ".join(words[2:]))
    return found


@contextlib.contextmanager
def _changing() -> Iterator[dict[str, Known]]:
    """Yield what is known, and write what has become of it."""
    head = "# Keys of daemons: who (uuid, host, or host:port), key, name.\n"
    try:
        with changing(_file()):
            entries = known()
            yield entries
            write_private(_file(), head + "".join(f"{one.line()}\n" for one in entries.values()))
    except OSError as error:
        raise ConfigurationError(f"{_file()} cannot be written: {error}") from error


def trust(who: str, key: bytes | None, name: str = "") -> None:
    """Take *key* for that of *who*, instead of any that was known before.

    Args:
        who: ``host``, ``host:port`` or ``uuid:UUID``.
        key: Public key; ``None``: connections to it are not encrypted.
        name: What to call the daemon.
    """
    with _changing() as entries:
        entries[who] = Known(who, key, name)
        if not who.startswith("uuid:"):
            # What was seen first, of daemons of whom one now knows better, must not stand in the
            # way; nor is it known which of them are on that host.
            for one in [one for one in entries.values() if one.who.startswith("uuid:")]:
                if name_of_host(one) == who.partition(":")[0]:
                    del entries[one.who]


def name_of_host(entry: Known) -> str:
    """Return the host at which the key of *entry* was seen; empty if that was not noted."""
    _name, at, host = entry.name.partition("@")
    return host if at else ""


def forget(name: str) -> list[Known]:
    """Forget the keys of *name*: a host, ``host:port``, or the ``store.alias`` of a daemon.

    Raises:
        UnknownKey: none is known.
    """
    with _changing() as entries:
        found = [one for one in entries.values() if name in (one.who, one.name.partition("@")[0])]
        if not found:
            raise UnknownKey(f"no key of {name!r} is known: mark keys list shows those that are")
        for one in found:
            del entries[one.who]
    return found


# Which key to connect with.


def key_for(block: Block) -> bytes | None:
    """Return the key that the daemon of *block* has to have; ``None`` to connect in clear text.

    Raises:
        UntrustedDaemon: it shows another one than is known.
        ConfigurationError: what is known cannot be read.
    """
    origin = block.daemon
    if origin is None:
        return None
    if _serving(block.uuid):
        return read_public(server_key_file())
    entries = known()
    offered = parse_key(origin.curve) if origin.curve else None
    who = f"uuid:{block.uuid}"
    entry = entries.get(who) or _at(entries, origin.hostname, origin.rep)
    # Else whoever can make up an identity would be taken for a daemon that is known.
    entry = entry or _named(entries, block.name, offered)
    if entry is None:
        if offered is not None:
            _keep(Known(who, offered, f"{block.name}@{origin.hostname}"))
        return offered
    if offered is not None and entry.key != offered:
        raise UntrustedDaemon(_changed(block, entry, offered))
    return entry.key


def key_at(host: str, port: int) -> bytes | None:
    """Return the key that whoever is at *host* and *port* has to have, as far as it is known."""
    # In this order, as a name server may be asked which host this is.
    if (
        os.path.isdir(_directory())  # noqa: PTH112 - False where it is closed to us
        and any(port in _ports(path) for path in _directory().iterdir())
        and is_this_host(host)
    ):
        return read_public(server_key_file())
    entry = _at(known(), host, port)
    return None if entry is None else entry.key


def _at(entries: dict[str, Known], host: str, port: int) -> Known | None:
    return entries.get(f"{host}:{port}") or entries.get(host)


def _named(entries: dict[str, Known], name: str, offered: bytes | None) -> Known | None:
    """Return what is known of the daemon *name* under any identity: best, the key *offered*."""
    same = [
        one
        for one in entries.values()
        if one.who.startswith("uuid:") and one.name.partition("@")[0] == name
    ]
    return next((one for one in same if one.key == offered), same[-1] if same else None)


def _keep(entry: Known) -> None:
    """Keep the first key of a daemon. That it cannot be kept costs safety later, not now."""
    assert entry.key is not None
    try:
        with _changing() as entries:
            entries.setdefault(entry.who, entry)
    except ConfigurationError as error:
        _log.warning("the key of %s was not kept: %s", entry.name, error)
    else:
        _log.info("the key of %s is %s from now on", entry.name, fingerprint(entry.key))


def _changed(block: Block, entry: Known, offered: bytes) -> str:
    origin = block.daemon
    assert origin is not None
    before = "none" if entry.key is None else fingerprint(entry.key)
    return (
        f"{block.name} at {origin.hostname}:{origin.rep} shows another key than before: "
        f"{fingerprint(offered)}, and {before} is known ({entry.who}). Nothing was sent. Its key "
        "was made anew, or somebody is in between: ask who keeps the daemon, who finds its key "
        f"with mark keys server. If all is well: mark keys trust {origin.hostname} "
        f"{key_text(offered)}"
    )


# Daemons of this home.


def _directory() -> Path:
    return config.home() / "daemon" / "keys" / "serving"


def _serving(uuid: str) -> bool:
    return os.path.exists(_directory() / uuid)  # noqa: PTH110 - False where it is closed to us


def _ports(path: Path) -> set[int]:
    try:
        return {int(word) for word in path.read_text(encoding="ascii").split() if word.isdecimal()}
    except (OSError, UnicodeDecodeError):
        return set()


def note_serving(uuid: str, ports: tuple[int, int] | None) -> None:
    """Note for clients of this home that the daemon *uuid* is encrypted, or no longer is."""
    path = _directory() / uuid
    try:
        if ports is None:
            path.unlink(missing_ok=True)
        elif _ports(path) != set(ports):
            write_private(path, f"{ports[0]} {ports[1]}\n")
    except OSError as error:  # a full disk, say, which keeps no daemon from starting
        if ports is not None or os.path.lexists(path):
            _log.warning("clients of this home are not told whether a daemon encrypts: %s", error)
