"""A device model that hosts can reach, over any of its transports and over several at once.

A `Simulator` runs one event loop in one thread of its own; everything that happens to the model
happens there. Its methods may be called from any other thread::

    with Simulator(LakeShore336(seed=1), tcp=("127.0.0.1", 0)) as sim:
        driver = LakeShore.open(sim.url)
        sim.set(mount_k=90)
        sim.cut()
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simulators._bench import Bench
from simulators._hislip_link import HislipLink
from simulators._link import Link
from simulators._names import unknown_name
from simulators._operations import Operations
from simulators._pty_link import PtyLink
from simulators._tcp_link import TcpLink
from simulators._urls import PTY_TRANSPORTS, TRANSPORTS, with_unit
from simulators._vxi11_link import Vxi11Link
from simulators.clock import SimulatedClock
from simulators.control import ControlPort
from simulators.device import Device, SimulatorError
from simulators.faults import Faults

_log = logging.getLogger(__name__)

TICK_S = 0.1
"""Real time between two steps of the physics while nobody asks."""
ANSWER_TIMEOUT_S = 30.0
"""Longest wait for the loop; skipping a week of simulated time takes a few seconds."""
_SHORTEST_TICK_S = 0.001
_LOWEST_BAUD, _HIGHEST_BAUD = 50, 4_000_000

Place = tuple[str, int] | Path | bool
"""Host and port (0: a free one), or the path of a link; True: a link in a temporary directory."""


class Simulator:
    """One device model, its links and its control port; a context manager, or start and close."""

    def __init__(
        self,
        device: Device,
        *,
        tcp: tuple[str, int] | None = None,
        pty: bool | Path = False,
        serve: Mapping[str, Place] | None = None,
        control: tuple[str, int] | None = None,
        baud: int | None = None,
        time_factor: float = 1.0,
        seed: int | None = None,
    ) -> None:
        """Prepare; nothing is open before `start`.

        Args:
            device: The model; it belongs to the simulator from now on.
            tcp: Host and port of the transport ``tcp``; port 0: a free one.
            pty: Path for the link of the transport ``serial``, to a pseudo-terminal; True: one in
                a temporary directory.
            serve: Where to serve which further transports, of `simulators.TRANSPORTS`.
            control: Host (loopback) and port of the control port; None: there is none.
            baud: Bits per second of a pseudo-terminal, by default that of the device; and, if it is
                given, of the serial line behind ``tcp`` and ``modbus+rtu+tcp``.
            time_factor: Simulated seconds in a real one; 0 stops time.
            seed: Makes the mishaps of faults repeatable.

        Raises:
            SimulatorError: no transport at all, or an unknown one, or a baud rate that is none.
            ValueError: *time_factor* is out of range.
        """
        self._places = _places(tcp, pty, serve or {})
        self._line_baud = baud
        baud = device.usual_baud if baud is None else baud
        if not _LOWEST_BAUD <= baud <= _HIGHEST_BAUD:
            raise SimulatorError(
                f"baud must be within {_LOWEST_BAUD} to {_HIGHEST_BAUD}, not {baud}"
            )
        self.device = device
        self._control_at = control
        self._baud = baud
        self._time_factor = time_factor
        self._seed = seed
        SimulatedClock(time_factor)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._operations: Operations | None = None
        self._urls: dict[str, str] = {}
        self._control_address: tuple[str, int] | None = None
        self._problem: BaseException | None = None

    # -- life --------------------------------------------------------------------------------

    def start(self) -> Self:
        """Open everything, and return when hosts can connect.

        Raises:
            SimulatorError: an address or path cannot be used, or it runs already.
        """
        if self._thread is not None:
            raise SimulatorError("this simulator runs already")
        ready = threading.Event()
        self._problem = None
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name=f"marksim-{self.device.name}", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._problem is not None:
            problem = self._problem
            self.close()
            raise problem
        return self

    def close(self) -> None:
        """Drop all connections, give back ports and links, end the thread; again: no effect."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    @property
    def running(self) -> bool:
        """True between `start` and `close`, unless it has broken."""
        return self._operations is not None

    # -- where it is -------------------------------------------------------------------------

    @property
    def urls(self) -> dict[str, str]:
        """URL that a driver opens, by transport."""
        return dict(self._urls)

    @property
    def url(self) -> str:
        """The URL that a driver opens; the first one if there are several.

        Raises:
            SimulatorError: it was never started.
        """
        if not self._urls:
            raise SimulatorError("this simulator has not been started")
        return next(iter(self._urls.values()))

    def url_of(self, unit: int, transport: str | None = None) -> str:
        """Give the URL that a driver opens for one unit of a shared line.

        Raises:
            SimulatorError: it was never started, or does not serve *transport*.
        """
        if transport is not None and transport not in self._urls:
            raise SimulatorError(unknown_name("transport", transport, self._urls))
        return with_unit(self.url if transport is None else self._urls[transport], unit)

    @property
    def control_address(self) -> tuple[str, int]:
        """Host and port of the control port.

        Raises:
            SimulatorError: there is none.
        """
        if self._control_address is None:
            raise SimulatorError("this simulator has no control port")
        return self._control_address

    # -- what can be done to it (all raise SimulatorError when it cannot be) ------------------

    def cut(self) -> None:
        """Pull the cable: connections are reset, new ones refused, the pty link disappears."""
        self.ask({"cmd": "cut"})

    def restore(self) -> None:
        """Put the cable back: same port, same link. Faults stay; see `clear_faults`."""
        self.ask({"cmd": "restore"})

    def get(self, *names: str) -> dict[str, float]:
        """Read physical quantities by name; no names: all."""
        return dict(self.ask({"cmd": "get", "names": list(names)})["values"])

    def set(self, **values: float) -> None:
        """Set physical quantities by name: all of them, or none."""
        self.ask({"cmd": "set", "values": values})

    def fault(self, name: str, **parameters: float | str) -> None:
        """Start a fault of `simulators.faults.KINDS`."""
        self.ask({"cmd": "fault", "name": name, **parameters})

    def clear_faults(self) -> None:
        """End all faults; a cut link stays cut."""
        self.ask({"cmd": "fault", "name": "none"})

    def set_time_factor(self, factor: float) -> None:
        """Let simulated time run *factor* times as fast as real time; 0 stops it."""
        self.ask({"cmd": "time", "factor": factor})

    def hold(self) -> float:
        """Have every reading be the same until something is set; give the time factor with that."""
        return float(self.ask({"cmd": "hold"})["factor"])

    def skip(self, dt_s: float) -> None:
        """Let *dt_s* simulated seconds pass now."""
        self.ask({"cmd": "time", "step_s": dt_s})

    def log(self, last: int = 200) -> list[dict[str, Any]]:
        """Give the last exchanges, oldest first; fields as in `simulators._bench.Exchange`."""
        return list(self.ask({"cmd": "log", "last": last})["exchanges"])

    def ask(self, request: dict[str, object]) -> dict[str, Any]:
        """Carry out a request of the control port (see `simulators.control`).

        Raises:
            SimulatorError: it cannot be done, or the simulator does not run.
        """
        loop, operations = self._loop, self._operations
        if self._thread is None or loop is None or operations is None:
            raise SimulatorError("this simulator does not run")
        job = asyncio.run_coroutine_threadsafe(operations.perform(request), loop)
        return job.result(ANSWER_TIMEOUT_S)

    # -- inside the thread -------------------------------------------------------------------

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._main(ready))
        except BaseException as problem:  # handed to whoever called start()
            self._problem = problem
            if ready.is_set():
                _log.exception("the simulator of %s has broken", self.device.name)
        finally:
            self._operations = None
            ready.set()

    async def _main(self, ready: threading.Event) -> None:
        bench = Bench(self.device, SimulatedClock(self._time_factor), Faults(seed=self._seed))
        links = self._links(bench)
        operations = Operations(bench, links)
        control = ControlPort(operations, *self._control_at) if self._control_at else None
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            await operations.plug_in()
            if control is not None:
                await control.open()
                self._control_address = control.address
            self._urls = {link.kind: link.url for link in links}
            self._operations = operations
            ready.set()
            await self._tick_until_stopped(bench, operations)
        finally:
            if control is not None:
                await control.close()
            await operations.close()

    def _links(self, bench: Bench) -> list[Link]:
        return [self._link(bench, transport, place) for transport, place in self._places.items()]

    def _link(self, bench: Bench, transport: str, place: Place) -> Link:
        if not isinstance(place, tuple):
            path = place if isinstance(place, Path) else None
            return PtyLink(bench, path, baud=self._baud, transport=transport)
        if transport == "vxi11":
            return Vxi11Link(bench, *place)
        if transport == "hislip":
            return HislipLink(bench, *place)
        baud = self._line_baud if transport in _PACED else None
        return TcpLink(bench, *place, transport=transport, baud=baud)

    async def _tick_until_stopped(self, bench: Bench, operations: Operations) -> None:
        assert self._stop is not None, "made before this is called"
        while not self._stop.is_set():
            bench.advance()
            operations.say(bench.take_unasked())
            try:
                await asyncio.wait_for(self._stop.wait(), _tick_s(bench))
            except TimeoutError:
                continue


def _tick_s(bench: Bench) -> float:
    """Give the real seconds until the next step: at most until the device says something."""
    factor = bench.clock.factor
    speaks_in_s = bench.device.speaks_in_s() / factor if factor else TICK_S
    return min(TICK_S, max(_SHORTEST_TICK_S, speaks_in_s))


# Behind these there may be a serial line.
_PACED = ("tcp", "modbus+rtu+tcp")


def _places(
    tcp: tuple[str, int] | None, pty: bool | Path, serve: Mapping[str, Place]
) -> dict[str, Place]:
    places: dict[str, Place] = {}
    if tcp is not None:
        places["tcp"] = tcp
    if pty is not False:
        places["serial"] = pty
    places |= serve
    if not places:
        raise SimulatorError("a simulator needs a TCP address or a pseudo-terminal")
    for transport, place in places.items():
        if transport not in TRANSPORTS:
            raise SimulatorError(unknown_name("transport", transport, TRANSPORTS))
        if isinstance(place, tuple) == (transport in PTY_TRANSPORTS) or place is False:
            kind = "a path" if transport in PTY_TRANSPORTS else "a host and a port"
            raise SimulatorError(f"{transport} is served at {kind}, not at {place!r}")
    return places
