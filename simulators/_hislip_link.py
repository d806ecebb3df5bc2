"""The device as a HiSLIP instrument, in synchronized mode.

Messages and their order are those of IVI-6.1, High-Speed LAN Instrument Protocol, revision 1.1:
header 2.5, initialization 6.1, data transfer 6.2 and 3.1.1, locks 6.5, device clear 6.12, status
6.14. Overlap mode, encryption, service requests and interrupted messages are not offered.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from simulators._bench import Bench
from simulators._instrument_session import MESSAGE_AVAILABLE, InstrumentSession
from simulators._link import ended
from simulators._tcp_link import TcpLink

LARGEST_MESSAGE = 65_536
"""Bytes of one message that the device takes, header included."""
VERSION = 0x0100
"""Version 1.0 in InitializeResponse."""

_HEADER = struct.Struct(">2sBBIQ")
_ANY_MESSAGE = 0xFFFF_FFFF  # the number of a reply that answers none in particular
_VENDOR = 0x5858  # "XX": assigned to nobody
_DELIVERED = 1  # RMT-delivered, in the control code (table 4)
_FATAL_HEADER, _FATAL_CHANNELS, _FATAL_INIT = 1, 2, 3
_ERROR_TYPE = 1
_MOST_SESSIONS = 32


class Kind(IntEnum):
    """Message types (table 4)."""

    INITIALIZE = 0
    INITIALIZE_RESPONSE = 1
    FATAL_ERROR = 2
    ERROR = 3
    ASYNC_LOCK = 4
    ASYNC_LOCK_RESPONSE = 5
    DATA = 6
    DATA_END = 7
    DEVICE_CLEAR_COMPLETE = 8
    DEVICE_CLEAR_ACKNOWLEDGE = 9
    ASYNC_REMOTE_LOCAL = 10
    ASYNC_REMOTE_LOCAL_RESPONSE = 11
    TRIGGER = 12
    ASYNC_MAX_MESSAGE = 15
    ASYNC_MAX_MESSAGE_RESPONSE = 16
    ASYNC_INITIALIZE = 17
    ASYNC_INITIALIZE_RESPONSE = 18
    ASYNC_DEVICE_CLEAR = 19
    ASYNC_STATUS_QUERY = 21
    ASYNC_STATUS_RESPONSE = 22
    ASYNC_DEVICE_CLEAR_ACKNOWLEDGE = 23
    ASYNC_LOCK_INFO = 24
    ASYNC_LOCK_INFO_RESPONSE = 25


@dataclass(frozen=True, slots=True)
class _Message:
    kind: int
    control: int = 0
    parameter: int = 0
    payload: bytes = b""

    def encoded(self) -> bytes:
        return (
            _HEADER.pack(b"HS", self.kind, self.control, self.parameter, len(self.payload))
            + self.payload
        )


class _FatalError(Exception):
    """What a host did wrong, so that its connections are closed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class _Session:
    """The two connections of one host."""

    number: int
    instrument: InstrumentSession
    sync: asyncio.StreamWriter
    asynchronous: asyncio.StreamWriter | None = None
    largest: int = LARGEST_MESSAGE
    """Bytes of one message that the host takes."""
    unread: bool = False
    """A whole reply has been sent, and the host has not told yet that it was delivered."""
    clearing: bool = False
    """Between AsyncDeviceClear and DeviceClearComplete: data is dropped."""
    forwarder: asyncio.Task[None] | None = field(default=None)


class HislipLink(TcpLink):
    """A listening port; each host makes two connections to it."""

    def __init__(self, bench: Bench, host: str, port: int) -> None:
        """Prepare to listen on *host* and *port*; port 0: a free one."""
        super().__init__(bench, host, port, transport="hislip")
        self._sessions: dict[int, _Session] = {}
        self._last_session = 0
        self._locked_by: int | None = None
        self._async_messages: Mapping[int, Callable[[_Session, _Message], _Message]] = {
            Kind.ASYNC_MAX_MESSAGE: self._max_message,
            Kind.ASYNC_LOCK: self._lock,
            Kind.ASYNC_LOCK_INFO: self._lock_info,
            Kind.ASYNC_REMOTE_LOCAL: _remote_local,
            Kind.ASYNC_STATUS_QUERY: _status,
            Kind.ASYNC_DEVICE_CLEAR: _device_clear,
        }
        self._sync_messages: Mapping[int, Callable[[_Session, _Message], Awaitable[None]]] = {
            Kind.DATA: _data,
            Kind.DATA_END: _data,
            Kind.TRIGGER: _trigger,
            Kind.DEVICE_CLEAR_COMPLETE: _device_clear_complete,
        }

    async def send_unasked(self, data: bytes) -> None:
        """Let every host read *data* as if it were a reply."""
        for session in self._sessions.values():
            session.instrument.put_unasked(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Find out which of the two channels this is, and serve it until the host goes."""
        try:
            first = await _read(reader)
            if first is None:
                return
            if first.kind == Kind.INITIALIZE:
                await self._serve_sync(reader, writer)
            elif first.kind == Kind.ASYNC_INITIALIZE:
                await self._serve_async(first.parameter, reader, writer)
            else:
                raise _FatalError(_FATAL_INIT, "the first message must be an initialization")
        except _FatalError as error:
            text = str(error).encode("ascii")
            await _send(writer, _Message(Kind.FATAL_ERROR, error.code, 0, text))

    # -- channels ----------------------------------------------------------------------------

    async def _serve_sync(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._sessions) >= _MOST_SESSIONS:
            raise _FatalError(4, "too many clients")
        self._last_session = self._last_session % 0xFFFF + 1
        session = _Session(self._last_session, InstrumentSession(self._bench, self.kind), writer)
        self._sessions[session.number] = session
        session.forwarder = asyncio.create_task(_forward(session), name="marksim-hislip")
        try:
            parameter = VERSION << 16 | session.number
            await _send(writer, _Message(Kind.INITIALIZE_RESPONSE, 0, parameter))
            while (message := await _read(reader)) is not None:
                if session.asynchronous is None:
                    raise _FatalError(_FATAL_CHANNELS, "there is no asynchronous channel yet")
                run = self._sync_messages.get(message.kind)
                if run is None:
                    await _send(writer, _Message(Kind.ERROR, _ERROR_TYPE))
                else:
                    await run(session, message)
        finally:
            await self._end(session)

    async def _serve_async(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        session = self._sessions.get(number)
        if session is None or session.asynchronous is not None:
            raise _FatalError(_FATAL_INIT, "no such session waits for its asynchronous channel")
        session.asynchronous = writer
        try:
            await _send(writer, _Message(Kind.ASYNC_INITIALIZE_RESPONSE, 0, _VENDOR))
            while (message := await _read(reader)) is not None:
                run = self._async_messages.get(message.kind)
                answer = run(session, message) if run else _Message(Kind.ERROR, _ERROR_TYPE)
                await _send(writer, answer)
        finally:
            # One channel without the other is of no use.
            self.drop(session.sync)

    async def _end(self, session: _Session) -> None:
        self._sessions.pop(session.number, None)
        if self._locked_by == session.number:
            self._locked_by = None
        if session.forwarder is not None:
            await ended(session.forwarder)
        await session.instrument.close()
        if session.asynchronous is not None:
            self.drop(session.asynchronous)

    # -- asynchronous messages that concern the whole device ---------------------------------

    def _max_message(self, session: _Session, message: _Message) -> _Message:
        if len(message.payload) == 8:
            (session.largest,) = struct.unpack(">Q", message.payload)
        return _Message(Kind.ASYNC_MAX_MESSAGE_RESPONSE, payload=struct.pack(">Q", LARGEST_MESSAGE))

    def _lock(self, session: _Session, message: _Message) -> _Message:
        """Grant or release the exclusive lock; 0 failure, 1 success, 3 error (table 17)."""
        if message.control == 1:
            granted = self._locked_by in (None, session.number)
            if granted:
                self._locked_by = session.number
            return _Message(Kind.ASYNC_LOCK_RESPONSE, int(granted))
        if self._locked_by != session.number:
            return _Message(Kind.ASYNC_LOCK_RESPONSE, 3)
        self._locked_by = None
        return _Message(Kind.ASYNC_LOCK_RESPONSE, 1)

    def _lock_info(self, _session: _Session, _message: _Message) -> _Message:
        held = self._locked_by is not None
        return _Message(Kind.ASYNC_LOCK_INFO_RESPONSE, int(held), int(held))


def _remote_local(_session: _Session, _message: _Message) -> _Message:
    return _Message(Kind.ASYNC_REMOTE_LOCAL_RESPONSE)


def _status(session: _Session, message: _Message) -> _Message:
    session.unread &= not message.control & _DELIVERED
    waiting = MESSAGE_AVAILABLE if session.unread else 0
    return _Message(Kind.ASYNC_STATUS_RESPONSE, session.instrument.status_byte() | waiting)


def _device_clear(session: _Session, _message: _Message) -> _Message:
    session.clearing = True
    session.unread = False
    session.instrument.clear()
    return _Message(Kind.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE)


async def _data(session: _Session, message: _Message) -> None:
    if session.clearing:
        return
    _note_delivery(session, message)
    end = message.kind == Kind.DATA_END
    await session.instrument.write(message.payload, end=end, message_id=message.parameter)


async def _trigger(session: _Session, message: _Message) -> None:
    _note_delivery(session, message)
    session.instrument.trigger()


def _note_delivery(session: _Session, message: _Message) -> None:
    if session.unread and not message.control & _DELIVERED:
        # The host drops it by its number; all that is left to do is what the device does.
        session.instrument.note_interruption()
    session.unread = False


async def _device_clear_complete(session: _Session, _message: _Message) -> None:
    session.clearing = False
    session.instrument.clear()
    await _send(session.sync, _Message(Kind.DEVICE_CLEAR_ACKNOWLEDGE))


async def _forward(session: _Session) -> None:
    """Send replies as they come, with the number of the message that they answer (3.1.1)."""
    while True:
        largest = max(1, session.largest - _HEADER.size)
        data, number, end = await session.instrument.take(largest)
        kind = Kind.DATA_END if end else Kind.DATA
        try:
            parameter = _ANY_MESSAGE if number is None else number
            await _send(session.sync, _Message(kind, 0, parameter, data))
            session.unread |= end
        except OSError:
            return  # the host has gone; whoever reads the channel notices


async def _read(reader: asyncio.StreamReader) -> _Message | None:
    """Read one message; None: the host has gone.

    Raises:
        _FatalError: what has come is no HiSLIP, or too large.
    """
    try:
        header = await reader.readexactly(_HEADER.size)
        prologue, kind, control, parameter, length = _HEADER.unpack(header)
        if prologue != b"HS":
            raise _FatalError(_FATAL_HEADER, "poorly formed message header")
        if length > LARGEST_MESSAGE:
            raise _FatalError(_FATAL_HEADER, "message too large")
        return _Message(kind, control, parameter, await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None


async def _send(writer: asyncio.StreamWriter, message: _Message) -> None:
    writer.write(message.encoded())
    await writer.drain()
