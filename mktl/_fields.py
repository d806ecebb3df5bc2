"""The fields of an item's description: what each may be, and what is wrong if it is not.

A check takes what stands in the description and returns it as the program uses it; it raises
:class:`BadValue` with what is allowed, in words that fit behind "must be".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from ._numbers import brief
from ._values import VALIDATE, is_number
from .errors import BadItemDescription, BadName, BadValue, UnknownKey, WrongType
from .formats import Names
from .protocol.names import fold

__all__ = ["KNOWN_FIELDS", "FieldReader", "ItemType", "copied", "frozen"]

ItemType: TypeAlias = Literal[
    "boolean", "bulk", "enumerated", "mask", "numeric", "numeric array", "string"
]
"""The types that an item may have; it may also have none."""

ITEM_TYPES: tuple[str, ...] = get_args(ItemType)

KNOWN_FIELDS = frozenset(
    (
        *("description", "type", "units", "format", "enumerators"),
        *("initial", "persist", "gettable", "settable"),
        *("range", "limits", "deadband", "tracks"),
    )
)
"""Every other field is carried and ignored."""

_LEVELS = ("warning", "alarm")
_MAX_DEPTH = 32
_MAX_MASK_BIT = 255


class FieldReader:
    """Reads the fields of one description.

    Args:
        key: The item's key, for the text of errors.
        fields: The description as decoded from JSON.
        lenient: Take a wrong field for one that was left out, instead of refusing it.
    """

    def __init__(self, key: str, fields: Mapping[str, Any], *, lenient: bool) -> None:
        self._key = key
        self._fields = fields
        self._lenient = lenient

    def read(self, field: str, check: Callable[[Any], Any], default: Any = None) -> Any:
        """Return the field *field* as *check* gives it; *default* if it is left out or ``null``.

        Raises:
            BadItemDescription: *check* refused it, and this reader is not lenient.
        """
        found = self._fields.get(field)
        if found is None:
            return default
        try:
            return check(found)
        except BadValue as error:
            if self._lenient:
                return default
            raise self.refusal(field, str(error)) from None

    def require(self, field: str, condition: bool, allowed: str) -> bool:
        """Return *condition*; refuse the field *field*, unless lenient, where it is false."""
        if not condition and not self._lenient:
            message = f"{allowed}, not {brief(self._fields.get(field))}"
            raise self.refusal(field, message)
        return condition

    def refusal(self, field: str, predicate: str) -> BadItemDescription:
        """Make the error for *field*."""
        return BadItemDescription(f"description of {self._key}: {field} {predicate}")


def copied(value: Any, depth: int = 0) -> Any:
    """Return a copy in JSON's own types: text as names, lists for tuples.

    Raises:
        BadValue: JSON cannot carry *value*.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth < _MAX_DEPTH and isinstance(value, (list, tuple)):
        return [copied(element, depth + 1) for element in value]
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {str(name): copied(element, depth + 1) for name, element in value.items()}
    raise BadValue(f"must be something that JSON can carry, not {brief(value)}")


def frozen(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a read-only view of *mapping*."""
    return MappingProxyType(dict(mapping))


def check_text(found: Any) -> str:
    """Check a field that is a text."""
    if not isinstance(found, str):
        raise BadValue(f"must be a text, not {brief(found)}")
    return found


def check_flag(found: Any) -> bool:
    """Check a field that is true or false."""
    if not isinstance(found, bool):
        raise BadValue(f"must be true or false, not {brief(found)}")
    return found


def check_type(found: Any) -> str:
    """Check the name of a type."""
    if isinstance(found, str) and found in ITEM_TYPES:
        return found
    from difflib import get_close_matches

    message = f"must be one of {', '.join(ITEM_TYPES)}, or left out, not {brief(found)}"
    if nearest := get_close_matches(str(found)[:40].strip().lower(), ITEM_TYPES, n=1):
        message += f"; did you mean {nearest[0]!r}?"
    raise BadValue(message)


def check_units(found: Any) -> tuple[str, str]:
    """Check units; return those that are stored and those that are shown."""
    if isinstance(found, str):
        return found, found
    if isinstance(found, Mapping):
        stored = found.get("")
        shown = found.get("formatted", stored)
        if isinstance(stored, str) and isinstance(shown, str):
            return stored, shown
    raise BadValue(
        f'must be a text or like {{"": "kelvin", "formatted": "degC"}}, not {brief(found)}'
    )


def check_not_negative(found: Any) -> float | int:
    """Check a number of zero or more."""
    if not is_number(found) or not 0 <= found < float("inf"):
        raise BadValue(f"must be a number of zero or more, not {brief(found)}")
    number: float | int = found
    return number


def check_bounds(found: Any) -> tuple[float | None, float | None]:
    """Check a lower and an upper bound; ``null`` leaves a side open."""
    if isinstance(found, (list, tuple)) and len(found) == 2:
        low, high = found
        sides = all(side is None or (is_number(side) and not math.isnan(side)) for side in found)
        if sides and (low is None or high is None or low <= high):
            return low, high
    raise BadValue(f"must be [low, high], in stored units, low not above high, not {brief(found)}")


def check_limits(found: Any, item_type: str | None, names: Names) -> Mapping[str, Any]:
    """Check the limits of warning and alarm: numbers, or states of an item that has names."""
    if item_type in ("bulk", "string"):
        raise BadValue("are for numbers, and for boolean, enumerated and mask items")
    checks: dict[str, Callable[[Any], Any]] = {
        **dict.fromkeys(_LEVELS, check_bounds),
        "hysteresis": check_not_negative,
        "delay_s": check_not_negative,
        "latch": check_flag,
    }
    allowed = (
        'must be like {"warning": [70, 90], "alarm": [60, 100], "hysteresis": 1, "delay_s": 5}'
    )
    if item_type in ("boolean", "enumerated", "mask"):
        state = next(iter(names.texts.values()), "Fault")
        allowed = f'must be like {{"alarm": ["{state}"], "delay_s": 5, "latch": true}}'
        checks.update(dict.fromkeys(_LEVELS, partial(_check_states, item_type, names)))
        del checks["hysteresis"]
    checked = _checked_table(found, checks, allowed)
    width = checked.get("hysteresis", 0)
    for name in _LEVELS:
        low, high = checked[name] if width and name in checked else (None, None)
        if low is not None and high is not None and high - low <= width:
            raise BadValue(f"cannot end: a hysteresis of {width} leaves nothing of {low} to {high}")
    return checked


def _check_states(item_type: str, names: Names, found: Any) -> tuple[Any, ...]:
    if not isinstance(found, (list, tuple)) or not found:
        raise BadValue(f"must be a list of states, not {brief(found)}")
    for state in found:
        try:
            VALIDATE[item_type](state, names)
        except (BadValue, UnknownKey, WrongType) as error:
            raise BadValue(str(error)) from None
    return tuple(found)


def _checked_table(
    found: Any, checks: Mapping[str, Callable[[Any], Any]], allowed: str
) -> Mapping[str, Any]:
    """Check a field that is a table of others; ``null`` in it is one that was left out."""
    if not isinstance(found, Mapping) or not set(found) <= set(checks):
        raise BadValue(f"{allowed}, not {brief(found)}{_meant(found, checks)}")
    checked: dict[str, Any] = {}
    for name, value in found.items():
        if value is None:
            continue
        try:
            checked[name] = checks[name](value)
        except BadValue as error:
            raise BadValue(f"{allowed}; its {name} {error}") from None
    return frozen(checked)


def _meant(found: Any, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = set(names)
    for name in found if isinstance(found, Mapping) else ():
        if name not in known and (near := get_close_matches(str(name)[:40], known, n=1)):
            return f"; did you mean {near[0]!r}?"
    return ""


def check_tracks(found: Any) -> Mapping[str, Any]:
    """Check which item this one follows, how closely and how fast."""
    allowed = 'must be like {"item": "setpoint", "tolerance": 0.5, "within_s": 60}'
    checks: dict[str, Callable[[Any], Any]] = {
        "item": _check_key,
        "tolerance": check_not_negative,
        "within_s": check_not_negative,
        "latch": check_flag,
    }
    checked = _checked_table(found, checks, allowed)
    if "item" not in checked:
        raise BadValue(f"{allowed}, not {brief(found)}")
    return checked


def _check_key(found: Any) -> str:
    if not isinstance(found, str):
        raise BadValue(f"must be a key, not {brief(found)}")
    try:
        return fold(found, "key")
    except BadName as error:
        raise BadValue(f"must be a key of this store: {error}") from None


def check_enumerators(found: Any) -> Names:
    """Check enumerators: numbers, as text, and their texts; ``None`` names zero of a mask."""
    allowed = 'must be like {"0": "Off", "1": "On"}'
    if not isinstance(found, Mapping) or not found:
        raise BadValue(f"{allowed}, not {brief(found)}")
    texts: dict[int, str] = {}
    zero = None
    for name, text in found.items():
        if not isinstance(text, str) or not text.strip():
            raise BadValue(f"{allowed}; the text of {name} must be a text, not {brief(text)}")
        if str(name).strip().lower() == "none":
            zero = text
            continue
        number = _enumerator_number(name, allowed)
        if number in texts:
            raise BadValue(f"{allowed}; {number} is there twice")
        texts[number] = text
    return Names(MappingProxyType(texts), zero)


def _enumerator_number(name: Any, allowed: str) -> int:
    digits = str(name).strip()
    if len(digits) > 20 or not digits.isascii() or not digits.removeprefix("-").isdigit():
        raise BadValue(f"{allowed}; {brief(name)} is not a number")
    return int(digits)


def names_fit(item_type: str | None, names: Names) -> bool:
    """Return whether enumerators are right for the type: only bits, or only 0 and 1."""
    numbers = names.texts
    if item_type == "mask":
        return all(0 <= bit <= _MAX_MASK_BIT for bit in numbers)
    if item_type == "boolean":
        return set(numbers) <= {0, 1} and names.zero is None
    return names.zero is None
