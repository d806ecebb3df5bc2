"""The serial ports of this machine: their names, their adapters, and the name that lasts.

Nothing is opened: what is known comes from ``/dev`` and ``/sys``. Who uses a port is known to
:mod:`drivers.ports.holders`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

from drivers._suggest import suggestion
from drivers.ports._adapters import Adapter, terminals
from drivers.ports._nodes import Node, Number, Roots, node_at
from drivers.ports.base import reason_of
from mktl.errors import BadValue

__all__ = ["Adapter", "Inventory", "PortInfo", "Roots"]

_ROOTS = Roots()


@dataclass(frozen=True, slots=True)
class PortInfo:
    """One serial port, or pseudo-terminal."""

    path: str
    """The device file."""
    node: Node
    """Which device it is."""
    adapter: Adapter | None = None
    """Its hardware; ``None`` for a pseudo-terminal."""
    by_id: tuple[str, ...] = ()
    """Names that follow the adapter, wherever it is plugged in."""
    by_path: tuple[str, ...] = ()
    """Names that follow the socket, whatever adapter is in it."""
    links: tuple[str, ...] = ()
    """Other names: those of rules for udev, or of a simulator."""
    best: str = ""
    """The name that is most likely to lead to the same device tomorrow."""
    caution: str = ""
    """When *best* will lead elsewhere; empty where that is not to be expected."""

    @property
    def url(self) -> str:
        """*best*, as the URL of an instrument file."""
        return f"serial://{quote(os.fsencode(self.best), safe='/:')}"

    @property
    def names(self) -> tuple[str, ...]:
        """All paths that lead to it."""
        return (self.path, *self.by_id, *self.by_path, *self.links)

    def matches(self, pattern: str) -> bool:
        """Tell whether a shell pattern means this port.

        That is one of its names, with or without the folder, or what its adapter says of itself.
        Upper and lower case are the same.
        """
        texts = [*self.names, *(os.path.basename(name) for name in self.names)]  # noqa: PTH119
        if (it := self.adapter) is not None:
            texts += [it.manufacturer, it.product, it.serial_number, it.hardware_id, it.bus]
        return any(fnmatchcase(text.lower(), pattern.lower()) for text in texts if text)


class Inventory:
    """The serial ports of this machine at one moment.

    Attributes:
        ports: Those with hardware behind them, in the order of their numbers.
    """

    def __init__(self, roots: Roots = _ROOTS) -> None:
        """Look around."""
        self._terminals = terminals(roots.sys)
        adapters = [one for one in self._terminals.values() if one is not None]
        shared = _shared(adapters)
        names = _names(roots.dev)
        self.ports = sorted(
            (
                _port(roots.dev, names[number], adapter, shared=adapter.unit in shared)
                for number, adapter in self._terminals.items()
                # A container sees the hardware of its host, but has no device file for it.
                if adapter is not None and number in names
            ),
            key=lambda port: _natural(port.path),
        )

    def at(self, path: str) -> PortInfo:
        """Return the port that *path*, a device file or a link, leads to.

        Raises:
            BadValue: it leads to none; the text says to what, or which names are near.
        """
        try:
            node = node_at(path)
        except FileNotFoundError:
            raise BadValue(f"{path}: {self.why_missing(path)}") from None
        except (OSError, ValueError) as error:
            raise BadValue(f"{path}: {reason_of(error)}") from None
        if node is None:
            what = "a folder" if os.path.isdir(path) else "a file, and no device"  # noqa: PTH112
            raise BadValue(f"{path}: it is {what}; {self._hint(path)}")
        if node.is_pty:
            return _pty(path, node)
        for port in self.ports:
            if port.node.key == node.key:
                return _with_link(port, path)
        adapter = self._terminals.get(node.number)
        if adapter is not None:
            return _choose(PortInfo(path, node, adapter), shared=False)
        if node.number in self._terminals:
            raise BadValue(f"{path}: it is a terminal without a serial port behind it")
        raise BadValue(f"{path}: it is a device, but no serial port; {self._hint(path)}")

    def matching(self, pattern: str) -> list[PortInfo]:
        """Return the ports that *pattern* means; see :meth:`PortInfo.matches`.

        Raises:
            BadValue: there is none; the text has the nearest names.
        """
        found = [port for port in self.ports if port.matches(pattern)]
        if not found:
            raise BadValue(f"{pattern}: no serial port has that name; {self._hint(pattern)}")
        return found

    def why_missing(self, path: str) -> str:
        """Say of a path that leads nowhere where it ends, and which names are near."""
        end = os.path.realpath(path)
        is_link = os.path.islink(path)  # noqa: PTH114
        what = f"it leads to {end}, which is gone" if is_link else "no such file or directory"
        if end.startswith("/dev/pts/"):
            return f"{what}: a pseudo-terminal ends with the program that made it"
        return f"{what}; {self._hint(end if is_link else path)}"

    def _hint(self, wrong: str) -> str:
        names = {name for port in self.ports for name in port.names}
        if "/" in wrong:
            names.update(self._links_beside(wrong))
        else:
            names = {os.path.basename(name) for name in names}  # noqa: PTH119
        return suggestion(wrong, names) if names else "this machine has no serial ports"

    def _links_beside(self, path: str) -> Iterator[str]:
        """Yield links in the folder of *path* that lead to a port, such as simulators make."""
        try:
            links = [entry for entry in Path(path).parent.iterdir() if entry.is_symlink()]
        except (OSError, ValueError):
            return
        for link in links:
            try:
                node = node_at(link)
            except OSError:
                continue
            if node is not None and (node.is_pty or self._terminals.get(node.number) is not None):
                yield str(link)


def _names(dev: Path) -> dict[Number, dict[str, Node]]:
    """Return the paths in the folders of device files that lead to each character device."""
    found: dict[Number, dict[str, Node]] = {}
    for folder in (dev, dev / "serial" / "by-id", dev / "serial" / "by-path"):
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue  # udev makes these two only where there is something to put in
        for entry in entries:
            try:
                # /dev/stdin and others like it are another device for each process.
                if entry.is_symlink() and str(entry.readlink()).startswith("/proc/"):
                    continue
                node = node_at(entry)
            except OSError:
                continue
            if node is not None:
                found.setdefault(node.number, {})[str(entry)] = node
    return found


def _shared(adapters: list[Adapter]) -> set[str]:
    """Return those units that another one cannot be told from by what they say of themselves."""
    units: dict[tuple[str, ...], set[str]] = {}
    for it in adapters:
        if it.bus == "usb":
            says = (it.manufacturer or it.hardware_id, it.product or it.hardware_id)
            units.setdefault((*says, it.serial_number), set()).add(it.unit)
    return set().union(*(same for same in units.values() if len(same) > 1))


def _port(dev: Path, names: dict[str, Node], adapter: Adapter, *, shared: bool) -> PortInfo:
    plain = str(dev / adapter.name)
    if plain not in names:
        # A container may have the device under another name.
        plain = next((name for name in names if not Path(name).is_symlink()), next(iter(names)))
    by_id, by_path = (
        tuple(name for name in names if name.startswith(f"{dev}/serial/{folder}/"))
        for folder in ("by-id", "by-path")
    )
    return _choose(
        PortInfo(
            plain,
            names[plain],
            adapter,
            by_id=by_id,
            by_path=by_path,
            links=tuple(name for name in names if name not in {plain, *by_id, *by_path}),
        ),
        shared=shared,
    )


def _choose(port: PortInfo, *, shared: bool) -> PortInfo:
    """Return *port* with the best of its names.

    Args:
        port: What is known.
        shared: Whether another adapter says the same of itself, so that udev gives the name to
            one of them, whichever comes last.
    """
    adapter = port.adapter
    unique = adapter is not None and bool(adapter.serial_number) and not shared
    if port.by_id and unique:
        return replace(port, best=port.by_id[0])
    if port.by_path:
        return replace(port, best=port.by_path[0], caution=_why_not_by_id(port, shared))
    if port.by_id and not shared:
        caution = "its adapter has no serial number: another one like it would get this name"
        return replace(port, best=port.by_id[0], caution=caution)
    if port.links:
        return replace(port, best=port.links[0], caution="it lasts if a rule of udev makes it")
    caution = "it may change when the hardware of this machine does"
    if adapter is not None and adapter.bus == "usb":
        caution = "it may change whenever adapters are plugged in"
    return replace(port, best=port.path, caution=caution)


def _why_not_by_id(port: PortInfo, shared: bool) -> str:
    if port.adapter is None or port.adapter.bus != "usb":
        return ""
    if not port.adapter.serial_number:
        return "its adapter has no serial number: leave it in the same socket"
    if shared:
        return "another adapter has the same serial number: leave both in their sockets"
    return "leave the adapter in the same socket"


def _pty(path: str, node: Node) -> PortInfo:
    port = PortInfo(os.path.realpath(path), node)
    if Path(path).is_symlink():
        link = str(Path(path).absolute())
        return replace(port, links=(link,), best=link)
    caution = "numbers of pseudo-terminals are given out anew: have its program make a link"
    return replace(port, best=port.path, caution=caution)


def _with_link(port: PortInfo, path: str) -> PortInfo:
    """Return *port* with *path* among its names, if that is a link and not one of them."""
    link = str(Path(path).absolute())
    if link in port.names or not Path(path).is_symlink():
        return port
    return replace(port, links=(*port.links, link))


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path)]
