"""Everything that can be wrong with an instrument file, found in one go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from drivers._suggest import suggestion
from drivers._trial import on_trial
from drivers._wiring_access import check_access
from drivers._wiring_controllers import ControllerCheck, Offer
from drivers._wiring_items import (
    DESCRIPTION_KEYS,
    check_description,
    check_poll_s,
    check_settable,
    check_tracks,
    checked_for_channel,
    checked_without_channel,
    described,
    protocol_channel,
)
from drivers._wiring_report import Path, Report
from drivers.channel import Channel, find_channel
from drivers.wiring import InstrumentFile, ItemSpec
from mktl.errors import UnknownKey

__all__ = ["PLAIN_KEYS", "TOP_KEYS", "Checker"]

TOP_KEYS = ("store", "alias", "access", "controllers", "items")
_BOUND_KEYS = ("poll_s", "simulate", *DESCRIPTION_KEYS)
_CHANNEL_KEYS = tuple(
    key for key in ("channel", *_BOUND_KEYS) if key not in ("type", "enumerators")
)
PLAIN_KEYS = ("initial", "persist", *DESCRIPTION_KEYS)
"""Keys of an item that is bound to nothing."""
_NAME = re.compile(r"[A-Za-z0-9_:+-]+")
# What a daemon adds for each controller (design.md, "A controller"), later parts included.
_STATUS_SUFFIXES = ("link", "error", "errors", "latency", "load", "raw", "trace", "traffic")
_NO_NAME = "is not a name: letters, digits and _ - : + only"


class Checker:
    """One pass over the content of a file; what it finds is in ``report``."""

    def __init__(self, content: Mapping[str, Any], report: Report, folder: FilePath) -> None:
        """Take the parsed content, and the folder that driver files are relative to."""
        self.report = report
        self._content = content
        self._folder = folder
        self._names: set[str] = set()
        self._offers: dict[str, Offer] = {}

    def check(self) -> InstrumentFile:
        """Check all of it. The result is only good if there are no problems."""
        self.report.unknown_keys((), self._content, TOP_KEYS)
        store, alias = self._top_name("store"), self._top_name("alias")
        with on_trial() as stack:
            controllers = ControllerCheck(self.report, self._folder, stack)
            for written, table in self._tables("controllers"):
                path = ("controllers", written)
                name = self._key(path)
                offer = controllers.check(name or written, path, table)
                if name is not None:
                    self._offers[name] = offer
            items = dict(
                self._item(key, written, table)
                for written, table in self._tables("items")
                if (key := self._key(("items", written))) is not None
            )
        self._check_tracks(items)
        specs = {name: offer.spec for name, offer in self._offers.items()}
        added = [f"{name}_{suffix}" for name in specs for suffix in _STATUS_SUFFIXES]
        access = check_access(self.report, self._content.get("access", {}), items, added)
        return InstrumentFile(store, alias, specs, items, tuple(self.report.notes), access)

    # --- names ------------------------------------------------------------------------------------

    def _top_name(self, field: str) -> str:
        value = self._content.get(field)
        if value is None:
            self.report.problem((field,), f'is missing; write, for instance, {field} = "cryo"')
        elif not (isinstance(value, str) and _NAME.fullmatch(value)):
            self.report.problem((field,), f"{value!r} {_NO_NAME}")
        return str(value).lower()

    def _key(self, path: Path) -> str | None:
        """Return the last part of *path* in lower case, if it can be a name and is a new one."""
        written = path[-1]
        if not _NAME.fullmatch(written):
            self.report.problem(path, f"{written!r} {_NO_NAME}")
            return None
        key = written.lower()
        full = f"{path[0]}.{key}"
        if full in self._names:
            self.report.problem(path, f"there are two of {key!r} (case does not matter)")
            return None
        self._names.add(full)
        return key

    def _tables(self, section: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        tables = self._content.get(section, {})
        if not isinstance(tables, dict):
            self.report.problem((section,), f"must be tables: [{section}.NAME]")
            return
        if not tables and section == "items":
            self.report.problem(
                (section,), "there are none; write, for instance, [items.temperature]"
            )
        for name, table in tables.items():
            if isinstance(table, dict):
                yield name, table
            else:
                self.report.problem((section, name), f"must be a table: [{section}.{name}]")

    # --- items ------------------------------------------------------------------------------------

    def _item(self, key: str, written: str, table: Mapping[str, Any]) -> tuple[str, ItemSpec]:
        path = ("items", written)
        self._not_reserved(path, key)
        check_poll_s(self.report, path, table)
        if "channel" in table:
            return key, self._channel_item(path, key, table)
        if "controller" in table:
            return key, self._protocol_item(path, key, table)
        return key, self._plain_item(path, key, table)

    def _plain_item(self, path: Path, key: str, table: Mapping[str, Any]) -> ItemSpec:
        known: tuple[str, ...] = PLAIN_KEYS
        if speaks := [name for name in table if name in self._item_keys()]:
            self.report.problem(path, f"has {speaks[0]!r}, but no controller: {self._speakers()}")
            known = (*PLAIN_KEYS, *_BOUND_KEYS, *self._item_keys())
        elif "poll_s" in table or "simulate" in table:
            self.report.problem(
                path, 'has no channel; write, for instance, channel = "tc.temperature.A"'
            )
            known = (*PLAIN_KEYS, *_CHANNEL_KEYS)
        for name in table:
            if name not in known:
                near = suggestion(name, {*known, "channel", "controller", "poll_s"})
                self.report.problem((*path, name), f"unknown key: {near}")
        # Keys that are not known stay: a description carries what others may understand.
        description = {name: table[name] for name in table if name in PLAIN_KEYS}
        check_description(self.report, path, key, description)
        return ItemSpec(key, None, None, None, description, description)

    def _channel_item(self, path: Path, key: str, table: Mapping[str, Any]) -> ItemSpec:
        if "controller" in table:
            self.report.problem(
                (*path, "controller"), "an item has a channel, or a controller and keys of its own"
            )
        known = _CHANNEL_KEYS
        self.report.unknown_keys(path, (k for k in table if k != "controller"), known)
        overrides = {name: table[name] for name in table if name in known[3:]}
        name, channel = self._channel((*path, "channel"), table["channel"])
        offer = self._offers.get(name or "")
        if offer is None or channel is None:
            description = checked_without_channel(self.report, path, key, overrides)
            return ItemSpec(key, name, None, None, description, overrides)
        description = checked_for_channel(self.report, path, key, channel, overrides)
        template = offer.spec.channels.get(channel.path)
        return ItemSpec(
            key,
            name,
            channel.path,
            table.get("poll_s", channel.poll_s),
            description,
            overrides,
            protocol=None if template is None else offer.protocol(template),
            simulate=table.get("simulate", (template or {}).get("simulate")),
        )

    def _protocol_item(self, path: Path, key: str, table: Mapping[str, Any]) -> ItemSpec:
        name, offer = self._controller_of((*path, "controller"), table)
        overrides = described(table)
        controller = offer.controller if offer else None
        channel: Channel | None = None
        if offer is not None and controller is not None:
            if not controller.item_keys:
                self._has_channels_only(path, offer)
            else:
                known = ("controller", *_BOUND_KEYS, *controller.item_keys)
                self.report.unknown_keys(path, table, known)
                channel = protocol_channel(self.report, path, controller, key, table)
        if offer is None or channel is None:
            description = checked_without_channel(self.report, path, key, overrides)
            return ItemSpec(key, name, None, None, description, overrides)
        description = {**channel.item, **overrides}
        check_settable(self.report, path, channel, overrides)
        check_description(self.report, path, key, description)
        return ItemSpec(
            key,
            name,
            key,
            table.get("poll_s", channel.poll_s),
            description,
            overrides,
            protocol=offer.protocol(table),
            simulate=table.get("simulate"),
        )

    # --- what items are bound to ------------------------------------------------------------------

    def _channel(self, path: Path, text: object) -> tuple[str | None, Channel | None]:
        name, dot, rest = text.partition(".") if isinstance(text, str) else ("", "", "")
        if not (name and dot and rest):
            self.report.problem(path, f'must be like "tc.temperature.A", not {text!r}')
            return None, None
        offer = self._offered(path, name)
        name = name.lower()
        if offer is None or offer.controller is None or rest in offer.broken:
            return name, None  # its own problem was told already
        if not offer.channels:
            self.report.problem(
                path,
                f"driver {offer.spec.driver!r} has no channels: write controller = {name!r}, "
                f"and {' or '.join(offer.controller.item_keys[:2])}",
            )
            return name, None
        try:
            return name, find_channel(offer.channels, rest, where=f"controller {name!r}")
        except UnknownKey as error:
            self.report.problem(path, str(error))
            return name, None

    def _controller_of(
        self, path: Path, table: Mapping[str, Any]
    ) -> tuple[str | None, Offer | None]:
        text = table["controller"]
        if not isinstance(text, str):
            self.report.problem(path, f"must be the name of a controller, not {text!r}")
            return None, None
        return text.lower(), self._offered(path, text)

    def _offered(self, path: Path, written: str) -> Offer | None:
        name = written.lower()
        if name not in self._offers:
            known = suggestion(name, self._offers)
            if not self._offers:
                known = f"write [controllers.{name}]"
            self.report.problem(path, f"there is no controller {name!r}: {known}")
        return self._offers.get(name)

    def _has_channels_only(self, path: Path, offer: Offer) -> None:
        name = offer.spec.name
        example = offer.channels[0].path if offer.channels else "temperature.A"
        self.report.problem(
            (*path, "controller"),
            f"driver {offer.spec.driver!r} has channels only: write, for instance, "
            f'channel = "{name}.{example}"',
        )

    def _item_keys(self) -> set[str]:
        """Return the protocol keys that any controller of the file, or a generic one, takes."""
        found = {"ask", "tell", "heard", "register"}
        for offer in self._offers.values():
            found.update(offer.controller.item_keys if offer.controller else ())
        return found.difference(PLAIN_KEYS)

    def _speakers(self) -> str:
        names = [
            name
            for name, offer in self._offers.items()
            if offer.controller is not None and offer.controller.item_keys
        ]
        return f'write, for instance, controller = "{names[0] if names else "gauge"}"'

    # --- the rest ---------------------------------------------------------------------------------

    def _not_reserved(self, path: Path, key: str) -> None:
        for name in self._offers:
            if key.startswith(f"{name}_") and key[len(name) + 1 :] in _STATUS_SUFFIXES:
                self.report.problem(
                    path, f"{key!r} is an item that controller {name!r} has by itself"
                )
        if key.startswith("_"):
            self.report.problem(path, "keys that begin with _ belong to the daemon itself")

    def _check_tracks(self, items: Mapping[str, ItemSpec]) -> None:
        for written, _table in self._tables("items"):
            item = items.get(written.lower())
            if item is not None and "tracks" in item.description:
                path = ("items", written, "tracks")
                check_tracks(self.report, path, item, items, self._is_reserved)

    def _is_reserved(self, key: str) -> bool:
        names = (name for name in self._offers if key.startswith(f"{name}_"))
        return any(key[len(name) + 1 :] in _STATUS_SUFFIXES for name in names)
