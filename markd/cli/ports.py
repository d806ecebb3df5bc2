"""``mark ports``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from drivers.ports.holders import find_holders
from drivers.ports.inventory import Inventory
from mktl.errors import BadValue

from ._json import json_line
from ._outcome import one_line, warn

if TYPE_CHECKING:
    from drivers.ports.holders import Holder, Holders
    from drivers.ports.inventory import Adapter, PortInfo

    from ._arguments import Arguments
    from ._outcome import Outcome

__all__ = ["run"]


def run(arguments: Arguments, outcome: Outcome) -> None:
    """Print the serial ports of this machine, or those that were asked for. Opens none."""
    inventory = Inventory()
    found = _asked(inventory, arguments.requests, outcome) if arguments.requests else None
    ports = inventory.ports if found is None else found
    if found is None and not ports:
        warn("mark: this machine has no serial ports")
    if not ports:
        return
    if arguments.terse and not arguments.json:
        for port in ports:
            print(one_line(port.url))
        return
    holders = find_holders(port.node for port in ports)
    for port in ports:
        if arguments.json:
            print(json_line(_fields(port, holders)))
        else:
            _show(port, holders)


def _asked(inventory: Inventory, requests: list[str], outcome: Outcome) -> list[PortInfo]:
    found: dict[tuple[int, ...], PortInfo] = {}
    for request in requests:
        try:
            if os.path.lexists(request) or ("/" in request and not set(request) & set("*?[")):
                ports = [inventory.at(request)]
            else:
                ports = inventory.matching(request)
        except BadValue as error:
            outcome.failed(request, error)
            continue
        for port in ports:
            found.setdefault(port.node.key, port)
    return list(found.values())


def _show(port: PortInfo, holders: Holders) -> None:
    what = _what(port.adapter) if port.adapter is not None else "pseudo-terminal"
    print(one_line(f"{port.path}  {what}"))
    for label, names in (("by id", port.by_id), ("by path", port.by_path), ("link", port.links)):
        for name in names:
            print(one_line(f"    {label:8} {name}"))
    for line in _uses(port, holders):
        print(one_line(f"    {'open':8} {line}"))
    if mode := _closed_to_us(port):
        print(f"    {'access':8} not for this user: {mode}")
    print(one_line(f"    {'URL':8} {port.url}{f'  ({port.caution})' if port.caution else ''}"))


def _what(adapter: Adapter) -> str:
    words = " ".join(part for part in (adapter.manufacturer, adapter.product) if part)
    bus = {"usb": "USB", "pci": "PCI"}.get(adapter.bus, adapter.bus)
    place = " ".join(part for part in (bus, adapter.hardware_id or adapter.location) if part)
    number = f"serial number {adapter.serial_number}" if adapter.serial_number else ""
    return ", ".join(part for part in (words, place, number) if part) or "of a kind unknown"


def _uses(port: PortInfo, holders: Holders) -> list[str]:
    found = holders.of(port.node)
    lines = [_holder(holder) for holder in found]
    if port.adapter is not None and port.adapter.is_console:
        lines.append("the kernel, for its messages")
    if not holders.complete:
        lines.append("perhaps by other users, whose processes are not seen (root sees them)")
    return lines or ["by nobody"]


def _holder(holder: Holder) -> str:
    locked = ", locked" if holder.locked else ""
    end = ", at the device's end" if holder.far_end else ""
    return f"{holder.name} (process {holder.pid}, user {_user(holder.uid)}){locked}{end}"


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _closed_to_us(port: PortInfo) -> str:
    """Return who may open the port, if we may not."""
    import grp
    import stat

    if os.access(port.path, os.R_OK | os.W_OK):
        return ""
    try:
        found = os.stat(port.path)  # noqa: PTH116 - pathlib is slow to import
        group = grp.getgrgid(found.st_gid).gr_name
    except OSError:
        return "it has gone meanwhile"
    except KeyError:
        group = str(found.st_gid)
    return f"{stat.filemode(found.st_mode)}, owner {_user(found.st_uid)}, group {group}"


def _fields(port: PortInfo, holders: Holders) -> dict[str, Any]:
    adapter = port.adapter
    fields: dict[str, Any] = {
        "path": _text(port.path),
        "by_id": [_text(name) for name in port.by_id],
        "by_path": [_text(name) for name in port.by_path],
        "links": [_text(name) for name in port.links],
        "url": port.url,
        "caution": port.caution or None,
        "bus": adapter.bus or None if adapter is not None else "pseudo-terminal",
    }
    for name in ("manufacturer", "product", "serial_number", "hardware_id", "location"):
        fields[name] = getattr(adapter, name, None) or None
    fields["console"] = adapter is not None and adapter.is_console
    fields["accessible"] = os.access(port.path, os.R_OK | os.W_OK)
    fields["holders"] = [
        {
            "pid": holder.pid,
            "name": holder.name,
            "user": _user(holder.uid),
            "command": holder.command,
            "locked": holder.locked,
            "end": "device" if holder.far_end else "host",
        }
        for holder in holders.of(port.node)
    ]
    fields["holders_complete"] = holders.complete
    return fields


def _text(path: str) -> str:
    """Return a path as JSON can have it: bytes that are no text written out."""
    return path.encode(errors="backslashreplace").decode()
