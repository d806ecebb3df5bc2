"""What can be wrong with the controllers of an instrument file, and what they offer to items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from drivers._driver_file import GENERIC, DriverFile, is_driver_file, read_driver_file
from drivers._places import present_place
from drivers._trial import takes
from drivers._wiring_items import (
    DESCRIPTION_KEYS,
    check_description,
    check_poll_s,
    described,
    protocol_channel,
)
from drivers._wiring_report import Path, Report
from drivers.base import ControllerBase
from drivers.catalog import driver_class
from drivers.channel import Channel
from drivers.ports import PortDefaults, port_for_url, split_unit
from drivers.settings import USER_SETTINGS
from drivers.wiring import ControllerSpec
from mktl.errors import ConfigurationError

__all__ = ["ControllerCheck", "Offer"]

# Any place that nobody has: only to find out what the driver says to the rest.
_NOWHERE = ("tcp://nowhere.invalid:1", "modbus+tcp://nowhere.invalid:1")
_CHANNEL_KEYS = ("poll_s", "simulate", *DESCRIPTION_KEYS)
_SHARED_SETTING = re.compile(r"and has (\w+) =")
_NAMED_SETTING = re.compile(r"(?:unknown setting )?['\"]?([A-Za-z_]\w*)((?:\.\w+)*)")


@dataclass(slots=True)
class Offer:
    """What a controller offers to the items of the file."""

    spec: ControllerSpec
    """As it will be opened."""
    controller: ControllerBase | None = None
    """One on trial, never started; ``None`` if the driver is not known, or refuses all of it."""
    channels: tuple[Channel, ...] = ()
    """Those of the driver, and of the driver file."""
    broken: frozenset[str] = frozenset()
    """Paths of channels of the driver file that have problems of their own."""

    def protocol(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return what of *table* the driver itself takes, to make a channel of it."""
        keys = self.controller.item_keys if self.controller else ()
        return {key: table[key] for key in table if key in keys or key in DESCRIPTION_KEYS}


@dataclass(slots=True)
class _Settings:
    """The settings of one controller, and where each of them stands."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, tuple[Report, Path]] = field(default_factory=dict)

    def add(self, table: Mapping[str, Any], report: Report, path: Path) -> None:
        for key, value in table.items():
            self.values[key] = value
            self.places[key] = (report, (*path, key))

    def without(self, key: str) -> None:
        del self.values[key]


class ControllerCheck:
    """Checks one controller after the other; the trial ones are closed by the stack."""

    def __init__(self, report: Report, folder: FilePath, stack: ExitStack) -> None:
        self._report = report
        self._folder = folder
        self._stack = stack
        self._lines: dict[str, dict[int | None, str]] = {}

    def check(self, name: str, path: Path, table: Mapping[str, Any]) -> Offer:
        """Check the controller *name*, whose table stands at *path*."""
        driver, url = (self._text(path, table, key) for key in ("driver", "url"))
        own = self._own_settings(path, driver or "", table)
        file = None
        if driver and is_driver_file(driver):
            file = read_driver_file(self._folder / driver, driver)
        settings = _Settings()
        if file is not None:
            settings.add(file.settings, file.report, ())
        settings.add(own, self._report, path)
        spec = ControllerSpec(
            name=name,
            driver=driver or "",
            url=url or "",
            settings=settings.values,
            base=file.driver if file else "",
            channels=file.channels if file else {},
            line=self._report.line(path),
        )
        offer = self._offer(path, spec, url, settings, file)
        if file is not None:
            self._report.adopt(file.report)
        return offer

    def _own_settings(self, path: Path, driver: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return what *table* says beside driver and URL, without what is no setting in a file."""
        own = {key: value for key, value in table.items() if key not in ("driver", "url")}
        if own.pop("name", None) is not None:
            self._report.problem(
                (*path, "name"), "is not a setting: the table's own name is the name"
            )
        protocol_is_data = driver in GENERIC or is_driver_file(driver)
        if protocol_is_data and own.pop("channels", None) is not None:
            self._report.problem(
                (*path, "channels"),
                f"is for scripts: write [items.KEY] with controller = {path[-1]!r}, or a driver "
                "file with [channels.NAME]",
            )
        return own

    def _offer(
        self,
        path: Path,
        spec: ControllerSpec,
        url: str | None,
        settings: _Settings,
        file: DriverFile | None,
    ) -> Offer:
        found = self._driver(path, file.driver if file else spec.driver)
        if found is None:
            self._without_driver(path, url, settings)
            return Offer(spec)
        controller = self._trial(path, found, url, settings)
        if controller is None:
            return Offer(spec)
        channels, broken = list(controller.channels()), set()
        if file is not None:
            for name, table in file.channels.items():
                channel = self._file_channel(file.report, controller, name, table)
                if channel is None:
                    broken.add(name)
                else:
                    channels.append(channel)
        return Offer(spec, controller, tuple(channels), frozenset(broken))

    @staticmethod
    def _file_channel(
        report: Report, controller: ControllerBase, name: str, table: Mapping[str, Any]
    ) -> Channel | None:
        path = ("channels", name)
        report.unknown_keys(path, table, (*_CHANNEL_KEYS, *controller.item_keys))
        check_poll_s(report, path, table)
        channel = protocol_channel(report, path, controller, name, table)
        if channel is not None:
            merged = {**channel.item, **described(table)}
            check_description(report, path, name, merged)
            channel = replace(channel, item=merged, poll_s=table.get("poll_s", channel.poll_s))
        return channel

    # --- the driver -------------------------------------------------------------------------------

    def _driver(self, path: Path, driver: str | None) -> type[ControllerBase] | None:
        if not driver:
            return None
        try:
            return driver_class(driver)
        except ConfigurationError as error:
            self._report.problem((*path, "driver"), str(error))
            return None

    def _without_driver(self, path: Path, url: str | None, settings: _Settings) -> None:
        """Check what does not depend on the driver."""
        if url is not None and not url.startswith("modbus+"):
            try:
                port_for_url(split_unit(url)[0], PortDefaults(tcp_port=1))
            except ConfigurationError as error:
                self._report.problem((*path, "url"), str(error))
        for key in {*USER_SETTINGS} & settings.values.keys():
            try:
                ControllerBase.line_defaults.updated({key: settings.values[key]})
            except ConfigurationError as error:
                report, at = settings.places[key]
                report.problem(at, str(error))

    # --- its settings and its URL -----------------------------------------------------------------

    def _trial(
        self, path: Path, driver: type[ControllerBase], url: str | None, settings: _Settings
    ) -> ControllerBase | None:
        """Make the controller, which opens nothing, and find each setting that it refuses."""
        nowhere = self._nowhere(driver, url or "")
        elsewhere = self._try_settings(path, driver, nowhere, settings)
        if url is None:
            return elsewhere
        try:
            made = driver(url, **(settings.values if elsewhere else {}))
        except ConfigurationError as error:
            if elsewhere is not None or takes(driver, nowhere):
                shared = _SHARED_SETTING.search(str(error))
                at = (*path, "url")
                if shared and shared[1] in settings.values:
                    at = settings.places[shared[1]][1]
                self._report.problem(at, str(error))
            # The channels of its items can be checked all the same.
            return elsewhere
        self._stack.callback(made.close)
        self._one_place(path, made)
        return made

    def _try_settings(
        self, path: Path, driver: type[ControllerBase], nowhere: str, settings: _Settings
    ) -> ControllerBase | None:
        """Find the settings that are refused, and take them out; return a closed controller."""
        while True:
            try:
                made = driver(nowhere, **settings.values)
            except (ConfigurationError, TypeError) as error:
                if not self._blame(path, str(error), settings):
                    return None
            else:
                made.close()
                return made

    def _blame(self, path: Path, text: str, settings: _Settings) -> bool:
        """Report *text* where the setting stands that it begins with, and go on without that."""
        match = _NAMED_SETTING.match(text)
        if match is None or match[1] not in settings.values:
            self._report.problem(path, text)
            return False
        report, at = settings.places[match[1]]
        inner = tuple(part for part in match[2].split(".") if part)
        report.problem((*at, *inner), text.removeprefix(f"{match[0]}: "))
        settings.without(match[1])
        return True

    def _nowhere(self, driver: type[ControllerBase], url: str) -> str:
        """Return a URL that the driver takes, with the unit of the true one."""
        try:
            unit = split_unit(url)[1]
        except ConfigurationError:
            unit = None
        query = "" if unit is None else f"?unit={unit}"
        places = [place + query for place in _NOWHERE]
        return next((place for place in places if takes(driver, place)), places[0])

    def _one_place(self, path: Path, controller: ControllerBase) -> None:
        line = controller.place.partition("?")[0]
        units = self._lines.setdefault(present_place(line), {})
        unit, name = controller.unit, path[-1]
        if unit in units:
            of = "" if unit is None else f", unit {unit}"
            self._report.problem(
                (*path, "url"), f"controller {units[unit]!r} leads to the same place: {line}{of}"
            )
        elif units and (unit is None or None in units):
            other = next(iter(units.values()))
            self._report.problem(
                (*path, "url"),
                f"controller {other!r} leads to the same place, {line}: several share a line only "
                f"if each URL names a unit, as in {line}?unit=1",
            )
        units.setdefault(unit, name)

    def _text(self, path: Path, table: Mapping[str, Any], key: str) -> str | None:
        value = table.get(key)
        if isinstance(value, str) and value:
            return value
        if value is None:
            self._report.problem(path, f"{key!r} is missing")
        else:
            self._report.problem((*path, key), f"must be a text, not {value!r}")
        return None
