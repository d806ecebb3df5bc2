"""What the control port can read and set of every drive, whatever controls it."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulators._drive import Drive, Switch, Works
from simulators._quantities import flag, number
from simulators.device import Quantity

__all__ = ["checked_dt", "mechanics_of", "shown", "switch", "toggle"]

_COLDEST_C, _HOTTEST_C = -40.0, 200.0


def checked_dt(dt_s: float) -> None:
    """Check the argument of a ``step``.

    Raises:
        ValueError: *dt_s* is negative or not finite.
    """
    if not (math.isfinite(dt_s) and dt_s >= 0):
        raise ValueError(f"time goes forward only, not by {dt_s} s")


def shown(doc: str, read: Callable[[], bool]) -> Quantity:
    """Give a quantity that is 0 or 1, and cannot be set."""
    return Quantity("", doc, lambda: float(read()))


def toggle(doc: str, read: Callable[[], bool], write: Callable[[bool], None]) -> Quantity:
    """Give a quantity that is 0 or 1."""
    return Quantity("", doc, lambda: float(read()), lambda value: write(bool(value)), whole=True)


def switch(of: Switch, name: str) -> Quantity:
    """Give the quantity that says how well a switch works."""
    return Quantity(
        "",
        f"{name}: 0 works, 1 is active always, 2 never",
        lambda: float(of.works),
        lambda value: setattr(of, "works", Works(int(value))),
        high=2,
        whole=True,
    )


def mechanics_of(drive: Drive, prefix: str, *, unit: str) -> dict[str, Quantity]:
    """Give what every drive has.

    Args:
        drive: The drive.
        prefix: What the names begin with, e.g. ``axis1_``.
        unit: What positions are in, e.g. ``steps``.
    """
    rail = drive.rail
    return {
        f"{prefix}at_{unit}": Quantity(
            unit,
            "where the load is on the rail; setting it pushes the carriage there",
            lambda: drive.load,
            drive.push,
            low=rail.low_stop,
            high=rail.high_stop,
        ),
        f"{prefix}velocity": Quantity(
            f"{unit}/s", "velocity of the carriage", lambda: drive.velocity
        ),
        f"{prefix}lost_{unit}": Quantity(
            unit, "what the motor has turned and the carriage has not moved", lambda: drive.slip
        ),
        f"{prefix}blocked": flag(drive, "blocked", "1: something holds the carriage"),
        f"{prefix}temperature_c": number(
            drive, "temperature_c", "C", "temperature of the driver", _COLDEST_C, _HOTTEST_C
        ),
        f"{prefix}room_c": number(
            drive, "room_c", "C", "temperature around the driver", _COLDEST_C, _HOTTEST_C
        ),
    }
