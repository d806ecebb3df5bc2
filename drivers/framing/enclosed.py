"""Replies of one line, or of several between two marks."""

from __future__ import annotations

from drivers.framing.terminator import TerminatedReplies
from mktl.errors import ProtocolMismatch

__all__ = ["EnclosedReplies"]


class EnclosedReplies(TerminatedReplies):
    """Lines that end with LF or CR LF; one that ends with ``$`` begins a reply of several.

    Such a reply goes on to a line that is ``$`` alone. It is given back with LF between its lines,
    and without the marks.
    """

    mark = b"$"

    def __init__(self, *, limit: int = 16384) -> None:
        """Begin with an empty buffer; *limit* is that of a whole reply."""
        super().__init__(b"\n", limit=limit)

    def next_reply(self) -> bytes | None:
        """Return the oldest complete reply; ``None`` means that more bytes are needed.

        Raises:
            ProtocolMismatch: more than the limit came without the end of a reply, whose lines all
                have an end of their own; the buffer is empty again.
        """
        lines, complete, rest = self._buffer.partition(b"\n")
        first = lines.rstrip(b"\r ")
        if not complete:
            return None
        if not first.endswith(self.mark):
            self._buffer = rest
            return first
        taken = [first.removesuffix(self.mark).rstrip()]
        while True:
            line, complete, rest = rest.partition(b"\n")
            if not complete:
                self._refuse_endless()
                return None
            line = line.rstrip(b"\r ")
            if line == self.mark:
                self._buffer = rest
                return b"\n".join(filter(None, taken))
            taken.append(line)

    def _refuse_endless(self) -> None:
        if len(self._buffer) > self._limit:
            raise ProtocolMismatch(
                f"more than {self._limit} bytes came without a line {self.mark.decode()!r} alone; "
                f"they begin with {self.clear()[:40]!r}"
            )
