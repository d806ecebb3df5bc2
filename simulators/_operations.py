"""What can be asked of a running simulator: the requests of the control port, carried out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from simulators._bench import LOG_LENGTH, Bench
from simulators._link import Link, ended
from simulators._names import unknown_name
from simulators._urls import PTY_TRANSPORTS
from simulators._voice import Voice
from simulators.clock import MAX_FACTOR
from simulators.device import SimulatorError
from simulators.faults import KINDS, parameters_of

LONGEST_SKIP_S = 1_000_000.0
"""Simulated seconds that one request can jump ahead."""

LONGEST_SAYING_S = 0.2
"""Real seconds that a reply waits for what the device has said before."""

Request = dict[str, object]
Answer = dict[str, object]

_log = logging.getLogger(__name__)


class Operations:
    """Everything that can be asked of a running simulator, in its event loop."""

    def __init__(self, bench: Bench, links: Sequence[Link]) -> None:
        """Operate *bench* and its *links*, which are cut until `plug_in`."""
        self._bench = bench
        self._links = links
        self._cut = True
        self._powered = True
        self._refusing = False
        self._power_task: asyncio.Task[None] | None = None
        self._voices = [Voice(bench.device, link) for link in links]
        bench.before_reply = self._say_before_reply
        self._one_at_a_time = asyncio.Lock()
        self._commands: dict[str, Callable[[Request], Awaitable[Answer]]] = {
            "status": self._status,
            "names": self._names,
            "get": self._get,
            "set": self._set,
            "time": self._time,
            "hold": self._hold,
            "fault": self._fault,
            "faults": self._kinds,
            "cut": self._cut_links,
            "restore": self._restore,
            "log": self._log,
        }

    async def perform(self, request: object) -> Answer:
        """Carry out one request of the control port.

        Raises:
            SimulatorError: it cannot be done; nothing has changed.
        """
        if not isinstance(request, dict) or not isinstance(request.get("cmd"), str):
            raise SimulatorError('a request is an object with "cmd", e.g. {"cmd": "get"}')
        command = self._commands.get(request["cmd"])
        if command is None:
            raise SimulatorError(unknown_name("cmd", request["cmd"], self._commands))
        fields = {str(key): value for key, value in request.items() if key != "cmd"}
        async with self._one_at_a_time:
            return await command(fields)

    async def plug_in(self) -> None:
        """Connect all links, unless nobody gets in.

        Raises:
            SimulatorError: an address is in use; the text says which.
        """
        self._cut = False
        if self._refusing:
            return
        for link in self._links:
            try:
                await link.connect()
            except OSError as error:
                reason = error.strerror or str(error)
                raise SimulatorError(f"cannot serve {link.url}: {reason}") from error

    async def close(self) -> None:
        """Give everything back."""
        if self._power_task is not None:
            await ended(self._power_task)
        for voice in self._voices:
            await voice.close()
        for link in self._links:
            await link.close()

    def say(self, messages: list[bytes]) -> None:
        """Send every host *messages* that the device has said by itself.

        They are lost while nobody could take them, or takes the last ones: a line keeps only few.
        """
        if not messages or not self._connected():
            return
        said = [self._bench.unasked(message, link=self._links[0].kind) for message in messages]
        for voice in self._voices:
            voice.say(said)

    async def _say_before_reply(self) -> None:
        self.say(self._bench.take_said())
        for voice in self._voices:
            # Not for ever: a host that does not read must not cost others their replies.
            await voice.finish(within_s=LONGEST_SAYING_S)

    def _connected(self) -> bool:
        return self._powered and not self._cut and not self._refusing

    async def _status(self, request: Request) -> Answer:
        _only(request)
        return {
            "model": self._bench.device.name,
            "urls": {link.kind: link.url for link in self._links},
            "connected": self._connected(),
            "powered": self._powered,
            "factor": self._bench.clock.factor,
            "now_s": round(self._bench.clock.now_s(), 3),
            "faults": self._active(),
        }

    async def _names(self, request: Request) -> Answer:
        _only(request)
        found = {
            name: {
                "units": quantity.units,
                "doc": quantity.doc,
                "settable": quantity.write is not None,
            }
            for name, quantity in self._bench.quantities().items()
        }
        return {"quantities": found}

    async def _get(self, request: Request) -> Answer:
        _only(request, "names")
        names = request.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SimulatorError('"names" must be a list of names')
        await self._catch_up()
        return {"values": self._bench.read(names)}

    async def _set(self, request: Request) -> Answer:
        _only(request, "values")
        values = request.get("values")
        if not isinstance(values, dict) or not values:
            raise SimulatorError('"values" must be an object with a number for each name')
        await self._catch_up()
        self._bench.write(values)
        # A device notices at its next step, which would have to wait for time to go on.
        self._bench.device.step(0.0)
        return {"values": self._bench.read(list(values))}

    async def _time(self, request: Request) -> Answer:
        _only(request, "factor", "step_s")
        clock = self._bench.clock
        step_s = _number(request, "step_s", 0.0, LONGEST_SKIP_S)
        clock.factor = _number(request, "factor", clock.factor, MAX_FACTOR)
        clock.skip(step_s)
        await self._catch_up()
        return {"factor": clock.factor}

    async def _hold(self, request: Request) -> Answer:
        _only(request)
        await self._time({"factor": 0.0})  # or it would go on a little after it is held
        return await self._time({"factor": self._bench.device.hold()})

    async def _fault(self, request: Request) -> Answer:
        name = request.get("name")
        if not isinstance(name, str):
            raise SimulatorError('"name" must name a fault; {"cmd": "faults"} lists them')
        given = {key: value for key, value in request.items() if key != "name"}
        if name == "none":
            _only(given)
            self._bench.faults.clear()
            self._bench.device.relieve()
            await self._refuse(False)
            return {"faults": self._active()}
        parameters = parameters_of(name, given)
        if KINDS[name].own and name not in self._bench.device.abilities:
            raise SimulatorError(f"{self._bench.device.name} cannot have the fault {name}")
        if name == "reset":
            await self._reset()
        elif name == "power-cycle":
            await self._power_cycle(float(parameters["off_s"]))
        elif name == "unsolicited":
            await self._send_unasked(str(parameters["text"]))
        elif name == "half-open":
            await self._vanish()
        else:
            if name == "refuse":
                await self._refuse(True)
            self._bench.device.afflict(name, parameters)
            self._bench.faults.start(name, parameters)
        return {"faults": self._active()}

    async def _kinds(self, request: Request) -> Answer:
        _only(request)
        kinds = {
            name: {"doc": kind.doc, "parameters": dict(kind.parameters)}
            for name, kind in KINDS.items()
            if not kind.own or name in self._bench.device.abilities
        }
        return {"kinds": kinds}

    async def _cut_links(self, request: Request) -> Answer:
        _only(request)
        self._cut = True
        for link in self._links:
            await link.cut()
        return {"connected": False}

    async def _restore(self, request: Request) -> Answer:
        _only(request)
        self._cut = False
        if self._powered:
            await self.plug_in()
        return {"connected": self._connected()}

    async def _log(self, request: Request) -> Answer:
        _only(request, "last")
        last = int(_number(request, "last", LOG_LENGTH, LOG_LENGTH))
        return {"exchanges": self._bench.recent(last)}

    async def _reset(self) -> None:
        if self._connected():
            for link in self._links:
                await link.reset()

    async def _vanish(self) -> None:
        if all(link.kind in PTY_TRANSPORTS for link in self._links):
            raise SimulatorError("a serial line has no connection that could be half open")
        for link in self._links:
            await link.vanish()

    async def _refuse(self, refusing: bool) -> None:
        if refusing == self._refusing:
            return
        self._refusing = refusing
        if refusing:
            for link in self._links:
                await link.cut()
        elif self._powered and not self._cut:
            await self.plug_in()

    async def _send_unasked(self, text: str) -> None:
        if not self._connected():
            raise SimulatorError("it is not connected")
        for link in self._links:
            await link.send_unasked(self._bench.device.unasked(link.kind, text))

    async def _power_cycle(self, off_s: float) -> None:
        if not self._powered:
            raise SimulatorError("it is switched off already")
        self._bench.advance()
        self._bench.device.power_off()
        self._powered = False
        for link in self._links:
            await link.cut()
        self._power_task = asyncio.create_task(self._power_on_after(off_s), name="marksim-power")

    async def _power_on_after(self, off_s: float) -> None:
        await asyncio.sleep(off_s)
        async with self._one_at_a_time:
            await self._catch_up()
            self._bench.device.power_on()
            self._powered = True
            if not self._cut:
                try:
                    await self.plug_in()
                except SimulatorError as error:
                    _log.error("after the power cycle: %s", error)

    async def _catch_up(self) -> None:
        # To now, and not to the end: on a busy machine time may run on faster than it is computed.
        now_s = self._bench.clock.now_s()
        while self._bench.advance() and self._bench.stepped_to_s < now_s:
            await asyncio.sleep(0)

    def _active(self) -> dict[str, object]:
        return dict(self._bench.faults.active())


def _only(request: Request, *allowed: str) -> None:
    for key in request:
        if key not in allowed:
            raise SimulatorError(
                unknown_name("field", key, allowed) if allowed else f"no field {key!r} here"
            )


def _number(request: Request, key: str, default: float, high: float) -> float:
    value = request.get(key, default)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= high:
        return float(value)
    raise SimulatorError(f'"{key}" must be a number of at least 0, and of at most {high:g}')
