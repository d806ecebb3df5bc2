"""Limits as they are typed and printed: ``warning=70,90 alarm=60,100 delay_s=3``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mktl.errors import BadValue
from mktl.formats import parse_number

from ._outcome import UsageError
from .alarms import local_time

if TYPE_CHECKING:
    from mktl.description import Description

__all__ = ["FIELDS", "changed", "shown"]

FIELDS = ("limits", "deadband", "tracks")

_LEVELS = ("warning", "alarm")
_NAMED = ("boolean", "enumerated", "mask")
"""Types whose limits are lists of states."""
_WORDS = {
    "warning": "limits",
    "alarm": "limits",
    "hysteresis": "limits",
    "delay_s": "limits",
    "latch": "limits",
    "tracks": "tracks",
    "tolerance": "tracks",
    "within_s": "tracks",
    "tracks_latch": "tracks",
    "deadband": "",
}
"""What may stand in front of the ``=``, and which field of a description it is part of."""

_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def changed(
    in_force: dict[str, Any], words: list[str], description: Description, store: str
) -> dict[str, Any]:
    """Return the fields of a description that *words* ask for; what they do not name stays.

    Args:
        in_force: What the item is watched for now.
        words: Each ``name=value``; without a value, the name is taken out.
        description: Of the item.
        store: Its store, which may stand in front of the key that it is to follow.

    Raises:
        UsageError: a word is none of these.
    """
    result: dict[str, Any] = {}
    for word in words:
        name, _equals, text = word.partition("=")
        name = name.strip().lower()
        if name not in _WORDS:
            from mktl.protocol.names import nearest

            near = nearest(name, _WORDS)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_WORDS)}"
            raise UsageError(f"{word!r} is no limit; {hint}")
        value = _value(name, text.strip(), description, store)
        field = _WORDS[name]
        if not field:
            result[name] = 0 if value is None else value
            continue
        table = result.setdefault(field, dict(in_force.get(field) or {}))
        part = {"tracks": "item", "tracks_latch": "latch"}.get(name, name)
        if value is None:
            table.pop(part, None)
        else:
            table[part] = value
    if result.get("tracks") and "item" not in result["tracks"]:
        if any(word.replace(" ", "").startswith("tracks=") for word in words):
            result["tracks"] = {}
        else:
            raise UsageError("what does it follow? For example: tracks=setpoint within_s=60")
    return result


def _value(name: str, text: str, description: Description, store: str) -> Any:
    if not text:
        return None
    if name == "tracks":
        key = text.lower().removeprefix(f"{store}.")
        if "." in key:
            raise UsageError(f"tracks is for an item of the same store, {store}, not for {text!r}")
        return key
    if name in ("latch", "tracks_latch"):
        if text.lower() not in _TRUTH:
            raise UsageError(f"{name} is true or false, not {text!r}")
        return _TRUTH[text.lower()]
    if name in _LEVELS and description.type in _NAMED:
        return [state.strip() for state in text.split(",")]
    if name in _LEVELS:
        return _sides(name, text)
    return _number(name, text)


def _sides(name: str, text: str) -> list[float | int | None] | None:
    sides = [side.strip() for side in text.split(",")]
    if len(sides) != 2:
        raise UsageError(f"{name} has two sides: {name}=70,90, or {name}=,90 for one")
    return [_number(name, side) if side else None for side in sides] if any(sides) else None


def _number(name: str, text: str) -> float | int:
    try:
        return parse_number(text)
    except BadValue as error:
        raise UsageError(f"{name} {error}") from None


def shown(fields: dict[str, Any], description: Description) -> str:
    """Return what an item is watched for, in one line.

    Args:
        fields: As its daemon gives them.
        description: Of the item.
    """
    units = description.stored_units
    limits, tracks = fields.get("limits"), fields.get("tracks")
    parts = []
    if isinstance(limits, dict) and any(limits.get(name) for name in _LEVELS):
        parts.append(_limits_text(limits, units, named=description.type in _NAMED))
    if fields.get("deadband"):
        parts.append(f"dead band {fields['deadband']} {units}".rstrip())
    if isinstance(tracks, dict) and tracks:
        parts.append(_tracks_text(tracks, units))
    line = "; ".join(parts) or "nothing is watched"
    by = fields.get("set")
    names: dict[str, list[str]] = {}
    for name, one in by.items() if isinstance(by, dict) else ():
        if isinstance(one, dict):
            because = f": {one['why']}" if one.get("why") else ""
            done = f"set by {one.get('who')} at {local_time(one.get('time'))}{because}"
            names.setdefault(done, []).append(name)
    return line + "".join(f" ({', '.join(those)} {done})" for done, those in names.items())


def _limits_text(limits: dict[str, Any], units: str, *, named: bool) -> str:
    words = []
    for name in _LEVELS:
        if name in limits:
            words.append(f"{name} {_level_text(limits[name], units, named=named)}")
    if limits.get("hysteresis"):
        words.append(f"hysteresis {limits['hysteresis']} {units}".rstrip())
    if limits.get("delay_s"):
        words.append(f"after {limits['delay_s']} s")
    if limits.get("latch"):
        words.append("kept until acknowledged")
    return ", ".join(words)


def _level_text(level: Any, units: str, *, named: bool) -> str:
    if not isinstance(level, list):
        return str(level)
    if named or len(level) != 2:
        return f"when {' or '.join(map(str, level))}"
    low, high = level
    if low is None and high is None:
        return "nowhere"
    if high is None:
        return f"below {low} {units}".rstrip()
    return (f"above {high} {units}" if low is None else f"outside {low} to {high} {units}").rstrip()


def _tracks_text(tracks: dict[str, Any], units: str) -> str:
    text = f"follows {tracks.get('item')}"
    if tracks.get("tolerance"):
        text += f", give or take {tracks['tolerance']} {units}".rstrip()
    if tracks.get("within_s"):
        text += f", within {tracks['within_s']} s"
    return text + (", kept until acknowledged" if tracks.get("latch") else "")
