"""The control port: one JSON object a line over TCP on loopback, each answered with one line.

========================================================== ======================================
request                                                    answer, beside ``"ok": true``
========================================================== ======================================
``{"cmd": "status"}``                                      ``model``, ``urls``, ``connected``,
                                                           ``powered``, ``factor``, ``faults``
``{"cmd": "names"}``                                       ``quantities``: for each name its
                                                           ``units``, ``doc``, ``settable``
``{"cmd": "get", "names": ["mount_k"]}``; no names: all    ``values``: number by name
``{"cmd": "set", "values": {"mount_k": 90}}``              ``values``: what it is now
``{"cmd": "time", "factor": 10}``; 0 stops                 ``factor``
``{"cmd": "time", "step_s": 60}``; also while stopped      ``factor``
``{"cmd": "hold"}``: readings stay as they are             ``factor``
``{"cmd": "fault", "name": "late", "delay_s": 2}``         ``faults``: all that are active
``{"cmd": "fault", "name": "none"}`` ends them             ``faults``
``{"cmd": "faults"}``                                      ``kinds``: parameters and ``doc``
``{"cmd": "cut"}``, ``{"cmd": "restore"}``                 ``connected``
``{"cmd": "log", "last": 20}``                             ``exchanges``, oldest first
========================================================== ======================================

An error is ``{"ok": false, "error": "one line"}``; nothing has changed then.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json

from simulators._link import ended
from simulators._operations import Answer, Operations
from simulators.device import SimulatorError

LONGEST_REQUEST = 65_536
"""Bytes of one line; a longer one is answered with an error and the connection closed."""
MAX_CONNECTIONS = 16
"""Connections at once; one more is closed at once."""


class ControlPort:
    """The TCP server in front of `Operations`."""

    def __init__(self, operations: Operations, host: str, port: int) -> None:
        """Prepare to listen on *host*, which must be a loopback address; port 0: a free one.

        Raises:
            SimulatorError: *host* is not a loopback address.
        """
        if not _is_loopback(host):
            raise SimulatorError(f"the control port must be on loopback, not on {host!r}")
        self._operations = operations
        self._address = host, port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._address

    async def open(self) -> None:
        """Listen.

        Raises:
            SimulatorError: the address is in use; the text says which.
        """
        host, port = self._address
        try:
            self._server = await asyncio.start_server(
                self._accept, host, port, limit=LONGEST_REQUEST
            )
        except OSError as error:
            raise SimulatorError(f"control port {host}:{port}: {error.strerror}") from error
        self._address = host, self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            await ended(task)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a stream callback runs as a task"
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        task.set_name("marksim-control-connection")
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._serve(reader, writer)
        self._connections.discard(task)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        whole = True
        while whole:
            try:
                line = await reader.readline()
            except ValueError:
                line, whole = b"", False
                answer: Answer = _failed(f"a request has at most {LONGEST_REQUEST} bytes")
            else:
                if not line:
                    return
                answer = await self._answer(line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            return _failed(f"not JSON: {error}")
        try:
            return {"ok": True, **await self._operations.perform(request)}
        except SimulatorError as error:
            return _failed(str(error))


def _failed(reason: str) -> Answer:
    return {"ok": False, "error": reason}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
