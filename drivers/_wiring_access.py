"""The check of ``[access]``: who may read and who may set what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from drivers._suggest import suggestion
from drivers._wiring_report import Path, Report

if TYPE_CHECKING:
    from drivers.wiring import ItemSpec

__all__ = ["ACCESS_KEYS", "BUILT_IN_ROLES", "check_access"]

ACCESS_KEYS = ("curve", "unknown", "roles")
BUILT_IN_ROLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "read": (("*",), ()),
    "operator": (("*",), ("[!_]*", "_*ack", "!*_raw")),
    "engineer": (("*",), ("*",)),
    "set": (("*",), ("*",)),
}
"""What those who have the role may read, and set: as ``mktl.security`` has it."""
_ROLE = re.compile(r"[a-z0-9_-]{1,32}")
_PATH: Path = ("access",)


def check_access(
    report: Report, access: object, items: Mapping[str, ItemSpec], added: Iterable[str]
) -> Mapping[str, Any]:
    """Check ``[access]`` of an instrument file.

    Args:
        report: Is told of what is wrong.
        access: What the file has.
        items: Those of the file, by key.
        added: Keys of the items that a daemon adds for its controllers.

    Returns:
        It, as ``Daemon.describe_access`` returns it.
    """
    if not isinstance(access, dict):
        report.problem(_PATH, "must be a table: [access]")
        return {}
    if not access:
        return {}
    return _Check(report, access, items, added).check()


class _Check:
    def __init__(
        self,
        report: Report,
        access: Mapping[str, Any],
        items: Mapping[str, ItemSpec],
        added: Iterable[str],
    ) -> None:
        self._report = report
        self._access = access
        self._items = items
        self._keys = [*items, *added]
        self._roles = dict(BUILT_IN_ROLES)

    def check(self) -> Mapping[str, Any]:
        self._report.unknown_keys(_PATH, self._access, ACCESS_KEYS)
        curve = self._access.get("curve", False)
        if not isinstance(curve, bool):
            self._report.problem((*_PATH, "curve"), f"must be true or false, not {curve!r}")
        self._check_roles()
        unknown = self._unknown("read" if curve is True else "set")
        if unknown == "none" and curve is not True:
            self._report.problem(
                (*_PATH, "unknown"),
                "without curve everybody is unknown, and nobody could do anything: write "
                "curve = true as well",
            )
        if not self._report.has(_PATH):
            self._note_what_nobody_sets(unknown, curve=bool(curve))
        return self._access

    def _unknown(self, default: str) -> str:
        unknown = self._access.get("unknown", default)
        if isinstance(unknown, str) and unknown in self._roles:
            return unknown
        hint = suggestion(str(unknown), self._roles)
        self._report.problem((*_PATH, "unknown"), f"there is no role {unknown!r}: {hint}")
        return default

    def _check_roles(self) -> None:
        roles = self._access.get("roles", {})
        path = (*_PATH, "roles")
        if not isinstance(roles, dict):
            self._report.problem(path, "must be a table: [access.roles]")
            return
        for name, role in roles.items():
            self._check_role((*path, name), name, role)

    def _check_role(self, path: Path, name: str, role: object) -> None:
        if not _ROLE.fullmatch(name):
            self._report.problem(path, f"{name!r} cannot be a role: up to 32 of a-z, 0-9, _ and -")
        if not isinstance(role, dict):
            self._report.problem(path, 'must say what it may do: {read = ["*"], set = ["a_*"]}')
            return
        self._report.unknown_keys(path, role, ("read", "set"))
        read, set_ = (self._patterns((*path, what), role.get(what, [])) for what in ("read", "set"))
        self._roles[name] = read, set_

    def _patterns(self, path: Path, given: object) -> tuple[str, ...]:
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            self._report.problem(path, 'must be a list of keys, or patterns: ["heater_*"]')
            return ()
        patterns = tuple(one.lower() for one in given)
        for number, pattern in enumerate(patterns):
            # What the daemon itself adds is known only when it runs.
            keys = pattern.removeprefix("!")
            own = keys.startswith("_")
            if not own and not any(fnmatchcase(key, keys) for key in self._keys):
                hint = "" if set(keys) & set("*?[") else f": {suggestion(keys, self._keys)}"
                self._report.problem((*path, str(number)), f"{pattern!r} matches no item{hint}")
        return patterns

    def _note_what_nobody_sets(self, unknown: str, *, curve: bool) -> None:
        """Tell of what could be set, but is not by any role that somebody can have."""
        roles = list(self._roles.values()) if curve else [self._roles[unknown]]
        left = [
            key
            for key, item in self._items.items()
            if item.description.get("settable") is not False
            and not any(_match(key, set_) for _read, set_ in roles)
        ]
        if left:
            shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
            why = "no role may" if curve else f"without curve everybody has the role {unknown!r}"
            self._report.note(_PATH, f"nobody can set {shown} over the network: {why}")


def _match(key: str, patterns: Iterable[str]) -> bool:
    """Return whether *key* matches, as the daemon will find it."""
    found = False
    for pattern in patterns:
        if fnmatchcase(key, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            found = True
    return found
