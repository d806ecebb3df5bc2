"""Device files, and the folders where Linux tells about devices. Nothing here opens a device."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Node", "Number", "Roots", "node_at", "read_text"]

Number = tuple[int, int]
"""Major and minor number of a device."""

# Linux, Documentation/admin-guide/devices.txt: Unix98 PTY slaves.
_PTY_MAJORS = range(136, 144)


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the file systems are that tell about devices."""

    dev: Path = Path("/dev")
    """Device files, and the links that udev makes to them."""
    sys: Path = Path("/sys")
    """What the kernel knows of hardware."""
    proc: Path = Path("/proc")
    """Processes, their open files, and locks."""


@dataclass(frozen=True, slots=True)
class Node:
    """A character device, as found at the end of a path."""

    number: Number
    """Which device it is."""
    file: tuple[int, int]
    """The file that stands for it: file system and inode. Locks are held on this."""

    @property
    def is_pty(self) -> bool:
        """Whether it is the host's end of a pseudo-terminal."""
        return self.number[0] in _PTY_MAJORS

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for two files of one device. Each devpts counts its pseudo-terminals from 0."""
        return (*self.number, self.file[0]) if self.is_pty else self.number


def node_at(path: str | os.PathLike[str]) -> Node | None:
    """Return the character device that *path* leads to; ``None`` where it is none.

    Raises:
        OSError: there is nothing, or it cannot be seen.
    """
    found = os.stat(path)  # noqa: PTH116 - a Path for each open file of a machine is slow
    if not stat.S_ISCHR(found.st_mode):
        return None
    number = (os.major(found.st_rdev), os.minor(found.st_rdev))
    return Node(number, (found.st_dev, found.st_ino))


def read_text(path: Path) -> str:
    """Return what a small file of the kernel has; empty where it has, or is, nothing."""
    try:
        return path.read_bytes().decode(errors="replace").strip()
    except OSError:
        return ""
