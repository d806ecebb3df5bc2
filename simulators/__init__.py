"""Twins of real instruments: state and physics inside, the instrument's own protocol outside.

Nothing of ours is imported here, so a mistake cannot hide by being on both sides.

- `MODELS`, `start_twin`: the twin of a controller by the name of its driver
- `start_bus`: several of them that share a line
- `twins_of_file`: the twins of all controllers of an instrument file
- `simulators.serve`: `Simulator`, a model that hosts can reach
- `simulators.device`, `simulators.modbus`, `simulators.bus`: what a model is
- `simulators.clock`, `simulators.faults`: time and mishaps
- `simulators.control`: the control port
- a module for each model, by the name of its driver: see `MODELS`
- `simulators.cli`: the command ``marksim``
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from simulators._names import unknown_name
from simulators._urls import PTY_TRANSPORTS, TRANSPORTS
from simulators.device import SimulatorError

if TYPE_CHECKING:
    from simulators._instrument_file import FileTwins
    from simulators.device import Device
    from simulators.serve import Simulator

__all__ = [
    "MODELS",
    "PTY_TRANSPORTS",
    "TRANSPORTS",
    "Model",
    "SimulatorError",
    "start_bus",
    "start_twin",
    "twins_of_file",
]


@dataclass(frozen=True, slots=True)
class Model:
    """Where a model is, and how hosts can reach it."""

    summary: str
    """One line for people."""
    module: str
    """Module that has it; imported when it is used."""
    class_name: str
    """Its class, called with ``seed=``, and with ``unit=`` if it is addressed."""
    transports: tuple[str, ...]
    """Of `TRANSPORTS`; the first is the usual one."""
    addressed: bool = False
    """True: it has an address on its line, so that several can share one."""

    def load(self) -> Callable[..., Device]:
        """Import the module and return the class."""
        return self._class()

    def made_for(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the class wants besides, to be the twin of a controller with *settings*."""
        return self._class().made_for(settings)

    def _class(self) -> type[Device]:
        found: type[Device] = getattr(importlib.import_module(self.module), self.class_name)
        return found


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "davis_vantage": Model(
            summary="Davis Vantage Pro2 weather station in weather that changes",
            module="simulators.davis_vantage",
            class_name="DavisVantage",
            transports=("serial", "tcp"),
        ),
        "icepap": Model(
            summary="IcePAP motor controller with six axes in two racks",
            module="simulators.icepap",
            class_name="IcePAP",
            transports=("tcp", "serial"),
        ),
        "julabo": Model(
            summary="Julabo circulator that cools a camera head",
            module="simulators.julabo",
            class_name="Julabo",
            transports=("serial", "tcp"),
        ),
        "keysight_34465a": Model(
            summary="Keysight 34465A multimeter with a voltage on it",
            module="simulators.keysight_34465a",
            class_name="Keysight34465A",
            transports=("visa", "vxi11", "hislip", "tcp"),
        ),
        "lakeshore336": Model(
            summary="Lake Shore 336 temperature controller on a detector cryostat",
            module="simulators.lakeshore336",
            class_name="LakeShore336",
            transports=("tcp", "serial", "visa"),
        ),
        "pfeiffer_gauge": Model(
            summary="Pfeiffer digital gauge on a pumped chamber",
            module="simulators.pfeiffer_turbo",
            class_name="PfeifferGauge",
            transports=("serial", "tcp"),
            addressed=True,
        ),
        "pfeiffer_tpg36x": Model(
            summary="Pfeiffer TPG 366 gauge controller on a small vacuum system",
            module="simulators.pfeiffer_tpg36x",
            class_name="PfeifferTpg36x",
            transports=("tcp", "serial"),
        ),
        "pfeiffer_turbo": Model(
            summary="Pfeiffer turbo drive with its pump",
            module="simulators.pfeiffer_turbo",
            class_name="PfeifferDrive",
            transports=("serial", "tcp"),
            addressed=True,
        ),
        "rigol_dp832": Model(
            summary="Rigol DP832 triple supply with a resistor on each channel",
            module="simulators.rigol_dp832",
            class_name="RigolDP832",
            transports=("visa", "vxi11", "tcp", "serial"),
        ),
        "vaisala_wxt530": Model(
            summary="Vaisala WXT530 weather transmitter in weather that changes",
            module="simulators.vaisala_wxt530",
            class_name="VaisalaWXT530",
            transports=("serial", "tcp"),
            addressed=True,
        ),
        "wago_750_352": Model(
            summary="WAGO 750-352 Ethernet coupler with the I/O of a small dome",
            module="simulators.wago_750_352",
            class_name="Wago750352",
            transports=("modbus+tcp",),
            addressed=True,
        ),
        "watlow_f4": Model(
            summary="Watlow F4 controller on an environmental chamber",
            module="simulators.watlow_f4",
            class_name="WatlowF4",
            transports=("modbus+rtu", "modbus+rtu+tcp"),
            addressed=True,
        ),
        "zaber": Model(
            summary="Zaber X-series stage on a daisy chain",
            module="simulators.zaber",
            class_name="Zaber",
            transports=("serial", "tcp"),
            addressed=True,
        ),
    }
)
"""Models by the name of the driver that they are the twin of."""


def start_twin(
    name: str,
    transport: str | None = None,
    *,
    link: Path | None = None,
    baud: int | None = None,
    control: tuple[str, int] | None = ("127.0.0.1", 0),
    time_factor: float = 1.0,
    seed: int | None = None,
    unit: int | None = None,
) -> Simulator:
    """Start the twin of a controller; the caller closes it.

    Args:
        name: Name of the driver, a key of `MODELS`.
        transport: One of those that the model has, on a free loopback port or on a
            pseudo-terminal (``serial``, ``modbus+rtu``); None: the usual one.
        link: Path of the link to the pseudo-terminal; None: in a temporary directory.
        baud: Bits per second of the line; None: on a pseudo-terminal that of the device, and
            no such pace on a TCP port.
        control: Loopback host and port of the control port; None: without one.
        time_factor: Simulated seconds in a real one.
        seed: Makes noise and mishaps repeatable.
        unit: Address on its line, of a model that has one; None: the one that it comes with.

    Returns:
        A running simulator; a driver opens its ``url``.

    Raises:
        SimulatorError: no such model or transport, or an address that cannot be used.
    """
    from simulators.serve import Simulator  # asyncio takes time that a mere look-up should not

    model = _model(name)
    transport = model.transports[0] if transport is None else transport
    if transport not in model.transports:
        raise SimulatorError(unknown_name(f"transport of {name}", transport, model.transports))
    if not model.addressed and unit not in (None, 1):
        raise SimulatorError(f"{name} has no unit address, so it cannot be unit {unit}")
    make = model.load()
    simulator = Simulator(
        make(seed=seed) if unit is None or not model.addressed else make(seed=seed, unit=unit),
        serve={transport: _place(transport, link)},
        control=control,
        baud=baud,
        time_factor=time_factor,
        seed=seed,
    )
    return simulator.start()


def start_bus(
    units: Mapping[int, str],
    transport: str,
    *,
    link: Path | None = None,
    baud: int | None = None,
    control: tuple[str, int] | None = ("127.0.0.1", 0),
    time_factor: float = 1.0,
    seed: int | None = None,
    models: Mapping[str, Callable[..., Device]] | None = None,
) -> Simulator:
    """Start several twins that share one port; the caller closes the simulator.

    Args:
        units: Names of models by unit address.
        transport: How the port is reached, e.g. ``modbus+rtu``; see `start_twin`.
        link: Path of the link to the pseudo-terminal; None: in a temporary directory.
        baud: Bits per second of the line; None: as for `start_twin`.
        control: Loopback host and port of the control port, where quantities are named
            ``unit3.chamber_c``; None: without one.
        time_factor: Simulated seconds in a real one.
        seed: Makes noise and mishaps repeatable.
        models: Further models by name, each called with ``seed=`` and ``unit=``.

    Returns:
        A running simulator; a driver opens its ``url_of(unit)``.

    Raises:
        SimulatorError: no such model or transport, one that cannot share a line, or an address
            that cannot be used.
    """
    from simulators.bus import Bus
    from simulators.serve import Simulator

    if transport not in TRANSPORTS:
        raise SimulatorError(unknown_name("transport", transport, TRANSPORTS))
    bus = Bus(
        {
            unit: _maker(name, models or {})(seed=None if seed is None else seed + unit, unit=unit)
            for unit, name in units.items()
        }
    )
    simulator = Simulator(
        bus,
        serve={transport: _place(transport, link)},
        control=control,
        baud=baud,
        time_factor=time_factor,
        seed=seed,
    )
    return simulator.start()


def twins_of_file(
    path: Path, *, besides: Collection[str] = (), seed: int | None = None
) -> FileTwins:
    """Make the twins of the controllers of an instrument file; none is started.

    Args:
        path: The file.
        besides: Names of controllers that need none.
        seed: Makes their noise repeatable.

    Returns:
        Its ``served()`` gives a simulator for each line, to be started and closed by the caller.

    Raises:
        SimulatorError: the file cannot be read, or something in it makes no sense; the text says
            on which line.
    """
    from simulators._instrument_file import twins_of

    return twins_of(path, besides=besides, seed=seed)


def _model(name: str) -> Model:
    model = MODELS.get(name)
    if model is None:
        raise SimulatorError(unknown_name("model", name, MODELS))
    return model


def _maker(name: str, models: Mapping[str, Callable[..., Device]]) -> Callable[..., Device]:
    if name in models:
        return models[name]
    if name not in MODELS:
        raise SimulatorError(unknown_name("model", name, [*MODELS, *models]))
    if not MODELS[name].addressed:
        raise SimulatorError(f"{name} has no unit address, so it cannot share a line")
    return MODELS[name].load()


def _place(transport: str, link: Path | None) -> tuple[str, int] | Path | bool:
    return (link or True) if transport in PTY_TRANSPORTS else ("127.0.0.1", 0)
