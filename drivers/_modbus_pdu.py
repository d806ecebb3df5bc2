"""Modbus requests and what an answer to each has to look like: bytes in, bytes out.

Source: MODBUS Application Protocol Specification V1.1b3, sections 6 and 7.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers._modbus_address import number_of, row_text
from mktl.errors import BadValue, ProtocolMismatch

__all__ = [
    "EXCEPTIONS",
    "FUNCTIONS",
    "MOST_BITS",
    "MOST_REGISTERS",
    "exception_text",
    "function_text",
    "loopback",
    "mask_write",
    "read",
    "read_reply",
    "write_bit",
    "write_bits",
    "write_register",
    "write_registers",
    "write_reply",
]

MOST_REGISTERS = 125
"""Most registers of one read."""
MOST_BITS = 2000
"""Most coils or discrete inputs of one read."""
_MOST_WRITTEN_REGISTERS = 123
_MOST_WRITTEN_BITS = 1968

FUNCTIONS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
"""Function code that reads each table."""

_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_TABLES |= {5: "coil", 6: "holding", 15: "coil", 16: "holding", 22: "holding"}

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge: it was accepted and takes long",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""What the exception codes say."""

_NAMES = {
    1: "read coils",
    2: "read discrete inputs",
    3: "read holding registers",
    4: "read input registers",
    5: "write coil",
    6: "write register",
    8: "diagnostics",
    15: "write coils",
    16: "write registers",
    22: "mask write register",
}


def exception_text(code: int) -> str:
    """Return the exception *code* in words, number included."""
    return f"{EXCEPTIONS.get(code, 'an unknown reason')} (exception {code})"


def function_text(pdu: bytes, numbering: str = "protocol") -> str:
    """Return what *pdu*, a request, asks for, as error texts show it.

    Addresses are as a file with *numbering* has them; if that differs, those on the wire too.
    """
    name = _NAMES.get(pdu[0])
    if name is None or len(pdu) < 5 or pdu[0] == 8:
        return f"request {pdu.hex(' ')}"
    address, second = struct.unpack_from(">HH", pdu, 1)
    count = max(1, second) if pdu[0] in (1, 2, 3, 4, 15, 16) else 1
    wire = row_text(address, address + count, " to ")
    if numbering == "protocol":
        return f"{name} {wire}"
    number = number_of(_TABLES[pdu[0]], address, numbering)
    return f"{name} {row_text(number, number + count, ' to ')} ({wire} on the wire)"


def read(table: str, address: int, count: int) -> bytes:
    """Return the request for *count* registers or bits of *table*.

    Raises:
        BadValue: there cannot be so many, or not there.
    """
    bits = table in ("coil", "discrete")
    _check_span(address, count, MOST_BITS if bits else MOST_REGISTERS)
    return struct.pack(">BHH", FUNCTIONS[table], address, count)


def read_reply(table: str, count: int, reply: bytes) -> list[int]:
    """Return the registers, or bits as 0 and 1, in *reply* to :func:`read`.

    Raises:
        ProtocolMismatch: these are not *count* of them.
    """
    bits = table in ("coil", "discrete")
    size = (count + 7) // 8 if bits else 2 * count
    if len(reply) != 2 + size or reply[1] != size:
        raise ProtocolMismatch(
            f"{count} values are {size} bytes, but the reply has {len(reply) - 2} "
            f"and says {reply[1] if len(reply) > 1 else 'nothing'}: {reply[:40].hex(' ')}"
        )
    if not bits:
        return list(struct.unpack(f">{count}H", reply[2:]))
    number = int.from_bytes(reply[2:], "little")
    return [number >> index & 1 for index in range(count)]


def write_register(address: int, value: int) -> bytes:
    """Return the request that writes one register (function 6)."""
    _check_span(address, 1, 1)
    return struct.pack(">BHH", 6, address, _word(value))


def write_registers(address: int, values: Sequence[int]) -> bytes:
    """Return the request that writes registers in a row (function 16)."""
    count = len(values)
    _check_span(address, count, _MOST_WRITTEN_REGISTERS)
    head = struct.pack(">BHHB", 16, address, count, 2 * count)
    return head + struct.pack(f">{count}H", *map(_word, values))


def write_bit(address: int, value: bool) -> bytes:
    """Return the request that writes one coil (function 5)."""
    _check_span(address, 1, 1)
    return struct.pack(">BHH", 5, address, 0xFF00 if value else 0)


def write_bits(address: int, values: Sequence[int]) -> bytes:
    """Return the request that writes coils in a row (function 15)."""
    count = len(values)
    _check_span(address, count, _MOST_WRITTEN_BITS)
    size = (count + 7) // 8
    number = sum(1 << index for index, value in enumerate(values) if value)
    return struct.pack(">BHHB", 15, address, count, size) + number.to_bytes(size, "little")


def mask_write(address: int, and_mask: int, or_mask: int) -> bytes:
    """Return the request for register = (register and *and_mask*) or (*or_mask* and not it)."""
    _check_span(address, 1, 1)
    return struct.pack(">BHHH", 22, address, _word(and_mask), _word(or_mask))


def loopback(data: int) -> bytes:
    """Return the request that is to come back as it is (function 8, subfunction 0)."""
    return struct.pack(">BHH", 8, 0, _word(data))


def write_reply(request: bytes, reply: bytes) -> None:
    """Check *reply* to one of the requests above that write.

    Raises:
        ProtocolMismatch: it does not repeat what was written.
    """
    due = request[:5] if request[0] in (15, 16) else request
    if reply != due:
        raise ProtocolMismatch(f"{due.hex(' ')} should come back, not {reply[:40].hex(' ')}")


def _check_span(address: int, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise BadValue(f"{count} values cannot be asked for at once, only 1 to {most}")
    if not 0 <= address <= address + count - 1 <= 0xFFFF:
        raise BadValue(f"addresses are 0 to 65535, not {address} to {address + count - 1}")


def _word(value: int) -> int:
    if not 0 <= value <= 0xFFFF:
        raise BadValue(f"a register holds 0 to 65535, not {value}")
    return value
