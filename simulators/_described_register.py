"""Registers that an instrument file describes: where a value is, and the words that hold it."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulators._names import unknown_name
from simulators.device import SimulatorError

__all__ = ["BIT_TABLES", "Orders", "Register", "Spoilt", "protocol_address", "spoilt"]

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
_MODICON = {0: "coil", 1: "discrete", 3: "input", 4: "holding"}
_LAST = 0xFFFF
_NO_BCD = 0xFFFF


@dataclass(frozen=True, slots=True)
class Orders:
    """What a controller says of all its registers."""

    numbering: str = "protocol"
    word_order: str = "big"
    byte_order: str = "big"

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Orders:
        """Take them from the table of the controller."""
        return cls(
            str(table.get("numbering", "protocol")),
            str(table.get("words", "big")),
            str(table.get("bytes", "big")),
        )


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What stands in a register if there is no value."""

    words: list[int]
    """All of it."""
    mask: int = _LAST
    """Which bits of each word."""

    def over(self, word: int, place: int) -> int:
        """Return what *word*, the one at *place*, becomes."""
        if not 0 <= place < len(self.words):
            return word
        return word & ~self.mask | self.words[place] & self.mask


@dataclass(frozen=True, slots=True)
class Register:
    """One value, or several in a row, in the tables of a device."""

    where: str
    """What errors call it."""
    table: str
    address: int
    """Protocol address, from 0."""
    type: str
    width: int
    """Registers, or bits, of one value."""
    word_order: str
    byte_order: str
    scale: float
    offset: float
    bits: tuple[int, int] | None
    """Lowest and highest bit, of a value that is only a part of the register."""
    count: int | None
    """Values in a row; None: one that is no array."""
    invalid: tuple[float, ...]
    """Numbers that mean that there is no value."""
    write_table: str
    write_address: int
    readable: bool
    """Whether it can be read, and not only written."""

    @classmethod
    def of(cls, where: str, given: Mapping[str, Any], orders: Orders) -> Register:
        """Understand a table like ``{table = "input", address = 12, type = "float32"}``.

        Raises:
            SimulatorError: something in it cannot be made sense of.
        """
        numbering = str(given.get("numbering", orders.numbering))
        table, address = protocol_address(
            where, given.get("table"), given.get("address"), numbering
        )
        of_bits = table in BIT_TABLES
        kind = str(given.get("type", "bool" if of_bits else "uint16"))
        if kind not in (*_STRUCTS, "string"):
            raise SimulatorError(f"{where}: {unknown_name('type', kind, [*_STRUCTS, 'string'])}")
        width = (
            int(given.get("length", 1))
            if kind == "string"
            else struct.calcsize(_STRUCTS[kind]) // 2
        )
        write_table, write_address = table, address
        if "write_table" in given or "write_address" in given:
            if "write_address" in given:
                write_table, write_address = protocol_address(
                    where, given.get("write_table", table), given["write_address"], numbering
                )
            else:
                write_table = str(given["write_table"])
        made = cls(
            where=where,
            table=table,
            address=address,
            type=kind,
            width=1 if of_bits else width,
            word_order=str(given.get("words", orders.word_order)),
            byte_order=str(given.get("bytes", orders.byte_order)),
            scale=given.get("scale", 1),
            offset=given.get("offset", 0),
            bits=_bits(given),
            count=given.get("count"),
            invalid=_list(given.get("invalid", [])),
            write_table=write_table,
            write_address=write_address,
            readable=bool(given.get("readable", True)),
        )
        if kind == "string" and made.count is not None:
            raise SimulatorError(f"{where}.count: a string is one value, however long")
        if max(made.address, made.write_address) + made.size > _LAST + 1:
            raise SimulatorError(f"{where}: it ends beyond the last address")
        return made

    @property
    def size(self) -> int:
        """Registers, or bits, of all of it."""
        return self.width * (self.count or 1)

    @property
    def places(self) -> list[tuple[str, int]]:
        """Where it is read: the table, and each address."""
        return [(self.table, self.address + n) for n in range(self.size)]

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, truth values among them."""
        return self.type != "string"

    @property
    def mask(self) -> int:
        """Bits of each word that belong to it."""
        if self.bits is None:
            return _LAST
        low, high = self.bits
        return ((1 << high - low + 1) - 1) << low

    def words_of(self, value: Any) -> list[int]:
        """Return the words that hold *value*: a number, a text, or a list of numbers.

        Raises:
            SimulatorError: they cannot.
        """
        try:
            if self.type == "string":
                data = str(value).encode("latin-1").ljust(2 * self.width, b"\0")
                return self._ordered(data[: 2 * self.width], swap=False)
            values = [value] if self.count is None else list(value)
            if self.count is not None and len(values) != self.count:
                raise SimulatorError(f"{self.where}: it takes {self.count} values")
            return [word for one in values for word in self._words_of_one(float(one))]
        except (ValueError, TypeError) as error:
            raise SimulatorError(f"{self.where}: it cannot hold {value!r}: {error}") from error

    def raw_words(self, number: float) -> list[int]:
        """Return the words that hold *number* as it is, without scale, in each of its values.

        Raises:
            SimulatorError: they cannot.
        """
        return self._packed(number) * (self.count or 1)

    def numbers_in(self, words: Sequence[int]) -> list[float]:
        """Return the numbers that *words* hold; not a number where they hold none."""
        width = self.width
        return [self._number_in(words[at : at + width]) for at in range(0, len(words), width)]

    # -- one value ---------------------------------------------------------------------------

    def _words_of_one(self, value: float) -> list[int]:
        if self.table in BIT_TABLES:
            return [int(value != 0)]
        raw = (value - self.offset) / self.scale
        if self.bits is not None:
            low, high = self.bits
            if not 0 <= raw < (1 << high - low + 1) - 0.5:
                raise SimulatorError(f"{self.where}: its bits cannot hold {value:g}")
            return [round(raw) << low]
        return self._packed(raw)

    def _packed(self, raw: float) -> list[int]:
        if self.table in BIT_TABLES:
            return [int(raw != 0)]
        try:
            if self.type.startswith("bcd"):
                data = bytes.fromhex(f"{round(raw):0{4 * self.width}d}")
            elif self.type.startswith("float"):
                data = struct.pack(f">{_STRUCTS[self.type]}", raw)
            else:
                # The sheet of a device may give 32768 for what an int16 shows as -32768.
                whole = round(raw)
                most = 1 << 16 * self.width
                if not -most // 2 <= whole < (most if self._may_wrap(whole) else most // 2):
                    raise SimulatorError(f"{self.where}: it cannot hold {raw:g}: {self.type}")
                data = (whole % most).to_bytes(2 * self.width, "big")
        except (struct.error, OverflowError, ValueError) as error:
            raise SimulatorError(f"{self.where}: it cannot hold {raw:g}: {self.type}") from error
        if len(data) != 2 * self.width:
            raise SimulatorError(f"{self.where}: it cannot hold {raw:g}: {self.type}")
        return self._ordered(data, swap=self.word_order == "little")

    def _may_wrap(self, whole: int) -> bool:
        return not self.type.startswith("int") or whole in self.invalid

    def _ordered(self, data: bytes, *, swap: bool) -> list[int]:
        order = ">" if self.byte_order == "big" else "<"
        words = list(struct.unpack(f"{order}{len(data) // 2}H", data))
        return words[::-1] if swap else words

    def _number_in(self, words: Sequence[int]) -> float:
        if self.table in BIT_TABLES:
            return float(words[0])
        ordered = words[::-1] if self.word_order == "little" else words
        data = struct.pack(f"{'>' if self.byte_order == 'big' else '<'}{len(words)}H", *ordered)
        if self.type.startswith("bcd"):
            raw = float(data.hex()) if data.hex().isdecimal() else math.nan
        else:
            raw = float(struct.unpack(f">{_STRUCTS[self.type]}", data)[0])
        if self.bits is not None:
            raw = float((int(raw) & self.mask) >> self.bits[0])
        return raw * self.scale + self.offset


def spoilt(register: Register, plausible: tuple[float | None, float | None]) -> Spoilt | None:
    """Return what stands in *register* if there is no value; None: nothing means that."""
    if register.table in BIT_TABLES or register.type == "string":
        return None
    if register.bits is not None:
        return _spoilt_bits(register, register.bits)
    if register.invalid:
        return Spoilt(register.raw_words(register.invalid[0]))
    if register.type.startswith("float"):
        return Spoilt(register.raw_words(math.nan))
    if register.type.startswith("bcd"):
        return Spoilt([_NO_BCD] * register.size)
    return _implausible(register, *plausible)


def _spoilt_bits(register: Register, bits: tuple[int, int]) -> Spoilt | None:
    if not register.invalid:
        return None
    low, high = bits
    number = int(register.invalid[0])
    if number < 1 << high - low + 1:
        return Spoilt([number << low], register.mask)
    return Spoilt([number])  # its bits cannot hold that: it stands in the whole register


def _implausible(register: Register, low: float | None, high: float | None) -> Spoilt | None:
    if low is None or high is None:
        return None
    for value in (high + (high - low) + 1, low - (high - low) - 1):
        with contextlib.suppress(SimulatorError):
            return Spoilt(register.words_of([value] * register.count if register.count else value))
    return None


def protocol_address(where: str, table: Any, address: Any, numbering: str) -> tuple[str, int]:
    """Return the table and the address from 0 of what a file says.

    Raises:
        SimulatorError: there is no such address.
    """
    if not isinstance(address, int) or isinstance(address, bool):
        raise SimulatorError(f"{where}: its address must be a whole number, not {address!r}")
    if numbering == "modicon":
        of, number = divmod(address, 100000 if address > 99999 else 10000)
        table, address = _MODICON.get(of), number - 1
    elif numbering == "one-based":
        address -= 1
    if table not in TABLES:
        raise SimulatorError(f"{where}: its table must be one of {', '.join(TABLES)}")
    if not 0 <= address <= _LAST:
        raise SimulatorError(f"{where}: there is no address {address}")
    return str(table), address


def _bits(given: Mapping[str, Any]) -> tuple[int, int] | None:
    if "bits" in given:
        low, high = given["bits"]
        return int(low), int(high)
    return (int(given["bit"]), int(given["bit"])) if "bit" in given else None


def _list(given: Any) -> tuple[float, ...]:
    return tuple(given) if isinstance(given, list | tuple) else (given,)
