"""Items that one exchange with the hardware reads together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from ._capabilities import prioritised
from .errors import BadValue, NotSaved

if TYPE_CHECKING:
    from ._authority import Authority
    from ._service import Service

__all__ = ["BlockPoll"]

_log = logging.getLogger(__name__)


class BlockPoll:
    """The poll that several items have in common; each may leave it.

    Args:
        authorities: The items, in the order of what *read* returns; at least one.
        period_s: Seconds between two polls.
        read: Returns a value, or an exception, for each of them.
        service: What the daemon's items have in common.
    """

    def __init__(
        self,
        authorities: Sequence[Authority],
        period_s: float,
        read: Callable[[], Sequence[Any]],
        service: Service,
    ) -> None:
        if not authorities:
            raise BadValue("a block has at least one item")
        self._authorities = tuple(authorities)
        self._members = set(self._authorities)
        self._read = read
        self._service = service
        for authority in self._authorities:
            authority.join_block(self)
        self._poll = service.scheduler.add(period_s, self.run, self.lane)

    def lane(self) -> Hashable:
        """Return the lane in which it is done: that of its first item."""
        lane: Hashable = self._authorities[0].lane()
        return lane

    def leave(self, authority: Authority) -> None:
        """Poll *authority* no more; the last one ends the poll."""
        self._members.discard(authority)
        if not self._members:
            self._poll.cancel()

    def run(self) -> None:
        """Read once, and publish what came of it for each item."""
        first = self._authorities[0]
        with prioritised(first.item, "poll"):
            reading = self._service.moment()
            found = self._ask()
            outdated = []
            with self._service.together():
                for authority, value in zip(self._authorities, found, strict=True):
                    if authority in self._members and not self._publish(authority, reading, value):
                        outdated.append(authority)
            for authority in outdated:
                authority.poll_once()

    def _ask(self) -> Sequence[Any]:
        count = len(self._authorities)
        try:
            found = self._read()
        except Exception as error:  # whatever the author's code raises, all values are in doubt
            return [error] * count
        if len(found) == count:
            return found
        return [BadValue(f"{count} values are due, and {len(found)} were read")] * count

    def _publish(self, authority: Authority, reading: int, value: Any) -> bool:
        """Return false if a SET took effect meanwhile: *value* may be from before it."""
        try:
            if isinstance(value, Exception):
                raise value
            return value is None or authority.end_reading(reading, value)
        except NotSaved as error:
            self._service.unsaved.warning("%s", error)
        except Exception as error:  # one item's trouble is not that of the others
            authority.doubt_reading(reading, error)
        return True
