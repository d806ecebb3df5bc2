"""What items are watched for instead of what their descriptions say, as somebody has set it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .description import Description
from .errors import BadValue
from .protocol.message import encode_json

__all__ = ["FIELDS", "Setting", "described", "settings_from_json", "settings_to_json", "shown"]

FIELDS = ("limits", "deadband", "tracks")


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the fields of an item, as somebody has set it."""

    value: Any
    """As in a description; empty, or zero, if it is not to be watched."""
    time: float
    """UNIX seconds."""
    who: str
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return who has set it, as it travels."""
        return {"time": self.time, "who": self.who, **({"why": self.why} if self.why else {})}


def described(description: Description, settings: Mapping[str, Setting]) -> Description:
    """Return *description* with *settings* instead of its own.

    Raises:
        BadItemDescription: they cannot be.
    """
    if not settings:
        return description
    fields = description.to_json()
    fields.update({name: one.value or None for name, one in settings.items()})
    fields.pop("initial", None)
    return Description.from_json(description.key, fields)


def settings_to_json(settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return what was set for an item, and by whom, as it travels and as it is kept on disk."""
    if not settings:
        return {}
    values = {name: one.value for name, one in settings.items()}
    return {**values, "set": {name: one.to_json() for name, one in settings.items()}}


def settings_from_json(fields: Any) -> dict[str, Setting]:
    """Return what :func:`settings_to_json` gave, whatever else is there.

    Raises:
        BadValue: it is something else.
    """
    try:
        return {
            name: Setting(fields[name], float(by["time"]), str(by["who"]), str(by.get("why") or ""))
            for name, by in fields.get("set", {}).items()
            if name in FIELDS
        }
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BadValue(f"{fields!r:.100} are no limits ({error})") from error


def shown(description: Description) -> str:
    """Return what an item is watched for, in one line."""
    fields = description.to_json()
    found = [f"{name} {encode_json(fields[name]).decode()}" for name in FIELDS if fields.get(name)]
    return ", ".join(found) or "nothing"
