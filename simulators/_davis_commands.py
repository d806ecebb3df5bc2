"""The command table of a Vantage console, as its sheet has it.

``EEBWR`` and ``SETTIME`` are the counterparts of ``EEBRD`` and ``GETTIME``: the same bytes the
other way. A dump goes as the sheet says in short: ``DMPAFT``, then date and time with a checksum,
then the number of pages and the place of the first record, then a page for each ACK.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from simulators._davis_packets import LINE_END, checked, with_crc

if TYPE_CHECKING:
    from simulators.davis_vantage import DavisVantage

__all__ = ["ACK", "BAD_CRC", "RESEND", "Block", "NotObeyedError", "obey"]

ACK, BAD_CRC = b"\x06", b"\x18"
RESEND = b"\x15\x21"
"""Either of these from a host asks for a page again (the sheet has both for NAK)."""

_DECIMAL, _HEX = re.compile(r"[0-9]{1,5}"), re.compile(r"[0-9A-Fa-f]{1,3}")
_MOST_PACKETS = 0xFFFF
_LOOP_TYPE = 1


class NotObeyedError(Exception):
    """A command that is not obeyed; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes that the console waits for."""

    length: int
    """How many."""
    take: Callable[[bytes], bytes]
    """Gets them and gives the reply."""


Argument = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    run: Callable[..., bytes]
    """Gets the console and the arguments; gives the reply."""
    arguments: Sequence[Argument] = ()


def obey(console: DavisVantage, text: str) -> bytes:
    """Obey one command, and give the reply.

    Raises:
        NotObeyedError: it is unknown, or its arguments are no good.
    """
    name, *words = text.split(" ")
    command = COMMANDS.get(name)
    if command is None or len(words) != len(command.arguments):
        raise NotObeyedError
    values = [read(word) for read, word in zip(command.arguments, words, strict=True)]
    return command.run(console, *values)


def _decimal(word: str) -> int:
    if not _DECIMAL.fullmatch(word):
        raise NotObeyedError
    return int(word)


def _hexadecimal(word: str) -> int:
    if not _HEX.fullmatch(word):
        raise NotObeyedError
    return int(word, 16)


def _text(console_text: Callable[[DavisVantage], str]) -> Command:
    def run(console: DavisVantage) -> bytes:
        text = console.disguise or console_text(console)
        return LINE_END + b"OK" + LINE_END + text.encode("latin-1", "replace") + LINE_END

    return Command(run)


def _test(_console: DavisVantage) -> bytes:
    return LINE_END + b"TEST" + LINE_END


def _station_type(console: DavisVantage) -> bytes:
    # Another station than a Vantage, while it says that it is another device.
    return ACK + bytes([0 if console.disguise else console.station_type])


# -- streams -------------------------------------------------------------------------------------


def _loop(console: DavisVantage, count: int) -> bytes:
    if not 1 <= count <= _MOST_PACKETS:
        raise NotObeyedError
    console.begin_stream(count)
    return ACK


def _lps(console: DavisVantage, types: int, count: int) -> bytes:
    if not types & _LOOP_TYPE:
        raise NotObeyedError
    return _loop(console, count)


# -- clock and EEPROM ----------------------------------------------------------------------------


def _get_time(console: DavisVantage) -> bytes:
    now = console.clock
    fields = now.second, now.minute, now.hour, now.day, now.month, now.year - 1900
    return ACK + with_crc(bytes(fields))


def _set_time(console: DavisVantage) -> bytes:
    console.expect(Block(8, partial(_take_time, console)))
    return ACK


def _take_time(console: DavisVantage, block: bytes) -> bytes:
    data = checked(block)
    if data is None:
        return BAD_CRC
    second, minute, hour, day, month, year = data
    try:
        console.clock = datetime(1900 + year, month, day, hour, minute, second)
    except ValueError:
        raise NotObeyedError from None
    return ACK


def _read_eeprom(console: DavisVantage, address: int, count: int) -> bytes:
    data = console.eeprom.read(address, count)
    if data is None:
        raise NotObeyedError
    return ACK + with_crc(data)


def _write_eeprom(console: DavisVantage, address: int, count: int) -> bytes:
    if console.eeprom.read(address, count) is None:
        raise NotObeyedError
    console.expect(Block(count + 2, partial(_take_eeprom, console, address)))
    return ACK


def _take_eeprom(console: DavisVantage, address: int, block: bytes) -> bytes:
    data = checked(block)
    if data is None:
        return BAD_CRC
    console.eeprom.write(address, data)
    return ACK


# -- the archive ---------------------------------------------------------------------------------


def _dump(console: DavisVantage) -> bytes:
    console.expect(Block(6, partial(_take_begin, console)))
    return ACK


def _take_begin(console: DavisVantage, block: bytes) -> bytes:
    data = checked(block)
    if data is None:
        return BAD_CRC
    date, time = struct.unpack("<HH", data)
    pages, first = console.archive.pages_after((date, time))
    head = with_crc(struct.pack("<HH", len(pages), first))
    if pages:
        console.expect(Block(1, partial(_next_page, console, head, pages)))
    return ACK + head


def _next_page(console: DavisVantage, last: bytes, pages: Sequence[bytes], word: bytes) -> bytes:
    """Answer a byte: ACK is for the next page, NAK for the *last* again, all else ends it."""
    if word == b"\n":
        return LINE_END
    if word == ACK:
        if not pages:
            return b""
        last, *pages = pages
    elif word not in RESEND:
        return b""
    console.expect(Block(1, partial(_next_page, console, last, pages)))
    return last


COMMANDS: Mapping[str, Command] = {
    "TEST": Command(_test),
    "VER": _text(lambda console: console.firmware_date),
    "NVER": _text(lambda console: console.firmware_version),
    "WRD\x12\x4d": Command(_station_type),
    "LOOP": Command(_loop, (_decimal,)),
    "LPS": Command(_lps, (_decimal, _decimal)),
    "GETTIME": Command(_get_time),
    "SETTIME": Command(_set_time),
    "EEBRD": Command(_read_eeprom, (_hexadecimal, _hexadecimal)),
    "EEBWR": Command(_write_eeprom, (_hexadecimal, _hexadecimal)),
    "DMPAFT": Command(_dump),
}
"""Commands by their first word; upper case only."""
