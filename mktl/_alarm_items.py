"""The items that every daemon has about its alarms, and by which people deal with them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._alarm_settings import FIELDS, Setting
from ._alarm_watch import Shelf
from ._alarms import LONGEST_S
from ._callers import ITSELF
from ._episodes import Acknowledgement
from ._limits import SEVERITIES
from ._locks import Owner, text_of
from ._values import is_number
from .errors import BadValue, NoAnswer, UnknownKey, WrongType
from .item import Item
from .protocol.names import nearest

if TYPE_CHECKING:
    from .daemon import Daemon
    from .requests import ItemRequest

__all__ = ["ALARM_ITEMS", "alarm_descriptions"]

_log = logging.getLogger(__name__)

MOST_KEYS = 10_000
"""Keys, or patterns, in one request."""


def alarm_descriptions() -> dict[str, dict[str, Any]]:
    """Return the descriptions of the items, by what follows the alias in their keys."""
    fixed = {"settable": False}
    kept: dict[str, Any] = {"persist": True, "initial": {}}
    return {
        "ack": {
            "description": "Alarms that have been acknowledged, or stay until they are. Set it to "
            "a key or a pattern to acknowledge.",
            **kept,
        },
        "alarm": {
            "description": "The worst that is wrong with any watched item, acknowledged or not, "
            "but not shelved.",
            "type": "enumerated",
            "enumerators": {str(number): name for number, name in enumerate(SEVERITIES)},
            "initial": 0,
            **fixed,
        },
        "alarms": {
            "description": "Number of items with an alarm or a warning that is neither "
            "acknowledged nor shelved.",
            "type": "numeric",
            "format": "%d",
            "initial": 0,
            **fixed,
        },
        "alarmlist": {
            "description": "What is wrong with which items, worst first.",
            "initial": [],
            **fixed,
        },
        "limits": {
            "description": "What items are watched for. Set it to change that for one key, until "
            "it is changed again.",
            **kept,
        },
        "shelve": {
            "description": "Items whose limits are disregarded, by whom, why, and until when. "
            "Set it to shelve a key or a pattern.",
            **kept,
        },
    }


class _Command(Item):
    """An item that is set to have something done; its value says what is in force."""

    fields: tuple[str, ...] = ("key", "why", "who")
    example = ""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key)
        self._daemon = daemon
        self._alarms = daemon._service.alarms

    def validate(self, value: Any) -> Any:
        """Refuse what does not say what to do."""
        if not isinstance(value, dict):
            raise WrongType(f"must be an object such as {self.example}")
        for name in value:
            if name not in self.fields:
                near = nearest(name, self.fields)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.fields)}"
                raise BadValue(f"{name!r:.60} is unknown; {hint}")
        return {**value, "key": _keys(value.get("key"), self.example)}

    def who(self, request: ItemRequest) -> str:
        """Return who asks, as it is told to others."""
        if request.caller is ITSELF:
            asking = self._daemon.name
        else:
            asking = str(Owner.of(request.caller, request.payload.extra)) or "somebody unknown"
        given = text_of(request.value, "who")
        return given if given == asking else f"{given} ({asking})" if given else asking


class AcknowledgeItem(_Command):
    """Acknowledges alarms."""

    example = '"temp", "*", or {"key": "temp", "why": "being looked into"}'

    def validate(self, value: Any) -> Any:
        """Take a key alone, too."""
        return super().validate({"key": value} if isinstance(value, (str, list)) else value)

    def req_set(self, request: ItemRequest) -> None:
        """Acknowledge; on disk before anybody is told that it is done."""
        by = Acknowledgement(time.time(), self.who(request), text_of(request.value, "why"))
        self._alarms.acknowledge(request.value["key"], by)


class ShelveItem(_Command):
    """Shelves items."""

    fields = ("key", "until", "for_s", "why", "who")
    example = '{"key": "temp", "for_s": 7200, "why": "sensor is being changed"}'

    def req_set(self, request: ItemRequest) -> None:
        """Shelve, or end that; on disk before anybody is told that it is done."""
        fields, now = request.value, time.time()
        until = _until(fields, now)
        if until <= now:
            self._alarms.shelve(fields["key"], None, self.who(request))
            return
        if until > now + LONGEST_S:
            raise BadValue(f"what is shelved has to come back within {LONGEST_S / 86400:g} days")
        why = text_of(fields, "why")
        if not why:
            raise BadValue("who shelves something has to say why: others will want to know")
        ends = time.monotonic() + (until - now)
        who = self.who(request)
        self._alarms.shelve(fields["key"], Shelf(until, who, why, now, ends), who)


class LimitsItem(_Command):
    """Changes limits, dead bands, and what follows what."""

    fields = ("key", *FIELDS, "why", "who")
    example = '{"key": "temp", "limits": {"alarm": [60, 100]}}'

    def req_set(self, request: ItemRequest) -> None:
        """Change it; on disk, and in force, before anybody is told that it is done."""
        fields = request.value
        if len(fields["key"]) != 1:
            raise BadValue("limits are changed for one key at a time")
        given = {name: fields[name] for name in FIELDS if name in fields}
        if not given:
            raise BadValue(f"nothing is to change: give {', '.join(FIELDS)}, or null for one")
        if given.get("tracks"):
            self._check_target(given["tracks"])
        now, who, why = time.time(), self.who(request), text_of(fields, "why")
        changes = {
            name: None if value is None else Setting(value, now, who, why)
            for name, value in given.items()
        }
        self._alarms.change_limits(fields["key"][0], changes)

    def _check_target(self, tracks: Any) -> None:
        """Refuse a set-point that nobody has, as far as it can be known."""
        key = tracks.get("item") if isinstance(tracks, Mapping) else None
        if isinstance(key, str):
            try:
                self.store[key]
            except UnknownKey as error:
                raise BadValue(f"tracks: {error}") from None
            except NoAnswer as error:
                _log.info("tracks %s, though: %s", key, error)


class AlarmListItem(Item):
    """What is wrong with which items; it is told twice in a second at most, but asked any time."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key)
        self._alarms = daemon._service.alarms

    def req_get(self, request: ItemRequest) -> None:
        """Answer with what is so at this moment."""
        if request.refresh:
            self._alarms.tell_list()


ALARM_ITEMS: dict[str, type[Item]] = {
    "ack": AcknowledgeItem,
    "alarmlist": AlarmListItem,
    "limits": LimitsItem,
    "shelve": ShelveItem,
}


def _keys(given: Any, example: str) -> list[str]:
    keys = [given] if isinstance(given, str) else given
    if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
        raise BadValue(f"key must be a key or a pattern, as in {example}, not {given!r:.60}")
    if not 0 < len(keys) <= MOST_KEYS:
        raise BadValue(f"key must name 1 to {MOST_KEYS} items, not {len(keys)}")
    return keys


def _until(fields: Mapping[str, Any], now: float) -> float:
    for name, begin in (("until", 0.0), ("for_s", now)):
        given = fields.get(name)
        if given is None:
            continue
        if not is_number(given):
            raise WrongType(f"{name} must be a number of seconds, not {given!r:.40}")
        # Compared before it is added: a whole number may be larger than any float.
        return float("inf") if given > 1e12 else begin + max(0.0, given)
    raise BadValue("what is shelved has to come back: say until (UNIX seconds) or for_s (seconds)")
