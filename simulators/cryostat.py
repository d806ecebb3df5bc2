"""The thermal side of a small detector cryostat with a two-stage cooler.

Four bodies, joined by conductances that do not depend on temperature::

    room -- vessel -- shield -- cold plate -- detector mount
                        |           |               |
                   first stage  second stage     heater 1
                   (heater 2)

Numbers are those of a small instrument, not of a certain one: at 77 K the mount takes about 4 W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_STEP_S = 1.0
"""Longest step of the integration; the fastest body has a time constant of about 2 minutes."""

_MOUNT_J_PER_K = 60.0
_PLATE_J_PER_K = 150.0
_SHIELD_J_PER_K = 900.0
_VESSEL_J_PER_K = 20_000.0

_MOUNT_PLATE_W_PER_K = 0.25
_PLATE_COOLER_W_PER_K = 1.0
_PLATE_SHIELD_W_PER_K = 0.02
_SHIELD_COOLER_W_PER_K = 1.0
_SHIELD_VESSEL_W_PER_K = 0.12
_VESSEL_ROOM_W_PER_K = 10.0

_SHIELD_BASE_K = 80.0


@dataclass(slots=True)
class Cryostat:
    """Temperatures in kelvin; starts in balance with the mount held at 77 K."""

    mount_k: float = 77.0
    """Detector mount, which heater 1 warms."""
    plate_k: float = 60.068
    """Cold plate on the second stage of the cooler."""
    shield_k: float = 101.833
    """Radiation shield on the first stage, which heater 2 warms."""
    vessel_k: float = 290.733
    """Wall of the vacuum vessel."""
    room_k: float = 293.0
    """The room around it; nothing changes it but the user."""
    base_k: float = 55.0
    """Where the second stage settles without a load."""
    load_w: float = 0.0
    """Extra heat into the mount, e.g. from a detector that is switched on."""
    cooler_on: bool = True
    """False: nothing pulls heat out, everything drifts to the room."""

    def step(
        self, dt_s: float, *, mount_heater_w: float = 0.0, shield_heater_w: float = 0.0
    ) -> None:
        """Let *dt_s* seconds pass with the heaters at the given powers.

        Raises:
            ValueError: *dt_s* is negative or not finite.
        """
        for h_s in substeps(dt_s, MAX_STEP_S):
            self._short_step(h_s, mount_heater_w, shield_heater_w)

    def _short_step(self, h_s: float, mount_heater_w: float, shield_heater_w: float) -> None:
        to_mount_w = _MOUNT_PLATE_W_PER_K * (self.plate_k - self.mount_k)
        to_plate_w = _PLATE_SHIELD_W_PER_K * (self.shield_k - self.plate_k)
        to_shield_w = _SHIELD_VESSEL_W_PER_K * (self.vessel_k - self.shield_k)
        to_vessel_w = _VESSEL_ROOM_W_PER_K * (self.room_k - self.vessel_k)
        plate_cooling_w = shield_cooling_w = 0.0
        if self.cooler_on:
            # A cooler does not heat what is colder than it can get.
            plate_cooling_w = _PLATE_COOLER_W_PER_K * max(0.0, self.plate_k - self.base_k)
            shield_cooling_w = _SHIELD_COOLER_W_PER_K * max(0.0, self.shield_k - _SHIELD_BASE_K)
        self.mount_k += h_s / _MOUNT_J_PER_K * (to_mount_w + mount_heater_w + self.load_w)
        self.plate_k += h_s / _PLATE_J_PER_K * (to_plate_w - to_mount_w - plate_cooling_w)
        self.shield_k += (
            h_s / _SHIELD_J_PER_K * (to_shield_w - to_plate_w + shield_heater_w - shield_cooling_w)
        )
        self.vessel_k += h_s / _VESSEL_J_PER_K * (to_vessel_w - to_shield_w)


def substeps(dt_s: float, longest_s: float) -> list[float]:
    """Cut *dt_s* into equal steps of at most *longest_s*.

    Raises:
        ValueError: *dt_s* is negative or not finite.
    """
    if not (math.isfinite(dt_s) and dt_s >= 0):
        raise ValueError(f"time goes forward only, not by {dt_s} s")
    count = math.ceil(dt_s / longest_s)
    return [dt_s / count] * count if count else []
