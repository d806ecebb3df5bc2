"""Who may read and who may set what, as a daemon applies it to what it is asked."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ._callers import EVERYBODY, ITSELF, Caller
from .errors import NotAllowed
from .security import BUILT_IN_ROLES, Role, Rules

if TYPE_CHECKING:
    from .authorised import AuthorisedKey

__all__ = ["Access"]


_OF_EVERYBODY = ("audit", "cat", "clk", "cpu", "dev", "host", "lock", "mem", "pid", "uuid")
"""Items of the daemon itself that tell how it is, and nothing of its other items."""


class _Globs:
    """Keys that match one of a few patterns, and none of those that have ``!`` in front."""

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = tuple(patterns)
        wanted = [one for one in patterns if not one.startswith("!")]
        unwanted = [one[1:] for one in patterns if one.startswith("!")]
        self.any = bool(wanted)
        self.everything = "*" in wanted and not unwanted
        self._wanted, self._unwanted = _regex(wanted), _regex(unwanted)

    def match(self, key: str) -> bool:
        """Return whether *key*, in lower case, is one of them."""
        if self.everything:
            return True
        return bool(self._wanted.match(key)) and not self._unwanted.match(key)


def _regex(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)")


class _Permissions:
    """A role, ready to be applied to any number of keys."""

    def __init__(self, role: Role) -> None:
        self._read, self._set = _Globs(role.read), _Globs(role.set)
        self.reads_everything = self._read.everything

    def may_read(self, key: str) -> bool:
        # Whether the daemon lives, and how it does, is no secret to whom it tells anything.
        of_everybody = self._read.any and key.startswith("_") and key.endswith(_OF_EVERYBODY)
        return of_everybody or self._read.match(key)

    def may_set(self, key: str) -> bool:
        return self._set.match(key)


def _nobody(_key: str) -> AuthorisedKey | None:
    return None


class Access:
    """Applies *rules*; without any, everybody may do everything.

    Args:
        rules: Of the daemon.
        authorised: Finds an authorised key by its text; asked each time, as keys may be revoked.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        authorised: Callable[[str], AuthorisedKey | None] = _nobody,
    ) -> None:
        self.rules = Rules() if rules is None else rules
        self._authorised = authorised
        roles = {**BUILT_IN_ROLES, **self.rules.roles}
        self._roles = {name: _Permissions(role) for name, role in roles.items()}
        # With CURVE, who has the role "none" cannot connect, and so has nothing to be kept from.
        possible = roles.keys() - {"none"} if self.rules.curve else {self.rules.unknown}
        self.restricts_reading = not all(self._roles[one].reads_everything for one in possible)
        """Whether there can be anybody who may not read everything."""
        # A key may lose all its rights while whoever has it is connected.
        self.checks_reading = self.rules.curve or self.restricts_reading
        """Whether each GET has to be looked at."""

    def caller(self, key: str, address: str) -> Caller:
        """Return who has made a connection with *key*, a text, from *address*."""
        found = self._authorised(key) if key else None
        if found is None:
            return Caller("", self.rules.unknown, address)
        # A role may be one that only other daemons of this home have.
        role = found.role if found.role in self._roles else self.rules.unknown
        return Caller(found.name, role, address)

    def may_connect(self, key: str) -> bool:
        """Return whether whoever has *key* may speak to the daemon at all."""
        return self.caller(key, "").role != "none"

    def may_read(self, key: str, caller: Caller) -> bool:
        """Return whether *caller* may know the value of the item *key*."""
        return caller is ITSELF or self._roles[caller.role].may_read(key)

    def may_set(self, key: str, caller: Caller) -> bool:
        """Return whether *caller* may set the item *key*."""
        return caller is ITSELF or self._roles[caller.role].may_set(key)

    def reads_everything(self, caller: Caller) -> bool:
        """Return whether *caller* may know all values."""
        return caller is ITSELF or self._roles[caller.role].reads_everything

    def check_get(self, key: str, caller: Caller) -> None:
        """Refuse to tell *caller* of *key* what it may not know.

        Raises:
            NotAllowed: says who may.
        """
        if not self.may_read(key, caller):
            raise NotAllowed(self._refusal("read", key, caller))

    def check_set(self, key: str, caller: Caller) -> None:
        """Refuse to let *caller* set *key* if it may not.

        Raises:
            NotAllowed: says who may.
        """
        if not self.may_set(key, caller):
            raise NotAllowed(self._refusal("set", key, caller))

    def _refusal(self, what: str, key: str, caller: Caller) -> str:
        if not self.rules.curve:
            return f"{key} is not {what} over the network: the rules of its daemon say so"
        who = f"{caller.name!r}, with" if caller.name else "whoever has no authorised key, with"
        return f"{key} is not {what} by {who} the role {caller.role!r}; {self._who_may(what, key)}"

    def _who_may(self, what: str, key: str) -> str:
        names = [
            name
            for name, one in self._roles.items()
            if (one.may_read(key) if what == "read" else one.may_set(key)) and name != EVERYBODY
        ]
        if not names:
            return "no role allows it"
        return f"{' or '.join(names)} may: ask who keeps the daemon to allow your key"
