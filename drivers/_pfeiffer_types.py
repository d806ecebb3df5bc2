"""The data types of the Pfeiffer Vacuum protocol, each with its bounds. Pure.

Source: sheet "Pfeiffer Vacuum Protocol", section "Telegram", data types.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mktl.errors import BadValue

__all__ = [
    "BOOLEAN",
    "EXPONENT",
    "INTEGER",
    "REAL",
    "SHORT",
    "STRING",
    "DataType",
    "NoNumber",
]


class NoNumber(ValueError):
    """Data that are well formed, and stand for no value."""


@dataclass(frozen=True, slots=True)
class DataType:
    """How one type is written in a telegram."""

    name: str
    """As the vendor calls it."""
    lengths: tuple[int, ...]
    """How many characters it may have; the first is what is sent."""
    read: Callable[[str], Any]
    """Makes a value of data of the right length; raises ValueError."""
    write: Callable[[object], str]
    """Makes data of a value; raises BadValue."""

    def value(self, data: str) -> Any:
        """Return what *data* say.

        Raises:
            NoNumber: they say that there is no value.
            ValueError: they are not of this type.
        """
        if len(data) not in self.lengths:
            raise ValueError(f"{data!r} is no {self.name}, which has {self.lengths[0]} characters")
        return self.read(data)


def _read_boolean(data: str) -> bool:
    if data not in ("000000", "111111"):
        raise ValueError(f"{data!r} is neither 000000 nor 111111")
    return data == "111111"


def _write_boolean(value: object) -> str:
    # A text, such as "OFF", must not count as true.
    if not (isinstance(value, int) and value in (0, 1)):
        raise BadValue(f"on or off is wanted, not {value!r}")
    return "111111" if value else "000000"


def _read_digits(data: str) -> int:
    if not (data.isascii() and data.isdecimal()):
        raise ValueError(f"{data!r} is not all digits")
    return int(data)


def _writes_whole(length: int) -> Callable[[object], str]:
    def write(value: object) -> str:
        return f"{_whole(value, 10**length - 1):0{length}d}"

    return write


def _whole(value: object, highest: int) -> int:
    number = _finite(value)
    if number is None or number != int(number) or not 0 <= number <= highest:
        raise BadValue(f"a whole number from 0 to {highest} is wanted, not {value!r}")
    return int(number)


def _read_real(data: str) -> float:
    return _read_digits(data) / 100


def _write_real(value: object) -> str:
    number = _finite(value)
    if number is None or not 0 <= round(number * 100) <= 999_999:
        raise BadValue(f"a number from 0 to 9999.99 is wanted, not {value!r}")
    return f"{round(number * 100):06d}"


def _read_text(data: str) -> str:
    return data.strip()


def _write_text(value: object) -> str:
    if not (isinstance(value, str) and re.fullmatch(r"[ -~]{0,6}", value)):
        raise BadValue(f"a text of up to 6 printable ASCII characters is wanted, not {value!r}")
    return value.ljust(6)


def _read_exponent(data: str) -> float:
    mantissa, exponent = divmod(_read_digits(data), 100)
    if not mantissa:
        raise NoNumber(f"{data!r} has no mantissa")
    return float(f"{mantissa}e{exponent - 23}")


def _write_exponent(value: object) -> str:
    number = _finite(value)
    if number is not None and number > 0:
        mantissa, _, exponent = f"{number:.3e}".partition("e")
        if -20 <= int(exponent) <= 79:
            return f"{mantissa.replace('.', '')}{int(exponent) + 20:02d}"
    raise BadValue(f"a number from 1e-20 to 9.999e79 is wanted, not {value!r}")


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int that no float can hold
        return None
    return number if math.isfinite(number) else None


BOOLEAN = DataType("boolean_old", (6,), _read_boolean, _write_boolean)
INTEGER = DataType("u_integer", (6,), _read_digits, _writes_whole(6))
REAL = DataType("u_real", (6,), _read_real, _write_real)
SHORT = DataType("u_short", (3,), _read_digits, _writes_whole(3))
EXPONENT = DataType("u_expo_new", (6,), _read_exponent, _write_exponent)
STRING = DataType("string", (6, 16), _read_text, _write_text)
"""Also ``string16``, which is known by its length."""
