"""Lines in a file that is replaced by a new one when it is full, and read from its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

__all__ = ["LinesFile", "LinesLost", "lines_backwards", "oldest_line"]

CHUNK = 256 * 1024
LONGEST_LINE = 64 * 1024
"""Bytes: nobody here writes longer ones, so whatever is longer was not written here."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class LinesLost(OSError):
    """Some lines could not be written.

    Attributes:
        count: How many.
    """

    def __init__(self, reason: OSError, count: int) -> None:
        super().__init__(reason.errno, reason.strerror or str(reason))
        self.count = count


class LinesFile:
    """A file to which lines are appended: ``PATH``, and older ones in ``PATH.1`` and so on.

    Args:
        path: Of the newest.
        most_bytes: That one may have.
        most_files: That there may be, the newest among them.
    """

    def __init__(self, path: Path, most_bytes: int, most_files: int) -> None:
        self.path = path
        self._name = str(path)
        self._most_bytes, self._most_files = most_bytes, most_files
        self._descriptor = -1
        self._size = 0
        self._identity = (0, 0)

    def append(self, lines: Sequence[bytes]) -> None:
        """Write *lines*, each with its end; they are with the operating system then.

        Raises:
            LinesLost: some were not, those at the end. The next call tries anew.
        """
        data = b"".join(lines)
        written = 0
        try:
            self._make_ready(len(data))
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            self._size += written
        except OSError as error:
            self.close()
            raise LinesLost(error, len(lines) - data[:written].count(b"\n")) from error

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _make_ready(self, needed: int) -> None:
        if self._descriptor >= 0 and not self._is_in_place():
            self.close()  # somebody has moved or removed it
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + needed > self._most_bytes:
            self.close()
            self._rotate()
            self._open()

    def _is_in_place(self) -> bool:
        try:
            there = os.stat(self._name)  # noqa: PTH116 - for each line: at half the cost
        except FileNotFoundError:
            return False
        return (there.st_ino, there.st_dev) == self._identity

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._descriptor = os.open(self.path, _FLAGS, 0o640)
        status = os.fstat(self._descriptor)
        self._size, self._identity = status.st_size, (status.st_ino, status.st_dev)
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            # The last line was torn, by a crash or a full disk: the next one must not suffer.
            self._size += os.write(self._descriptor, b"\n")

    def _rotate(self) -> None:
        for number in range(self._most_files - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                _numbered(self.path, number - 1).replace(_numbered(self.path, number))
        if self._most_files == 1:
            self.path.unlink(missing_ok=True)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _files(path: Path, most_files: int) -> Iterator[BinaryIO]:
    """Open what there is, the newest first, each once though names change meanwhile."""
    seen = set()
    for number in range(most_files):
        try:
            stream = _numbered(path, number).open("rb")
        except FileNotFoundError:
            continue
        with stream:
            status = os.fstat(stream.fileno())
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield stream


def lines_backwards(path: Path, most_files: int, since: float) -> Iterator[bytes]:
    """Yield complete lines, the newest first, without their ends.

    Args:
        path: Of the newest file.
        most_files: How many to look for.
        since: UNIX seconds: files that were last written before are left out.

    Raises:
        OSError: a file is there, but cannot be read.
    """
    for stream in _files(path, most_files):
        if os.fstat(stream.fileno()).st_mtime < since:
            return
        yield from _backwards(stream)


def _backwards(stream: BinaryIO) -> Iterator[bytes]:
    position = stream.seek(0, os.SEEK_END)
    rest, unended = b"", True
    while position > 0:
        size = min(CHUNK, position)
        position -= size
        stream.seek(position)
        pieces = (stream.read(size) + rest).split(b"\n")
        if unended:  # what is behind the last end is torn, or being written
            pieces.pop()
            unended = not pieces
        rest = pieces[0][:LONGEST_LINE] if pieces else b""  # it may begin earlier
        yield from reversed(pieces[1:])
    if rest:
        yield rest


def oldest_line(path: Path, most_files: int) -> bytes:
    """Return the oldest complete line that there is; empty if there is none."""
    oldest = b""
    for stream in _files(path, most_files):
        line = stream.readline(LONGEST_LINE)
        if line.endswith(b"\n"):
            oldest = line
    return oldest
