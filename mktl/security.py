"""Keys, roles and rules: whom a daemon recognises, and what each may do.

Encryption is libzmq's own CURVE, to which only ``mktl/transport`` speaks; the files are those of
``mktl/keyring.py`` (pairs), ``mktl/authorised.py`` (whom daemons recognise) and
``mktl/known_keys.py`` (which keys daemons have).

A key is written as 64 hexadecimal digits, which neither a shell nor a file takes for anything
else; the 40 characters of Z85 in which others write keys are understood, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._callers import EVERYBODY
from .errors import BadValue, ConfigurationError
from .protocol.names import nearest

__all__ = [
    "BUILT_IN_ROLES",
    "KEY_BYTES",
    "Role",
    "Rules",
    "check_name",
    "check_role",
    "fingerprint",
    "key_text",
    "parse_key",
]

KEY_BYTES = 32

_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,64}")
_ROLE = re.compile(r"[a-z0-9_-]{1,32}")


# Rules.


@dataclass(frozen=True, slots=True)
class Role:
    """What those who have it may do."""

    read: tuple[str, ...] = ()
    """Patterns of the keys that they may read; one with ``!`` in front takes away."""
    set: tuple[str, ...] = ()
    """Patterns of the keys that they may set."""


BUILT_IN_ROLES: Mapping[str, Role] = {
    "none": Role(),
    "read": Role(read=("*",)),
    # All but what concerns the daemon itself, and commands that no limit applies to; an alarm is
    # acknowledged by who is on duty.
    "operator": Role(read=("*",), set=("[!_]*", "_*ack", "!*_raw")),
    "engineer": Role(read=("*",), set=("*",)),
    EVERYBODY: Role(read=("*",), set=("*",)),
}
"""Roles that every daemon has; one of the same name in its rules takes the place of it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may do what with the items of one daemon. Without any, everybody may do everything."""

    curve: bool = False
    """Whether connections are encrypted and callers recognised by their keys."""
    unknown: str = EVERYBODY
    """Role of those without an authorised key; with CURVE, those who have ``none`` cannot even
    connect."""
    roles: Mapping[str, Role] = field(default_factory=dict)
    """Roles beside those that are built in."""

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Rules:
        """Return the rules in *fields*: ``curve``, ``unknown``, ``roles``.

        Raises:
            ConfigurationError: they cannot be understood.
        """
        known = ("curve", "unknown", "roles")
        for name in fields:
            if name not in known:
                raise ConfigurationError(
                    f"access: {name!r} is unknown; known are {', '.join(known)}"
                )
        curve, given = fields.get("curve", False), fields.get("roles", {})
        if not isinstance(curve, bool):
            raise ConfigurationError(f"access: curve must be true or false, not {curve!r}")
        if not isinstance(given, Mapping):
            raise ConfigurationError("access: roles must say for each role what it may do")
        roles = {_role_name(name): _role(name, role) for name, role in given.items()}
        unknown = fields.get("unknown", "read" if curve else EVERYBODY)
        if not isinstance(unknown, str) or unknown not in {**BUILT_IN_ROLES, **roles}:
            close = " or ".join(nearest(str(unknown), {**BUILT_IN_ROLES, **roles}))
            hint = f"; did you mean {close}?" if close else ""
            raise ConfigurationError(f"access: there is no role {unknown!r} for the unknown{hint}")
        if unknown == "none" and not curve:
            raise ConfigurationError(
                "access: without curve everybody is unknown, and nobody could do anything"
            )
        return cls(curve, unknown, roles)


def _role_name(name: object) -> str:
    if isinstance(name, str) and _ROLE.fullmatch(name):
        return name
    raise ConfigurationError(f"access: {name!r} is no name of a role: a-z, 0-9, _ and - only")


def _role(name: str, fields: object) -> Role:
    if not isinstance(fields, Mapping) or not fields.keys() <= {"read", "set"}:
        raise ConfigurationError(f"access: role {name} must have read and set: lists of patterns")
    return Role(*(_patterns(name, what, fields.get(what, ())) for what in ("read", "set")))


def _patterns(role: str, what: str, given: object) -> tuple[str, ...]:
    if isinstance(given, (list, tuple)) and all(isinstance(one, str) for one in given):
        return tuple(one.lower() for one in given)
    raise ConfigurationError(f"access: role {role}: {what} must be a list of patterns of keys")


# Keys as texts.


def key_text(key: bytes) -> str:
    """Return *key* as it is written here."""
    return key.hex()


def parse_key(text: str) -> bytes:
    """Return the public key that *text* is.

    Raises:
        BadValue: it is none.
    """
    text = text.strip()
    if len(text) == 40:
        from .transport.curve import from_z85

        key = from_z85(text)
    else:
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
    if len(key) != KEY_BYTES:
        raise BadValue(
            f"{text[:80]!r} is not a public key: 64 hexadecimal digits, as mark keys new prints "
            "them, or 40 characters of Z85"
        )
    return key


def fingerprint(key: bytes) -> str:
    """Return what is enough of *key* for people to tell it from others."""
    return f"{key_text(key)[:16]}…"


def check_name(text: str) -> str:
    """Return *text* if it can be the name of a key.

    Raises:
        BadValue: it cannot.
    """
    if _NAME.fullmatch(text) and not text.startswith((".", "-")):
        return text
    raise BadValue(f"{text[:80]!r} is no name of a key: letters, digits and _ . @ + - only")


def check_role(text: str) -> str:
    """Return *text* if it can be the name of a role.

    Raises:
        BadValue: it cannot.
    """
    if _ROLE.fullmatch(text):
        return text
    raise BadValue(f"{text[:80]!r} is no name of a role: a-z, 0-9, _ and - only")
