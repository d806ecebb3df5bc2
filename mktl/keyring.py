"""Pairs of keys on disk: of this user, and of this home's daemons.

Files below ``MKTL_HOME``::

    daemon/keys/server.key     the pair of all daemons of this home: by it clients recognise them
    client/keys/own/NAME.key   pairs of this user: "default", unless MKTL_KEY names another
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import config
from .errors import ConfigurationError
from .security import KEY_BYTES, check_name, key_text, parse_key

__all__ = [
    "KeyPair",
    "changing",
    "make_pair",
    "own_key_file",
    "own_pair",
    "own_pairs",
    "read_pair",
    "read_public",
    "server_key_file",
    "server_pair",
    "write_private",
]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key and the secret one that belongs to it."""

    public: bytes
    secret: bytes = field(repr=False)


def own_key_file(name: str = "") -> Path:
    """Return where the pair *name* of this user is; by default, the one that is used."""
    name = name or os.environ.get("MKTL_KEY") or "default"
    return config.home() / "client" / "keys" / "own" / f"{check_name(name)}.key"


def own_pairs() -> list[str]:
    """Return the names of the pairs of this user, sorted."""
    return sorted(path.stem for path in own_key_file("default").parent.glob("*.key"))


def server_key_file() -> Path:
    """Return where the pair of this home's daemons is."""
    return config.home() / "daemon" / "keys" / "server.key"


def read_pair(path: Path) -> KeyPair:
    """Return the pair in the file at *path*.

    Raises:
        ConfigurationError: others can read it, or it is none. Nothing secret is in the text.
        FileNotFoundError: there is no such file.
    """
    with path.open(encoding="ascii", errors="replace") as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        if mode & 0o077:
            raise ConfigurationError(
                f"{path} is a secret, but its mode is {mode:03o}: others may have read it. If "
                f"nobody has, chmod 600 {path}; else remove it, and make a new one"
            )
        found = dict(_fields(stream.read(4096)))
    try:
        return KeyPair(parse_key(found["public"]), _secret(found["secret"]))
    except (KeyError, ValueError):
        raise ConfigurationError(
            f"{path} is not a pair of keys: it needs a line 'public', and a line 'secret'"
        ) from None


def read_public(path: Path) -> bytes:
    """Return the public key of the pair in the file at *path*.

    Raises:
        ConfigurationError: there is none that can be read.
    """
    try:
        return read_pair(path).public
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def _fields(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        name, _space, value = line.strip().partition(" ")
        if value and not name.startswith("#"):
            yield name, value.strip()


def _secret(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError
    return key


def make_pair(path: Path, what: str) -> KeyPair:
    """Make a new pair at *path*, for *what*; where there is one already, return that.

    Raises:
        ConfigurationError: it cannot be written.
    """
    from .transport.curve import new_pair

    pair = KeyPair(*new_pair())
    text = (
        f"# {what}, made {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())}.\n"
        "# Keep it to yourself: who has the secret is taken for you.\n"
        f"public {key_text(pair.public)}\nsecret {key_text(pair.secret)}\n"
    )
    try:
        make_private_directory(path.parent)
        _write_new(path, text)
    except FileExistsError:
        return read_pair(path)
    except OSError as error:
        raise ConfigurationError(f"no pair of keys can be kept in {path}: {error}") from error
    return pair


def _write_new(path: Path, text: str) -> None:
    """Write a file that is complete when it appears, and that only its owner can read."""
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # of mode 600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(name, path)  # refuses to replace what somebody else has made meanwhile
    finally:
        Path(name).unlink()


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it, that only their owner can enter.

    Only what is called ``keys``, or is below that, is closed: the rest of the home may be shared.
    """
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.name == "keys":
        make_private_directory(path.parent)
        path.parent.chmod(0o700)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)


def write_private(path: Path, text: str) -> None:
    """Replace the file at *path*, in a directory that only its owner can enter.

    Raises:
        OSError: it could not be written; the old file is as it was.
    """
    make_private_directory(path.parent)
    config.write_atomically(path, text.encode())


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Be the only process that reads and then replaces the file at *path*."""
    make_private_directory(path.parent)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def server_pair() -> KeyPair:
    """Return the pair of this home's daemons, made on first need.

    Raises:
        ConfigurationError: it cannot be read or made, or others can read it.
    """
    path = server_key_file()
    try:
        return read_pair(path)
    except FileNotFoundError:
        return make_pair(path, "The pair of keys of the mKTL daemons of this home")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def own_pair() -> KeyPair:
    """Return the pair with which this process connects; one for now where the user has none.

    Raises:
        ConfigurationError: it cannot be read, others can read it, or ``MKTL_KEY`` names none.
    """
    path = own_key_file()
    try:
        return read_pair(path)
    except FileNotFoundError:
        if os.environ.get("MKTL_KEY"):
            raise ConfigurationError(
                f"there is no pair of keys {path}, which MKTL_KEY asks for: mark keys new "
                f"{path.stem}"
            ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return _pair_for_now()


@functools.cache
def _pair_for_now() -> KeyPair:
    from .transport.curve import new_pair

    return KeyPair(*new_pair())
