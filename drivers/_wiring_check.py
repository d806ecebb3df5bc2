"""Everything that can be wrong with an instrument file, found in one go."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from drivers._suggest import suggestion
from drivers.catalog import driver_class
from drivers.channel import Channel, find_channel
from drivers.controller import Controller
from drivers.wiring import ControllerSpec, InstrumentFile, ItemSpec, Problem
from mktl.description import Description
from mktl.errors import BadItemDescription, ConfigurationError, UnknownKey

__all__ = ["Checker"]

_NAME = re.compile(r"[A-Za-z0-9_:+-]+")
_TOP_KEYS = ("store", "alias", "controllers", "items")
_BOTH_KEYS = (
    "description",
    "units",
    "format",
    "range",
    "limits",
    "deadband",
    "tracks",
    "settable",
)
_CHANNEL_KEYS = ("channel", "poll_s", *_BOTH_KEYS)
_PLAIN_KEYS = ("type", "enumerators", "initial", "persist", *_BOTH_KEYS)
_NOT_WATCHED = ("limits", "deadband", "tracks")
# What a daemon adds for each controller (design.md, "A controller"), later parts included.
_STATUS_SUFFIXES = ("link", "error", "errors", "latency", "load", "raw", "trace", "traffic")
Path = tuple[str, ...]


class Checker:
    """One pass over the content of a file; what it finds is in ``problems``."""

    def __init__(self, content: Mapping[str, Any], lines: Mapping[Path, int]) -> None:
        """Take the parsed content, and where its keys stand."""
        self._content = content
        self._lines = lines
        self._names: set[str] = set()
        self._controllers: dict[str, ControllerSpec] = {}
        self._channels: dict[str, tuple[Channel, ...]] = {}
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []

    def sorted_problems(self) -> tuple[Problem, ...]:
        """Return them in the order of the file."""
        return tuple(sorted(self.problems, key=lambda problem: problem.line or 0))

    def check(self) -> InstrumentFile:
        """Check all of it. The result is only good if there are no problems."""
        self._known((), self._content, _TOP_KEYS)
        store, alias = self._top_name("store"), self._top_name("alias")
        for written, table in self._tables("controllers"):
            self._controller(written, table)
        items = dict(
            self._item(key, written, table)
            for written, table in self._tables("items")
            if (key := self._key(("items", written))) is not None
        )
        return InstrumentFile(store, alias, self._controllers, items, tuple(self.notes))

    # --- names ------------------------------------------------------------------------------------

    def _top_name(self, field: str) -> str:
        value = self._content.get(field)
        if value is None:
            self._problem((field,), f'is missing; write, for instance, {field} = "cryo"')
        elif not (isinstance(value, str) and _NAME.fullmatch(value)):
            self._problem((field,), f"{value!r} is not a name: letters, digits and _ - : + only")
        return str(value).lower()

    def _key(self, path: Path) -> str | None:
        """Return the last part of *path* in lower case, if it can be a name and is a new one."""
        written = path[-1]
        if not _NAME.fullmatch(written):
            self._problem(path, f"{written!r} is not a name: letters, digits and _ - : + only")
            return None
        key = written.lower()
        full = f"{path[0]}.{key}"
        if full in self._names:
            self._problem(path, f"there are two of {key!r} (case does not matter)")
            return None
        self._names.add(full)
        return key

    def _tables(self, section: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        tables = self._content.get(section, {})
        if not isinstance(tables, dict):
            self._problem((section,), f"must be tables: [{section}.NAME]")
            return
        if not tables and section == "items":
            self._problem((section,), "there are none; write, for instance, [items.temperature]")
        for name, table in tables.items():
            if isinstance(table, dict):
                yield name, table
            else:
                self._problem((section, name), f"must be a table: [{section}.{name}]")

    # --- controllers ------------------------------------------------------------------------------

    def _controller(self, written: str, table: Mapping[str, Any]) -> None:
        path = ("controllers", written)
        name = self._key(path)
        driver, url = (self._text(path, table, field) for field in ("driver", "url"))
        if name is None:
            return
        settings = {key: value for key, value in table.items() if key not in ("driver", "url")}
        self._controllers[name] = ControllerSpec(name, driver or "", url or "", settings)
        found = self._driver(path, driver) if driver else None
        if found is None or url is None:
            return
        controller = self._trial(path, found, url, settings)
        if controller is not None:
            self._channels[name] = controller.channels()
            self._one_place(path, controller)

    def _driver(self, path: Path, driver: str) -> type[Controller] | None:
        try:
            return driver_class(driver)
        except ConfigurationError as error:
            self._problem((*path, "driver"), str(error))
            return None

    def _trial(
        self, path: Path, driver: type[Controller], url: str, settings: dict[str, Any]
    ) -> Controller | None:
        """Make the controller, which opens nothing, and find each setting that it refuses."""
        if "name" in settings:
            self._problem((*path, "name"), "is not a setting: the table's own name is the name")
            settings = {key: value for key, value in settings.items() if key != "name"}
        accepted: dict[str, Any] = {}
        for key, value in settings.items():
            try:
                driver("tcp://127.0.0.1:1", **{key: value})
            except (ConfigurationError, TypeError) as error:
                self._problem((*path, key), str(error))
            else:
                accepted[key] = value
        try:
            return driver(url, **accepted)
        except ConfigurationError as error:
            self._problem((*path, "url"), str(error))
        try:
            # With any URL at all, so that the channels of its items can be checked.
            return driver("tcp://127.0.0.1:1", **accepted)
        except ConfigurationError:
            return None

    def _one_place(self, path: Path, controller: Controller) -> None:
        full = f"place {controller.place}"
        if full in self._names and controller.place != "tcp://127.0.0.1:1":
            self._problem((*path, "url"), "another controller leads to the same place")
        self._names.add(full)

    # --- items ------------------------------------------------------------------------------------

    def _item(self, key: str, written: str, table: Mapping[str, Any]) -> tuple[str, ItemSpec]:
        path = ("items", written)
        self._not_reserved(path, key)
        bound = "channel" in table
        if not bound and ("controller" in table or "poll_s" in table):
            self._problem(path, 'has no channel; write, for instance, channel = "tc.temperature.A"')
            self._known(path, table, (*_CHANNEL_KEYS, "controller"))
        else:
            self._known(path, table, _CHANNEL_KEYS if bound else _PLAIN_KEYS)
        self._poll_s(path, table)
        controller, channel = self._channel(path, table) if bound else (None, None)
        overrides = {k: v for k, v in table.items() if k not in ("channel", "poll_s")}
        if channel is not None or not bound:
            description = self._checked(path, key, channel, overrides)
        else:
            description = dict(overrides)  # its own problem was told already
        self._note_what_is_not_watched(path, overrides)
        poll_s = table.get("poll_s", channel.poll_s if channel else None)
        channel_path = channel.path if channel else None
        return key, ItemSpec(key, controller, channel_path, poll_s, description, overrides)

    def _not_reserved(self, path: Path, key: str) -> None:
        for name in self._controllers:
            if key.startswith(f"{name}_") and key[len(name) + 1 :] in _STATUS_SUFFIXES:
                self._problem(path, f"{key!r} is an item that controller {name!r} has by itself")
        if key.startswith("_"):
            self._problem(path, "keys that begin with _ belong to the daemon itself")

    def _channel(self, path: Path, table: Mapping[str, Any]) -> tuple[str | None, Channel | None]:
        path = (*path, "channel")
        text = table["channel"]
        name, dot, rest = text.partition(".") if isinstance(text, str) else ("", "", "")
        if not (name and dot and rest):
            self._problem(path, f'must be like "tc.temperature.A", not {text!r}')
            return None, None
        name = name.lower()
        if name not in self._controllers:
            known = suggestion(name, self._controllers)
            self._problem(path, f"there is no controller {name!r}: {known}")
            return None, None
        if name not in self._channels:
            return name, None  # its own problem was told already
        try:
            return name, find_channel(self._channels[name], rest, where=f"controller {name!r}")
        except UnknownKey as error:
            self._problem(path, str(error))
            return name, None

    def _poll_s(self, path: Path, table: Mapping[str, Any]) -> None:
        value = table.get("poll_s", 1)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value > 0):
            self._problem((*path, "poll_s"), f"must be a positive number, not {value!r}")

    def _note_what_is_not_watched(self, path: Path, overrides: Mapping[str, Any]) -> None:
        found = [field for field in _NOT_WATCHED if field in overrides]
        if not found:
            return
        text = f"{' and '.join(found)} are not watched yet: no alarm will come of it"
        if found == ["deadband"]:
            text = "deadband is not watched yet: every change is published"
        self.notes.append(Problem(".".join(path), text, self._line((*path, found[0]))))

    def _checked(
        self, path: Path, key: str, channel: Channel | None, overrides: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the whole description, and find each of its fields that is wrong."""
        merged = dict(overrides) if channel is None else self._merged(path, channel, overrides)
        left = dict(merged)
        while True:
            try:
                checked = Description.from_json(key, left)
            except BadItemDescription as error:
                field, _, predicate = str(error).partition(f"{key}: ")[2].partition(" ")
                self._problem((*path, field), predicate)
                if left.pop(field, None) is None:
                    return merged  # a field that has to be there
            else:
                break
        own = channel.item.get("range") if channel else None
        if own and checked.range and not self._is_within(checked.range, own):
            self._problem((*path, "range"), f"{left['range']} is not within the driver's {own}")
        return merged

    @staticmethod
    def _is_within(bounds: Sequence[Any], own: Sequence[Any]) -> bool:
        low, high = bounds
        return low is not None and high is not None and own[0] <= low and high <= own[1]

    def _merged(self, path: Path, channel: Channel, overrides: Mapping[str, Any]) -> dict[str, Any]:
        merged = {**channel.item, **overrides}
        if "units" in overrides and channel.item.get("units"):
            merged["units"] = self._shown_units(path, channel, overrides["units"])
        if overrides.get("settable") and channel.write is None:
            self._problem((*path, "settable"), f"channel {channel.path!r} cannot be set")
        return merged

    def _shown_units(self, path: Path, channel: Channel, units: Any) -> dict[str, str]:
        """Return the channel's units with others to show: a value is never merely relabelled."""
        stored = channel.item["units"]
        shown = units.get("formatted", stored) if isinstance(units, dict) else units
        if isinstance(units, dict) and units.get("", stored) != stored:
            self._problem(
                (*path, "units"), f"the channel gives {stored!r}; only 'formatted' is free"
            )
        return {"": stored, "formatted": shown}

    # --- helpers ----------------------------------------------------------------------------------

    def _text(self, path: Path, table: Mapping[str, Any], field: str) -> str | None:
        value = table.get(field)
        if isinstance(value, str) and value:
            return value
        if value is None:
            self._problem(path, f"{field!r} is missing")
        else:
            self._problem((*path, field), f"must be a text, not {value!r}")
        return None

    def _known(self, path: Path, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                near = suggestion(key, {*known, *_CHANNEL_KEYS} if path else known)
                self._problem((*path, key), f"unknown key: {near}")

    def _problem(self, path: Path, text: str) -> None:
        self.problems.append(Problem(".".join(path), text, self._line(path)))

    def _line(self, path: Path) -> int | None:
        """Return the line of *path*, or of what it stands in."""
        parts = (path[:n] for n in range(len(path), 0, -1))
        return next((self._lines[part] for part in parts if part in self._lines), None)
