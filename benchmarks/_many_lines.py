"""Many small devices that speak lines over TCP, in one process, for ``isolation``.

Each answers ``V?`` with a number that counts up, ``S?`` with what ``S NUMBER`` has set last.
The quantity ``polls`` says how often all of them were asked ``V?``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from asyncio import StreamReader, StreamWriter


class Devices:
    """The devices, and what they have heard."""

    def __init__(self) -> None:
        """Have heard nothing yet."""
        self.polls = 0

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Be one device for as long as its host is connected."""
        setting = b"0"
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                line = (await reader.readuntil(b"\r\n")).strip()
                if line == b"V?":
                    self.polls += 1
                    writer.write(b"%d\r\n" % self.polls)
                elif line.startswith(b"S "):
                    setting = line[2:]
                else:
                    writer.write((setting if line == b"S?" else b"many lines") + b"\r\n")
        writer.close()

    async def control(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Say how often all of them were polled, whatever is asked."""
        with contextlib.suppress(ConnectionError):
            while await reader.readline():
                answer = {"ok": True, "values": {"polls": self.polls}}
                writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()


async def _serve(count: int) -> None:
    devices = Devices()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    servers = [await asyncio.start_server(devices.serve, "127.0.0.1", 0) for _ in range(count)]
    servers.append(await asyncio.start_server(devices.control, "127.0.0.1", 0))
    *ports, control = (server.sockets[0].getsockname()[1] for server in servers)
    print(json.dumps({"url": " ".join(map(str, ports)), "control": f"127.0.0.1:{control}"}))
    sys.stdout.flush()
    await stopping.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
