"""Which response belongs to which request: the client's table of open requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from .message import ACK, Response

__all__ = ["Exchange", "Slot"]

_LAST_ID = 0xFFFFFFFE


class Slot:
    """The state of one open request, to be subclassed by what waits for it."""

    __slots__ = ("acknowledged", "response")

    def __init__(self) -> None:
        self.acknowledged = False
        self.response: Response | None = None


S = TypeVar("S", bound=Slot)


class Exchange(Generic[S]):
    """Open requests by id.

    Ids count up in eight hexadecimal digits and wrap; one that is still open is skipped.
    """

    def __init__(self) -> None:
        self._open: dict[bytes, S] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[S]:
        return iter(list(self._open.values()))

    def begin(self, slot: S) -> bytes:
        """Enter *slot* and return the id under which its request has to be sent."""
        while True:
            id_ = b"%08x" % self._next
            self._next = 0 if self._next >= _LAST_ID else self._next + 1
            if id_ not in self._open:
                self._open[id_] = slot
                return id_

    def forget(self, id_: bytes) -> S | None:
        """Strike *id_*, and return its slot: a response to it is a stranger's from now on."""
        return self._open.pop(id_, None)

    def receive(self, response: Response) -> S | None:
        """Take in *response*; return the slot that it completed or acknowledged.

        ``None`` means that nobody asked for it (any more). A reply that comes first counts as
        acknowledgement too.
        """
        slot = self._open.get(response.id)
        if slot is None:
            return None
        slot.acknowledged = True
        if response.kind == ACK:
            return slot
        del self._open[response.id]
        slot.response = response
        return slot
