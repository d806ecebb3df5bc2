"""A simulator that serves one line, and whoever is reached through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators._urls import with_unit

if TYPE_CHECKING:
    from simulators.serve import Simulator

__all__ = ["ServedLine"]


@dataclass(frozen=True, slots=True)
class ServedLine:
    """One line."""

    simulator: Simulator
    """What is behind it."""
    units: Mapping[str, int | None]
    """Everybody on it by name, with its address if there are several."""

    def urls_of(self, name: str) -> dict[str, str]:
        """Return the URLs that a driver of *name* opens, by transport, the usual one first."""
        unit = self.units[name]
        urls = self.simulator.urls
        return {
            transport: url if unit is None else with_unit(url, unit)
            for transport, url in urls.items()
        }

    def url_of(self, name: str) -> str:
        """Return the first of those URLs.

        Raises:
            SimulatorError: the simulator was never started.
        """
        unit = self.units[name]
        return self.simulator.url if unit is None else self.simulator.url_of(unit)
