"""The hardware of serial ports, as the kernel tells it in ``/sys``.

Source: Linux, Documentation/ABI/testing/sysfs-tty, sysfs-bus-usb.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from drivers.ports._nodes import Number, read_text

__all__ = ["Adapter", "terminals"]

# Layers of the kernel between a port and its hardware; serial-base since Linux 6.5.
_LAYERS = ("", "serial-base", "tty", "usb-serial")
_NO_UART = "0"


@dataclass(frozen=True, slots=True)
class Adapter:
    """The hardware of one serial port. What is not known is empty."""

    name: str
    """What the kernel calls the port, e.g. ``ttyUSB0``."""
    bus: str = ""
    """What it is attached to: ``usb``, ``pci``, ``pnp``, ``platform`` ..."""
    unit: str = ""
    """The whole adapter: the same text for all of its ports."""
    location: str = ""
    """Where on the bus."""
    manufacturer: str = ""
    product: str = ""
    serial_number: str = ""
    hardware_id: str = ""
    """Of USB and PCI: vendor and product, ``0403:6001``."""
    is_console: bool = False
    """Whether the kernel writes its messages to it."""


def terminals(sys: Path) -> dict[Number, Adapter | None]:
    """Return the terminals of this machine; ``None`` for those without hardware behind them."""
    found: dict[Number, Adapter | None] = {}
    try:
        entries = sorted((sys / "class" / "tty").iterdir())
    except OSError:
        return found
    for entry in entries:
        major, colon, minor = read_text(entry / "dev").partition(":")
        if colon and major.isdecimal() and minor.isdecimal():
            there = _exists(entry / "device") and read_text(entry / "type") != _NO_UART
            found[int(major), int(minor)] = _adapter(entry, sys) if there else None
    return found


def _adapter(entry: Path, sys: Path) -> Adapter:
    device = (entry / "device").resolve()
    console = read_text(entry / "console") == "Y"
    bus = where = None
    below = device
    for folder in (device, *device.parents):
        if folder == sys.resolve():
            break
        if _exists(folder / "idVendor"):
            return _usb(entry.name, folder, below, console)
        link = folder / "subsystem"
        subsystem = link.resolve().name if _exists(link) else ""
        if bus is None and subsystem not in _LAYERS:
            bus, where = subsystem, folder
        below = folder
    if bus is None or where is None:
        return Adapter(entry.name, is_console=console)
    return Adapter(
        entry.name,
        bus=bus,
        unit=str(where),
        location=where.name,
        hardware_id=_pci_id(where) if bus == "pci" else "",
        is_console=console,
    )


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists() raises where it may not look


def _usb(name: str, unit: Path, below: Path, console: bool) -> Adapter:
    is_interface = _exists(below / "bInterfaceNumber")
    return Adapter(
        name,
        bus="usb",
        unit=str(unit),
        location=(below if is_interface else unit).name,
        manufacturer=read_text(unit / "manufacturer"),
        product=read_text(unit / "product"),
        serial_number=read_text(unit / "serial"),
        hardware_id=f"{read_text(unit / 'idVendor')}:{read_text(unit / 'idProduct')}",
        is_console=console,
    )


def _pci_id(folder: Path) -> str:
    vendor, device = (read_text(folder / name) for name in ("vendor", "device"))
    return f"{vendor.removeprefix('0x')}:{device.removeprefix('0x')}" if vendor and device else ""
