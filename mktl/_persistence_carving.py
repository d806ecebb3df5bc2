"""Finds saved values in what is left of a damaged database, page by page.

SQLite itself gives up a file whose inner nodes are damaged, and everything in a write-ahead log
behind the first bad frame. The values are still there, in pages that are whole; each row has a
checksum of its own, so nothing is taken for a value that is none.

Source: the SQLite file format, https://sqlite.org/fileformat2.html, sections 1.5, 1.6, 2.1 and 4.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["PAGE", "Row", "carve", "checksum"]

PAGE = 4096
"""Bytes of a page in the databases that we make."""

_LOG_HEADER, _FRAME_HEADER = 32, 24
_LEAF = 0x0D
_MOST_LOCAL = PAGE - 35
_LEAST_LOCAL = (PAGE - 12) * 32 // 255 - 23
_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes by kind of column; kinds 8 and 9 are themselves the numbers 0 and 1."""

Buffer = bytes | memoryview


class Row(NamedTuple):
    """One saved value as it is kept."""

    key: str
    payload: bytes
    bulk: bytes | None
    serial: int
    """How many values had been saved with this one: the larger, the later."""


def checksum(row: Row) -> int:
    """Return what tells whether *row* is as it was written."""
    sum_ = zlib.crc32(f"{row.serial}:{len(row.payload)}:{row.key}:".encode())
    sum_ = zlib.crc32(row.payload, sum_)
    return sum_ if row.bulk is None else zlib.crc32(row.bulk, zlib.crc32(b":", sum_))


def carve(database: Buffer, log: Buffer) -> dict[str, Row]:
    """Return the latest version of each value that can be found, by key.

    Args:
        database: The content of a database, as far as it is there.
        log: The content of its write-ahead log, likewise.
    """
    return _Carving(memoryview(database), memoryview(log)).found


class _Carving:
    """What is found in a database and its log."""

    def __init__(self, database: memoryview, log: memoryview) -> None:
        self.found: dict[str, Row] = {}
        self._database = database
        self._longest = len(database) + len(log)
        self._logged: dict[int, memoryview] = {}
        for number in range(1, (len(database) + PAGE - 1) // PAGE + 1):
            self._take(number)
        for numbers in self._commits(log):
            for number in numbers:
                self._take(number)

    def _commits(self, log: memoryview) -> Iterator[list[int]]:
        """Lay the pages of one commit after the other over the file, and yield their numbers."""
        numbers: list[int] = []
        for start in range(_LOG_HEADER, len(log), _FRAME_HEADER + PAGE):
            number = int.from_bytes(log[start : start + 4], "big")
            self._logged[number] = log[start + _FRAME_HEADER : start + _FRAME_HEADER + PAGE]
            numbers.append(number)
            if any(log[start + 4 : start + 8]):  # the last frame of a commit
                yield numbers
                numbers = []
        yield numbers

    def _page(self, number: int) -> memoryview:
        if number in self._logged:
            return self._logged[number]
        start = (number - 1) * PAGE
        return self._database[start : start + PAGE] if number > 0 else self._database[:0]

    def _take(self, number: int) -> None:
        """Take what the page of that number holds, if it is one with rows."""
        page, header = self._page(number), 100 if number == 1 else 0
        if len(page) < header + 8 or page[header] != _LEAF:
            return
        for place in range(int.from_bytes(page[header + 3 : header + 5], "big")):
            pointer = header + 8 + 2 * place
            row = self._row(page, int.from_bytes(page[pointer : pointer + 2], "big"))
            if row is None:
                continue
            if row.key not in self.found or row.serial > self.found[row.key].serial:
                self.found[row.key] = row

    def _row(self, page: memoryview, start: int) -> Row | None:
        """Return the row in the cell at *start*; ``None`` where none is, or a damaged one."""
        try:
            length, start = _number(page, start)
            _rowid, start = _number(page, start)
            kinds, begin = _columns(page[start:], min(length, self._longest))
            record = self._record(page, start, length)
            parts = _split(record, begin, kinds)
            bulk = parts[2] if kinds[2] else None
            row = Row(str(parts[0], "utf-8"), parts[1], bulk, _integer(parts[3], kinds[3]))
            good = checksum(row) == _integer(parts[4], kinds[4])
        except (IndexError, ValueError):
            return None
        return row if good else None

    def _record(self, page: memoryview, start: int, length: int) -> bytes:
        """Return a record, which may be continued on other pages."""
        if length <= _MOST_LOCAL:
            return bytes(page[start : start + length])
        local = _LEAST_LOCAL + (length - _LEAST_LOCAL) % (PAGE - 4)
        local = local if local <= _MOST_LOCAL else _LEAST_LOCAL
        parts = [page[start : start + local]]
        missing = length - local
        link = page[start + local : start + local + 4]
        while missing > 0:
            overflow = self._page(int.from_bytes(link, "big"))
            if len(overflow) < PAGE:
                raise ValueError("the chain of pages is broken")
            parts.append(overflow[4 : 4 + min(missing, PAGE - 4)])
            missing -= PAGE - 4
            link = overflow[:4]
        return b"".join(parts)


def _number(data: Buffer, at: int) -> tuple[int, int]:
    """Return the integer of variable length at *at*, and where it ends."""
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9


def _columns(record: Buffer, length: int) -> tuple[list[int], int]:
    """Return the kinds of the five columns of a row of ours, and where the first begins.

    Raises:
        ValueError: it is the row of something else.
    """
    end, at = _number(record, 0)
    kinds: list[int] = []
    while at < end and len(kinds) < 5:
        kind, at = _number(record, at)
        kinds.append(kind)
    if len(kinds) != 5 or at != end or end + sum(map(_size, kinds)) != length:
        raise ValueError("not a row of saved values")
    key, payload, bulk, serial, sum_ = kinds
    is_text, is_bytes = key >= 13 and key % 2 == 1, payload >= 12 and payload % 2 == 0
    is_bulk = bulk == 0 or (bulk >= 12 and bulk % 2 == 0)
    if not (is_text and is_bytes and is_bulk and {serial, sum_} <= _INTEGER_SIZES.keys()):
        raise ValueError("not a row of saved values")
    return kinds, end


def _size(kind: int) -> int:
    return (kind - 12) // 2 if kind >= 12 else _INTEGER_SIZES.get(kind, 0)


def _integer(data: bytes, kind: int) -> int:
    # Both are above zero, so that there is no sign to think of.
    return kind - 8 if kind in (8, 9) else int.from_bytes(data, "big")


def _split(record: bytes, begin: int, kinds: list[int]) -> list[bytes]:
    parts = []
    for kind in kinds:
        end = begin + _size(kind)
        parts.append(record[begin:end])
        begin = end
    return parts
