"""Checks of what stands in a file, for the settings of the text driver.

All raise a ConfigurationError whose text begins with the name of the setting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from drivers._suggest import suggestion
from drivers.framing.effort import may_take_for_ever
from drivers.framing.parts import with_unit
from mktl.errors import ConfigurationError

__all__ = [
    "checked_choice",
    "checked_flag",
    "checked_list",
    "checked_regex",
    "checked_seconds",
    "checked_table",
    "checked_text",
]

_FLAGS = re.compile(r"\(\?([a-zA-Z]+)\)")


def checked_text(name: str, found: object, *, empty: bool = False) -> str:
    """Return *found*, which is a text."""
    if isinstance(found, str) and (found or empty):
        return found
    raise ConfigurationError(f"{name}: must be a text, not {found!r}")


def checked_choice(name: str, found: object, allowed: tuple[str, ...]) -> str:
    """Return *found*, which is one of *allowed*."""
    if isinstance(found, str) and found in allowed:
        return found
    raise ConfigurationError(f"{name}: {found!r}: {suggestion(str(found), allowed)}")


def checked_flag(name: str, found: object) -> bool:
    """Return *found*, which is true or false."""
    if isinstance(found, bool):
        return found
    raise ConfigurationError(f"{name}: must be true or false, not {found!r}")


def checked_seconds(name: str, found: object, *, zero: bool = True) -> float:
    """Return *found*, which is a time; with *zero* it may be none."""
    if isinstance(found, int | float) and not isinstance(found, bool):
        seconds = float(found)
        if math.isfinite(seconds) and (seconds > 0 or (zero and seconds == 0)):
            return seconds
    kind = "a number" if zero else "a positive number"
    raise ConfigurationError(f"{name}: must be {kind} of seconds, not {found!r}")


def checked_list(name: str, found: object) -> list[Any] | tuple[Any, ...]:
    """Return *found*, which is a list."""
    if isinstance(found, list | tuple):
        return found
    raise ConfigurationError(f"{name}: must be a list, not {found!r}")


def checked_table(
    name: str, found: object, keys: tuple[str, ...], *, all_of_them: bool = False
) -> Mapping[str, Any]:
    """Return *found*, a table that has no others than *keys*."""
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{name}: must be a table of {', '.join(keys)}, not {found!r}")
    for key in found:
        if key not in keys:
            raise ConfigurationError(f"{name}: unknown key {key!r}: {suggestion(str(key), keys)}")
    for key in keys if all_of_them else ():
        if key not in found:
            raise ConfigurationError(f"{name}: {key!r} is missing")
    return found


def checked_regex(
    name: str, found: object, unit: int | None, *, has_unit: bool = True
) -> re.Pattern[str]:
    """Return *found*, which is a regular expression, and can be a part of another one.

    Args:
        name: What errors call it.
        found: What stands in the file.
        unit: What stands for ``{unit}`` in it.
        has_unit: Whether it may have that.
    """
    text = checked_text(name, found)
    if has_unit:
        try:
            text = with_unit(text, unit, escaped=True)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None
    if flags := _FLAGS.match(text):
        # For the whole of it, they can stand at the beginning of the whole only.
        text = f"(?{flags[1]}:{text[flags.end() :]})"
    try:
        made = re.compile(text)
    except re.error as error:
        raise ConfigurationError(f"{name}: {found!r} is no regular expression: {error}") from None
    if may_take_for_ever(made):
        raise ConfigurationError(
            f"{name}: {found!r} may take for ever on a reply that it does not match, and nothing "
            f"else runs meanwhile: what may be repeated in it is repeated again, and a text can be "
            f"cut in many ways; (?>...) around the inner part takes it in one way only"
        )
    return made
