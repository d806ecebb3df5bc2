"""Tables of an instrument file that say where a value is in a Modbus device, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from drivers._modbus_pdu import MOST_BITS, MOST_REGISTERS
from drivers._modbus_types import BIT_TABLES, TABLES, TYPES, Register
from drivers._suggest import suggestion
from drivers.base import BadItem

__all__ = ["NUMBERINGS", "ORDERS", "REGISTER_KEYS", "WRITES", "Defaults", "Place", "check_place"]

ORDERS = ("big", "little")
NUMBERINGS = ("protocol", "one-based", "modicon")
WRITES = ("auto", "single", "multiple", "mask")
REGISTER_KEYS = (
    "table",
    "address",
    "type",
    "words",
    "bytes",
    "scale",
    "offset",
    "bit",
    "bits",
    "length",
    "count",
    "invalid",
    "write",
    "write_table",
    "write_address",
    "read_back",
    "repeat",
)
"""Keys of a table that says where a value is."""
_MODICON = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_WHOLE_TYPES = ("uint16",)
Hole = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for all registers of a controller that do not say otherwise."""

    word_order: str = "big"
    """See :class:`Register`."""
    byte_order: str = "big"
    """See :class:`Register`."""
    numbering: str = "protocol"
    """How addresses are written: one of :data:`NUMBERINGS`."""
    write: str = "auto"
    """Function codes that write: one of :data:`WRITES`."""
    holes: Mapping[str, tuple[Hole, ...]] | None = None
    """First and last protocol addresses that are never read, by table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A register, and how it is written."""

    register: Register
    """Where it is read, and what is in it."""
    write_table: str
    """Table that is written."""
    write_address: int
    """First address that is written."""
    write: str = "auto"
    """Function codes that write: one of :data:`WRITES`."""
    read_back: bool = False
    """Whether a write is read back, and compared."""
    repeat: bool = True
    """Whether a write that was lost may be sent once more."""


def check_place(table: Any, defaults: Defaults, *, field: str = "register") -> Place:
    """Return what *table* (the value of the key *field*) says.

    Raises:
        BadItem: it cannot be; names the key in it.
    """
    if not isinstance(table, Mapping):
        raise BadItem(field, 'must be a table like {table = "holding", address = 12}')
    return _Reader(table, defaults, field).place()


class _Reader:
    """Takes one key after the other from a table, and says which one is wrong."""

    def __init__(self, table: Mapping[str, Any], defaults: Defaults, field: str) -> None:
        self._table = table
        self._defaults = defaults
        self._field = field
        for key in table:
            if key not in REGISTER_KEYS:
                self._refuse(key, f"unknown key: {suggestion(key, REGISTER_KEYS)}")

    def place(self) -> Place:
        """Return all of it."""
        table, address = self._address("table", "address")
        of_bits = table in BIT_TABLES
        type_ = self._choice("type", TYPES, "bool" if of_bits else "uint16")
        if of_bits and type_ != "bool":
            self._refuse("type", f"a {table} is a bool, not {type_!r}")
        register = Register(
            table=table,
            address=address,
            type=type_,
            word_order=self._choice("words", ORDERS, self._defaults.word_order),
            byte_order=self._choice("bytes", ORDERS, self._defaults.byte_order),
            scale=self._number("scale", 1),
            offset=self._number("offset", 0),
            length=self._whole("length", 1, MOST_REGISTERS, 0),
            count=self._whole("count", 1, MOST_BITS, None),
            invalid=self._numbers("invalid"),
        )
        register = self._with_bits(register)
        self._check(register)
        return self._written(register)

    def _check(self, register: Register) -> None:
        if register.scale == 0:
            self._refuse("scale", "must not be 0")
        if (register.type == "string") != (register.length > 0):
            self._refuse("length", "belongs to a string: its number of registers")
        self._plain("count", register.type == "string" or register.bits is not None)
        for key in ("scale", "offset", "invalid"):
            if register.type == "string" or (register.type == "bool" and key != "invalid"):
                self._plain(key, True)
        most = MOST_BITS if register.table in BIT_TABLES else MOST_REGISTERS
        if register.width > most:
            self._refuse("count", f"takes {register.width}, and one read gives {most} at most")
        if register.end > 0x10000:
            self._refuse("address", f"ends at {register.end - 1}, and 65535 is the last one")
        for low, high in (self._defaults.holes or {}).get(register.table, ()):
            if register.address <= high and low < register.end:
                self._refuse("address", f"{register.place} is in the hole {low} to {high}")

    def _plain(self, key: str, wrong: bool) -> None:
        if wrong and key in self._table:
            self._refuse(key, "does not go with the other keys here")

    def _with_bits(self, register: Register) -> Register:
        if "bit" not in self._table and "bits" not in self._table:
            return register
        key = "bits" if "bits" in self._table else "bit"
        self._plain("bit", key == "bits")
        if register.type not in _WHOLE_TYPES:
            self._refuse(key, f"bits are parts of a uint16, not of a {register.type}")
        if key == "bit":
            bit = self._whole("bit", 0, 15, 0)
            return replace(register, bits=(bit, bit), single_bit=True)
        bits = self._table["bits"]
        if not (isinstance(bits, list | tuple) and len(bits) == 2 and all(map(_is_bit, bits))):
            self._refuse("bits", f"must be the lowest and highest bit, [0, 3], not {bits!r}")
        if bits[0] > bits[1]:
            self._refuse("bits", "the lowest bit comes first")
        return replace(register, bits=(bits[0], bits[1]))

    def _written(self, register: Register) -> Place:
        table, address = register.table, register.address
        if "write_table" in self._table or "write_address" in self._table:
            table, address = self._address("write_table", "write_address", (table, address))
            self._check_same_kind(register, table)
        if address + register.width > 0x10000:
            self._refuse("write_address", "ends beyond 65535, the last one")
        write = self._choice("write", WRITES, "")
        if write == "mask" and register.bits is None:
            self._refuse("write", "mask is for one bit or a few bits of a register")
        if write == "single" and register.width > 1:
            self._refuse("write", f"single writes one, and this takes {register.width}")
        if not write:
            write = self._default_write(register)
        return Place(
            register=register,
            write_table=table,
            write_address=address,
            write=write,
            read_back=self._flag("read_back", False),
            repeat=self._flag("repeat", True),
        )

    def _default_write(self, register: Register) -> str:
        """Return the way that the controller writes, where it can be done with this one."""
        default = self._defaults.write
        if default == "single" and register.width > 1:
            return "multiple"
        return "auto" if default == "mask" and register.bits is None else default

    def _check_same_kind(self, register: Register, table: str) -> None:
        if (table in BIT_TABLES) != (register.table in BIT_TABLES):
            self._refuse("write_table", f"a {register.table} cannot be written as a {table}")

    # --- single keys ------------------------------------------------------------------------------

    def _address(
        self, table_key: str, key: str, default: tuple[str | None, int | None] = (None, None)
    ) -> tuple[str, int]:
        table = self._choice(table_key, TABLES, default[0] or "")
        if key not in self._table and default[1] is not None:
            return table, default[1]
        if key not in self._table:
            self._refuse(key, "is missing")
        number = self._table[key]
        if isinstance(number, bool) or not isinstance(number, int):
            self._refuse(key, f"must be a whole number, not {number!r}")
        numbering = self._defaults.numbering
        if numbering == "modicon":
            found, address = self._modicon(key, number)
            if table_key in self._table and found != table:
                self._refuse(key, f"{number} is in table {found!r}, not {table!r}")
            table = found
        else:
            address = number - 1 if numbering == "one-based" else number
        if not table:
            self._refuse(table_key, f"is missing: one of {', '.join(TABLES)}")
        if not 0 <= address <= 0xFFFF:
            first = 1 if numbering == "one-based" else 0
            self._refuse(key, f"must be {first} to {first + 0xFFFF}, not {number}")
        return table, address

    def _modicon(self, key: str, number: int) -> tuple[str, int]:
        """Return table and protocol address of 40001 (five digits) or 400001 (six)."""
        digits = f"{number:06d}" if number > 99999 else f"{number:05d}"
        table, address = _MODICON.get(digits[0]), int(digits[1:]) - 1
        if number < 1 or len(digits) > 6 or table is None or not 0 <= address <= 0xFFFF:
            self._refuse(key, f"must be like 1, 10001, 30001 or 40001 (modicon), not {number}")
        return table, address

    def _choice(self, key: str, known: Iterable[str], default: str) -> str:
        value = self._table.get(key, default)
        if key in self._table and value not in tuple(known):
            self._refuse(key, f"must be one of {', '.join(known)}, not {value!r}")
        return str(value)

    def _number(self, key: str, default: int) -> float:
        value = self._table.get(key, default)
        if not _is_number(value):
            self._refuse(key, f"must be a number, not {value!r}")
        return value  # type: ignore[no-any-return]

    def _numbers(self, key: str) -> tuple[float, ...]:
        value = self._table.get(key, [])
        values = value if isinstance(value, list | tuple) else [value]
        if not all(map(_is_number, values)):
            self._refuse(key, f"must be numbers as they are in the register, not {value!r}")
        return tuple(values)

    def _whole(self, key: str, low: int, high: int, default: Any) -> Any:
        value = self._table.get(key, default)
        whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        if key in self._table and not whole:
            self._refuse(key, f"must be a whole number, {low} to {high}, not {value!r}")
        return value

    def _flag(self, key: str, default: bool) -> bool:
        value = self._table.get(key, default)
        if not isinstance(value, bool):
            self._refuse(key, f"must be true or false, not {value!r}")
        return value

    def _refuse(self, key: str, text: str) -> NoReturn:
        raise BadItem(f"{self._field}.{key}", text)


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _is_bit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 15
