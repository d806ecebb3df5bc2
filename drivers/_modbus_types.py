"""Registers and the values in them: words in, values out, and back. Pure.

The protocol says of a register only that it is 16 bits, high byte first; all else is the device's.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from drivers._modbus_address import place_text
from mktl.errors import BadValue, InvalidReading

__all__ = ["BIT_TABLES", "TABLES", "TYPES", "Register"]

TABLES = ("holding", "input", "coil", "discrete")
BIT_TABLES = ("coil", "discrete")

_STRUCTS = {
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float32": "f",
    "float64": "d",
    "bool": "H",
    "bcd16": "H",
    "bcd32": "I",
}
TYPES = (*_STRUCTS, "string")
"""What a register, or several in a row, can hold."""

_ROUNDING = 1e-6
"""A number that misses a step of the scale by less of a step has only been rounded on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One value, or an array of values, in a table of a device."""

    table: str
    """One of :data:`TABLES`."""
    address: int
    """Protocol address of the first register, from 0."""
    number: int | None = field(default=None, compare=False)
    """What the file calls that address; ``None``: as it is on the wire."""
    type: str = "uint16"
    """One of :data:`TYPES`; of a coil or discrete input: ``bool``."""
    word_order: str = "big"
    """``big``: the most significant register comes first."""
    byte_order: str = "big"
    """``big``: the more significant byte of each register comes first."""
    scale: float = 1
    """Value = number in the register * scale + offset."""
    offset: float = 0
    """See *scale*."""
    bits: tuple[int, int] | None = None
    """Lowest and highest bit, where the value is only a part of the register."""
    single_bit: bool = False
    """Whether *bits* is one bit, and the value a truth value."""
    length: int = 0
    """Registers of a string."""
    count: int | None = None
    """Number of values of an array; ``None``: a value of its own."""
    invalid: tuple[float, ...] = ()
    """Numbers in the register that mean: no value. Of a part: numbers in its bits, or, where they
    cannot hold them, in the whole register."""
    truth_as_number: bool = False
    """Whether a truth value is given as 0 or 1, as it is in an array."""
    plausible: tuple[float, float] | None = None
    """A value outside is not valid."""

    value_width: int = field(init=False, repr=False, compare=False)
    """Number of registers, or bits, of one value."""
    width: int = field(init=False, repr=False, compare=False)
    """Number of registers, or bits, that it takes."""
    # What decoding would otherwise work out for each of many thousand values a second.
    _words: struct.Struct = field(init=False, repr=False, compare=False)
    _value: struct.Struct = field(init=False, repr=False, compare=False)
    _scale: Decimal = field(init=False, repr=False, compare=False)
    _offset: Decimal = field(init=False, repr=False, compare=False)
    _ratio: tuple[int, int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what follows from the rest."""
        value = struct.Struct(f">{_STRUCTS.get(self.type, 'H')}")
        width = self.length if self.type == "string" else value.size // 2
        width = 1 if self.table in BIT_TABLES else width
        worked_out = {
            "value_width": width,
            "width": width * (self.count or 1),
            "_words": struct.Struct(f"{'>' if self.byte_order == 'big' else '<'}{width}H"),
            "_value": value,
            "_scale": _decimal(self.scale),
            "_offset": _decimal(self.offset),
            "_ratio": _ratio(_decimal(self.scale), _decimal(self.offset)),
        }
        for name, found in worked_out.items():
            object.__setattr__(self, name, found)

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.width

    @property
    def place(self) -> str:
        """Where it is, as error texts show it."""
        return place_text(self.table, self.address, self.end, self.number)

    # --- from the device --------------------------------------------------------------------------

    def decode(self, words: Sequence[int]) -> Any:
        """Return the value in *words*.

        Raises:
            InvalidReading: they hold none.
        """
        if self.type == "string":
            return self._decode_string(words)
        if self.count is None:
            return self._decode_one(words)
        n = self.value_width
        return [self._decode_one(words[i : i + n]) for i in range(0, len(words), n)]

    def _decode_one(self, words: Sequence[int]) -> Any:
        if self.table in BIT_TABLES:
            return self._truth_of(words[0])
        number = self._number(words)
        if self.invalid and self._is_invalid(number):
            raise InvalidReading(f"{self.place} is {number}, which means: no value")
        if self.bits is not None:
            number = self._part(int(number))
        if self.single_bit or self.type == "bool":
            return self._truth_of(number)
        value = self._scaled(number)
        if self.plausible is not None and not self.plausible[0] <= value <= self.plausible[1]:
            least, most = self.plausible
            raise InvalidReading(f"{self.place} is {value}, which is not within {least} to {most}")
        return value

    def _part(self, number: int) -> int:
        assert self.bits is not None
        part = number >> self.bits[0] & self.most
        if part in self.invalid:
            raise InvalidReading(f"{self._bits_text} are {part}, which means: no value")
        return part

    @property
    def most(self) -> int:
        """The highest number that :attr:`bits` can hold."""
        assert self.bits is not None
        low, high = self.bits
        return (1 << high - low + 1) - 1

    @property
    def _bits_text(self) -> str:
        assert self.bits is not None
        return f"bits {self.bits[0]} to {self.bits[1]} of {self.place}"

    def _truth_of(self, number: int | float) -> bool | int:
        truth = number != 0
        return int(truth) if self.truth_as_number or self.count is not None else truth

    def _number(self, words: Sequence[int]) -> int | float:
        """Return what the registers hold, before any scale."""
        if self.byte_order == "big" and self.type in ("uint16", "int16"):
            word = words[0]
            return word - 0x10000 if word > 0x7FFF and self.type == "int16" else word
        data = self._to_bytes(words)
        if self.type.startswith("bcd"):
            digits = data.hex()
            if not digits.isdecimal():
                raise InvalidReading(f"{self.place} is 0x{digits}, which is no BCD number")
            return int(digits)
        number: int | float = self._value.unpack(data)[0]
        if not math.isfinite(number):
            raise InvalidReading(f"{self.place} is {number}")
        return number

    def _scaled(self, number: int | float) -> int | float:
        if self.scale == 1 and self.offset == 0:
            return number
        if isinstance(number, int):
            if isinstance(self.scale, int) and isinstance(self.offset, int):
                return number * self.scale + self.offset
            # Exactly, so that 773 tenths are 77.3 and not 77.30000000000001.
            factor, addend, divisor = self._ratio
            try:
                return (number * factor + addend) / divisor
            except OverflowError:
                raise self._out_of_scale(number) from None
        scaled = number * self.scale + self.offset
        if not math.isfinite(scaled):
            raise self._out_of_scale(number)
        return scaled

    def _out_of_scale(self, number: int | float) -> InvalidReading:
        return InvalidReading(f"{self.place} is {number}, too large for its scale")

    def _is_invalid(self, number: int | float) -> bool:
        """Whether *number*, in all of the register, means that there is no value."""
        if self.bits is not None:
            return number > self.most and number in self.invalid
        if self.type == "float32":
            # The sheet of a device says -999.9, and no register of 32 bits holds just that.
            return _float32(number) in map(_float32, self.invalid)
        if number in self.invalid:
            return True
        # The sheet of a device may give 32768 for what an int16 shows as -32768.
        return isinstance(number, int) and number % (1 << 16 * self.value_width) in self.invalid

    def _decode_string(self, words: Sequence[int]) -> str:
        data = self._to_bytes(words).partition(b"\0")[0].rstrip(b" ")
        text = data.decode("latin-1")
        if not (text.isascii() and text.isprintable()):
            raise InvalidReading(f"{self.place} is {data!r}, which is no text")
        return text

    def _to_bytes(self, words: Sequence[int]) -> bytes:
        if self.word_order == "little" and self.type != "string":
            words = words[::-1]
        return self._words.pack(*words)

    # --- to the device ----------------------------------------------------------------------------

    def encode(self, value: Any, before: int = 0) -> list[int]:
        """Return the words (of a coil: 0 or 1) that hold *value*.

        Args:
            value: As :meth:`decode` gives it.
            before: What the register holds now, for a value that is only a part of it.

        Raises:
            BadValue: the registers cannot hold it.
        """
        if self.type == "string":
            return self._encode_string(value)
        if self.count is None:
            return self._encode_one(value, before)
        try:
            values = list(value)
        except TypeError:
            raise BadValue(f"{self.place} takes {self.count} values, not {value!r}") from None
        if isinstance(value, str | bytes | dict) or len(values) != self.count:
            raise BadValue(f"{self.place} takes {self.count} values, not {value!r}")
        return [word for one in values for word in self._encode_one(one, 0)]

    def _encode_one(self, value: Any, before: int) -> list[int]:
        if self.table in BIT_TABLES:
            return [int(self._truth(value))]
        truth = self.single_bit or self.type == "bool"
        number = self._truth(value) if truth else self._unscaled(value)
        if self.bits is not None:
            number = self._inserted(int(number), before)
        data = self._packed(number, value)
        words = self._words.unpack(data)
        return list(words if self.word_order == "big" else words[::-1])

    def _packed(self, number: int | float, value: Any) -> bytes:
        try:
            if self.type.startswith("bcd"):
                digits = f"{number:0{4 * self.value_width}d}"
                if number < 0 or len(digits) > 4 * self.value_width:
                    raise self._too_large(value)
                data = bytes.fromhex(digits)
            else:
                data = self._value.pack(number)
        except (struct.error, OverflowError):
            raise self._too_large(value) from None
        if self.bits is None and self._is_invalid(number):
            raise BadValue(f"{value!r} is {number} in {self.place}, which means: no value")
        return data

    def _too_large(self, value: Any) -> BadValue:
        return BadValue(f"{self.place} cannot hold {value!r}: it is {self.type}{self._of_scale()}")

    def _of_scale(self) -> str:
        if self.scale == 1 and self.offset == 0:
            return ""
        return f", and value = number * {self.scale} + {self.offset}"

    def _unscaled(self, value: Any) -> int | float:
        """Return the number that stands for *value*: a whole one, but for floating point."""
        if isinstance(value, bool) or not isinstance(value, Real):
            raise BadValue(f"{self.place} takes a number, not {value!r}")
        try:
            number = (float(value) - self.offset) / self.scale
        except OverflowError:
            raise self._too_large(value) from None
        if not math.isfinite(number):
            raise BadValue(f"{self.place} takes a finite number, not {value}")
        if self.type.startswith("float"):
            return number
        value = int(value) if isinstance(value, Integral) else float(value)
        exact = (_decimal(value) - self._offset) / self._scale
        step = int(exact.to_integral_value())
        if abs(exact - step) > _ROUNDING:
            raise BadValue(f"{value!r} is between two steps of {self.place}{self._of_scale()}")
        return step

    def _inserted(self, number: int, before: int) -> int:
        assert self.bits is not None
        low, _ = self.bits
        if not 0 <= number <= self.most:
            raise BadValue(f"{self._bits_text} hold 0 to {self.most}, not {number}")
        if number in self.invalid:
            raise BadValue(f"{number} in {self._bits_text} means: no value")
        now = int(self._number([before]))
        return now & ~(self.most << low) | number << low

    def mask(self, value: Any) -> tuple[int, int]:
        """Return the masks that write *value*, a part of the register, and nothing else of it.

        Raises:
            BadValue: it cannot hold that.
        """
        ones = self._encode_one(value, 0)[0]
        kept = self._encode_one(value, 0xFFFF)[0] & ~ones
        return kept, ones

    def _truth(self, value: Any) -> bool:
        if isinstance(value, Real) and value in (0, 1):
            return bool(value)
        raise BadValue(f"{self.place} takes true or false, not {value!r}")

    def _encode_string(self, value: Any) -> list[int]:
        if not (isinstance(value, str) and value.isascii() and (value.isprintable() or not value)):
            raise BadValue(f"{self.place} takes printable ASCII, not {value!r}")
        if len(value) > 2 * self.length:
            raise BadValue(f"{self.place} takes {2 * self.length} characters, not {len(value)}")
        if value.endswith(" "):
            raise BadValue(f"{self.place}: a text cannot end with a blank, not {value!r}")
        data = value.encode("ascii").ljust(2 * self.length, b"\0")
        return list(
            struct.unpack(f"{'>' if self.byte_order == 'big' else '<'}{self.length}H", data)
        )


def _float32(number: float) -> float:
    """Return the number nearest to *number* that has 32 bits."""
    try:
        (held,) = struct.unpack("f", struct.pack("f", number))
    except OverflowError:
        return math.copysign(math.inf, number)
    return float(held)


def _ratio(scale: Decimal, offset: Decimal) -> tuple[int, int, int]:
    """Return whole numbers a, b, c with n * *scale* + *offset* = (n * a + b) / c."""
    (factor, scaled_by), (addend, offset_by) = scale.as_integer_ratio(), offset.as_integer_ratio()
    return factor * offset_by, addend * scaled_by, scaled_by * offset_by


def _decimal(number: int | float) -> Decimal:
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))
