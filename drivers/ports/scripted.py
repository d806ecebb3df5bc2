"""A port that holds one exact conversation, for tests of what stands above it."""

from __future__ import annotations

import threading
import time

from mktl.errors import DeviceLost

__all__ = ["ScriptedPort"]


class ScriptedPort:
    r"""Answers what the script says, and nothing else.

    The script is pairs of what must be written and what is answered at once::

        line = Line(ScriptedPort((b"KRDG? A\r\n", b"+77.350\r\n")))
    """

    def __init__(self, *script: tuple[bytes, bytes]) -> None:
        """Take the whole conversation, in order."""
        self._script = list(script)
        self._input = b""
        self._arrived = threading.Condition()
        self._open = False
        self.written: list[bytes] = []
        """Everything that was written, one entry a write."""

    @property
    def url(self) -> str:
        """Not a real address."""
        return "scripted:"

    @property
    def char_s(self) -> float:
        """Takes no time."""
        return 0.0

    @property
    def whole_messages(self) -> bool:
        """Never: it is a stream of bytes."""
        return False

    @property
    def finished(self) -> bool:
        """Whether the whole script was played."""
        return not self._script

    def renew(self) -> ScriptedPort:
        """Return this port: the script goes on where it was."""
        return self

    def open(self, deadline: float) -> None:  # noqa: ARG002 - part of the interface
        """Open, at once."""
        self._open = True

    def arrive(self, data: bytes) -> None:
        """Make *data* come in, unasked."""
        with self._arrived:
            self._input += data
            self._arrived.notify_all()

    def read(self, deadline: float) -> bytes:
        """Return what has come in, or ``b""`` at the deadline."""
        with self._arrived:
            while not self._input:
                left = deadline - time.monotonic()
                self._check()
                if left <= 0 or not self._arrived.wait(left):
                    break
            self._check()
            data, self._input = self._input, b""
            return data

    def write(self, data: bytes, deadline: float) -> None:  # noqa: ARG002 - part of the interface
        """Take *data*, which must be what comes next in the script.

        Raises:
            AssertionError: it is something else.
        """
        with self._arrived:
            self._check()
            self.written.append(data)
            if not self._script:
                raise AssertionError(f"the script is over, but {data!r} was written")
            expected, answer = self._script.pop(0)
            if data != expected:
                raise AssertionError(f"the script wants {expected!r}, but {data!r} was written")
            self._input += answer
            self._arrived.notify_all()

    def discard(self) -> bytes:
        """Return what came unasked."""
        with self._arrived:
            self._check()
            data, self._input = self._input, b""
            return data

    def clear(self, deadline: float) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Close, and wake a thread that reads."""
        with self._arrived:
            self._open = False
            self._arrived.notify_all()

    def _check(self) -> None:
        if not self._open:
            raise DeviceLost("the port was closed on this side")
