"""The device on a pseudo-terminal, at the pace of a serial line.

A pseudo-terminal carries 8 bits without parity only, so the URL says so; a character takes the
10 bit times of 7O1 or 8N1 all the same. One thing differs from a real port: what the host did not
read before it closed is still there when it opens the port again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
import tty
from pathlib import Path

from simulators._bench import Bench
from simulators._link import converse, ended
from simulators._pace import Pace
from simulators._urls import pty_url

_log = logging.getLogger(__name__)


class _PtyWire:
    """The master side, never faster than the baud rate in either direction."""

    def __init__(self, master: int, *, baud: int) -> None:
        self._master = master
        self._pace = Pace(baud, now=time.monotonic)
        self._sending = asyncio.Lock()
        self._plugged_in = True
        self.character_s = self._pace.character_s

    @property
    def hearing(self) -> bool:
        return self._pace.hearing

    async def receive(self) -> bytes:
        await self._readable()
        data = os.read(self._master, self._pace.slice)
        await self._pace.heard(len(data))
        return data

    async def send(self, data: bytes) -> None:
        async with self._sending:
            await self._pace.send(data, self._write)

    def unplug(self) -> None:
        """Send nothing more: the number of the master may be that of another file soon."""
        self._plugged_in = False

    def _write(self, part: bytes) -> None:
        if not self._plugged_in:
            return
        # Nobody reads, and the buffer of the kernel is full: a serial line loses it.
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, part)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._master, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._master)


class PtyLink:
    """A pseudo-terminal behind a symbolic link that keeps its name through a cut."""

    def __init__(
        self, bench: Bench, link: Path | None, *, baud: int, transport: str = "serial"
    ) -> None:
        """Prepare a terminal at the path *link*; None: in a temporary directory of its own."""
        self.kind = transport
        self._bench = bench
        self._baud = baud
        self._own_directory: Path | None = None
        if link is None:
            self._own_directory = Path(tempfile.mkdtemp(prefix="marksim-"))
            link = self._own_directory / bench.device.name
        self._link = link.absolute()
        self._ends: tuple[int, int] | None = None
        self._target = ""
        self._wire: _PtyWire | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The URL that a driver opens, e.g. ``serial:///tmp/tc?baud=57600&bits=8&parity=none``."""
        return pty_url(self.kind, self._link, self._baud, unit=self._bench.device.unit)

    async def connect(self) -> None:
        """Make a terminal, and the link to it.

        Raises:
            OSError: the path is taken by something else, or cannot be written.
        """
        if self._ends is not None:
            return
        master, slave = os.openpty()
        try:
            # Raw, or it would echo; and our own end of the slave stays open, or a read of the
            # master would fail whenever no host has it open.
            tty.setraw(slave)
            os.set_blocking(master, False)
            # Not /dev/pts/N, which somebody else gets when we are killed: this leads nowhere then.
            self._target = f"/proc/{os.getpid()}/fd/{slave}"
            self._make_link()
        except OSError:
            os.close(master)
            os.close(slave)
            raise
        self._ends = master, slave
        self._wire = _PtyWire(master, baud=self._baud)
        self._task = asyncio.create_task(self._converse(self._wire), name="marksim-serial")

    async def cut(self) -> None:
        """Unplug it: the link is gone, and a host that has the port open gets an error."""
        if self._task is not None:
            await ended(self._task)
            self._task = None
        if self._wire is not None:
            self._wire.unplug()
        if self._ends is not None:
            for end in self._ends:
                os.close(end)
            self._ends = self._wire = None
        if self._link.is_symlink() and str(self._link.readlink()) == self._target:
            self._link.unlink()

    async def reset(self) -> None:
        """Unplug it and plug it in again at once."""
        await self.cut()
        await self.connect()

    async def vanish(self) -> None:
        """Do nothing: there is no connection that could outlive its other end."""

    async def send_unasked(self, data: bytes) -> None:
        """Send *data*, whether or not a host has the port open."""
        if self._wire is not None:
            await self._wire.send(data)

    async def close(self) -> None:
        """Unplug it and remove the temporary directory, if there is one."""
        await self.cut()
        if self._own_directory is not None:
            with contextlib.suppress(OSError):
                self._own_directory.rmdir()

    async def _converse(self, wire: _PtyWire) -> None:
        try:
            await converse(self._bench, wire, link=self.kind)
        except OSError as error:
            _log.error("the pseudo-terminal behind %s broke: %s", self._link, error)

    def _make_link(self) -> None:
        # What a killed simulator has left behind leads nowhere, and may go.
        if self._link.is_symlink() and not self._link.exists():
            self._link.unlink()
        self._link.symlink_to(self._target)
