"""Values that wait to be saved at the same time go to disk together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from .errors import NotSaved

__all__ = ["Batches", "Saving"]

_MOST = 256


class Saving:
    """A value that is to be saved, and what became of that."""

    __slots__ = ("bulk", "done", "error", "key", "payload")

    def __init__(self, key: str, payload: bytes, bulk: bytes | None) -> None:
        self.key, self.payload, self.bulk = key, payload, bulk
        self.done = False
        self.error: NotSaved | None = None


class Batches:
    """Collects what threads want to save while one of them writes.

    There is no thread in here: whoever comes to write next takes along all that wait by then.

    Args:
        write: Writes some, all or none of them.
    """

    def __init__(self, write: Callable[[Sequence[Saving]], None]) -> None:
        self._write = write
        self._waiting: list[Saving] = []
        self._entry = threading.Lock()
        self._writing = threading.Lock()

    def save(self, saving: Saving) -> None:
        """Have *saving* written; it is on disk when this returns.

        Raises:
            NotSaved: it could not be written.
        """
        with self._entry:
            self._waiting.append(saving)
        while not saving.done:
            with self._writing:
                if not saving.done:
                    self._write_waiting()
        if saving.error is not None:
            raise saving.error

    def _write_waiting(self) -> None:
        with self._entry:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        try:
            self._write(batch)
        except NotSaved as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                # One that is too large for the disk takes none of the others with it.
                for each in batch:
                    self._write_alone(each)
        except BaseException as error:  # nobody who waits may be told that it is on disk
            for each in batch:
                each.error = NotSaved(f"{each.key} could not be saved: {error!r}")
            raise
        finally:
            for each in batch:
                each.done = True

    def _write_alone(self, saving: Saving) -> None:
        try:
            self._write([saving])
        except NotSaved as error:
            saving.error = error
