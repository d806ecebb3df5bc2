"""The device on a TCP port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from simulators._bench import Bench
from simulators._link import converse, ended

MAX_CONNECTIONS = 64
"""Connections at once; one more is closed at once."""
_CHUNK = 4096
# On close: drop what is unsent and send RST, as a crashed instrument does.
_LINGER_ZERO = struct.pack("ii", 1, 0)


class _TcpWire:
    """One connection. Its buffers are those of asyncio, limited to a few chunks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        return await self._reader.read(_CHUNK)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class TcpLink:
    """A listening port with its connections; it keeps its port number through a cut."""

    kind = "tcp"

    def __init__(self, bench: Bench, host: str, port: int) -> None:
        """Prepare to listen on *host* and *port*; port 0: a free one, and then always the same."""
        self._bench = bench
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._placeholder: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """The URL that a driver opens, e.g. ``tcp://127.0.0.1:7777``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"tcp://{host}:{self._port}"

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
        if self._server is None or len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task.set_name("marksim-tcp-connection")
        self._connections[task] = writer
        try:
            await converse(self._bench, _TcpWire(reader, writer), link=self.kind)
        except (OSError, asyncio.CancelledError):
            pass  # the host has gone, or we were told to drop it
        finally:
            del self._connections[task]
            writer.close()
