"""How the items of a daemon get their values back: of their descriptions, and from disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from .errors import MktlError
from .payload import Payload

if TYPE_CHECKING:
    from ._authority import Authority
    from .persistence import PersistentValues
    from .scheduler import Poll, Scheduler

__all__ = ["Restoring"]

_log = logging.getLogger(__name__)

_RETRY_S = 2.0


class Restoring:
    """Gives items their values when a daemon starts, and later those that cannot be read by then.

    Args:
        authorities: What the daemon knows of its items, by key.
        alias: Of the daemon.
        go_on: Called when what the daemon keeps for itself was read late.
    """

    def __init__(
        self, authorities: Mapping[str, Authority], alias: str, go_on: Callable[[], None]
    ) -> None:
        self._authorities = authorities
        self._own = f"_{alias}"
        self._go_on = go_on
        self._waiting: dict[str, Payload] = {}
        """What items are as long as the database cannot be read."""
        self._poll: Poll | None = None

    def restore(self, persistent: PersistentValues | None, scheduler: Scheduler) -> None:
        """Give items the values of their descriptions, and then those kept on disk."""
        for authority in self._authorities.values():
            description = authority.description
            if description.initial is not None:
                authority.restore(Payload(description.coerce(description.initial)), saved=False)
        if persistent is None:
            return
        for authority, payload, saved in self._saved(persistent):
            authority.restore(payload, saved=saved)
            if persistent.trouble and not (saved or authority.reads_hardware):
                self._waiting[authority.item.key] = authority.payload
        if persistent.trouble:
            # Nothing is written before all was read: the daemon would write over its own notes.
            persistent.held = True
            self._poll = scheduler.add(_RETRY_S, lambda: self._retry(persistent), lambda: self)

    def _saved(self, persistent: PersistentValues) -> Iterator[tuple[Authority, Payload, bool]]:
        """Yield what is on disk, and what is in doubt; the last tells whether it is on disk so."""
        found: dict[str, Payload] = {}
        refused: dict[str, str] = {}
        for key, payload in persistent.load():
            holder = self._authorities.get(key)
            if holder is None or not holder.description.persist:
                continue
            try:
                found[key] = payload.having(value=holder.description.coerce(payload.value))
            except MktlError as error:
                _log.error("the persistent value of %s is not used: %s", key, error)
                refused[key] = f"its saved value is not used: {error}"
        for key, authority in self._authorities.items():
            if not authority.description.persist:
                continue
            doubt = refused.get(key) or persistent.doubt_of(key)
            payload = found.get(key, authority.payload)
            if doubt:
                yield authority, payload.having(quality="warning", reason=doubt), False
            elif key in found:
                yield authority, payload, True

    def _retry(self, persistent: PersistentValues) -> None:
        """Give items their values once the database can be read, if they were not set since."""
        if not persistent.reopen():
            return
        found = {one[0].item.key: one for one in self._saved(persistent)}
        if persistent.trouble:  # it cannot be read after all
            return
        if self._poll is not None:
            self._poll.cancel()
        waiting, self._waiting = self._waiting, {}
        if waiting:
            for key, (authority, payload, saved) in found.items():
                doubted = authority.payload if key.startswith(self._own) else waiting.get(key)
                if doubted is not None:
                    authority.replace(doubted, payload, saved=saved)
            for key in waiting.keys() - found.keys():  # nothing was saved, so nothing is missing
                as_before = waiting[key].having(quality="valid", reason=None)
                self._authorities[key].replace(waiting[key], as_before, saved=False)
            self._go_on()
        persistent.held = False
