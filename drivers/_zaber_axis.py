"""One axis of a Zaber device, as the common part of motion takes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from drivers._zaber import ZaberState
from drivers.motion import Bounds
from mktl.controllers import TurnKind

if TYPE_CHECKING:
    from drivers.zaber import Zaber

__all__ = ["ZaberAxis"]


class ZaberAxis:
    """One axis, as the common part of motion takes it."""

    def __init__(self, device: Zaber, number: int) -> None:
        self._device = device
        self._number = number

    @property
    def label(self) -> str:
        return f"{self._device.label}, axis {self._number}"

    @property
    def period_s(self) -> float:
        return self._device.period_with_alerts_s if self._device.alerts else self._device.period_s

    def turn(self) -> contextlib.AbstractContextManager[None]:
        return self._device.turn()

    def prioritised(self, kind: TurnKind) -> contextlib.AbstractContextManager[None]:
        return self._device.prioritised(kind)

    def state(self) -> ZaberState:
        return self._device.state(self._number)

    def bounds(self) -> Iterable[Bounds]:
        return self._device.known_limits(self._number)

    def move_time_s(self, distance: int) -> float | None:
        speed = self._device.steps_per_s(self._number)
        return distance / speed if speed > 0 else None

    def start(self, steps: int) -> None:
        self._device.begin(self._number, f"move abs {steps}")

    def halt(self) -> None:
        self._device.command(self._number, "stop")
