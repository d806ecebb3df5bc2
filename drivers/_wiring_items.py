"""What can be wrong with one item: its own table, and what its channel allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drivers._suggest import suggestion
from drivers._wiring_report import Path, Report
from drivers.base import BadItem, ControllerBase
from drivers.channel import Channel
from mktl.description import Description
from mktl.errors import BadItemDescription, ConfigurationError

if TYPE_CHECKING:
    from drivers.wiring import ItemSpec

__all__ = [
    "DESCRIPTION_KEYS",
    "check_description",
    "check_poll_s",
    "check_tracks",
    "checked_for_channel",
    "checked_without_channel",
    "described",
    "protocol_channel",
]

DESCRIPTION_KEYS = (
    "description",
    "type",
    "units",
    "format",
    "range",
    "limits",
    "deadband",
    "tracks",
    "settable",
    "enumerators",
)
"""Keys of an item's description that a file may give to any item with a protocol of its own."""


def described(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *table* says about the item itself."""
    return {key: value for key, value in table.items() if key in DESCRIPTION_KEYS}


def check_poll_s(report: Report, path: Path, table: Mapping[str, Any]) -> None:
    """Check the period of polling, if there is one."""
    value = table.get("poll_s", 1)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value >= 0):
        report.problem(
            (*path, "poll_s"),
            f"must be a number of seconds, or 0 (only when asked for), not {value!r}",
        )


def check_description(
    report: Report, path: Path, key: str, fields: Mapping[str, Any]
) -> Description | None:
    """Find each field of a description that is wrong; return what is left, understood."""
    left = dict(fields)
    while True:
        try:
            return Description.from_json(key, left)
        except BadItemDescription as error:
            field, _, predicate = str(error).partition(f"{key}: ")[2].partition(" ")
            if not report.has((*path, field)):
                report.problem((*path, field), predicate)
            if left.pop(field, None) is None:
                return None  # a field that has to be there


def protocol_channel(
    report: Report, path: Path, controller: ControllerBase, key: str, table: Mapping[str, Any]
) -> Channel | None:
    """Have *controller* make the channel of a table with protocol keys; find all that is wrong.

    Returns:
        The channel, without what is wrong about it; ``None`` if there can be none.
    """
    keys = (*DESCRIPTION_KEYS, *controller.item_keys)
    left = {name: value for name, value in table.items() if name in keys}
    refused = False
    while True:
        try:
            return controller.channel_for(key, left)
        except BadItem as error:
            field = tuple(error.field.split("."))
            without = _without(left, field)
            # Where something was taken out already, what is missing now is not the file's fault.
            if without is not None or not refused:
                report.problem((*path, *field), error.text)
            if without is None:
                return None
            spoilt = {key for key in error.spoils if key in without}
            left = {key: value for key, value in without.items() if key not in spoilt}
            refused = True
        except ConfigurationError as error:
            report.problem(path, str(error))
            return None


def _without(table: Mapping[str, Any], field: tuple[str, ...]) -> dict[str, Any] | None:
    """Return *table* without what stands at *field*; ``None`` if nothing does."""
    first, *rest = field
    if first not in table:
        return None
    left = {name: value for name, value in table.items() if name != first}
    if rest and isinstance(table[first], Mapping):
        inner = _without(table[first], tuple(rest))
        return None if inner is None else {**left, first: inner}
    return left


def checked_without_channel(
    report: Report, path: Path, key: str, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Check the description of an item whose channel is not known, which has been told already."""
    guessed = "enumerated" if "enumerators" in overrides else "numeric"
    known = dict(overrides)
    if guessed == "numeric" and _names_states(overrides.get("limits")):
        del known["limits"]  # whether there are such states is not known
    check_description(report, path, key, {"type": guessed, **known})
    return dict(overrides)


def _names_states(limits: Any) -> bool:
    levels = limits.values() if isinstance(limits, Mapping) else ()
    return any(isinstance(one, str) for level in levels if isinstance(level, list) for one in level)


def checked_for_channel(
    report: Report, path: Path, key: str, channel: Channel, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the whole description of an item that is bound to *channel*, and check it."""
    merged = {**channel.item, **overrides}
    if "units" in overrides and channel.item.get("units"):
        merged["units"] = _shown_units(report, path, channel, overrides["units"])
    check_settable(report, path, channel, overrides)
    checked = check_description(report, path, key, merged)
    own = channel.item.get("range")
    if own and checked and checked.range and not _is_within(checked.range, own):
        report.problem((*path, "range"), f"{merged['range']} is not within the driver's {own}")
    return merged


def check_settable(
    report: Report, path: Path, channel: Channel, overrides: Mapping[str, Any]
) -> None:
    """Find out whether the file promises that something can be set that cannot."""
    if overrides.get("settable") and channel.write is None:
        report.problem((*path, "settable"), f"channel {channel.path!r} cannot be set")


def check_tracks(
    report: Report,
    path: Path,
    item: ItemSpec,
    items: Mapping[str, ItemSpec],
    is_of_daemon: Callable[[str], bool],
) -> None:
    """Find out whether what *item* is to follow can be compared with it.

    Args:
        report: Told what is wrong.
        path: Where that stands.
        item: Whose description says what it follows.
        items: All of the file.
        is_of_daemon: Whether a daemon has an item with that key by itself.
    """
    tracks = item.description["tracks"]
    target = tracks.get("item") if isinstance(tracks, Mapping) else None
    if not isinstance(target, str) or report.has(path):
        return
    target = target.lower()
    if target == item.key:
        report.problem(path, "is the item itself")
    elif target in items:
        own, other = _stored_units(item), _stored_units(items[target])
        if own and other and own != other:
            report.problem(path, f"{target!r} is in {other}, and this in {own}")
    elif not target.startswith("_") and not is_of_daemon(target):
        near = suggestion(target, items)
        hint = f"{near} Or" if near.startswith("did you mean") else "If it is no mistake,"
        report.note(path, f"{target!r} is not in this file: {hint} another daemon has to have it")


def _stored_units(item: ItemSpec) -> str:
    units = item.description.get("units", "")
    stored = units.get("") if isinstance(units, Mapping) else units
    return stored if isinstance(stored, str) else ""


def _is_within(bounds: Sequence[Any], own: Sequence[Any]) -> bool:
    return all(
        limit is None or (side is not None and sign * side >= sign * limit)
        for side, limit, sign in zip(bounds, own, (1, -1), strict=True)
    )


def _shown_units(report: Report, path: Path, channel: Channel, units: Any) -> dict[str, str]:
    """Return the channel's units with others to show: a value is never merely relabelled."""
    given = channel.item["units"]
    stored = given.get("", "") if isinstance(given, Mapping) else given
    shown = units.get("formatted", stored) if isinstance(units, dict) else units
    if isinstance(units, dict) and units.get("", stored) != stored:
        report.problem((*path, "units"), f"the channel gives {stored!r}; only 'formatted' is free")
    return {"": stored, "formatted": shown}
