"""The device as a VXI-11 instrument: the core channel over ONC RPC, on a port of our choice.

There is no portmapper: a host names the port. Procedures and error codes are those of the TCP/IP
Instrument Protocol Specification VXI-11 (1995), section B.6; ONC RPC is RFC 5531 (record marking:
section 11), XDR is RFC 4506. The interrupt and abort channels are refused as not supported, locks
are kept between links.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum, IntFlag

from simulators._bench import Bench
from simulators._instrument_session import InstrumentSession
from simulators._tcp_link import TcpLink

CORE_PROGRAM, CORE_VERSION = 0x0607AF, 1
"""Device core channel (section B.6)."""
LARGEST_WRITE = 16_384
"""Bytes that one device_write may carry; what create_link tells the host."""

_LARGEST_RECORD = LARGEST_WRITE + 1024
_LAST_FRAGMENT = 0x8000_0000
_CALL, _REPLY = 0, 1
_SUCCESS, _NO_PROGRAM, _NO_VERSION, _NO_PROCEDURE, _GARBAGE = range(5)
_RPC_VERSION = 2
_MOST_LINKS = 32


class Error(IntEnum):
    """Device_ErrorCode (table B.2)."""

    NONE = 0
    NOT_ACCESSIBLE = 3
    INVALID_LINK = 4
    NOT_SUPPORTED = 8
    OUT_OF_RESOURCES = 9
    LOCKED = 11
    NOT_LOCKED = 12
    TIMEOUT = 15


class Flag(IntFlag):
    """Device_Flags (section B.5.3)."""

    END = 8
    TERM_CHAR_SET = 128


class Reason(IntFlag):
    """Why a device_read ended (section B.6.4)."""

    REQUEST_COUNT = 1
    TERM_CHAR = 2
    END = 4


class _GarbageError(Exception):
    """Arguments that are none."""


class _Arguments:
    """Reads XDR."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        if self._at + 4 > len(self._data):
            raise _GarbageError
        (value,) = struct.unpack_from(">I", self._data, self._at)
        self._at += 4
        return int(value)

    def opaque(self) -> bytes:
        length = self.number()
        if self._at + length > len(self._data):
            raise _GarbageError
        value = self._data[self._at : self._at + length]
        self._at += (length + 3) // 4 * 4
        return value


def _opaque(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


class Vxi11Link(TcpLink):
    """A listening port; its connections may have several links each."""

    def __init__(self, bench: Bench, host: str, port: int) -> None:
        """Prepare to listen on *host* and *port*; port 0: a free one."""
        super().__init__(bench, host, port, transport="vxi11")
        self.sessions: dict[int, InstrumentSession] = {}
        self.locked_by: int | None = None
        self._last_link = 0

    async def send_unasked(self, data: bytes) -> None:
        """Let every link read *data* as if it were a reply."""
        for session in self.sessions.values():
            session.put_unasked(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer calls one after another until the host goes."""
        core = _CoreChannel(self)
        try:
            while (record := await _read_record(reader)) is not None:
                reply = await core.reply_to(record)
                if reply is None:
                    return
                writer.write(struct.pack(">I", _LAST_FRAGMENT | len(reply)) + reply)
                await writer.drain()
        finally:
            await core.close()

    def open_session(self) -> int | None:
        """Give the number of a new link; None: there are too many."""
        if len(self.sessions) >= _MOST_LINKS:
            return None
        self._last_link += 1
        self.sessions[self._last_link] = InstrumentSession(self._bench, self.kind)
        return self._last_link

    async def close_session(self, number: int) -> None:
        """Close a link, and give back the lock that it may have."""
        session = self.sessions.pop(number)
        if self.locked_by == number:
            self.locked_by = None
        await session.close()


async def _read_record(reader: asyncio.StreamReader) -> bytes | None:
    """Read the fragments of one record; None: the host has gone, or sends nonsense."""
    record = b""
    last = False
    try:
        while not last:
            (header,) = struct.unpack(">I", await reader.readexactly(4))
            last, length = bool(header & _LAST_FRAGMENT), header & ~_LAST_FRAGMENT
            if len(record) + length > _LARGEST_RECORD:
                return None
            record += await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        return None
    return record


class _CoreChannel:
    """The calls of one connection."""

    def __init__(self, link: Vxi11Link) -> None:
        self._link = link
        self._own: set[int] = set()
        self._procedures: Mapping[int, Callable[[_Arguments], Awaitable[bytes]]] = {
            0: self._null,
            10: self._create_link,
            11: self._device_write,
            12: self._device_read,
            13: self._device_readstb,
            14: self._device_trigger,
            15: self._device_clear,
            16: self._device_remote,
            17: self._device_remote,
            18: self._device_lock,
            19: self._device_unlock,
            20: self._not_supported,
            22: self._device_docmd,
            23: self._destroy_link,
            25: self._not_supported,
            26: self._not_supported,
        }

    async def close(self) -> None:
        for number in list(self._own):
            await self._link.close_session(number)

    async def reply_to(self, record: bytes) -> bytes | None:
        """Carry out one call; None: it is no call, and the connection is of no use."""
        arguments = _Arguments(record)
        try:
            transaction, kind, version = (arguments.number() for _ in range(3))
            program, program_version, procedure = (arguments.number() for _ in range(3))
            for _ in ("credentials", "verifier"):
                arguments.number()
                arguments.opaque()
        except _GarbageError:
            return None
        if kind != _CALL or version != _RPC_VERSION:
            return None
        accepted = struct.pack(">IIIII", transaction, _REPLY, 0, 0, 0)
        if (program, program_version) != (CORE_PROGRAM, CORE_VERSION):
            known = program == CORE_PROGRAM
            mismatch = _numbers(_NO_VERSION, CORE_VERSION, CORE_VERSION)
            return accepted + (mismatch if known else _numbers(_NO_PROGRAM))
        return accepted + await self._result(procedure, arguments)

    async def _result(self, procedure: int, arguments: _Arguments) -> bytes:
        run = self._procedures.get(procedure)
        if run is None:
            return _numbers(_NO_PROCEDURE)
        try:
            return _numbers(_SUCCESS) + await run(arguments)
        except _GarbageError:
            return _numbers(_GARBAGE)
        except _RefusedError as refused:
            return _numbers(_SUCCESS, refused.error) + refused.rest

    def _session(self, number: int, *, rest: bytes = b"") -> InstrumentSession:
        if number not in self._own:
            raise _RefusedError(Error.INVALID_LINK, rest)
        if self._link.locked_by not in (None, number):
            raise _RefusedError(Error.LOCKED, rest)
        return self._link.sessions[number]

    # -- procedures (section B.6) ------------------------------------------------------------

    async def _null(self, _arguments: _Arguments) -> bytes:
        return b""

    async def _create_link(self, arguments: _Arguments) -> bytes:
        _client, lock, _timeout_ms = (arguments.number() for _ in range(3))
        name = arguments.opaque()
        if not name.lower().startswith(b"inst"):
            return _numbers(Error.NOT_ACCESSIBLE, 0, 0, 0)
        if lock and self._link.locked_by is not None:
            return _numbers(Error.LOCKED, 0, 0, 0)
        number = self._link.open_session()
        if number is None:
            return _numbers(Error.OUT_OF_RESOURCES, 0, 0, 0)
        self._own.add(number)
        if lock:
            self._link.locked_by = number
        return _numbers(Error.NONE, number, 0, LARGEST_WRITE)

    async def _device_write(self, arguments: _Arguments) -> bytes:
        number, _io_timeout_ms, _lock_timeout_ms, flags = (arguments.number() for _ in range(4))
        data = arguments.opaque()
        session = self._session(number, rest=_numbers(0))
        await session.write(data, end=bool(flags & Flag.END))
        return _numbers(Error.NONE, len(data))

    async def _device_read(self, arguments: _Arguments) -> bytes:
        number, size, timeout_ms, _lock_timeout_ms, flags, term = (
            arguments.number() for _ in range(6)
        )
        session = self._session(number, rest=_numbers(0) + _opaque(b""))
        stop = bytes([term & 0xFF]) if flags & Flag.TERM_CHAR_SET else b""
        data = b""
        reason = Reason(0)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not reason:
                    part, _, end = await session.take(max(0, size - len(data)), stop)
                    data += part
                    reason = _reason(data, size, stop, end=end)
        except TimeoutError:
            return _numbers(Error.TIMEOUT, 0) + _opaque(data)
        return _numbers(Error.NONE, reason) + _opaque(data)

    async def _device_readstb(self, arguments: _Arguments) -> bytes:
        session = self._session(arguments.number(), rest=_numbers(0))
        return _numbers(Error.NONE, session.status_byte())

    async def _device_trigger(self, arguments: _Arguments) -> bytes:
        triggered = self._session(arguments.number()).trigger()
        return _numbers(Error.NONE if triggered else Error.NOT_SUPPORTED)

    async def _device_clear(self, arguments: _Arguments) -> bytes:
        self._session(arguments.number()).clear()
        return _numbers(Error.NONE)

    async def _device_remote(self, arguments: _Arguments) -> bytes:
        # Nobody stands at the front panel of a simulated instrument.
        self._session(arguments.number())
        return _numbers(Error.NONE)

    async def _device_lock(self, arguments: _Arguments) -> bytes:
        number = arguments.number()
        self._session(number)
        self._link.locked_by = number
        return _numbers(Error.NONE)

    async def _device_unlock(self, arguments: _Arguments) -> bytes:
        number = arguments.number()
        self._session(number)
        if self._link.locked_by != number:
            return _numbers(Error.NOT_LOCKED)
        self._link.locked_by = None
        return _numbers(Error.NONE)

    async def _not_supported(self, _arguments: _Arguments) -> bytes:
        return _numbers(Error.NOT_SUPPORTED)

    async def _device_docmd(self, _arguments: _Arguments) -> bytes:
        return _numbers(Error.NOT_SUPPORTED) + _opaque(b"")

    async def _destroy_link(self, arguments: _Arguments) -> bytes:
        number = arguments.number()
        if number not in self._own:
            return _numbers(Error.INVALID_LINK)
        self._own.discard(number)
        await self._link.close_session(number)
        return _numbers(Error.NONE)


class _RefusedError(Exception):
    """A call that is answered with an error code; *rest* is what its reply has after that."""

    def __init__(self, error: Error, rest: bytes) -> None:
        super().__init__(error.name)
        self.error = error
        self.rest = rest


def _reason(data: bytes, size: int, stop: bytes, *, end: bool) -> Reason:
    reason = Reason(0)
    if end:
        reason |= Reason.END
    if stop and data.endswith(stop):
        reason |= Reason.TERM_CHAR
    if len(data) >= size:
        reason |= Reason.REQUEST_COUNT
    return reason


def _numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)
