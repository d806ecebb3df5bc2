"""A Modbus device that an instrument file describes: registers that hold what its items say.

What can be read: the places of the items, and what lies between two of them if the file lets a
driver read across it (``max_gap``), which is zero there. All else is refused with exception 2, and
so are the holes that the file names, and what is not ``readable``.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

from simulators._described_register import (
    BIT_TABLES,
    Orders,
    Register,
    Spoilt,
    protocol_address,
    spoilt,
)
from simulators._described_shapes import (
    MODBUS_ITEM,
    MODBUS_SETTINGS,
    REGISTER,
    check_shapes,
)
from simulators._described_values import enumerator, most_plausible, number_pair
from simulators.device import Quantity, SimulatorError
from simulators.modbus import Code, ModbusDevice, ModbusError, Table

__all__ = ["DescribedModbus"]

_FARTHEST = 1e18
_USUAL_GAP = 16
_NAMES = {
    Table.COILS: "coil",
    Table.DISCRETE_INPUTS: "discrete",
    Table.HOLDING_REGISTERS: "holding",
    Table.INPUT_REGISTERS: "input",
}


@dataclass(slots=True, eq=False)
class _Item:
    key: str
    table: Mapping[str, Any]
    register: Register
    spoilt: Spoilt | None
    """What says that there is no value; None: it has none such."""


class DescribedModbus(ModbusDevice):
    """The device: a memory that starts with the values of the items."""

    name: ClassVar[str] = "modbus"
    default_baud: ClassVar[int] = 19_200

    def __init__(
        self,
        name: str,
        table: Mapping[str, Any],
        items: Mapping[str, Mapping[str, Any]],
        *,
        unit: int = 1,
    ) -> None:
        """Make the device of the controller *name*.

        Args:
            name: What errors call it.
            table: Its table in the instrument file.
            items: The tables of its items, by key.
            unit: Its address.

        Raises:
            SimulatorError: something cannot be made; the text says what.
        """
        super().__init__(unit=unit)
        self._where = f"controllers.{name}"
        self._table = table
        check_shapes(self._where, table, MODBUS_SETTINGS)
        for key, item in items.items():
            check_shapes(f"items.{key}", item, MODBUS_ITEM)
        self._orders = Orders.of(table)
        self._echo = bool(table.get("echo", False))
        self._most_words = int(table.get("max_registers", 125))
        self._most_bits = int(table.get("max_bits", 2000))
        self._min_gap_s = float(table.get("min_gap_s", 0.0))
        self._memory: dict[tuple[str, int], int] = {}
        self._writable: set[tuple[str, int]] = set()
        self._readable: set[tuple[str, int]] = set()
        self._items = {key: self._item(key, item) for key, item in items.items()}
        self._spoilt: set[str] = set()
        self._identity: Register | None = None
        self._fill()
        self._bridge()

    # -- messages ----------------------------------------------------------------------------

    def answer_on(self, transport: str, message: bytes) -> bytes:
        """Obey a frame; where the file says so, the wiring gives it back before the answer."""
        reply = super().answer_on(transport, message)
        echo = message if self._echo and transport != "modbus+tcp" else b""
        return echo + reply if reply else b""

    # -- tables ------------------------------------------------------------------------------

    def read_bits(self, table: Table, address: int, count: int) -> Sequence[bool]:
        """Read bits, no more than the file says can be read at once."""
        if count > self._most_bits:
            raise ModbusError(Code.ILLEGAL_VALUE)
        return super().read_bits(table, address, count)

    def read_words(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Read registers, no more than the file says can be read at once."""
        if count > self._most_words:
            raise ModbusError(Code.ILLEGAL_VALUE)
        return super().read_words(table, address, count)

    def read_bit(self, table: Table, address: int) -> bool:
        """Read a coil or discrete input."""
        return bool(self._read(table, address))

    def read_word(self, table: Table, address: int) -> int:
        """Read a holding or input register."""
        return self._read(table, address)

    def check_bit(self, address: int, value: bool) -> None:  # noqa: ARG002 - any will do
        """Pass where an item or a setting is."""
        self._require_writable("coil", address)

    def write_bits(self, address: int, values: Sequence[bool]) -> None:
        """Write coils, unless an item would get what is out of its range."""
        for place, value in enumerate(values, address):
            self.check_bit(place, value)
        self._write("coil", address, [int(value) for value in values])

    def write_words(self, address: int, values: Sequence[int]) -> None:
        """Write registers, unless an item would get what is out of its range."""
        for place in range(address, address + len(values)):
            self._require_writable("holding", place)
        self._write("holding", address, values)

    def _read(self, table: Table, address: int) -> int:
        at = _NAMES[table], address
        if at not in self._readable:
            raise ModbusError(Code.ILLEGAL_ADDRESS)
        word = self._memory[at]
        for key in self._spoilt:
            item = self._items[key]
            if item.spoilt is not None and item.register.table == at[0]:
                word = item.spoilt.over(word, address - item.register.address)
        if self.disguise is not None and self._identity is not None:
            register = self._identity
            if register.table == at[0] and register.address == address:
                return word ^ 1
        return word

    def _require_writable(self, table: str, address: int) -> None:
        if (table, address) not in self._writable:
            raise ModbusError(Code.ILLEGAL_ADDRESS)

    def _write(self, table: str, address: int, values: Sequence[int]) -> None:
        before = dict(self._memory)
        for place, value in enumerate(values, address):
            self._memory[table, place] = value
        touched = [
            item
            for item in self._items.values()
            if item.register.write_table == table
            and item.register.write_address < address + len(values)
            and address < item.register.write_address + item.register.size
        ]
        for item in touched:
            register = item.register
            words = [self._memory[table, register.write_address + n] for n in range(register.size)]
            self._store(register.table, register.address, words, register.mask)
        if not all(self._in_range(item) for item in touched):
            self._memory = before
            raise ModbusError(Code.ILLEGAL_VALUE)
        for item in touched:
            self._changed(item)

    # -- items -------------------------------------------------------------------------------

    def _item(self, key: str, table: Mapping[str, Any]) -> _Item:
        where = f"items.{key}.register"
        given = table.get("register")
        if not isinstance(given, Mapping):
            raise SimulatorError(f"{where}: an item of a modbus controller needs one")
        register = Register.of(where, given, self._orders)
        return _Item(key, table, register, spoilt(register, number_pair(table.get("plausible"))))

    def _words(self, item: _Item) -> list[int]:
        register = item.register
        return [self._memory[register.table, register.address + n] for n in range(register.size)]

    def _numbers(self, item: _Item) -> list[float]:
        return item.register.numbers_in(self._words(item))

    def _in_range(self, item: _Item) -> bool:
        low, high = number_pair(item.table.get("range"))
        if low is None or high is None or not item.register.is_number:
            return True
        slack = 1e-6 * max(abs(low), abs(high))
        return all(low - slack <= number <= high + slack for number in self._numbers(item))

    def _store(self, table: str, address: int, words: Iterable[int], mask: int) -> None:
        for place, word in enumerate(words, address):
            kept = self._memory.get((table, place), 0) & ~mask
            self._memory[table, place] = kept | word & mask

    def _put(self, item: _Item, words: Sequence[int]) -> None:
        register = item.register
        self._store(register.table, register.address, words, register.mask)
        if (register.write_table, register.write_address) != (register.table, register.address):
            self._store(register.write_table, register.write_address, words, register.mask)

    def _put_number(self, item: _Item, place: int, value: float) -> None:
        values = self._numbers(item)
        values[place] = value
        self._put(item, item.register.words_of(values if item.register.count else value))
        self._changed(item)

    def _changed(self, changed: _Item) -> None:
        """Have the items that follow this one follow."""
        for item in self._items.values():
            if item.table.get("tracks", {}).get("item") != changed.key or item is changed:
                continue
            # One that cannot hold the value stays where it is.
            with contextlib.suppress(SimulatorError):
                numbers = self._numbers(changed)
                self._put(
                    item, item.register.words_of(numbers if item.register.count else numbers[0])
                )

    # -- what it begins with -----------------------------------------------------------------

    def _fill(self) -> None:
        # Where items share a register, what the file says counts for more than what we make up.
        for given in (False, True):
            for item in self._items.values():
                if ("simulate" in item.table) == given:
                    self._put(item, self._first_words(item))
        for item in self._items.values():
            register = item.register
            self._allow(register.write_table, register.write_address, register.size)
        identify = self._table.get("identify")
        if identify is not None:
            self._identity = self._setting("identify", identify)
        for each in self._table.get("restore", ()):
            register = self._setting("restore", each)
            self._allow(register.table, register.address, register.size)

    def _allow(self, table: str, address: int, size: int) -> None:
        if table in ("coil", "holding"):
            self._writable |= {(table, place) for place in range(address, address + size)}

    def _setting(self, key: str, given: Mapping[str, Any]) -> Register:
        check_shapes(f"{self._where}.{key}", given, REGISTER)
        register = Register.of(f"{self._where}.{key}", given, self._orders)
        value = given.get("value", 0)
        if isinstance(value, list) and value and register.count is None:
            value = value[0]  # any of them will do
        self._store(register.table, register.address, register.words_of(value), register.mask)
        return register

    def _first_words(self, item: _Item) -> Sequence[int]:
        register, given = item.register, item.table.get("simulate")
        if given is not None:
            known = enumerator(item.table, given)
            return register.words_of(given if known is None else known)
        if register.type == "string":
            return register.words_of("simulated")
        value = 0.0 if _is_truth(register) else most_plausible(item.table)
        for candidate in (value, round((value - register.offset) / register.scale)):
            with contextlib.suppress(SimulatorError):
                words = register.words_of(
                    [candidate] * register.count if register.count else candidate
                )
                # What means "no value" is nothing to begin with.
                if item.spoilt is None or words != item.spoilt.words:
                    return words
        return [0] * register.size

    def _bridge(self) -> None:
        """Let what lies between two items be read, as far as the file lets a driver read it."""
        holes = {
            (table, address)
            for table, spans in self._table.get("holes", {}).items()
            for first, last in spans
            for address in self._span(table, first, last)
        }
        gap = int(self._table.get("max_gap", _USUAL_GAP))
        for table in {table for table, _ in self._memory}:
            widest = gap * (16 if table in BIT_TABLES else 1)
            known = sorted(address for of, address in self._memory if of == table)
            for low, high in pairwise(known):
                between = [(table, address) for address in range(low + 1, high)]
                if len(between) <= widest and not holes.intersection(between):
                    self._memory |= dict.fromkeys(between, 0)
        registers = [item.register for item in self._items.values()]
        for register in registers:
            if register.readable and (hole := next(iter(holes & set(register.places)), None)):
                raise SimulatorError(f"{register.where}.address: {hole[1]} is in a hole")
        hidden = {at for register in registers if not register.readable for at in register.places}
        shown = {at for register in registers if register.readable for at in register.places}
        self._readable = set(self._memory) - holes - (hidden - shown)

    def _span(self, table: str, first: Any, last: Any) -> range:
        what, numbering = f"{self._where}.holes", self._orders.numbering
        low, high = (protocol_address(what, table, end, numbering)[1] for end in (first, last))
        return range(low, high + 1)

    # -- time, supply and the control port ---------------------------------------------------

    def pace_s(self) -> float:
        """Give the gap between messages that the file says."""
        return self._min_gap_s

    def step(self, dt_s: float) -> None:
        """Let time pass, in which nothing happens.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        if not (math.isfinite(dt_s) and dt_s >= 0):
            raise ValueError(f"time goes forward only, not by {dt_s} s")

    def power_off(self) -> None:
        """Keep the values, as the file says none for this."""

    def power_on(self) -> None:
        """Go on as before."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Give each item that is a number, and ``invalid.KEY`` where registers can say so."""
        found: dict[str, Quantity] = {}
        for key, item in self._items.items():
            if item.register.is_number:
                found |= {
                    f"{key}.{place}" if item.register.count else key: Quantity(
                        units=_units(item.table),
                        doc=str(item.table.get("description", f"item {key}")),
                        read=partial(self._number, item, place),
                        write=partial(self._put_number, item, place),
                        low=-_FARTHEST,
                        high=_FARTHEST,
                    )
                    for place in range(item.register.count or 1)
                }
            if item.spoilt is not None:
                found[f"invalid.{key}"] = Quantity(
                    units="",
                    doc=f"1: the registers of {key} say that it has no value",
                    read=partial(self._is_spoilt, key),
                    write=partial(self._spoil, key),
                    whole=True,
                )
        return found

    def _number(self, item: _Item, place: int) -> float:
        return self._numbers(item)[place]

    def _is_spoilt(self, key: str) -> float:
        return float(key in self._spoilt)

    def _spoil(self, key: str, value: float) -> None:
        if value:
            self._spoilt.add(key)
        else:
            self._spoilt.discard(key)


def _is_truth(register: Register) -> bool:
    single = register.bits is not None and register.bits[0] == register.bits[1]
    return register.type == "bool" or register.table in BIT_TABLES or single


def _units(table: Mapping[str, Any]) -> str:
    units = table.get("units", "")
    return str(units.get("", "") if isinstance(units, Mapping) else units)
