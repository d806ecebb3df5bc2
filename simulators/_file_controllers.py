"""Controllers of an instrument file, and how to make the twin of each.

A controller has a twin if its driver is one of `simulators.MODELS`, or carries out a protocol that
the file gives as data: then the twin is what the file describes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from simulators import MODELS
from simulators._toml_source import TomlSource
from simulators._urls import Address, address_of
from simulators.device import Device, SimulatorError

__all__ = ["FileControllers", "Twin"]

_TRANSPORTS = {
    "text": ("tcp", "serial", "visa", "vxi11", "hislip"),
    "modbus": ("modbus+tcp", "modbus+rtu", "modbus+rtu+tcp"),
}
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Twin:
    """One controller that has a twin."""

    path: _Path
    """Where it stands in the file."""
    address: Address
    """What its URL says."""
    transports: Sequence[str]
    """How the twin can be reached; the first is the usual way."""
    shares: bool
    """Whether it can be one of several on a line."""
    make: Callable[[int | None], Device]
    """Makes the twin at its address on the line; None: at the usual one, if it has any."""

    @property
    def name(self) -> str:
        """The name of the controller, in lower case."""
        return self.path[-1].lower()


@dataclass(slots=True)
class _Described:
    """What the instrument file, and a driver file, say of a controller whose protocol is data."""

    path: _Path
    driver: str
    """``text`` or ``modbus``."""
    settings: Mapping[str, Any]
    file: TomlSource | None = None
    """The driver file, if there is one."""
    items: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Tables of its channels and items, by what the twin calls them."""
    places: dict[str, tuple[TomlSource, _Path]] = field(default_factory=dict)
    """Where each of them stands."""


class FileControllers:
    """The controllers of one file; all methods raise `SimulatorError` where it makes no sense."""

    def __init__(self, path: Path) -> None:
        """Read the file at *path*."""
        self._source = TomlSource(path, str(path))
        self._folder = path.parent
        self.without: dict[str, str] = {}
        """The drivers of those controllers that have no twin, by controller."""
        if "driver" in self._source.content:
            raise SimulatorError(
                f"{path}: is a driver file, which says nothing of where a device is; give an "
                "instrument file that uses it"
            )
        self._controllers = self._tables("controllers")
        self._items = self._tables("items")
        if not self._controllers:
            raise SimulatorError(f"{path}: has no [controllers.NAME], so nothing is simulated")

    def twins(self, besides: Collection[str], seed: int | None) -> Iterator[Twin]:
        """Give the twins of all but those in *besides*; *seed* makes their noise repeatable."""
        for number, (written, table) in enumerate(self._controllers.items()):
            path = ("controllers", written)
            if written.lower() in besides:
                continue
            driver, url = (self._text(path, table, key) for key in ("driver", "url"))
            address = self._address((*path, "url"), url)
            if driver in MODELS:
                yield self._model(path, table, address, None if seed is None else seed + number)
            elif driver in _TRANSPORTS or driver.endswith(".toml"):
                described = self._described(path, table, driver)
                make = partial(self._make_described, described)
                yield Twin(path, address, _TRANSPORTS[described.driver], True, make)
            else:
                self.without[written.lower()] = driver

    def refuse(self, path: _Path, text: str) -> NoReturn:
        """Raise the error that *text* is wrong with what stands at *path*."""
        raise SimulatorError(_problem(self._source, path, text))

    def _tables(self, section: str) -> Mapping[str, Mapping[str, Any]]:
        tables = self._source.content.get(section, {})
        if not isinstance(tables, Mapping):
            self.refuse((section,), f"must be tables: [{section}.NAME]")
        for name, table in tables.items():
            if not isinstance(table, Mapping):
                self.refuse((section, name), f"must be a table: [{section}.{name}]")
        return tables

    def _text(self, path: _Path, table: Mapping[str, Any], key: str) -> str:
        value = table.get(key)
        if value is None:
            self.refuse(path, f"{key!r} is missing")
        if not (isinstance(value, str) and value):
            self.refuse((*path, key), f"must be a text, not {value!r}")
        return value

    def _address(self, path: _Path, url: str) -> Address:
        try:
            return address_of(url)
        except SimulatorError as error:
            self.refuse(path, str(error))

    def _model(
        self, path: _Path, table: Mapping[str, Any], address: Address, seed: int | None
    ) -> Twin:
        driver = str(table["driver"])
        model = MODELS[driver]
        if address.unit is not None and not model.addressed:
            self.refuse((*path, "url"), f"{driver} has no address, so it cannot be a unit")

        def make(unit: int | None) -> Device:
            make_it = model.load()
            made_for = model.made_for(table)
            if unit is None:
                return make_it(seed=seed, **made_for)
            return make_it(seed=seed, unit=unit, **made_for)

        return Twin(path, address, model.transports, model.addressed, make)

    # -- protocols as data -------------------------------------------------------------------

    def _described(self, path: _Path, table: Mapping[str, Any], driver: str) -> _Described:
        settings = {key: value for key, value in table.items() if key not in ("driver", "url")}
        found = _Described(path, driver, settings)
        if driver.endswith(".toml"):
            try:
                found.file = TomlSource(self._folder / driver, driver)
            except SimulatorError as error:
                self.refuse((*path, "driver"), str(error))
            self._take_driver_file(found, found.file)
        names = {}
        for key, item in self._items.items():
            name = _name_of(found, key, item)
            if name is None:
                continue
            names[key.lower()] = name
            found.places.setdefault(name, (self._source, ("items", key)))
            channel = found.items.get(name)
            found.items[name] = item if channel is None else _bound(channel, item)
        for name, item in found.items.items():
            found.items[name] = _renamed(item, names)
        return found

    @staticmethod
    def _take_driver_file(found: _Described, file: TomlSource) -> None:
        driver = file.content.get("driver")
        if driver not in _TRANSPORTS:
            raise SimulatorError(_problem(file, ("driver",), "must be text or modbus"))
        found.driver = str(driver)
        found.settings = {**file.content, **found.settings}
        channels = file.content.get("channels")
        if not (isinstance(channels, Mapping) and channels):
            raise SimulatorError(_problem(file, ("channels",), "must be tables: [channels.NAME]"))
        for name, table in channels.items():
            path = ("channels", name)
            if not isinstance(table, Mapping):
                raise SimulatorError(_problem(file, path, f"must be a table: [channels.{name}]"))
            found.items[name] = table
            found.places[name] = (file, path)

    def _make_described(self, described: _Described, unit: int | None) -> Device:
        # They are a good part of all that there is, and mostly not needed.
        from simulators._described_modbus import DescribedModbus
        from simulators._described_text import DescribedText

        name = described.path[-1].lower()
        try:
            if described.driver == "text":
                return DescribedText(name, described.settings, described.items, unit=unit)
            unit = 1 if unit is None else unit
            return DescribedModbus(name, described.settings, described.items, unit=unit)
        except SimulatorError as error:
            raise SimulatorError(self._placed(described, str(error))) from error

    def _placed(self, described: _Described, text: str) -> str:
        """Return *text*, which begins with what is wrong, with the file and the line of that."""
        what, _, words = text.partition(": ")
        section, _, rest = what.partition(".")
        if section == "items":
            names = (name for name in described.places if f"{rest}.".startswith(f"{name}."))
            name = max(names, key=len)
            source, path = described.places[name]
            return _problem(source, (*path, *_parts(rest[len(name) :])), words)
        keys = _parts(rest[len(described.path[-1]) :])
        file = described.file
        if file is None or not keys or keys[0] in self._controllers[described.path[-1]]:
            return _problem(self._source, (*described.path, *keys), words)
        return _problem(file, keys, words)


def _problem(source: TomlSource, path: _Path, text: str) -> str:
    return f"{source.where(*path)}: {'.'.join(path)}: {text}"


def _parts(rest: str) -> _Path:
    return tuple(part for part in rest.split(".") if part)


def _name_of(described: _Described, key: str, item: Mapping[str, Any]) -> str | None:
    """Return what the twin calls an item; None: it is of another controller."""
    controller = described.path[-1].lower()
    channel = item.get("channel")
    if isinstance(channel, str):
        owner, _, name = channel.partition(".")
        return name if owner.lower() == controller and name in described.places else None
    if str(item.get("controller", "")).lower() != controller:
        return None
    # A channel of the driver file may have the name already.
    return f"items.{key.lower()}" if key.lower() in described.places else key.lower()


def _bound(channel: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a channel with what an item that is bound to it says otherwise."""
    return {**channel, **{key: item[key] for key in ("simulate", "tracks") if key in item}}


def _renamed(item: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """Return *item*, with the name that the twin has for the item that it follows."""
    tracks = item.get("tracks")
    if not (isinstance(tracks, Mapping) and isinstance(tracks.get("item"), str)):
        return item
    followed = tracks["item"]
    return {**item, "tracks": {**tracks, "item": names.get(followed.lower(), followed)}}
