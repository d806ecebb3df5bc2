"""The twins of the controllers that an instrument file has, each on its line.

Those that share a line in the file share one here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from simulators._file_controllers import FileControllers, Twin
from simulators._names import unknown_name
from simulators._served import ServedLine
from simulators._urls import PTY_TRANSPORTS
from simulators.bus import Bus
from simulators.device import Device, SimulatorError
from simulators.serve import Place, Simulator

__all__ = ["FileTwins", "twins_of"]

_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class FileLine:
    """A line of an instrument file with the twins on it."""

    device: Device
    """What is behind it: a twin, or several as a bus."""
    transport: str
    """How it is reached."""
    baud: int | None
    """Bits per second; None: the usual ones of the device."""
    units: Mapping[str, int | None]
    """The controllers on it, with the address of each if there are several."""
    transports: Sequence[str] = ()
    """All ways to reach it; the usual one of the model first."""

    def over(self, transport: str) -> FileLine:
        """Return the same line, reached in another way.

        Raises:
            SimulatorError: it cannot be reached so.
        """
        if transport not in self.transports:
            what = f"transport of {', '.join(self.units)}"
            raise SimulatorError(unknown_name(what, transport, self.transports))
        return replace(self, transport=transport)

    def served(self, control: tuple[str, int], time_factor: float, seed: int | None) -> ServedLine:
        """Return a simulator for it, which is not started."""
        place: Place = True if self.transport in PTY_TRANSPORTS else ("127.0.0.1", 0)
        simulator = Simulator(
            self.device,
            serve={self.transport: place},
            control=control,
            baud=self.baud,
            time_factor=time_factor,
            seed=seed,
        )
        return ServedLine(simulator, self.units)


@dataclass(frozen=True, slots=True)
class FileTwins:
    """What can be simulated of an instrument file, and what cannot."""

    lines: Sequence[FileLine]
    """Those with twins."""
    without: Mapping[str, str]
    """The drivers of those controllers that have no twin, by controller."""

    def served(
        self,
        *,
        control: tuple[str, int] = ("127.0.0.1", 0),
        time_factor: float = 1.0,
        seed: int | None = None,
    ) -> list[ServedLine]:
        """Return a simulator for each line, on a free port or pseudo-terminal; none is started.

        Args:
            control: Loopback host and port of the control port of the first one; the others have
                the ports after it, or free ones if it is 0.
            time_factor: Simulated seconds in a real one.
            seed: Makes the mishaps of faults repeatable.

        Raises:
            SimulatorError: there are not so many ports, or a line cannot be that fast.
        """
        host, port = control
        last = port + len(self.lines) - 1
        if port and last > _HIGHEST_PORT:
            raise SimulatorError(f"the last control port would be {last}: choose a lower first one")
        return [
            line.served((host, port and port + number), time_factor, seed)
            for number, line in enumerate(self.lines)
        ]


def twins_of(path: Path, *, besides: Collection[str] = (), seed: int | None = None) -> FileTwins:
    """Make the twins of the controllers of the instrument file at *path*.

    Args:
        path: The file.
        besides: Names of controllers that need none.
        seed: Makes their noise repeatable.

    Raises:
        SimulatorError: the file cannot be read, or something in it makes no sense; the text says
            on which line.
    """
    file = FileControllers(path)
    together: dict[str, list[Twin]] = {}
    for twin in file.twins(besides, seed):
        together.setdefault(twin.address.line, []).append(twin)
    return FileTwins([_line(file, twins) for twins in together.values()], file.without)


def _line(file: FileControllers, twins: list[Twin]) -> FileLine:
    common = _common(file, twins)
    wanted = twins[0].address.transport
    transport = wanted if wanted in common else common[0]
    baud = next((twin.address.baud for twin in twins if twin.address.baud is not None), None)
    if len(twins) == 1:
        twin = twins[0]
        return FileLine(twin.make(twin.address.unit), transport, baud, {twin.name: None}, common)
    units: dict[int, Twin] = {}
    for twin in twins:
        unit = twin.address.unit
        if unit is None or unit in units or not twin.shares:
            others = ", ".join(each.name for each in twins if each is not twin)
            file.refuse(
                (*twin.path, "url"),
                f"leads to the same place as that of {others}: several share a line only if each "
                "has an address of its own, as in ?unit=1",
            )
        units[unit] = twin
    bus = Bus({unit: twin.make(unit) for unit, twin in units.items()})
    names = {twin.name: unit for unit, twin in units.items()}
    return FileLine(bus, transport, baud, names, common)


def _common(file: FileControllers, twins: list[Twin]) -> list[str]:
    """Return the transports that all of *twins* have."""
    first = twins[0]
    common = [each for each in first.transports if all(each in twin.transports for twin in twins)]
    if not common:
        names = ", ".join(twin.name for twin in twins)
        file.refuse((*first.path, "url"), f"{names} cannot share a line: they speak differently")
    return common
