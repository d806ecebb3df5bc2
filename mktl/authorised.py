"""Whom the daemons of this home recognise: ``daemon/keys/authorised`` below ``MKTL_HOME``.

A line for each: name, role, public key. It may be edited by hand; ``mark keys allow`` and
``revoke`` leave all other lines as they are.
"""

from __future__ import annotations

import logging
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import config
from ._ratelimit import RateLimitedLog
from .errors import BadValue, ConfigurationError, UnknownKey
from .keyring import changing, write_private
from .protocol.names import nearest
from .security import check_name, check_role, key_text, parse_key

__all__ = ["AuthorisedKey", "AuthorisedKeys", "authorised_keys"]

MOST_LINES = 10_000
"""Lines of the file that are read."""
_HEAD = "# Whom the daemons of this home recognise: name, role, public key.\n"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuthorisedKey:
    """One line of the file."""

    name: str
    role: str
    public: bytes

    def line(self) -> str:
        """Return it as it stands in the file."""
        return f"{self.name} {self.role} {key_text(self.public)}\n"


def authorised_keys() -> AuthorisedKeys:
    """Return the keys that this home's daemons recognise."""
    return AuthorisedKeys(config.home() / "daemon" / "keys" / "authorised")


class AuthorisedKeys:
    """The file of authorised keys, read again when it changes.

    A line that is none is left out, and told of. Nobody is recognised by a file that others can
    write.

    Args:
        path: The file; there need not be one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: object = None
        self._keys: dict[str, AuthorisedKey] = {}
        self._trouble = RateLimitedLog(_log)

    def find(self, key: str) -> AuthorisedKey | None:
        """Return the authorised key with the text *key*, as the file is now."""
        return self._now().get(key)

    def roles(self) -> dict[bytes, str]:
        """Return the roles by key."""
        return {one.public: one.role for one in self._now().values()}

    def all(self) -> list[AuthorisedKey]:
        """Return all of them, in the order of the file."""
        return list(self._now().values())

    def _now(self) -> dict[str, AuthorisedKey]:
        try:
            found = self.path.stat()
            state: object = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
        except OSError:
            state = None
        if state == self._seen:
            return self._keys
        with self._lock:
            try:
                self._keys = self._parse(self._text())
            except ConfigurationError as error:
                self._keys = {}
                if isinstance(error.__cause__, OSError):
                    # No descriptor is free, say: the file tells by no change that this is over.
                    self._trouble.warning("nobody is recognised: %s", error)
                    state = None
                else:
                    _log.error("nobody is recognised: %s", error)
            self._seen = state
            return self._keys

    def _text(self) -> str:
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return _HEAD
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self.path} cannot be read: {error}") from error
        if mode & 0o022:
            raise ConfigurationError(
                f"{self.path} is not used, as others can write to it and authorise themselves "
                f"(its mode is {mode:03o}): see what is in it, then chmod 600 {self.path}"
            )
        return text

    def _parse(self, text: str) -> dict[str, AuthorisedKey]:
        found: dict[str, AuthorisedKey] = {}
        for number, words in _words(text):
            try:
                if len(words) != 3:
                    raise BadValue("it is not a name, a role and a public key")
                one = AuthorisedKey(check_name(words[0]), check_role(words[1]), parse_key(words[2]))
                known = found.setdefault(key_text(one.public), one)
                if known is not one:
                    raise BadValue(f"the key is that of {known.name} already")
            except BadValue as error:
                _log.error("%s, line %d, is not used: %s", self.path, number, error)
        return found

    def allow(self, one: AuthorisedKey) -> None:
        """Recognise *one* from now on; what was authorised under its name no longer is.

        Raises:
            BadValue: the key is authorised under another name.
            ConfigurationError: the file cannot be read, or written.
        """
        self._change(one.name, one)

    def revoke(self, name: str) -> AuthorisedKey:
        """Recognise *name* no longer.

        Raises:
            UnknownKey: there is none of that name.
            ConfigurationError: the file cannot be read, or written.
        """
        return self._change(name, None)

    def _change(self, name: str, new: AuthorisedKey | None) -> AuthorisedKey:
        try:
            with changing(self.path):
                text = self._text()
                keys = list(self._parse(text).values())
                changed = new or self._named(name, keys)
                for one in keys:
                    if new is not None and one.public == new.public and one.name != name:
                        raise BadValue(
                            f"this key is authorised already, as {one.name!r} with the role "
                            f"{one.role!r}: mark keys revoke {one.name} first"
                        )
                kept = [line for line in text.splitlines() if line.split()[:1] != [name]]
                lines = "".join(f"{line}\n" for line in kept)
                write_private(self.path, lines + (new.line() if new is not None else ""))
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written: {error}") from error
        return changed

    def _named(self, name: str, keys: list[AuthorisedKey]) -> AuthorisedKey:
        by_name = {one.name: one for one in keys}
        if name in by_name:
            return by_name[name]
        close = " or ".join(nearest(name, by_name))
        hint = f"; did you mean {close}?" if close else ""
        raise UnknownKey(f"no key {name!r} is authorised in {self.path}{hint}")


def _words(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the words of each line that says something."""
    for number, line in enumerate(text.splitlines()[:MOST_LINES], 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield number, words
