"""Twins of real instruments: state and physics inside, the instrument's own protocol outside.

Nothing of ours is imported here, so a mistake cannot hide by being on both sides.

- `MODELS`, `start_twin`: the twin of a controller by the name of its driver
- `simulators.serve`: `Simulator`, a model that hosts can reach
- `simulators.device`: what a model is
- `simulators.clock`, `simulators.faults`: time and mishaps
- `simulators.control`: the control port
- `simulators.lakeshore336`, `simulators.cryostat`: the models
- `simulators.cli`: the command ``marksim``
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from simulators._names import unknown_name
from simulators.device import SimulatorError

if TYPE_CHECKING:
    from simulators.device import Device
    from simulators.serve import Simulator

__all__ = ["MODELS", "Model", "SimulatorError", "start_twin"]


@dataclass(frozen=True, slots=True)
class Model:
    """Where a model is, and how hosts can reach it."""

    summary: str
    """One line for people."""
    module: str
    """Module that has it; imported when it is used."""
    class_name: str
    """Its class, called with ``seed=``."""
    transports: tuple[str, ...]
    """Of ``tcp`` and ``serial``; the first is the usual one."""

    def load(self) -> Callable[..., Device]:
        """Import the module and return the class."""
        found: Callable[..., Device] = getattr(
            importlib.import_module(self.module), self.class_name
        )
        return found


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "lakeshore336": Model(
            summary="Lake Shore 336 temperature controller on a detector cryostat",
            module="simulators.lakeshore336",
            class_name="LakeShore336",
            transports=("tcp", "serial"),
        ),
    }
)
"""Models by the name of the driver that they are the twin of."""


def start_twin(
    name: str,
    transport: str = "tcp",
    *,
    link: Path | None = None,
    baud: int | None = None,
    control: tuple[str, int] | None = ("127.0.0.1", 0),
    time_factor: float = 1.0,
    seed: int | None = None,
) -> Simulator:
    """Start the twin of a controller; the caller closes it.

    Args:
        name: Name of the driver, a key of `MODELS`.
        transport: ``tcp``: on a free loopback port; ``serial``: on a pseudo-terminal.
        link: Path of the link to the pseudo-terminal; None: in a temporary directory.
        baud: Bits per second of the pseudo-terminal; None: that of the device.
        control: Loopback host and port of the control port; None: without one.
        time_factor: Simulated seconds in a real one.
        seed: Makes noise and mishaps repeatable.

    Returns:
        A running simulator; a driver opens its ``url``.

    Raises:
        SimulatorError: no such model or transport, or an address that cannot be used.
    """
    from simulators.serve import Simulator  # asyncio takes time that a mere look-up should not

    model = MODELS.get(name)
    if model is None:
        raise SimulatorError(unknown_name("model", name, MODELS))
    if transport not in model.transports:
        raise SimulatorError(unknown_name(f"transport of {name}", transport, model.transports))
    serial = transport == "serial"
    simulator = Simulator(
        model.load()(seed=seed),
        tcp=None if serial else ("127.0.0.1", 0),
        pty=(link or True) if serial else False,
        control=control,
        baud=baud,
        time_factor=time_factor,
        seed=seed,
    )
    return simulator.start()
