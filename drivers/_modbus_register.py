"""Tables of an instrument file that say where a value is in a Modbus device, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from drivers._modbus_address import MODICON_TABLES, NUMBERINGS, number_of, place_text
from drivers._modbus_pdu import MOST_BITS, MOST_REGISTERS
from drivers._modbus_types import BIT_TABLES, TABLES, TYPES, Register
from drivers._suggest import suggestion
from drivers.base import BadItem

__all__ = ["ORDERS", "REGISTER_KEYS", "WRITES", "Defaults", "Place", "check_place"]

ORDERS = ("big", "little")
WRITES = ("auto", "single", "multiple", "mask")
REGISTER_KEYS = (
    "table",
    "address",
    "numbering",
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
    "readable",
    "read_back",
    "repeat",
)
"""Keys of a table that says where a value is."""
_WHOLE_TYPES = ("uint16",)
_NOWHERE = ("", None, None)
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
    write_number: int | None = None
    """What the file calls that address; ``None``: as it is on the wire."""
    write: str = "auto"
    """Function codes that write: one of :data:`WRITES`."""
    readable: bool = True
    """Whether the device lets it be read at all."""
    read_back: bool = False
    """Whether a write is read back, and compared."""
    repeat: bool = True
    """Whether a write that was lost may be sent once more."""

    @property
    def written_at(self) -> str:
        """Where it is written, as error texts show it."""
        start = self.write_address
        end = start + self.register.width
        return place_text(self.write_table, start, end, self.write_number)


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
        self._numbering = self._choice("numbering", NUMBERINGS, defaults.numbering)
        for key in table:
            if key not in REGISTER_KEYS:
                self._refuse(key, f"unknown key: {suggestion(key, REGISTER_KEYS)}")

    def place(self) -> Place:
        """Return all of it."""
        table, address, number = self._address("table", "address")
        of_bits = table in BIT_TABLES
        type_ = self._choice("type", TYPES, "bool" if of_bits else "uint16")
        if of_bits and type_ != "bool":
            self._refuse("type", f"a {table} is a bool, not {type_!r}")
        register = Register(
            table=table,
            address=address,
            number=number,
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
        self._check_holes(register)
        self._check_invalid(register)

    def _check_holes(self, register: Register) -> None:
        if not self._flag("readable", True):
            return  # it is never read, and so in no hole
        for low, high in (self._defaults.holes or {}).get(register.table, ()):
            if register.address <= high and low < register.end:
                first = number_of(register.table, low, self._defaults.numbering)
                self._refuse(
                    "address",
                    f"{register.place} is in the hole {first} to {first + high - low}, and an item "
                    "reads its address; one that can only be written says readable = false",
                )

    def _check_invalid(self, register: Register) -> None:
        """Refuse numbers that cannot be in the register, or of which nobody knows where."""
        if register.single_bit and {0, 1}.intersection(register.invalid):
            self._refuse("invalid", "a bit is 0 or 1, and both are values; say it of the register")
        if register.bits is None:
            return
        wrong = [one for one in register.invalid if one not in range(0x10000)]
        if wrong:
            low, high = register.bits
            self._refuse(
                "invalid",
                f"{wrong[0]} can be neither in bits {low} to {high} (0 to {register.most}) nor in "
                "the register (0 to 65535)",
            )

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
        table, address, number = register.table, register.address, register.number
        readable = self._flag("readable", True)
        if "write_table" in self._table or "write_address" in self._table:
            if not readable:
                self._refuse("readable", "false is for where it is written: `address` says that")
            table, address, number = self._address(
                "write_table", "write_address", (table, address, number)
            )
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
        if not readable and register.bits is not None and write != "mask":
            self._refuse("write", "must be mask: otherwise the rest of it has to be read first")
        return Place(
            register=register,
            write_table=table,
            write_address=address,
            write_number=number,
            write=write,
            readable=readable,
            read_back=self._read_back(readable),
            repeat=self._flag("repeat", True),
        )

    def _read_back(self, readable: bool) -> bool:
        read_back = self._flag("read_back", False)
        if read_back and not readable:
            self._refuse("read_back", "cannot be where readable = false")
        return read_back

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
        self, table_key: str, key: str, default: tuple[str, int | None, int | None] = _NOWHERE
    ) -> tuple[str, int, int | None]:
        """Return table, protocol address, and what the file calls it."""
        table = self._choice(table_key, TABLES, default[0])
        if key not in self._table and default[1] is not None:
            if table == default[0]:
                return default[0], default[1], default[2]
            return table, default[1], number_of(table, default[1], self._numbering)
        if key not in self._table:
            self._refuse(key, "is missing")
        number = self._table[key]
        if isinstance(number, bool) or not isinstance(number, int):
            self._refuse(key, f"must be a whole number, not {number!r}")
        numbering = self._numbering
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
        return table, address, number

    def _modicon(self, key: str, number: int) -> tuple[str, int]:
        """Return table and protocol address of 40001 (five digits) or 400001 (six)."""
        digits = f"{number:06d}" if number > 99999 else f"{number:05d}"
        table, address = MODICON_TABLES.get(digits[0]), int(digits[1:]) - 1
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
