"""The alarms of one daemon: what is watched, who has acknowledged, shelved or changed what."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ._alarm_clock import AlarmClock
from ._alarm_log import AlarmLog, describe_change
from ._alarm_settings import FIELDS, Setting, described, settings_from_json, settings_to_json, shown
from ._alarm_summary import Summary
from ._alarm_tracks import Follower
from ._alarm_watch import Shelf, Standing, Watch
from ._episodes import Acknowledgement, Episode
from ._limits import RAISED, limits_rule, tracks_rule
from ._locks import matches
from .errors import BadValue, MktlError, NotSaved, UnknownKey
from .payload import Payload
from .protocol.names import join, nearest

if TYPE_CHECKING:
    from ._authority import Authority
    from ._service import Service

__all__ = ["LONGEST_S", "Alarms"]

_log = logging.getLogger(__name__)

OWN_ITEMS = ("ack", "alarm", "alarms", "alarmlist", "limits", "shelve")
"""What the built-in items are called, behind the daemon's alias."""
MOST_NAMED = 10
"""So many items one line of the log names."""
SAVE_AGAIN_S = 10.0
"""After so long what could not be written is tried again."""
LONGEST_S = 30 * 86400.0
"""For how long something may be shelved, in seconds: what is forgotten has to end."""


class Alarms:
    """What is watched of a daemon's items.

    Args:
        service: What the daemon's items have in common.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.clock = AlarmClock(service.scheduler)
        self._summary = Summary(service.lanes, self.clock, self._tell, self.tell_list)
        self._prefix = "_" + service.name.partition(".")[2]
        self._started = False
        # Held while something is changed by a person, and saved: one after the other.
        self._changing = threading.RLock()
        self._settings: dict[str, dict[str, Setting]] = {}
        self._shelves: dict[str, Shelf] = {}
        self._is_unsaved = False
        self._logs: dict[str, AlarmLog] = {}

    # The start, and the end.

    def start(self) -> None:
        """Watch what the descriptions ask for, and go on where the last run has ended."""
        with self._changing:
            self._go_on()
        self._started = True
        for authority in self._service.authorities.values():
            if authority.watch is not None:
                authority.reconsider()
        try:
            self._publish_settings(must_save=False)
        except NotSaved as error:  # a disk that cannot be used keeps no daemon from starting
            self._service.unsaved.warning("%s", error)
        self._summary.publish()

    def _go_on(self) -> None:
        """Take what the last run has left; items may be read, and published, at the same time."""
        self._settings = self._saved("limits", settings_from_json)
        for key, authority in self._service.authorities.items():
            fields = authority.description
            is_watched = fields.limits or fields.deadband or fields.tracks
            if is_watched or key in self._settings or authority.payload.quality in RAISED:
                with authority.held():
                    self._configure(authority)
        now = time.time()
        for key, shelf in self._saved("shelve", _shelf_from_json).items():
            watch = self._watch_of(key)
            if watch is not None and now < shelf.until <= now + LONGEST_S:
                with watch.authority.held():
                    self._shelves[key] = watch.shelf = shelf
        for key, episode in self._saved("ack", Episode.from_json).items():
            watch = self._watch_of(key)
            if watch is not None:
                with watch.authority.held():
                    watch.resume(episode)

    def _saved(self, name: str, read: Callable[[Any], Any]) -> dict[str, Any]:
        """Return what an earlier run has left in one of the built-in items."""
        authority = self._own(name)
        value = authority.payload.value
        found = {}
        for key, fields in value.items() if isinstance(value, dict) else ():
            try:
                if one := read(fields):
                    found[key] = one
            except MktlError as error:
                where = authority.item.full_key
                _log.error("%s of an earlier run cannot be read for %s: %s", where, key, error)
        return found

    def close(self) -> None:
        """Write what the next run has to know."""
        if self._service.persistent is not None:
            self.tell_list()

    # What is watched.

    def adopt(self, authority: Authority) -> Watch:
        """Return a watch of an item that is in a bad way by what its own daemon says of it."""
        watch = self._watch(authority)
        watch.own = authority.payload
        return watch

    def _watch(self, authority: Authority) -> Watch:
        with authority.held():
            if authority.watch is None:
                authority.watch = Watch(authority, self)
            return authority.watch

    def _watch_of(self, key: str) -> Watch | None:
        authority = self._service.authorities.get(key)
        return None if authority is None else self._watch(authority)

    def _configure(self, authority: Authority) -> None:
        """Watch for what is in force now."""
        watch = self._watch(authority)
        settings = self._settings.get(authority.item.key, {})
        try:
            description = described(authority.description, settings)
        except MktlError as error:
            _log.error("what was set for %s is not used: %s", authority.item.full_key, error)
            description = authority.description
        if watch.follower is not None:
            watch.follower.end()
            watch.follower = None
        tracks = tracks_rule(description)
        watch.configure(limits_rule(description), tracks, description.deadband or 0.0)
        if tracks is not None:
            follower = Follower(watch, description, self._service.lanes, self.clock)
            watch.follower, watch.unwatched = follower, follower.unwatched
            follower.wake()

    def note(self, watch: Watch, standing: Standing | None, before: Episode | None) -> None:
        """Take note of how an item stands now."""
        self._summary.note(watch.key, standing)
        change = describe_change(before, None if standing is None else standing.episode)
        if change is not None:
            log = self._logs.get(watch.key)
            if log is None:
                log = self._logs[watch.key] = AlarmLog(watch.authority.item.full_key, self.clock)
            log.tell(*change)

    # What people ask for.

    def acknowledge(self, wanted: Iterable[str], by: Acknowledgement) -> list[str]:
        """Acknowledge the alarms of items; on disk when this returns.

        Args:
            wanted: Keys, or patterns.
            by: Who does.

        Returns:
            The keys of those that have been.

        Raises:
            UnknownKey: there is no such item.
            BadValue: there is nothing to acknowledge.
            NotSaved: it could not be written; nothing was acknowledged.
        """
        with self._changing:
            standings = self._summary.standings
            keys = self._matching(wanted)
            waiting = {
                key: one.episode
                for key in keys
                if (one := standings.get(key)) and one.episode and one.episode.waits
            }
            if not waiting:
                raise self._refusal(
                    keys, "has no alarm to acknowledge", "has an alarm to acknowledge"
                )
            after = {key: episode.acknowledge(by) for key, episode in waiting.items()}
            self._publish_episodes(after, must_save=True)
            for key, seen in waiting.items():
                authority = self._service.authorities[key]
                watch = self._watch(authority)
                authority.reconsider(partial(watch.acknowledge, seen, by))
        self._log_done(sorted(waiting), f"acknowledged by {by.who}", by.why)
        return sorted(waiting)

    def shelve(self, wanted: Iterable[str], shelf: Shelf | None, by: str) -> list[str]:
        """Shelve items, or end that; on disk when this returns.

        Args:
            wanted: Keys, or patterns.
            shelf: For how long and why; ``None``: no longer.
            by: Who asks for it.

        Returns:
            The keys of those that have been.

        Raises:
            UnknownKey: there is no such item.
            BadValue: none of them is watched, or none of them is shelved.
            NotSaved: it could not be written; nothing has changed.
        """
        with self._changing:
            keys = self._matching(wanted)
            if shelf is None:
                changed = [key for key in keys if key in self._shelves]
                refusal = self._refusal(keys, "is not shelved", "is shelved")
            else:
                changed = [key for key in keys if self._has_rules(key)]
                refusal = self._refusal(keys, "has no limits to shelve", "has limits to shelve")
            if not changed:
                raise refusal
            after = {key: one for key, one in self._shelves.items() if key not in changed}
            if shelf is not None:
                after.update(dict.fromkeys(changed, shelf))
            self._publish_shelves(after, must_save=True)
            self._shelves = after
            for key in changed:
                authority = self._service.authorities[key]
                authority.reconsider(partial(setattr, authority.watch, "shelf", shelf))
        if shelf is None:
            self._log_done(changed, f"no longer shelved, says {by}")
        else:
            until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(shelf.until))
            self._log_done(changed, f"shelved until {until} by {by}", shelf.why)
        return changed

    def _log_done(self, keys: list[str], what: str, why: str = "") -> None:
        shown = ", ".join(join(self._service.store, key) for key in keys[:MOST_NAMED])
        more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
        _log.info("%s%s: %s%s", shown, more, what, f": {why}" if why else "")

    def _has_rules(self, key: str) -> bool:
        watch = self._service.authorities[key].watch
        return watch is not None and watch.has_rules

    def note_shelf_over(self, key: str) -> None:
        """Take note that an item is shelved no longer."""
        _log.info("%s: no longer shelved, as its time is over", join(self._service.store, key))
        self._summary.change()

    def change_limits(self, key: str, changes: Mapping[str, Setting | None]) -> None:
        """Change what an item is watched for; on disk, and in force, when this returns.

        Args:
            key: The item.
            changes: For ``limits``, ``deadband`` and ``tracks``, what is to be in force; ``None``:
                what its description says.

        Raises:
            UnknownKey: there is no such item.
            BadItemDescription: what is to be in force cannot be.
            NotSaved: it could not be written; nothing has changed.
        """
        with self._changing:
            (key,) = self._matching([key])
            self._check_may_be_watched(key)
            authority = self._service.authorities[key]
            merged = {**self._settings.get(key, {}), **changes}
            settings = {name: one for name, one in merged.items() if one is not None}
            description = described(authority.description, settings)
            before = self._settings
            self._settings = {**before, key: settings}
            if not settings:
                del self._settings[key]
            try:
                self._publish_settings(must_save=True)
            except NotSaved:
                self._settings = before
                raise
            authority.reconsider(partial(self._configure, authority))
        _log.info("%s: watched for %s", authority.item.full_key, shown(description))

    def _check_may_be_watched(self, key: str) -> None:
        if any(key == self._prefix + name for name in OWN_ITEMS):
            raise BadValue(f"{key} is about alarms: there can be none of it")

    def _matching(self, wanted: Iterable[str]) -> list[str]:
        found: dict[str, None] = {}
        for given in wanted:
            pattern = given.strip().lower().removeprefix(f"{self._service.store}.")
            keys = [pattern] if pattern in self._service.authorities else []
            if any(char in pattern for char in "*?["):
                keys = [key for key in self._service.authorities if matches(pattern, key)]
            if not keys:
                close = nearest(pattern, self._service.authorities)
                hint = f"; did you mean {' or '.join(close)}?" if close else ""
                raise UnknownKey(f"this daemon does not contain {pattern!r}{hint}")
            found.update(dict.fromkeys(keys))
        return list(found)

    def _refusal(self, keys: list[str], one: str, many: str) -> BadValue:
        if len(keys) == 1:
            return BadValue(f"{join(self._service.store, keys[0])} {one}")
        return BadValue(f"none of {len(keys)} items {many}")

    # What is told.

    def _own(self, name: str) -> Authority:
        return self._service.authorities[self._prefix + name]

    def _tell(self, worst: int, waiting: int) -> None:
        if not self._started:  # some code alarms in setup(), where there are not all items yet
            return
        self._own("alarm").item.publish(worst)
        self._own("alarms").item.publish(waiting)

    def tell_list(self) -> None:
        """Tell what is wrong with which items, and write what the next run has to know."""
        if not self._started:
            return
        with self._changing:
            rows, more = self._summary.listed()
            payload = Payload(rows)
            self._own("alarmlist").publish(
                payload.having(more=more) if more else payload, repeat=False
            )
            ended = [key for key, shelf in self._shelves.items() if shelf.is_over()]
            for key in ended:
                del self._shelves[key]
            self._write_records()

    def _write_records(self) -> None:
        """Write what the next run has to know; if it cannot be, once more after a while."""
        try:
            for again in (False, True) if self._is_unsaved else (False,):
                self._publish_episodes({}, must_save=again)
                self._publish_shelves(self._shelves, must_save=again)
            self._is_unsaved = False
        except NotSaved as error:
            self._is_unsaved = True
            self._service.unsaved.warning("%s", error)
            self.clock.wake(self._summary, time.monotonic() + SAVE_AGAIN_S)

    def _publish_episodes(self, changed: Mapping[str, Episode], *, must_save: bool) -> None:
        episodes = {key: one.episode for key, one in self._summary.standings.items() if one.episode}
        episodes.update(changed)
        value = {key: one.to_json() for key, one in sorted(episodes.items()) if one.outlives}
        self._publish("ack", value, must_save=must_save)

    def _publish_shelves(self, shelves: Mapping[str, Shelf], *, must_save: bool) -> None:
        value = {key: shelf.to_json() for key, shelf in sorted(shelves.items())}
        self._publish("shelve", value, must_save=must_save)

    def _publish_settings(self, *, must_save: bool) -> None:
        value = {}
        for key, authority in sorted(self._service.authorities.items()):
            settings, fields = self._settings.get(key, {}), authority.description.source
            in_force = {
                name: fields[name] for name in FIELDS if name not in settings and fields.get(name)
            }
            if settings or in_force:
                value[key] = {**in_force, **settings_to_json(settings)}
        for key in self._settings.keys() - value.keys():  # of an item that is not there now
            value[key] = settings_to_json(self._settings[key])
        self._publish("limits", value, must_save=must_save)

    def _publish(self, name: str, value: dict[str, Any], *, must_save: bool) -> None:
        authority = self._own(name)
        # Else that the value of an earlier run was lost would be told for a moment only.
        if must_save or value != authority.payload.value:
            authority.publish(Payload(value), repeat=False, must_save=must_save)


def _shelf_from_json(fields: Any) -> Shelf:
    try:
        until, began = float(fields["until"]), float(fields["time"])
        ends = time.monotonic() + (until - time.time())
        return Shelf(until, str(fields["who"]), str(fields["why"]), began, ends)
    except (TypeError, KeyError, ValueError) as error:
        raise BadValue(f"{fields!r:.100} says not until when ({error})") from error
