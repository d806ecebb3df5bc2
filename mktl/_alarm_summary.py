"""How a daemon's items stand, all in all: what its three items about alarms say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._limits import INVALID, SEVERITIES

if TYPE_CHECKING:
    from ._alarm_clock import AlarmClock
    from ._alarm_watch import Standing
    from .lanes import Lanes

__all__ = ["MOST_LISTED", "Summary"]

MOST_LISTED = 1000
"""So many items the list names, worst first; the number of all is told besides."""
LIST_EVERY_S = 0.5
"""How often, at most, the list is told, and what outlives the daemon is written."""


class Summary:
    """Counts what is wrong; knows it at any time without looking at all items.

    Args:
        lanes: The daemon's threads.
        clock: Wakes it to tell a list that had to wait.
        tell: Called with severity and number whenever something has changed.
        tell_list: Called at most once in :data:`LIST_EVERY_S`.
    """

    def __init__(
        self,
        lanes: Lanes,
        clock: AlarmClock,
        tell: Callable[[int, int], None],
        tell_list: Callable[[], None],
    ) -> None:
        self._lanes = lanes
        self._clock = clock
        self._tell = tell
        self._tell_list = tell_list
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._standings: dict[str, Standing] = {}
        self._counts = [0] * len(SEVERITIES)
        self._waiting = 0
        self._is_due = False
        self._list_after = 0.0

    def note(self, key: str, standing: Standing | None) -> None:
        """Take note of how an item stands now; ``None`` is well."""
        with self._lock:
            old = self._standings.pop(key, None)
            if old is not None:
                self._count(old, -1)
            if standing is not None:
                self._standings[key] = standing
                self._count(standing, 1)
        self.change()

    def change(self) -> None:
        """Have it told that something has changed."""
        with self._lock:
            due, self._is_due = self._is_due, True
        if not due:
            self._lanes.submit("alarms", self.publish)

    def _count(self, standing: Standing, step: int) -> None:
        if standing.shelf is not None:
            return
        if standing.invalid_since is not None:
            self._counts[INVALID] += step
        if standing.episode is not None:
            self._counts[standing.episode.severity] += step
            self._waiting += step if standing.episode.waits else 0

    @property
    def standings(self) -> dict[str, Standing]:
        """How those items stand that are not well."""
        with self._lock:
            return dict(self._standings)

    def wake(self) -> None:
        """Tell the list that had to wait."""
        self._lanes.submit("alarms", self._publish_list)

    def publish(self) -> None:
        """Tell how all stands, and which items it is about if that was not told just now."""
        with self._telling:  # what is counted first is told first
            with self._lock:
                self._is_due = False
                worst = max(number for number, count in enumerate([1, *self._counts[1:]]) if count)
                waiting = self._waiting
            self._tell(worst, waiting)
        if time.monotonic() < self._list_after:
            self._clock.wake(self, self._list_after)
        else:
            self._publish_list()

    def _publish_list(self) -> None:
        self._list_after = time.monotonic() + LIST_EVERY_S
        self._tell_list()

    def listed(self) -> tuple[list[dict[str, Any]], int]:
        """Return a row for each thing that is wrong, worst first, and how many were left out."""
        rows = [row for key, one in self.standings.items() for row in _rows(key, one)]
        rows.sort(key=_order)
        return [row for _severity, row in rows[:MOST_LISTED]], max(0, len(rows) - MOST_LISTED)


def _rows(key: str, standing: Standing) -> list[tuple[int, dict[str, Any]]]:
    shelved = None if standing.shelf is None else standing.shelf.to_json()
    rows = []
    if standing.invalid_since is not None:
        since, reason = standing.invalid_since, standing.reason
        rows.append((INVALID, _row(key, INVALID, since, reason, shelved)))
    episode = standing.episode
    if episode is not None:
        reason = episode.reason if episode.ended is None else episode.over()
        row = _row(key, episode.severity, episode.since, reason, shelved)
        by = episode.acknowledged
        row["acknowledged"] = False if by is None else by.to_json()
        if episode.ended is not None:
            row["ended"] = episode.ended
        rows.append((episode.severity, row))
    return rows


def _row(
    key: str, severity: int, since: float, reason: str, shelved: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "key": key,
        "severity": SEVERITIES[severity],
        "since": since,
        "reason": reason,
        "acknowledged": None,  # what is not known is nothing to acknowledge
        "shelved": shelved,
    }


def _order(entry: tuple[int, dict[str, Any]]) -> tuple[bool, int, bool, float, str]:
    severity, row = entry
    return (
        row["shelved"] is not None,
        -severity,
        bool(row["acknowledged"]),
        -row["since"],
        row["key"],
    )
