"""The physical memory of this process."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from pathlib import Path

__all__ = ["give_back", "resident_kilobytes"]


def resident_kilobytes() -> int:
    """Return the physical memory that this process has; its peak where that is all one can ask."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak
    return pages * resource.getpagesize() // 1024


def give_back() -> None:
    """Give freed memory back to the system, which the C library would keep for later."""
    with contextlib.suppress(AttributeError, OSError):  # only one of several libraries has it
        ctypes.CDLL(None).malloc_trim(0)
