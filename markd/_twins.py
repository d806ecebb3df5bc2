"""Simulators of the controllers of an instrument file."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.wiring import ControllerSpec, InstrumentFile

if TYPE_CHECKING:
    from simulators.serve import Simulator

__all__ = ["start_twins"]

_log = logging.getLogger(__name__)


def start_twins(
    path: Path, wiring: InstrumentFile, stack: ExitStack, besides: Collection[str] = ()
) -> dict[str, str]:
    """Start simulators for the controllers that have one; return their URLs by controller.

    Args:
        path: The instrument file.
        wiring: What was found in it.
        stack: Closes them in the end.
        besides: Controllers that need none.

    Raises:
        SimulatorError: one cannot be made, or does not start.
    """
    import simulators

    if not wiring.controllers:
        _log.info("%s has no controllers: there is nothing to simulate", path)
        return {}
    found = simulators.twins_of_file(path, besides=besides)
    for name in found.without:
        _say_what_to_do(wiring.controllers[name])
    urls = {}
    for line in found.served():
        stack.enter_context(line.simulator)
        for name in line.units:
            urls[name] = line.url_of(name)
            _tell(name, urls[name], line.simulator)
    return urls


def _say_what_to_do(spec: ControllerSpec) -> None:
    _log.warning(
        "controller %s is not simulated: driver %s has no simulator (marksim list shows those that "
        "have, beside text, modbus and driver files); its items are invalid until something "
        "answers at %s, or at what --url %s=URL names",
        spec.name,
        spec.driver,
        spec.url,
        spec.name,
    )


def _tell(name: str, url: str, twin: Simulator) -> None:
    _log.info(
        "controller %s is simulated at %s; to meddle with it: marksim ctl %s:%d status",
        name,
        url,
        *twin.control_address,
    )
