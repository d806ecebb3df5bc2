"""What Modbus requests ask for, and the replies to them: function code and data, nothing else.

Source: MODBUS Application Protocol Specification V1.1b3, chapter 6 (the section is that of the
function: FC1 is 6.1); exception codes, chapter 7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, IntEnum
from typing import Protocol


class Code(IntEnum):
    """Exception codes (chapter 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    BUSY = 6


class ModbusError(Exception):
    """A request that is answered with an exception; nothing has changed."""

    def __init__(self, code: int) -> None:
        """Remember the exception *code* of the reply."""
        super().__init__(f"exception {code}")
        self.code = code


class Table(Enum):
    """The four tables (chapter 4.3), by the function that reads them."""

    COILS = 1
    DISCRETE_INPUTS = 2
    HOLDING_REGISTERS = 3
    INPUT_REGISTERS = 4


class Tables(Protocol):
    """A device as its tables; every method may raise `ModbusError`."""

    def read_bits(self, table: Table, address: int, count: int) -> Sequence[bool]:
        """Read *count* bits from *address* on."""
        ...

    def write_bits(self, address: int, values: Sequence[bool]) -> None:
        """Write coils from *address* on: all, or none."""
        ...

    def read_words(self, table: Table, address: int, count: int) -> Sequence[int]:
        """Read *count* words from *address* on, each within 0 to 65535."""
        ...

    def write_words(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers from *address* on: all, or none."""
        ...


_COIL = {0xFF00: True, 0x0000: False}


def reply_to(pdu: bytes, tables: Tables) -> bytes:
    """Obey one request and return the reply, normal or exception; never raises `ModbusError`."""
    function = pdu[0]
    try:
        run = _FUNCTIONS.get(function)
        if run is None:
            raise ModbusError(Code.ILLEGAL_FUNCTION)
        return bytes([function]) + run(tables, function, pdu[1:])
    except ModbusError as refused:
        return exception_reply(pdu, refused.code)


def exception_reply(pdu: bytes, code: int) -> bytes:
    """Give the reply that refuses the request *pdu*."""
    return bytes([pdu[0] | 0x80, code])


def _read_bits(tables: Tables, function: int, data: bytes) -> bytes:
    address, count = _unpack(">HH", data)
    _require_range(address, count, 2000)
    bits = tables.read_bits(Table(function), address, count)
    packed = sum(bool(bit) << place for place, bit in enumerate(bits))
    return _counted(packed.to_bytes((count + 7) // 8, "little"))


def _read_words(tables: Tables, function: int, data: bytes) -> bytes:
    address, count = _unpack(">HH", data)
    _require_range(address, count, 125)
    words = tables.read_words(Table(function), address, count)
    return _counted(struct.pack(f">{count}H", *words))


def _write_bit(tables: Tables, _function: int, data: bytes) -> bytes:
    address, value = _unpack(">HH", data)
    if value not in _COIL:
        raise ModbusError(Code.ILLEGAL_VALUE)
    tables.write_bits(address, [_COIL[value]])
    return data


def _write_word(tables: Tables, _function: int, data: bytes) -> bytes:
    address, value = _unpack(">HH", data)
    tables.write_words(address, [value])
    return data


def _diagnose(_tables: Tables, _function: int, data: bytes) -> bytes:
    # Only "return query data" (6.8.1): the others are about counters, which a register map has not.
    if len(data) < 4:
        raise ModbusError(Code.ILLEGAL_VALUE)
    if data[:2] != b"\0\0":
        raise ModbusError(Code.ILLEGAL_FUNCTION)
    return data


def _write_bits(tables: Tables, _function: int, data: bytes) -> bytes:
    address, count, size = _unpack(">HHB", data[:5])
    _require_range(address, count, 1968)
    if size != (count + 7) // 8 or len(data) != 5 + size:
        raise ModbusError(Code.ILLEGAL_VALUE)
    packed = int.from_bytes(data[5:], "little")
    tables.write_bits(address, [bool(packed >> place & 1) for place in range(count)])
    return data[:4]


def _write_words(tables: Tables, _function: int, data: bytes) -> bytes:
    address, count, size = _unpack(">HHB", data[:5])
    _require_range(address, count, 123)
    tables.write_words(address, _words(data[5:], count, size))
    return data[:4]


def _mask_write(tables: Tables, _function: int, data: bytes) -> bytes:
    address, and_mask, or_mask = _unpack(">HHH", data)
    [word] = tables.read_words(Table.HOLDING_REGISTERS, address, 1)
    tables.write_words(address, [word & and_mask | or_mask & ~and_mask])
    return data


def _read_write(tables: Tables, _function: int, data: bytes) -> bytes:
    address, count, to, to_count, size = _unpack(">HHHHB", data[:9])
    _require_range(address, count, 125)
    _require_range(to, to_count, 121)
    values = _words(data[9:], to_count, size)
    # A range that cannot be read must not have been written already.
    tables.read_words(Table.HOLDING_REGISTERS, address, count)
    tables.write_words(to, values)
    words = tables.read_words(Table.HOLDING_REGISTERS, address, count)
    return _counted(struct.pack(f">{count}H", *words))


_FUNCTIONS: Mapping[int, Callable[[Tables, int, bytes], bytes]] = {
    1: _read_bits,
    2: _read_bits,
    3: _read_words,
    4: _read_words,
    5: _write_bit,
    6: _write_word,
    8: _diagnose,
    15: _write_bits,
    16: _write_words,
    22: _mask_write,
    23: _read_write,
}
FUNCTIONS = frozenset(_FUNCTIONS)
"""Function codes that can be obeyed."""


def _unpack(layout: str, data: bytes) -> tuple[int, ...]:
    if len(data) != struct.calcsize(layout):
        raise ModbusError(Code.ILLEGAL_VALUE)
    return struct.unpack(layout, data)


def _require_range(address: int, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise ModbusError(Code.ILLEGAL_VALUE)
    if address + count > 0x10000:
        raise ModbusError(Code.ILLEGAL_ADDRESS)


def _words(data: bytes, count: int, size: int) -> list[int]:
    if size != 2 * count or len(data) != size:
        raise ModbusError(Code.ILLEGAL_VALUE)
    return list(struct.unpack(f">{count}H", data))


def _counted(data: bytes) -> bytes:
    return bytes([len(data)]) + data
