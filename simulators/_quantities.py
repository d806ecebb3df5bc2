"""Quantities that are attributes of something."""

from __future__ import annotations

from simulators.device import Quantity

__all__ = ["flag", "number"]


def number(
    owner: object,
    name: str,
    units: str,
    doc: str,
    low: float,
    high: float,
    *,
    whole: bool = False,
) -> Quantity:
    """Give the quantity that the attribute *name* of *owner* holds; fields as in `Quantity`."""
    kind = int if whole else float
    return Quantity(
        units,
        doc,
        lambda: float(getattr(owner, name)),
        lambda value: setattr(owner, name, kind(value)),
        low=low,
        high=high,
        whole=whole,
    )


def flag(owner: object, name: str, doc: str) -> Quantity:
    """Give the quantity, 0 or 1, that the attribute *name* of *owner* holds."""
    return Quantity(
        "",
        doc,
        lambda: float(getattr(owner, name)),
        lambda value: setattr(owner, name, bool(value)),
        whole=True,
    )
