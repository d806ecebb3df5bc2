"""The device on a TCP port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time

from simulators._bench import Bench
from simulators._link import converse, ended
from simulators._pace import Pace
from simulators._urls import tcp_url

MAX_CONNECTIONS = 64
"""Connections at once; one more is closed at once."""
_CHUNK = 4096
# Longer than a host that reads lets its buffers be full.
_READS_WITHIN_S = 0.5
# A host that closes a connection and opens one may be heard of in the other order.
_LEAVING_S = 0.1
# On close: drop what is unsent and send RST, as a crashed instrument does.
_LINGER_ZERO = struct.pack("ii", 1, 0)


class TcpWire:
    """One connection. Its buffers are those of asyncio, limited to a few chunks."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, baud: int | None = None
    ) -> None:
        """Use these streams, at the pace of *baud* bits per second; None: as fast as it goes."""
        self._reader = reader
        self._writer = writer
        self._pace = Pace(baud, now=time.monotonic) if baud else None
        self._sending = asyncio.Lock()
        self._deaf = False
        self.character_s = self._pace.character_s if self._pace else 0.0

    @property
    def hearing(self) -> bool:
        """Tell whether characters come that have not been received."""
        return self._pace is not None and self._pace.hearing

    async def receive(self) -> bytes:
        """Wait for some bytes; empty: the host has gone."""
        data = await self._reader.read(self._pace.slice if self._pace else _CHUNK)
        if self._pace:
            await self._pace.heard(len(data))
        return data

    async def send(self, data: bytes) -> None:
        """Send all of *data*."""
        async with self._sending:
            await self._write(data)
            await self._writer.drain()

    async def offer(self, data: bytes) -> None:
        """Send all of *data*, unless the host does not read what it has been sent before."""
        if await self._reads():
            async with self._sending:
                await self._write(data)

    async def _write(self, data: bytes) -> None:
        if self._pace:
            await self._pace.send(data, self._writer.write)
        else:
            self._writer.write(data)

    async def _reads(self) -> bool:
        """Tell whether the host reads, if need be after a while; not again while it is deaf."""
        if self._writer.transport.get_write_buffer_size() <= _CHUNK:
            self._deaf = False
        elif not self._deaf:
            try:
                async with asyncio.timeout(_READS_WITHIN_S):
                    await self._writer.drain()
            except TimeoutError:
                self._deaf = True
        return not self._deaf


class TcpLink:
    """A listening port with its connections; it keeps its port number through a cut."""

    def __init__(
        self,
        bench: Bench,
        host: str,
        port: int,
        *,
        transport: str = "tcp",
        baud: int | None = None,
    ) -> None:
        """Prepare to listen.

        Args:
            bench: What answers.
            host: Address to listen on.
            port: Port; 0: a free one, and then always the same.
            transport: Name of the transport.
            baud: Pace of the serial line behind this port, bits per second; None: there is none.
        """
        self.kind = transport
        self._bench = bench
        self._host = host
        self._port = port
        self._baud = baud
        self._server: asyncio.Server | None = None
        self._placeholder: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._vanished: set[asyncio.Task[None]] = set()
        self._wires: set[TcpWire] = set()

    @property
    def url(self) -> str:
        """The URL that a driver opens, e.g. ``tcp://127.0.0.1:7777``."""
        return tcp_url(self.kind, self._host, self._port, unit=self._bench.device.unit)

    async def connect(self) -> None:
        """Listen, on the port of the last time if there was one.

        Raises:
            OSError: the address is in use, or not ours.
        """
        if self._server is not None:
            return
        bound = self._placeholder or self._bound()
        self._placeholder = None
        try:
            self._server = await asyncio.start_server(self._accept, sock=bound, limit=_CHUNK)
        except OSError:
            bound.close()
            raise

    async def cut(self) -> None:
        """Refuse new connections and reset those that exist."""
        if self._server is not None:
            self._server.close()
            self._server = None
            # Bound but not listening: hosts are refused, and nobody else takes the port.
            with contextlib.suppress(OSError):
                self._placeholder = self._bound()
        await self.reset()

    async def reset(self) -> None:
        """Reset all connections."""
        for task, writer in list(self._connections.items()):
            plain: socket.socket | None = writer.get_extra_info("socket")
            if plain is not None:
                with contextlib.suppress(OSError):
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            writer.transport.abort()
            await ended(task)

    async def vanish(self) -> None:
        """Forget who is connected, as after a loss of power that closed no connection."""
        for task in self._connections:
            if task not in self._vanished:
                self._vanished.add(task)
                task.cancel()

    async def send_unasked(self, data: bytes) -> None:
        """Send *data* to every host that is connected."""
        for wire in list(self._wires):
            with contextlib.suppress(OSError):
                await wire.offer(data)

    async def close(self) -> None:
        """Stop listening, reset all connections and give the port back."""
        await self.cut()
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None

    def _bound(self) -> socket.socket:
        family, kind, proto, _, address = socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, proto)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            self._port = bound.getsockname()[1]
        except OSError:
            bound.close()
            raise
        return bound

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a stream callback runs as a task"
        if not await self._has_room():
            writer.transport.abort()
            return
        task.set_name("marksim-tcp-connection")
        self._connections[task] = writer
        try:
            await self._serve_or_swallow(task, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the host has gone, or we were told to drop it
        finally:
            self._vanished.discard(task)
            del self._connections[task]
            writer.close()

    async def _serve_or_swallow(
        self,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            await self.serve(reader, writer)
        except asyncio.CancelledError:
            if task not in self._vanished:
                raise
            task.uncancel()
        if task in self._vanished:
            while await reader.read(_CHUNK):
                pass

    def drop(self, writer: asyncio.StreamWriter) -> None:
        """Abort a connection that is of no use any more; one whose peer has vanished stays."""
        if not any(self._connections.get(task) is writer for task in self._vanished):
            writer.transport.abort()

    async def _has_room(self) -> bool:
        """Tell whether one more host can be served; one that is just leaving is seen off."""
        most = self._bench.device.most_hosts(self.kind) or MAX_CONNECTIONS
        until_s = time.monotonic() + _LEAVING_S
        while self._server is not None and len(self._connections) - len(self._vanished) >= most:
            if time.monotonic() > until_s:
                return False
            await asyncio.sleep(_LEAVING_S / 20)
        return self._server is not None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with one host until it goes.

        Raises:
            OSError: the connection broke.
        """
        wire = TcpWire(reader, writer, baud=self._baud)
        self._wires.add(wire)
        try:
            await wire.offer(self._bench.device.overheard(self.kind))
            await converse(self._bench, wire, link=self.kind)
        finally:
            self._wires.discard(wire)
