"""What a value of each type may be: strict for a SET, lenient for what a daemon publishes.

The messages of errors are predicates, such as ``must be a number, not 'x'``: the caller, who
knows the item's key, puts it in front.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ._numbers import brief, parse_number
from .errors import BadValue, UnknownKey, WrongType
from .formats import Names, mask_from_text

__all__ = ["COERCE", "VALIDATE", "is_number", "plain"]

_MAX_DEPTH = 64
"""Deepest nesting of lists and mappings in a value."""

_MAX_DIGITS = 80
"""Longest text that is read as the number of a mask."""

_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def is_number(value: Any) -> bool:
    """Return whether *value* is a Python number: an ``int`` or ``float``, but no ``bool``."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Return *value* without numpy's types: its scalars as numbers, its arrays as lists."""
    tolist = getattr(value, "tolist", None)
    return value if tolist is None or isinstance(value, memoryview) else tolist()


def _finite(value: float | int) -> float | int:
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        finite = False
    if not finite:
        raise BadValue(f"must be a finite number, not {brief(value)}")
    return value


def _finite_or_null(value: float | int) -> float | int | None:
    """JSON has neither infinity nor not-a-number: they are published as unknown."""
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _validate_number(value: Any, _names: Names) -> Any:
    if isinstance(value, str):
        return parse_number(value)
    if not is_number(value):
        raise WrongType(f"must be a number, not {brief(value)}")
    return _finite(value)


def _coerce_number(value: Any, names: Names) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return _finite_or_null(value)
    return _validate_number(value, names)


def _validate_array(value: Any, _names: Names) -> Any:
    return _array(value, _finite)


def _coerce_array(value: Any, _names: Names) -> Any:
    return _array(value, _finite_or_null, null=True)


def _array(
    value: Any, check: Callable[[Any], Any], *, null: bool = False, depth: int = 0
) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise WrongType(f"must be a list of numbers, not {brief(value)}")
    if depth >= _MAX_DEPTH:
        raise BadValue(f"must not be nested more than {_MAX_DEPTH} deep")
    result: list[Any] = []
    for each in value:
        element = plain(each)
        if isinstance(element, (list, tuple)):
            result.append(_array(element, check, null=null, depth=depth + 1))
        elif is_number(element):
            result.append(check(element))
        elif element is None and null:
            result.append(None)
        else:
            raise WrongType(f"must have numbers as its elements, not {brief(element)}")
    return result


def _boolean(value: Any, names: Names) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        found = names.find(value)
        truth = _TRUTH.get(value.strip().lower()) if found is None else bool(found)
        if truth is None:
            raise names.unknown(value)
        return truth
    if not is_number(value):
        raise WrongType(f"must be true or false, not {brief(value)}")
    if value not in (0, 1):
        raise names.unknown(value)
    return bool(value)


def _whole(value: Any, names: Names, *, several: bool = False) -> int:
    """Return a number without a fraction as an ``int``."""
    if not is_number(value):
        raise WrongType(f"must be a number or a text, not {brief(value)}")
    if isinstance(value, float) and not value.is_integer():
        raise names.unknown(value, several=several)
    return int(value)


def _enumerated(value: Any, names: Names, *, strict: bool) -> int:
    if isinstance(value, str):
        return _enumerated_text(value, names)
    number = _whole(value, names)
    if strict and number not in names.texts:
        raise names.unknown(value)
    return number


def _enumerated_text(text: str, names: Names) -> int:
    for number in names.texts:
        if str(number) == text.strip():
            return number
    found = names.find(text)
    if found is None:
        raise names.unknown(text)
    return found


def _validate_enumerated(value: Any, names: Names) -> int:
    return _enumerated(value, names, strict=True)


def _coerce_enumerated(value: Any, names: Names) -> int:
    return _enumerated(value, names, strict=False)


def _coerce_mask(value: Any, names: Names) -> int:
    if isinstance(value, str):
        digits = value.strip()
        if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
            return int(digits)
        return mask_from_text(value, names)
    number = _whole(value, names, several=True)
    if number < 0:
        raise BadValue(f"must not be negative: {number} is no set of bits")
    return number


def _validate_mask(value: Any, names: Names) -> int:
    number = _coerce_mask(value, names)
    named = sum(1 << bit for bit in names.texts)
    if number & ~named:
        raise UnknownKey(
            f"{names.unknown(value, several=True)}: "
            f"these have the value {named} together, and {number} has other bits"
        )
    return number


def _validate_string(value: Any, _names: Names) -> str:
    if not isinstance(value, str):
        raise WrongType(f"must be a text, not {brief(value)}")
    return value


def _coerce_string(value: Any, names: Names) -> str:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, (int, float)):
        return str(value)
    return _validate_string(value, names)


def _bulk(value: Any, _names: Names) -> Any:
    """Return *value* as a numpy array of numbers, C-contiguous, without a copy if it is one."""
    if value is None or isinstance(value, (str, int, float, dict)):
        raise WrongType(f"must be an array of numbers, not {brief(value)}")
    import numpy as np

    if isinstance(value, (bytes, bytearray)):
        return np.frombuffer(value, dtype=np.uint8)
    try:
        array = np.asarray(value, order="C")
    except (TypeError, ValueError) as error:
        raise BadValue(f"must be an array of one shape: {error}") from error
    if array.dtype.kind not in "biufc":
        raise WrongType(f"must be an array of numbers, not of {str(array.dtype)[:40]}")
    return array


def _validate_untyped(value: Any, _names: Names) -> Any:
    return _json(value, _finite)


def _coerce_untyped(value: Any, _names: Names) -> Any:
    return _json(value, _finite_or_null)


def _json(value: Any, check: Callable[[Any], Any], depth: int = 0) -> Any:
    """Return *value* in the types of JSON, and refuse what JSON cannot carry."""
    value = plain(value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return check(value)
    if isinstance(value, int):
        return value
    if depth >= _MAX_DEPTH:
        raise BadValue(f"must not be nested more than {_MAX_DEPTH} deep")
    if isinstance(value, (list, tuple)):
        return [_json(element, check, depth + 1) for element in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _json(element, check, depth + 1) for name, element in value.items()}
    raise WrongType(f"must be something that JSON can carry, not {brief(value)}")


_Check = Callable[[Any, Names], Any]

VALIDATE: dict[str | None, _Check] = {
    "boolean": _boolean,
    "bulk": _bulk,
    "enumerated": _validate_enumerated,
    "mask": _validate_mask,
    "numeric": _validate_number,
    "numeric array": _validate_array,
    "string": _validate_string,
    None: _validate_untyped,
}
"""For each type: returns the value that a SET asks for, or refuses it."""

COERCE: dict[str | None, _Check] = {
    "boolean": _boolean,
    "bulk": _bulk,
    "enumerated": _coerce_enumerated,
    "mask": _coerce_mask,
    "numeric": _coerce_number,
    "numeric array": _coerce_array,
    "string": _coerce_string,
    None: _coerce_untyped,
}
"""For each type: returns a value to publish, which need not be one that a SET may ask for."""
