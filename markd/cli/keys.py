"""``mark keys``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mktl import keyring, known_keys
from mktl.authorised import AuthorisedKey, authorised_keys
from mktl.errors import BadValue, ConfigurationError, MktlError, UnknownKey
from mktl.protocol.names import is_host, nearest
from mktl.security import BUILT_IN_ROLES, check_name, check_role, key_text, parse_key
from mktl.transport.hosts import parse_address

from ._json import json_line
from ._outcome import UsageError, one_line, warn

if TYPE_CHECKING:
    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Make, show, allow, revoke, trust or forget keys. No daemon is asked for anything."""
    what, *words = arguments.requests or ["list"]
    command = _COMMANDS.get(what)
    if command is None:
        close = " or ".join(nearest(what, _COMMANDS))
        hint = f"did you mean {close}?" if close else f"there are {', '.join(_COMMANDS)}"
        raise UsageError(f"keys has no {what!r}; {hint}")
    if arguments.role is not None and what != "allow":
        raise UsageError(f"--role is for keys allow, not for keys {what}")
    if not command.fewest <= len(words) <= command.most:
        raise UsageError(f"it is: mark keys {what} {command.usage}".rstrip())
    try:
        for fields in command.do(arguments, *words):
            print(json_line(fields) if arguments.json else _line(fields, command), flush=True)
    except ConfigurationError:
        raise
    except BadValue as error:
        raise UsageError(str(error)) from None
    except MktlError as error:
        outcome.failed(" ".join(["keys", what, *words[:1]]), error)


class _Command(NamedTuple):
    do: Callable[..., Iterator[dict[str, Any]]]
    said: str
    """What is printed, with the fields that *do* yields."""
    usage: str = ""
    fewest: int = 0
    most: int = 0


def _line(fields: dict[str, Any], command: _Command) -> str:
    return one_line(command.said.format_map(fields).rstrip())


def _new(_arguments: Arguments, name: str = "default") -> Iterator[dict[str, Any]]:
    path = keyring.own_key_file(name)
    if path.exists():
        public = key_text(keyring.read_pair(path).public)
        raise BadValue(f"there is a pair {name!r} already, with the public key {public}: {path}")
    pair = keyring.make_pair(path, f"The pair of keys {name!r} of an mKTL client")
    yield {"name": name, "key": key_text(pair.public)}


def _list(_arguments: Arguments) -> Iterator[dict[str, Any]]:
    used = os.environ.get("MKTL_KEY") or "default"
    for name in keyring.own_pairs():
        key = key_text(keyring.read_pair(keyring.own_key_file(name)).public)
        note = "used" if name == used else "not used: MKTL_KEY names another"
        yield _entry("own", name, key, note)
    if os.path.exists(keyring.server_key_file()):  # noqa: PTH110 - False where it is closed to us
        key = key_text(keyring.read_public(keyring.server_key_file()))
        yield _entry("server", "this home", key, "of our daemons")
    for one in authorised_keys().all():
        yield _entry("allowed", one.name, key_text(one.public), one.role)
    for entry in known_keys.known().values():
        key = known_keys.PLAIN if entry.key is None else key_text(entry.key)
        name, _at, host = entry.name.partition("@")
        note = f"seen at {host}" if host else "trusted"
        yield _entry("known", name or entry.who, key, note)


def _entry(kind: str, name: str, key: str, note: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "key": key, "note": note}


def _allow(arguments: Arguments, name: str, key: str) -> Iterator[dict[str, Any]]:
    if arguments.role is None:
        raise UsageError(
            f"what may {name} do? Say --role and one of {', '.join(BUILT_IN_ROLES)}, or a role "
            "that the rules of a daemon define"
        )
    one = AuthorisedKey(check_name(name), check_role(arguments.role), parse_key(key))
    authorised_keys().allow(one)
    if one.role not in BUILT_IN_ROLES:
        close = " or ".join(nearest(one.role, BUILT_IN_ROLES))
        hint = f" (did you mean {close}?)" if close else ""
        warn(
            f"mark: {one.role!r} is no role that all daemons have: those whose rules do not define "
            f"it treat {name} as unknown{hint}"
        )
    yield {"name": name, "role": one.role, "key": key_text(one.public)}


def _revoke(_arguments: Arguments, name: str) -> Iterator[dict[str, Any]]:
    one = authorised_keys().revoke(name)
    yield {"name": name, "role": one.role, "key": key_text(one.public)}


def _server(_arguments: Arguments) -> Iterator[dict[str, Any]]:
    yield {"key": key_text(keyring.server_pair().public)}


def _trust(_arguments: Arguments, who: str, key: str) -> Iterator[dict[str, Any]]:
    if not is_host(who):
        raise BadValue(f"{who!r} is not a host, nor host:port")
    if who.count(":") == 1:
        parse_address(who)
    public = None if key == known_keys.PLAIN else parse_key(key)
    known_keys.trust(who, public)
    yield {"host": who, "key": known_keys.PLAIN if public is None else key_text(public)}


def _forget(_arguments: Arguments, name: str) -> Iterator[dict[str, Any]]:
    found = known_keys.forget(name)
    if not found:
        raise UnknownKey(f"no key of {name!r} is known")
    for entry in found:
        yield {"host": name, "key": known_keys.PLAIN if entry.key is None else key_text(entry.key)}


_COMMANDS = {
    "new": _Command(_new, "{key}", "[NAME]", 0, 1),
    "list": _Command(_list, "{kind:8} {name:20} {key}  {note}"),
    "allow": _Command(_allow, "Allowed {name} as {role}", "NAME KEY --role ROLE", 2, 2),
    "revoke": _Command(_revoke, "Revoked {name}, which was {role}", "NAME", 1, 1),
    "server": _Command(_server, "{key}"),
    "trust": _Command(_trust, "Trusting {host} with {key}", "HOST[:PORT] KEY", 2, 2),
    "forget": _Command(_forget, "Forgot {key} of {host}", "NAME", 1, 1),
}
